//! Inside the quota, by itself and when it is told.

use crate::harness::{Bench, assert_same};
use jiff::SignedDuration;
use mde_sim::{Fault, RequestKind, RetryAfter, SimConfig};

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_with_all_of_the_vendors_quota_is_never_refused() {
    // The bench takes quotas away; here the documented ones count, by the real clock.
    let bench = Bench::start(|config| {
        config.quota = SimConfig::default().quota;
        config.alerts.count = 5_000;
        config.alerts.evidence = 0..=1;
        config.page.size = 60;
    })
    .await;
    bench.edit("    services:\n", "    quota: {share: 1.0}\n    services:\n");
    bench.once().await.exits(0);
    let (ledger, family) = (bench.sim.ledger(), mde_sim::Family::Alerts);
    assert!(ledger.request_count(RequestKind::Alerts) > 100, "it takes more than a minute's calls");
    assert_eq!(ledger.throttled(), 0);
    assert!(ledger.peak(family).minute <= family.documented().per_minute as usize);
    assert_eq!(bench.versions().len(), 5_000);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_429_nothing_is_asked_earlier_than_told() {
    for told in [RetryAfter::Seconds, RetryAfter::Text, RetryAfter::HttpDate] {
        let bench = Bench::start(|config| config.page.size = 250).await;
        bench.sim.scenario().once(RequestKind::Alerts, Fault::Pass);
        bench.sim.scenario().once(RequestKind::Alerts, Fault::Throttle { told, seconds: 3 });
        bench.once().await.exits(0);
        let requests = bench.sim.ledger().requests();
        let refused = requests.iter().position(|request| request.status == Some(429)).expect("it was refused");
        let next = requests.get(refused + 1).expect("it was asked again");
        // A date has whole seconds, so up to one of the three may have passed already.
        let least = if told == RetryAfter::HttpDate { 2 } else { 3 };
        let waited = next.at.duration_since(requests[refused].at);
        assert!(waited >= SignedDuration::from_secs(least), "{told:?}: asked again after {waited:?}");
        assert_eq!(bench.versions().len(), 1_000);
        assert_same(&bench.arrived(), &bench.expected());
    }
}
