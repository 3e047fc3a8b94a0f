//! A store that can be slow, full, frozen or cut off at any call: everything it does is done by the real one behind it.

use crate::record::{BatchHead, EntityKey, Frame, Position, StoredFrame, StreamKey, VersionKey};
use crate::store::sqlite::SqliteStore;
use crate::store::{
    Attached, BatchId, Checkpoints, Commit, CountKind, CountState, Counts, DeadLetter, DeadLetters, Depth, Entities,
    History, Jump, Known, LastSeen, Lease, Leases, Note, Notes, Outbox, OutputState, Outputs, Passage, Place, Refusal,
    Removed, Seen, StartAt, Store, StoreError, StreamState, Told, Traced, Wanted,
};
use async_trait::async_trait;
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// What all stores of a history meet, one after the other.
#[derive(Default)]
pub struct Weather {
    /// Whether the disk takes no more.
    pub full: AtomicBool,
    /// How long each call takes. Unit: milliseconds.
    pub slow_ms: AtomicU64,
    /// Whether nobody is cut off any more.
    pub calm: AtomicBool,
    /// Grows before and behind each call that may change what a later one reads of frames.
    changes: AtomicU64,
}

/// Where a process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere.
    Never,
    /// Before its so many-th call that writes.
    Before(u64),
    /// Behind it.
    Behind(u64),
}

/// An answer of whatever kind, and the changes that it belongs to.
type Answered = (u64, Box<dyn Any + Send>);

/// A process's door to its store.
pub struct Medium {
    inner: Arc<SqliteStore>,
    weather: Arc<Weather>,
    cut: Cut,
    /// Calls that write, so far.
    writes: AtomicU64,
    /// Whether every call waits.
    still: AtomicBool,
    /// Told when it has come to the cut, and when it may go on.
    news: Notify,
    /// Whether its end closes the store.
    closes: bool,
    /// Answers about frames, with the changes they belong to: who is idle asks the same each second, and most of the time of a
    /// history would go by in waking the database's threads for it.
    known: Mutex<HashMap<String, Answered>>,
}

impl Medium {
    /// A door to that store.
    pub fn new(inner: Arc<SqliteStore>, weather: Arc<Weather>, cut: Cut, closes: bool) -> Self {
        let (writes, still, news) = (AtomicU64::new(0), AtomicBool::new(false), Notify::new());
        Self { inner, weather, cut, writes, still, news, closes, known: Mutex::default() }
    }

    /// Waits until the process has come to its cut: every call of it stands still from then on.
    pub async fn reached(&self) {
        while !self.still.load(Ordering::SeqCst) {
            self.news.notified().await;
        }
    }

    /// The process goes on as if nothing had been.
    pub fn go_on(&self) {
        self.still.store(false, Ordering::SeqCst);
        self.news.notify_waiters();
    }

    /// Stands still where it is cut off, for ever or until it may go on.
    async fn stand(&self, here: Cut) {
        if here == self.cut && here != Cut::Never && !self.weather.calm.load(Ordering::SeqCst) {
            self.still.store(true, Ordering::SeqCst);
            self.news.notify_one();
        }
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            if !self.still.load(Ordering::SeqCst) {
                return;
            }
            news.await;
        }
    }

    /// A call that writes.
    async fn write<T>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.stand(Cut::Before(number)).await;
        self.pace().await;
        if self.weather.full.load(Ordering::SeqCst) {
            return Err(StoreError::Disk("no space left on device".to_owned()));
        }
        self.weather.changes.fetch_add(1, Ordering::SeqCst);
        let done = call.await;
        self.weather.changes.fetch_add(1, Ordering::SeqCst);
        self.stand(Cut::Behind(number)).await;
        done
    }

    /// A call that writes nothing about frames.
    async fn aside<T>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.stand(Cut::Never).await;
        self.pace().await;
        if self.weather.full.load(Ordering::SeqCst) {
            return Err(StoreError::Disk("no space left on device".to_owned()));
        }
        call.await
    }

    /// A call that reads, whose answer is the same until something changes.
    async fn same<T: Clone + Send + 'static>(
        &self,
        question: String,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.stand(Cut::Never).await;
        self.pace().await;
        let changes = self.weather.changes.load(Ordering::SeqCst);
        let before = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&question)
            .and_then(|(at, answer)| answer.downcast_ref::<T>().filter(|_| *at == changes).cloned());
        if let Some(answer) = before {
            return Ok(answer);
        }
        let answer = call.await?;
        let known: Answered = (changes, Box::new(answer.clone()));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(question, known);
        Ok(answer)
    }

    /// A call that reads.
    async fn read<T>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.stand(Cut::Never).await;
        self.pace().await;
        call.await
    }

    /// A slow disk.
    async fn pace(&self) {
        let slow_ms = self.weather.slow_ms.load(Ordering::SeqCst);
        if slow_ms > 0 {
            sleep(Duration::from_millis(slow_ms)).await;
        }
    }
}

