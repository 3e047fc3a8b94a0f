//! Values with a unit, and what else is more than text: durations, sizes, numbers, switches, moments.
//!
//! Every reader takes the text of a value and gives the value, or a fault that goes on after it ("is not a duration").

use super::problem::Fault;
use crate::record::ms;
use jiff::civil;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Longest time that means anything here; it also keeps sums of times far from overflow. Unit: seconds.
const LONGEST_S: u64 = 3_660 * DAY_S;
/// As [`LONGEST_S`].
pub(super) const LONGEST: Duration = Duration::from_secs(LONGEST_S);
/// Shortest time that is more than none: nothing here is finer.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);
/// Unit: seconds.
const DAY_S: u64 = 86_400;

/// Units of a duration, longest first. Unit: milliseconds.
const DURATIONS: &[(&str, u64)] =
    &[("w", 7 * DAY_S * 1_000), ("d", DAY_S * 1_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of an official `period`; here `m` is a minute and `M` thirty days. Unit: milliseconds.
const PERIODS: &[(&str, u64)] = &[
    ("y", 365 * DAY_S * 1_000),
    ("M", 30 * DAY_S * 1_000),
    ("w", 7 * DAY_S * 1_000),
    ("d", DAY_S * 1_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

/// Units of a size, largest first. Unit: octets.
const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// `90s`, `10m`, `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let fault =
        || Fault::new("is not a duration").help("write numbers with their units, such as 90s, 10m, 1h30m or 7d");
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() || rest.len() == text.len() {
        let (number, unit, after) = amount(rest).ok_or_else(fault)?;
        let scale = scale(DURATIONS, unit).ok_or_else(fault)?;
        total = number.checked_mul(scale).and_then(|part| total.checked_add(part)).ok_or_else(fault)?;
        rest = after;
    }
    bounded(total)
}

/// A number of seconds, as the official keys have it, or a duration.
pub(super) fn seconds(text: &str) -> Result<Duration, Fault> {
    match text.parse::<u64>() {
        Ok(number) => bounded(number.saturating_mul(1_000)),
        Err(_) => duration(text).map_err(|fault| match fault.message.as_str() {
            "is not a duration" => Fault::new("is not a number of seconds").help("write whole seconds, such as 300"),
            _ => fault,
        }),
    }
}

/// A `period` of the official limits: one number and one of `s m h d w M y`.
pub(super) fn period(text: &str) -> Result<Duration, Fault> {
    let fault =
        || Fault::new("is not a period").help("write a number and one of s, m, h, d, w, M (30 days), y, such as 1d");
    let (number, unit, rest) = amount(text).ok_or_else(fault)?;
    let scale = scale(PERIODS, unit).filter(|_| rest.is_empty() && number > 0).ok_or_else(fault)?;
    bounded(number.saturating_mul(scale))
}

/// `4GiB`, `500MB`, or plain octets.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    let fault = || Fault::new("is not a size").help("write a number with its unit, such as 512KiB, 64MiB or 4GiB");
    if let Ok(octets) = text.parse() {
        return Ok(octets);
    }
    let (number, unit, rest) = amount(text).ok_or_else(fault)?;
    let scale = scale(SIZES, unit).filter(|_| rest.is_empty()).ok_or_else(fault)?;
    number.checked_mul(scale).ok_or_else(fault)
}

/// A duration in the form that [`duration`] reads, as few units as possible: `1h30m`.
pub(super) fn duration_text(value: Duration) -> String {
    let mut rest = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, scale) in DURATIONS {
        if rest >= *scale {
            text += &format!("{}{unit}", rest / scale);
            rest %= scale;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A size in the form that [`size`] reads, in the largest unit that gives a whole number: `256MiB`.
pub(super) fn size_text(octets: u64) -> String {
    let (unit, scale) =
        SIZES.iter().find(|(_, scale)| octets >= *scale && octets.is_multiple_of(*scale)).unwrap_or(&("B", 1));
    format!("{}{unit}", octets / scale)
}

/// `true` or `false`, and the other words that the official collector's reader takes for them.
pub(super) fn boolean(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(Fault::new("is neither true nor false")),
    }
}

/// A whole number.
pub(super) fn integer(text: &str) -> Result<i64, Fault> {
    text.parse().map_err(|_| Fault::new("is not a whole number"))
}

/// A number; `-1` and `-1.0` are the same.
pub(super) fn number(text: &str) -> Result<f64, Fault> {
    text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| Fault::new("is not a number"))
}

/// A moment: ISO 8601 with or without zone, `YYYY-MM-DD HH:MM:SS`, or a date alone, which is its midnight; UTC where no zone is said.
/// Unit: milliseconds since 1970, UTC.
pub(super) fn moment_ms(text: &str) -> Result<i64, Fault> {
    let fault = || {
        Fault::new("is not a date and time").help("write 2026-10-01T00:00:00Z, 2026-10-01 00:00:00 or 2026-10-01 (UTC)")
    };
    // An annotation such as `[Europe/Madrid]` would be accepted and not obeyed.
    if text.contains('[') {
        return Err(fault());
    }
    let moment = match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment,
        Err(_) => {
            let date: civil::DateTime = text.parse().map_err(|_| fault())?;
            TimeZone::UTC.to_timestamp(date).map_err(|_| fault())?
        }
    };
    Ok(moment.as_millisecond())
}

/// A moment as a command line has it: so long ago (`7d`, `1h30m`), or a date with or without a time. Unit: milliseconds since 1970,
/// UTC.
///
/// # Errors
/// What may be written instead.
pub fn moment_before(text: &str, now_ms: i64) -> Result<i64, String> {
    match (duration(text), moment_ms(text)) {
        (Ok(back), _) => Ok(now_ms.saturating_sub(ms(back))),
        (_, Ok(moment_ms)) => Ok(moment_ms),
        _ => Err(format!("{text:?} is no moment: write 7d, 12h, 2026-10-01 or 2026-10-01T00:00:00Z")),
    }
}

/// The leading number and the unit right after it, and what follows them.
fn amount(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, rest))
}

