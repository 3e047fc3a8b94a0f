//! How to ask, as pure machines: what came goes in, what to ask, store and forget comes out.
//!
//! No async, no clock, no I/O, no vendor field names: those come with the service's table entry. One thin loop
//! (`pipeline::drive`) does a machine's I/O.

pub mod clock;
mod digest;
pub mod forecast;
pub mod horizon;
#[cfg(test)]
mod model;
pub mod open;
pub mod parts;
pub mod poison;
pub mod single;
pub mod slice;
pub mod snapshot;
pub mod walk;
pub mod window;

use crate::record::VersionKey;

/// 100 ns in a millisecond.
const TICKS: i64 = 10_000;
/// Empty pages whose links are followed in a row.
const EMPTY_PAGES: u32 = 3;
/// An answer of a multiple of so many rows may have been cut there without a link. Source: field reports.
const ROUND_ROWS: u64 = 100;

/// One way to read a source, as a pure machine.
///
/// A pull is: `begin`, then `next` and its answer (`row` for each row, then `answered`, or `failed`) until `next` wants
/// nothing more. Whatever an outcome names is committed in one transaction with the rows of its answer, so the machine
/// that a restart finds is the one that the store knows.
pub trait Machine: Send {
    /// Whether the configured start has changed since this epoch began, so that the stream must start again.
    fn must_start_again(&self) -> bool {
        false
    }

    /// Whether the checkpoint lies further ahead of time than late updates explain: a wrong clock carried it there.
    fn is_ahead(&self, _now_ms: i64) -> bool {
        false
    }

    /// When the next pull is due, where a restart must not bring it forward. Unit: milliseconds since 1970, UTC.
    fn due_ms(&self) -> Option<i64> {
        None
    }

    /// Begins a pull. What it returns is committed first. A pull that was under way is forgotten.
    fn begin(&mut self, now: Now) -> Outcome;

    /// Which pull the records belong to: `@devo_pulling_id`, and the id of a snapshot. Unit: milliseconds since 1970, UTC.
    fn pulled_ms(&self) -> i64;

    /// What to do next; `None` when the pull is complete. After an answer that failed and was not taken for more than a
    /// passing fault, the same is asked again.
    fn next(&mut self, now: Now) -> Option<Step>;

    /// Takes a row of the answer under way, and says by which moment its key is forgotten, as an outcome's
    /// `forget_before_ms`. `None`: it is not to be stored. Unit: milliseconds since 1970, UTC.
    ///
    /// # Errors
    /// A row that the question excludes: nothing of the answer is to be stored.
    fn row(&mut self, row: Row<'_>) -> Result<Option<i64>, PullError>;

    /// The snapshot under way, for the store; `None` where the way is no snapshot.
    fn snapshot(&self) -> Option<Numbered> {
        None
    }

    /// The newest snapshot that has begun; `None` where there is none yet, or the way is no snapshot.
    fn newest(&self) -> Option<Newest> {
        None
    }

    /// What the store knew about rows of the answer under way. Only snapshots want to know.
    fn sighted(&mut self, _sightings: &Sightings) {}

    /// The answer was read to its end. What this returns is committed together with the answer's rows.
    ///
    /// # Errors
    /// A source that will not hold still.
    fn answered(&mut self, answer: Answer) -> Result<Outcome, PullError>;

    /// The answer failed for more than a passing fault; nothing of it is stored. `None`: there is no way around it, and
    /// the pull ends here, to be begun anew later.
    fn failed(&mut self, failure: &Failure, now: Now) -> Option<Outcome>;

    /// Where everything before has been read. Unit: milliseconds since 1970, UTC.
    fn checkpoint_ms(&self) -> Option<i64>;

    /// What is not read whole: set aside, or a snapshot that is not complete.
    fn gaps(&self) -> Vec<Gap> {
        Vec::new()
    }
}

/// The time, and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The median of the clocks. Unit: milliseconds since 1970, UTC.
    pub ms: i64,
    /// Whether the API's clock has been asked too.
    pub sure: bool,
}

/// What a machine wants to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask the list.
    List(Ask),
    /// Ask for one entity of the list by its id, whole; its answer is one row.
    One(String),
    /// Ask the hunting query for a slice.
    Slice(Slice),
    /// Count the entities that the store has not seen since this snapshot: `Answer::Absent`.
    CountAbsent {
        /// Number of the snapshot; one that was seen in it is present.
        since: u64,
    },
    /// Forget them, some at a time, until none is left: `Answer::Removed`.
    RemoveAbsent {
        /// As above.
        since: u64,
        /// Whether each leaves a last event that says so.
        tombstones: bool,
    },
}

