//! Nothing lost, nothing twice: what the simulator served against what arrived.

use crate::harness::Bench;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_arrives_once_and_a_second_run_adds_nothing() {
    let bench = Bench::start(|config| config.alerts.count = 2_500).await;
    let first = bench.once().await;
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert_eq!(bench.versions().len(), 2_500);
    assert_eq!(bench.arrived(), bench.expected());
    assert!(bench.once().await.status.success());
    assert_eq!(bench.arrived(), bench.expected());
    assert!(first.stdout.is_empty(), "stdout is for data only");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_1000_lose_nothing_of_25_000_alerts() {
    let bench = Bench::start(|config| {
        config.alerts.count = 25_000;
        config.alerts.evidence = 0..=2;
        config.page.size = 1_000;
    })
    .await;
    assert!(bench.once().await.status.success());
    assert!(bench.once().await.status.success());
    assert_eq!(bench.versions().len(), 25_000);
    assert_eq!(bench.arrived(), bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_that_share_one_moment_arrive_once_each() {
    let bench = Bench::start(|config| {
        config.alerts.count = 2_500;
        config.alerts.tied = usize::MAX;
        config.page.size = 300;
    })
    .await;
    assert!(bench.once().await.status.success());
    assert_eq!(bench.versions().len(), 2_500);
    assert_eq!(bench.arrived(), bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_tenth_of_its_rows_it_loses_nothing_and_stores_nothing_twice() {
    for tenth in 0..10 {
        let bench = Bench::start(|config| {
            config.alerts.count = 2_000;
            config.page.size = 250;
        })
        .await;
        let mut child = bench.spawn();
        bench.sim.ledger().wait_rows_served((tenth * 200).max(1)).await;
        // `kill` is SIGKILL here. The run may have ended by itself: then there is nothing to lose either.
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        let after = bench.once().await;
        assert!(after.status.success(), "{tenth}: {}", String::from_utf8_lossy(&after.stderr));
        let arrived = bench.arrived();
        assert_eq!(arrived.values().copied().max(), Some(1), "{tenth}: a file holds each event once");
        let ids: std::collections::BTreeSet<_> = arrived.keys().map(|(id, ..)| id).collect();
        assert_eq!(ids.len(), 2_000, "{tenth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_exit_3_and_is_never_shown() {
    let bench = Bench::start(|_| {}).await;
    bench.sim.entra().rotate_secret();
    let ended = bench.once().await;
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    for stream in [ended.stdout, ended.stderr] {
        assert!(!String::from_utf8_lossy(&stream).contains("telltale"), "the secret leaked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_database_and_a_broken_configuration_have_exit_codes_of_their_own() {
    let bench = Bench::start(|_| {}).await;
    assert!(bench.once().await.status.success());
    let database = bench.folder.path().join("state/mde-collector.db");
    let length = fs::metadata(&database).expect("the store").len();
    fs::OpenOptions::new().write(true).open(&database).and_then(|file| file.set_len(length / 2)).expect("writable");
    assert_eq!(bench.once().await.status.code(), Some(4));
    let config = bench.folder.path().join("config.yaml");
    let text = fs::read_to_string(&config)
        .expect("readable")
        .replace("override_api_base_url: http://127.0.0.1", "override_api_base_url: http://10.1.2.3");
    fs::write(&config, text).expect("writable");
    assert_eq!(bench.once().await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_six_hours_ahead_or_behind_changes_nothing_of_what_arrives() {
    for hours in [-6, 6] {
        let bench = Bench::start(|config| {
            config.clock.set_offset(jiff::SignedDuration::from_hours(hours));
            config.alerts.count = 1_001;
        })
        .await;
        assert!(bench.once().await.status.success(), "{hours}");
        assert_eq!(bench.versions().len(), 1_001, "{hours}");
        assert_eq!(bench.arrived(), bench.expected(), "{hours}");
    }
}
