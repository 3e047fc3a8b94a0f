//! Services beside each other: each fails alone, and each can be read in its other ways.

use crate::harness::Bench;
use mde_sim::{Fault, RequestKind, Service};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_or_is_not_permitted_stops_no_other() {
    let bench = Bench::start(|config| {
        config.alerts.count = 100;
        // Well within the seven days of a first start.
        config.investigations.span = Duration::from_secs(6 * 86_400);
        // Without hunting there is no table to read it from instead.
        config
            .roles
            .retain(|role| !["Software", "ThreatHunting", "AdvancedQuery"].iter().any(|gone| role.starts_with(gone)));
    })
    .await;
    bench.edit(
        "      alerts:\n",
        "      alerts:\n      machines:\n      software:\n      vulnerabilities:\n      investigations:\n",
    );
    bench.sim.scenario().always(RequestKind::Machines, Fault::Status { status: 503, body: mde_sim::ErrorBody::Html });
    let ended = bench.once().await.exits(1);
    assert!(ended.stderr.contains("Software.Read.All"), "the missing role is named: {}", ended.stderr);
    assert!(bench.ids(Service::Machines).is_empty());
    assert_eq!(bench.ids(Service::Alerts).len(), 100);
    for service in [Service::Vulnerabilities, Service::Investigations] {
        assert_eq!(bench.ids(service).into_keys().collect::<BTreeSet<_>>(), bench.tenant_ids(service), "{service:?}");
    }
    bench.sim.scenario().clear();
    bench.run(&["--once", "--service", "machines"]).ended().await.exits(0);
    assert_eq!(bench.ids(Service::Machines).into_keys().collect::<BTreeSet<_>>(), bench.tenant_ids(Service::Machines));
}

#[tokio::test(flavor = "multi_thread")]
async fn vulnerabilities_by_their_last_change_come_once_and_again_when_they_change() {
    let bench = Bench::start(|config| config.vulnerabilities.count = 400).await;
    bench.edit(
        "      alerts:\n",
        "      vulnerabilities: {mode: incremental, historical_poll_datetime: 2000-01-01T00:00:00Z}\n",
    );
    bench.once().await.exits(0);
    let first = bench.ids(Service::Vulnerabilities);
    assert_eq!(first.keys().cloned().collect::<BTreeSet<_>>(), bench.tenant_ids(Service::Vulnerabilities));
    assert!(first.values().all(|times| *times == 1));
    let world = bench.sim.world();
    let touched = (0..400).step_by(40).filter(|number| world.touch(Service::Vulnerabilities, *number)).count();
    assert!(touched >= 5, "{touched}");
    bench.settled().await;
    bench.once().await.exits(0);
    let second = bench.ids(Service::Vulnerabilities);
    assert_eq!(second.values().filter(|times| **times == 2).count(), touched);
    assert_eq!(second.values().sum::<u64>(), 400 + touched as u64, "nothing else came again");
}
