//! One record that cannot be read stops nothing else, is told, and arrives by itself once it can be read.

use crate::harness::{Bench, assert_same};
use mde_sim::Service;

#[tokio::test(flavor = "multi_thread")]
async fn one_machine_of_100_000_that_cannot_be_read_is_told_and_arrives_when_it_can() {
    let bench = Bench::start(|config| config.machines.count = 100_000).await;
    bench.ask("machines:");
    let bad = bench.sim.world().machine_id(71_234);
    bench.sim.scenario().poison_always(&bad);
    let ended = bench.once().await.exits(1);
    assert!(ended.stderr.contains("set aside"), "{}", ended.stderr);
    assert!(ended.stderr.contains("snapshot incomplete"), "{}", ended.stderr);
    let arrived = bench.ids(Service::Machines);
    assert_eq!(arrived.len(), 99_999, "everything else is there");
    assert!(!arrived.contains_key(&bad));
    bench.sim.scenario().heal(&bad);
    bench.once().await.exits(0);
    assert!(bench.ids(Service::Machines).contains_key(&bad));
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_that_cannot_be_read_are_told_and_arrive_when_they_can() {
    let bench = Bench::start(|config| {
        config.alerts.count = 5_000;
        // Each row of an answer with evidence has some, so that it can be told from one without.
        config.alerts.evidence = 1..=2;
    })
    .await;
    let versions = bench.sim.world().versions();
    let (without_evidence, not_at_all) = (versions[1_000].id.clone(), versions[4_000].id.clone());
    bench.sim.scenario().poison(&without_evidence);
    bench.sim.scenario().poison_always(&not_at_all);
    let ended = bench.once().await.exits(1);
    assert!(ended.stderr.contains("set aside"), "{}", ended.stderr);
    let mut expected = bench.shown();
    expected.retain(|(id, ..), _| *id != without_evidence && *id != not_at_all);
    assert_same(&bench.arrived(), &expected);
    bench.sim.scenario().heal(&without_evidence);
    bench.sim.scenario().heal(&not_at_all);
    bench.once().await.exits(0);
    assert_same(&bench.arrived(), &bench.shown());
}