/// A request for rows of a list, in the words of the service's table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// `$top`.
    pub top: Option<u64>,
    /// `$skip`.
    pub skip: Option<u64>,
    /// Whether the list's `$expand` goes along.
    pub whole: bool,
    /// Follow the link of the answer before, instead of building a query.
    pub follow: bool,
    /// The newest window of all: its call comes before every other.
    pub newest: bool,
    /// The answer is to say how many rows there are on the server.
    pub counted: bool,
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
    /// The entity is none of these.
    NotOneOf(Vec<String>),
}

/// A part of a hunting query's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Rows of `[from_ms, to_ms)` by the query's time column; `None`: all rows. Unit: milliseconds since 1970, UTC.
    pub span: Option<(i64, i64)>,
    /// Of these the rows whose hash modulo `.1` is `.0`; `None`: all of them.
    pub part: Option<(u64, u64)>,
}

/// A row as a machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Names its version; in a snapshot the entity.
    pub key: VersionKey,
    /// The entity's id; empty where a row has none.
    pub id: &'a str,
    /// Its time. Unit: 100 ns since 1970, UTC. `None`: absent, null or no time.
    pub time: Option<i64>,
    /// Whether it may change without saying when: an entity that has not ended.
    pub open: bool,
}

/// A snapshot as the store tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Its number; it only grows.
    pub number: u64,
    /// Number of the newest complete one before it: an entity last seen in that one or later is a known one.
    pub known_since: Option<u64>,
}

/// The newest snapshot of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// Its number.
    pub number: u64,
    /// Its id. Unit: milliseconds since 1970, UTC.
    pub pulled_ms: i64,
    /// Whether all of it was read.
    pub complete: bool,
    /// Whether so much would be gone in it that nothing was said to be.
    pub drift: bool,
}

/// What the store knew about some rows of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sightings {
    /// Seen before in this very snapshot.
    pub repeated: u64,
    /// Not seen yet in this snapshot, but in the last complete one or later.
    pub known: u64,
    /// Neither.
    pub new: u64,
}

/// How a step ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// All rows of a list's answer were read; what it says about more.
    Rows(More),
    /// So many entities were not seen since the snapshot asked about.
    Absent {
        /// These.
        absent: u64,
        /// All that the store knows.
        known: u64,
    },
    /// None of them is left.
    Removed,
}

/// What an answer that was read to its end says about more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// There is no link.
    Nothing,
    /// A link that can be followed.
    Link,
    /// A link that is never followed: to a host that is not the vendor's, or one that leads in a circle.
    Elsewhere,
}

/// How an answer failed for more than a passing fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server's own fault, several times in a row: its status, and what it is said to be in one line.
    Server(String),
    /// The result is larger than the API gives at once.
    TooLarge,
    /// There is no such entity or list.
    NotFound,
}

/// What is to be committed with the rows of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// New checkpoint, if it moves.
    pub checkpoint_ms: Option<i64>,
    /// It moves back, because the clocks say that it was ahead of time.
    pub backwards: bool,
    /// The machine's memory in its own words, if it has changed.
    pub memory: Option<String>,
    /// Keys before this are forgotten. Unit: milliseconds since 1970, UTC.
    pub forget_before_ms: Option<i64>,
    /// But for those in these spans `[from, to)`, which are set aside. Counts only beside it; same unit.
    pub keep: Vec<(i64, i64)>,
    /// A snapshot has ended: its last event, where one is asked for, and a line in the log.
    pub ended: Option<SnapshotEnd>,
    /// What was set aside just now.
    pub set_aside: Vec<Gap>,
}

/// How a snapshot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// Its number.
    pub number: u64,
    /// Which one; not always the one under way. Unit: milliseconds since 1970, UTC.
    pub pulled_ms: i64,
    /// Entities in it that the machine knows of. The store may know more: a page that was stored in part before a kill.
    pub count: u64,
    /// Whether all of them are.
    pub complete: bool,
    /// More would vanish at once than is believable, so that nothing was said to be gone.
    pub drift: bool,
}

/// Something that could not be read and is tried again until it can.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gap {
    /// First moment inside; for an entity its time. Unit: milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// First moment behind.
    pub to_ms: i64,
    /// The entity's id, where only that one is affected.
    pub id: Option<String>,
    /// What the server said, in one line.
    pub reason: String,
    /// When it was set aside. Unit: milliseconds since 1970, UTC.
    pub since_ms: i64,
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
    /// The same page again where the next one was asked for.
    #[error("read a list: the page behind row {passed} came twice")]
    Repeated {
        /// Rows passed before it.
        passed: u64,
    },
    /// A window that nothing could read, when no more may be set aside.
    #[error("read the window [{from_ms}, {to_ms}): {reason}")]
    Unreadable {
        /// First moment inside. Unit: milliseconds since 1970, UTC.
        from_ms: i64,
        /// First moment behind.
        to_ms: i64,
        /// Why.
        reason: &'static str,
    },
}
