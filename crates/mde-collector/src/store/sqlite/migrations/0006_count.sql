-- Format 6: `related_*` counts of entities, and how each of them is had.
PRAGMA user_version = 6;

-- One count of one stream.
CREATE TABLE count_kind (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES stream (id),
    name TEXT NOT NULL,
    method TEXT NOT NULL,               -- '' before one was chosen
    reason TEXT NOT NULL,
    passed_ms INTEGER,                  -- the newest reading of a whole source that it was taken from
    trouble TEXT,                       -- why that source could not be read last time; NULL: it could
    UNIQUE (stream, name)
) STRICT;

-- One of these for each entity. `key` is the entity's or the version's.
CREATE TABLE count (
    kind INTEGER NOT NULL REFERENCES count_kind (id),
    key BLOB NOT NULL,
    id TEXT NOT NULL,                   -- '' where only a reading of a whole source has shown the entity
    wanted_ms INTEGER,                  -- when it was first asked for; NULL likewise
    tried_ms INTEGER NOT NULL,          -- 0: never
    value INTEGER,                      -- NULL: not known
    taken_ms INTEGER,                   -- when the value was had
    trouble TEXT,                       -- why the last try gave none; NULL: it did
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX count_tried ON count (kind, tried_ms);
