//! No credential comes to light: not at any level of the log, not in what commands say, not in any file, not after a crash.
//!
//! Every credential here has the same word in it. The bench searches all that was said and written for it when it is
//! dropped, plain, in base64 and percent-encoded, so what these tests do is to give it occasions.

use crate::harness::{Bench, Ended, Signal};
use mde_sim::{Fault, RequestKind};
use std::fs;

/// The most that a log can tell.
const ALL: &[(&str, &str)] = &[("RUST_LOG", "trace")];

/// A sound tenant with a Devo output, a tenant behind a dead proxy, and outputs with every kind of credential whose far
/// side is dead.
async fn bench() -> (Bench, crate::harness::Devo) {
    let bench = Bench::start(|config| config.alerts.count = 50).await;
    let devo = bench.devo().await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    fs::write(bench.path("token.key"), "telltale-token-in-a-file\n").expect("writable");
    bench.output(&format!(
        "  hec: {{type: http, config: {{required: false, url: \"http://{dead}/hec\", preset: splunk_hec, auth: {{bearer: telltale-hec}}}}}}\n  \
         plain: {{type: http, config: {{required: false, url: \"http://{dead}/in\", auth: {{basic: {{username: me, password: telltale-basic}}}}, headers: {{X-Key: telltale-header}}}}}}\n  \
         filed: {{type: http, config: {{required: false, url: \"http://{dead}/in\", auth: {{bearer_file: token.key}}}}}}\n  \
         relayed: {{type: devo_http, config: {{required: false, url: \"http://{dead}\", domain: me, token: telltale-devo}}}}\n  \
         bus: {{type: nats, config: {{required: false, url: \"nats://{dead}\", subject: mde.alerts, token: telltale-nats}}}}\n"
    ));
    let made = bench.sim.entra().add_application(vec!["Alert.Read.All".to_owned()]);
    let base = bench.sim.base_url();
    bench.edit(
        "inputs:\n",
        &format!(
            "inputs:\n  behind:\n    id: behind\n    credentials: {{tenant_id: {}, client_id: {}, client_secret: \"{}\"}}\n    \
             proxy: \"http://me:telltale%2Dproxy@{dead}\"\n    override_api_base_url: https://defender.test\n    \
             override_token_url: {base}\n    services:\n      alerts:\n",
            made.tenant_id, made.client_id, made.client_secret
        ),
    );
    (bench, devo)
}

