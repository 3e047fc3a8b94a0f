-- Format 5: where each record came from and went to, for `explain`.
PRAGMA user_version = 5;

-- No index: rows are only added at the end and taken away at the beginning, which costs a commit next to nothing. The
-- rare question reads all of them.
CREATE TABLE trace (
    row INTEGER PRIMARY KEY,
    stored_ms INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    batch INTEGER,                      -- NULL: the commit showed none
    id TEXT NOT NULL,
    key BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    request TEXT NOT NULL,
    events INTEGER NOT NULL
) STRICT;
