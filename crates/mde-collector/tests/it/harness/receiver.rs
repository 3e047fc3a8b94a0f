//! A Devo receiver over TLS that asks for a client certificate, and what arrived there.

use super::{Arrived, count};
use mde_sim::receiver::{Behaviour, DevoReceiver, ReceiverConfig, ReceiverTls, TestPki};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

/// The far side of the output `devo`.
pub struct Devo(DevoReceiver);

impl Devo {
    /// Starts it, writes the certificates into the folder, and gives the lines that the configuration needs under
    /// `outputs`.
    pub async fn start(folder: &Path) -> (Self, String) {
        let pki = TestPki::new();
        let files = pki.write_to(folder).expect("writable");
        let tls = ReceiverTls { identity: pki.server.clone(), client_ca_pem: Some(pki.ca_pem.clone()) };
        let config = ReceiverConfig { tls: Some(tls), ..ReceiverConfig::default() };
        let receiver = DevoReceiver::start(config).await.expect("loopback has a free port");
        let output = format!(
            "  devo:\n    type: relay\n    config:\n      address: localhost\n      port: {}\n      chain: {}\n      \
             cert: {}\n      key: {}\n      connecting_initial_wait_in_seconds: 1\n      confirm_after: 100ms\n",
            receiver.addr().port(),
            files.chain.display(),
            files.client_cert.display(),
            files.client_key.display(),
        );
        (Self(receiver), output)
    }

    /// From now on connections behave so, until told otherwise.
    pub fn behaves(&self, behaviour: Behaviour) {
        self.0.set_behaviour(behaviour);
    }

    /// How often each event arrived, by its `@event_id`; whatever came twice was the same octets both times.
    pub fn by_id(&self) -> BTreeMap<String, (Value, u64)> {
        let mut events: BTreeMap<String, (Value, u64)> = BTreeMap::new();
        for event in self.0.events() {
            assert_eq!((event.tag.as_str(), event.pri), ("edr.microsoft_defender.endpoint.alerts", 14));
            let value = event.json().expect("JSON");
            let id = value["@event_id"].as_str().expect("a text").to_owned();
            let (first, times) = events.entry(id).or_insert_with(|| (value.clone(), 0));
            assert_eq!(*first, value, "one @event_id names one event");
            *times += 1;
        }
        events
    }

    /// What arrived, doubles dropped by `@event_id` as a receiver can.
    pub fn arrived(&self) -> Arrived {
        count(self.by_id().into_values().map(|(event, _)| event))
    }

    /// The most often that one event came.
    pub fn most_often(&self) -> u64 {
        self.by_id().into_values().map(|(_, times)| times).max().unwrap_or_default()
    }
}

impl Deref for Devo {
    type Target = DevoReceiver;

    fn deref(&self) -> &DevoReceiver {
        &self.0
    }
}
