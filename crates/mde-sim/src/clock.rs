//! The simulator's clock: the wall, tokio's clock, or the hand of a test.
//!
//! Everything the simulator dates or expires comes from here. Waiting does not: slow bodies sleep on tokio's clock.

use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A clock shared by all parts of one simulator; clones are the same clock.
#[derive(Clone)]
pub struct SimClock(Arc<Mutex<State>>);

/// What a clock remembers.
struct State {
    /// Where time comes from.
    source: Source,
    /// How far the simulated servers' idea of the time is away from the source. Positive: ahead.
    offset: SignedDuration,
}

/// Where time comes from.
#[derive(Clone, Copy)]
enum Source {
    /// The machine's clock; the instant, on the monotonic clock, is the one when it was made.
    Wall(Instant),
    /// A fixed start, moved on by tokio's clock, which tests may pause.
    Tokio(Timestamp, Instant),
    /// A fixed start and what the hand added to it.
    Manual(Timestamp, SignedDuration),
}

impl SimClock {
    /// The machine's clock.
    pub fn wall() -> Self {
        Self::from(Source::Wall(Instant::now()))
    }

    /// Begins at `start` and goes with tokio's clock: under a paused runtime simulated days pass in seconds.
    pub fn tokio(start: Timestamp) -> Self {
        Self::from(Source::Tokio(start, Instant::now()))
    }

    /// Stands at `start` until [`SimClock::advance`].
    pub fn manual(start: Timestamp) -> Self {
        Self::from(Source::Manual(start, SignedDuration::ZERO))
    }

    /// The time as the simulated servers believe it to be, offset included.
    pub fn now(&self) -> Timestamp {
        let state = self.state();
        let true_time = match state.source {
            Source::Wall(_) => Timestamp::now(),
            Source::Tokio(start, _) | Source::Manual(start, _) => {
                start.saturating_add(state.source.elapsed()).unwrap_or(Timestamp::MAX)
            }
        };
        true_time.saturating_add(state.offset).unwrap_or(Timestamp::MAX)
    }

    /// Time passed since the clock was made, offset left out: quotas count by it, so that a wrong clock does not disturb them.
    pub fn elapsed(&self) -> Duration {
        self.state().source.elapsed().try_into().unwrap_or_default()
    }

    /// Moves a manual clock on; other clocks are not moved by hand and stay as they are.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(_, added) = &mut self.state().source {
            *added = added.saturating_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
        }
    }

    /// Makes the simulated servers' clock wrong by `offset`, from now on. Positive: ahead of the source.
    pub fn set_offset(&self, offset: SignedDuration) {
        self.state().offset = offset;
    }

    /// The state, also after a panic elsewhere: it is plain data.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Time passed since the source was made.
    fn elapsed(self) -> SignedDuration {
        match self {
            Self::Wall(start) | Self::Tokio(_, start) => {
                SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX)
            }
            Self::Manual(_, added) => added,
        }
    }
}

impl From<Source> for SimClock {
    fn from(source: Source) -> Self {
        Self(Arc::new(Mutex::new(State { source, offset: SignedDuration::ZERO })))
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::wall()
    }
}

impl fmt::Debug for SimClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SimClock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-11-24T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = SimClock::manual(start());
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-11-24T00:01:30Z");
        assert_eq!(clock.elapsed(), Duration::from_secs(90));
    }

    #[test]
    fn an_offset_shifts_the_time_but_not_what_has_passed() {
        let clock = SimClock::manual(start());
        clock.set_offset(SignedDuration::from_hours(-2));
        assert_eq!(clock.now().to_string(), "2026-11-23T22:00:00Z");
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_day_of_tokio_time_is_a_day_of_simulated_time() {
        let clock = SimClock::tokio(start());
        tokio::time::advance(Duration::from_secs(86_400)).await;
        assert_eq!(clock.now().to_string(), "2026-11-25T00:00:00Z");
        assert_eq!(clock.elapsed(), Duration::from_secs(86_400));
    }
}
