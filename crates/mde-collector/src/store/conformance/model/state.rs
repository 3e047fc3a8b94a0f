//! What a store should hold, in plain maps.

use super::super::{BatchId, Frame, Lease, Position, StoreError, StreamKey};
use super::{OUTPUTS, STREAMS};
use crate::store::{HISTORY_KEPT, LastSeen, Traced, replay_stream};
use std::collections::{BTreeMap, BTreeSet};

/// A stream.
#[derive(Default)]
pub(super) struct ModelStream {
    pub(super) epoch: u64,
    pub(super) checkpoint_ms: Option<i64>,
    pub(super) memory: String,
    pub(super) last_batch: u64,
    pub(super) horizon_ms: i64,
    pub(super) keep: Vec<(i64, i64)>,
    pub(super) keys: BTreeMap<u64, i64>,
    pub(super) entities: BTreeMap<u64, LastSeen>,
    /// Visible frames that nobody has removed: events, octets on disk, time of storing.
    pub(super) frames: BTreeMap<(u64, u32), (Frame, u64, i64)>,
}

/// A batch that its writer is still filling.
#[derive(Clone)]
pub(super) struct ModelBatch {
    pub(super) id: BatchId,
    pub(super) stream: usize,
    pub(super) epoch: u64,
    pub(super) lease: Lease,
    /// With the octets that each occupies on disk.
    pub(super) frames: Vec<(Frame, u64)>,
}

/// The newest lease of a name.
pub(super) struct ModelLease {
    pub(super) owner: Option<String>,
    pub(super) fence: u64,
    pub(super) until_ms: i64,
}

/// An output.
#[derive(Default)]
pub(super) struct ModelOutput {
    pub(super) memory: Option<String>,
    /// Streams that were met before the output.
    pub(super) older: BTreeSet<usize>,
    pub(super) positions: BTreeMap<usize, Position>,
    /// Streams that it takes no more: since when, and whether it still holds their frames.
    pub(super) left: BTreeMap<usize, (i64, bool)>,
    pub(super) used_ms: i64,
    pub(super) removed_ms: Option<i64>,
    /// Whose place it took since configured outputs were last named.
    pub(super) heir_of: Option<&'static str>,
    pub(super) lost_events: u64,
    /// In the order in which they were refused.
    pub(super) letters: BTreeMap<u64, ModelLetter>,
}

/// A dead letter: stream, frame, line, record.
pub(super) type ModelLetter = (usize, Position, u32, String);

/// All that a store keeps.
#[derive(Default)]
pub(super) struct Model {
    pub(super) streams: BTreeMap<usize, ModelStream>,
    /// Streams in the order in which they were met.
    pub(super) met: Vec<usize>,
    pub(super) open: Vec<ModelBatch>,
    /// Batches that are not open any more.
    pub(super) past: Vec<BatchId>,
    pub(super) leases: BTreeMap<String, ModelLease>,
    /// All that were ever given out, the newest first.
    pub(super) given: Vec<Lease>,
    pub(super) outputs: BTreeMap<&'static str, ModelOutput>,
    /// In the order in which they were stored.
    pub(super) traces: Vec<Traced>,
    /// Makes every frame and memory different from all others.
    pub(super) serial: u64,
}

/// Why a call must be refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reason {
    LeaseLost,
    EpochOver,
    Broken,
}

/// The reason that an error gives.
pub(super) fn reason(error: &StoreError) -> Reason {
    match error {
        StoreError::LeaseLost { .. } => Reason::LeaseLost,
        StoreError::EpochOver { .. } => Reason::EpochOver,
        StoreError::Broken { .. } => Reason::Broken,
        other => panic!("no call of the model's may end in: {other:?}"),
    }
}

/// The stream of that number, as the store knows it: behind the pulled ones those of dead letters, one for each output.
pub(super) fn name(stream: usize) -> StreamKey {
    match stream.checked_sub(STREAMS) {
        None => super::super::stream(["alerts", "machines"][stream]),
        Some(output) => replay_stream(OUTPUTS[output]),
    }
}

impl Model {
    /// The stream, in epoch 1 if it is new.
    pub(super) fn meet(&mut self, stream: usize) -> &mut ModelStream {
        if !self.met.contains(&stream) {
            self.met.push(stream);
        }
        let fresh = || ModelStream { epoch: 1, horizon_ms: i64::MIN, ..ModelStream::default() };
        self.streams.entry(stream).or_insert_with(fresh)
    }

    /// Whether the lease is the newest of its name and has not been given back.
    pub(super) fn holds(&self, lease: &Lease) -> bool {
        self.leases
            .get(&lease.name)
            .is_some_and(|held| held.owner.as_deref() == Some(&*lease.owner) && held.fence == lease.fence)
    }

    /// The few traces that there are go at once when the time of the oldest one is over; clocks here never go back.
    pub(super) fn prune(&mut self, now_ms: i64) {
        let kept_ms = i64::try_from(HISTORY_KEPT.as_millis()).expect("it fits");
        self.traces.retain(|traced| traced.stored_ms >= now_ms - kept_ms);
    }

    /// A number that was never used before.
    pub(super) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The process is gone: so are its leases and what it was writing.
    pub(super) fn died(&mut self) {
        for lease in self.leases.values_mut() {
            lease.owner = None;
        }
        self.past.extend(self.open.drain(..).map(|batch| batch.id));
    }
}
