-- Format 9: streams that an output takes no more.
PRAGMA user_version = 9;

ALTER TABLE position ADD COLUMN removed_ms INTEGER;                 -- since when the output does not take the stream; NULL while it does
ALTER TABLE position ADD COLUMN let_go INTEGER NOT NULL DEFAULT 0;  -- 1: holds no frames any more; stays, so that nothing is sent twice
