//! The day on which the classic API ends, in simulated time.

use super::day::{BETWEEN, tenant};
use super::{HOUR, Trial};
use crate::telemetry::heard::Heard;
use mde_sim::{Listing, RequestKind, Retirement, SimConfig, VersionKey};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The morning of that day.
const MORNING: &str = "2027-02-01T08:00:00Z";
/// When it ends.
const NOON: &str = "2027-02-01T12:00:00Z";

/// A tenant whose alerts are all on both APIs, and come and change all the time.
fn both(config: &mut SimConfig) {
    tenant(10)(config);
    config.graph.tuned_one_in = 0;
}

/// Ids and times of versions.
fn named(versions: impl IntoIterator<Item = VersionKey>) -> BTreeSet<(String, String)> {
    versions.into_iter().map(|version| (version.id, version.last_update_time)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_classic_api_dies_at_noon_of_its_day_with_one_warning_before_one_notice_after_and_nothing_lost() {
    for how in [Retirement::Gone, Retirement::Reset] {
        let (heard, _listening) = Heard::listen();
        let trial = Trial::at(MORNING, both, "      alerts: {flatten: false}\n").await;
        trial.sim.scenario().retire_classic(NOON.parse().expect("a moment"), how);
        trial.run_for(HOUR * 3 + BETWEEN).await;
        assert_eq!((heard.count("is announced to end"), heard.count("is left for another")), (1, 0));
        assert_eq!(trial.asked(RequestKind::GraphAlerts), 0, "what answers is read");
        // A new process, an hour before noon: it says once more what is to come, and goes on beyond noon.
        trial.run_for(HOUR * 2).await;
        assert_eq!((heard.count("is announced to end"), heard.count("is left for another")), (2, 1), "{how:?}");
        assert_eq!(heard.count("is read from another API"), 0, "what was told is not told again");
        trial.assert_within_quota();
        let text = fs::read_to_string(trial.folder.path().join("out/alerts.ndjson")).expect("its output");
        let mut arrived: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| event[name].as_str().expect("a text").to_owned();
            *arrived.entry((text("id"), text("lastUpdateTime"))).or_default() += 1;
        }
        assert!(arrived.values().all(|times| *times == 1), "{how:?}: each version once");
        let ledger = trial.sim.ledger();
        let by_graph = named(ledger.versions_served_by(Listing::GraphAlerts).into_keys());
        let served: BTreeSet<_> = named(ledger.versions_served().into_keys()).into_iter().chain(by_graph).collect();
        // Who is told to stop in the middle of a poll has been served what he has not stored.
        let last = trial.now()() - 120_000;
        let due =
            served.iter().filter(|(_, time)| time.parse::<jiff::Timestamp>().expect("a time").as_millisecond() < last);
        let missing: Vec<_> = due.filter(|version| !arrived.contains_key(*version)).collect();
        assert!(missing.is_empty(), "{how:?}: {missing:?}");
        assert!(arrived.keys().all(|version| served.contains(version)));
        let after = arrived.keys().filter(|(_, time)| time.as_str() > &NOON[..16]).count();
        assert!(after > 20, "{how:?}: it goes on: {after}");
    }
}
