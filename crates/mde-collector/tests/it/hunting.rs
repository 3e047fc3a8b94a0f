//! Hunting queries and investigations, end to end.

use crate::harness::Bench;
use mde_sim::{Fault, RequestKind, Service, SimConfig};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// How often each row stands in a list; rows are compared as JSON.
pub type Rows = BTreeMap<String, u64>;

pub fn count(rows: impl IntoIterator<Item = Value>) -> Rows {
    let mut counted = Rows::new();
    for row in rows {
        *counted.entry(row.to_string()).or_default() += 1;
    }
    counted
}

/// The events of a service without what the collector adds.
pub fn arrived(bench: &Bench, service: Service) -> Vec<Value> {
    let mut rows = bench.events(service);
    for row in &mut rows {
        let fields = row.as_object_mut().expect("an object");
        fields.remove("@devo_pulling_id").expect("every event has its pull");
        fields.remove("@event_id").expect("and its name");
    }
    rows
}

/// What a query finds now.
pub fn found(bench: &Bench, query: &str) -> Rows {
    let rows = bench.sim.world().hunt(query).expect("a good query");
    count(rows.iter().map(|row| serde_json::from_str(row).expect("JSON")))
}

/// Asks for this query instead of alerts, on whichever endpoint the roles allow.
fn ask(bench: &Bench, query: &str) {
    bench.ask(&section(query));
}

/// The section of this query.
pub fn section(query: &str) -> String {
    format!("advanced_hunting:\n        queries:\n          - {query}")
}

/// Every row that was there before the pull arrived as often as it is there, and nothing that is not there.
#[track_caller]
pub fn assert_whole(before: &Rows, arrived: &Rows, after: &Rows) {
    let missing: Vec<_> =
        before.iter().filter(|(row, times)| arrived.get(*row).unwrap_or(&0) < times).take(3).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    let extra: Vec<_> = arrived.iter().filter(|(row, times)| after.get(*row).unwrap_or(&0) < times).take(3).collect();
    assert!(extra.is_empty(), "too many: {extra:?}");
}

/// A tenant with so many rows in an answer at most.
fn tenant(row_cap: usize) -> impl FnOnce(&mut SimConfig) {
    move |config| {
        config.machines.count = 50;
        config.hunting.rows_per_minute = 2.0;
        config.hunting.row_cap = row_cap;
    }
}

