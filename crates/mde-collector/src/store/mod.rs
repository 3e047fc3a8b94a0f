//! The store: outbox, version keys and checkpoints in one place, so that one transaction can cover them all.
//!
//! It keeps bytes, names and positions; it knows no vendor, no wire format and no configuration.
//!
//! What every store promises (and `conformance` proves):
//!
//! 1. **Nothing is seen before it is whole.** Frames are appended under a batch that no reader sees. One transaction
//!    makes the batch visible, stores its version keys and moves the checkpoint, or does none of it.
//! 2. **A stale holder changes nothing.** Every commit names a lease; a commit whose fence is not the newest is refused.
//! 3. **A version is stored once per epoch.** A batch that brings a key its stream already has is refused.
//! 4. **Numbers have no gaps that fill up later.** A batch gets its number in the transaction that shows it, so a reader
//!    that has passed number n never misses a batch below n. Numbers go on across epochs.
//! 5. **A checkpoint moves forward only**, within its epoch, unless the commit says that the clocks demand otherwise.
//! 6. **An entity is remembered once per epoch**, by the newest snapshot that showed it; that number only grows.
//! 7. **A count is what somebody has told**: one that nobody has told is unknown, and never 0.
//! 8. **What a dead writer left invisible** is removed when the store is opened, and never delivered.

mod counts;
mod error;
mod history;
pub mod portable;
pub mod sqlite;

pub use counts::{CountKind, CountState, Counts, Known, Told, Wanted};
pub use error::StoreError;
pub use history::{HISTORY_KEPT, History, MAX_PASSAGES, Passage, Passing, Place, Trace, Traced};

use crate::record::{BatchHead, EntityKey, Frame, Position, StoredFrame, StoredKey, StreamKey, VersionKey};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Wall time as a store is given it; simulated time comes in here. Unit: milliseconds since 1970, UTC.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The right to work on one thing (a stream, an output) until it is lost, released or outlived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased, for example `stream acme/alerts` or `output devo_1`.
    pub name: String,
    /// Who holds it: the node's own name, drawn anew at each start.
    pub owner: String,
    /// Grows by one each time the lease changes hands; the larger one is right.
    pub fence: u64,
}

/// An invisible batch that its writer is filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchId(pub i64);

/// A stream as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Grows when the stream is started again.
    pub epoch: u64,
    /// Everything before it has been read. Unit: milliseconds since 1970, UTC. `None` before the first commit.
    pub checkpoint_ms: Option<i64>,
    /// What the pull machine wants to find again, in its own words; empty at first.
    pub memory: String,
    /// Number of the newest visible batch, 0 when there is none.
    pub last_batch: u64,
}

/// What a commit does to a stream besides showing its batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// New checkpoint. `None` leaves it where it is.
    pub checkpoint_ms: Option<i64>,
    /// The one exception to "forward": the clocks say that the checkpoint was ahead of time.
    pub backwards: bool,
    /// The pull machine's new memory. `None` leaves the old one.
    pub memory: Option<String>,
    /// The horizon: keys whose time is before it are forgotten, those of this very commit included. `None` leaves it where
    /// it is; one that lies before the last one brings no key back. Unit: milliseconds since 1970, UTC.
    pub forget_before_ms: Option<i64>,
    /// Spans `[from, to)` whose keys are not forgotten although they lie before it, all of them: one that is not named any
    /// more is given up, and one that comes late brings no key back. Counts only beside `forget_before_ms`. Unit as there.
    pub keep: Vec<(i64, i64)>,
}

/// One commit: a batch becomes visible (if there is one), its keys are stored, progress is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// The epoch in which the rows were read; a commit of an older epoch is refused.
    pub epoch: u64,
    /// The batch to show, with what its writer counted. `None`: progress only.
    pub batch: Option<BatchCount>,
    /// Versions that this batch covers.
    pub keys: Vec<StoredKey>,
    /// Entities that were seen, of streams that read snapshots. What one of an older snapshot says than the one that is
    /// stored is passed over; of several with one key and one snapshot the last one counts.
    pub seen: Vec<Seen>,
    /// Entities to forget: they are gone. One that is unknown is no error; one that stands in `seen` as well was seen.
    pub gone: Vec<EntityKey>,
    /// Where records came from, for whoever asks about one of them later.
    pub history: Vec<Trace>,
    /// What else changes.
    pub progress: Progress,
}

/// The writer's own count of what it appended; a batch that holds something else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchCount {
    /// The batch.
    pub id: BatchId,
    /// Frames appended.
    pub frames: u32,
    /// Events in them.
    pub events: u64,
    /// Octets of their bodies, before compression.
    pub bytes: u64,
}

