-- Format 1. A format that has left the house is never edited: a change is a new file, which also sets the new number.

-- "MDEC": tells our files from those of others that happen to be SQLite as well.
PRAGMA application_id = 1296319811;
PRAGMA user_version = 1;

-- One row about the file itself.
CREATE TABLE store (
    clean INTEGER NOT NULL,             -- 1 between an orderly end and the next start
    octets INTEGER NOT NULL             -- sum of batch.octets: how much the outbox holds, visible or not
) STRICT;
INSERT INTO store (clean, octets) VALUES (1, 0);

CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    service TEXT NOT NULL,
    query TEXT NOT NULL,                -- '' where the service has one stream only
    epoch INTEGER NOT NULL,
    checkpoint_ms INTEGER,
    memory TEXT NOT NULL,
    last_batch INTEGER NOT NULL,        -- number given out last; goes on across epochs
    horizon_ms INTEGER,                 -- keys of a time before this count as forgotten
    hand BLOB NOT NULL,                 -- last key that the sweep over this stream's keys has looked at
    UNIQUE (tenant, service, query)
) STRICT;

-- AUTOINCREMENT: the number of a batch that was thrown away must never name another one, or a late writer would fill it.
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES stream (id),
    number INTEGER,                     -- NULL while nobody may see it
    epoch INTEGER NOT NULL,
    lease TEXT NOT NULL,
    fence INTEGER NOT NULL,
    input TEXT NOT NULL,
    service TEXT NOT NULL,
    tag TEXT NOT NULL,
    pulled_ms INTEGER NOT NULL,
    frames INTEGER NOT NULL,            -- this and the next three describe the frames that are still here
    events INTEGER NOT NULL,
    raw_octets INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    stored_ms INTEGER,
    UNIQUE (stream, number)
) STRICT;

CREATE TABLE frame (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch (id),
    seq INTEGER NOT NULL,
    events INTEGER NOT NULL,
    raw_octets INTEGER NOT NULL,
    checksum INTEGER NOT NULL,          -- CRC-32 over batch, seq, events, raw_octets and body
    body BLOB NOT NULL,                 -- one lz4 block
    UNIQUE (batch, seq)
) STRICT;

-- No index by time: it would double the table and scatter the writes. A hand sweeps over the keys instead (keys.rs).
CREATE TABLE version_key (
    stream INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    key BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (stream, epoch, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE output (
    name TEXT PRIMARY KEY,
    memory TEXT,
    newest_stream INTEGER NOT NULL      -- streams above this were made after the output: none of their events is old to it
) STRICT, WITHOUT ROWID;

CREATE TABLE position (
    output TEXT NOT NULL REFERENCES output (name),
    stream INTEGER NOT NULL REFERENCES stream (id),
    batch INTEGER NOT NULL,
    frame INTEGER NOT NULL,
    PRIMARY KEY (output, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    owner TEXT,                         -- NULL once given back
    fence INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
