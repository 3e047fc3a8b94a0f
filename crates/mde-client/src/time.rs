//! The API's times: written as it takes them, read exactly as it gives them.

use jiff::Timestamp;
use std::sync::Arc;

/// Tells what time it is. Unit: milliseconds since 1970, UTC. Whoever has the clock hands it in.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A moment as the API can tell it. Unit: 100 ns since 1970, UTC; years -9999 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time100ns(pub i64);

impl Time100ns {
    /// 100-ns ticks in a millisecond.
    const PER_MS: i64 = 10_000;

    /// That many milliseconds since 1970; what lies beyond the range of ticks is its end.
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms.saturating_mul(Self::PER_MS))
    }

    /// The millisecond in which the moment lies: rounded down, before 1970 too.
    #[must_use]
    pub const fn floor_ms(self) -> i64 {
        self.0.div_euclid(Self::PER_MS)
    }
}

/// Reads a time with 0 to 7 fractional digits and `Z` or an offset, without rounding.
///
/// `None` for everything else: no zone (exports spell their times so), finer than 100 ns, no time at all.
#[must_use]
pub fn parse_time(text: &str) -> Option<Time100ns> {
    let nanoseconds = text.parse::<Timestamp>().ok()?.as_nanosecond();
    let exact = nanoseconds % 100 == 0;
    exact.then(|| i64::try_from(nanoseconds / 100).ok()).flatten().map(Time100ns)
}

/// Writes `YYYY-MM-DDThh:mm:ss.mmmZ`; `None` outside the years -9999 to 9999.
#[must_use]
pub fn write_time(unix_ms: i64) -> Option<String> {
    Timestamp::from_millisecond(unix_ms).ok().map(|time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_the_api_are_read_exactly() {
        for (text, ticks) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.0000001Z", 1),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("2020-01-26T20:33:59.2Z", 15_800_708_392_000_000),
            ("2020-01-26T20:33:57.7220239Z", 15_800_708_377_220_239),
            ("2020-01-26T20:33:59.0566667Z", 15_800_708_390_566_667),
            ("2020-01-26T22:33:59.2+02:00", 15_800_708_392_000_000),
            ("0001-01-01T00:00:00Z", -621_355_968_000_000_000),
            ("9999-12-30T22:00:00Z", 2_534_022_072_000_000_000),
        ] {
            assert_eq!(parse_time(text), Some(Time100ns(ticks)), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_time_is_none() {
        for text in ["", "null", "2020-01-26", "2020-01-26T20:33:59", "2020-12-30 14:17:26", "2020-02-30T00:00:00Z"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(parse_time("2020-01-26T20:33:57.72202391Z"), None, "finer than a tick");
        assert_eq!(write_time(i64::MAX), None);
    }

    #[test]
    fn milliseconds_round_down_on_both_sides_of_1970() {
        assert_eq!(Time100ns(19_999).floor_ms(), 1);
        assert_eq!(Time100ns(-1).floor_ms(), -1);
        assert_eq!(Time100ns(-10_000).floor_ms(), -1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_written_is_read_back(ms in -62_135_596_800_000_i64..253_402_207_200_000) {
            let text = write_time(ms).expect("in range");
            prop_assert_eq!(text.len(), "2020-01-26T20:33:59.200Z".len());
            prop_assert_eq!(parse_time(&text), Some(Time100ns::from_unix_ms(ms)));
        }
    }
}
