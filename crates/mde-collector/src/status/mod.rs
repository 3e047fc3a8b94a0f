//! How things stand: one typed value for `state show` and the status page, assembled from what the store knows and what a
//! running process notes.
//!
//! It asks nobody, reads no clock, and holds neither a secret nor a record's content.

mod assemble;
mod board;
mod health;
mod note;
pub mod told;
mod word;

pub use assemble::{NOBODY_RUNS, OutputFacts, StreamFacts, output, stream};
pub use board::{Board, PullEnd};
pub use health::{Health, Notice, Pulled};
pub use note::{Notes, OutputNote, StreamNote, of_output, of_stream};
pub use word::{OutputWord, Word};

use crate::record::StreamKey;
use serde::{Deserialize, Serialize};

/// Everything that is told: the JSON of `state show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// One row for each stream: those of the configuration in its order, then what else the store knows.
    pub streams: Vec<StreamStatus>,
    /// One row for each output, in the same order.
    pub outputs: Vec<OutputStatus>,
    /// One row for each budget.
    pub quota: Vec<QuotaStatus>,
    /// What waits on disk.
    pub outbox: OutboxStatus,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Name of the input; of one that is no longer configured its `id`.
    pub tenant: String,
    /// Canonical service name.
    pub service: String,
    /// Name of the hunting query.
    pub query: Option<String>,
    /// Which API it is read from.
    pub backend: &'static str,
    /// One word for how it stands.
    pub state: Word,
    /// Everything before it has been read; of a snapshot its start. RFC 3339, UTC.
    pub checkpoint: Option<String>,
    /// How long ago that was. Unit: seconds.
    pub lag_s: Option<u64>,
    /// What the last whole pull came to.
    pub last_pull: Option<LastPull>,
    /// The newest snapshot, of streams that read snapshots.
    pub snapshot: Option<SnapshotStatus>,
    /// What could not be read and is tried again.
    pub set_aside: Vec<SetAside>,
    /// Age of the oldest related count in use. Unit: seconds.
    pub counts_age_s: Option<u64>,
    /// How each related count that is asked for is had.
    pub counts: Vec<CountStatus>,
    /// What ended the last pull early, or holds it up now.
    pub error: Option<String>,
    /// One sentence: what to do.
    pub advice: String,
    /// What is odd about its pulls, the most urgent first.
    #[serde(skip)]
    pub notices: Vec<Notice>,
    /// When the next pull begins. Unit: milliseconds since 1970, UTC. `None`: one is under way, or nobody knows.
    #[serde(skip)]
    pub next_ms: Option<i64>,
    /// The stream itself: `tenant` is what its input is called.
    #[serde(skip)]
    pub stream: StreamKey,
}

/// A related count of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountStatus {
    /// The property that it adds.
    pub name: String,
    /// How it is had; empty where it cannot be had.
    pub method: String,
    /// Why so.
    pub reason: String,
    /// Entities for which a value is kept or wanted; none where the record itself tells it.
    pub wanted: u64,
    /// Of them those whose value is known.
    pub known: u64,
    /// Of them those whose last try gave nothing.
    pub failed: u64,
    /// Age of the oldest value in use. Unit: seconds.
    pub age_s: Option<u64>,
    /// Why its source could not be read last time.
    pub error: Option<String>,
}

/// What a pull came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LastPull {
    /// Requests answered whole.
    pub requests: u64,
    /// Rows in them.
    pub rows: u64,
    /// Events stored.
    pub events: u64,
    /// Rows whose version was stored already.
    pub repeated: u64,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotStatus {
    /// Its `@devo_pulling_id`.
    pub id: String,
    /// Whether everything in it was read; one under way is not complete yet.
    pub complete: bool,
    /// Entities in it so far.
    pub count: u64,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// First moment inside; of an entity its time. RFC 3339, UTC.
    pub from: String,
    /// First moment behind.
    pub to: String,
    /// The entity, where only one is affected.
    pub id: Option<String>,
    /// What the server said, in one line.
    pub reason: String,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputStatus {
    /// Its name in the configuration.
    pub name: String,
    /// One word for how it stands.
    pub state: OutputWord,
    /// Where it stands in each of its streams.
    pub position: Vec<PositionStatus>,
    /// Events not confirmed yet.
    pub depth_events: u64,
    /// Octets that they occupy on disk.
    pub depth_bytes: u64,
    /// Age of the oldest of them. Unit: seconds.
    pub oldest_s: Option<u64>,
    /// Events that it refused for good, kept until `state replay`.
    pub dead_letters: u64,
    /// Events handed over and not confirmed by the far side, as last noted.
    pub unconfirmed: u64,
    /// Events that it will never get.
    pub lost_events: u64,
}

/// A place in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PositionStatus {
    /// The stream, as the log names it.
    pub stream: String,
    /// The batch whose last frame confirmed this is.
    pub batch: u64,
    /// That frame; `null`: the whole of the batch.
    pub frame: Option<u32>,
}

/// A budget of calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotaStatus {
    /// Name of the input.
    pub tenant: String,
    /// Family of API calls that share it.
    pub family: String,
    /// The last minute.
    pub minute: WindowStatus,
    /// The last hour.
    pub hour: WindowStatus,
}

/// Calls in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WindowStatus {
    /// Calls made.
    pub used: u64,
    /// Calls that we allow ourselves.
    pub limit: u64,
    /// How long until there is room for another call. Unit: seconds, rounded up; 0: there is.
    #[serde(skip)]
    pub free_s: u64,
}

/// What waits on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OutboxStatus {
    /// Octets that configured outputs still need.
    pub bytes: u64,
    /// At so many pulling pauses.
    pub max_bytes: u64,
}

/// RFC 3339 to the millisecond, UTC; the number itself for a moment that no calendar has.
#[must_use]
pub fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |moment| format!("{moment:.3}"))
}
