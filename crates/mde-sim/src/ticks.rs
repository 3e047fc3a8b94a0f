//! Instants as the vendor counts them: steps of 100 ns, spelled with up to seven fractional digits.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An instant. Unit: 100 ns since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticks(pub(crate) i64);

impl Ticks {
    /// Steps in one second.
    pub(crate) const PER_SECOND: i64 = 10_000_000;
    /// Steps from the year 1, where .NET begins to count, to 1970. Alert ids carry .NET's count.
    pub(crate) const DOTNET_EPOCH: i64 = 621_355_968_000_000_000;

    /// The instant itself, nanoseconds below a step cut off.
    pub(crate) fn of(instant: Timestamp) -> Self {
        let steps = instant.as_nanosecond().div_euclid(100);
        Self(i64::try_from(steps).expect("jiff's range of years fits 64 bits of 100 ns"))
    }

    /// The same instant for callers outside.
    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.0) * 100).unwrap_or(Timestamp::MAX)
    }

    /// The nearest instant not later on the grid of 1/300 s on which the vendor's database keeps update times.
    /// Source: times in public fixtures end in .0566667, .42, .4233333.
    pub(crate) fn on_database_grid(self) -> Self {
        let seconds = self.0.div_euclid(Self::PER_SECOND);
        let three_hundredths = self.0.rem_euclid(Self::PER_SECOND) * 300 / Self::PER_SECOND;
        Self(seconds * Self::PER_SECOND + (three_hundredths * Self::PER_SECOND + 150) / 300)
    }

    /// This instant, moved by `steps` of 100 ns.
    pub(crate) fn plus(self, steps: i64) -> Self {
        Self(self.0.saturating_add(steps))
    }
}

impl fmt::Display for Ticks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // jiff writes as many fractional digits as are needed and none more, which is the vendor's habit too.
        self.timestamp().fmt(out)
    }
}

impl Serialize for Ticks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ticks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self::of).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(text: &str) -> Ticks {
        Ticks::of(text.parse().unwrap())
    }

    #[test]
    fn trailing_zeros_are_cut_and_seven_digits_survive() {
        for text in [
            "2021-01-26T20:33:59.2Z",
            "2020-06-30T10:07:44.333733Z",
            "2019-11-22T00:00:00Z",
            "2021-01-26T20:31:32.9562661Z",
        ] {
            assert_eq!(ticks(text).to_string(), text);
        }
    }

    #[test]
    fn the_database_grid_gives_the_spellings_seen_in_fixtures() {
        for (exact, kept) in [
            ("2021-01-01T00:00:00.0566999Z", "2021-01-01T00:00:00.0566667Z"),
            ("2021-01-01T00:00:00.4200001Z", "2021-01-01T00:00:00.42Z"),
            ("2021-01-01T00:00:00.4239Z", "2021-01-01T00:00:00.4233333Z"),
        ] {
            assert_eq!(ticks(exact).on_database_grid(), ticks(kept));
        }
    }

    #[test]
    fn instants_before_1970_stay_in_order() {
        assert!(ticks("1969-12-31T23:59:59.9999999Z") < ticks("1970-01-01T00:00:00Z"));
        assert_eq!(ticks("1969-12-31T23:59:59.9999999Z").0, -1);
    }
}