/// An entity that a snapshot has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Names the entity within its stream.
    pub key: EntityKey,
    /// Its id as the API gives it, for the event that says that it is gone.
    pub id: String,
    /// Number of the snapshot that showed it. It only grows.
    pub snapshot: u64,
    /// Hash of what is compared from one snapshot to the next.
    pub content: [u8; 16],
}

/// What is known of an entity that was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSeen {
    /// Number of the last snapshot that showed it.
    pub snapshot: u64,
    /// Hash of what is compared.
    pub content: [u8; 16],
}

/// What a running process says of one thing that it works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The thing, named as its lease is.
    pub name: String,
    /// What is said, in the writer's own form.
    pub text: String,
}

/// Where an output that the store has not met before begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartAt {
    /// Behind what is stored now.
    Now,
    /// At the oldest frame still stored.
    Oldest,
    /// Where the output of this name stands: a renaming, unless both of them stay configured.
    Output(String),
}

/// An output's place in one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The stream.
    pub stream: StreamKey,
    /// The last frame confirmed.
    pub position: Position,
}

/// What waits for one output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// Events not confirmed yet.
    pub events: u64,
    /// Octets that they occupy on disk.
    pub bytes: u64,
    /// When the oldest of them was stored. Unit: milliseconds since 1970, UTC.
    pub oldest_ms: Option<i64>,
}

/// How long an output that is no longer configured, or that takes a stream no more, keeps its backlog. Source: design,
/// "Delivery".
pub const REMOVED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// An output as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputState {
    /// Its name in the configuration.
    pub name: String,
    /// What waits for it.
    pub depth: Depth,
    /// What it committed last.
    pub memory: Option<String>,
    /// When it was last attached or advanced. Unit: milliseconds since 1970, UTC. `None`: not by a version that notes it.
    pub used_ms: Option<i64>,
    /// When it was first found missing in the configuration. Unit: milliseconds since 1970, UTC. `None` while it is there.
    pub removed_ms: Option<i64>,
    /// Events that it will never get: it has jumped over them, or its dead letters were too many.
    pub lost_events: u64,
    /// Events that it has refused for good, and that are still kept.
    pub dead_letters: u64,
}

/// What is kept for an output that is no longer configured, or for one that takes a stream no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The output.
    pub output: String,
    /// The stream that it takes no more; `None`: the output as a whole.
    pub stream: Option<StreamKey>,
    /// What waits there. Streams that it has left while it was configured do not count for it as a whole.
    pub depth: Depth,
    /// When it was first found missing in the configuration. Unit: milliseconds since 1970, UTC.
    pub removed_ms: i64,
}

/// How many events an output has jumped over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// The output.
    pub output: String,
    /// Events lost to it by this jump.
    pub events: u64,
}

/// Bound on the dead letters of one output: beyond it the oldest are let go and count as lost. Unit: octets of records.
pub const MAX_DEAD_LETTER_BYTES: u64 = 64 << 20;

/// An event that an output refuses for good. The store has the event itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stream.
    pub stream: StreamKey,
    /// The frame that it is in.
    pub position: Position,
    /// Its line in that frame, from 0.
    pub line: u32,
    /// Why, in words for an operator; nothing of the record.
    pub reason: String,
}

/// A refused event, kept.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Grows from one letter to the next.
    pub id: u64,
    /// The stream that it came from.
    pub stream: StreamKey,
    /// The frame that it was in.
    pub position: Position,
    /// Its line in that frame, from 0.
    pub line: u32,
    /// Why it was refused.
    pub reason: String,
    /// When. Unit: milliseconds since 1970, UTC.
    pub refused_ms: i64,
    /// What its batch had in common.
    pub head: BatchHead,
    /// The event, without the end of its line.
    pub record: Vec<u8>,
}

impl fmt::Debug for DeadLetter {
    /// Without the record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, stream, position, line, reason, refused_ms, head, record } = self;
        f.debug_struct("DeadLetter")
            .field("id", id)
            .field("stream", stream)
            .field("position", position)
            .field("line", line)
            .field("reason", reason)
            .field("refused_ms", refused_ms)
            .field("head", head)
            .field("octets", &record.len())
            .finish()
    }
}

/// The stream in which an output gets its dead letters again. It belongs to no tenant, no other output takes it, and
/// [`Checkpoints::streams`] does not name it: whoever ships for the output attaches it like any other.
#[must_use]
pub fn replay_stream(output: &str) -> StreamKey {
    StreamKey { tenant: String::new(), service: "dead_letters".to_owned(), query: Some(output.to_owned()) }
}

