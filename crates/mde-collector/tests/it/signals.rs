//! SIGTERM and SIGINT: an orderly end, and a hasty one.

use crate::harness::{Bench, Signal, assert_same};
use mde_sim::{Fault, RequestKind};

/// A tenant whose answers trickle, so that a signal meets a pull under way.
async fn bench() -> Bench {
    let bench = Bench::start(|config| {
        config.alerts.count = 3_000;
        config.page.size = 500;
    })
    .await;
    bench.sim.scenario().times(RequestKind::Alerts, 6, Fault::Pass);
    bench.sim.scenario().always(RequestKind::Alerts, Fault::Slow { bytes: 2_000, pause_ms: 10 });
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_the_middle_of_a_pull_is_exit_0_and_the_next_start_delivers_the_rest_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let bench = bench().await;
        let devo = bench.devo().await;
        let running = bench.run(&[]);
        bench.sim.ledger().wait_rows_served(1_500).await;
        running.signal(signal);
        running.ended().await.exits(0);
        let before = bench.arrived();
        assert!(bench.versions().len() < 3_000, "the pull was not complete");
        assert!(before.values().all(|times| *times == 1), "a file holds each event once");
        assert_same(&devo.arrived(), &before);
        bench.sim.scenario().clear();
        bench.once().await.exits(0);
        assert_eq!(bench.versions().len(), 3_000);
        assert_same(&bench.arrived(), &bench.expected());
        assert_same(&devo.arrived(), &bench.expected());
        assert_eq!(devo.most_often(), 1, "what was confirmed at the end is not sent again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_and_loses_nothing() {
    let bench = bench().await;
    let devo = bench.devo().await;
    // Nobody reads, so the outbox cannot be drained and only the second signal ends the wait.
    devo.stall();
    let mut running = bench.run(&["--stop-timeout", "1h"]);
    bench.sim.ledger().wait_rows_served(1_500).await;
    running.signal(Signal::TERM);
    running.says("stopping").await;
    running.signal(Signal::TERM);
    running.ended().await.was_killed();
    devo.resume();
    bench.sim.scenario().clear();
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), 3_000);
    assert_same(&bench.arrived(), &bench.expected());
    assert_same(&devo.arrived(), &bench.expected());
}
