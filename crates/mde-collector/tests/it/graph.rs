//! Two APIs, one identity: the same tenant by the classic API and by Microsoft Graph.

use crate::harness::{Bench, Signal};
use mde_sim::{Listing, RequestKind, Retirement, Service, SimConfig, VersionKey};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Every alert is on both APIs.
fn untuned(alerts: usize) -> impl FnOnce(&mut SimConfig) {
    move |config| {
        config.alerts.count = alerts;
        config.graph.tuned_one_in = 0;
    }
}

/// Which versions arrived. Fails where one of their events did twice.
#[track_caller]
fn arrived(bench: &Bench) -> BTreeSet<(String, String)> {
    let arrived = bench.arrived();
    let doubled: Vec<_> = arrived.iter().filter(|(_, times)| **times != 1).take(3).collect();
    assert!(doubled.is_empty(), "came twice: {doubled:?}");
    arrived.into_keys().map(|(id, time, _)| (id, time)).collect()
}

/// Names of versions.
fn named(versions: impl IntoIterator<Item = VersionKey>) -> BTreeSet<(String, String)> {
    versions.into_iter().map(|version| (version.id, version.last_update_time)).collect()
}

/// What the classic API shows now.
fn shown(bench: &Bench) -> BTreeSet<(String, String)> {
    named(bench.sim.world().versions())
}

/// Updates every so many-th alert.
fn update(bench: &Bench, step: usize) {
    let world = bench.sim.world();
    for version in world.versions().into_iter().step_by(step) {
        world.update_alert(&version.id, bench.sim.clock().now()).expect("it is older");
    }
}

