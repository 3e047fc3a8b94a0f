//! The status page, health, metrics and JSON, as a browser, a probe and a scraper meet them.

use crate::harness::{Bench, Running, Signal};
use mde_sim::receiver::TestPki;
use mde_sim::{ErrorBody, Fault, RequestKind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

/// What never comes guards against a suite that never ends; nothing is measured by it.
const HANGS: Duration = Duration::from_secs(120);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// What stands before the page's address in the log.
const ADDRESS: &str = "\"url\":\"http";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

/// A tenant whose collector serves its page, with these settings, on any port.
pub async fn bench(settings: &str) -> Bench {
    let bench = Bench::start(|config| config.alerts.count = 50).await;
    bench.edit("      alerts:\n", "      alerts: {request_period_in_seconds: 1}\n");
    bench.output(&format!("globals:\n  status: {{listen: \"127.0.0.1:0\"{settings}}}\n"));
    bench
}

/// `host:port` of the page.
pub async fn address(running: &mut Running) -> String {
    running.says(ADDRESS).await;
    let [_, stderr] = running.said();
    let said = String::from_utf8(stderr.octets()).expect("text");
    let behind = said.split(ADDRESS).nth(1).and_then(|rest| rest.split("://").nth(1)).expect("it was said");
    behind.split('/').next().expect("an address").to_owned()
}

/// Asks over a connection that is open.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("it takes a request");
    let mut octets = Vec::new();
    // A server may close TLS without saying so; the length tells whether everything is there.
    let _ = stream.read_to_end(&mut octets).await;
    let text = String::from_utf8(octets).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().expect("a number");
    assert_eq!(body.len(), length, "{path} is whole");
    Answer { status: status.expect("a status"), headers, body: body.to_owned() }
}

/// Asks without TLS.
pub async fn get(address: &str, path: &str, headers: &str) -> Answer {
    ask(TcpStream::connect(address).await.expect("it listens"), path, headers).await
}

/// Asks again and again until the answer is as it is wanted.
pub async fn until(address: &str, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let asking = async {
        loop {
            let answer = get(address, path, "").await;
            if wanted(&answer) {
                return answer;
            }
            sleep(LOOK).await;
        }
    };
    match timeout(HANGS, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("{path} never came to what is wanted: {:?}", get(address, path, "").await),
    }
}

/// The JSON without what time alone changes.
fn still(json: &str) -> Value {
    let mut status: Value = serde_json::from_str(json).expect("JSON");
    for row in status["streams"].as_array_mut().expect("rows") {
        row["lag_s"] = Value::Null;
    }
    for row in status["outputs"].as_array_mut().expect("rows") {
        row["oldest_s"] = Value::Null;
    }
    status
}

