//! Snapshots, end to end: what the tenant has against what arrived.

use crate::harness::{Bench, Signal, assert_same};
use crate::hunting;
use mde_sim::{ErrorBody, Fault, RequestKind, Service};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Services that are read as snapshots.
const SNAPSHOTS: [Service; 4] =
    [Service::Machines, Service::Software, Service::Vulnerabilities, Service::Recommendations];

/// How often each id arrived in each snapshot.
fn arrived(events: &[Value]) -> BTreeMap<(String, String), u64> {
    let mut arrived = BTreeMap::new();
    for event in events.iter().filter(|event| event.get("@snapshot_count").is_none()) {
        let text = |name: &str| event[name].as_str().expect("a text").to_owned();
        *arrived.entry((text("@devo_pulling_id"), text("id"))).or_default() += 1;
    }
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn all_seven_services_of_10_000_machines_arrive_whole_each_once_and_entities_octet_for_octet() {
    let bench = Bench::start(|config| {
        config.machines.count = 10_000;
        config.page.size = 3_000;
        config.alerts.count = 5_000;
        // Each row of an answer with evidence has some, so that it can be told from one without.
        config.alerts.evidence = 1..=2;
        config.investigations.count = 500;
        // Well within the seven days of a first start.
        config.investigations.span = Duration::from_secs(6 * 86_400);
        config.hunting.rows_per_minute = 0.5;
        config.hunting.row_cap = 1_000;
    })
    .await;
    let hunting = hunting::section(&hunting::logons(1_000));
    let snapshots = "machines:\n      software:\n      vulnerabilities:\n      recommendations:";
    bench.ask(&format!("alerts:\n      {snapshots}\n      investigations:\n      {hunting}"));
    let before = hunting::found(&bench, "DeviceLogonEvents");
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.shown());
    let rows = hunting::count(hunting::arrived(&bench, Service::AdvancedHunting));
    assert!(rows.len() > 1_000, "{} rows", rows.len());
    hunting::assert_whole(&before, &rows, &hunting::found(&bench, "DeviceLogonEvents"));
    // One that ends meanwhile may come twice, as two versions.
    let investigations = hunting::count(hunting::arrived(&bench, Service::Investigations));
    assert!(investigations.values().all(|times| *times == 1));
    let ids: BTreeSet<_> = bench.ids(Service::Investigations).into_keys().collect();
    assert_eq!(ids, bench.tenant_ids(Service::Investigations));
    for service in SNAPSHOTS {
        let mut bodies: BTreeSet<String> =
            bench.sim.world().picture().entities(service).map(|entity| entity.body).collect();
        let count = bodies.len();
        assert!(count > 0, "{service:?}");
        for line in bench.lines(service) {
            let (body, tail) = line.rsplit_once(",\"@devo_pulling_id\":").expect("every event has a tail");
            assert!(tail.contains("\"@event_id\""));
            assert!(bodies.remove(&format!("{body}}}")), "not in the tenant, or twice: {body}");
        }
        assert!(bodies.is_empty(), "{service:?}: {} of {count} are missing", bodies.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_move_between_pages_are_sent_once_and_none_is_missed() {
    let bench = Bench::start(|config| {
        config.machines.count = 2_000;
        config.page.size = 500;
    })
    .await;
    bench.ask("machines:");
    let kept: BTreeSet<_> = (0..2_000).filter(|number| number % 7 != 3).collect();
    let mut gone = (0..2_000_u32).filter(|number| number % 7 == 3).collect::<Vec<_>>();
    let gone = std::sync::Mutex::new(std::mem::take(&mut gone).into_iter());
    // After each page one machine comes to the front and one in the middle goes.
    bench.sim.scenario().after_rows(500, move |world| {
        world.add_machines(1);
        if let Some(number) = gone.lock().expect("no panic").next() {
            world.remove_machine(number);
        }
    });
    bench.run(&["--once"]).ended().await;
    let arrived = arrived(&bench.events(Service::Machines));
    assert!(arrived.values().all(|times| *times == 1), "nothing twice");
    let ids: BTreeSet<_> = arrived.into_keys().map(|(_, id)| id).collect();
    let missing: Vec<_> =
        kept.iter().map(|number| bench.sim.world().machine_id(*number)).filter(|id| !ids.contains(id)).collect();
    assert!(missing.is_empty(), "there all the time and missed: {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fails_makes_an_incomplete_snapshot_that_is_finished_once_it_is_healed() {
    let bench = Bench::start(|config| {
        config.machines.count = 2_500;
        config.page.size = 500;
    })
    .await;
    bench.ask("machines: {emit: changes, snapshot_marker: true}");
    let fault = bench.sim.scenario().always(RequestKind::Machines, Fault::FailedPage { page: 3 });
    bench.once().await.exits(1);
    let before = bench.events(Service::Machines);
    assert!(
        before.iter().all(|event| event.get("@removed").is_none()),
        "an incomplete snapshot takes nothing for gone"
    );
    assert!(before.iter().all(|event| event["@snapshot_complete"] != Value::Bool(true)), "and is not called complete");
    bench.sim.scenario().stop(fault);
    bench.once().await.exits(0);
    let after = bench.events(Service::Machines);
    let arrived = arrived(&after);
    assert!(arrived.values().all(|times| *times == 1), "nothing twice");
    let ids: BTreeSet<_> = arrived.into_keys().map(|(_, id)| id).collect();
    assert_eq!(ids, bench.tenant_ids(Service::Machines));
    let markers: Vec<_> = after.iter().filter(|event| event.get("@snapshot_count").is_some()).collect();
    assert_eq!(markers.last().expect("a marker")["@snapshot_complete"], Value::Bool(true));
    assert!(after.iter().all(|event| event.get("@removed").is_none()));
}

/// Where the first page begins that was asked for behind so many requests for machines. Unit: rows.
fn first_row_asked(bench: &Bench, before: usize) -> u64 {
    let requests = bench.sim.ledger().requests();
    let mut machines = requests.iter().filter(|request| request.kind == RequestKind::Machines);
    let query = &machines.nth(before).expect("another request").query;
    let skip = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "$skip");
    skip.map_or(0, |(_, value)| value.parse().expect("a number"))
}

/// Five pages of machines, of which two have been read and the third is at stake.
async fn five_pages() -> Bench {
    let bench = Bench::start(|config| {
        config.machines.count = 2_500;
        config.page.size = 500;
    })
    .await;
    bench.ask("machines: {emit: changes, snapshot_marker: true}");
    bench
}

/// One snapshot, each machine once, counted in full, nothing taken for gone.
fn assert_whole(bench: &Bench) {
    let events = bench.events(Service::Machines);
    assert!(events.iter().all(|event| event.get("@removed").is_none()));
    let markers: Vec<_> = events.iter().filter(|event| event.get("@snapshot_count").is_some()).collect();
    assert_eq!(markers.len(), 1);
    assert_eq!((&markers[0]["@snapshot_count"], &markers[0]["@snapshot_complete"]), (&2_500.into(), &true.into()));
    let arrived = arrived(&events);
    assert!(arrived.len() == 2_500 && arrived.values().all(|times| *times == 1), "nothing twice");
    assert_eq!(arrived.keys().map(|(snapshot, _)| snapshot).collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_at_the_third_page_of_five_is_gone_on_with_at_that_page() {
    let bench = five_pages().await;
    let scenario = bench.sim.scenario();
    scenario.times(RequestKind::Machines, 2, Fault::Pass);
    let away = scenario.always(RequestKind::Machines, Fault::Status { status: 503, body: ErrorBody::Html });
    bench.once().await.exits(1);
    let events = bench.events(Service::Machines);
    assert_eq!(arrived(&events).len(), 1_000, "what was read is delivered");
    assert!(events.iter().all(|event| event.get("@removed").is_none() && event.get("@snapshot_count").is_none()));
    scenario.stop(away);
    let before = bench.sim.ledger().request_count(RequestKind::Machines) as usize;
    bench.once().await.exits(0);
    assert_eq!(first_row_asked(&bench, before), 1_000, "no page is read again");
    assert_whole(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_the_third_page_of_five_it_reads_one_page_again_at_most() {
    let bench = five_pages().await;
    let killed = bench.run(&["--once"]);
    bench.sim.ledger().wait_rows_served_of(Service::Machines, 1_001).await;
    killed.signal(Signal::KILL);
    killed.ended().await.was_killed();
    let served = bench.sim.ledger().rows_served_of(Service::Machines);
    let before = bench.sim.ledger().request_count(RequestKind::Machines) as usize;
    bench.once().await.exits(0);
    // A page is asked for once the one before it is stored.
    let read_on = first_row_asked(&bench, before);
    assert!(served > 2_500 || read_on + 500 >= served.next_multiple_of(500), "from row {read_on} of {served}");
    assert_whole(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_snapshots_with_emit_changes_tell_what_came_changed_and_went_and_nothing_else() {
    let bench = Bench::start(|config| {
        config.machines.count = 300;
        config.page.size = 1_000;
    })
    .await;
    bench.ask("machines: {emit: changes, changes_ignore: [lastSeen]}");
    let world = bench.sim.world();
    let mut seen = 0;
    let mut news = |bench: &Bench| {
        let all = bench.events(Service::Machines);
        let news: Vec<_> = all[seen..]
            .iter()
            .map(|event| (event["id"].as_str().expect("a text").to_owned(), event.get("@removed").is_some()))
            .collect();
        seen = all.len();
        news.into_iter().collect::<BTreeSet<_>>()
    };
    bench.once().await.exits(0);
    assert_eq!(news(&bench).len(), 300, "the first snapshot tells all");

    let bodies = |bench: &Bench| -> BTreeMap<String, Value> {
        let picture = bench.sim.world().picture();
        let body = |body: &str| {
            let mut body: Value = serde_json::from_str(body).expect("JSON");
            body.as_object_mut().expect("an object").remove("lastSeen");
            body
        };
        picture.entities(Service::Machines).map(|entity| (entity.id, body(&entity.body))).collect()
    };
    let first = bodies(&bench);
    let added: BTreeSet<_> = world.add_machines(3).map(|number| world.machine_id(number)).collect();
    (10..30).for_each(|number| assert!(world.touch_machine(number)));
    (40..45).for_each(|number| assert!(world.remove_machine(number)));
    let second = bodies(&bench);
    let changed: BTreeSet<_> =
        second.iter().filter(|(id, body)| first.get(*id) != Some(*body)).map(|(id, _)| id.clone()).collect();
    assert!(changed.is_superset(&added) && changed.len() > 3, "something besides the time of a report has changed");
    bench.once().await.exits(0);
    assert_eq!(news(&bench), changed.into_iter().map(|id| (id, false)).collect(), "one absence is not enough");

    bench.once().await.exits(0);
    let gone = (40..45).map(|number| (world.machine_id(number), true)).collect();
    assert_eq!(news(&bench), gone, "two are, and nothing else has happened");

    bench.once().await.exits(0);
    assert!(news(&bench).is_empty(), "a tombstone comes once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_snapshot_is_taken_up_under_the_same_id() {
    let bench = Bench::start(|config| {
        config.machines.count = 20_000;
        config.page.size = 1_000;
    })
    .await;
    bench.ask("machines:");
    for rows in [3_500, 9_000, 14_200, 21_000] {
        let killed = bench.run(&["--once"]);
        bench.sim.ledger().wait_rows_served_of(Service::Machines, rows).await;
        killed.signal(Signal::KILL);
        killed.ended().await.was_killed();
    }
    bench.once().await.exits(0);
    let arrived = arrived(&bench.events(Service::Machines));
    let snapshots: BTreeSet<_> = arrived.keys().map(|(snapshot, _)| snapshot).collect();
    assert_eq!(snapshots.len(), 1, "one snapshot over five processes");
    assert!(arrived.values().all(|times| *times == 1));
    assert_eq!(arrived.len(), 20_000);
}
