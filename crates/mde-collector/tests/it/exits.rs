//! Exit codes, and the sentence that comes with each.

use crate::harness::{Bench, Signal, assert_same};
use mde_sim::RequestKind;
use mde_sim::receiver::{After, Behaviour};
use std::fs;
use std::time::Duration;

/// A configuration with one mistake: what stands there, what is written instead, and what must be said about it.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    ("      alerts:\n", "      alerts:\n        overlp: 10m\n", &["config.yaml:16:9", "`overlp`", "overlap"]),
    ("      alerts:\n", "      alerts:\n        overlap: often\n", &["config.yaml:16:18", "often"]),
    ("      alerts:\n", "      alerts:\n        request_period_in_seconds: [1]\n", &["config.yaml:16:36"]),
    ("override_api_base_url: http://127.0.0.1", "override_api_base_url: http://10.1.2.3", &["https"]),
    ("override_token_url: http://127.0.0.1", "override_token_url: http://10.1.2.3", &["https"]),
    (
        "outputs:\n",
        "outputs:\n  devo: {type: devo_platform, config: {address: localhost, port: 443, cert: no.crt, key: no.key}}\n",
        &["no.crt", "no.key"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_in_the_configuration_is_exit_2_and_is_told_with_its_place() {
    for (from, to, told) in MISTAKES {
        let bench = Bench::start(|_| {}).await;
        bench.edit(from, to);
        let ended = bench.once().await.exits(2);
        for word in *told {
            assert!(ended.stderr.contains(word), "{word:?} is not in:\n{}", ended.stderr);
        }
        assert!(ended.stdout.is_empty() && !bench.path("state").exists() && !bench.path("out").exists());
        assert_eq!(bench.sim.ledger().request_count(None), 0, "nobody was asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_are_told_at_once() {
    let bench = Bench::start(|_| {}).await;
    let edits: Vec<_> = MISTAKES.iter().filter(|(from, ..)| !from.contains("alerts")).collect();
    edits.iter().for_each(|(from, to, _)| bench.edit(from, to));
    let ended = bench.once().await.exits(2);
    for word in edits.iter().flat_map(|(.., told)| *told) {
        assert!(ended.stderr.contains(word), "{word:?} is not in:\n{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_exit_3() {
    let bench = Bench::start(|_| {}).await;
    bench.sim.entra().rotate_secret();
    let ended = bench.once().await.exits(3);
    assert!(ended.stderr.contains("AADSTS7000215"), "{}", ended.stderr);
    assert_eq!(bench.sim.ledger().request_count(RequestKind::Alerts), 0, "a refused identity spends no quota");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_in_use_is_exit_4_and_the_one_who_uses_it_goes_on() {
    let bench = Bench::start(|_| {}).await;
    let first = bench.run(&[]);
    bench.sim.ledger().wait_requests(RequestKind::Token, 1).await;
    let ended = bench.once().await.exits(4);
    assert!(ended.stderr.contains("another process") && ended.stderr.contains("way out"), "{}", ended.stderr);
    bench.sim.ledger().wait_rows_served(1_000).await;
    first.signal(Signal::TERM);
    first.ended().await.exits(0);
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_database_is_exit_4_and_is_left_as_it_is() {
    let bench = Bench::start(|_| {}).await;
    bench.once().await.exits(0);
    let database = bench.path("state/mde-collector.db");
    let whole = fs::read(&database).expect("the store");
    fs::write(&database, &whole[..whole.len() / 2]).expect("writable");
    let ended = bench.once().await.exits(4);
    assert!(ended.stderr.contains("damaged") && ended.stderr.contains("way out"), "{}", ended.stderr);
    assert_eq!(fs::metadata(&database).expect("the store").len(), whole.len() as u64 / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_nothing_in_does_not_outlast_the_drain_time_and_loses_nothing() {
    let bench = Bench::start(|_| {}).await;
    let devo = bench.devo().await;
    devo.stall();
    let ended = bench.run(&["--once", "--drain-timeout", "2s"]).ended();
    // Far more than 2 s, for a busy machine, and far less than the minute.
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it gives up in time").exits(1);
    assert!(ended.stderr.contains("devo") && ended.stderr.contains("outbox"), "{}", ended.stderr);
    devo.resume();
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
    assert_same(&devo.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_dead_is_exit_1_and_the_next_run_delivers_what_waits() {
    let bench = Bench::start(|_| {}).await;
    let devo = bench.devo().await;
    devo.behaves(Behaviour { reset_after: Some(After::Octets(0)), ..Behaviour::default() });
    let ended = bench.run(&["--once", "--drain-timeout", "2s"]).ended().await.exits(1);
    assert!(ended.stderr.contains("devo") && ended.stderr.contains("outbox"), "{}", ended.stderr);
    assert_eq!(devo.event_count(), 0);
    assert_same(&bench.arrived(), &bench.expected());
    let read = bench.sim.ledger().versions_served();
    devo.behaves(Behaviour::default());
    bench.once().await.exits(0);
    assert_same(&devo.arrived(), &bench.expected());
    assert_eq!(devo.most_often(), 1);
    assert!(read.keys().eq(bench.sim.ledger().versions_served().keys()));
}
