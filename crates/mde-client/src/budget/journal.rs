//! What a budget writes down, so that a restart and other processes know of calls that they have not seen.
//!
//! A process writes a block of calls down before it makes any of them, and makes them within ten seconds. Whoever finds
//! a block therefore knows the latest moment at which its calls can have reached the server, whatever became of their
//! process, and counts all of them as made then.

use crate::limits::Family;
use crate::transport::Cause;
use std::time::Duration;

/// Calls that a process may make, written down before it makes any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The quota that they spend from.
    pub family: Family,
    /// How many.
    pub calls: u32,
    /// No call is sent later. Unit: milliseconds since 1970, UTC.
    pub until_ms: i64,
}

impl Block {
    /// How long the calls of a block may be made.
    pub const VALIDITY: Duration = Duration::from_secs(10);

    /// How long a call may be on its way to the server.
    pub const TRAVEL: Duration = Duration::from_secs(3);

    /// The longest window in which a block counts.
    const LONGEST: Duration = Duration::from_secs(3_600);

    /// When the calls of a block that is found now count as made. Unit: milliseconds since 1970, UTC.
    ///
    /// A process that has ended has sent nothing after now; one that may live sends until the block's end. An end further
    /// ahead than any block reaches was written by a clock that has been set back.
    #[must_use]
    pub fn made_ms(&self, now_ms: i64, ended: bool) -> i64 {
        let latest = if ended { now_ms } else { now_ms.saturating_add(ms(Self::VALIDITY)) };
        self.until_ms.min(latest).saturating_add(ms(Self::TRAVEL))
    }

    /// Whether any window still looks at it; who keeps blocks can let go of those that none does.
    #[must_use]
    pub fn matters(&self, now_ms: i64) -> bool {
        self.until_ms.saturating_add(ms(Self::TRAVEL + Self::LONGEST)) >= now_ms
    }
}

/// A length of time in whole milliseconds.
pub(super) const fn ms(length: Duration) -> i64 {
    length.as_millis() as i64
}

/// A block that another process has written, or this one before it was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The block.
    pub block: Block,
    /// Its process has certainly ended.
    pub ended: bool,
}

/// What came of an attempt to write a block down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is written and will outlive a power cut.
    Written {
        /// Where the journal ends now.
        seen: u64,
    },
    /// Others have written since: nothing was written, and these are to be counted first.
    Behind {
        /// Where the journal ends now.
        seen: u64,
        /// What stands between.
        others: Vec<Found>,
    },
}

/// Where blocks are written down: one for each application in a tenant, shared by all processes that call as it.
#[async_trait::async_trait]
pub trait Journal: Send + Sync {
    /// Writes a block behind the place `seen` (0: the beginning), unless others have written there already. All of it is
    /// one step: of two that try at once, one is behind. Without a block it only looks.
    ///
    /// Blocks that no longer [matter](Block::matters) can be left out of the answer; those of this very process need not be
    /// in it. Dropping the future leaves a block that is written or is not.
    async fn append(&self, seen: u64, block: Option<&Block>) -> Result<Appended, JournalError>;
}

/// The journal cannot be read or written: no call may be made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("write the quota down")]
pub struct JournalError(#[source] pub Cause);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_counts_at_the_latest_moment_at_which_its_calls_can_arrive() {
        let block = Block { family: Family::Alerts, calls: 3, until_ms: 100_000 };
        for (now_ms, ended, made_ms) in [
            (95_000, true, 98_000),
            (95_000, false, 103_000),
            (200_000, true, 103_000),
            (200_000, false, 103_000),
            // A clock that was set back: what lies ahead cannot be.
            (10_000, true, 13_000),
            (10_000, false, 23_000),
        ] {
            assert_eq!(block.made_ms(now_ms, ended), made_ms, "{now_ms} {ended}");
        }
        assert!(block.matters(100_000 + 3_603_000));
        assert!(!block.matters(100_000 + 3_603_001));
        assert!(Block { until_ms: i64::MAX, ..block }.matters(i64::MAX));
    }
}
