//! Outputs that come, go and are renamed between two starts: whose backlog is whose.

use crate::harness::{Bench, Devo, assert_same};
use serde_json::Value;
use std::fs;

/// A bench with a receiver that the configuration does not reach yet, after a run that has left everything for it in the
/// outbox. The text brings it within reach.
async fn with_backlog() -> (Bench, Devo, String) {
    let bench = Bench::start(|config| config.alerts.count = 200).await;
    let devo = bench.devo().await;
    let reached = format!("port: {}", devo.addr().port());
    bench.edit(&reached, "port: 1");
    bench.run(&["--once", "--drain-timeout", "1s"]).ended().await.exits(1);
    assert_eq!(devo.event_count(), 0);
    (bench, devo, reached)
}

/// Names of the outputs that `state show` tells of, and the events that wait for each.
async fn depths(bench: &Bench) -> Vec<(String, u64)> {
    let ended = bench.launch(&["state", "show", "--config", "config.yaml", "--format", "json"]).ended().await.exits(0);
    let status: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let outputs = status["outputs"].as_array().expect("a list").iter();
    let depth = |output: &Value| output["depth_events"].as_u64().expect("a number");
    outputs.map(|output| (output["name"].as_str().expect("a text").to_owned(), depth(output))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_output_goes_on_where_the_old_one_stood_and_the_old_name_holds_nothing() {
    let (bench, devo, reached) = with_backlog().await;
    bench.edit("port: 1", &reached);
    bench.edit("  devo:\n    type: relay\n    config:\n", "  soc:\n    type: relay\n    config:\n      from: devo\n");
    bench.once().await.exits(0);
    assert_same(&devo.arrived(), &bench.expected());
    assert_eq!(devo.most_often(), 1);
    assert_eq!(depths(&bench).await, [("files".to_owned(), 0), ("soc".to_owned(), 0)]);
    // The next start inherits nothing again.
    bench.once().await.exits(0);
    assert_eq!(devo.most_often(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_output_is_named_at_each_start_and_gets_its_backlog_when_it_comes_back() {
    let (bench, devo, reached) = with_backlog().await;
    let with = fs::read_to_string(bench.path("config.yaml")).expect("readable");
    let without = &with[..with.find("  devo:\n").expect("it was added last")];
    fs::write(bench.path("config.yaml"), without).expect("writable");
    for _ in 0..2 {
        let ended = bench.once().await.exits(0);
        assert!(ended.stderr.contains("this output is no longer configured; its events are kept"), "{}", ended.stderr);
    }
    let waiting: u64 =
        depths(&bench).await.into_iter().filter(|(name, _)| name == "devo").map(|(_, depth)| depth).sum();
    assert_eq!(waiting, bench.expected().values().sum::<u64>(), "all of it waits");
    fs::write(bench.path("config.yaml"), with.replace("port: 1", &reached)).expect("writable");
    bench.once().await.exits(0);
    assert_same(&devo.arrived(), &bench.expected());
    assert_eq!((devo.most_often(), bench.arrived()), (1, bench.expected()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_output_begins_now_unless_it_asks_for_the_oldest() {
    let (bench, devo, _) = with_backlog().await;
    // What waits for one is still stored, so that another can ask for it.
    let oldest = "    type: file\n    config: {path: \"oldest.ndjson\", from: oldest}\n";
    bench.output(&format!("  late:\n{oldest}  now:\n    type: file\n    config: {{path: \"now.ndjson\"}}\n"));
    bench.run(&["--once", "--drain-timeout", "1s"]).ended().await.exits(1);
    let lines = |name: &str| fs::read_to_string(bench.path(name)).unwrap_or_default().lines().count() as u64;
    let all = bench.expected().values().sum::<u64>();
    assert_eq!((lines("oldest.ndjson"), lines("now.ndjson"), devo.event_count()), (all, 0, 0));
}
