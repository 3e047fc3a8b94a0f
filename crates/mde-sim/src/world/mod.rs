//! The tenant's data: made up from a seed, changing by the clock, by a test's hand, or both.
//!
//! An alert has one version at a time. What an update replaces is gone from the API, as with the service itself.

mod alert;
pub(crate) mod dice;
mod federation;
mod fixture;
pub(crate) mod incident;
mod live;
pub(crate) mod names;

pub(crate) use alert::{Alert, Recipe, Version};
pub(crate) use fixture::Evidence;
pub(crate) use incident::Incident;
pub(crate) use live::Rhythm;

use crate::clock::SimClock;
use crate::estate::{Keeper, Plan, View};
use crate::ticks::Ticks;
use federation::Federation;
use jiff::Timestamp;
use live::Live;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The tenant's data; clones are the same world.
#[derive(Clone)]
pub struct World(Arc<Shared>);

/// What clones share.
struct Shared {
    /// How entities are made from what is kept.
    recipe: Recipe,
    /// Decides what has happened by now.
    clock: SimClock,
    /// What is kept of alerts.
    state: Mutex<State>,
    /// Machines and all that is about them.
    keeper: Keeper,
}

/// What names one version of an alert, with the number of its evidence rows: the unit of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionKey {
    /// The alert's id.
    pub id: String,
    /// Its `lastUpdateTime`, spelled as in the API.
    pub last_update_time: String,
    /// Rows in its `evidence` when expanded.
    pub evidence: u32,
}

/// A change that the world cannot make.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorldError {
    /// There is no such alert, or it is not visible yet.
    #[error("find the alert")]
    UnknownAlert,
    /// There is no such incident, or it is the same one.
    #[error("find the incident")]
    UnknownIncident,
    /// An update must be later than the version it replaces, as two versions with one time could not be told apart.
    #[error("update the alert: its version is not older than the new one")]
    NotLater,
}

/// What is kept.
struct State {
    /// The visible version of each alert; `None`: not visible yet.
    versions: Vec<Option<Version>>,
    /// Visible versions by update time.
    by_time: BTreeSet<(Ticks, u32)>,
    /// Changes that are made but not visible yet, by (time of their appearance, order of their making).
    late: BTreeMap<(Ticks, u64), Change>,
    /// Changes put into `late` so far.
    late_count: u64,
    /// What happens by itself.
    live: Live,
    /// What Microsoft Graph shows differently.
    federation: Federation,
}

/// A new version to come.
#[derive(Clone, Copy)]
struct Change {
    /// Which alert.
    number: u32,
    /// Its update time.
    updated: Ticks,
    /// The incident that it is moved to; `None`: it stays where it is.
    incident: Option<u32>,
}

impl World {
    /// A world as it is when the clock reads its present time.
    pub(crate) fn new(recipe: Recipe, plan: Plan, clock: SimClock) -> Self {
        let start = Ticks::of(clock.now());
        let versions: Vec<_> = live::initial_times(&recipe, start)
            .zip(0..)
            .map(|(updated, number)| Some(recipe.first(number, updated)))
            .collect();
        let by_time = versions.iter().flatten().map(|version| (version.updated, version.number)).collect();
        let live = Live::new(&recipe.config, start);
        // Investigations are called for by alerts in turn.
        let alert = |number: usize| {
            let place = number.checked_rem(versions.len())?;
            versions[place].map(|version| recipe.id(&version))
        };
        let keeper = Keeper::new(plan, clock.clone(), alert);
        let federation = Federation::new(&recipe, &versions);
        let state = State { versions, by_time, late: BTreeMap::new(), late_count: 0, live, federation };
        Self(Arc::new(Shared { recipe, clock, state: Mutex::new(state), keeper }))
    }

    /// Adds an alert whose `lastUpdateTime` is `at`; gives its id.
    pub fn add_alert(&self, at: Timestamp) -> String {
        let now = self.now();
        let mut state = self.state();
        let number = state.reserve();
        state.apply(&self.0.recipe, Change { number, updated: Ticks::of(at), incident: None }, now);
        self.id_at(number, Ticks::of(at))
    }

    /// Adds an alert whose `lastUpdateTime` is `at` but which the API shows only `visible_after` later than that.
    pub fn add_alert_late(&self, at: Timestamp, visible_after: Duration) -> String {
        let mut state = self.state();
        let number = state.reserve();
        state.postpone(Change { number, updated: Ticks::of(at), incident: None }, visible_after);
        self.id_at(number, Ticks::of(at))
    }

    /// Updates an alert: `lastUpdateTime` becomes `at`, the status moves on, a row of evidence joins, the old version is gone.
    pub fn update_alert(&self, id: &str, at: Timestamp) -> Result<(), WorldError> {
        let now = self.now();
        let mut state = self.state();
        let change = self.change(&state, id, at)?;
        state.apply(&self.0.recipe, change, now);
        Ok(())
    }

    /// Updates an alert as [`World::update_alert`] does, but until `visible_after` later than `at` the API shows the old version.
    /// A later update that becomes visible first wins: this one is then never seen.
    pub fn update_alert_late(&self, id: &str, at: Timestamp, visible_after: Duration) -> Result<(), WorldError> {
        let mut state = self.state();
        let change = self.change(&state, id, at)?;
        state.postpone(change, visible_after);
        Ok(())
    }

