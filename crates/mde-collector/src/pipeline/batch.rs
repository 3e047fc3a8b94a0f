//! Gathers events to frames under a batch that nobody sees, until one commit shows it.

use crate::record::{BatchHead, EntityKey, Frame, Mistake, StoredKey, StreamKey};
use crate::store::{BatchCount, Commit, Lease, Progress, Seen, Store, StoreError, Trace};
use std::collections::HashSet;
use std::mem::take;

/// A frame is appended once it holds this much. Unit: octets.
const FRAME_BYTES: usize = 512 * 1024;
/// A batch ends at this size, wherever its answer is. Unit: octets.
const BATCH_BYTES: u64 = 64 * 1024 * 1024;

/// The batch that a stream is filling.
pub struct BatchWriter<'a> {
    store: &'a dyn Store,
    lease: &'a Lease,
    stream: &'a StreamKey,
    epoch: u64,
    head: BatchHead,
    open: Option<BatchCount>,
    frame: Frame,
    keys: Vec<StoredKey>,
    seen: Vec<Seen>,
    gone: Vec<EntityKey>,
    history: Vec<Trace>,
    /// Events shown since the last commit.
    shown: u64,
    /// Versions or entities since the last commit.
    pending: HashSet<[u8; 16]>,
}

impl<'a> BatchWriter<'a> {
    /// Nothing is opened before the first event.
    pub fn new(store: &'a dyn Store, lease: &'a Lease, stream: &'a StreamKey, epoch: u64, head: BatchHead) -> Self {
        let (frame, pending) = (Frame::default(), HashSet::new());
        let (keys, seen, gone, history) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { store, lease, stream, epoch, head, open: None, frame, keys, seen, gone, history, shown: 0, pending }
    }

    /// Takes a version; `false` when this batch already has it.
    pub fn version(&mut self, key: StoredKey) -> bool {
        let new = self.pending.insert(key.key.0);
        if new {
            self.keys.push(key);
        }
        new
    }

    /// Takes an entity of a snapshot; `false` when this batch already has it.
    pub fn entity(&mut self, seen: Seen) -> bool {
        let new = self.pending.insert(seen.key.0);
        if new {
            self.seen.push(seen);
        }
        new
    }

    /// Takes what is to be known of an entity of a stream that reads no snapshots; of several the newest counts.
    pub fn remember(&mut self, seen: Seen) {
        self.seen.push(seen);
    }

    /// Entities that the next commit stores.
    pub const fn entity_count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Takes what is to be known of a record later.
    pub fn trace(&mut self, trace: Trace) {
        self.history.push(trace);
    }

    /// Takes an entity that is gone.
    pub fn gone(&mut self, key: EntityKey) {
        self.gone.push(key);
    }

    /// Adds one event, a compact line that ends with LF.
    pub async fn line(&mut self, line: &[u8]) -> Result<(), StoreError> {
        self.frame.body.extend_from_slice(line);
        self.frame.events += 1;
        if self.frame.body.len() >= FRAME_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.frame.events == 0 {
            return Ok(());
        }
        let mut count = match self.open {
            Some(count) => count,
            None => {
                let id = self.store.begin(self.lease, self.stream, &self.head).await?;
                BatchCount { id, frames: 0, events: 0, bytes: 0 }
            }
        };
        self.open = Some(count);
        self.store.append(count.id, &self.frame).await?;
        count.frames += 1;
        count.events += u64::from(self.frame.events);
        count.bytes += self.frame.body.len() as u64;
        self.open = Some(count);
        if Mistake::VisibleEarly.is_made() {
            let early = Commit { epoch: self.epoch, batch: self.open.take(), ..Commit::default() };
            self.store.commit(self.lease, self.stream, &early).await?;
        }
        self.frame.events = 0;
        self.frame.body.clear();
        Ok(())
    }

    /// Ends a batch that has grown too large for one; progress waits for the answer's end.
    pub async fn split(&mut self) -> Result<(), StoreError> {
        if self.open.is_some_and(|count| count.bytes >= BATCH_BYTES) {
            self.show(Progress::default()).await?;
        }
        Ok(())
    }

    /// Shows what was gathered and makes progress, in one transaction. Returns the events stored since the last commit.
    pub async fn commit(&mut self, progress: Progress) -> Result<u64, StoreError> {
        self.show(progress).await?;
        // Not before: an answer that was split may bring again what its first part has brought.
        self.pending.clear();
        Ok(take(&mut self.shown))
    }

    async fn show(&mut self, progress: Progress) -> Result<(), StoreError> {
        if Mistake::CheckpointFirst.is_made() {
            let first = Commit { epoch: self.epoch, progress: progress.clone(), ..Commit::default() };
            self.store.commit(self.lease, self.stream, &first).await?;
        }
        self.flush().await?;
        let (keys, seen, gone) = (take(&mut self.keys), take(&mut self.seen), take(&mut self.gone));
        let history = take(&mut self.history);
        let commit = Commit { epoch: self.epoch, batch: self.open, keys, seen, gone, history, progress };
        if commit == (Commit { epoch: self.epoch, ..Commit::default() }) {
            return Ok(());
        }
        self.store.commit(self.lease, self.stream, &commit).await?;
        self.shown += self.open.take().map_or(0, |count| count.events);
        Ok(())
    }

    /// Throws away what was gathered since the last commit.
    pub async fn discard(&mut self) -> Result<(), StoreError> {
        self.frame = Frame::default();
        self.keys.clear();
        self.seen.clear();
        self.gone.clear();
        self.history.clear();
        self.pending.clear();
        match self.open.take() {
            Some(count) => self.store.discard(count.id).await,
            None => Ok(()),
        }
    }
}
