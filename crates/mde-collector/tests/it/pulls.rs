//! Nothing lost, nothing twice: what the simulator served against what arrived.

use crate::harness::{Bench, assert_same};
use jiff::SignedDuration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_arrives_once_and_a_second_run_adds_nothing() {
    let bench = Bench::start(|config| config.alerts.count = 2_500).await;
    let first = bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), 2_500);
    assert_same(&bench.arrived(), &bench.expected());
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
    assert!(first.stdout.is_empty(), "stdout is for data only");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_1000_lose_nothing_of_25_000_alerts_that_change_while_they_are_read() {
    let bench = Bench::start(|config| {
        config.alerts.count = 25_000;
        // Each row of an answer with evidence has some, so that it can be told from one without.
        config.alerts.evidence = 1..=2;
        config.page.size = 1_000;
    })
    .await;
    let devo = bench.devo().await;
    let ids: Vec<String> = bench.sim.world().versions().into_iter().map(|version| version.id).collect();
    let (clock, next) = (bench.sim.clock().clone(), AtomicUsize::new(0));
    let quiet = Arc::new(AtomicBool::new(false));
    let is_quiet = Arc::clone(&quiet);
    // Every 500 rows ten alerts are updated, all over the span: read already, being read, still to be read. Some of
    // the updates are late by five minutes, and now and then a new alert appears.
    bench.sim.scenario().after_rows(500, move |world| {
        for _ in 0..if is_quiet.load(Ordering::Relaxed) { 0 } else { 10 } {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let late = SignedDuration::from_mins(if number.is_multiple_of(3) { 5 } else { 0 });
            // An alert that was updated later than that stays as it is.
            let _ = world.update_alert(&ids[number * 7_919 % ids.len()], clock.now() - late);
            if number.is_multiple_of(20) {
                world.add_alert(clock.now());
            }
        }
    });
    bench.once().await.exits(0);
    // What an answer showed without its evidence cannot be stored; it may have been replaced before the next one.
    let mut served = bench.expected();
    served.retain(|(.., row), _| *row > 0);
    assert!(served.len() > 25_000, "the world changed meanwhile");
    assert_same(&bench.arrived(), &served);
    assert_same(&devo.arrived(), &served);
    quiet.store(true, Ordering::Relaxed);
    bench.once().await.exits(0);
    let arrived = bench.arrived();
    assert!(
        bench.shown().keys().all(|event| arrived.get(event) == Some(&1)),
        "after a further pull nothing is missing"
    );
    assert_same(&devo.arrived(), &arrived);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_five_thousand_alerts_of_one_moment_arrive_once_each() {
    let bench = Bench::start(|config| {
        config.alerts.count = 25_000;
        config.alerts.evidence = 0..=1;
        config.alerts.tied = usize::MAX;
        // More rows than any part that severity and status make, so that paging is needed as well.
        config.page.size = 5_000;
    })
    .await;
    bench.once().await.exits(0);
    let requests = bench.sim.ledger().requests();
    assert!(requests.iter().any(|request| request.query.contains("top=5000")), "a second pass has other borders");
    assert_eq!(bench.versions().len(), 25_000);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_six_hours_ahead_or_behind_changes_nothing_of_what_arrives() {
    for hours in [-6, 6] {
        let bench = Bench::start(|config| {
            config.clock.set_offset(SignedDuration::from_hours(hours));
            config.alerts.count = 1_001;
        })
        .await;
        bench.once().await.exits(0);
        assert_eq!(bench.versions().len(), 1_001, "{hours}");
        assert_same(&bench.arrived(), &bench.expected());
    }
}
