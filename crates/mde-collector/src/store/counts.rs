//! `related_*` counts: what is wanted, what is known, and how each is had.

use super::StoreError;
use crate::record::{EntityKey, StreamKey};
use async_trait::async_trait;

/// A count of one entity, wanted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Names the entity, or the version where a stream has no entities.
    pub key: EntityKey,
    /// Its id as the API gives it.
    pub id: String,
    /// The count.
    pub name: String,
}

/// What the store knows of one count of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The newest value; `None`: it is not known.
    pub value: Option<u64>,
    /// Whether it was ever asked for, in vain or not.
    pub tried: bool,
    /// Whether it is wanted; else only a reading of a whole source has shown it.
    pub wanted: bool,
}

/// What became of asking for one count of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Names the entity.
    pub key: EntityKey,
    /// The count.
    pub name: String,
    /// Its value, or why there is none; then the value before stays. Words for an operator; nothing of the record.
    pub value: Result<u64, String>,
}

/// How one count of a stream is had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountKind {
    /// The count.
    pub name: String,
    /// How it is had; empty before that was chosen.
    pub method: String,
    /// Why so.
    pub reason: String,
    /// When the newest whole reading began. Unit: milliseconds since 1970, UTC.
    pub passed_ms: Option<i64>,
    /// Why that reading failed last time.
    pub trouble: Option<String>,
}

/// How one count of a stream stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountState {
    /// How it is had.
    pub kind: CountKind,
    /// Entities for which it is wanted.
    pub wanted: u64,
    /// Of them those whose value is known.
    pub known: u64,
    /// When the oldest value of these was had. Unit: milliseconds since 1970, UTC.
    pub oldest_ms: Option<i64>,
    /// Entities whose last try gave nothing.
    pub failed: u64,
}

/// `related_*` counts: for each stream, count and entity the newest value. An epoch's end changes nothing here.
///
/// None of it is guarded by a lease: values are facts about the far side, whoever brings them.
#[async_trait]
pub trait Counts: Send + Sync {
    /// What is known, for each key the counts in the order of `names`; `None` where nobody has wanted or told it.
    async fn counts(
        &self,
        stream: &StreamKey,
        names: &[&str],
        keys: &[EntityKey],
    ) -> Result<Vec<Vec<Option<Known>>>, StoreError>;

    /// Counts of entities are wanted; those that are known already stay as they are.
    async fn want(
        &self,
        stream: &StreamKey,
        names: &[&str],
        entities: &[(EntityKey, String)],
    ) -> Result<(), StoreError>;

    /// At most `limit` that are wanted and were not tried since then, those tried longest ago first, never tried ones before
    /// all. Unit of `since_ms`: milliseconds since 1970, UTC; 0 names only those never tried.
    async fn stale(
        &self,
        stream: &StreamKey,
        names: &[&str],
        since_ms: i64,
        limit: u32,
    ) -> Result<Vec<Wanted>, StoreError>;

    /// Keeps what was told, in one transaction. What is not wanted (any more) is passed over, like what is older than what is
    /// there. Unit of `taken_ms`: milliseconds since 1970, UTC.
    async fn tell(&self, stream: &StreamKey, taken_ms: i64, told: &[Told]) -> Result<(), StoreError>;

    /// As [`tell`](Self::tell) for values of a whole reading, in which entities may stand that nobody has wanted yet.
    async fn tell_read(
        &self,
        stream: &StreamKey,
        name: &str,
        taken_ms: i64,
        values: &[(EntityKey, u64)],
    ) -> Result<(), StoreError>;

    /// A whole reading has been told, that began at `taken_ms`. `zero`: of what was wanted before that and not told, the count
    /// is 0.
    async fn read_ended(&self, stream: &StreamKey, name: &str, taken_ms: i64, zero: bool) -> Result<(), StoreError>;

    /// Notes how a count is had, and why.
    async fn choose(&self, stream: &StreamKey, name: &str, method: &str, reason: &str) -> Result<(), StoreError>;

    /// Notes why a count could not be had as a whole; `None`: it could.
    async fn trouble(&self, stream: &StreamKey, name: &str, trouble: Option<&str>) -> Result<(), StoreError>;

    /// How each count of a stream is had, in the order in which they were met.
    async fn count_kinds(&self, stream: &StreamKey) -> Result<Vec<CountKind>, StoreError>;

    /// The same, and how it stands. A slow call: it reads all counts of the stream.
    async fn count_states(&self, stream: &StreamKey) -> Result<Vec<CountState>, StoreError>;

    /// Forgets counts of entities that the stream does not remember. Returns how many.
    async fn prune_counts(&self, stream: &StreamKey) -> Result<u64, StoreError>;

    /// Forgets those wanted before that, for streams that remember no entities. Returns how many. Unit: milliseconds since
    /// 1970, UTC.
    async fn forget_counts(&self, stream: &StreamKey, before_ms: i64) -> Result<u64, StoreError>;
}
