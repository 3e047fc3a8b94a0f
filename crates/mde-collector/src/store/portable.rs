//! A whole store as rows, one after the other: how it moves from one place to another, whichever store is there.
//!
//! What nobody sees yet (a batch that a writer is filling), leases but for their fences, and notes do not travel: the first
//! is read again, the others belong to a process.

use super::StoreError;
use crate::record::{BatchHead, StreamKey};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Version of this form; a reader refuses another one.
pub const VERSION: u32 = 1;

/// One row. They come in the order of the variants, so that whatever a row speaks of was there before.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Row {
    /// A stream, those met first first.
    Stream {
        /// Its name.
        stream: StreamName,
        /// Its epoch.
        epoch: u64,
        /// Everything before it has been read.
        checkpoint_ms: Option<i64>,
        /// The pull machine's memory.
        memory: String,
        /// Number given out last.
        last_batch: u64,
        /// Keys before it are forgotten.
        horizon_ms: Option<i64>,
    },
    /// A span behind the stream's horizon whose keys are kept.
    Kept {
        /// The stream.
        stream: StreamName,
        /// Its first moment.
        from_ms: i64,
        /// The first moment behind it.
        to_ms: i64,
    },
    /// A version stored in the stream's present epoch.
    Key {
        /// The stream.
        stream: StreamName,
        /// 32 hex digits.
        key: String,
        /// Its time.
        time_ms: i64,
    },
    /// An entity of the stream's present epoch, those met first first.
    Entity {
        /// The stream.
        stream: StreamName,
        /// 32 hex digits.
        key: String,
        /// Its id.
        id: String,
        /// The last snapshot that showed it.
        snapshot: u64,
        /// 32 hex digits.
        content: String,
    },
    /// A visible batch of which frames are left, followed by these.
    Batch {
        /// The stream.
        stream: StreamName,
        /// Its number there.
        number: u64,
        /// The epoch in which it was begun.
        epoch: u64,
        /// What its events have in common.
        head: Head,
        /// When it was shown.
        stored_ms: Option<i64>,
    },
    /// A frame of the batch before it.
    Frame {
        /// Its place there.
        frame: u32,
        /// Lines in it.
        events: u32,
        /// The lines.
        body: Octets,
    },
    /// An output.
    Output {
        /// Its name.
        name: String,
        /// What it committed last.
        memory: Option<String>,
        /// How many of the streams above were made before it.
        streams_before: u64,
        /// When it was last attached or advanced.
        used_ms: Option<i64>,
        /// When it was first found missing in the configuration.
        removed_ms: Option<i64>,
        /// The output whose place it took, until that one is known to be gone.
        heir_of: Option<String>,
        /// Events lost to it.
        lost_events: u64,
    },
    /// Where an output stands.
    Position {
        /// The output.
        output: String,
        /// The stream.
        stream: StreamName,
        /// The batch.
        batch: u64,
        /// The frame.
        frame: u32,
        /// When the output was first found not to take the stream any more.
        #[serde(default)]
        removed_ms: Option<i64>,
        /// Whether nothing is kept for it there any more.
        #[serde(default)]
        let_go: bool,
    },
    /// A dead letter, the oldest first.
    Letter {
        /// The output that refused it.
        output: String,
        /// The stream.
        stream: StreamName,
        /// The batch.
        batch: u64,
        /// The frame.
        frame: u32,
        /// The line.
        line: u32,
        /// Why it was refused.
        reason: String,
        /// When.
        refused_ms: i64,
        /// What its batch had in common.
        head: Head,
        /// The event.
        record: Octets,
    },
    /// Where a record came from.
    Trace {
        /// The stream.
        stream: StreamName,
        /// When it was stored.
        stored_ms: i64,
        /// The batch.
        batch: Option<u64>,
        /// The record's id.
        id: String,
        /// 32 hex digits.
        key: String,
        /// The version's time.
        time_ms: i64,
        /// Microsoft's id of the request.
        request: String,
        /// Parts of the version's name, joined by NUL.
        version: String,
        /// Events made of it.
        events: u64,
    },
    /// When an output passed what.
    Passage {
        /// The output.
        output: String,
        /// The stream.
        stream: StreamName,
        /// The batch.
        batch: u64,
        /// The frame.
        frame: u32,
        /// When.
        passed_ms: i64,
        /// 0 delivered, 1 jumped over, 2 began there.
        how: u8,
    },
    /// How a `related_*` count of a stream is had.
    CountKind {
        /// The stream.
        stream: StreamName,
        /// The count.
        name: String,
        /// How it is had.
        method: String,
        /// Why so.
        reason: String,
        /// When the newest whole reading began.
        passed_ms: Option<i64>,
        /// Why that reading failed last time.
        trouble: Option<String>,
    },
    /// That count of one entity or version.
    Count {
        /// The stream.
        stream: StreamName,
        /// The count.
        name: String,
        /// 32 hex digits.
        key: String,
        /// The entity's id; empty where only a whole reading has shown it.
        id: String,
        /// When it was first asked for.
        wanted_ms: Option<i64>,
        /// When it was asked for last; 0: never.
        tried_ms: i64,
        /// What is known.
        value: Option<u64>,
        /// Since when.
        taken_ms: Option<i64>,
        /// Why the last try gave none.
        trouble: Option<String>,
    },
    /// The newest fence of a lease, so that fences go on growing.
    Fence {
        /// The lease.
        name: String,
        /// Its newest fence.
        fence: u64,
    },
}

