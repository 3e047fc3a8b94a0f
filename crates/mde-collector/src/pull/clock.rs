//! The median of three clocks: ours, the API's and the token endpoint's. Pure; readings go in as numbers.
//!
//! No single clock is believed: ours can be hours off, and so can a server's. Of three, the middle one is at most as
//! wrong as the second worst.

/// A server's clock at one moment of our monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What the server's `Date` said. Unit: milliseconds since 1970, UTC.
    pub server_ms: i64,
    /// When we read it on our monotonic clock. Unit: milliseconds since any fixed moment.
    pub monotonic_ms: i64,
}

/// The newest `Date` of each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clocks {
    /// From the API.
    pub api: Option<Sample>,
    /// From the token endpoint.
    pub token: Option<Sample>,
}

/// What time it is, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time to go by. Unit: milliseconds since 1970, UTC.
    pub now_ms: i64,
    /// Clocks that were asked, 1 to 3.
    pub clocks: u8,
    /// Between the earliest and the latest of them. Unit: milliseconds.
    pub spread_ms: i64,
}

/// A spread above this is worth a warning. Unit: milliseconds.
pub const SPREAD_WARNING_MS: i64 = 60_000;

impl Clocks {
    /// The median of what is known; of two clocks the earlier. A server's reading is carried on by the monotonic clock.
    #[must_use]
    pub fn read(&self, ours_ms: i64, monotonic_ms: i64) -> Reading {
        let mut times = [ours_ms, ours_ms, ours_ms];
        let mut clocks = 1;
        for sample in [self.api, self.token].into_iter().flatten() {
            times[clocks] = sample.server_ms.saturating_add(monotonic_ms.saturating_sub(sample.monotonic_ms));
            clocks += 1;
        }
        let known = &mut times[..clocks];
        known.sort_unstable();
        Reading {
            now_ms: known[(clocks - 1) / 2],
            clocks: u8::try_from(clocks).unwrap_or(3),
            spread_ms: known[clocks - 1].saturating_sub(known[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(server_ms: i64) -> Option<Sample> {
        Some(Sample { server_ms, monotonic_ms: 1_000 })
    }

    #[test]
    fn the_middle_of_three_wins_whichever_is_wrong() {
        for (ours, api, token) in [(9 * HOUR, 0, 10), (0, 10, 48 * HOUR), (10, -6 * HOUR, 20)] {
            let reading = Clocks { api: at(api), token: at(token) }.read(ours, 1_000);
            assert!((0..=20).contains(&reading.now_ms), "{reading:?}");
            assert!(reading.spread_ms > SPREAD_WARNING_MS);
            assert_eq!(reading.clocks, 3);
        }
    }

    #[test]
    fn of_two_the_earlier_and_of_one_that_one() {
        assert_eq!(Clocks { api: None, token: at(5) }.read(HOUR, 1_000).now_ms, 5);
        assert_eq!(Clocks { api: at(5), token: None }.read(-HOUR, 1_000).now_ms, -HOUR);
        let alone = Clocks::default().read(7, 1_000);
        assert_eq!((alone.now_ms, alone.clocks, alone.spread_ms), (7, 1, 0));
    }

    #[test]
    fn a_server_clock_goes_on_with_the_monotonic_clock_when_ours_jumps() {
        let clocks = Clocks { api: at(100), token: at(100) };
        assert_eq!(clocks.read(-6 * HOUR, 61_000).now_ms, 60_100);
    }
}
