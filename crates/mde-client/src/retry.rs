//! Which failures are tried again, and how long to wait. Pure: the loops are the caller's.

use crate::answer::http_date_ms;
use crate::error::{Error, ErrorKind};
use std::time::Duration;

/// Longest wait that a server is believed. A day: hourly quotas ask for up to an hour.
const WAIT_CAP: Duration = Duration::from_secs(86_400);

/// Longest pause of the back-off.
const BACKOFF_CAP: Duration = Duration::from_secs(60);

/// Longest pause of the first try again.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// What to do with a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call would fail again.
    Never,
    /// It will pass: again after a [`backoff`].
    Backoff,
    /// Again after that time, not before: an earlier call is refused and counted.
    After(Duration),
}

impl Error {
    /// Whether and when the same call can succeed.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.kind() {
            ErrorKind::Throttled { after } | ErrorKind::Server { after, .. } => {
                after.map_or(Retry::Backoff, Retry::After)
            }
            ErrorKind::Token(refusal) if refusal.transient => refusal.after.map_or(Retry::Backoff, Retry::After),
            ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::BodyCut | ErrorKind::NotJson => Retry::Backoff,
            ErrorKind::EntityTooLarge { .. }
            | ErrorKind::Unauthorized
            | ErrorKind::NotLicensed
            | ErrorKind::Forbidden { .. }
            | ErrorKind::NotFound
            | ErrorKind::BadRequest
            | ErrorKind::ResultTooLarge
            | ErrorKind::Unexpected { .. }
            | ErrorKind::LinkRepeated
            | ErrorKind::PageRepeated
            | ErrorKind::LinkChangedFilter
            | ErrorKind::Token(_)
            | ErrorKind::Config(_) => Retry::Never,
        }
    }
}

/// The pause before a try again: between half and the whole of 1, 2, 4 … 60 s.
///
/// `attempt` is the number of failures before this pause, from 1; `random` is any number, for the jitter.
#[must_use]
pub fn backoff(attempt: u32, random: u64) -> Duration {
    let whole = longest_backoff(attempt).as_millis() as u64;
    let half = whole / 2;
    Duration::from_millis(half + random % (whole - half + 1))
}

/// The pause without jitter.
#[must_use]
pub fn longest_backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    (BACKOFF_FIRST * 2_u32.pow(doublings)).min(BACKOFF_CAP)
}

/// How long a server asks us to wait: the header before the text, `None` where neither says so.
///
/// `answered_ms` is the answer's own `Date` (milliseconds since 1970), to which a date in the header is relative.
#[must_use]
pub fn wait(retry_after: Option<&str>, answered_ms: Option<i64>, message: &str) -> Option<Duration> {
    retry_after.and_then(|header| wait_in_header(header, answered_ms)).or_else(|| wait_in_text(message))
}

/// `Retry-After`, in seconds or as a date. A date without the answer's own `Date` tells nothing.
#[must_use]
pub fn wait_in_header(header: &str, answered_ms: Option<i64>) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a very long wait.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)).min(WAIT_CAP));
    }
    let wait_ms = http_date_ms(header)?.saturating_sub(answered_ms?).max(0);
    Some(Duration::from_millis(wait_ms.unsigned_abs()).min(WAIT_CAP))
}

/// "again in N seconds" in the text of a 429.
#[must_use]
pub fn wait_in_text(message: &str) -> Option<Duration> {
    let (_, tail) = message.split_once("again in ")?;
    let (number, unit) = tail.trim_start().split_once(' ')?;
    let seconds: u64 = number.parse().ok()?;
    let seconds = match unit {
        unit if unit.starts_with("second") => seconds,
        unit if unit.starts_with("minute") => seconds.saturating_mul(60),
        _ => return None,
    };
    Some(Duration::from_secs(seconds).min(WAIT_CAP))
}

/// "Maximum allowed N per hh:mm:ss" in the text of a 429.
#[must_use]
pub fn allowed_in_text(message: &str) -> Option<Allowed> {
    let (_, tail) = message.split_once("Maximum allowed ")?;
    let mut words = tail.split_whitespace();
    let calls: u32 = words.next()?.parse().ok()?;
    let period = words.next().filter(|word| *word == "per").and(words.next())?;
    let mut parts = period.split(':').map(|part| part.parse::<u32>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let seconds = u64::from(hours) * 3_600 + u64::from(minutes) * 60 + u64::from(seconds);
    (calls > 0 && seconds > 0).then(|| Allowed { calls, period: Duration::from_secs(seconds) })
}

/// A limit as a 429 tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Most calls in any period.
    pub calls: u32,
    /// The period.
    pub period: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "API calls quota exceeded! Maximum allowed 30 per 00:01:00 for the key \
                        Destination+TenantID+AppID. You can send requests again in 8 seconds.";

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn the_header_is_believed_before_the_text() {
        assert_eq!(wait(Some("21"), None, SEEN), seconds(21));
        assert_eq!(wait(Some("soon"), None, SEEN), seconds(8));
        assert_eq!(wait(None, None, SEEN), seconds(8));
        assert_eq!(wait(None, None, "reaching quota limit"), None);
    }

    #[test]
    fn a_date_in_the_header_is_relative_to_the_answers_own_date() {
        let date = "Tue, 24 Nov 2026 09:00:30 GMT";
        let answered = http_date_ms("Tue, 24 Nov 2026 09:00:00 GMT").expect("a date");
        assert_eq!(wait_in_header(date, Some(answered)), seconds(30));
        assert_eq!(wait_in_header(date, Some(answered + 60_000)), seconds(0), "it has passed");
        assert_eq!(wait_in_header(date, None), None, "relative to nothing");
    }

    #[test]
    fn absurd_waits_are_cut_and_nonsense_is_none() {
        assert_eq!(wait_in_header("99999999999999999999999", None), Some(WAIT_CAP));
        assert_eq!(wait_in_header("Fri, 31 Dec 9999 23:59:59 GMT", Some(0)), Some(WAIT_CAP));
        for header in ["", "-1", "1.5", "+3"] {
            assert_eq!(wait_in_header(header, Some(0)), None, "{header}");
        }
        for text in ["again in a while", "again in 5", "again in 99999999999999999999 seconds", "again in -5 seconds"] {
            assert_eq!(wait_in_text(text), None, "{text}");
        }
        assert_eq!(wait_in_text("again in 2 minutes"), seconds(120));
    }

    #[test]
    fn the_limit_in_the_text_is_read() {
        assert_eq!(allowed_in_text(SEEN), Some(Allowed { calls: 30, period: Duration::from_secs(60) }));
        for text in
            ["Maximum allowed many per 00:01:00", "Maximum allowed 5 per minute", "Maximum allowed 0 per 00:01:00"]
        {
            assert_eq!(allowed_in_text(text), None, "{text}");
        }
    }

    #[test]
    fn the_back_off_doubles_to_a_minute_and_is_never_less_than_half() {
        let longest: Vec<u64> = (0..10).map(|attempt| longest_backoff(attempt).as_secs()).collect();
        assert_eq!(longest, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(longest_backoff(u32::MAX), BACKOFF_CAP);
        for attempt in 0..40 {
            let (least, most) = (longest_backoff(attempt) / 2, longest_backoff(attempt));
            assert_eq!(backoff(attempt, 0), least);
            assert_eq!(backoff(attempt, least.as_millis() as u64), most);
            assert!((least..=most).contains(&backoff(attempt, u64::MAX)));
        }
    }
}
