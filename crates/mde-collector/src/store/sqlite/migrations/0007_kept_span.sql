-- Format 7: spans whose keys are kept although they lie behind the horizon.
PRAGMA user_version = 7;

CREATE TABLE kept_span (
    stream INTEGER NOT NULL REFERENCES stream (id),
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,             -- first moment behind
    PRIMARY KEY (stream, from_ms, to_ms)
) STRICT, WITHOUT ROWID;
