//! `kill -9` anywhere: nothing lost, nothing stored twice.

use crate::harness::{Bench, Devo, Signal, assert_same, in_25_pages};
use mde_sim::{Fault, RequestKind};

/// Runs to the end and compares both outputs with the ledger: the file has each event once, the receiver at least once
/// under one `@event_id`.
async fn finishes(bench: &Bench, devo: &Devo, alerts: usize) {
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), alerts);
    assert_same(&bench.arrived(), &bench.expected());
    assert_same(&devo.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_once_before_the_first_row_and_at_every_tenth_of_25_000_it_loses_nothing_and_stores_nothing_twice() {
    const ALERTS: usize = 25_000;
    let bench = Bench::start(in_25_pages(ALERTS)).await;
    let devo = bench.devo().await;
    let killed = bench.run(&["--once"]);
    bench.sim.ledger().wait_requests(RequestKind::Token, 1).await;
    killed.signal(Signal::KILL);
    killed.ended().await.was_killed();
    assert_eq!(bench.sim.ledger().rows_served(), 0);
    for tenth in 1..10 {
        let killed = bench.run(&["--once"]);
        // Whole versions count, not rows: what a killed run had read is read again by the next one.
        let wanted = ALERTS * tenth / 10;
        bench.sim.ledger().wait_until(|ledger| ledger.versions_served().len() >= wanted).await;
        killed.signal(Signal::KILL);
        killed.ended().await.was_killed();
    }
    finishes(&bench, &devo, ALERTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kill_at_any_tenth_of_the_rows_loses_nothing_and_stores_nothing_twice() {
    const ALERTS: usize = 2_000;
    for tenth in 0..10 {
        let bench = Bench::start(in_25_pages(ALERTS)).await;
        let devo = bench.devo().await;
        let killed = bench.run(&["--once"]);
        bench.sim.ledger().wait_rows_served((tenth * ALERTS as u64 / 10).max(1)).await;
        killed.signal(Signal::KILL);
        killed.ended().await.was_killed();
        finishes(&bench, &devo, ALERTS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_delivers_the_file_holds_each_event_once() {
    const ALERTS: usize = 5_000;
    let bench = Bench::start(in_25_pages(ALERTS)).await;
    let devo = bench.devo().await;
    for events in [1, 1_000, 3_000] {
        let killed = bench.run(&["--once"]);
        devo.wait_events(events).await;
        killed.signal(Signal::KILL);
        killed.ended().await.was_killed();
    }
    finishes(&bench, &devo, ALERTS).await;
    assert!(devo.most_often() <= 4, "each start delivers an event once at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_two_batches_of_one_page_it_loses_nothing_and_stores_nothing_twice() {
    // One page whose events, about 3 KB each, are more than the 64 MiB at which a batch ends.
    const ALERTS: usize = 2_500;
    let bench = Bench::start(|config| {
        config.alerts.count = ALERTS;
        config.alerts.evidence = 16..=16;
    })
    .await;
    let devo = bench.devo().await;
    // So slowly that the first batch is on its way long before the page ends.
    let slow = bench.sim.scenario().always(RequestKind::Alerts, Fault::Slow { bytes: 10_000, pause_ms: 20 });
    let killed = bench.run(&["--once"]);
    devo.wait_events(1).await;
    killed.signal(Signal::KILL);
    killed.ended().await.was_killed();
    let status = bench.status().await;
    assert!(status["streams"][0]["checkpoint"].is_null(), "the page was not read to its end: {status}");
    bench.sim.scenario().stop(slow);
    finishes(&bench, &devo, ALERTS).await;
}
