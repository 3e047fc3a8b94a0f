//! Where a running process notes how its streams and outputs stand: at once in memory, a little later in the store, so that
//! whoever looks from outside sees it too. Nothing waits for it, and nothing depends on it.

use super::note::{Notes, OutputNote, StreamNote};
use crate::record::StreamKey;
use crate::store::{Store, StoreError};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Time between two writes to the store while notes change.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// The notes of one process; clones share them.
#[derive(Clone, Default)]
pub struct Board(Arc<Shared>);

#[derive(Default)]
struct Shared {
    held: Mutex<Held>,
    news: Notify,
}

/// The notes, and which of them the store does not have yet.
#[derive(Default)]
struct Held {
    notes: Notes,
    unwritten: BTreeSet<String>,
}

impl Board {
    /// Goes on from what an earlier process noted.
    #[must_use]
    pub fn after(notes: Notes) -> Self {
        let held = Mutex::new(Held { notes, unwritten: BTreeSet::new() });
        Self(Arc::new(Shared { held, news: Notify::new() }))
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
    use super::super::{LastPull, OutputWord, Word};
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
