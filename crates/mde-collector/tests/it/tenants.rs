//! Several tenants in one process: what is wrong with one never stops the others.

use crate::harness::{Bench, Ended, Signal};
use mde_sim::RequestKind;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// Roles of the applications beside the first.
const ROLES: &[&str] = &["Alert.Read.All", "Machine.Read.All"];

/// Five tenants: a sound one, one with a wrong secret, one whose certificate is none, one whose authority cannot be
/// reached, and a sound one that has an output of its own.
async fn bench() -> Bench {
    let bench = Bench::start(|config| config.alerts.count = 40).await;
    let base = bench.sim.base_url();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    fs::write(bench.path("broken.crt"), "this is no certificate\n").expect("writable");
    let mut inputs = String::new();
    for (name, proof, token, rest) in [
        ("sound", None, base.clone(), "    outputs: [all]\n"),
        ("wrong", Some("client_secret: telltale-wrong"), base.clone(), "    outputs: [all]\n"),
        ("broken", Some("certificate_file: broken.crt"), base.clone(), "    outputs: [all]\n"),
        ("gone", None, format!("http://{dead}"), "    outputs: [all]\n"),
        ("apart", None, base.clone(), "    outputs: [own]\n"),
    ] {
        let made = bench.sim.entra().add_application(ROLES.iter().map(|role| (*role).to_owned()).collect());
        let proof = proof.map_or_else(|| format!("client_secret: {}", made.client_secret), str::to_owned);
        inputs += &format!(
            "  {name}:\n    id: id-{name}\n    credentials:\n      tenant_id: {}\n      client_id: {}\n      {proof}\n    \
             override_api_base_url: {base}\n    override_token_url: {token}\n{rest}    services:\n      alerts:\n        \
             request_period_in_seconds: 1\n",
            made.tenant_id, made.client_id
        );
    }
    let outputs = ["all", "own"]
        .map(|name| format!("  {name}:\n    type: file\n    config:\n      path: \"{name}/{{tenant}}.ndjson\"\n"))
        .concat();
    fs::write(bench.path("config.yaml"), format!("inputs:\n{inputs}outputs:\n{outputs}")).expect("writable");
    bench
}

/// How often each alert of a tenant lies in an output's file.
fn ids(bench: &Bench, output: &str, tenant: &str) -> BTreeMap<String, u64> {
    let mut ids = BTreeMap::new();
    let text = fs::read_to_string(bench.path(&format!("{output}/{tenant}.ndjson"))).unwrap_or_default();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("one JSON object a line");
        *ids.entry(event["id"].as_str().expect("a text").to_owned()).or_default() += 1;
    }
    ids
}

/// The sound tenants are whole and apart, the others have nothing.
fn holds(bench: &Bench) {
    let sound = ids(bench, "all", "sound");
    assert_eq!(sound.len(), 40);
    assert_eq!(sound, ids(bench, "own", "apart"), "the same alerts, in the output that was named");
    for (output, tenant) in [("all", "apart"), ("own", "sound"), ("all", "wrong"), ("all", "broken"), ("all", "gone")] {
        assert!(ids(bench, output, tenant).is_empty(), "{tenant} in {output}");
    }
}

/// Each broken tenant is told by its own reason.
fn tells(ended: &Ended) {
    for word in ["AADSTS7000215", "broken.crt", "id-gone/alerts"] {
        assert!(ended.stderr.contains(word), "{word:?} is not in:\n{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_tenants_are_exit_1_and_the_others_are_pulled_whole_into_their_own_outputs() {
    let bench = bench().await;
    let ended = bench.once().await.exits(1);
    tells(&ended);
    holds(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_tenants_do_not_hold_up_the_others_of_a_process_that_runs_on() {
    let bench = bench().await;
    let mut running = bench.run(&[]);
    running.says("AADSTS7000215").await;
    running.says("broken.crt").await;
    let before = bench.sim.ledger().request_count(RequestKind::Alerts);
    bench.sim.ledger().wait_requests(RequestKind::Alerts, before + 6).await;
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    holds(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_alone_is_pulled_where_it_is_named() {
    let bench = bench().await;
    bench.run(&["--once", "--tenant", "apart"]).ended().await.exits(0);
    assert_eq!(ids(&bench, "own", "apart").len(), 40);
    assert!(ids(&bench, "all", "sound").is_empty());
    let ended = bench.run(&["--once", "--tenant", "apartt"]).ended().await.exits(2);
    assert!(ended.stderr.contains("sound, wrong, broken, gone, apart"), "{}", ended.stderr);
}
