//! Receivers that others have written: rsyslog, openssl and a NATS server, started here and ended with the test.

use crate::harness::{Bench, NatsServer, Rsyslog, Signal, TlsServer, assert_same, count, messages_behind};
use async_nats::jetstream::stream::Stream;
use mde_sim::receiver::{Identity, TestPki};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Name of the client's certificate in [`TestPki`].
const CLIENT: &str = "mde-sim test client";

/// A tenant with so many alerts of one event each.
async fn bench(alerts: usize) -> Bench {
    let change = |config: &mut mde_sim::SimConfig| {
        config.alerts.count = alerts;
        config.alerts.evidence = 1..=1;
    };
    Bench::start(change).await
}

/// Waits until something holds; the time is never used up unless the test fails.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(120), waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Adds a `relay` over TLS at this port, with chain and client certificate of these.
fn relay(bench: &Bench, pki: &TestPki, client: &Identity, port: u16) {
    fs::write(bench.path("chain.crt"), &pki.ca_pem).expect("writable");
    present(bench, client);
    bench.output(&format!(
        "  devo:\n    type: relay\n    config:\n      address: localhost\n      port: {port}\n      chain: chain.crt\n      \
         cert: client.crt\n      key: client.key\n      hostname: collector-7\n      date: bsd\n      \
         connecting_initial_wait_in_seconds: 1\n      connecting_max_wait_in_seconds: 1\n"
    ));
}

/// Puts a client certificate where the configuration names it.
fn present(bench: &Bench, client: &Identity) {
    fs::write(bench.path("client.crt"), &client.cert_pem).expect("writable");
    fs::write(bench.path("client.key"), &client.key_pem).expect("writable");
}

/// One run brings so many events, each once, and rsyslog understands their headers.
async fn takes_each_once(bench: &Bench, rsyslog: &Rsyslog, events: usize) {
    bench.once().await.exits(0);
    rsyslog.wait_events(events).await;
    assert_same(&rsyslog.arrived(), &bench.expected());
    assert_eq!(rsyslog.messages().len(), events, "each once");
    assert_parsed(bench, rsyslog, "collector-7");
}

