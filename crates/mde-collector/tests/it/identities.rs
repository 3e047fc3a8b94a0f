//! How an application proves itself: each way against the simulator's authority, and what is said when it is refused.

use crate::harness::{Bench, Signal, assert_same};
use mde_sim::RequestKind;
use std::fs;

/// Puts these lines in the place of the secret.
pub fn prove_by(bench: &Bench, lines: &str) {
    let text = fs::read_to_string(bench.path("config.yaml")).expect("readable");
    let other = text.lines().filter(|line| !line.contains("client_secret:")).fold(String::new(), |all, line| {
        let further = if line.trim() == "credentials:" { lines } else { "" };
        all + line + "\n" + further
    });
    fs::write(bench.path("config.yaml"), other).expect("writable");
}

/// A tenant with few alerts and a folder for files of the identity.
async fn bench() -> Bench {
    let bench = Bench::start(|config| config.alerts.count = 50).await;
    fs::create_dir(bench.path("certs")).expect("writable");
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_its_key_are_an_identity_in_two_files_or_in_one() {
    let bench = bench().await;
    let made = bench.sim.entra().issue_certificate();
    fs::write(bench.path("certs/app.crt"), &made.cert_pem).expect("writable");
    fs::write(bench.path("certs/app.key"), &made.key_pem).expect("writable");
    prove_by(&bench, "      certificate_file: app.crt\n      key_file: app.key\n");
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
    fs::write(bench.path("certs/app.crt"), made.cert_pem + &made.key_pem).expect("writable");
    bench.edit("      key_file: app.key\n", "");
    bench.once().await.exits(0);
    assert_eq!(bench.sim.ledger().request_count(RequestKind::Token), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_the_application_does_not_know_is_exit_3_with_what_to_do() {
    let bench = bench().await;
    let known = bench.sim.entra().issue_certificate();
    let other = Bench::start(|_| {}).await.sim.entra().issue_certificate();
    fs::write(bench.path("certs/app.crt"), other.cert_pem + &other.key_pem).expect("writable");
    prove_by(&bench, "      certificate_file: app.crt\n");
    let ended = bench.once().await.exits(3);
    assert!(ended.stderr.contains("AADSTS700027"), "{}", ended.stderr);
    fs::write(bench.path("certs/app.crt"), known.cert_pem + &known.key_pem).expect("writable");
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_issuers_token_is_an_identity_and_is_read_again_when_it_is_renewed() {
    let bench = bench().await;
    let first = bench.sim.entra().trust_other_issuer();
    fs::write(bench.path("token"), first + "\n").expect("writable");
    prove_by(&bench, "      federated_token_file: token\n");
    bench.edit("      alerts:\n", "      alerts: {request_period_in_seconds: 1}\n");
    let running = bench.run(&[]);
    bench.sim.ledger().wait_requests(RequestKind::Alerts, 2).await;
    fs::write(bench.path("token"), bench.sim.entra().trust_other_issuer()).expect("writable");
    bench.sim.entra().revoke_tokens();
    bench.sim.ledger().wait_requests(RequestKind::Token, 2).await;
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    // The bench looks for secrets everywhere; here one belongs.
    fs::remove_file(bench.path("token")).expect("removable");
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_own_identity_needs_no_secret_and_no_name() {
    let bench = bench().await;
    prove_by(&bench, "      managed_identity: true\n");
    let text = fs::read_to_string(bench.path("config.yaml")).expect("readable");
    let nameless =
        text.lines().filter(|line| !line.contains("client_id:")).fold(String::new(), |all, line| all + line + "\n");
    fs::write(bench.path("config.yaml"), nameless).expect("writable");
    let (endpoint, header) = (format!("{}/msi/token", bench.sim.base_url()), bench.sim.entra().manage());
    let environment = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", header.as_str())];
    let run = ["run", "--once", "--config", "config.yaml"];
    bench.launch_in(&run, &environment).ended().await.exits(0);
    assert_same(&bench.arrived(), &bench.expected());
    let wrong = [environment[0], ("IDENTITY_HEADER", "another")];
    bench.launch_in(&run, &wrong).ended().await.exits(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_how_long_a_credential_lasts_as_far_as_that_can_be_known() {
    let bench = bench().await;
    let check = ["check", "--config", "config.yaml"];
    let ended = bench.launch(&check).ended().await.exits(0);
    assert!(ended.stdout.contains("when the secret expires is told only in Entra"), "{}", ended.stdout);
    let made = bench.sim.entra().issue_certificate();
    fs::write(bench.path("certs/app.crt"), made.cert_pem + &made.key_pem).expect("writable");
    prove_by(&bench, "      certificate_file: app.crt\n");
    let ended = bench.launch(&check).ended().await.exits(0);
    // What the library makes without being asked for an end.
    assert!(ended.stdout.contains("the certificate is good until 4096-01-01"), "{}", ended.stdout);
}
