//! What is odd about a stream's pulls although none of them fails: pure, fed with the end of each whole pull.

use serde::{Deserialize, Serialize};
use std::fmt;

/// So many pulls in a row that store events while the checkpoint stands still are no accident.
const STUCK_PULLS: u32 = 3;
/// Rows must have come so often before their absence says anything.
const KNOWN_ARRIVALS: u32 = 8;
/// A silence is odd when it is so many times as long as the longest of late …
const SILENCE_FACTOR: i64 = 8;
/// … and at least this long. Unit: milliseconds.
const SILENCE_LEAST_MS: i64 = 3_600_000;
/// A record that came too late is told for this long. Unit: milliseconds.
const LATE_TOLD_MS: i64 = 24 * 3_600_000;

/// Something odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// Events are stored while the checkpoint stands still.
    Stuck,
    /// Answers have been empty for far longer than is usual.
    Silent,
    /// Records arrive later than the overlap reaches back.
    Late,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stuck, Self::Silent, Self::Late];

    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Silent => "silent",
            Self::Late => "late",
        }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Stuck => {
                "rows arrive and the checkpoint stands still: look at what is set aside and at the log; if neither explains it, report it"
            }
            Self::Silent => {
                "answers have been empty for far longer than usual: check in the Defender portal whether there is really nothing new"
            }
            Self::Late => {
                "records arrive later than `overlap` reads back, so only the sweep finds them: set `overlap` from mde_collector_late_seconds"
            }
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a whole pull was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// When it ended. Unit: milliseconds since 1970, UTC.
    pub now_ms: i64,
    /// Everything before it has been read.
    pub checkpoint_ms: Option<i64>,
    /// Whether its answers held anything: of a snapshot rows, else rows that were not stored yet.
    pub arrived: bool,
    /// Events stored.
    pub events: u64,
    /// How far behind the checkpoint of its beginning the latest newcomer lay. Unit: milliseconds.
    pub late_ms: i64,
    /// How far each pull reads back. Unit: milliseconds.
    pub overlap_ms: i64,
}

/// What a stream's pulls were like so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// The checkpoint after the last pull.
    checkpoint_ms: Option<i64>,
    /// Pulls in a row that stored events and left it there.
    still: u32,
    /// When anything arrived last.
    arrived_ms: Option<i64>,
    /// The longest silence of late: each arrival lets it shrink by an eighth. Unit: milliseconds.
    silence_ms: i64,
    /// Arrivals, counted as far as it matters.
    arrivals: u32,
    /// Whether the silence is an odd one.
    silent: bool,
    /// When a record last came too late.
    late_ms: Option<i64>,
}

impl Health {
    /// A pull has ended whole.
    pub fn pulled(&mut self, pulled: Pulled) {
        let moved = self.checkpoint_ms != pulled.checkpoint_ms;
        self.checkpoint_ms = pulled.checkpoint_ms;
        self.still = if moved { 0 } else { self.still.saturating_add(u32::from(pulled.events > 0)) };
        let since_ms = self.arrived_ms.map_or(0, |arrived_ms| pulled.now_ms.saturating_sub(arrived_ms).max(0));
        if pulled.arrived {
            self.silence_ms = since_ms.max(self.silence_ms - self.silence_ms / 8);
            self.arrivals = self.arrivals.saturating_add(1).min(KNOWN_ARRIVALS);
            self.arrived_ms = Some(pulled.now_ms);
            self.silent = false;
        } else {
            let limit_ms = self.silence_ms.saturating_mul(SILENCE_FACTOR).max(SILENCE_LEAST_MS);
            self.silent = self.arrivals >= KNOWN_ARRIVALS && since_ms > limit_ms;
        }
        if pulled.late_ms > pulled.overlap_ms {
            self.late_ms = Some(pulled.now_ms);
        }
    }

    /// What is odd now, the most urgent first.
    #[must_use]
    pub fn notices(&self, now_ms: i64) -> Vec<Notice> {
        let is = |notice: &Notice| match notice {
            Notice::Stuck => self.still >= STUCK_PULLS,
            Notice::Silent => self.silent,
            Notice::Late => self.late_ms.is_some_and(|late_ms| now_ms.saturating_sub(late_ms) < LATE_TOLD_MS),
        };
        Notice::ALL.into_iter().filter(is).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pull a minute, the n-th of them, with one event and the checkpoint at its own time.
    fn pull(minute: i64) -> Pulled {
        let now_ms = minute * 60_000;
        Pulled { now_ms, checkpoint_ms: Some(now_ms), arrived: true, events: 1, late_ms: 0, overlap_ms: 600_000 }
    }

    /// Nothing new in that minute.
    fn empty(minute: i64) -> Pulled {
        Pulled { arrived: false, events: 0, ..pull(minute) }
    }

    /// What is odd after these pulls.
    fn after(pulls: impl IntoIterator<Item = Pulled>) -> Vec<Notice> {
        let (mut health, mut now_ms) = (Health::default(), 0);
        for pulled in pulls {
            now_ms = pulled.now_ms;
            health.pulled(pulled);
        }
        health.notices(now_ms)
    }

    #[test]
    fn a_checkpoint_that_stands_still_while_events_are_stored_is_told_until_it_moves() {
        let still = |minute| Pulled { checkpoint_ms: Some(0), ..pull(minute) };
        assert_eq!(after((1..=3).map(still)), []);
        assert_eq!(after((1..=4).map(still)), [Notice::Stuck]);
        assert_eq!(after((1..=4).map(still).chain([pull(5)])), []);
        assert_eq!(after((1..=9).map(|minute| Pulled { checkpoint_ms: Some(0), ..empty(minute) })), []);
    }

    #[test]
    fn a_silence_is_odd_only_where_it_is_far_longer_than_those_before_it() {
        let busy = || (1..=20).map(pull);
        assert_eq!(after(busy().chain((21..=80).map(empty))), []);
        assert_eq!(after(busy().chain((21..=81).map(empty))), [Notice::Silent]);
        assert_eq!(after(busy().chain((21..=300).map(empty)).chain([pull(301)])), [], "it ends with the next arrival");
        let daily = || (1..=20).map(|day| pull(day * 1_440));
        assert_eq!(after(daily().chain([empty(27 * 1_440)])), [], "a week is not odd where a day is usual");
        assert_eq!(after(daily().chain([empty(29 * 1_440)])), [Notice::Silent]);
        assert_eq!(after([pull(1), empty(100_000)]), [], "one arrival says nothing about the next");
    }

    #[test]
    fn a_record_behind_the_overlap_is_told_for_a_day() {
        let late = |late_ms| Pulled { late_ms, ..pull(1) };
        assert_eq!(after([late(600_000)]), []);
        assert_eq!(after([late(600_001)]), [Notice::Late]);
        assert_eq!(after([late(600_001), pull(1_440)]), [Notice::Late]);
        assert_eq!(after([late(600_001), pull(1_441)]), []);
    }
}
