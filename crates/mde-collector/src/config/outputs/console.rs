//! Standard output.

/// One event JSON a line on standard output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Console {}
