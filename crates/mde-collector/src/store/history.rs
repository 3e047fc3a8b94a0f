//! Where records came from and went to: traces of versions, and the passages of outputs over batches.

use super::{Seen, StoreError};
use crate::record::{Position, StreamKey, VersionKey};
use async_trait::async_trait;
use std::time::Duration;

/// How long traces are kept. Source: design, "Store".
pub const HISTORY_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How one record came into the store. One row each for 30 days: not for the rows of snapshots, of which there are too
/// many; their entities are remembered instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The record's id as the API gives it.
    pub id: String,
    /// Names the version.
    pub key: VersionKey,
    /// The version's own time. Unit: milliseconds since 1970, UTC.
    pub time_ms: i64,
    /// Microsoft's id of the request that showed it; empty where it gave none.
    pub request_id: String,
    /// The parts of the version's name, joined by NUL: what its events are named by. Empty: not noted.
    pub version: String,
    /// Events that were made of it.
    pub events: u64,
}

/// A trace, and what the store knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// The stream that stored it.
    pub stream: StreamKey,
    /// When. Unit: milliseconds since 1970, UTC.
    pub stored_ms: i64,
    /// The batch that was shown with it. `None`: the commit had none.
    pub batch: Option<u64>,
    /// What its commit told.
    pub trace: Trace,
}

/// How an output came past a place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// What lies before has been delivered, or refused for good.
    Delivered,
    /// It need not get everything, and jumped: what lies before is lost to it.
    Jumped,
    /// It began there: what lies before was never meant for it.
    Began,
}

/// When an output came past a place in a stream, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Unit: milliseconds since 1970, UTC.
    pub passed_ms: i64,
    /// How.
    pub how: Passing,
}

/// Most passages that are kept, over all outputs; they go after [`HISTORY_KEPT`] in any case.
pub const MAX_PASSAGES: u64 = 200_000;

/// Where an output stands in one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The output.
    pub output: String,
    /// The stream; an output's [`replay_stream`] is among them.
    pub stream: StreamKey,
    /// The last frame that it has passed.
    pub position: Position,
}

/// Where records came from and went to.
#[async_trait]
pub trait History: Send + Sync {
    /// The newest `limit` traces of an id, over all streams, the newest first. A slow call: it reads what is kept, about
    /// a million traces a second.
    async fn history(&self, id: &str, limit: u32) -> Result<Vec<Traced>, StoreError>;

    /// The entities of that id, over all streams that read snapshots. Slow as well.
    async fn sightings(&self, id: &str) -> Result<Vec<(StreamKey, Seen)>, StoreError>;

    /// Where every output stands in each of its streams.
    async fn places(&self) -> Result<Vec<Place>, StoreError>;

    /// How an output first came to a position or past it. `None`: it has not, or nobody knows any more.
    async fn passage(
        &self,
        output: &str,
        stream: &StreamKey,
        position: Position,
    ) -> Result<Option<Passage>, StoreError>;
}
