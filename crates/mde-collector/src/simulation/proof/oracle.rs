//! Whether a history kept every promise: what the receivers have, against what the tenant showed and was asked.
//!
//! It knows the simulator's ledger, what [`super::tenant`] saw and what [`super::receiver`] took. Of the collector it knows
//! the configuration alone.

use super::plan::{Act, Plan};
use super::receiver::{Far, Spot};
use super::tenant::{Tenant, Visible};
use mde_sim::{Family, Sim, VersionKey};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// An output, and from when on it must have everything.
pub struct Watched {
    /// The receiver.
    pub far: Arc<Far>,
    /// Versions that were first visible later than this must be there. Unit: milliseconds after the beginning; `None`: all.
    pub since_ms: Option<i64>,
    /// Whether it is configured.
    pub configured: bool,
}

/// What a history leaves for judgement.
pub struct Facts<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// The simulator.
    pub sim: &'a Sim,
    /// What it showed.
    pub tenant: &'a Tenant,
    /// Who was delivered to.
    pub outputs: &'a [Watched],
    /// When something went wrong, from and to. Unit: milliseconds after the beginning.
    pub troubles: &'a [(i64, i64)],
    /// The beginning, as the receivers' arrivals are dated.
    pub begun: Instant,
}

/// Events that came.
type Came = BTreeMap<Spot, Value>;

/// Time in which everything that was disturbed goes on again. Unit: milliseconds.
///
/// Twenty minutes cover the longest waits for one fault: five after a refused credential, two for an answer that never
/// comes, three tries with their pauses. What is set aside is tried again hourly; limits that the server has lowered need
/// time to be tested again.
pub fn recovery_ms(plan: &Plan) -> i64 {
    let failing = |timed: &super::plan::Timed| match &timed.act {
        Act::Api(_, _, times) => *times,
        Act::Poison(_) => 3,
        _ => 0,
    };
    let failures: usize = plan.acts.iter().map(failing).sum();
    let minutes =
        20 + if failures >= 3 { 65 } else { 0 } + if plan.has(|act| matches!(act, Act::Quota(_))) { 90 } else { 0 };
    minutes * 60_000
}

/// How long after its appearance a version is stored at the latest, when nothing is wrong; `None`: it came too late for any
/// promise. Unit: milliseconds.
pub fn patience_ms(plan: &Plan, version: &VersionKey, visible: Visible, start_ms: i64) -> Option<i64> {
    let settings = &plan.settings;
    let (period, overlap) = (settings.period as i64 * 1_000, settings.overlap as i64 * 1_000);
    let (every, back) = (settings.every as i64 * 1_000, settings.back as i64 * 1_000);
    let updated: jiff::Timestamp = version.last_update_time.parse().expect("a time");
    let late = if visible.from_ms <= 0 { 0 } else { visible.from_ms - (updated.as_millisecond() - start_ms) };
    let near = 2 * period + 300_000;
    if late <= overlap - 60_000 {
        Some(near)
    } else if late <= back - 60_000 && every < 10_000_000 {
        Some(near + every)
    } else {
        None
    }
}

