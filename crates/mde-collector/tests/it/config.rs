//! `config`: what it gives is a configuration, a schema, or a configuration again.

use crate::harness::{Bench, Running, assert_same};
use serde_json::Value;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_passes_the_offline_check_as_it_is_given() {
    let bench = Bench::start(|_| {}).await;
    let example = bench.launch(&["config", "example"]).ended().await.exits(0).stdout;
    fs::create_dir(bench.path("certs")).expect("writable");
    for line in example.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let file = line.split_once(": ").map_or("", |(_, value)| value);
        if file.ends_with(".crt") || file.ends_with(".key") {
            fs::write(bench.path(&format!("certs/{file}")), "stands for PEM\n").expect("writable");
        }
    }
    fs::write(bench.path("example.yaml"), example).expect("writable");
    let ended = bench.launch(&["check", "--offline", "--strict", "--config", "example.yaml"]).ended().await.exits(0);
    assert_eq!(ended.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_json() {
    let bench = Bench::start(|_| {}).await;
    let schema = bench.launch(&["config", "schema"]).ended().await.exits(0).stdout;
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_converted_configuration_runs_on_the_state_of_the_original() {
    let bench = Bench::start(|config| config.alerts.count = 50).await;
    bench.once().await.exits(0);
    // Not by way of the bench: what it gives is a configuration, with the secret that stands in the original.
    let converted = Running::start(&bench.path(""), &["config", "convert", "--config", "config.yaml"], &[]);
    let converted = converted.ended().await.exits(0);
    assert!(converted.stderr.contains("0 changes"), "{}", converted.stderr);
    fs::write(bench.path("config.yaml"), &converted.stdout).expect("writable");
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
}
