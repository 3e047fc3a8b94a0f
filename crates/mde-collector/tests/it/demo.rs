//! `demo`, as somebody sees it who has nothing but the binary.

use crate::harness::{Bench, Signal};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_delivers_the_same_events_to_both_outputs_and_tells_how_to_go_on() {
    let bench = Bench::start(|_| {}).await;
    let ended = bench.launch(&["demo", "--for", "2s"]).ended().await.exits(0);
    assert!(ended.stdout.is_empty(), "stdout is for data only");
    assert!(!ended.stderr.contains('\u{1b}'), "no terminal, no control characters");
    for part in ["1,000 alerts", "devo arrived", "Both hold the same events", "mde-collector-demo/tenant.yaml"] {
        assert!(ended.stderr.contains(part), "{part:?} is not in:\n{}", ended.stderr);
    }
    let events = fs::read_to_string(bench.path("mde-collector-demo/out/alerts.ndjson")).expect("the output");
    assert!(events.lines().count() > 1_000, "each alert is there with its evidence");
    let tenant = "mde-collector-demo/tenant.yaml";
    bench.launch(&["check", "--offline", "--config", tenant]).ended().await.exits(0);
    // Not edited yet: nothing runs with it.
    bench.launch(&["run", "--config", tenant]).ended().await.exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_demo_in_good_order_and_an_edited_file_is_kept() {
    let bench = Bench::start(|_| {}).await;
    let tenant = bench.path("mde-collector-demo/tenant.yaml");
    fs::create_dir(bench.path("mde-collector-demo")).expect("writable");
    fs::write(&tenant, "# mine").expect("writable");
    for signal in [Signal::INT, Signal::TERM] {
        let mut demo = bench.launch(&["demo"]);
        demo.says("events stored").await;
        demo.signal(signal);
        let ended = demo.ended().await.exits(0);
        assert!(ended.stderr.contains("Your own tenant"), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(&tenant).expect("readable"), "# mine");
    }
}
