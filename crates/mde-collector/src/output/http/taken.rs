//! What a receiver has already taken of frames that are not confirmed yet.
//!
//! It is kept over a reset, because an answer is an answer whatever became of later requests, and over a write that was
//! cancelled. Frames are known by a digest of all that they are.

use crate::output::Refused;
use crate::record::StoredFrame;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use tokio::time::Instant;

/// Frames that are remembered over a reset; there are as many as are written between two confirmations.
const MOST: usize = 4_096;

/// Names a frame: a digest of its batch, its place and its events, and its number among equal ones that are under way
/// (frames of two streams are equal where their events carry no id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FrameId {
    /// SHA-256.
    digest: [u8; 32],
    /// 0 for nearly all.
    number: usize,
}

impl FrameId {
    /// That of a frame that is handed while those are under way.
    pub(super) fn of<'f>(frame: &StoredFrame, under_way: impl Iterator<Item = &'f Self>) -> Self {
        let StoredFrame { position, head, events, body } = frame;
        let mut digest = Sha256::new();
        for text in [&head.input, &head.service, &head.tag] {
            digest.update(text.as_bytes());
            digest.update([0]);
        }
        digest.update(head.pulled_ms.to_be_bytes());
        digest.update(position.batch.to_be_bytes());
        digest.update(position.frame.to_be_bytes());
        digest.update(events.to_be_bytes());
        digest.update(body);
        let digest = digest.finalize().into();
        Self { digest, number: under_way.filter(|other| other.digest == digest).count() }
    }
}

/// What was taken, frame by frame.
#[derive(Debug, Default)]
pub(super) struct Taken(HashMap<FrameId, Part>);

/// What was taken of one frame.
#[derive(Debug, Default)]
struct Part {
    /// Events, from the first on.
    done: usize,
    /// Nothing of it is left to send.
    complete: bool,
    /// Numbers of requests that the receiver has not said to be stored, with the time of their answer.
    waiting: Vec<(u64, Instant)>,
    /// Events that will never be taken.
    refused: Vec<Refused>,
}

impl Taken {
    /// How many events of a frame were taken, from the first on.
    pub(super) fn done(&self, id: FrameId) -> usize {
        self.0.get(&id).map_or(0, |part| part.done)
    }

    /// Notes an answer: events up to `end`, perhaps under a number, and what was refused of them.
    pub(super) fn progress(&mut self, id: FrameId, end: usize, ack: Option<u64>, refused: Vec<Refused>) {
        let part = self.0.entry(id).or_default();
        part.done = end;
        part.waiting.extend(ack.map(|number| (number, Instant::now())));
        part.refused.extend(refused);
    }

    /// Notes that nothing of a frame is left to send.
    pub(super) fn complete(&mut self, id: FrameId) {
        self.0.entry(id).or_default().complete = true;
    }

    /// Whether nothing of a frame is left to send.
    pub(super) fn is_complete(&self, id: FrameId) -> bool {
        self.0.get(&id).is_some_and(|part| part.complete)
    }

    /// Whether a frame is taken for good.
    pub(super) fn is_settled(&self, id: FrameId) -> bool {
        self.0.get(&id).is_some_and(|part| part.complete && part.waiting.is_empty())
    }

    /// What of a frame will never be taken.
    pub(super) fn refused(&self, id: FrameId) -> Vec<Refused> {
        self.0.get(&id).map(|part| part.refused.clone()).unwrap_or_default()
    }

    /// Forgets a frame that is confirmed.
    pub(super) fn remove(&mut self, id: FrameId) {
        self.0.remove(&id);
    }

    /// Numbers of which the receiver has not said that they are stored, the oldest first.
    pub(super) fn waiting(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.numbers().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Since when the oldest of them waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.numbers().map(|(_, since)| since).min()
    }

    /// Each number that waits.
    fn numbers(&self) -> impl Iterator<Item = (u64, Instant)> {
        self.0.values().flat_map(|part| part.waiting.iter().copied())
    }

    /// Notes what the receiver says to be stored.
    pub(super) fn acknowledge(&mut self, stored: &[u64]) {
        for part in self.0.values_mut() {
            part.waiting.retain(|(number, _)| !stored.contains(number));
        }
    }

    /// Forgets frames with a number that waits: they are sent again.
    pub(super) fn forget_waiting(&mut self) {
        self.0.retain(|_, part| part.waiting.is_empty());
    }

    /// Keeps the memory in bounds: what is handed again after a reset is little, and all else would stay for ever.
    pub(super) fn bound(&mut self) {
        if self.0.len() > MOST {
            self.0.clear();
        }
    }
}