    /// Moves all alerts of an incident to another one: each of them is updated, and the incident is redirected. Ids as the API
    /// spells them.
    pub fn merge_incidents(&self, from: &str, into: &str, at: Timestamp) -> Result<(), WorldError> {
        let number = |id| incident::number(id).ok_or(WorldError::UnknownIncident);
        let (from, into, updated, now) = (number(from)?, number(into)?, Ticks::of(at), self.now());
        let mut state = self.state();
        let members: Vec<_> =
            state.versions.iter().flatten().filter(|version| version.incident == from).copied().collect();
        if from == into
            || members.is_empty()
            || !state.versions.iter().flatten().any(|version| version.incident == into)
        {
            return Err(WorldError::UnknownIncident);
        }
        if members.iter().any(|version| updated <= version.updated) {
            return Err(WorldError::NotLater);
        }
        for member in members {
            let change = Change { number: member.number, updated, incident: Some(into) };
            state.apply(&self.0.recipe, change, now);
        }
        state.federation.merge(&self.0.recipe, from, into, updated, now);
        Ok(())
    }

    /// Every version that the API shows now, by update time.
    pub fn versions(&self) -> Vec<VersionKey> {
        self.select(Ticks(i64::MIN)..=Ticks(i64::MAX)).iter().map(|version| self.key(version)).collect()
    }

    /// How many alerts the API shows now.
    pub fn alert_count(&self) -> usize {
        self.state().by_time.len()
    }

    /// The alert as the API gives it by id, evidence included.
    pub fn alert_json(&self, id: &str) -> Option<String> {
        let version = self.find(id)?;
        let mut out = Vec::new();
        self.0.recipe.write(&version, true, &mut out);
        Some(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    /// The visible versions whose update time is in the range, oldest first.
    pub(crate) fn select(&self, updated: RangeInclusive<Ticks>) -> Vec<Version> {
        if updated.is_empty() {
            return Vec::new();
        }
        let state = self.state();
        let numbers = state.by_time.range((*updated.start(), 0)..=(*updated.end(), u32::MAX));
        numbers.filter_map(|(_, number)| state.versions[*number as usize]).collect()
    }

    /// The visible version of the alert with this id.
    pub(crate) fn find(&self, id: &str) -> Option<Version> {
        self.find_in(&self.state(), id)
    }

    /// Keeps everything but alerts.
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.0.keeper
    }

    /// Everything but alerts as it is now.
    pub(crate) fn view(&self) -> View {
        self.0.keeper.view()
    }

    /// How alerts are made.
    pub(crate) fn recipe(&self) -> &Recipe {
        &self.0.recipe
    }

    /// What names this version.
    pub(crate) fn key(&self, version: &Version) -> VersionKey {
        let alert = self.0.recipe.alert(version);
        VersionKey { id: alert.id, last_update_time: version.updated.to_string(), evidence: alert.evidence_count }
    }

    /// [`World::find`] for those who hold the state.
    fn find_in(&self, state: &State, id: &str) -> Option<Version> {
        let number = self.0.recipe.number(id)?;
        let version = (*state.versions.get(number as usize)?)?;
        (self.0.recipe.id(&version) == id).then_some(version)
    }

    /// The change that updates this alert, when it may be made.
    fn change(&self, state: &State, id: &str, at: Timestamp) -> Result<Change, WorldError> {
        let version = self.find_in(state, id).ok_or(WorldError::UnknownAlert)?;
        let updated = Ticks::of(at);
        if updated <= version.updated {
            Err(WorldError::NotLater)
        } else {
            Ok(Change { number: version.number, updated, incident: None })
        }
    }

    /// The id of an alert whose first version is of `updated`.
    fn id_at(&self, number: u32, updated: Ticks) -> String {
        self.0.recipe.id(&self.0.recipe.first(number, updated))
    }

    /// The time by the simulated servers' clock.
    fn now(&self) -> Ticks {
        Ticks::of(self.0.clock.now())
    }

    /// The state after all that has happened by now.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(&self.0.recipe, self.now());
        state
    }
}

impl State {
    /// Gives a new alert its number; it stays invisible until a change for it is applied.
    fn reserve(&mut self) -> u32 {
        let number = u32::try_from(self.versions.len()).expect("fewer than 2^32 alerts");
        self.versions.push(None);
        number
    }

    /// Makes a change visible from `now` on, unless a later one already is.
    fn apply(&mut self, recipe: &Recipe, Change { number, updated, incident }: Change, now: Ticks) {
        let slot = &mut self.versions[number as usize];
        let before = *slot;
        let next = match before {
            None => recipe.first(number, updated),
            Some(current) if current.updated >= updated => return,
            Some(current) => {
                self.by_time.remove(&(current.updated, number));
                let incident = incident.unwrap_or(current.incident);
                Version { revision: current.revision + 1, updated, incident, ..current }
            }
        };
        *slot = Some(next);
        self.by_time.insert((updated, number));
        self.federation.publish(recipe, before, next, now);
    }

    /// Keeps a change until its time has come.
    fn postpone(&mut self, change: Change, visible_after: Duration) {
        let steps = i64::try_from(visible_after.as_nanos() / 100).unwrap_or(i64::MAX);
        self.late.insert((change.updated.plus(steps), self.late_count), change);
        self.late_count += 1;
    }

    /// Does all that has happened up to `now`, in the order of its happening.
    fn settle(&mut self, recipe: &Recipe, now: Ticks) {
        loop {
            let late = self.late.first_key_value().map(|((visible, _), _)| *visible);
            let live = self.live.due();
            match (late, live) {
                (Some(visible), live) if visible <= now && live.is_none_or(|due| visible <= due) => {
                    let (_, change) = self.late.pop_first().expect("looked at above");
                    self.apply(recipe, change, visible);
                }
                (_, Some(due)) if due <= now => self.live_step(recipe),
                _ => break,
            }
        }
        self.federation.release(recipe, now);
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "World({} alerts)", self.alert_count())
    }
}

#[cfg(test)]
mod tests;
