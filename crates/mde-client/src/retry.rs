//! Which failures are tried again, how often, and how long to wait. Pure: the loops are the caller's.

use crate::answer::http_date_ms;
use crate::error::{Error, ErrorKind};
use std::time::Duration;

/// Longest wait that a server is believed. A day: hourly quotas ask for up to an hour.
const WAIT_CAP: Duration = Duration::from_secs(86_400);

/// Longest pause of the back-off.
const BACKOFF_CAP: Duration = Duration::from_secs(60);

/// Longest pause of the first try again.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// How often a call is made before its failure counts as more than a passing one.
const TRIES: u32 = 3;

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
            ErrorKind::Transport
            | ErrorKind::Timeout
            | ErrorKind::BodyCut
            | ErrorKind::NotJson
            | ErrorKind::Incomplete => Retry::Backoff,
            ErrorKind::EntityTooLarge { .. }
            | ErrorKind::Unauthorized
            | ErrorKind::NotLicensed
            | ErrorKind::Forbidden { .. }
            | ErrorKind::NotFound
            | ErrorKind::BadRequest
            | ErrorKind::ResultTooLarge
            | ErrorKind::QueryRefused
            | ErrorKind::UnknownColumn { .. }
            | ErrorKind::UnknownTable { .. }
            | ErrorKind::Unexpected { .. }
            | ErrorKind::LinkExpired
            | ErrorKind::LinkRefused
            | ErrorKind::LinkRepeated
            | ErrorKind::LinkChangedFilter
            | ErrorKind::Token(_)
            | ErrorKind::Config(_) => Retry::Never,
        }
    }
}

/// How often one and the same call has failed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    failures: u32,
}

impl Tries {
    /// Failures so far; to be asked to wait is none.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.failures
    }

    /// It has failed once more: how long to wait before it is made again; `None`: that is of no use, or was done often enough.
    /// `random`: any number, for the jitter.
    pub fn again(&mut self, error: &Error, random: u64) -> Option<Duration> {
        if !matches!(error.kind(), ErrorKind::Throttled { .. }) {
            self.failures += 1;
            if self.failures >= TRIES {
                return None;
            }
        }
        match error.retry() {
            Retry::Never => None,
            Retry::After(wait) => Some(wait),
            Retry::Backoff => Some(backoff(self.failures.max(1), random)),
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

/// "again in …" in the text of a 429: words ("8 seconds", "2 minutes and 5 seconds") or a clock ("00:12:30").
#[must_use]
pub fn wait_in_text(message: &str) -> Option<Duration> {
    let (_, tail) = message.split_once("again in ")?;
    let mut words = tail.split_whitespace().map(|word| word.trim_end_matches(['.', ',', ';'])).peekable();
    if let Some(wait) = words.peek().and_then(|word| clock(word)) {
        return Some(wait.min(WAIT_CAP));
    }
    let mut wait: Option<Duration> = None;
    while let Some(number) = words.next_if(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
        let unit = match words.next()? {
            unit if unit.starts_with("sec") => 1,
            unit if unit.starts_with("min") => 60,
            unit if unit.starts_with("hour") => 3_600,
            _ => break,
        };
        let seconds = number.parse::<u64>().ok()?.saturating_mul(unit);
        wait = Some(wait.unwrap_or_default() + Duration::from_secs(seconds).min(WAIT_CAP));
        words.next_if(|word| *word == "and");
    }
    wait.map(|wait| wait.min(WAIT_CAP))
}

/// How long until the quarter of an hour ends in which an answer was given, at least a second; a whole one where its
/// `Date` (milliseconds since 1970) is unknown.
///
/// Quotas of computing time are counted so. Source: "Advanced hunting service limits", read 2026-11.
#[must_use]
pub fn until_next_quarter(answered_ms: Option<i64>) -> Duration {
    const QUARTER_MS: i64 = 15 * 60 * 1_000;
    let passed = answered_ms.map_or(0, |ms| ms.rem_euclid(QUARTER_MS));
    Duration::from_millis((QUARTER_MS - passed).unsigned_abs()).max(Duration::from_secs(1))
}

/// "Maximum allowed N per hh:mm:ss" in the text of a 429.
#[must_use]
pub fn allowed_in_text(message: &str) -> Option<Allowed> {
    let (_, tail) = message.split_once("Maximum allowed ")?;
    let mut words = tail.split_whitespace();
    let calls: u32 = words.next()?.parse().ok()?;
    let period = words.next().filter(|word| *word == "per").and(words.next()).and_then(clock)?;
    (calls > 0 && period > Duration::ZERO).then_some(Allowed { calls, period })
}

/// A length of time as `hh:mm:ss`, with days before it (`1.02:03:04`) or a fraction behind it, which is rounded up.
fn clock(text: &str) -> Option<Duration> {
    let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole = number(days)? * 86_400 + number(hours)? * 3_600 + number(minutes)? * 60 + number(seconds)?;
    let more = fraction.bytes().any(|digit| digit != b'0');
    parts.next().is_none().then(|| Duration::from_secs(whole + u64::from(more)))
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
    use crate::error::Context;

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
        for (text, wait) in [
            ("again in 2 minutes", 120),
            ("again in 2 minutes and 5 seconds.", 125),
            ("again in 1 hour, 1 min", 3_660),
            ("You can run queries again in 00:12:30.", 750),
            ("again in 00:00:07.2500000", 8),
            ("again in 0.01:00:00.", 3_600),
            ("again in 9.00:00:00", 86_400),
        ] {
            assert_eq!(wait_in_text(text), seconds(wait), "{text}");
        }
        for text in ["again in 1:2", "again in 1:2:3:4", "again in a:b:c", "again in 3 fortnights"] {
            assert_eq!(wait_in_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_quarter_of_an_hour_ends_after_what_is_left_of_it() {
        for (answered, wait) in
            [(Some(0), 900), (Some(899_000), 1), (Some(899_999), 1), (Some(900_000), 900), (None, 900)]
        {
            assert_eq!(Some(until_next_quarter(answered)), seconds(wait), "{answered:?}");
        }
    }

    #[test]
    fn a_call_is_made_three_times_unless_it_is_of_no_use_and_to_be_asked_to_wait_is_no_failure() {
        let error = |kind| Error::new(kind, Context::default());
        let cut = error(ErrorKind::BodyCut);
        let mut tries = Tries::default();
        assert_eq!(tries.again(&cut, 0), Some(BACKOFF_FIRST / 2));
        let throttled = error(ErrorKind::Throttled { after: Some(Duration::from_secs(7)) });
        for _ in 0..9 {
            assert_eq!((tries.again(&throttled, 0), tries.failures()), (Some(Duration::from_secs(7)), 1));
        }
        assert_eq!(tries.again(&cut, 0), Some(BACKOFF_FIRST));
        assert_eq!(tries.again(&cut, 0), None);
        assert_eq!(Tries::default().again(&error(ErrorKind::NotFound), 0), None);
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