/// Frames on their way from the pull half to the ship half.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Begins a batch that nobody sees. It can only be shown under the very lease and in the epoch in which it was begun.
    async fn begin(&self, lease: &Lease, stream: &StreamKey, head: &BatchHead) -> Result<BatchId, StoreError>;

    /// Adds a frame to an invisible batch. A kill takes nothing of it; for a power failure it counts from the commit that shows
    /// it, which is durable with everything that it shows.
    async fn append(&self, batch: BatchId, frame: &Frame) -> Result<(), StoreError>;

    /// Shows the batch, stores its keys and makes progress, in one transaction. Returns the batch's number within its
    /// stream, or `None` when there was no batch.
    async fn commit(&self, lease: &Lease, stream: &StreamKey, commit: &Commit) -> Result<Option<u64>, StoreError>;

    /// Throws an invisible batch away. One that is gone already is no error.
    async fn discard(&self, batch: BatchId) -> Result<(), StoreError>;

    /// Visible frames of a stream behind a position, oldest first: at least one if there is any, then as many as fit
    /// into `max_bytes` of uncompressed bodies.
    async fn read(&self, stream: &StreamKey, after: Position, max_bytes: usize)
    -> Result<Vec<StoredFrame>, StoreError>;

    /// Makes an output known for a stream and says where it stands. `start` counts on their first meeting only, and `Now`
    /// not for a stream that was made after the output: all its events are newer. A renamed output inherits the memory too.
    async fn attach(&self, output: &str, stream: &StreamKey, start: &StartAt) -> Result<Attached, StoreError>;

    /// Positions move forward, and the output's own memory is kept with them, in one transaction. A position behind the
    /// one that is stored is passed over; one beyond the newest batch is refused, because it would skip events to come.
    async fn advance(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
    ) -> Result<(), StoreError>;

    /// The memory that the output committed last (a file's name and length, for example).
    async fn output_memory(&self, output: &str) -> Result<Option<String>, StoreError>;

    /// What waits for an output, over all streams that it takes.
    async fn depth(&self, output: &str) -> Result<Depth, StoreError>;

    /// Octets of frames on disk, visible or not.
    async fn bytes(&self) -> Result<u64, StoreError>;

    /// Removes frames that every output has passed, in small transactions. Returns the octets freed.
    ///
    /// `configured` names all outputs of the present configuration: each other one that the store knows counts as removed
    /// from then on, and holds its backlog until [`Outputs::let_go`] or [`Outputs::drop_output`]. A stream to which no
    /// output is attached is freed as a whole: attach outputs before a stream's first commit. Where `configured` is empty
    /// nothing happens. While the store knows no output at all, nothing is freed, here and elsewhere.
    async fn collect(&self, configured: &[String]) -> Result<u64, StoreError>;
}

/// Outputs as a whole: those that are configured, and those that were.
#[async_trait]
pub trait Outputs: Send + Sync {
    /// All that the store knows, in the order of their names.
    async fn outputs(&self) -> Result<Vec<OutputState>, StoreError>;

    /// The configuration gives these streams to the output no more: its place in each counts as removed until
    /// [`Outbox::attach`] takes it again, and holds its backlog until then or until [`Outputs::let_go`]. After that it
    /// holds nothing, and is remembered, so that one which is taken again goes on where it stood.
    async fn leave(&self, output: &str, streams: &[StreamKey]) -> Result<(), StoreError>;

    /// What is removed and not let go yet, that which was removed first before the others.
    async fn removed(&self) -> Result<Vec<Removed>, StoreError>;

    /// Octets on disk that configured outputs still need, and those of batches that nobody sees yet. What is kept only for
    /// what is removed is not among them: this is what `max_bytes` is about.
    async fn live_bytes(&self) -> Result<u64, StoreError>;

    /// Lets go of what is removed after [`REMOVED_KEPT`], and of what was removed first for as long as all that is removed
    /// alone holds more than `max_bytes`. What only it needed is freed. Returns it as it was: events that wait there
    /// are lost, and somebody should be told. Call it at start and now and then.
    async fn let_go(&self, max_bytes: u64) -> Result<Vec<Removed>, StoreError>;

    /// Forgets an output and frees what only it needed. Returns it as it was; `None` for one that is not known.
    async fn drop_output(&self, output: &str) -> Result<Option<OutputState>, StoreError>;

