//! Counts in events, end to end.

use crate::harness::{Bench, Signal};
use mde_sim::{Fault, RequestKind, Service};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often the tenant was asked for that.
fn asked(bench: &Bench, kind: RequestKind) -> usize {
    bench.sim.ledger().requests().iter().filter(|request| request.kind == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_stand_behind_the_record_in_the_order_of_the_table_and_come_in_bulk_for_many() {
    let bench = Bench::start(|config| {
        config.machines.count = 400;
        config.alerts.count = 50;
    })
    .await;
    bench.ask(
        "alerts: {flatten: false, request_alert_related_users: true, request_alert_related_files: true}\n      \
         machines: {request_machine_software: true, request_machine_related_alerts: true, request_machine_vulnerabilities: true}",
    );
    bench.once().await.exits(0);
    let order = |line: &str, names: &[&str]| {
        let places: Vec<_> = names.iter().map(|name| line.find(&format!("\"{name}\":")).expect(name)).collect();
        assert!(places.is_sorted(), "{names:?}");
    };
    for line in bench.lines(Service::Machines) {
        order(&line, &["id", "related_alerts", "related_vulnerabilities", "related_software", "@devo_pulling_id"]);
    }
    assert_eq!(bench.lines(Service::Machines).len(), 400);
    for line in bench.lines(Service::Alerts) {
        order(&line, &["id", "related_files", "related_users", "@devo_pulling_id"]);
        let event: Value = serde_json::from_str(&line).expect("JSON");
        let rows = event["evidence"].as_array().expect("rows");
        let hashes: BTreeSet<_> = rows.iter().filter_map(|row| row["sha1"].as_str()).collect();
        assert_eq!(event["related_files"], hashes.len());
        assert_eq!(event["related_users"], u64::from(!event["relatedUser"].is_null()));
    }
    assert_eq!(bench.lines(Service::Alerts).len(), 50);
    for kind in [RequestKind::ExportInventory, RequestKind::ExportVulnerabilities] {
        assert_eq!(asked(&bench, kind), 1, "{kind:?}");
    }
    assert_eq!(asked(&bench, RequestKind::MachineVulnerabilities), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_single_calls_costs_those_under_way_and_no_count() {
    let bench = Bench::start(|config| config.machines.count = 30).await;
    bench.ask("machines: {request_machine_logon_users: true, enrichment: {method: per_entity}}");
    let killed = bench.run(&["--once"]);
    while asked(&bench, RequestKind::MachineLogonUsers) < 12 {
        tokio::task::yield_now().await;
    }
    killed.signal(Signal::KILL);
    killed.ended().await;
    bench.once().await.exits(0);
    let events = bench.events(Service::Machines);
    assert!(events.iter().all(|event| event["related_logon_users"].is_u64()));
    assert_eq!(events.iter().map(|event| &event["id"]).filter_map(Value::as_str).collect::<BTreeSet<_>>().len(), 30);
    let calls = asked(&bench, RequestKind::MachineLogonUsers);
    assert!((30..=38).contains(&calls), "{calls} calls: one batch may be asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_count_is_a_change_and_one_that_is_ignored_or_unknown_is_none() {
    let bench = Bench::start(|config| {
        config.machines.count = 20;
        config.exports.rebuilt_every = Duration::ZERO;
    })
    .await;
    let machines = |ignored: &str| {
        format!(
            "machines: {{emit: changes, changes_ignore: [{ignored}], request_machine_related_alerts: true, \
             request_machine_vulnerabilities: true, enrichment: {{method: bulk, max_age: 1s}}}}"
        )
    };
    bench.ask(&machines("lastSeen"));
    let mut seen = 0;
    let mut news = |bench: &Bench| {
        let all = bench.events(Service::Machines);
        let new = all[seen..].to_vec();
        seen = all.len();
        new
    };
    bench.once().await.exits(0);
    assert_eq!(news(&bench).len(), 20);
    // The source of one count cannot be read any more: its newest value stays, and nothing has changed.
    let fault = bench.sim.scenario().always(RequestKind::ExportVulnerabilities, Fault::Forbidden);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    bench.once().await.exits(0);
    assert_eq!(news(&bench), [Value::Null; 0]);
    bench.sim.scenario().stop(fault);
    let mut named = BTreeSet::new();
    while named.len() < 2 {
        let id = bench.sim.world().add_alert(bench.sim.clock().now());
        let alert: Value =
            serde_json::from_str(&bench.sim.world().alert_json(&id).expect("it is there")).expect("JSON");
        named.extend(alert["machineId"].as_str().map(str::to_owned));
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    bench.once().await.exits(0);
    let changed: BTreeSet<_> =
        news(&bench).iter().map(|event| event["id"].as_str().expect("a text").to_owned()).collect();
    assert_eq!(changed, named, "those with one more alert");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_does_not_wait_for_ever_for_counts_of_its_own() {
    let bench = Bench::start(|config| config.alerts.count = 3).await;
    bench.ask(
        "alerts: {flatten: false, request_alert_related_ips: true, request_alert_related_files: true, enrichment: {method: per_entity}}",
    );
    bench.sim.scenario().always(RequestKind::AlertFiles, Fault::Hang);
    let mut running = bench.run(&[]);
    running.says("pull finished").await;
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    let events = bench.events(Service::Alerts);
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event.get("related_files").is_none()), "absent, never 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_show_says_how_each_count_is_had_and_why_and_how_old_it_is() {
    let bench = Bench::start(|config| {
        config.machines.count = 400;
        config.roles.retain(|role| role != "Software.Read.All");
    })
    .await;
    bench.ask(
        "machines: {request_machine_related_alerts: true, request_machine_vulnerabilities: true, request_machine_software: true}",
    );
    bench.once().await.exits(0);
    let ended = bench.launch(&["state", "show", "--config", "config.yaml", "--format", "json"]).ended().await.exits(0);
    let status: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let row = &status["streams"][0];
    let counts = row["counts"].as_array().expect("rows");
    let told: Vec<_> = counts.iter().map(|count| (&count["name"], &count["method"], &count["known"])).collect();
    assert_eq!(
        told,
        [
            (&"related_alerts".into(), &"alerts_walk".into(), &400.into()),
            (&"related_vulnerabilities".into(), &"vulnerability_export".into(), &400.into()),
            (&"related_software".into(), &"".into(), &0.into()),
        ]
    );
    assert!(counts[1]["reason"].as_str().is_some_and(|text| text.contains("quarter of the hourly quota")));
    assert!(counts[2]["reason"].as_str().is_some_and(|text| text.contains("lacks the role")));
    assert!(row["counts_age_s"].is_u64(), "{row}");
    let ended = bench.launch(&["state", "show", "--config", "config.yaml"]).ended().await.exits(0);
    for part in ["related_vulnerabilities: vulnerability_export", "related_software: cannot be had", "400 of 400 known"]
    {
        assert!(ended.stdout.contains(part), "{part} is missing:\n{}", ended.stdout);
    }
}
