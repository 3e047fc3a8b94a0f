//! Inside the quota, by itself and when it is told.

use crate::harness::{Bench, Signal, assert_same};
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

#[tokio::test(flavor = "multi_thread")]
async fn restarts_and_kills_in_the_middle_of_a_window_do_not_exceed_it() {
    let bench = Bench::start(|config| {
        config.quota = SimConfig::default().quota;
        config.alerts.count = 5_000;
        config.alerts.evidence = 0..=1;
        config.page.size = 60;
    })
    .await;
    bench.edit("    services:\n", "    quota: {share: 1.0}\n    services:\n");
    let ledger = bench.sim.ledger();
    // Each of them alone would find the whole minute free.
    for calls in [25, 50, 75, 90] {
        let killed = bench.run(&["--once"]);
        ledger.wait_requests(RequestKind::Alerts, calls).await;
        killed.signal(if calls == 50 { Signal::TERM } else { Signal::KILL });
        killed.ended().await;
    }
    bench.once().await.exits(0);
    let family = mde_sim::Family::Alerts;
    assert!(ledger.request_count(RequestKind::Alerts) > 100, "it takes more than a minute's calls");
    assert_eq!(ledger.throttled(), 0);
    assert!(ledger.peak(family).minute <= family.documented().per_minute as usize);
    assert_same(&bench.arrived(), &bench.expected());
    let left = std::fs::read_dir(bench.path("state")).expect("the state folder");
    let names: Vec<String> =
        left.map(|file| file.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| !name.contains("process")), "nothing is left of the killed ones: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_call_as_one_application_share_one_budget() {
    let bench = Bench::start(|config| {
        config.quota = SimConfig::default().quota;
        config.quota.insert(mde_sim::Family::Alerts, mde_sim::Limits { per_minute: 100, per_hour: 1_500 });
        config.alerts.count = 3_000;
        config.alerts.evidence = 0..=1;
        config.page.size = 60;
    })
    .await;
    // The same tenant under a second name, as some split their services.
    let text = std::fs::read_to_string(bench.path("config.yaml")).expect("readable");
    let (inputs, outputs) = text.split_once("outputs:").expect("both sections");
    let block = inputs.strip_prefix("inputs:\n").expect("the first section");
    let second = block.replace("simulated:", "again:").replace("id: mde-sim-", "id: again-");
    let both = format!("inputs:\n{block}{second}outputs:{outputs}")
        .replace("    services:", "    quota: {share: 1.0}\n    services:");
    std::fs::write(bench.path("config.yaml"), both.replace("out/{service}", "out/{tenant}-{service}"))
        .expect("writable");
    bench.once().await.exits(0);
    let ledger = bench.sim.ledger();
    assert!(ledger.request_count(RequestKind::Alerts) > 110, "{}", ledger.request_count(RequestKind::Alerts));
    assert_eq!(ledger.throttled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_collectors_by_mistake_on_one_application_obey_the_429s_lose_nothing_and_name_the_cause() {
    let bench = Bench::start(|config| {
        config.quota = SimConfig::default().quota;
        config.alerts.count = 3_600;
        config.alerts.evidence = 0..=1;
        config.page.size = 60;
    })
    .await;
    let text = std::fs::read_to_string(bench.path("config.yaml")).expect("readable");
    let other = text.replace("out/{service}", "other/{service}")
        + "globals:\n  persistence: {type: filesystem, config: {directory_name: other-state}}\n";
    std::fs::write(bench.path("other.yaml"), other).expect("writable");
    let (one, two) = (bench.run(&["--once"]), bench.launch(&["run", "--once", "--config", "other.yaml"]));
    let (one, two) = (one.ended().await.exits(0), two.ended().await.exits(0));
    let ledger = bench.sim.ledger();
    // After the first refusal both wait; one or two calls were under way.
    assert!((1..=6).contains(&ledger.throttled()), "{} refused", ledger.throttled());
    assert!(format!("{}{}", one.stderr, two.stderr).contains("another client uses this application"), "{}", one.stderr);
    assert_same(&bench.arrived(), &bench.expected());
    let other = std::fs::read_to_string(bench.path("other/alerts.ndjson")).expect("its output");
    let other = crate::harness::count(other.lines().map(|line| serde_json::from_str(line).expect("JSON")));
    assert_same(&other, &bench.expected());
}