#[async_trait]
impl Outbox for Medium {
    async fn begin(&self, lease: &Lease, stream: &StreamKey, head: &BatchHead) -> Result<BatchId, StoreError> {
        self.write(self.inner.begin(lease, stream, head)).await
    }

    async fn append(&self, batch: BatchId, frame: &Frame) -> Result<(), StoreError> {
        self.write(self.inner.append(batch, frame)).await
    }

    async fn commit(&self, lease: &Lease, stream: &StreamKey, commit: &Commit) -> Result<Option<u64>, StoreError> {
        self.write(self.inner.commit(lease, stream, commit)).await
    }

    async fn discard(&self, batch: BatchId) -> Result<(), StoreError> {
        self.write(self.inner.discard(batch)).await
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Position,
        max_bytes: usize,
    ) -> Result<Vec<StoredFrame>, StoreError> {
        self.same(format!("{stream} {after:?} {max_bytes}"), self.inner.read(stream, after, max_bytes)).await
    }

    async fn attach(&self, output: &str, stream: &StreamKey, start: &StartAt) -> Result<Attached, StoreError> {
        self.write(self.inner.attach(output, stream, start)).await
    }

    async fn advance(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
    ) -> Result<(), StoreError> {
        self.write(self.inner.advance(lease, output, positions, memory)).await
    }

    async fn output_memory(&self, output: &str) -> Result<Option<String>, StoreError> {
        self.read(self.inner.output_memory(output)).await
    }

    async fn depth(&self, output: &str) -> Result<Depth, StoreError> {
        self.same(format!("depth {output}"), self.inner.depth(output)).await
    }

    async fn bytes(&self) -> Result<u64, StoreError> {
        self.read(self.inner.bytes()).await
    }

    async fn collect(&self, configured: &[String]) -> Result<u64, StoreError> {
        self.write(self.inner.collect(configured)).await
    }
}

#[async_trait]
impl Outputs for Medium {
    async fn outputs(&self) -> Result<Vec<OutputState>, StoreError> {
        self.read(self.inner.outputs()).await
    }

    async fn leave(&self, output: &str, streams: &[StreamKey]) -> Result<(), StoreError> {
        self.write(self.inner.leave(output, streams)).await
    }

    async fn removed(&self) -> Result<Vec<Removed>, StoreError> {
        self.read(self.inner.removed()).await
    }

    async fn live_bytes(&self) -> Result<u64, StoreError> {
        self.same("live".to_owned(), self.inner.live_bytes()).await
    }

    async fn let_go(&self, max_bytes: u64) -> Result<Vec<Removed>, StoreError> {
        self.write(self.inner.let_go(max_bytes)).await
    }

    async fn drop_output(&self, output: &str) -> Result<Option<OutputState>, StoreError> {
        self.write(self.inner.drop_output(output)).await
    }

    async fn jump(&self, optional: &[String], bytes: u64) -> Result<Vec<Jump>, StoreError> {
        self.write(self.inner.jump(optional, bytes)).await
    }
}

#[async_trait]
impl DeadLetters for Medium {
    async fn bury(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
        refused: &[Refusal],
    ) -> Result<u64, StoreError> {
        self.write(self.inner.bury(lease, output, positions, memory, refused)).await
    }

    async fn dead_letters(&self, output: &str, after: u64, max_bytes: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(self.inner.dead_letters(output, after, max_bytes)).await
    }

    async fn replay(&self, output: &str) -> Result<u64, StoreError> {
        self.write(self.inner.replay(output)).await
    }
}

#[async_trait]
impl Checkpoints for Medium {
    async fn stream(&self, stream: &StreamKey) -> Result<StreamState, StoreError> {
        self.read(self.inner.stream(stream)).await
    }

    async fn streams(&self) -> Result<Vec<(StreamKey, StreamState)>, StoreError> {
        self.read(self.inner.streams()).await
    }

    async fn known(&self, stream: &StreamKey, keys: &[VersionKey]) -> Result<Vec<bool>, StoreError> {
        self.read(self.inner.known(stream, keys)).await
    }

    async fn start_again(&self, lease: &Lease, stream: &StreamKey, memory: &str) -> Result<StreamState, StoreError> {
        self.write(self.inner.start_again(lease, stream, memory)).await
    }
}

#[async_trait]
impl Entities for Medium {
    async fn last_seen(&self, stream: &StreamKey, keys: &[EntityKey]) -> Result<Vec<Option<LastSeen>>, StoreError> {
        self.read(self.inner.last_seen(stream, keys)).await
    }