/// rsyslog has parsed each message into what we meant.
fn assert_parsed(bench: &Bench, rsyslog: &Rsyslog, host: &str) {
    let sent: BTreeSet<String> = bench.lines(mde_sim::Service::Alerts).into_iter().collect();
    for message in rsyslog.messages() {
        let header = (message.host.as_str(), message.tag.as_str(), message.pri.as_str());
        assert_eq!(header, (host, "edr.microsoft_defender.endpoint.alerts:", "14"));
        assert!(message.time.starts_with("20") && message.time.contains('T'), "{}", message.time);
        let event = message.message.strip_prefix(' ').expect("a blank behind the colon");
        assert!(sent.contains(event), "the octets of the event are those of the file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_over_tls_with_client_certificates_takes_every_event_once_and_understands_the_header() {
    let bench = bench(2_000).await;
    let pki = TestPki::new();
    let rsyslog = Rsyslog::tls(&pki, CLIENT).await;
    relay(&bench, &pki, &pki.client, rsyslog.port);
    takes_each_once(&bench, &rsyslog, 2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_over_plain_tcp_takes_every_event_once_and_understands_the_header() {
    let bench = bench(2_000).await;
    let rsyslog = Rsyslog::tcp().await;
    bench.output(&format!(
        "  plain:\n    type: syslog\n    config: {{address: 127.0.0.1, port: {}, hostname: collector-7}}\n",
        rsyslog.port
    ));
    takes_each_once(&bench, &rsyslog, 2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_that_is_restarted_in_the_middle_misses_nothing() {
    const ALERTS: usize = 20_000;
    let bench = bench(ALERTS).await;
    let pki = TestPki::new();
    let mut rsyslog = Rsyslog::tls(&pki, CLIENT).await;
    relay(&bench, &pki, &pki.client, rsyslog.port);
    let running = bench.run(&["--once"]);
    rsyslog.wait_events(200).await;
    rsyslog.stop().await;
    rsyslog.again().await;
    running.ended().await.exits(0);
    rsyslog.wait_events(ALERTS).await;
    assert_same(&rsyslog.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_rsyslog_does_not_permit_loses_nothing_and_goes_on_once_it_is_permitted() {
    let bench = bench(300).await;
    let (pki, strange) = (TestPki::new(), TestPki::new());
    let rsyslog = Rsyslog::tls(&pki, CLIENT).await;
    relay(&bench, &pki, &strange.client, rsyslog.port);
    let mut running = bench.run(&[]);
    running.says("the output failed").await;
    assert_eq!(rsyslog.messages().len(), 0);
    present(&bench, &pki.client);
    rsyslog.wait_events(300).await;
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    assert_same(&rsyslog.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_that_verifies_the_client_takes_every_event_once() {
    let bench = bench(1_000).await;
    let pki = TestPki::new();
    let server = TlsServer::start(&pki.server, &pki.ca_pem, None).await;
    relay(&bench, &pki, &pki.client, server.port);
    bench.once().await.exits(0);
    assert_same(&server.arrived(), &bench.expected());
    let lines = server.lines();
    assert_eq!(lines.len(), 1_000, "each once");
    assert!(lines.iter().all(|line| line.contains(" collector-7 edr.microsoft_defender.endpoint.alerts: {")));
}

/// A server or client that must be refused: what is said, nothing lost, and all of it there once it is mended.
async fn refused_until_mended(
    said: &str,
    server: impl Fn(&TestPki) -> Identity,
    client: impl Fn(&TestPki) -> Identity,
) {
    let bench = bench(300).await;
    let pki = TestPki::new();
    let wrong = TlsServer::start(&server(&pki), &pki.ca_pem, None).await;
    relay(&bench, &pki, &client(&pki), wrong.port);
    let mut running = bench.run(&[]);
    running.says(said).await;
    assert_eq!(wrong.lines().len(), 0);
    let port = wrong.port;
    wrong.stop().await;
    present(&bench, &pki.client);
    let right = TlsServer::start(&pki.server, &pki.ca_pem, Some(port)).await;
    until("every event", async || right.lines().len() >= 300).await;
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    assert_same(&right.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_server_certificate_is_told_and_nothing_is_lost() {
    refused_until_mended("certificate expired", |pki| pki.expired_server.clone(), |pki| pki.client.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_name_is_told_and_nothing_is_lost() {
    refused_until_mended("not valid for name", |pki| pki.misnamed_server.clone(), |pki| pki.client.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_a_stranger_is_told_and_nothing_is_lost() {
    // The stranger's authority bears the same name, so openssl checks the signature and finds it wrong.
    refused_until_mended("received fatal alert: DecryptError", |pki| pki.server.clone(), |_| TestPki::new().client)
        .await;
}

/// Messages in a stream.
async fn stored(stream: &Stream) -> u64 {
    stream.get_info().await.expect("it answers").state.messages
}

/// Adds an output `nats` at this address; `more` stands among its keys.
fn nats(bench: &Bench, server: &NatsServer, more: &str) {
    bench.output(&format!("  bus:\n    type: nats\n    config: {{url: \"{}\"{more}}}\n", server.url()));
}

/// The stream holds every event once, under its own id.
async fn assert_exactly_once(bench: &Bench, stream: &Stream) {
    let messages = messages_behind(stream, 0).await;
    let events = messages.iter().map(|(_, id, body)| {
        let event: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!(event["@event_id"].as_str(), id.as_deref());
        event
    });
    assert_same(&count(events), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_stream_holds_each_event_once_although_the_collector_is_killed_in_the_middle() {
    const ALERTS: usize = 5_000;
    let bench = bench(ALERTS).await;
    let server = NatsServer::start("").await;
    let stream = server.stream(|_| {}).await;
    nats(&bench, &server, "");
    for wanted in [1, 1_000, 3_000] {
        let killed = bench.run(&["--once"]);
        until("the middle", async || stored(&stream).await >= wanted).await;
        killed.signal(Signal::KILL);
        killed.ended().await.was_killed();
    }
    bench.once().await.exits(0);
    assert_exactly_once(&bench, &stream).await;
    assert_eq!(bench.versions().len(), ALERTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_that_is_killed_in_the_middle_holds_each_event_once() {
    const ALERTS: usize = 5_000;
    let bench = bench(ALERTS).await;
    let mut server = NatsServer::start("").await;
    let stream = server.stream(|_| {}).await;
    nats(&bench, &server, "");
    let running = bench.run(&["--once"]);
    until("the middle", async || stored(&stream).await >= 500).await;
    server.stop().await;
    server.again().await;
    running.ended().await.exits(0);
    assert_exactly_once(&bench, &server.stream(|_| {}).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_login_that_is_refused_and_a_subject_that_no_stream_takes_are_told_and_nothing_is_lost() {
    let bench = bench(200).await;
    let mut server = NatsServer::start("authorization { token: telltale-nats }\n").await;
    nats(&bench, &server, ", token: telltale-wrong");
    // A person needs longer than a test; a start forgets how long it wanted to wait.
    let told = async |text: &str| {
        let mut running = bench.run(&[]);
        running.says(text).await;
        running.signal(Signal::KILL);
        running.ended().await.was_killed();
    };
    told("log in to nats").await;
    server.stop().await;
    // The same port, without logins and without a stream.
    server.configure("");
    server.again().await;
    told("no JetStream stream takes it").await;
    let stream = server.stream(|_| {}).await;
    bench.once().await.exits(0);
    assert_exactly_once(&bench, &stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_larger_than_the_stream_takes_becomes_a_dead_letter_and_the_rest_arrives() {
    let bench = Bench::start(|config| {
        config.alerts.count = 200;
        config.alerts.evidence = 0..=3;
    })
    .await;
    bench.once().await.exits(0);
    let mut sizes: Vec<usize> = bench.lines(mde_sim::Service::Alerts).iter().map(String::len).collect();
    sizes.sort_unstable();
    let server = NatsServer::start("").await;
    // The headers count as well.
    let limit = sizes[sizes.len() / 2] + 100;
    let stream = server.stream(|config| config.max_message_size = i32::try_from(limit).expect("small")).await;
    nats(&bench, &server, ", from: files");
    fs::remove_dir_all(bench.path("state")).expect("it was made");
    fs::remove_dir_all(bench.path("out")).expect("it was made");
    let ended = bench.once().await.exits(0);
    assert!(ended.stderr.contains("max_msg_size"), "{}", ended.stderr);
    let arrived = messages_behind(&stream, 0).await.len();
    assert!(arrived > 0 && arrived < sizes.len(), "{arrived} of {} fit", sizes.len());
    // What is refused for good is not asked for again, and nothing waits behind it.
    let ended = bench.once().await.exits(0);
    assert!(!ended.stderr.contains("max_msg_size"), "{}", ended.stderr);
    assert_eq!(messages_behind(&stream, 0).await.len(), arrived);
}
