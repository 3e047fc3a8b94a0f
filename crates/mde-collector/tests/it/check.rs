//! `check`: what would work and what would not, told before anything runs.

use crate::harness::{Bench, Ended};
use mde_sim::Service;
use serde_json::Value;
use std::fs;

const ALL: &str =
    "alerts:\n      machines:\n      vulnerabilities:\n      software:\n      recommendations:\n      investigations:";

async fn check(bench: &Bench, arguments: &[&str]) -> Ended {
    bench.launch(&[&["check", "--config", "config.yaml"], arguments].concat()).ended().await
}

/// The findings of `--format json`.
fn findings(ended: &Ended) -> Vec<Value> {
    serde_json::from_str(&ended.stdout).expect("one JSON array")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_each_line_passes_and_nothing_is_delivered() {
    let bench = Bench::start(|config| config.services.push(Service::AdvancedHunting)).await;
    bench.ask(ALL);
    let _devo = bench.devo().await;
    let ended = check(&bench, &[]).await.exits(0);
    // A tenant's credentials and quota, seven services, two outputs.
    // The end of the classic API, for two services that nothing replaces, is a warning in its last half year.
    let good =
        |line: &&str| line.starts_with("pass  ") || (line.starts_with("warn  ") && line.contains("announced to end"));
    assert_eq!(ended.stdout.lines().filter(good).count(), 11, "{}", ended.stdout);
    assert!(ended.stdout.contains("Alert.Read.All granted"), "{}", ended.stdout);
    assert!(ended.stdout.contains("ThreatHunting.Read.All granted"), "{}", ended.stdout);
    assert!(!bench.path("out/alerts.ndjson").exists() && !bench.path("state/mde-collector.db").exists());
    assert_eq!(findings(&check(&bench, &["--format", "json"]).await.exits(0)).len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_role_is_exit_3_with_the_words_of_the_portal() {
    let bench = Bench::start(|config| {
        // Without hunting there is no table to read them from instead.
        let gone = ["Machine.Read.All", "ThreatHunting.Read.All", "AdvancedQuery.Read.All"];
        config.roles.retain(|role| !gone.contains(&role.as_str()));
    })
    .await;
    bench.ask(ALL);
    let ended = check(&bench, &["--format", "json"]).await.exits(3);
    let denied: Vec<_> = findings(&ended).into_iter().filter(|finding| finding["verdict"] == "denied").collect();
    assert_eq!(denied.len(), 1, "{}", ended.stdout);
    assert_eq!(denied[0]["name"], "machines");
    let fix = denied[0]["fix"].as_str().expect("a way out");
    for word in [
        bench.sim.credentials().client_id.as_str(),
        "WindowsDefenderATP",
        "Application permissions > Machine.Read.All",
        "Grant admin consent",
    ] {
        assert!(fix.contains(word), "{word:?} is not in {fix:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_secret_is_exit_3_with_what_to_do_and_outputs_are_looked_at_all_the_same() {
    let bench = Bench::start(|_| {}).await;
    bench.sim.entra().rotate_secret();
    let ended = check(&bench, &[]).await.exits(3);
    assert!(ended.stdout.contains("AADSTS7000215") && ended.stdout.contains("not its id"), "{}", ended.stdout);
    assert!(ended.stdout.contains("pass  output"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_cannot_be_reached_is_exit_1() {
    let bench = Bench::start(|_| {}).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let text = fs::read_to_string(bench.path("config.yaml")).expect("readable");
    let dead = format!("  dead: {{type: syslog, config: {{address: 127.0.0.1, port: {}}}}}\n", free.port());
    fs::write(bench.path("config.yaml"), text + &dead).expect("writable");
    let ended = check(&bench, &[]).await.exits(1);
    assert!(ended.stdout.contains("fail  output") && ended.stdout.contains("fix: check address"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_and_the_old_hunting_endpoint_are_warnings() {
    let bench = Bench::start(|config| {
        config.services = vec![Service::AdvancedHunting];
        config.roles.retain(|role| role != "ThreatHunting.Read.All");
    })
    .await;
    bench.sim.scenario().set_date_skew(mde_sim::Server::Token, jiff::SignedDuration::from_mins(10));
    let ended = check(&bench, &[]).await.exits(0);
    assert!(ended.stdout.contains("warn  clock"), "{}", ended.stdout);
    assert!(ended.stdout.contains("stops answering on 2027-02-01"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Microsoft Graph > Application permissions > ThreatHunting.Read.All"));
}
