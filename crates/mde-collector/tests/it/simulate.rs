//! `simulate`: a tenant of one's own, in a process of its own.

use crate::harness::{Bench, Running, Signal};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn what_simulate_prints_is_a_configuration_that_reads_from_it() {
    let bench = Bench::start(|_| {}).await;
    // Not by way of the bench: this process may print its secret, the collector may not.
    let mut simulator = Running::start(bench.path("").as_path(), &["simulate", "--alerts", "50"], &[]);
    simulator.gives("alerts:\n").await;
    let [stdout, _] = simulator.said();
    let inputs = String::from_utf8(stdout.octets()).expect("YAML is text");
    let outputs = "outputs: {files: {type: file, config: {path: \"out/{service}.ndjson\"}}}\n";
    fs::write(bench.path("other.yaml"), inputs + outputs).expect("writable");
    bench.launch(&["run", "--once", "--config", "other.yaml"]).ended().await.exits(0);
    let arrived: std::collections::BTreeSet<_> = bench.arrived().into_keys().map(|(id, ..)| id).collect();
    assert_eq!(arrived.len(), 50);
    assert_eq!(bench.sim.ledger().request_count(None), 0, "nobody else was asked");
    simulator.signal(Signal::TERM);
    simulator.ended().await.exits(0);
}
