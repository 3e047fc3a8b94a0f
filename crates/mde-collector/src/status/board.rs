//! Where a running process notes how its streams and outputs stand: at once in memory, a little later in the store, so that
//! whoever looks from outside sees it too. Nothing waits for it, and nothing depends on it.

use super::LastPull;
use super::note::{Notes, OutputNote, StreamNote, of_output, of_stream};
use crate::record::StreamKey;
use crate::store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

/// Time between two writes to the store while notes change.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Ends of pulls that may wait for whoever keeps them; beyond it they are not kept.
const ENDS_WAITING: usize = 16_384;

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullEnd {
    /// The stream.
    pub stream: StreamKey,
    /// When it began. Unit: milliseconds since 1970, UTC.
    pub began_ms: i64,
    /// How long it took. Unit: milliseconds.
    pub took_ms: u64,
    /// What it came to; of one that ended early not known.
    pub came_to: Option<LastPull>,
    /// What ended it early.
    pub error: Option<String>,
}

/// The notes of one process; clones share them.
#[derive(Clone, Default)]
pub struct Board(Arc<Shared>);

#[derive(Default)]
struct Shared {
    held: Mutex<Held>,
    news: Notify,
    /// Where ends of pulls go, once somebody keeps them.
    ends: OnceLock<mpsc::Sender<PullEnd>>,
}

/// The notes, and which of them the store does not have yet.
#[derive(Default)]
struct Held {
    notes: Notes,
    unwritten: BTreeSet<String>,
    /// Events of each stream and output since somebody last took their numbers, by the names of their notes.
    flow: BTreeMap<String, u64>,
}

impl Board {
    /// Goes on from what an earlier process noted.
    #[must_use]
    pub fn after(notes: Notes) -> Self {
        Self(Arc::new(Shared { held: Mutex::new(Held { notes, ..Held::default() }), ..Shared::default() }))
    }

    /// What is noted now.
    #[must_use]
    pub fn notes(&self) -> Notes {
        self.held().notes.clone()
    }

    /// Notes something of a stream.
    pub fn stream(&self, stream: &StreamKey, change: impl FnOnce(&mut StreamNote)) {
        let changed = self.held().notes.change_stream(stream, change);
        self.is_news(changed);
    }

    /// Notes something of an output.
    pub fn output(&self, output: &str, change: impl FnOnce(&mut OutputNote)) {
        let changed = self.held().notes.change_output(output, change);
        self.is_news(changed);
    }

    /// Events that a stream has stored.
    pub fn stored(&self, stream: &StreamKey, events: u64) {
        *self.held().flow.entry(of_stream(stream)).or_default() += events;
    }

    /// Events that an output has delivered.
    pub fn delivered(&self, output: &str, events: u64) {
        *self.held().flow.entry(of_output(output)).or_default() += events;
    }

    /// Events since this was last asked, by the names of notes.
    #[must_use]
    pub fn take_flow(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.held().flow)
    }

    /// A pull has ended.
    pub fn ended(&self, end: PullEnd) {
        if let Some(ends) = self.0.ends.get() {
            // Nothing depends on it: what nobody comes to keep is let go.
            ends.try_send(end).ok();
        }
    }

    /// The ends of pulls from now on; only the first who asks gets them.
    pub fn ends(&self) -> mpsc::Receiver<PullEnd> {
        let (sender, ends) = mpsc::channel(ENDS_WAITING);
        self.0.ends.set(sender).ok();
        ends
    }

    /// Writes what changes to the store, for as long as it is polled.
    pub async fn keep(&self, store: &dyn Store) {
        loop {
            self.0.news.notified().await;
            // A store that fails is noticed, borne and reported by those who work with it.
            self.write(store).await.ok();
            sleep(WRITE_EVERY).await;
        }
    }

    /// Writes what the store does not have yet.
    ///
    /// # Errors
    /// What the store says; nothing is forgotten then.
    pub async fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        let (names, notes): (BTreeSet<String>, Vec<_>) = {
            let mut held = self.held();
            let names = std::mem::take(&mut held.unwritten);
            let notes = names.iter().filter_map(|name| held.notes.written(name)).collect();
            (names, notes)
        };
        if notes.is_empty() {
            return Ok(());
        }
        let written = store.note(&notes).await;
        if written.is_err() {
            self.held().unwritten.extend(names);
            self.0.news.notify_one();
        }
        written
    }

    /// One more that the store does not have.
    fn is_news(&self, changed: Option<String>) {
        if let Some(name) = changed {
            self.held().unwritten.insert(name);
            self.0.news.notify_one();
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OutputWord, Word};
    use super::*;
    use crate::store::{Notes as _, sqlite};

    fn alerts() -> StreamKey {
        StreamKey { tenant: "acme".to_owned(), service: "alerts".to_owned(), query: None }
    }

    #[tokio::test]
    async fn what_is_noted_is_in_the_store_after_a_write_and_in_the_next_process() {
        let store = sqlite::open_memory(Arc::new(|| 0)).await.expect("an empty store");
        let board = Board::default();
        let last_pull = Some(LastPull { requests: 1, rows: 2, events: 3, repeated: 4 });
        board.stream(&alerts(), |note| note.last_pull = last_pull);
        board.stream(&alerts(), |note| note.fail(Word::Outage, "ask: 503".to_owned(), "wait"));
        board.output("devo", |note| *note = OutputNote { word: OutputWord::Connected, unconfirmed: 9 });
        board.write(&store).await.expect("write");
        let read = Notes::read(&store.notes().await.expect("notes"));
        assert_eq!(read, board.notes());
        assert_eq!(read.stream(&alerts()).expect("noted").last_pull, last_pull);
        let next = Board::after(read);
        next.stream(&alerts(), |note| note.say(Word::Starting));
        let notes = next.notes();
        let note = notes.stream(&alerts()).expect("noted");
        assert_eq!((note.word, note.last_pull, &note.error), (Word::Starting, last_pull, &None));
    }

    #[tokio::test]
    async fn what_does_not_change_is_not_written_again() {
        let store = sqlite::open_memory(Arc::new(|| 0)).await.expect("an empty store");
        let board = Board::default();
        board.output("devo", |_| {});
        board.write(&store).await.expect("write");
        board.output("devo", |note| note.unconfirmed = 0);
        assert!(board.held().unwritten.is_empty());
    }

    #[tokio::test]
    async fn what_a_failing_store_did_not_take_is_written_later() {
        let (closed, works) = (sqlite::open_memory(Arc::new(|| 0)).await, sqlite::open_memory(Arc::new(|| 0)).await);
        let (closed, works) = (closed.expect("an empty store"), works.expect("an empty store"));
        closed.close().await.expect("close");
        let board = Board::default();
        board.stream(&alerts(), |note| note.say(Word::Pulling));
        board.write(&closed).await.expect_err("it is closed");
        board.write(&works).await.expect("write");
        assert_eq!(Notes::read(&works.notes().await.expect("notes")), board.notes());
    }
}
