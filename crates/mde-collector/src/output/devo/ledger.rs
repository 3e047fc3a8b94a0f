//! Which frames of one connection count as delivered: a book of octets and times. Pure: no socket, no clock.

use crate::output::Offset;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Samples kept for one `after`; samples that come closer together are dropped, which makes a confirmation late by at
/// most this part of `after`, and bounds the memory whatever the rate of writing is.
const GRAIN: u32 = 64;

/// Frames written to one connection, and what the peer's kernel has acknowledged of them when.
pub(super) struct Ledger {
    /// How old an acknowledgement must be before it counts.
    after: Duration,
    /// Frames written and not confirmed, oldest first.
    marks: VecDeque<Mark>,
    /// Acknowledgements too young to count, oldest first, each larger than the one before.
    samples: VecDeque<Sample>,
    /// Octets of the connection that were acknowledged long enough ago.
    aged: u64,
}

/// The end of a frame.
struct Mark {
    /// In octets of the connection, TLS included.
    wire: u64,
    /// In the output's own count.
    end: Offset,
}

/// What was acknowledged at some time.
struct Sample {
    /// When we asked.
    at: Instant,
    /// Octets of the connection.
    acked: u64,
}

impl Ledger {
    /// An empty book.
    pub(super) fn new(after: Duration) -> Self {
        Self { after, marks: VecDeque::new(), samples: VecDeque::new(), aged: 0 }
    }

    /// A frame ends at octet `wire` of the connection; all of it is with our kernel.
    pub(super) fn mark(&mut self, wire: u64, end: Offset) {
        self.marks.push_back(Mark { wire, end });
    }

    /// At `now` the peer's kernel has acknowledged `acked` octets. Ages the older samples.
    pub(super) fn sample(&mut self, now: Instant, acked: u64) {
        let news = self
            .samples
            .back()
            .map_or(acked > self.aged, |last| acked > last.acked && now.duration_since(last.at) >= self.after / GRAIN);
        if news {
            self.samples.push_back(Sample { at: now, acked });
        }
        while let Some(oldest) = self.samples.front()
            && now.duration_since(oldest.at) >= self.after
        {
            self.aged = oldest.acked;
            self.samples.pop_front();
        }
    }

    /// Frames that end within what was acknowledged long enough ago are confirmed. Returns where the last of them ends.
    pub(super) fn confirm_aged(&mut self) -> Option<Offset> {
        let mut through = None;
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.wire <= self.aged) {
            through = Some(mark.end);
        }
        through
    }

    /// Every frame is confirmed. Returns where the last of them ends.
    pub(super) fn confirm_all(&mut self) -> Option<Offset> {
        let through = self.marks.back().map(|mark| mark.end);
        self.marks.clear();
        through
    }

    /// Whether every frame is confirmed.
    pub(super) fn is_settled(&self) -> bool {
        self.marks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AFTER: Duration = Duration::from_secs(5);

    #[test]
    fn an_acknowledgement_counts_only_when_it_is_old_enough() {
        let start = Instant::now();
        let mut ledger = Ledger::new(AFTER);
        ledger.mark(100, Offset(80));
        ledger.sample(start, 100);
        ledger.sample(start + AFTER - Duration::from_nanos(1), 100);
        assert_eq!(ledger.confirm_aged(), None);
        ledger.sample(start + AFTER, 100);
        assert_eq!(ledger.confirm_aged(), Some(Offset(80)));
        assert!(ledger.is_settled());
    }

    #[test]
    fn a_queue_that_is_never_empty_confirms_all_the_same() {
        let start = Instant::now();
        let mut ledger = Ledger::new(AFTER);
        for second in 0..20_u64 {
            ledger.mark((second + 1) * 100, Offset(second + 1));
            ledger.sample(start + Duration::from_secs(second), second * 100 + 99);
        }
        assert_eq!(ledger.confirm_aged(), Some(Offset(14)));
    }

    #[test]
    fn a_frame_acknowledged_in_part_is_not_confirmed() {
        let mut ledger = Ledger::new(Duration::ZERO);
        ledger.mark(100, Offset(1));
        ledger.sample(Instant::now(), 99);
        assert_eq!(ledger.confirm_aged(), None);
    }

    #[test]
    fn samples_stay_few_however_often_they_are_taken() {
        let start = Instant::now();
        let mut ledger = Ledger::new(AFTER);
        for step in 0..100_000_u64 {
            ledger.sample(start + Duration::from_micros(100 * step), step);
            assert!(ledger.samples.len() <= GRAIN as usize + 1);
        }
    }

    proptest! {
        /// Against the rule said plainly: octets count when an older sample, at least `after` old, has covered them;
        /// and everything acknowledged counts after `after` and one grain.
        #[test]
        fn confirms_never_early_and_at_most_a_grain_late(
            steps in prop::collection::vec((0_u64..2_000, 0_u64..500), 1..200),
        ) {
            let start = Instant::now();
            let mut ledger = Ledger::new(AFTER);
            let (mut now, mut acked, mut history) = (start, 0, Vec::new());
            for (millis, octets) in steps {
                now += Duration::from_millis(millis);
                acked += octets;
                history.push((now, acked));
                ledger.sample(now, acked);
                let by_rule = history.iter().filter(|(at, _)| now.duration_since(*at) >= AFTER).map(|(_, acked)| *acked).max();
                prop_assert!(ledger.aged <= by_rule.unwrap_or(0));
            }
            let end = now + AFTER / GRAIN;
            ledger.sample(end, acked);
            ledger.sample(end + AFTER, acked);
            prop_assert_eq!(ledger.aged, acked);
        }
    }
}