impl Facts<'_> {
    /// Fails where something is there that must not be: twice, out of order, made up, beyond a quota.
    pub fn sound(&self) -> Result<(), String> {
        let mut all = Came::new();
        for Watched { far, .. } in self.outputs {
            if let Some(wrong) = far.wrong().first() {
                return Err(wrong.clone());
            }
            for (spot, event) in came(far) {
                let before = all.entry(spot.clone()).or_insert_with(|| event.clone());
                if *before != event {
                    return Err(format!("two receivers got two contents for {spot:?}"));
                }
            }
        }
        self.versions(&all)?;
        self.snapshots(&all)?;
        self.quota()
    }

    /// What must be there and is not, in words; `finally`: also what was visible for long enough and is gone.
    pub fn missing(&self, finally: bool) -> Option<String> {
        let now_ms = self.tenant.now_ms();
        let versions = self.tenant.versions();
        for Watched { far, since_ms, configured } in self.outputs {
            if !configured {
                continue;
            }
            let came = came(far);
            let here = by_version(&came);
            for (version, visible) in &versions {
                if since_ms.is_some_and(|since_ms| visible.from_ms <= since_ms) {
                    continue;
                }
                let Some(patience_ms) = patience_ms(self.plan, version, *visible, self.tenant.start_ms()) else {
                    continue;
                };
                let must = match visible.to_ms {
                    None => true,
                    Some(to_ms) => {
                        finally
                            && self.calm_ms(visible.from_ms, to_ms.min(now_ms)) >= patience_ms + recovery_ms(self.plan)
                    }
                };
                let name = (version.id.clone(), version.last_update_time.clone());
                let there = here.get(&name).map_or(0, Vec::len);
                if must && there != self.events(version) {
                    let wanted = self.events(version);
                    return Some(format!("{} has {there} of {wanted} events of {version:?}, {visible:?}", far.name));
                }
            }
        }
        None
    }

    /// Events of a version.
    fn events(&self, version: &VersionKey) -> usize {
        if self.plan.settings.flatten { version.evidence.max(1) as usize } else { 1 }
    }

    /// The longest time without trouble in a span. Unit: milliseconds.
    fn calm_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        let (mut longest, mut begun) = (0, from_ms);
        let mut troubles: Vec<_> = self.troubles.iter().filter(|(from, to)| *from < to_ms && *to > from_ms).collect();
        troubles.sort_unstable();
        for (from, to) in troubles {
            longest = longest.max(from - begun);
            begun = begun.max(*to);
        }
        longest.max(to_ms - begun)
    }

    /// Each version of an alert that came was there, and came once.
    fn versions(&self, all: &Came) -> Result<(), String> {
        let known = self.tenant.versions();
        let known: BTreeMap<_, _> = known
            .keys()
            .map(|version| ((version.id.clone(), version.last_update_time.clone()), self.events(version)))
            .collect();
        for (name, spots) in by_version(all) {
            match known.get(&name) {
                None => return Err(format!("{name:?} was stored and never shown")),
                Some(events) if spots.len() > *events => {
                    return Err(format!("{name:?} was stored twice: {spots:?}"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Each machine is in a snapshot once, and one that says it is complete has all that were there while it was taken.
    fn snapshots(&self, all: &Came) -> Result<(), String> {
        let mut snapshots: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut ends = Vec::new();
        for (spot, event) in all.iter().filter(|(spot, _)| spot.service == "machines") {
            let number = event["@devo_pulling_id"].as_str().unwrap_or_default();
            match event["id"].as_str() {
                Some(id) if snapshots.entry(number).or_default().insert(id) => {}
                Some(id) => return Err(format!("{id} is in the snapshot {number} twice, {spot:?}")),
                None if event["@snapshot_complete"] == true => ends.push((spot, number)),
                None => {}
            }
        }
        if self.plan.has(|act| matches!(act, Act::Clock(_))) {
            return Ok(());
        }
        for (spot, number) in ends {
            let begun_ms = number.parse::<i64>().unwrap_or_default() - self.tenant.start_ms();
            let has = snapshots.get(number).cloned().unwrap_or_default();
            for Watched { far, .. } in self.outputs.iter().filter(|output| output.since_ms.is_none()) {
                let Some(end) = far.arrived().get(spot).map(|arrived| arrived.at - self.begun) else { continue };
                let ended_ms = i64::try_from(end.as_millis()).expect("some days");
                let refused = far.refused();
                for (id, visible) in self.tenant.machines() {
                    let all_the_time =
                        visible.from_ms < begun_ms - 1_000 && visible.to_ms.is_none_or(|to| to > ended_ms);
                    if all_the_time && !has.contains(id.as_str()) && refused.is_empty() {
                        return Err(format!("the snapshot {number} says it is complete and lacks {id}, {visible:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// No window of the vendor's was exceeded, and no call refused.
    fn quota(&self) -> Result<(), String> {
        let ledger = self.sim.ledger();
        for family in Family::ALL {
            let (peak, limits) = (ledger.peak(family), family.documented());
            if peak.minute > limits.per_minute as usize || peak.hour > limits.per_hour as usize {
                return Err(format!("{family:?}: {peak:?} of {limits:?}"));
            }
        }
        if ledger.throttled() > 0 && !self.plan.has(|act| matches!(act, Act::Quota(_))) {
            return Err(format!("{} calls were refused", ledger.throttled()));
        }
        Ok(())
    }
}

/// All that came to a receiver or was refused by it.
fn came(far: &Far) -> Came {
    let arrived = far.arrived().into_iter().map(|(spot, arrived)| (spot, arrived.text));
    arrived
        .chain(far.refused())
        .map(|(spot, text)| (spot, serde_json::from_str(&text).expect("an event is JSON")))
        .collect()
}

/// Events of alerts by the version that they are of.
fn by_version(all: &Came) -> BTreeMap<(String, String), Vec<&Spot>> {
    let mut versions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (spot, event) in all.iter().filter(|(spot, _)| spot.service == "alerts") {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        versions.entry((text("id"), text("lastUpdateTime"))).or_default().push(spot);
    }
    versions
}
