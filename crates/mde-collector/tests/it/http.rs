//! Receivers over HTTP end to end, beside a file that holds each event once and is therefore the oracle.

use crate::harness::{Bench, Signal};
use mde_sim::Service;
use mde_sim::receiver::{HttpConfig, HttpFault, HttpReceiver};
use std::collections::BTreeMap;

/// What receivers demand; no process may say it or write it down.
const TOKEN: &str = "telltale-http-token";

/// A tenant with alerts and machines, and a receiver with an output that speaks to it in these words.
async fn bench(demands: HttpConfig, config: &str) -> (Bench, HttpReceiver) {
    let bench = Bench::start(|config| {
        config.alerts.count = 1_500;
        config.alerts.evidence = 0..=2;
        config.page.size = 100;
        config.machines.count = 800;
    })
    .await;
    bench.edit("      alerts:\n", "      alerts:\n      machines:\n");
    let receiver = HttpReceiver::start(demands).await.expect("loopback has a free port");
    let config = config.replace("URL", &receiver.url()).replace("TOKEN", TOKEN);
    bench.edit("outputs:\n  files:", &format!("outputs:\n  siem:\n    type: http\n    config: {{{config}}}\n  files:"));
    (bench, receiver)
}

/// The collector is killed each time that so many further events have arrived, and then runs to its end.
async fn with_kills(bench: &Bench, receiver: &HttpReceiver, kills: &[usize]) {
    for events in kills {
        let killed = bench.run(&["--once"]);
        receiver.wait_events(*events).await;
        killed.signal(Signal::KILL);
        killed.ended().await.was_killed();
    }
    bench.once().await.exits(0);
}

/// Every event in the files: its octets by its id.
fn wanted(bench: &Bench) -> BTreeMap<String, String> {
    let lines = [Service::Alerts, Service::Machines].into_iter().flat_map(|service| bench.lines(service));
    let by_id: BTreeMap<String, String> = lines.map(|line| (id(&line), line)).collect();
    assert!(by_id.len() >= 2_300, "only {} events", by_id.len());
    by_id
}

/// The `@event_id` of an event.
fn id(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).expect("JSON");
    event["@event_id"].as_str().expect("a text").to_owned()
}

/// Fails unless exactly these events arrived, octet for octet, none more often than `most`.
#[track_caller]
fn assert_arrived(receiver: &HttpReceiver, wanted: &BTreeMap<String, String>, most: usize) {
    let mut arrived: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for event in receiver.events() {
        let (first, times) = arrived.entry(id(&event.event)).or_insert_with(|| (event.event.clone(), 0));
        assert!(*first == event.event, "one @event_id names one event");
        *times += 1;
    }
    let missing = wanted.iter().filter(|(id, line)| arrived.get(*id).is_none_or(|(event, _)| event != *line)).count();
    let strange = arrived.keys().filter(|id| !wanted.contains_key(*id)).count();
    assert_eq!((missing, strange), (0, 0), "of {} wanted, {} arrived", wanted.len(), arrived.len());
    let often = arrived.values().map(|(_, times)| *times).max().unwrap_or_default();
    assert!(often <= most, "an event came {often} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_survive_kills_and_faults_and_each_event_arrives() {
    let demands = HttpConfig { authorization: Some(format!("Bearer {TOKEN}")), ..HttpConfig::default() };
    let config = "url: \"URL/{service}\", auth: {bearer: TOKEN}, compress: gzip, batch: {max_events: 50}";
    let (bench, receiver) = bench(demands, config).await;
    receiver.script([HttpFault::Reset(500), HttpFault::Status(429, Some(1)), HttpFault::LoseAnswer]);
    with_kills(&bench, &receiver, &[1, 700, 1_500]).await;
    assert!(receiver.is_scripted_out());
    assert_arrived(&receiver, &wanted(&bench), 5);
    assert!(receiver.events().iter().all(|event| matches!(event.path.as_str(), "/alerts" | "/machines")));
}

#[tokio::test(flavor = "multi_thread")]
async fn splunk_gets_each_event_and_says_so_before_it_counts() {
    let demands =
        HttpConfig { authorization: Some(format!("Splunk {TOKEN}")), acknowledges: true, ..HttpConfig::default() };
    let (bench, receiver) = bench(demands, "url: URL, preset: splunk_hec, ack: true, auth: {bearer: TOKEN}").await;
    with_kills(&bench, &receiver, &[1, 900]).await;
    assert_arrived(&receiver, &wanted(&bench), 3);
    let sources = |source: &str| receiver.events().iter().any(|event| event.around.contains(source));
    assert!(sources("\"mde:alerts\"") && sources("\"mde:machines\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_creates_each_event_once_and_what_it_refuses_is_a_dead_letter() {
    const REFUSED: &str = "\"evidence_id\":2,";
    let demands = HttpConfig {
        authorization: Some(format!("ApiKey {TOKEN}")),
        refuses: Some(REFUSED.to_owned()),
        ..HttpConfig::default()
    };
    let config = "url: URL, preset: elasticsearch, auth: {bearer: TOKEN, scheme: ApiKey}";
    let (bench, receiver) = bench(demands, config).await;
    receiver.script([HttpFault::EverySecond(429), HttpFault::LoseAnswer]);
    with_kills(&bench, &receiver, &[1, 900]).await;
    let mut wanted = wanted(&bench);
    let all = wanted.len();
    wanted.retain(|_, line| !line.contains(REFUSED));
    assert!(wanted.len() < all && wanted.len() > 1_000, "some are refused: {} of {all} are not", wanted.len());
    assert_arrived(&receiver, &wanted, 1);
    // Any of the processes may have buried them, so the store is asked.
    let status = bench.status().await;
    let outputs = status["outputs"].as_array().expect("a list");
    let letters: u64 = outputs.iter().map(|output| output["dead_letters"].as_u64().expect("a number")).sum();
    assert_eq!(letters, (all - wanted.len()) as u64);
    assert!(receiver.events().iter().any(|event| event.around.contains("\"_index\":\"mde-machines\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_loses_nothing_and_the_right_one_delivers_it() {
    let demands = HttpConfig { authorization: Some("Bearer another".to_owned()), ..HttpConfig::default() };
    let (bench, receiver) = bench(demands, "url: URL, auth: {bearer: TOKEN}").await;
    let ended = bench.once().await.exits(1);
    assert!(ended.stderr.contains("403"), "{}", ended.stderr);
    assert_eq!(receiver.events(), []);
    receiver.demand(|config| config.authorization = Some(format!("Bearer {TOKEN}")));
    bench.once().await.exits(0);
    assert_arrived(&receiver, &wanted(&bench), 1);
}
