-- Format 3: outputs that are no longer configured, and what outputs were spared.
PRAGMA user_version = 3;

ALTER TABLE output ADD COLUMN used_ms INTEGER;              -- last attached or advanced; NULL: not since format 3
ALTER TABLE output ADD COLUMN removed_ms INTEGER;           -- first missed in the configuration; NULL while it is there
ALTER TABLE output ADD COLUMN heir_of TEXT;                 -- began where this one stood; NULL once it is clear whether it replaces it
ALTER TABLE output ADD COLUMN lost_events INTEGER NOT NULL DEFAULT 0;
