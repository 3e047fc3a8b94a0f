//! Devo's channel end to end: TLS with a client certificate, and a receiver that resets.

use crate::harness::{Bench, assert_same};
use mde_sim::receiver::{After, Behaviour};

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_the_middle_of_2000_events_loses_nothing() {
    let bench = Bench::start(|config| {
        config.alerts.count = 2_000;
        config.alerts.evidence = 1..=1;
    })
    .await;
    let devo = bench.devo().await;
    devo.script(Behaviour { reset_after: Some(After::Events(158)), ..Behaviour::default() });
    bench.once().await.exits(0);
    assert_eq!(bench.expected().len(), 2_000);
    assert_same(&devo.arrived(), &bench.expected());
    assert!(devo.connections().len() >= 2, "the reset took place");
    assert!(devo.connections().iter().all(|connection| connection.client_certificate));
}
