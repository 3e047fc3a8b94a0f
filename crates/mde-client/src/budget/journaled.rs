//! A budget that outlives its process: each call is written down before it may be made.

use super::journal::{Appended, Block, Found, Journal, JournalError, ms};
use super::memory::InMemoryBudget;
use super::windows::Window;
use super::{BucketUse, Budget, Permit, Priority, Throttle};
use crate::limits::{Family, LIMITS};
use crate::retry::longest_backoff;
use crate::time::WallClock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, sleep};

/// An [`InMemoryBudget`] whose calls are covered by a [`Journal`], so that neither a kill nor another process makes a
/// window overflow. Clones share it. Limits that are not the vendor's hold within this process; of those for the whole
/// tenant the calls of others count as well.
#[derive(Clone)]
pub struct JournaledBudget {
    /// Says when there is room.
    budget: InMemoryBudget,
    /// Writes down.
    desk: Arc<Desk>,
}

/// What all handles share.
struct Desk {
    /// Where blocks are written.
    journal: Arc<dyn Journal>,
    /// Tells the time that stands in a block.
    now: WallClock,
    /// Whoever has it writes; the others wait for what comes of it.
    book: tokio::sync::Mutex<Book>,
    /// How often others were found: room that was given before that is not to be trusted. Changes under `book` only.
    found: AtomicU64,
    /// Calls of each family that wait to be covered.
    wanted: [AtomicU32; LIMITS.len()],
    /// Why the last attempt to write failed; `None` if it did not.
    failure: Mutex<Option<JournalError>>,
}

/// How far the journal has been read, and what may be used.
#[derive(Default)]
struct Book {
    /// The place up to which the blocks of others have been counted.
    seen: u64,
    /// The newest block of each family.
    blocks: [Option<Live>; LIMITS.len()],
}

/// A block that has been written.
struct Live {
    /// Calls that have not been made.
    left: u32,
    /// When they can be made no more, by the clock that cannot be set.
    until: Instant,
}

impl JournaledBudget {
    /// That budget over that journal, which is not looked at yet. `now` is the wall clock.
    #[must_use]
    pub fn new(budget: InMemoryBudget, journal: Arc<dyn Journal>, now: WallClock) -> Self {
        let desk = Desk {
            journal,
            now,
            book: tokio::sync::Mutex::default(),
            found: AtomicU64::new(0),
            wanted: std::array::from_fn(|_| AtomicU32::new(0)),
            failure: Mutex::default(),
        };
        Self { budget, desk: Arc::new(desk) }
    }

    /// A handle on the same budget whose calls are held to further limits, for a service with limits of its own.
    #[must_use]
    pub fn with_limits(&self, limits: Vec<Window>) -> Self {
        Self { budget: self.budget.with_limits(limits), desk: Arc::clone(&self.desk) }
    }

    /// How full every quota is, as far as the journal has been read.
    #[must_use]
    pub fn snapshot(&self) -> Vec<BucketUse> {
        self.budget.snapshot()
    }

    /// Counts what others have written until now. Each call does so by itself; this is for those who only look.
    pub async fn catch_up(&self) -> Result<(), JournalError> {
        let mut book = self.desk.book.lock().await;
        if let Appended::Behind { seen, others } = self.desk.journal.append(book.seen, None).await? {
            self.count(&mut book, seen, &others);
        }
        Ok(())
    }

    /// Why no call can be written down at the moment, so that all of them wait; `None` if they can.
    #[must_use]
    pub fn failure(&self) -> Option<JournalError> {
        self.desk.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts the calls of others.
    fn count(&self, book: &mut Book, seen: u64, others: &[Found]) {
        let now_ms = (self.desk.now)();
        for Found { block, ended } in others {
            self.budget.count(block.family, block.calls, block.made_ms(now_ms, *ended).saturating_sub(now_ms));
        }
        book.seen = seen;
        self.desk.found.fetch_add(1, Ordering::Relaxed);
    }

    /// Covers one call for which there was room when `found` was read: the moment until which it may be sent. `None`: others
    /// have called meanwhile, so that there may be no room any more.
    async fn cover(&self, family: Family, found: u64) -> Option<Instant> {
        let wanted = Wanted::one(&self.desk.wanted[family as usize]);
        let mut book = self.desk.book.lock().await;
        let mut failures = 0;
        loop {
            let now = Instant::now();
            if self.desk.found.load(Ordering::Relaxed) != found {
                return None;
            }
            if let Some(live) = book.blocks[family as usize].as_mut().filter(|live| live.left > 0 && now < live.until) {
                live.left -= 1;
                return Some(live.until);
            }
            // One block for all who wait: their room has been given to them already.
            let calls = wanted.all();
            let block = Block { family, calls, until_ms: (self.desk.now)().saturating_add(ms(Block::VALIDITY)) };
            let outcome = self.desk.journal.append(book.seen, Some(&block)).await;
            *self.desk.failure.lock().unwrap_or_else(PoisonError::into_inner) = outcome.as_ref().err().cloned();
            match outcome {
                Ok(Appended::Written { seen }) => {
                    book.seen = seen;
                    book.blocks[family as usize] = Some(Live { left: calls, until: now + Block::VALIDITY });
                }
                Ok(Appended::Behind { seen, others }) => self.count(&mut book, seen, &others),
                Err(_) => {
                    failures += 1;
                    sleep(longest_backoff(failures)).await;
                }
            }
        }
    }
}

/// One who waits to be covered, for as long as it waits.
struct Wanted<'a>(&'a AtomicU32);

impl<'a> Wanted<'a> {
    /// One more.
    fn one(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }

    /// All who wait, this one among them.
    fn all(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Budget for JournaledBudget {
    async fn acquire(&self, family: Family, priority: Priority) -> Permit {
        loop {
            let found = self.desk.found.load(Ordering::Relaxed);
            let slot = self.budget.slot(family, priority).await;
            match self.cover(family, found).await {
                Some(until) => return slot.permit().until(until),
                None => slot.give_back(),
            }
        }
    }

    fn throttled(&self, family: Family, throttle: &Throttle) {
        self.budget.throttled(family, throttle);
    }
}

#[cfg(test)]
mod tests;
