//! Microsoft Graph's `Timespan`: a length of time, two ends of it, or one.

use crate::ticks::Ticks;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use std::ops::RangeInclusive;

/// Reads `P7D`, `start/end`, `start/P1D`, `P1D/end` or `start`.
pub(super) fn parse(text: &str, now: Ticks) -> Option<RangeInclusive<Ticks>> {
    let text = text.trim();
    match text.split_once('/') {
        None => match steps(text) {
            Some(steps) => Some(now.plus(-steps)..=now),
            None => Some(instant(text)?..=now),
        },
        Some((left, right)) => match (steps(left), steps(right)) {
            (None, None) => Some(instant(left)?..=instant(right)?),
            (Some(steps), None) => {
                let end = instant(right)?;
                Some(end.plus(-steps)..=end)
            }
            (None, Some(steps)) => {
                let start = instant(left)?;
                Some(start..=start.plus(steps))
            }
            (Some(_), Some(_)) => None,
        },
    }
}

/// A length of time. Days have 24 hours. Unit: 100 ns.
fn steps(text: &str) -> Option<i64> {
    let span: Span = text.parse().ok().filter(|_| text.starts_with('P'))?;
    let duration: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_nanos() / 100).ok()
}

/// An instant.
fn instant(text: &str) -> Option<Ticks> {
    text.parse::<Timestamp>().ok().map(Ticks::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read() {
        let at = |text: &str| Ticks::of(text.parse().unwrap());
        let now = at("2026-11-24T12:00:00Z");
        for (text, start, end) in [
            ("P1D", "2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z"),
            ("PT1H30M", "2026-11-24T10:30:00Z", "2026-11-24T12:00:00Z"),
            ("2026-11-20T00:00:00Z/2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
            ("2026-11-20T00:00:00Z/P1D", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
            ("P1D/2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
            ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-24T12:00:00Z"),
        ] {
            assert_eq!(parse(text, now), Some(at(start)..=at(end)), "{text}");
        }
        for text in ["", "P1D/P1D", "yesterday"] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }
}