    async fn count_absent(&self, stream: &StreamKey, since: u64) -> Result<(u64, u64), StoreError> {
        self.read(self.inner.count_absent(stream, since)).await
    }

    async fn absent(&self, stream: &StreamKey, since: u64, limit: u32) -> Result<Vec<(EntityKey, String)>, StoreError> {
        self.read(self.inner.absent(stream, since, limit)).await
    }
}

#[async_trait]
impl Notes for Medium {
    async fn note(&self, notes: &[Note]) -> Result<(), StoreError> {
        self.aside(self.inner.note(notes)).await
    }

    async fn notes(&self) -> Result<Vec<Note>, StoreError> {
        self.read(self.inner.notes()).await
    }
}

#[async_trait]
impl Leases for Medium {
    async fn acquire(&self, name: &str, owner: &str, term: Duration) -> Result<Option<Lease>, StoreError> {
        self.aside(self.inner.acquire(name, owner, term)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.write(self.inner.release(lease)).await
    }

    async fn at_work(&self) -> Result<bool, StoreError> {
        self.read(self.inner.at_work()).await
    }
}

#[async_trait]
impl Store for Medium {
    async fn free_bytes(&self) -> Result<u64, StoreError> {
        self.read(self.inner.free_bytes()).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.closes { self.write(self.inner.close()).await } else { Ok(()) }
    }
}

#[async_trait]
impl Counts for Medium {
    async fn counts(
        &self,
        stream: &StreamKey,
        names: &[&str],
        keys: &[EntityKey],
    ) -> Result<Vec<Vec<Option<Known>>>, StoreError> {
        self.read(self.inner.counts(stream, names, keys)).await
    }

    async fn want(
        &self,
        stream: &StreamKey,
        names: &[&str],
        entities: &[(EntityKey, String)],
    ) -> Result<(), StoreError> {
        self.write(self.inner.want(stream, names, entities)).await
    }

    async fn stale(
        &self,
        stream: &StreamKey,
        names: &[&str],
        since_ms: i64,
        limit: u32,
    ) -> Result<Vec<Wanted>, StoreError> {
        self.read(self.inner.stale(stream, names, since_ms, limit)).await
    }

    async fn tell(&self, stream: &StreamKey, taken_ms: i64, told: &[Told]) -> Result<(), StoreError> {
        self.write(self.inner.tell(stream, taken_ms, told)).await
    }

    async fn tell_read(
        &self,
        stream: &StreamKey,
        name: &str,
        taken_ms: i64,
        values: &[(EntityKey, u64)],
    ) -> Result<(), StoreError> {
        self.write(self.inner.tell_read(stream, name, taken_ms, values)).await
    }

    async fn read_ended(&self, stream: &StreamKey, name: &str, taken_ms: i64, zero: bool) -> Result<(), StoreError> {
        self.write(self.inner.read_ended(stream, name, taken_ms, zero)).await
    }

    async fn choose(&self, stream: &StreamKey, name: &str, method: &str, reason: &str) -> Result<(), StoreError> {
        self.write(self.inner.choose(stream, name, method, reason)).await
    }

    async fn trouble(&self, stream: &StreamKey, name: &str, trouble: Option<&str>) -> Result<(), StoreError> {
        self.write(self.inner.trouble(stream, name, trouble)).await
    }

    async fn count_kinds(&self, stream: &StreamKey) -> Result<Vec<CountKind>, StoreError> {
        self.read(self.inner.count_kinds(stream)).await
    }

    async fn count_states(&self, stream: &StreamKey) -> Result<Vec<CountState>, StoreError> {
        self.read(self.inner.count_states(stream)).await
    }

    async fn prune_counts(&self, stream: &StreamKey) -> Result<u64, StoreError> {
        self.write(self.inner.prune_counts(stream)).await
    }

    async fn forget_counts(&self, stream: &StreamKey, before_ms: i64) -> Result<u64, StoreError> {
        self.write(self.inner.forget_counts(stream, before_ms)).await
    }
}

#[async_trait]
impl History for Medium {
    async fn history(&self, id: &str, limit: u32) -> Result<Vec<Traced>, StoreError> {
        self.read(self.inner.history(id, limit)).await
    }

    async fn sightings(&self, id: &str) -> Result<Vec<(StreamKey, Seen)>, StoreError> {
        self.read(self.inner.sightings(id)).await
    }

    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        self.read(self.inner.places()).await
    }

    async fn passage(
        &self,
        output: &str,
        stream: &StreamKey,
        position: Position,
    ) -> Result<Option<Passage>, StoreError> {
        self.read(self.inner.passage(output, stream, position)).await
    }
}