/// A stream's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamName {
    /// The `id` of the input; empty for a stream of the store's own making.
    pub tenant: String,
    /// Canonical service name.
    pub service: String,
    /// Name of the hunting query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

impl From<StreamKey> for StreamName {
    fn from(StreamKey { tenant, service, query }: StreamKey) -> Self {
        Self { tenant, service, query }
    }
}

impl From<StreamName> for StreamKey {
    fn from(StreamName { tenant, service, query }: StreamName) -> Self {
        Self { tenant, service, query }
    }
}

/// What the events of a batch have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Name of the input.
    pub input: String,
    /// Canonical service name.
    pub service: String,
    /// Devo tag.
    pub tag: String,
    /// Start of the pull.
    pub pulled_ms: i64,
}

impl From<BatchHead> for Head {
    fn from(BatchHead { input, service, tag, pulled_ms }: BatchHead) -> Self {
        Self { input, service, tag, pulled_ms }
    }
}

impl From<Head> for BatchHead {
    fn from(Head { input, service, tag, pulled_ms }: Head) -> Self {
        Self { input, service, tag, pulled_ms }
    }
}

/// Octets: as text where they are text, which events always are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Octets {
    /// UTF-8.
    Text(String),
    /// Anything else, two digits for each.
    Hex(String),
}

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Self {
        String::from_utf8(octets).map_or_else(|other| Self::Hex(crate::record::hex(other.as_bytes())), Self::Text)
    }
}

impl Octets {
    /// As they were; `None` for digits that are none.
    #[must_use]
    pub fn octets(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Hex(digits) => unhex(&digits),
        }
    }
}

/// Octets of an even number of hex digits.
#[must_use]
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}

/// Where rows go: a file, another store.
pub type Sink<'a> = dyn FnMut(Row) -> Result<(), StoreError> + Send + 'a;

/// Where rows come from; `None` at the end.
pub type Rows<'a> = dyn FnMut() -> Result<Option<Row>, StoreError> + Send + 'a;

/// A store that can be moved.
#[async_trait]
pub trait Portable: Send + Sync {
    /// Everything, as it is at one moment, whatever is written meanwhile. Memory: one frame.
    async fn export(&self, sink: &mut Sink<'_>) -> Result<(), StoreError>;

    /// Takes all rows in one transaction, so that a kill leaves the store empty. Returns how many. Refuses a store that has
    /// met a stream or an output.
    async fn import(&self, rows: &mut Rows<'_>) -> Result<u64, StoreError>;
}