/// The query of most tests, with a row cap that fits the tenant's.
pub fn logons(row_cap: usize) -> String {
    format!(
        "{{name: logons, query: \"DeviceLogonEvents // all of them\", devo_tag: my.app.defender.logons, timestamp_column: Timestamp, row_cap: {row_cap}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_once_each_though_slices_are_cut_at_the_row_cap_and_some_rows_are_equal() {
    let bench = Bench::start(tenant(500)).await;
    ask(&bench, &logons(500));
    let before = found(&bench, "DeviceLogonEvents");
    bench.once().await.exits(0);
    let first = count(arrived(&bench, Service::AdvancedHunting));
    assert_whole(&before, &first, &found(&bench, "DeviceLogonEvents"));
    assert!(first.values().any(|times| *times > 1), "equal rows are told apart");
    assert!(bench.sim.ledger().request_count(RequestKind::GraphHunting) > 5, "slices were cut");
    // Again: only what is new since.
    bench.once().await.exits(0);
    assert_whole(&before, &count(arrived(&bench, Service::AdvancedHunting)), &found(&bench, "DeviceLogonEvents"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_endpoints_give_the_same_rows_under_the_same_names() {
    let bench = Bench::start(tenant(100_000)).await;
    ask(&bench, &logons(100_000));
    let mut named = Vec::new();
    for (role, kind) in
        [("AdvancedQuery.Read.All", RequestKind::Hunting), ("ThreatHunting.Read.All", RequestKind::GraphHunting)]
    {
        bench.sim.entra().set_roles(vec![role.to_owned()]);
        let ended = bench.once().await.exits(0);
        assert!(bench.sim.ledger().request_count(kind) > 0);
        let warned = ended.stderr.contains("2027-02-01");
        assert_eq!(warned, kind == RequestKind::Hunting, "only the old endpoint is warned about");
        let name = |event: &Value| event["@event_id"].as_str().expect("a text").to_owned();
        named.push(bench.events(Service::AdvancedHunting).iter().map(name).collect::<BTreeSet<_>>());
        // The second collector knows nothing of the first.
        fs::remove_dir_all(bench.path("state")).expect("it was made");
        fs::remove_dir_all(bench.path("out")).expect("it was made");
    }
    assert!(named[0].len() > 1_000);
    assert!(named[0].is_subset(&named[1]), "{} rows have another name", named[0].difference(&named[1]).count());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_cut_and_computing_time_is_waited_for() {
    let bench = Bench::start(tenant(100_000)).await;
    ask(&bench, &logons(100_000));
    bench.sim.scenario().times(RequestKind::GraphHunting, 3, Fault::ResultTooLarge);
    bench.sim.scenario().once(RequestKind::GraphHunting, Fault::ComputeExhausted { seconds: 1 });
    let before = found(&bench, "DeviceLogonEvents");
    bench.once().await.exits(0);
    assert_whole(&before, &count(arrived(&bench, Service::AdvancedHunting)), &found(&bench, "DeviceLogonEvents"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_without_a_time_column_is_a_snapshot() {
    let bench = Bench::start(tenant(100_000)).await;
    ask(
        &bench,
        "{name: devices, query: \"DeviceInfo | project DeviceId, OSPlatform\", devo_tag: my.app.defender.devices}",
    );
    let before = found(&bench, "DeviceInfo | project DeviceId, OSPlatform");
    bench.once().await.exits(0);
    let once = count(arrived(&bench, Service::AdvancedHunting));
    assert_whole(&before, &once, &found(&bench, "DeviceInfo | project DeviceId, OSPlatform"));
    bench.once().await.exits(0);
    let twice: u64 = count(arrived(&bench, Service::AdvancedHunting)).values().sum();
    assert!(twice >= 2 * before.values().sum::<u64>(), "each snapshot gives all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_the_result_lacks_is_named() {
    let bench = Bench::start(tenant(100_000)).await;
    ask(
        &bench,
        "{name: logons, query: \"DeviceLogonEvents | project DeviceId, Timestamp\", devo_tag: my.app.x, timestamp_column: Timestmp}",
    );
    let ended = bench.once().await.exits(1);
    assert!(ended.stderr.contains("Timestmp"), "{}", ended.stderr);
    assert!(arrived(&bench, Service::AdvancedHunting).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn investigations_are_read_again_until_they_end_one_event_for_each_version() {
    let bench = Bench::start(|config| {
        config.investigations.count = 40;
        // Well within the seven days of a first start.
        config.investigations.span = Duration::from_secs(6 * 86_400);
        config.machines.count = 20;
    })
    .await;
    bench.ask("investigations:");
    let world = bench.sim.world();
    let open = world.add_investigation(Some(bench.sim.clock().now()), Duration::from_secs(4));
    let unborn = world.add_investigation(None, Duration::from_secs(3_600));
    bench.once().await.exits(0);
    let ids = |bench: &Bench| -> BTreeSet<String> {
        arrived(bench, Service::Investigations)
            .iter()
            .map(|row| row["id"].as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(ids(&bench), bench.tenant_ids(Service::Investigations));
    assert!(ids(&bench).contains(&unborn), "one without a start is found by the walk");
    // It ends by itself, and nothing in it says when it last changed.
    let ended = |world: &mde_sim::World| {
        world.picture().entities(Service::Investigations).any(|entity| {
            entity.id == open && serde_json::from_str::<Value>(&entity.body).expect("JSON")["endTime"].is_string()
        })
    };
    while !ended(world) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.once().await.exits(0);
    let versions: Vec<_> =
        arrived(&bench, Service::Investigations).into_iter().filter(|row| row["id"] == *open).collect();
    assert!(versions.len() >= 2, "{versions:?}");
    assert!(versions.last().expect("two")["endTime"].is_string());
    assert!(count(versions).values().all(|times| *times == 1), "one event for each version");
    bench.once().await.exits(0);
    let all = count(arrived(&bench, Service::Investigations));
    assert!(all.values().all(|times| *times == 1), "nothing twice");
}
