//! `config`: what it gives is a configuration, a schema, or a configuration again.

use crate::harness::{Bench, assert_same};
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
    let converted = bench.launch(&["config", "convert", "--config", "config.yaml"]).ended().await.exits(0);
    assert!(converted.stderr.contains("1 change;"), "{}", converted.stderr);
    assert!(converted.stderr.contains("set SIMULATED_CLIENT_SECRET in the environment"), "{}", converted.stderr);
    fs::write(bench.path("config.yaml"), &converted.stdout).expect("writable");
    let secret = bench.sim.credentials().client_secret;
    let environment = [("SIMULATED_CLIENT_SECRET", secret.as_str())];
    bench.launch_in(&["run", "--once", "--config", "config.yaml"], &environment).ended().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_ten_mistakes_is_told_ten_for_a_person_and_for_a_program() {
    let bench = Bench::start(|_| {}).await;
    let text = "globals:\n  debug: perhaps\n  outbox: {max_bytes: much}\noutputs:\n  one: {type: cnsole}\n  two: {type: file, config: {path: \"{servce}.log\"}}\n\
         inputs:\n  acme:\n    id: acme\n    cloud: gccc\n    quota: {share: 3}\n    credentials: {tenant_id: \"a b\", client_id: c, client_secret: s}\n    \
         services:\n      alerts: {overlap: often, flaten: true}\n      machnes:\n";
    fs::write(bench.path("ten.yaml"), text).expect("writable");
    let check = ["check", "--offline", "--config", "ten.yaml"];
    let ended = bench.launch(&check).ended().await.exits(2);
    assert_eq!(ended.stderr.matches(": error: ").count(), 10, "{}", ended.stderr);
    let ended = bench.launch(&[&check[..], &["--format", "json"]].concat()).ended().await.exits(2);
    let problems: Vec<Value> = serde_json::from_str(&ended.stdout).expect("one JSON array");
    assert_eq!(problems.len(), 10, "{}", ended.stdout);
    for problem in &problems {
        assert_eq!(problem["severity"], "error");
        assert!(problem["line"].as_u64() > Some(0) && problem["column"].as_u64() > Some(0), "{problem}");
        assert!(
            problem["file"] == "ten.yaml" && problem["path"].is_string() && problem["message"].is_string(),
            "{problem}"
        );
    }
    assert!(problems.iter().any(|problem| problem["help"].as_str().is_some_and(|help| help.contains("`flatten`"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn state_files_of_the_official_collector_are_told_with_the_way_to_take_them_over() {
    let bench = Bench::start(|config| config.alerts.count = 20).await;
    let check = ["check", "--offline", "--config", "config.yaml"];
    let ended = bench.launch(&check).ended().await.exits(0);
    assert!(!ended.stdout.contains("official"), "{}", ended.stdout);
    fs::create_dir(bench.path("state")).expect("writable");
    fs::write(bench.path("state/0cc175b9c0f1b6a831c399e269772661"), "a pickle").expect("writable");
    let ended = bench.launch(&check).ended().await.exits(0);
    assert!(
        ended.stdout.contains("warn  state") && ended.stdout.contains("state import-official state"),
        "{}",
        ended.stdout
    );
    bench.once().await.exits(0);
    let ended = bench.launch(&check).ended().await.exits(0);
    assert!(!ended.stdout.contains("official"), "what has begun needs no taking over: {}", ended.stdout);
}
