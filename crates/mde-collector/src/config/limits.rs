//! `requests_per_second` and `requests_limits`: further bounds on calls, for an input or a service.

use super::CallLimit;
use super::section::Section;
use super::units;
use std::time::Duration;

/// Reads both keys; those that set no bound are left out.
pub(super) fn load(section: &Section<'_>) -> Vec<CallLimit> {
    let per_second = section.integer("requests_per_second").at_least(1).optional();
    let mut limits: Vec<CallLimit> =
        per_second.and_then(|calls| limit(Duration::from_secs(1), calls)).into_iter().collect();
    for item in section.items("requests_limits").unwrap_or_default() {
        let rule = Section::new(section.report, item.at(), Some(item));
        let period = rule.key("period", units::period).required();
        let calls = rule.integer("number_of_requests").required();
        rule.finish();
        limits.extend(period.zip(calls).and_then(|(period, calls)| limit(period, calls)));
    }
    limits
}

/// A bound; zero and less mean none.
fn limit(period: Duration, calls: i64) -> Option<CallLimit> {
    u64::try_from(calls).ok().filter(|calls| *calls > 0).map(|calls| CallLimit { period, calls })
}
