//! The words that every room shares: streams, versions, frames, positions, classes of error.
//!
//! Nothing here does I/O, reads a clock or knows a vendor's field name.

mod content;
#[cfg(test)]
pub(crate) mod documents;
mod identity;
mod json;
mod mistake;
mod scan;

pub use content::{content_hash, hex, row_hash};
pub use identity::{EntityKey, EventId, Identity, VersionKey};
pub use json::{JsonError, RawObject, unquoted};
pub use mistake::Mistake;
pub use scan::Cursor;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A length of time in whole milliseconds; one beyond every calendar is the longest there is.
#[must_use]
pub fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The unit of scheduling, leasing, checkpoint, metrics and status row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// The `id` of the input (not its name): state belongs to it.
    pub tenant: String,
    /// Canonical service name.
    pub service: String,
    /// Name of the hunting query, for services that have several streams.
    pub query: Option<String>,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.service)?;
        match &self.query {
            Some(query) => write!(f, "/{query}"),
            None => Ok(()),
        }
    }
}

/// What all events of one batch have in common; an output makes its headers and file names from it.
/// It is kept with the batch, so a changed configuration never rewrites what is already stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHead {
    /// Name of the input (the key under `inputs`), for `{tenant}` in paths.
    pub input: String,
    /// Canonical service name, for `{service}` in paths.
    pub service: String,
    /// Devo tag.
    pub tag: String,
    /// Start of the pull. Unit: milliseconds since 1970, UTC.
    pub pulled_ms: i64,
}

/// How far an output has come in one stream: the last frame that it has passed.
///
/// Batches are numbered per stream from 1 without gaps; frames within a batch from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Number of the batch within its stream.
    pub batch: u64,
    /// Number of the frame within its batch.
    pub frame: u32,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self { batch: 0, frame: u32::MAX };

    /// Behind the whole of a batch.
    #[must_use]
    pub const fn after_batch(batch: u64) -> Self {
        Self { batch, frame: u32::MAX }
    }
}

/// A run of events on its way into the store: one compact JSON object a line, each line ended by LF.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Number of lines in `body`.
    pub events: u32,
    /// The lines.
    pub body: Vec<u8>,
}

/// A frame as an output gets it: visible, checked, decompressed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFrame {
    /// Where it stands in its stream.
    pub position: Position,
    /// What its batch has in common.
    pub head: Arc<BatchHead>,
    /// Number of lines in `body`.
    pub events: u32,
    /// One compact JSON object a line, each line ended by LF.
    pub body: Vec<u8>,
}

/// The lines of a frame's body, each with the LF that ends it.
pub fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    let ends = memchr::memchr_iter(b'\n', body).map(|end| end + 1);
    // A last line that nobody has ended is one all the same; behind an end there is none.
    ends.chain((!body.is_empty() && !body.ends_with(b"\n")).then_some(body.len())).map(move |end| {
        let line = &body[from..end];
        from = end;
        line
    })
}

// A record's content never reaches a log, not even by way of an assertion.

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("events", &self.events).field("octets", &self.body.len()).finish()
    }
}

impl fmt::Debug for StoredFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, head, events, body } = self;
        f.debug_struct("StoredFrame")
            .field("position", position)
            .field("head", head)
            .field("events", events)
            .field("octets", &body.len())
            .finish()
    }
}

/// A stored version: what names it, and the time by which it is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredKey {
    /// Names the version.
    pub key: VersionKey,
    /// The version's own time. Unit: milliseconds since 1970, UTC.
    pub time_ms: i64,
}

/// The one question that every error answers: what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// It will pass: try again with back-off.
    Transient,
    /// The other side asked us to wait.
    Throttled {
        /// How long; `None` where it did not say.
        after: Option<Duration>,
    },
    /// Credentials or a role: a person must act, the rest goes on.
    Denied,
    /// This request or record will never be taken.
    Refused,
    /// The program cannot go on.
    Fatal,
}

#[cfg(test)]
mod tests;
