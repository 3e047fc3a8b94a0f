//! What Microsoft Graph shows of the alerts: the same history, some time later; and incidents, which the classic API does not list.
//!
//! Only the difference is kept: alerts that have changed and whose change Graph does not show yet.

use super::alert::{Recipe, Version};
use super::incident::{Incident, Incidents};
use super::{State, World};
use crate::ticks::Ticks;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

/// Something that Graph will show.
#[derive(Clone, Copy)]
enum Coming {
    /// A version of an alert.
    Version(Version),
    /// The alerts of an incident are moved to another one at that time.
    Merge(u32, u32, Ticks),
}

/// What Graph does not show yet, and incidents.
#[derive(Default)]
pub(super) struct Federation {
    /// What comes, by the time of its appearance.
    coming: VecDeque<(Ticks, Coming)>,
    /// Alerts with a change to come: how many changes, and what Graph shows until then.
    held: BTreeMap<u32, (u32, Option<Version>)>,
    /// Incidents as Graph shows them.
    incidents: Incidents,
}

impl Federation {
    /// Graph shows all that is there at the start: it is old enough for every delay.
    pub(super) fn new(recipe: &Recipe, versions: &[Option<Version>]) -> Self {
        let mut federation = Self::default();
        for version in versions.iter().flatten().filter(|version| !recipe.is_tuned(version.number)) {
            federation.incidents.alert_changed(recipe.seed, version);
        }
        federation
    }

    /// The classic API shows a new version in place of `before` from `now` on.
    pub(super) fn publish(&mut self, recipe: &Recipe, before: Option<Version>, version: Version, now: Ticks) {
        self.held.entry(version.number).or_insert((0, before)).0 += 1;
        self.put(recipe, Coming::Version(version), now);
    }

    /// The alerts of an incident have been moved to another one.
    pub(super) fn merge(&mut self, recipe: &Recipe, from: u32, into: u32, at: Ticks, now: Ticks) {
        self.put(recipe, Coming::Merge(from, into, at), now);
    }

    /// Lets Graph show all that is due.
    pub(super) fn release(&mut self, recipe: &Recipe, now: Ticks) {
        while let Some((_, coming)) = self.coming.pop_front_if(|(due, _)| *due <= now) {
            match coming {
                Coming::Merge(from, into, at) => self.incidents.redirect(from, into, at),
                Coming::Version(version) => {
                    let held = self.held.get_mut(&version.number).expect("a version that comes is held");
                    *held = (held.0 - 1, Some(version));
                    if held.0 == 0 {
                        self.held.remove(&version.number);
                    }
                    if !recipe.is_tuned(version.number) {
                        self.incidents.alert_changed(recipe.seed, &version);
                    }
                }
            }
        }
    }

    /// Queues what comes; without a delay it is there at once.
    fn put(&mut self, recipe: &Recipe, coming: Coming, now: Ticks) {
        let delay = i64::try_from(recipe.graph.delay.as_nanos() / 100).unwrap_or(i64::MAX);
        self.coming.push_back((now.plus(delay), coming));
        self.release(recipe, now);
    }
}

impl State {
    /// The version of an alert that Graph shows.
    fn on_graph(&self, recipe: &Recipe, number: u32) -> Option<Version> {
        let shown = match self.federation.held.get(&number) {
            Some((_, held)) => *held,
            None => *self.versions.get(number as usize)?,
        };
        shown.filter(|_| !recipe.is_tuned(number))
    }

    /// An incident with the alerts that Graph shows of it.
    fn incident(&self, recipe: &Recipe, number: u32) -> Option<Incident> {
        let standing = self.federation.incidents.standing(number)?;
        let candidates = self.federation.incidents.candidates(recipe, number);
        let mut members: Vec<_> = candidates
            .filter_map(|alert| self.on_graph(recipe, alert))
            .filter(|version| version.incident == number)
            .collect();
        members.sort_unstable_by_key(|version| version.number);
        members.dedup();
        Some(Incident { number, standing, members })
    }
}

impl World {
    /// The versions that Graph shows whose update time is in the range, oldest first. Tuned alerts are not among them.
    pub(crate) fn select_on_graph(&self, updated: RangeInclusive<Ticks>) -> Vec<Version> {
        if updated.is_empty() {
            return Vec::new();
        }
        let state = self.state();
        let recipe = self.recipe();
        let numbers = state.by_time.range((*updated.start(), 0)..=(*updated.end(), u32::MAX));
        let settled = numbers
            .filter(|(_, number)| !state.federation.held.contains_key(number))
            .filter_map(|(_, number)| state.on_graph(recipe, *number));
        let held = state.federation.held.keys().filter_map(|number| state.on_graph(recipe, *number));
        let mut versions: Vec<_> = settled.chain(held.filter(|version| updated.contains(&version.updated))).collect();
        versions.sort_by_key(|version| (version.updated, version.number));
        versions
    }

    /// The version that Graph shows of the alert with this number.
    pub(crate) fn find_on_graph(&self, number: u32) -> Option<Version> {
        self.state().on_graph(self.recipe(), number)
    }

    /// The incidents whose last change is in the range, oldest first.
    pub(crate) fn select_incidents(&self, updated: RangeInclusive<Ticks>) -> Vec<Incident> {
        if updated.is_empty() {
            return Vec::new();
        }
        let state = self.state();
        let changed = state.federation.incidents.changed_in(updated);
        changed.filter_map(|(number, _)| state.incident(self.recipe(), number)).collect()
    }

    /// The incident with this number.
    pub(crate) fn find_incident(&self, number: u32) -> Option<Incident> {
        self.state().incident(self.recipe(), number)
    }
}
