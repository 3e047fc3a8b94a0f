-- Format 4: events that outputs refuse for good.
PRAGMA user_version = 4;

ALTER TABLE output ADD COLUMN dead_letters INTEGER NOT NULL DEFAULT 0;  -- how many there are
ALTER TABLE output ADD COLUMN dead_octets INTEGER NOT NULL DEFAULT 0;   -- and the sum of their records

-- What belongs to the batch is copied: a letter outlives the frame that it was in. The record comes last, so that
-- nothing else has to be looked for behind it.
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    output TEXT NOT NULL REFERENCES output (name),
    stream INTEGER NOT NULL REFERENCES stream (id),
    batch INTEGER NOT NULL,
    frame INTEGER NOT NULL,
    line INTEGER NOT NULL,              -- within the frame, from 0
    reason TEXT NOT NULL,
    refused_ms INTEGER NOT NULL,
    input TEXT NOT NULL,
    service TEXT NOT NULL,
    tag TEXT NOT NULL,
    pulled_ms INTEGER NOT NULL,
    octets INTEGER NOT NULL,            -- length of the record
    record BLOB NOT NULL,               -- one line, without its end
    UNIQUE (output, stream, batch, frame, line)
) STRICT;

CREATE INDEX dead_letter_of_output ON dead_letter (output);
