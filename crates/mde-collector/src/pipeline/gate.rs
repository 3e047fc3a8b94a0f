//! Whether pulling may go on: room in the outbox, room on the disk, a store that works.
//!
//! Microsoft keeps the data while we wait, so waiting loses nothing; outputs are never held up here.

use crate::record::StreamKey;
use crate::status::{Board, Word};
use crate::store::{Store, StoreError};
use crate::telemetry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Less than this on the disk, and pulling pauses. Unit: octets.
pub const DISK_BYTES: u64 = 512 * 1024 * 1024;
/// A store that fails this long ends the process: a supervisor may know more than we do.
pub const STORE_PATIENCE: Duration = Duration::from_secs(60);
/// What an output jumps at least is this part of the outbox.
const JUMP_PART: u64 = 16;
/// Time between two looks, and between two tries of a store that failed.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shared by everything that works with the store.
#[derive(Clone)]
pub struct Gate {
    store: Arc<dyn Store>,
    /// Bound of the outbox. Unit: octets on disk.
    max_bytes: u64,
    /// Outputs that need not get everything.
    optional: Arc<[String]>,
    /// When the store failed first since it last worked.
    failing_since: Arc<Mutex<Option<Instant>>>,
    /// Where it is noted who waits.
    board: Board,
}

/// Why pulling waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// So much lies in the outbox.
    Outbox(u64),
    /// Only so much is left on the disk.
    Disk(u64),
}

impl Gate {
    /// A gate before that store. `optional`: outputs that jump over events rather than let pulling pause.
    pub fn new(store: Arc<dyn Store>, max_bytes: u64, optional: Vec<String>, board: Board) -> Self {
        Self { store, max_bytes, optional: optional.into(), failing_since: Arc::default(), board }
    }

    /// Where everybody who passes here notes how he stands.
    pub const fn board(&self) -> &Board {
        &self.board
    }

    /// Waits until a request may begin. Looked at before each request only: one that has begun is finished, and with an
    /// empty outbox one is admitted whatever the bound is, so nothing can deadlock.
    pub async fn admit(&self, stream: &StreamKey) -> Result<(), StoreError> {
        let mut waited = None;
        while let Some(wait) = self.wait().await? {
            if waited.map(|before| std::mem::discriminant(&before)) != Some(std::mem::discriminant(&wait)) {
                match wait {
                    Wait::Outbox(bytes) => telemetry::pull::outbox_full(stream, bytes, self.max_bytes),
                    Wait::Disk(free) => telemetry::pull::disk_full(stream, free, DISK_BYTES),
                }
                self.board.stream(stream, |note| note.say(Word::Paused));
            }
            waited = Some(wait);
            sleep(LOOK_EVERY).await;
        }
        if waited.is_some() {
            telemetry::pull::resumed(stream);
            self.board.stream(stream, |note| note.say(Word::Pulling));
        }
        Ok(())
    }

    async fn wait(&self) -> Result<Option<Wait>, StoreError> {
        let free = self.store.free_bytes().await?;
        if free < DISK_BYTES {
            return Ok(Some(Wait::Disk(free)));
        }
        let over = |bytes: u64| (bytes > 0 && bytes >= self.max_bytes).then_some(bytes);
        let Some(bytes) = over(self.store.live_bytes().await?) else { return Ok(None) };
        if self.optional.is_empty() {
            return Ok(Some(Wait::Outbox(bytes)));
        }
        // A little more than is too much, so that the next request does not jump again.
        let excess = bytes - self.max_bytes + self.max_bytes / JUMP_PART;
        for jump in self.store.jump(&self.optional, excess).await? {
            telemetry::ship::jumped(&jump.output, jump.events);
        }
        Ok(over(self.store.live_bytes().await?).map(Wait::Outbox))
    }

    /// The store has written something.
    pub fn store_works(&self) {
        if let Some(since) = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner).take() {
            telemetry::run::store_works(since.elapsed());
        }
    }

    /// The store has failed. `Some`: try again after this time. `None`: it has failed for too long, or for good.
    pub fn store_failed(&self, error: &StoreError) -> Option<Duration> {
        let since = *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        let failing = since.elapsed();
        if !error.may_pass() || failing >= STORE_PATIENCE {
            telemetry::run::store_given_up(error, failing);
            return None;
        }
        telemetry::run::store_failed(error, failing, STORE_PATIENCE);
        Some(LOOK_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite;

    /// Time stands still only behind the store's back: its thread would be outrun.
    async fn gate() -> Gate {
        let store = sqlite::open_memory(Arc::new(|| 0)).await.expect("an empty store");
        tokio::time::pause();
        Gate::new(Arc::new(store), 1, Vec::new(), Board::default())
    }

    async fn after(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    fn full() -> StoreError {
        StoreError::Disk("no space".to_owned())
    }

    #[tokio::test]
    async fn a_store_is_given_up_after_a_minute_of_failing_and_not_before() {
        let gate = gate().await;
        assert_eq!(gate.store_failed(&full()), Some(LOOK_EVERY));
        after(59).await;
        assert_eq!(gate.store_failed(&full()), Some(LOOK_EVERY));
        after(1).await;
        assert_eq!(gate.store_failed(&full()), None);
    }

    #[tokio::test]
    async fn a_store_that_worked_in_between_has_a_minute_again() {
        let gate = gate().await;
        gate.store_failed(&full());
        after(59).await;
        gate.store_works();
        after(30).await;
        assert_eq!(gate.store_failed(&full()), Some(LOOK_EVERY));
        after(59).await;
        assert_eq!(gate.store_failed(&full()), Some(LOOK_EVERY));
    }

    #[tokio::test]
    async fn damage_does_not_pass() {
        let damaged = StoreError::Damaged { path: String::new(), what: String::new() };
        assert_eq!(gate().await.store_failed(&damaged), None);
    }
}
