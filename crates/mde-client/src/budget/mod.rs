//! Who may call when, so that no window of the vendor's is ever exceeded.
//!
//! A call holds its slot from sending until a minute (an hour) after its answer. Counted at sending, a burst that
//! travels slowly would arrive within one window together with the burst after it. A [`JournaledBudget`] keeps its promise
//! over restarts and among processes as well.

mod bucket;
mod journal;
mod journaled;
mod memory;
mod windows;

pub use bucket::{Bucket, Room, Throttle};
pub use journal::{Appended, Block, Found, Journal, JournalError};
pub use journaled::JournaledBudget;
pub use memory::{BucketUse, InMemoryBudget};
pub use windows::{Moment, SlidingWindows, Window, WindowUse};

use crate::limits::Family;
use tokio::time::Instant;

/// How urgent a call is. The order is that in which those who wait are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// The newest window of alerts: the only one that may use the whole budget.
    NewestAlerts,
    /// Older alerts: re-reads, sweeps, a backfill.
    Alerts,
    /// Lists and snapshots.
    Lists,
    /// Hunting queries.
    Hunting,
    /// Calls for one entity each; there are many of them and they can wait.
    Enrichment,
}

impl Priority {
    /// How much of a limit is kept from this priority: a fifth from enrichment, a tenth from all but the newest
    /// alerts; rounded down, so that a limit of 1 serves everybody. Unit: calls.
    #[must_use]
    pub const fn kept_from(self, limit: u32) -> u32 {
        match self {
            Self::NewestAlerts => 0,
            Self::Alerts | Self::Lists | Self::Hunting => limit / 10,
            Self::Enrichment => limit / 5,
        }
    }
}

/// Hands out calls. One budget belongs to one application in one tenant.
#[async_trait::async_trait]
pub trait Budget: Send + Sync {
    /// Waits until a call may be sent. Dropping the future gives up the place in the queue.
    async fn acquire(&self, family: Family, priority: Priority) -> Permit;

    /// The server answered 429: nobody calls this family until the wait is over, and the budget learns from it.
    fn throttled(&self, family: Family, throttle: &Throttle);
}

/// The right to send one call.
///
/// It counts for as long as it is held and for the length of each window after that. Dropped, it counts as answered.
#[must_use = "a permit that is dropped counts as a call"]
pub struct Permit {
    /// Told once.
    answered: Option<Box<dyn FnOnce() + Send>>,
    /// The call may be sent no later.
    until: Option<Instant>,
}

impl Permit {
    /// A permit that tells `answered` once, when the answer's head has arrived or the permit is dropped.
    pub fn new(answered: impl FnOnce() + Send + 'static) -> Self {
        Self { answered: Some(Box::new(answered)), until: None }
    }

    /// The same, for a call that is sent before that moment.
    pub fn until(mut self, until: Instant) -> Self {
        self.until = Some(until);
        self
    }

    /// Whether the call may still be sent.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// The head of the answer has arrived, or none will.
    pub fn answered(self) {
        drop(self);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(answered) = self.answered.take() {
            answered();
        }
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}
