//! Files of NDJSON.

/// One event JSON a line in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path with the placeholders `{tenant}`, `{service}`, `{tag}`, `{date}`.
    pub path: String,
}