/// Rows that Graph has given out.
fn by_graph(bench: &Bench) -> u64 {
    bench.sim.ledger().request_count(RequestKind::GraphAlerts)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_world_comes_by_graph_with_the_same_keys_and_the_same_evidence() {
    let bench = Bench::start(untuned(2_500)).await;
    bench.ask("alerts: {backend: graph}");
    bench.once().await.exits(0);
    assert_eq!(bench.sim.ledger().request_count(RequestKind::Alerts), 0);
    crate::harness::assert_same(&bench.arrived(), &bench.shown());
    bench.once().await.exits(0);
    crate::harness::assert_same(&bench.arrived(), &bench.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_graph_leaves_out_is_missing_and_other_products_come_only_when_asked_for() {
    let bench = Bench::start(|config| {
        config.alerts.count = 300;
        config.graph.tuned_one_in = 10;
        config.graph.companion_one_in = 3;
    })
    .await;
    bench.ask("alerts: {backend: graph}");
    bench.once().await.exits(0);
    let (own, classic) = (arrived(&bench), shown(&bench));
    assert!(own.is_subset(&classic) && own.len() < 300 && own.len() > 200, "{} of {}", own.len(), classic.len());
    let told = bench.launch(&["check", "--config", "config.yaml"]).ended().await.exits(0);
    assert!(told.stdout.contains("not there: alerts that tuning rules suppress"), "{}", told.stdout);
    bench.edit("backend: graph", "backend: graph, scope: all, shape: native, flatten: false");
    bench.edit("id: mde-sim", "id: another");
    bench.once().await.exits(0);
    let native: Vec<_> =
        bench.events(Service::Alerts).into_iter().filter(|event| event["serviceSource"].is_string()).collect();
    assert!(native.len() > own.len(), "{} rows in Graph's own form", native.len());
    assert!(native.iter().any(|event| event["serviceSource"] != "microsoftDefenderForEndpoint"));
    assert!(native.iter().all(|event| event["lastUpdateDateTime"].is_string() && event["evidence"].is_array()));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_with_updates_and_kills_each_version_is_stored_once() {
    let bench = Bench::start(untuned(1_500)).await;
    bench.ask("alerts: {backend: mde}");
    bench.once().await.exits(0);
    let mut all = shown(&bench);
    assert_eq!(arrived(&bench), all);
    for (backend, before) in [("graph", "mde"), ("mde", "graph"), ("auto", "mde"), ("graph", "auto")] {
        update(&bench, 7);
        bench.settled().await;
        bench.edit(&format!("backend: {before}"), &format!("backend: {backend}"));
        let requests = bench.sim.ledger().request_count(None);
        let killed = bench.run(&["--once"]);
        bench.sim.ledger().wait_until(|ledger| ledger.request_count(None) > requests + 1).await;
        killed.signal(Signal::KILL);
        killed.ended().await;
        bench.once().await.exits(0);
        all.extend(shown(&bench));
        assert_eq!(arrived(&bench), all, "{before} to {backend}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_api_dies_while_all_changes_and_auto_loses_nothing_and_repeats_nothing() {
    for how in [Retirement::Gone, Retirement::InTurn] {
        let bench = Bench::start(untuned(800)).await;
        bench.ask("alerts: {request_period_in_seconds: 1}");
        let (clock, next) = (bench.sim.clock().clone(), Arc::new(AtomicUsize::new(0)));
        let quiet = Arc::new(AtomicBool::new(false));
        // With each answer of either API some alerts are updated and one appears.
        for kind in [RequestKind::Alerts, RequestKind::GraphAlerts] {
            let (clock, next, quiet) = (clock.clone(), Arc::clone(&next), Arc::clone(&quiet));
            bench.sim.scenario().after_requests(kind, 1, move |world| {
                for version in world.versions().into_iter().step_by(97).take(if quiet.load(Relaxed) { 0 } else { 5 }) {
                    // One that was updated within the same tick stays as it is.
                    let _ = world.update_alert(&version.id, clock.now());
                    if next.fetch_add(1, Relaxed).is_multiple_of(5) {
                        world.add_alert(clock.now());
                    }
                }
            });
        }
        let running = bench.run(&[]);
        bench.sim.ledger().wait_until(|ledger| ledger.versions_served().len() > 815).await;
        bench.sim.scenario().retire_classic(bench.sim.clock().now(), how);
        bench.sim.ledger().wait_until(|ledger| ledger.request_count(RequestKind::GraphAlerts) > 8).await;
        running.signal(Signal::TERM);
        running.ended().await.exits(0);
        quiet.store(true, Relaxed);
        bench.settled().await;
        bench.once().await.exits(0);
        let (arrived, shown) = (arrived(&bench), shown(&bench));
        let missing: Vec<_> = shown.difference(&arrived).take(3).collect();
        assert!(missing.is_empty(), "{how:?}: {missing:?}");
        let served: BTreeSet<_> = named(bench.sim.ledger().versions_served().into_keys())
            .into_iter()
            .chain(named(bench.sim.ledger().versions_served_by(Listing::GraphAlerts).into_keys()))
            .collect();
        assert!(arrived.is_subset(&served));
        let state = bench.launch(&["state", "show", "--config", "config.yaml"]).ended().await.exits(0);
        assert!(state.stdout.contains("graph"), "{}", state.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_classic_role_auto_reads_graph_and_with_none_it_says_so() {
    let bench = Bench::start(|config| {
        untuned(200)(config);
        config.roles.retain(|role| !role.starts_with("Alert."));
    })
    .await;
    bench.once().await.exits(0);
    assert_eq!((arrived(&bench), by_graph(&bench) > 0), (shown(&bench), true));
    bench.sim.entra().set_roles(vec!["Machine.Read.All".to_owned()]);
    let ended = bench.once().await.exits(3);
    assert!(ended.stderr.contains("Alert.Read.All"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_answer_is_no_answer_and_the_window_is_read_again() {
    let bench = Bench::start(untuned(120)).await;
    bench.ask("alerts: {backend: graph}");
    bench.sim.scenario().once(RequestKind::GraphAlerts, mde_sim::Fault::Partial { status: 504, ms: 10 });
    let ended = bench.once().await.exits(0);
    assert!(ended.stderr.contains("the answer is incomplete"), "{}", ended.stderr);
    assert_eq!(arrived(&bench), shown(&bench));
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_come_once_for_each_change() {
    let bench = Bench::start(|config| config.alerts.count = 400).await;
    bench.ask("incidents:");
    bench.once().await.exits(0);
    let first = bench.ids(Service::Incidents);
    let served = named(bench.sim.ledger().versions_served_by(Listing::Incidents).into_keys());
    assert_eq!(first.keys().cloned().collect::<BTreeSet<_>>(), served.into_iter().map(|(id, _)| id).collect());
    assert!(first.len() > 100 && first.values().all(|times| *times == 1), "{} incidents", first.len());
    let mut ids = first.keys();
    let (from, into) = (ids.next().expect("many"), ids.next().expect("many"));
    bench.sim.world().merge_incidents(from, into, bench.sim.clock().now()).expect("both are there");
    bench.settled().await;
    bench.once().await.exits(0);
    let versions: BTreeSet<_> = bench
        .events(Service::Incidents)
        .iter()
        .map(|event| (event["id"].to_string(), event["lastUpdateDateTime"].to_string()))
        .collect();
    assert_eq!(versions.len(), bench.events(Service::Incidents).len(), "each version once");
    assert!(versions.len() > first.len(), "one is merged into another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_graph_lacks_is_refused_by_name() {
    let bench = Bench::start(|_| {}).await;
    bench.ask("investigations: {backend: graph}");
    let ended = bench.once().await.exits(2);
    assert!(ended.stderr.contains("Microsoft Graph has no investigations"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_hunting_alone_lists_come_from_tables_and_back_again_without_a_tombstone() {
    let bench = Bench::start(|config| {
        config.machines.count = 40;
        config.vulnerabilities.count = 100;
    })
    .await;
    let all = bench.sim.entra();
    all.set_roles(vec!["ThreatHunting.Read.All".to_owned()]);
    bench.ask("machines: {emit: changes}\n      software:\n      vulnerabilities:\n      investigations:");
    let ended = bench.once().await.exits(1);
    assert!(ended.stderr.contains("Alert.Read.All"), "investigations are nowhere else: {}", ended.stderr);
    let (machines, shown) = (bench.ids(Service::Machines), bench.tenant_ids(Service::Machines));
    assert!(!machines.is_empty() && machines.keys().all(|id| shown.contains(id)), "{} machines", machines.len());
    assert!(bench.events(Service::Machines).iter().all(|event| event["riskScore"].is_null()));
    for service in [Service::Software, Service::Vulnerabilities] {
        let (found, shown) = (bench.ids(service), bench.tenant_ids(service));
        assert!(!found.is_empty() && found.keys().all(|id| shown.contains(id)), "{service:?}");
        assert!(found.values().all(|times| *times == 1), "{service:?}");
    }
    let state = bench.launch(&["state", "show", "--format", "json", "--config", "config.yaml"]).ended().await.exits(0);
    assert!(state.stdout.contains("\"backend\":\"hunting\""), "{}", state.stdout);
    all.set_roles(vec!["Machine.Read.All".to_owned(), "ThreatHunting.Read.All".to_owned()]);
    bench.run(&["--once", "--service", "machines"]).ended().await.exits(0);
    let events = bench.events(Service::Machines);
    assert!(events.iter().all(|event| event["@removed"].is_null()), "nothing is said to be gone");
    assert!(events.iter().any(|event| event["riskScore"].is_string()), "the classic list is read again");
}