    /// Outputs that need not get everything jump: all of `optional` move over the oldest batches that none but they need,
    /// until these come to `bytes` octets or there are no more, and what is passed is freed. Frames that another
    /// configured output needs are never jumped, because that would free nothing. Returns the events lost, which are also
    /// counted in [`OutputState::lost_events`]; those of a frame that is being delivered at this moment may be among them.
    async fn jump(&self, optional: &[String], bytes: u64) -> Result<Vec<Jump>, StoreError>;
}

/// Events that outputs refuse for good.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// As [`Outbox::advance`], for positions that pass refused events: these become dead letters of the output in the same
    /// transaction. One in a frame that the output has passed before was dealt with then; one in a frame that is not passed
    /// now is a mistake of the caller, and nothing changes. Returns how many of the oldest letters had to go for the bound.
    async fn bury(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
        refused: &[Refusal],
    ) -> Result<u64, StoreError>;

    /// Letters of an output behind the one with that id, oldest first: at least one if there is any, then as many as fit
    /// into `max_bytes` of records. 0 is before all.
    async fn dead_letters(&self, output: &str, after: u64, max_bytes: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// Has all present letters of an output sent again: they become batches of its [`replay_stream`], each in the
    /// transaction that removes its letters, so that every letter is either kept or on its way, once. Returns how many.
    async fn replay(&self, output: &str) -> Result<u64, StoreError>;
}

/// Checkpoints and version keys.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// The stream's state; the stream is made on first use, in epoch 1.
    async fn stream(&self, stream: &StreamKey) -> Result<StreamState, StoreError>;

    /// All streams that the store has ever met, but for those that it made itself ([`replay_stream`]).
    async fn streams(&self) -> Result<Vec<(StreamKey, StreamState)>, StoreError>;

    /// Which of these versions the stream has already stored in its present epoch; same order as `keys`. The more keys in
    /// one call, the less each costs.
    async fn known(&self, stream: &StreamKey, keys: &[VersionKey]) -> Result<Vec<bool>, StoreError>;

    /// Starts the stream again: checkpoint and keys go, stored events stay, numbers go on. Returns the new state.
    async fn start_again(&self, lease: &Lease, stream: &StreamKey, memory: &str) -> Result<StreamState, StoreError>;
}

/// Entities of streams that read snapshots: one row each, however many snapshots there were. A new epoch forgets them.
#[async_trait]
pub trait Entities: Send + Sync {
    /// When each of these was last seen in the present epoch; same order as `keys`. The more keys in one call, the less
    /// each costs.
    async fn last_seen(&self, stream: &StreamKey, keys: &[EntityKey]) -> Result<Vec<Option<LastSeen>>, StoreError>;

    /// How many entities were not seen since that snapshot (in none with its number or a larger one), and how many there
    /// are in all.
    async fn count_absent(&self, stream: &StreamKey, since: u64) -> Result<(u64, u64), StoreError>;

    /// At most `limit` of them, in a stable order.
    async fn absent(&self, stream: &StreamKey, since: u64, limit: u32) -> Result<Vec<(EntityKey, String)>, StoreError>;
}

/// What running processes say of themselves, for those who look at the store from outside. It is no part of what a stream
/// or an output has done, and an old note says nothing about the present.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Writes notes; each replaces the one of its name.
    async fn note(&self, notes: &[Note]) -> Result<(), StoreError>;

    /// All of them, in the order of their names.
    async fn notes(&self) -> Result<Vec<Note>, StoreError>;
}

/// Leases with fencing numbers.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes or renews the lease. `None` while somebody else holds it. Its owner keeps his fence, also when he is late and
    /// nobody came in between.
    async fn acquire(&self, name: &str, owner: &str, term: Duration) -> Result<Option<Lease>, StoreError>;

    /// Gives the lease back at once.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Whether anybody holds a lease now, so that somebody is at work.
    async fn at_work(&self) -> Result<bool, StoreError>;
}

/// Everything a store can do. A room is handed only the part that it needs.
#[async_trait]
pub trait Store: Outbox + Outputs + DeadLetters + Checkpoints + Entities + Counts + History + Notes + Leases {
    /// How much may still be written to where the store lives: the file system of its folder, `u64::MAX` where that does not
    /// limit it. A reserve that the store holds back for its outputs is not among it. Unit: octets.
    async fn free_bytes(&self) -> Result<u64, StoreError>;

    /// Gives all leases back, writes everything down and closes the files; the next start knows that the end was clean.
    async fn close(&self) -> Result<(), StoreError>;
}

#[cfg(test)]
mod conformance;
