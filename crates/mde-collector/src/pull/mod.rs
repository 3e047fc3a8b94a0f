//! How to ask, as pure machines: what came goes in, what to ask, store and forget comes out.
//!
//! No async, no clock, no I/O, no vendor field names: those come with the service's table entry. One thin loop
//! (`pipeline::drive`) does a machine's I/O.

pub mod clock;
pub mod horizon;
pub mod window;

use crate::record::VersionKey;

/// A request that a machine wants to be made, in the words of the service's table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// `$top`.
    pub top: Option<u64>,
    /// `$skip`.
    pub skip: Option<u64>,
    /// Whether the list's `$expand` goes along; an answer without it is never stored.
    pub whole: bool,
    /// Follow the link of the answer before, instead of building a query.
    pub follow: bool,
    /// The newest window of all: its call comes before every other.
    pub newest: bool,
}

/// A condition on the rows of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The field's time lies in `[from_ms, to_ms)`. Unit: milliseconds since 1970, UTC.
    Time {
        /// Field of the record.
        field: &'static str,
        /// First moment inside.
        from_ms: i64,
        /// First moment behind.
        to_ms: i64,
    },
    /// The field has this value.
    Is(&'static str, &'static str),
    /// The field has none of these values; null counts as none of them.
    IsNone(&'static str, &'static [&'static str]),
}

/// A row as a machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Names its version.
    pub key: VersionKey,
    /// Its time. Unit: 100 ns since 1970, UTC. `None`: absent, null or no time.
    pub time: Option<i64>,
}

/// What an answer that was read to its end says about more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// There is no link.
    Nothing,
    /// A link that can be followed.
    Link,
    /// A link to a host that is not the vendor's: it is never followed.
    Elsewhere,
}

/// An answer that contradicts its question, or a source that will not hold still.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// A row lies outside the window that was asked for.
    #[error(
        "read a window: the server ignored the time filter on {field} (a row of {row_ms} ms in [{from_ms}, {to_ms}))"
    )]
    FilterIgnored {
        /// The filtered field.
        field: &'static str,
        /// The row's time. Unit: milliseconds since 1970, UTC.
        row_ms: i64,
        /// First moment asked for.
        from_ms: i64,
        /// First moment behind.
        to_ms: i64,
    },
    /// A row without the time that filters it.
    #[error("read a window: a row has no readable {field}")]
    NoTime {
        /// The filtered field.
        field: &'static str,
    },
    /// Rows that share one millisecond and changed during every pass.
    #[error("read the millisecond {at_ms}: {passes} passes over its pages all gave different rows")]
    Unsettled {
        /// The millisecond. Unit: milliseconds since 1970, UTC.
        at_ms: i64,
        /// Passes made.
        passes: u32,
    },
}