/// The samples of `/metrics` by name and labels; each line is checked against the form.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let bare = name.split('{').next().expect("a name");
        assert!(bare.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{line}");
        assert!(!name.contains('{') || name.ends_with('}'), "{line}");
        let fresh = samples.insert(name.to_owned(), value.parse().expect("a number"));
        assert!(fresh.is_none(), "twice: {name}");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| bare.strip_suffix(end)).unwrap_or(bare);
        let typed = |family: &str| text.contains(&format!("# TYPE {family} "));
        assert!(typed(bare) || typed(family), "{line} has no type");
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_is_what_state_show_tells_and_the_page_needs_no_script() {
    let bench = bench("").await;
    // One pull, and then none for an hour: what is shown stands still.
    bench.edit("{request_period_in_seconds: 1}", "{request_period_in_seconds: 3600}");
    let mut running = bench.run(&[]);
    let address = address(&mut running).await;
    let drained = |answer: &Answer| {
        let status: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        status["streams"][0]["state"] == "current" && status["outputs"][0]["state"] == "idle"
    };
    let shown = until(&address, "/api/status", drained).await;
    let told = async {
        loop {
            let told =
                bench.launch(&["state", "show", "--config", "config.yaml", "--format", "json"]).ended().await.exits(0);
            let served = get(&address, "/api/status", "").await;
            // Notes are written a little after they are made.
            if still(&told.stdout) == still(&served.body) {
                return;
            }
            sleep(LOOK).await;
        }
    };
    assert!(timeout(HANGS, told).await.is_ok(), "state show never tells the same as {}", shown.body);
    let page = get(&address, "/", "").await;
    for part in ["simulated", "alerts", "current", "files", "1 fine"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let stream = get(&address, "/stream?tenant=simulated&service=alerts&query=", "").await;
    assert!(stream.body.contains("Last pulls"), "{}", stream.body);
    assert_eq!(get(&address, "/stream?tenant=nobody&service=alerts", "").await.status, 404);
    let id = bench.arrived().into_keys().next().expect("something arrived").0;
    let explained = get(&address, &format!("/explain?id={id}"), "").await;
    assert!(explained.body.contains("delivered"), "{}", explained.body);
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_in_the_form_of_prometheus_and_count_what_was_delivered() {
    let bench = bench("").await;
    let mut running = bench.run(&[]);
    let address = address(&mut running).await;
    let expected = bench.shown().len();
    let all = format!("mde_collector_delivered_events_total{{output=\"files\"}} {expected}\n");
    // What the process counts is told at once, the rest when it is next looked at.
    let settled = [&*all, "mde_collector_lag_seconds{", "mde_collector_outbox_bytes 0\n"];
    let is_settled = |answer: &Answer| settled.iter().all(|part| answer.body.contains(part));
    let text = until(&address, "/metrics", is_settled).await.body;
    let samples = samples(&text);
    let of = |name: &str| samples.get(&format!("mde_collector_{name}")).copied();
    assert_eq!(of("events_total{tenant=\"simulated\",service=\"alerts\"}"), Some(expected as f64));
    assert!(of("records_total{tenant=\"simulated\",service=\"alerts\"}") >= Some(50.0));
    assert!(of("requests_total{tenant=\"simulated\",status=\"200\"}") >= Some(1.0));
    assert_eq!(of("throttled_total{tenant=\"simulated\"}"), Some(0.0));
    assert_eq!(of("outbox_bytes"), Some(0.0));
    assert!(of("lag_seconds{tenant=\"simulated\",service=\"alerts\",query=\"\"}").is_some());
    assert!(samples.get("process_resident_memory_bytes") > Some(&1e6));
    for answer in [text, get(&address, "/", "").await.body, get(&address, "/api/status", "").await.body] {
        assert!(!answer.contains("telltale"), "a secret is shown: {answer}");
    }
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_opens_and_every_answer_is_guarded() {
    let bench = bench(", token: \"${env:PAGE_TOKEN}\"").await;
    let mut running = bench.launch_in(&["run", "--config", "config.yaml"], &[("PAGE_TOKEN", "telltale-page-token")]);
    let address = address(&mut running).await;
    for path in ["/", "/api/status", "/metrics", "/explain?id=x", "/live", "/status.js"] {
        let answer = get(&address, path, "").await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.headers["www-authenticate"].contains("Basic"), "{answer:?}");
        assert_eq!(get(&address, path, "Authorization: Bearer telltale-page-toke\r\n").await.status, 401, "{path}");
    }
    assert_eq!(get(&address, "/healthz", "").await.body, "alive\n");
    // "x:telltale-page-token"
    let basic = "Authorization: Basic eDp0ZWxsdGFsZS1wYWdlLXRva2Vu\r\n";
    for authorization in ["Authorization: Bearer telltale-page-token\r\n", basic] {
        let answer = get(&address, "/", authorization).await;
        assert_eq!(answer.status, 200);
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(!answer.headers.contains_key("set-cookie"));
        assert!(
            !answer.body.contains("telltale") && !answer.body.contains("style=") && !answer.body.contains("<script>")
        );
    }
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_told_while_it_lasts_and_nothing_of_it_stays() {
    let bench = bench("").await;
    bench.sim.scenario().times(RequestKind::Alerts, 3, Fault::Status { status: 503, body: ErrorBody::Json });
    let mut running = bench.run(&[]);
    let address = address(&mut running).await;
    let told = until(&address, "/", |answer| answer.body.contains("outage")).await;
    assert!(told.body.contains("Nothing to do") && told.body.contains("class=\"error\""), "{}", told.body);
    assert_eq!(get(&address, "/readyz", "").await.status, 200, "waiting mends it");
    let calm = until(&address, "/", |answer| answer.body.contains("1 fine") && answer.body.contains("current")).await;
    for class in ["badge bad", "badge odd", "class=\"error\""] {
        assert!(!calm.body.contains(class), "{class}: {}", calm.body);
    }
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_everywhere_is_alive_and_not_ready() {
    let bench = bench("").await;
    let secret = bench.sim.credentials().client_secret;
    bench.edit(&secret, "telltale-wrong");
    let mut running = bench.run(&[]);
    let address = address(&mut running).await;
    until(&address, "/readyz", |answer| answer.status == 503 && answer.body.contains("no stream")).await;
    assert_eq!(get(&address, "/healthz", "").await.status, 200);
    let page = get(&address, "/", "").await;
    assert!(page.body.contains("badge bad") && !page.body.contains("telltale"), "{}", page.body);
    running.signal(Signal::TERM);
    running.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_speaks_tls_with_the_files_that_are_named() {
    let bench = bench(", tls: {cert: page.crt, key: page.key}").await;
    let pki = TestPki::new();
    fs::write(bench.path("page.crt"), &pki.server.cert_pem).expect("writable");
    fs::write(bench.path("page.key"), &pki.server.key_pem).expect("writable");
    let mut running = bench.run(&[]);
    let address = address(&mut running).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.ca_pem.as_bytes()).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(&address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    assert_eq!(ask(stream, "/healthz", "").await.body, "alive\n");
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_a_warning_and_history_outlives_a_restart() {
    let bench = bench("").await;
    let busy = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = busy.local_addr().expect("an address").port();
    bench.edit("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let ended = bench.once().await.exits(0);
    assert!(ended.stderr.contains("cannot be served there"), "{}", ended.stderr);
    bench.edit(&format!("127.0.0.1:{port}"), "127.0.0.1:0");
    let path = "/stream?tenant=simulated&service=alerts&query=";
    let rows = |answer: &Answer| answer.body.matches("scope=\"row\"").count();
    let mut first = bench.run(&[]);
    let shown = rows(&until(&address(&mut first).await, path, |answer| rows(answer) >= 3).await);
    first.signal(Signal::TERM);
    first.ended().await.exits(0);
    // The second makes one pull and no more.
    bench.edit("{request_period_in_seconds: 1}", "{request_period_in_seconds: 3600}");
    let mut second = bench.run(&[]);
    let kept = rows(&get(&address(&mut second).await, path, "").await);
    assert!(kept >= shown, "{kept} of {shown} pulls are known after a restart");
    second.signal(Signal::TERM);
    second.ended().await.exits(0);
}
