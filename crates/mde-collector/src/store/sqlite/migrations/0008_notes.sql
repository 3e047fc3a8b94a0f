-- Format 8: when outputs passed what, what names a traced version, and what a running process says of itself.
PRAGMA user_version = 8;

ALTER TABLE trace ADD COLUMN version TEXT NOT NULL DEFAULT '';  -- parts of the version's name, joined by NUL; '': not noted

-- Like `trace`: rows are only added at the end and taken away at the beginning.
CREATE TABLE passage (
    row INTEGER PRIMARY KEY,
    output TEXT NOT NULL,
    stream INTEGER NOT NULL,
    batch INTEGER NOT NULL,             -- the position that was reached
    frame INTEGER NOT NULL,
    passed_ms INTEGER NOT NULL,
    how INTEGER NOT NULL                -- 0: delivered, 1: jumped over, 2: the output began there
) STRICT;

CREATE TABLE note (
    name TEXT PRIMARY KEY,              -- as leases are named: `stream …`, `output …`
    noted_ms INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
