//! No room on the disk and a store that cannot write: pulling waits, outputs go on, nothing is lost.

use crate::harness::{Bench, Running, SmallDisk, assert_same, in_25_pages};
use mde_sim::RequestKind;
use std::sync::atomic::{AtomicBool, Ordering};

/// Alerts in 25 pages, so that the disk fills up somewhere in between.
const ALERTS: usize = 2_500;

#[tokio::test(flavor = "multi_thread")]
async fn with_less_than_512_mib_of_disk_pulling_pauses_outputs_drain_and_it_resumes_by_itself() {
    let bench = Bench::start(in_25_pages(ALERTS)).await;
    let Some(disk) = SmallDisk::mount(bench.path("state"), 2_048).await else { return };
    let devo = bench.devo().await;
    devo.stall();
    // While a page is on its way the disk shrinks under the collector: about 400 MiB are left.
    let (resize, shrunk) = (disk.resizer(), AtomicBool::new(false));
    bench.sim.scenario().after_requests(RequestKind::Alerts, 10, move |_| {
        if !shrunk.swap(true, Ordering::Relaxed) {
            resize(400);
        }
    });
    let mut running = bench.run_on(&disk, &["--once"]);
    running.says("the disk is nearly full: pulling pauses").await;
    // Whatever else is asked now would break the promise; the pause lasts as long as the outputs need.
    let asked = bench.sim.ledger().request_count(RequestKind::Alerts);
    devo.resume();
    let stored: u64 = bench.expected().values().sum();
    devo.wait_events(stored).await;
    assert_eq!(bench.sim.ledger().request_count(RequestKind::Alerts), asked, "nothing is asked meanwhile");
    assert!(bench.versions().len() < ALERTS, "it paused in between");
    disk.resizer()(2_048);
    running.says("there is room again: pulling goes on").await;
    running.ended().await.exits(0);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
    assert_same(&devo.arrived(), &bench.expected());
}

/// A collector half-way through, whose files cannot grow any more from one moment to the next.
async fn stuck(bench: &Bench) -> Running {
    let mut running = bench.run_unsignalled(&["--once"]);
    bench.sim.ledger().wait_rows_served(ALERTS as u64 / 5).await;
    running.limit_file_size(Some(4_096));
    running.says("the state store failed and is tried again").await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_for_a_moment_is_tried_again_and_everything_arrives_once() {
    let bench = Bench::start(in_25_pages(ALERTS)).await;
    let mut running = stuck(&bench).await;
    running.limit_file_size(None);
    running.says("the state store works again").await;
    running.ended().await;
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_for_a_minute_is_exit_4_and_nothing_is_lost() {
    let bench = Bench::start(in_25_pages(ALERTS)).await;
    let running = stuck(&bench).await;
    let ended = running.ended().await.exits(4);
    assert!(ended.stderr.contains("the state store has failed for too long"), "{}", ended.stderr);
    assert!(bench.versions().len() < ALERTS, "it was in between");
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
}
