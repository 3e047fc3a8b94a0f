-- Format 2: entities of streams that read snapshots.
PRAGMA user_version = 2;

-- `place` is the order in which a stream met its entities, which is about the order in which a snapshot shows them: a
-- page of one touches rows that lie side by side, and the index, whose columns never change, is only read.
CREATE TABLE entity (
    stream INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    place INTEGER NOT NULL,
    key BLOB NOT NULL,
    id TEXT NOT NULL,
    snapshot INTEGER NOT NULL,          -- number of the last one that showed it
    content BLOB NOT NULL,
    PRIMARY KEY (stream, epoch, place),
    UNIQUE (stream, epoch, key)
) STRICT, WITHOUT ROWID;