/// A command with all of its log.
async fn told(bench: &Bench, arguments: &[&str]) -> Ended {
    bench.launch_in(&[arguments, &["--config", "config.yaml"]].concat(), ALL).ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_crashes_and_every_command_tell_no_credential_at_any_level_of_the_log() {
    let (bench, _devo) = bench().await;
    told(&bench, &["check", "--offline"]).await.exits(0);
    told(&bench, &["check"]).await.exits(1);
    // Some answers break off, one refuses the token, so that errors are told, too.
    bench.sim.scenario().times(
        RequestKind::Alerts,
        1,
        Fault::Cut { after: 2_000, end: mde_sim::CutEnd::ContentLength },
    );
    bench.sim.entra().revoke_tokens();
    let ended = told(&bench, &["run", "--once", "--drain-timeout", "2s"]).await.exits(1);
    assert!(ended.stderr.len() > 20_000, "that is not all of the log: {}", ended.stderr);
    let id = bench.events(mde_sim::Service::Alerts)[0]["id"].as_str().expect("a text").to_owned();
    told(&bench, &["explain", &id]).await.exits(0);
    told(&bench, &["state", "show", "--format", "json"]).await.exits(0);
    told(&bench, &["state", "verify"]).await.exits(0);
    let converted = told(&bench, &["config", "convert"]).await.exits(0);
    for name in [
        "SIMULATED_CLIENT_SECRET",
        "BEHIND_PROXY",
        "HEC_AUTH_BEARER",
        "RELAYED_TOKEN",
        "BUS_TOKEN",
        "PLAIN_HEADERS_X_KEY",
        "PLAIN_AUTH_BASIC_PASSWORD",
    ] {
        assert!(converted.stdout.contains(&format!("${{env:{name}}}")), "{name}: {}", converted.stdout);
        assert!(converted.stderr.contains(name), "{name}: {}", converted.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_queries_plans_and_links_with_a_signature_in_them_tell_no_credential() {
    let bench = Bench::start(|config| {
        config.alerts.count = 50;
        config.machines.count = 20;
    })
    .await;
    bench.ask(
        "alerts: {backend: mde}\n      machines: {request_machine_vulnerabilities: true, enrichment: {method: bulk}}",
    );
    // What comes in pages is not there, so that it is read from files; one of those breaks off.
    bench.sim.scenario().always(RequestKind::ExportVulnerabilities, Fault::Forbidden);
    bench.sim.scenario().times(RequestKind::Blob, 1, Fault::Cut { after: 10, end: mde_sim::CutEnd::ContentLength });
    told(&bench, &["run", "--once"]).await.exits(0);
    assert!(bench.sim.ledger().request_count(RequestKind::Blob) > 1, "a link was followed");
    told(&bench, &["plan"]).await.exits(0);
    told(&bench, &["export", "alerts", "--output", "alerts.ndjson"]).await.exits(0);
    bench.sim.scenario().always(RequestKind::Alerts, Fault::Unauthorized);
    told(&bench, &["export", "alerts", "--output", "refused.ndjson"]).await.exits(3);
    told(&bench, &["hunt", "DeviceInfo | take 1"]).await.exits(0);
    bench.sim.entra().rotate_secret();
    bench.sim.entra().revoke_tokens();
    for command in [&["hunt", "DeviceInfo"][..], &["plan"], &["check"], &["run"]] {
        let ended = told(&bench, command).await;
        assert!(ended.code.is_some_and(|code| code != 0), "{command:?}: {}", ended.stderr);
        let said = ended.stdout + &ended.stderr;
        assert!(said.contains("AADSTS7000215"), "{command:?} tells what was refused: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_aborts_at_the_most_talkative_level_leaves_no_credential_behind() {
    let bench = Bench::start(|config| config.alerts.count = 50).await;
    bench.edit("      alerts:\n", "      alerts: {request_period_in_seconds: 1}\n");
    let running = bench.launch_in(&["run", "--config", "config.yaml"], ALL);
    bench.sim.ledger().wait_rows_served(50).await;
    running.signal(Signal::ABORT);
    assert_eq!(running.ended().await.signal, Some(Signal::ABORT.as_raw()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_and_a_refused_secret_leave_no_credential_behind() {
    let (bench, devo) = bench().await;
    devo.stall();
    let running = bench.launch_in(&["run", "--config", "config.yaml"], ALL);
    bench.sim.ledger().wait_rows_served(50).await;
    bench.sim.entra().rotate_secret();
    bench.sim.entra().revoke_tokens();
    running.signal(Signal::KILL);
    running.ended().await.was_killed();
    devo.resume();
    told(&bench, &["run", "--once", "--drain-timeout", "2s"]).await.exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_configuration_is_told_without_its_credentials() {
    let (bench, _devo) = bench().await;
    for (from, to) in [
        ("bearer: telltale-hec", "baerer: telltale-hec"),
        ("token: telltale-devo", "tokn: telltale-devo"),
        ("password: telltale-basic", "pasword: telltale-basic"),
        ("client_secret: \"", "client_sercet: \""),
        ("proxy: \"http://", "proxy: \"htp://"),
    ] {
        bench.edit(from, to);
    }
    for format in ["table", "json"] {
        let ended = told(&bench, &["check", "--offline", "--format", format]).await.exits(2);
        assert!((ended.stdout + &ended.stderr).contains("client_sercet"));
    }
}
