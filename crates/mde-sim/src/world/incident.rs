//! Which alerts belong together. Neighbouring numbers are dealt to incidents, so that an incident grows while alerts come;
//! only what happens to incidents is kept.

use super::alert::{Recipe, Version};
use super::dice::mix;
use crate::ticks::Ticks;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

/// Alerts whose numbers are dealt together, and the most incidents they can make.
const BLOCK: u32 = 8;

/// How a block is dealt: alerts of each incident.
const DEALS: [&[u32]; 4] = [&[8], &[1, 3, 4], &[2, 1, 5], &[1, 1, 2, 4]];

/// Id of the first incident.
const FIRST_ID: i64 = 1_000;

/// A step of the database's clock, rounded up. Unit: 100 ns.
const GRID_STEP: i64 = Ticks::PER_SECOND / 300 + 1;

/// The number of the incident that an alert belongs to when nobody has moved it.
pub(crate) fn of(seed: u64, alert: u32) -> u32 {
    let (block, place) = (alert / BLOCK, alert % BLOCK);
    let mut end = 0;
    let part = deal(seed, block).iter().take_while(|size| {
        end += **size;
        end <= place
    });
    block * BLOCK + part.count() as u32
}

/// The alerts that an incident has when nobody has moved one.
fn first_members(seed: u64, incident: u32) -> Range<u32> {
    let (block, part) = (incident / BLOCK, (incident % BLOCK) as usize);
    let sizes = deal(seed, block);
    let start = block * BLOCK + sizes.iter().take(part).sum::<u32>();
    start..start + sizes.get(part).copied().unwrap_or_default()
}

/// How a block is dealt.
fn deal(seed: u64, block: u32) -> &'static [u32] {
    DEALS[(mix(seed ^ 0x91, u64::from(block)) % DEALS.len() as u64) as usize]
}

/// The id of an incident. The classic API spells it as a number, Microsoft Graph as a text.
pub(crate) fn id(incident: u32) -> i64 {
    FIRST_ID + i64::from(incident)
}

/// The number of the incident that could have this id.
pub(crate) fn number(id: &str) -> Option<u32> {
    let number = id.parse::<i64>().ok()?.checked_sub(FIRST_ID)?;
    u32::try_from(number).ok().filter(|number| self::id(*number).to_string() == id)
}

/// How an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// When it was changed last.
    pub(crate) updated: Ticks,
    /// How often it was changed.
    pub(crate) changes: u32,
    /// The incident that its alerts were moved to.
    pub(crate) redirected: Option<u32>,
}

/// An incident with its alerts at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    /// Which incident.
    pub(crate) number: u32,
    /// How it stands.
    pub(crate) standing: Standing,
    /// Its alerts, by number.
    pub(crate) members: Vec<Version>,
}

/// What has happened to incidents.
#[derive(Default)]
pub(super) struct Incidents {
    /// Those that have had an alert.
    known: BTreeMap<u32, Standing>,
    /// The same by the time of their last change.
    by_time: BTreeSet<(Ticks, u32)>,
    /// Alerts that were moved here, by incident.
    moved: BTreeMap<u32, Vec<u32>>,
}

impl Incidents {
    /// An alert has changed. Each change gives the incident a later time of its own, also when the alert's lies in the past.
    pub(super) fn alert_changed(&mut self, seed: u64, version: &Version) {
        if of(seed, version.number) != version.incident {
            let moved = self.moved.entry(version.incident).or_default();
            if !moved.contains(&version.number) {
                moved.push(version.number);
            }
        }
        self.change(version.incident, version.updated, |_| {});
    }

    /// Its alerts were moved to another incident.
    pub(super) fn redirect(&mut self, from: u32, into: u32, at: Ticks) {
        self.change(from, at, |standing| standing.redirected = Some(into));
    }

    /// Those changed in this span of time, oldest first.
    pub(super) fn changed_in(&self, range: RangeInclusive<Ticks>) -> impl Iterator<Item = (u32, Standing)> {
        let range = (*range.start(), 0)..=(*range.end(), u32::MAX);
        self.by_time.range(range).map(|(_, number)| (*number, self.known[number]))
    }

    /// How an incident stands.
    pub(super) fn standing(&self, incident: u32) -> Option<Standing> {
        self.known.get(&incident).copied()
    }

    /// The alerts that may belong to an incident: those dealt to it and those moved to it. Who left is among them.
    pub(super) fn candidates(&self, recipe: &Recipe, incident: u32) -> impl Iterator<Item = u32> {
        let moved = self.moved.get(&incident).into_iter().flatten().copied();
        first_members(recipe.seed, incident).chain(moved)
    }

    /// Changes an incident.
    fn change(&mut self, incident: u32, at: Ticks, change: impl FnOnce(&mut Standing)) {
        let before = self.known.get(&incident).copied();
        let mut standing = match before {
            None => Standing { updated: at, changes: 0, redirected: None },
            Some(before) => Standing {
                updated: at.max(before.updated.plus(GRID_STEP).on_database_grid()),
                changes: before.changes + 1,
                ..before
            },
        };
        change(&mut standing);
        if let Some(before) = before {
            self.by_time.remove(&(before.updated, incident));
        }
        self.by_time.insert((standing.updated, incident));
        self.known.insert(incident, standing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_is_a_member_of_its_incident_and_of_no_other() {
        for alert in 0..4_000 {
            let incident = of(3, alert);
            assert!(first_members(3, incident).contains(&alert), "{alert}");
            assert_eq!(number(&id(incident).to_string()), Some(incident));
        }
        let dealt: usize = (0..4_000).map(|incident| first_members(3, incident).len()).sum();
        assert_eq!(dealt, 4_000);
        assert_eq!([number("01000"), number("999"), number("x")], [None; 3]);
    }

    #[test]
    fn each_change_of_an_incident_has_a_later_time() {
        let mut incidents = Incidents::default();
        let updated = Ticks::of("2026-11-24T10:00:00.42Z".parse().unwrap());
        let version = |number| Version { number, revision: 0, created: updated, updated, incident: of(0, number) };
        let mut last = Ticks(0);
        for _ in 0..50 {
            incidents.alert_changed(0, &version(0));
            let standing = incidents.standing(of(0, 0)).unwrap();
            assert!(standing.updated > last);
            last = standing.updated;
        }
        assert_eq!(incidents.changed_in(Ticks(0)..=Ticks(i64::MAX)).count(), 1);
    }
}