/// What one of a unit is worth.
fn scale(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale)
}

/// A time within ten years.
fn bounded(ms: u64) -> Result<Duration, Fault> {
    if ms > LONGEST_S * 1_000 {
        return Err(Fault::new("is longer than ten years"));
    }
    Ok(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_need_their_unit_and_official_seconds_do_not() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5_400));
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        for wrong in ["", "10", "m", "10x", "10m ", "1h30", "-1s", "1.5h", "10M", "99999999999999999999s", "11y"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("90").unwrap(), seconds("1m30s").unwrap());
        assert!(seconds("9999999999999999999").is_err());
        assert_eq!(duration("5000w").unwrap_err().message, "is longer than ten years");
    }

    #[test]
    fn a_small_m_is_a_minute_and_a_big_one_a_month() {
        assert_eq!(period("1m").unwrap(), Duration::from_secs(60));
        assert_eq!(period("1M").unwrap(), Duration::from_secs(30 * 86_400));
        assert_eq!(period("2y").unwrap(), Duration::from_secs(730 * 86_400));
        for wrong in ["", "1", "d", "0d", "1h30m", "1ms", "-1d"] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal_as_written() {
        for (text, octets) in [("4GiB", 4 << 30), ("4GB", 4_000_000_000), ("17", 17), ("17B", 17), ("1KiB", 1_024)] {
            assert_eq!(size(text).unwrap(), octets, "{text}");
        }
        for wrong in ["", "GiB", "4G", "4 GiB", "-1", "99999999TiB", "1GiB1MiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size_text(256 << 20), "256MiB");
        assert_eq!(size_text(0), "0B");
    }

    #[test]
    fn every_spelling_of_a_moment_is_the_same_moment() {
        for text in [
            "2024-09-18",
            "2024-09-18T00:00:00Z",
            "2024-09-18T00:00:00",
            "2024-09-18 00:00:00",
            "2024-09-18T02:00:00+02:00",
            "2024-09-17 22:00:00-02:00",
            "2024-09-18T00:00:00.000Z",
            "2024-09-18 00:00",
        ] {
            assert_eq!(moment_ms(text).map_err(|fault| format!("{text}: {fault:?}")), Ok(1_726_617_600_000));
        }
        for wrong in
            ["", "18.09.2024", "2024-13-01", "yesterday", "1726617600", "2024-09-18T02:00[Europe/Madrid]", "2024"]
        {
            assert!(moment_ms(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn durations_and_sizes_come_back_from_their_text(ms in 0u64..LONGEST_S * 1_000, octets in 0u64..) {
            let time = Duration::from_millis(ms);
            prop_assert_eq!(duration(&duration_text(time)), Ok(time));
            prop_assert_eq!(size(&size_text(octets)), Ok(octets));
        }

        #[test]
        fn moments_come_back_from_their_text(ms in -60_000_000_000_000i64..250_000_000_000_000) {
            let moment = jiff::Timestamp::from_millisecond(ms).expect("inside the calendar");
            prop_assert_eq!(moment_ms(&moment.to_string()), Ok(ms));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,24}") {
            let _ = (duration(&text), seconds(&text), period(&text), size(&text), moment_ms(&text), number(&text));
        }
    }
}
