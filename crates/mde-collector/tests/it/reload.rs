//! SIGHUP, and credentials and texts that change on disk: read again by the running process, under the same lock.

use crate::harness::{Bench, Running, Signal, assert_same};
use crate::identities::prove_by;
use mde_sim::{RequestKind, Service};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What must happen happens within this time; it is never used up unless a test fails.
const PATIENCE: Duration = Duration::from_secs(240);

/// A tenant with few alerts, asked each second.
async fn bench() -> Bench {
    let bench = Bench::start(|config| {
        config.alerts.count = 50;
        config.machines.count = 20;
    })
    .await;
    bench.edit("      alerts:\n", "      alerts: {request_period_in_seconds: 1}\n");
    bench
}

/// Writes a file that the collector may be reading.
fn write(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).expect("writable");
    fs::rename(beside, path).expect("on one file system");
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never came to this: {what}"));
}

/// Waits for alerts to be asked for once more.
async fn goes_on(bench: &Bench) {
    let before = bench.sim.ledger().request_count(RequestKind::Alerts);
    bench.sim.ledger().wait_requests(RequestKind::Alerts, before + 2).await;
}

async fn stops(running: Running) {
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_file_lets_a_refused_stream_go_on_and_a_broken_one_keeps_the_old() {
    let bench = bench().await;
    let file = bench.path("secret");
    write(&file, &bench.sim.credentials().client_secret);
    prove_by(&bench, "      client_secret_file: secret\n");
    let mut running = bench.run(&[]);
    bench.sim.ledger().wait_requests(RequestKind::Alerts, 2).await;
    let rotated = bench.sim.entra().rotate_secret();
    bench.sim.entra().revoke_tokens();
    running.says("AADSTS7000215").await;
    let refused = bench.sim.ledger().request_count(RequestKind::Alerts);
    write(&file, &(rotated + "\n"));
    running.says("a changed credential was read again and works").await;
    bench.sim.ledger().wait_requests(RequestKind::Alerts, refused + 1).await;
    write(&file, "");
    running.says("a changed credential cannot be used: the one of before stays in use").await;
    bench.sim.entra().revoke_tokens();
    goes_on(&bench).await;
    stops(running).await;
    // The bench looks for secrets everywhere; here one belonged.
    fs::remove_file(file).expect("removable");
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_certificate_lets_a_refused_stream_go_on() {
    let bench = bench().await;
    let known = bench.sim.entra().issue_certificate();
    let other = Bench::start(|_| {}).await.sim.entra().issue_certificate();
    fs::create_dir(bench.path("certs")).expect("writable");
    let both = |identity: &mde_sim::receiver::Identity| identity.cert_pem.clone() + &identity.key_pem;
    write(&bench.path("certs/app.crt"), &both(&known));
    prove_by(&bench, "      certificate_file: app.crt\n");
    let mut running = bench.run(&[]);
    bench.sim.ledger().wait_requests(RequestKind::Alerts, 2).await;
    write(&bench.path("certs/app.crt"), &both(&other));
    running.says("a changed credential was read again and gave no token").await;
    bench.sim.entra().revoke_tokens();
    running.says("pull ended early").await;
    write(&bench.path("certs/app.crt"), &both(&known));
    running.says("a changed credential was read again and works").await;
    goes_on(&bench).await;
    stops(running).await;
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_the_configuration_took_in_is_read_again_when_it_changes() {
    let bench = bench().await;
    let file = bench.path("secret");
    write(&file, &bench.sim.credentials().client_secret);
    prove_by(&bench, "      client_secret: \"${file:secret}\"\n");
    let mut running = bench.run(&[]);
    bench.sim.ledger().wait_requests(RequestKind::Alerts, 2).await;
    let rotated = bench.sim.entra().rotate_secret();
    bench.sim.entra().revoke_tokens();
    running.says("AADSTS7000215").await;
    write(&file, &rotated);
    running.says("the configuration was read again and has changed").await;
    goes_on(&bench).await;
    stops(running).await;
    fs::remove_file(file).expect("removable");
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_counts_after_a_hangup_and_a_broken_one_does_not() {
    let bench = bench().await;
    let mut running = bench.run(&[]);
    bench.sim.ledger().wait_requests(RequestKind::Alerts, 2).await;

    running.signal(Signal::HUP);
    running.says("the configuration was read again: nothing has changed").await;

    bench.edit("request_period_in_seconds: 1", "request_period_in_seconds: 1, overlp: 1m, sweep: often");
    running.signal(Signal::HUP);
    running.says("did you mean `overlap`").await;
    running.says("often").await;
    running.says("the one of before stays in use").await;
    goes_on(&bench).await;

    bench.edit("request_period_in_seconds: 1, overlp: 1m, sweep: often", "request_period_in_seconds: 2");
    bench.edit("    services:\n", "    services:\n      machines:\n");
    bench.output("  more:\n    type: file\n    config:\n      path: \"more/{service}.ndjson\"\n");
    running.signal(Signal::HUP);
    running.says("the configuration was read again and has changed").await;
    let machines = bench.tenant_ids(Service::Machines);
    until("the added service is delivered to the added output", || {
        let text = fs::read_to_string(bench.path("more/machines.ndjson")).unwrap_or_default();
        text.ends_with('\n') && text.lines().count() >= machines.len()
    })
    .await;
    goes_on(&bench).await;
    // The folder was never free in between, and is not now.
    bench.once().await.exits(4);

    let reloads = || {
        let said = running.said().map(|said| String::from_utf8_lossy(&said.octets()).into_owned());
        said.concat().matches("the configuration was read again and has changed").count()
    };
    for (count, from, to) in
        [(2, "request_period_in_seconds: 2", "request_period_in_seconds: 1"), (3, "      machines:\n", "")]
    {
        bench.edit(from, to);
        running.signal(Signal::HUP);
        until("it has been read again", || reloads() == count).await;
        goes_on(&bench).await;
    }
    stops(running).await;
    assert_eq!(bench.ids(Service::Machines).into_keys().collect::<std::collections::BTreeSet<_>>(), machines);
    assert!(bench.ids(Service::Machines).values().all(|times| *times == 1), "a reload brings no snapshot forward");
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_the_middle_of_a_pull_loses_and_doubles_nothing() {
    let bench = Bench::start(|config| {
        config.alerts.count = 3_000;
        config.page.size = 500;
    })
    .await;
    let devo = bench.devo().await;
    let mut running = bench.run(&[]);
    bench.sim.ledger().wait_rows_served(1_000).await;
    bench.edit("      alerts:\n", "      alerts: {overlap: 11m}\n");
    running.signal(Signal::HUP);
    running.says("the configuration was read again and has changed").await;
    bench.sim.ledger().wait_until(|ledger| ledger.versions_served().len() >= 3_000).await;
    let shown = bench.shown();
    until("all are delivered", || bench.arrived_so_far().len() >= shown.len()).await;
    stops(running).await;
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
    assert_same(&devo.arrived(), &bench.expected());
    assert_eq!(devo.most_often(), 1, "what was confirmed before is not sent again");
}
