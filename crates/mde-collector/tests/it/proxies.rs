//! Proxies that others have written: a login, names that only the proxy can look up, TLS that it reads.
//!
//! The tenant stands behind TLS under a name that no name server knows, so whoever reaches it came by the proxy.

use crate::harness::{Bench, Ended, FRONT, Front, Socks, Squid, assert_same, authority};
use crate::identities::prove_by;
use std::fs;

/// A login whose password needs every kind of encoding.
const LOGIN: (&str, &str) = ("collector", "telltale-p@ss:w/rd%1");
/// The same as it stands in an address.
const ENCODED: &str = "collector:telltale-p%40ss%3Aw%2Frd%251";

/// A tenant behind a front, its authority in `front.crt`.
async fn bench() -> (Bench, Front) {
    let bench = Bench::start(|config| config.alerts.count = 50).await;
    let front = Front::start(bench.sim.addr()).await;
    bench.edit(&bench.sim.base_url(), &front.url());
    fs::write(bench.path("front.crt"), &front.ca_pem).expect("writable");
    bench.edit("    services:\n", "    ca_file: front.crt\n    services:\n");
    (bench, front)
}

/// Sets the proxy of the tenant.
fn by(bench: &Bench, proxy: &str) {
    bench.edit("    services:\n", &format!("    proxy: \"{proxy}\"\n    services:\n"));
}

/// `run --once` with these variables.
async fn once(bench: &Bench, environment: &[(&str, &str)]) -> Ended {
    bench.launch_in(&["run", "--once", "--config", "config.yaml"], environment).ended().await
}

/// Nobody but the proxy can have asked for this.
fn went_through(squid: &Squid, what: &str) -> usize {
    squid.passed().iter().filter(|line| line.contains(what)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_proxy_with_a_login_is_passed_and_a_wrong_password_is_told_without_it() {
    let (bench, front) = bench().await;
    let squid = Squid::with_login(LOGIN.0, LOGIN.1, &[FRONT]).await;
    let port = squid.port;
    by(&bench, &format!("http://collector:telltale-wrong@127.0.0.1:{port}"));
    let ended = once(&bench, &[]).await.exits(1);
    assert!(ended.stderr.to_lowercase().contains("proxy"), "{}", ended.stderr);
    assert_eq!(bench.sim.ledger().request_count(None), 0);

    bench.edit("collector:telltale-wrong", ENCODED);
    once(&bench, &[]).await.exits(0);
    assert!(went_through(&squid, &format!("CONNECT {FRONT}:{}", front.port)) > 0, "{:?}", squid.passed());
    assert!(squid.passed().iter().any(|line| line.contains(LOGIN.0)), "{:?}", squid.passed());
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_environment_is_used_and_names_without_proxy_are_asked_directly() {
    let (bench, _front) = bench().await;
    let squid = Squid::with_login(LOGIN.0, LOGIN.1, &[FRONT]).await;
    let proxy = format!("http://{ENCODED}@127.0.0.1:{}", squid.port);
    // Nobody else knows the name, so to ask directly is to ask in vain.
    once(&bench, &[("HTTPS_PROXY", &proxy), ("NO_PROXY", FRONT)]).await.exits(1);
    assert_eq!(went_through(&squid, FRONT), 0);
    by(&bench, &proxy);
    once(&bench, &[("NO_PROXY", "localhost,.test")]).await.exits(1);
    assert_eq!(went_through(&squid, FRONT), 0, "also where the configuration names the proxy");
    once(&bench, &[("NO_PROXY", "elsewhere.test")]).await.exits(0);

    bench.edit(&format!("    proxy: \"{proxy}\"\n"), "");
    let passed = went_through(&squid, FRONT);
    once(&bench, &[("HTTPS_PROXY", &proxy)]).await.exits(0);
    assert!(went_through(&squid, FRONT) > passed);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks_proxy_with_a_login_is_passed_and_looks_names_up_itself() {
    let (bench, front) = bench().await;
    let socks = Socks::with_login(LOGIN.0, LOGIN.1, &[FRONT]).await;
    by(&bench, &format!("socks5h://{ENCODED}@127.0.0.1:{}", socks.port));
    once(&bench, &[]).await.exits(0);
    assert!(socks.said().contains(&format!("connected to {FRONT}:{}", front.port)), "{}", socks.said());
    assert_same(&bench.arrived(), &bench.expected());

    bench.edit(ENCODED, "collector:telltale-wrong");
    once(&bench, &[]).await.exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_reads_what_tls_hides_is_passed_where_its_authority_is_trusted() {
    let (bench, front) = bench().await;
    let (own, _) = authority("the company's proxy");
    let squid = Squid::reading(&own, &front.ca_pem, &[FRONT]).await;
    by(&bench, &format!("http://127.0.0.1:{}", squid.port));
    let ended = once(&bench, &[]).await.exits(1);
    assert!(ended.stderr.to_lowercase().contains("certificate"), "{}", ended.stderr);
    assert_eq!(bench.sim.ledger().request_count(None), 0);

    fs::write(bench.path("company.crt"), &own.cert_pem).expect("writable");
    bench.edit("    ca_file: front.crt\n", "    ca_file: company.crt\n");
    once(&bench, &[]).await.exits(0);
    assert!(went_through(&squid, "/api/alerts") > 0, "it has read the requests: {:?}", squid.passed());
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_managed_identity_is_asked_directly_whatever_proxy_is_set() {
    let (bench, front) = bench().await;
    let squid = Squid::with_login(LOGIN.0, LOGIN.1, &[FRONT]).await;
    let proxy = format!("http://{ENCODED}@127.0.0.1:{}", squid.port);
    by(&bench, &proxy);
    prove_by(&bench, "      managed_identity: true\n");
    let (endpoint, header) = (format!("{}/msi/token", bench.sim.base_url()), bench.sim.entra().manage());
    let environment = [
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", header.as_str()),
        ("HTTP_PROXY", proxy.as_str()),
        ("HTTPS_PROXY", proxy.as_str()),
        ("ALL_PROXY", proxy.as_str()),
    ];
    once(&bench, &environment).await.exits(0);
    let passed = squid.passed();
    assert!(
        !passed.is_empty() && passed.iter().all(|line| line.contains(&format!("{FRONT}:{}", front.port))),
        "{passed:?}"
    );
    assert_same(&bench.arrived(), &bench.expected());
}
