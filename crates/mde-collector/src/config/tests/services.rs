//! Services and hunting queries that load, and what they come to.

use super::*;
use crate::service::{Pull, SERVICES};
use std::time::Duration;

#[test]
fn every_service_has_its_own_way_period_and_tag() {
    let services = "      alerts:\n      machines:\n      vulnerabiities:\n      softwares:\n      recommendations:\n      investigations:\n      advanced_huntuing: {queries: {a: {query: DeviceInfo, devo_tag: my.app.a.b}}}\n      incidents:\n";
    let loaded = good(&with_input("", services));
    assert_eq!(messages(&loaded.warnings), [""; 0]);
    let services = &loaded.config.inputs[0].services;
    assert_eq!(services.len(), SERVICES.len());
    for (service, def) in services.iter().zip(SERVICES) {
        assert_eq!((service.def.name, service.pull), (def.name, &def.pull[0]));
        assert_eq!((service.period, service.tag.as_str()), (Duration::from_secs(def.period_s), def.tag));
        assert_eq!((service.emit, service.snapshot_marker, service.counts.len()), (Emit::All, false, 0));
        let default = Enrichment { method: Method::Auto, max_age: Duration::from_secs(6 * 3_600) };
        assert_eq!(service.enrichment, default);
        assert_eq!(service.flatten, FlattenConfig::of(def.flatten), "off, unless the source's table says what");
    }
}

#[test]
fn a_snapshot_can_be_told_to_send_changes_alone() {
    let loaded = good(&with_input(
        "",
        "      machines: {emit: changes, changes_ignore: [lastSeen, healthStatus], snapshot_marker: true, filter: \"riskScore eq 'High'\"}\n      vulnerabilities: {mode: Incremental, overlap: 1h}\n",
    ));
    assert_eq!(messages(&loaded.warnings), [""; 0]);
    let [machines, vulnerabilities] = loaded.config.inputs[0].services.as_slice() else { panic!("two") };
    assert_eq!((machines.emit, machines.snapshot_marker), (Emit::Changes, true));
    assert_eq!(machines.changes_ignore, ["lastSeen", "healthStatus"]);
    assert!(matches!(vulnerabilities.pull, Pull::Window { time: "updatedOn", .. }));
    assert_eq!(vulnerabilities.overlap, Duration::from_secs(3_600));
}

#[test]
fn hunting_queries_are_streams_of_their_own() {
    let loaded = good(&with_input(
        "",
        "      advanced_hunting:
        devo_tag: my.app.hunting.all
        request_period_in_seconds: 600
        queries:
          - {name: logons, query: DeviceLogonEvents, devo_tag: my.app.defender.logons, timestamp_column: Timestamp}
          - {name: bounded, query: 'DeviceInfo | where Timestamp between (datetime({from}) .. datetime({to}))', sweep: {every: 2h}, row_cap: 500, overlap: 1h}
          - {name: hourly, query: DeviceInfo | summarize count(), timestamp_column: Timestamp, align: 1h, request_period_in_seconds: 3600}
          - {name: whole, query: DeviceTvmSoftwareInventory}
          - {name: off, query: x, enabled: false}
",
    ));
    assert_eq!(messages(&loaded.warnings), [""; 0]);
    let service = service(&loaded);
    assert_eq!((service.pull, service.def.name), (&Pull::Slices, "advanced_hunting"));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let [logons, bounded, hourly, whole] = service.queries.as_slice() else { panic!("{:?}", service.queries) };
    assert_eq!((logons.name.as_str(), logons.tag.as_str()), ("logons", "my.app.defender.logons"));
    assert_eq!((logons.pull, logons.period, logons.overlap), (&Pull::Slices, minutes(10), minutes(30)));
    assert_eq!((logons.align, logons.settle, logons.row_cap), (None, minutes(30), 100_000));
    assert_eq!(logons.sweep, Some(Sweep { every: minutes(6 * 60), back: minutes(24 * 60) }));
    assert_eq!(logons.timestamp_column.as_deref(), Some("Timestamp"));
    assert_eq!((bounded.pull, bounded.tag.as_str(), bounded.row_cap), (&Pull::Slices, "my.app.hunting.all", 500));
    assert_eq!((bounded.overlap, bounded.sweep.map(|sweep| sweep.every)), (minutes(60), Some(minutes(120))));
    assert_eq!((hourly.align, hourly.overlap, hourly.sweep), (Some(minutes(60)), Duration::ZERO, None));
    assert_eq!((hourly.period, hourly.settle), (minutes(60), minutes(30)));
    assert!(matches!(whole.pull, Pull::Snapshot { .. }));
    assert_eq!(whole.period, minutes(60), "a snapshot is not taken more often, whatever the service says");
}
