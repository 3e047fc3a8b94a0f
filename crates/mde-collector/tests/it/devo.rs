//! Devo's channel end to end: TLS with a client certificate, and a receiver that resets.

use crate::harness::Bench;
use mde_sim::receiver::{After, Behaviour, DevoReceiver, ReceiverConfig, ReceiverTls, TestPki};
use std::collections::BTreeSet;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_the_middle_of_2000_events_loses_nothing() {
    let bench = Bench::start(|config| {
        config.alerts.count = 2_000;
        config.alerts.evidence = 1..=1;
    })
    .await;
    let pki = TestPki::new();
    let files = pki.write_to(bench.folder.path()).expect("writable");
    let tls = ReceiverTls { identity: pki.server.clone(), client_ca_pem: Some(pki.ca_pem.clone()) };
    let receiver = DevoReceiver::start(ReceiverConfig { tls: Some(tls), ..ReceiverConfig::default() });
    let receiver = receiver.await.expect("loopback has a free port");
    receiver.script(Behaviour { reset_after: Some(After::Events(158)), ..Behaviour::default() });
    let outputs = format!(
        "outputs:\n  devo:\n    type: relay\n    config:\n      address: localhost\n      port: {}\n      chain: {}\n      \
         cert: {}\n      key: {}\n      connecting_initial_wait_in_seconds: 1\n",
        receiver.addr().port(),
        files.chain.display(),
        files.client_cert.display(),
        files.client_key.display(),
    );
    fs::write(bench.folder.path().join("config.yaml"), format!("{}{outputs}", bench.sim.inputs_yaml()))
        .expect("writable");
    let ended = bench.once().await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let events = receiver.events();
    assert!(events.iter().all(|event| event.tag == "edr.microsoft_defender.endpoint.alerts" && event.pri == 14));
    let ids: BTreeSet<String> = events
        .iter()
        .map(|event| event.json().expect("JSON")["@event_id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 2_000, "each event arrived, some of them again");
    assert!(receiver.connections().len() >= 2, "the reset took place");
}
