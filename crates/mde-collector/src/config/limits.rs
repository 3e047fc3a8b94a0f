//! `requests_per_second` and `requests_limits`: further bounds on calls, for an input or a service.

use super::CallLimit;
use super::key::{Branch, Form, Key, Table, keys};
use super::section::Section;
use super::units;
use std::time::Duration;

keys! {
    /// Further bounds on calls.
    pub(super) static KEYS;
    /// At most so many API calls in any second, beside Microsoft's own limits. A service's own count that service's calls.
    PER_SECOND: Key<i64> = Key::integer("requests_per_second", 1, i64::MAX).official();
    /// At most so many API calls in any period; all limits of input and service apply.
    LIMITS: Key<Branch> = Key::tree("requests_limits", Form::List(&LIMIT)).official();
}

keys! {
    /// One bound.
    static LIMIT_KEYS;
    /// The period: a number and one of s, m, h, d, w, M (30 days), y.
    PERIOD: Key<Duration> = Key::parsed("period", Form::Period, |_, text| units::period(text)).official().required();
    /// Calls in it; zero and less set no bound.
    CALLS: Key<i64> = Key::integer("number_of_requests", i64::MIN, i64::MAX).official().required();
}

/// One element of `requests_limits`.
static LIMIT: Table =
    Table { path: "requests_limits[]", doc: "One bound on calls, of an input or a service.", groups: &[LIMIT_KEYS] };

/// Reads both keys; those that set no bound are left out.
pub(super) fn load(section: &Section<'_>) -> Vec<CallLimit> {
    let per_second = section.optional(&PER_SECOND);
    let mut limits: Vec<CallLimit> =
        per_second.and_then(|calls| limit(Duration::from_secs(1), calls)).into_iter().collect();
    for rule in section.sections(&LIMITS) {
        let (period, calls) = (rule.required(&PERIOD), rule.required(&CALLS));
        rule.finish();
        limits.extend(period.zip(calls).and_then(|(period, calls)| limit(period, calls)));
    }
    limits
}

/// A bound; zero and less mean none.
fn limit(period: Duration, calls: i64) -> Option<CallLimit> {
    u64::try_from(calls).ok().filter(|calls| *calls > 0).map(|calls| CallLimit { period, calls })
}
