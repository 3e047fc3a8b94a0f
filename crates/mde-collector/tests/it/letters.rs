//! Events that an output will never take: kept with the reason, counted, in nobody's way.

use crate::harness::{Bench, assert_same};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_over_the_limit_is_kept_as_a_dead_letter_and_the_rest_arrives() {
    let bench = Bench::start(|config| {
        config.alerts.count = 300;
        config.alerts.evidence = 0..=3;
    })
    .await;
    let sizes = {
        bench.once().await.exits(0);
        let text = fs::read_to_string(bench.path("out/alerts.ndjson")).expect("events");
        let mut sizes: Vec<usize> = text.lines().map(str::len).collect();
        sizes.sort_unstable();
        sizes
    };
    let whole = bench.arrived();
    // Anew, with a limit in the middle of the sizes.
    fs::remove_dir_all(bench.path("state")).expect("it was made");
    fs::remove_dir_all(bench.path("out")).expect("it was made");
    let limit = sizes[sizes.len() / 2].max(1_024);
    let refused = sizes.iter().filter(|size| **size > limit).count();
    assert!(refused > 0 && refused < sizes.len(), "the limit divides the events");
    bench.edit("path: ", &format!("max_event_bytes: {limit}B\n      path: "));
    let ended = bench.once().await.exits(0);
    assert!(ended.stderr.contains("kept as dead letters"), "{}", ended.stderr);
    let arrived = bench.arrived();
    assert_eq!(arrived.values().sum::<u64>() as usize, sizes.len() - refused);
    let mut expected = whole;
    expected.retain(|event, _| arrived.contains_key(event));
    assert_same(&arrived, &expected);
    // A second run brings nothing again.
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_without_event_ids_gets_none_and_the_other_does() {
    let bench = Bench::start(|config| config.alerts.count = 50).await;
    bench.edit("path: ", "event_id: false\n      path: ");
    let devo = bench.devo().await;
    bench.once().await.exits(0);
    let text = fs::read_to_string(bench.path("out/alerts.ndjson")).expect("events");
    assert!(
        text.lines().all(|line| !line.contains("@event_id") && serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
    assert_eq!(devo.by_id().len(), text.lines().count(), "the receiver tells events by their id");
}
