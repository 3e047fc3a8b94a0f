//! What holds while a tenant's counts are refreshed without end: no call is refused, no alert waits, nothing is lost.

use super::{HOUR, Trial, counted};
use crate::record::StreamKey;
use crate::store::{Counts, History};
use mde_sim::{RequestKind, SimConfig};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What stands in a service's section beside its flags: machines only where they change, so that the file stays small.
pub fn small(service: &str) -> &'static str {
    match service {
        "alerts" => "flatten: false",
        "machines" => "emit: changes",
        _ => "",
    }
}

/// Between two polls of alerts: who stops in the middle of one has been served what he has not stored.
pub const BETWEEN: Duration = Duration::from_secs(30);

/// A tenant in which alerts come and change.
pub fn tenant(machines: usize) -> impl FnOnce(&mut SimConfig) {
    move |config| {
        config.machines.count = machines;
        config.machines.software = 6;
        config.vulnerabilities.count = 60;
        config.alerts.count = 200;
        config.alerts.evidence = 1..=3;
        (config.alerts.new_per_minute, config.alerts.updates_per_minute) = (0.4, 0.4);
    }
}

/// How long after their time versions of alerts were stored that came while somebody looked, in ascending order. Unit:
/// milliseconds. Fails where a version that was served is not in the file exactly once; one that is younger than `under_way` may
/// still have been waiting when everything was stopped.
pub async fn latencies(trial: &Trial, under_way: Duration) -> Vec<i64> {
    let store = trial.left().await;
    let served = trial.sim.ledger().versions_served();
    let mut late: Vec<i64> = Vec::new();
    let ids: std::collections::BTreeSet<_> = served.keys().map(|version| version.id.clone()).collect();
    for id in ids {
        let traces = store.history(&id, 1_000).await.expect("it can be read");
        late.extend(
            traces
                .iter()
                .map(|traced| (traced.stored_ms, traced.trace.time_ms))
                .filter_map(|(stored_ms, time_ms)| (time_ms > trial.clock.start_ms).then_some(stored_ms - time_ms)),
        );
    }
    let text = fs::read_to_string(trial.folder.path().join("out/alerts.ndjson")).expect("its output");
    let mut arrived: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| event[name].as_str().expect("a text").to_owned();
        *arrived.entry((text("id"), text("lastUpdateTime"))).or_default() += 1;
    }
    let last_ms = trial.now()() - i64::try_from(under_way.as_millis()).expect("minutes");
    let mut wanted: BTreeMap<_, _> =
        served.into_keys().map(|version| ((version.id, version.last_update_time), 1)).collect();
    let settled = |(_, time): &(String, String)| {
        under_way.is_zero() || time.parse::<jiff::Timestamp>().expect("a time").as_millisecond() < last_ms
    };
    arrived.retain(|version, _| settled(version));
    wanted.retain(|version, _| settled(version));
    assert_eq!(arrived, wanted, "each version that was served, once");
    late.sort_unstable();
    late
}

/// The one below which so many of a thousand lie.
pub fn permille(sorted: &[i64], of_thousand: usize) -> i64 {
    sorted[(sorted.len() * of_thousand / 1_000).min(sorted.len() - 1)]
}

#[tokio::test(start_paused = true)]
async fn while_counts_are_refreshed_no_call_is_refused_no_alert_waits_and_a_restart_keeps_the_hour() {
    // More machines than calls may be made in an hour, and counts that may be an hour old: they are asked for without end.
    let more = |service: &str| match service {
        "machines" => "emit: changes, enrichment: {max_age: 1h}",
        other => small(other),
    };
    let trial = Trial::new(tenant(1_500), &counted(|_| true, more)).await;
    trial.run_for(HOUR * 2 + HOUR / 3 + BETWEEN).await;
    let before = trial.asked(RequestKind::MachineLogonUsers);
    // At once and in the middle of an hour whose calls are made.
    trial.run_for(HOUR * 4 + BETWEEN).await;
    trial.assert_within_quota();
    let calls = trial.asked(RequestKind::MachineLogonUsers);
    assert!(before > 1_900 && calls > 5_000, "they are refreshed all the time: {before}, then {calls}");
    let late = latencies(&trial, Duration::ZERO).await;
    assert!(late.len() > 200, "{} versions came", late.len());
    let p99 = permille(&late, 990);
    assert!(p99 <= 65_000, "period and 5 s: {p99} ms");
    let stream = StreamKey { tenant: "mde-sim-1".to_owned(), service: "machines".to_owned(), query: None };
    let states = trial.left().await.count_states(&stream).await.expect("it can be read");
    let users = states.iter().find(|state| state.kind.name == "related_logon_users").expect("it was asked for");
    assert_eq!((users.wanted, users.known), (1_500, 1_500), "{users:?}");
    let age = Duration::from_millis((trial.now()() - users.oldest_ms.expect("known")).unsigned_abs());
    // 1,500 take 94 minutes.
    assert!(age < HOUR * 2, "the oldest first, so none is left behind: {age:?}");
}

#[tokio::test(start_paused = true)]
async fn alerts_that_ask_for_their_own_counts_one_by_one_wait_a_minute_for_them_and_no_longer() {
    let more = |service: &str| match service {
        "alerts" => "flatten: false, enrichment: {method: per_entity}",
        "machines" => "emit: changes, enrichment: {max_age: 1h}",
        other => small(other),
    };
    let trial = Trial::new(tenant(1_500), &counted(|_| true, more)).await;
    trial.run_for(HOUR * 3 + BETWEEN).await;
    trial.assert_within_quota();
    let late = latencies(&trial, Duration::from_secs(130)).await;
    assert!(late.len() > 80, "{} versions came", late.len());
    let asked = trial.asked(RequestKind::AlertFiles);
    assert!(asked as usize >= late.len(), "each was asked for its own: {asked}");
    let p99 = permille(&late, 990);
    assert!(p99 <= 125_000, "period, 5 s, and a minute for its counts: {p99} ms");
}
