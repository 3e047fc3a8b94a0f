//! What outputs do with octets, end to end: gzip and several connections to Devo, files that take turns.

use crate::harness::{Bench, Signal, assert_same, count};
use mde_sim::RequestKind;
use std::fs;
use std::io::Read;

#[tokio::test(flavor = "multi_thread")]
async fn gzip_over_three_connections_brings_each_event_to_devo() {
    let bench = Bench::start(|config| {
        config.alerts.count = 2_000;
        config.alerts.evidence = 0..=2;
    })
    .await;
    let devo = bench.devo().await;
    bench.edit(
        "confirm_after: 100ms",
        "confirm_after: 100ms\n      threshold_for_using_gzip_in_transport_layer: -1\n      concurrent_connections: 3",
    );
    bench.once().await.exits(0);
    assert_same(&devo.arrived(), &bench.expected());
    assert_eq!(devo.unreadable().len(), 0);
    assert!(devo.events().iter().all(|event| event.gzip), "each event came inside a member");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_rotated_and_compressed_files_hold_each_event_once() {
    const ALERTS: usize = 5_000;
    let bench = Bench::start(|config| {
        config.alerts.count = ALERTS;
        config.alerts.evidence = 0..=2;
        config.page.size = ALERTS / 25;
    })
    .await;
    bench.edit(
        "\"out/{service}.ndjson\"",
        "\"out/{service}.ndjson\"\n      rotate: {max_bytes: 1MiB}\n      compress: gzip",
    );
    for tenth in [1, 4, 7] {
        let killed = bench.run(&["--once"]);
        bench.sim.ledger().wait_requests(RequestKind::Token, 1).await;
        bench.sim.ledger().wait_until(|ledger| ledger.versions_served().len() >= ALERTS * tenth / 10).await;
        killed.signal(Signal::KILL);
        killed.ended().await.was_killed();
    }
    bench.once().await.exits(0);
    let files: Vec<_> =
        fs::read_dir(bench.path("out")).expect("files").map(|file| file.expect("entry").path()).collect();
    assert!(files.len() > 1, "they took turns: {files:?}");
    let mut text = String::new();
    for file in &files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("text");
        assert!(name.starts_with("alerts.20") && name.ends_with(".ndjson.gz"), "{name}");
        let packed = fs::File::open(file).expect("readable");
        flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut text).expect("whole members");
    }
    let arrived = count(text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")));
    assert_same(&arrived, &bench.expected());
}
