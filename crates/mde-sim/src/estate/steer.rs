//! What a test does to the estate by hand.

use super::catalog::{self, LEVELS};
use super::investigation::{Course, investigation_id, whole};
use super::picture::Picture;
use super::{Estate, Roster};
use crate::kind::Service;
use crate::ticks::Ticks;
use crate::world::{World, names};
use jiff::Timestamp;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

impl World {
    /// Adds machines, as if they were seen for the first time now; gives their numbers.
    pub fn add_machines(&self, count: u32) -> Range<u32> {
        self.keeper().change(|estate, now| estate.add_machines(count, now))
    }

    /// Takes a machine away for good; false when it is not there. The first machine is number 0.
    pub fn remove_machine(&self, number: u32) -> bool {
        self.keeper().change(|estate, now| estate.remove_machine(number, now))
    }

    /// Lets a machine report: `lastSeen` becomes now, health and risk may be others. False when it is not there.
    pub fn touch_machine(&self, number: u32) -> bool {
        self.keeper().change(|estate, now| estate.machines.change(number, now))
    }

    /// Brings a machine up to date: newer versions, fewer vulnerabilities, and counts everywhere follow. False when it is not
    /// there or has been brought up to date before.
    pub fn patch_machine(&self, number: u32) -> bool {
        self.keeper().change(|estate, now| estate.patch_machine(number, now))
    }

    /// The id of a machine, whether or not it is there.
    pub fn machine_id(&self, number: u32) -> String {
        names::machine_id(self.recipe().seed, number)
    }

    /// How many machines there are now.
    pub fn machine_count(&self) -> usize {
        self.keeper().view().estate.machines.len()
    }

    /// Adds entities of a service, as if they became known now; gives their numbers. Only machines, software, vulnerabilities
    /// and recommendations (settings) come so; of others nothing is added.
    pub fn add(&self, service: Service, count: u32) -> Range<u32> {
        self.keeper().change(|estate, now| match service {
            Service::Machines => estate.add_machines(count, now),
            Service::Software => {
                let first = Arc::make_mut(&mut estate.catalog).add_software(count, now);
                first..first + count
            }
            _ => estate.roster(service).map_or(0..0, |roster| {
                let first = roster.add(count, now);
                first..first + count
            }),
        })
    }

    /// Takes the entity with this number, counted from 0, away for good. What refers to it follows: no machine has software that
    /// is gone, none is exposed to a vulnerability that is gone. False when it is not there, or is an alert or investigation.
    pub fn remove(&self, service: Service, number: u32) -> bool {
        self.keeper().change(|estate, now| match service {
            Service::Machines => estate.remove_machine(number, now),
            _ => estate.roster(service).is_some_and(|roster| roster.remove(number, now)),
        })
    }

    /// Changes the entity with this number: a figure in it that nothing else depends on, and its time if it has one. False when
    /// it is not there, or is an alert or investigation.
    pub fn touch(&self, service: Service, number: u32) -> bool {
        self.keeper().change(|estate, now| estate.roster(service).is_some_and(|roster| roster.change(number, now)))
    }

    /// Adds an investigation that ends `open_for` after now, with a start time or without one; gives its id.
    pub fn add_investigation(&self, start: Option<Timestamp>, open_for: Duration) -> String {
        self.keeper().change(|estate, now| {
            let steps = i64::try_from(open_for.as_nanos() / 100).unwrap_or(i64::MAX / 4);
            let start = start.map(|start| whole(Ticks::of(start)));
            let number = estate.investigations.len() as u32;
            let machine = estate.machines.next_from(number % estate.machines.total().max(1));
            estate.add_investigation(Course { start, end: whole(now.plus(steps)), machine, alert: None });
            investigation_id(number)
        })
    }

    /// Everything that the API shows now, kept as it is: the oracle for a snapshot.
    pub fn picture(&self) -> Picture {
        Picture::of(self)
    }
}

impl Estate {
    /// The entities of a service that can come, change and leave.
    fn roster(&mut self, service: Service) -> Option<&mut Roster> {
        match service {
            Service::Machines => Some(&mut self.machines),
            Service::Software => Some(&mut Arc::make_mut(&mut self.catalog).software),
            Service::Vulnerabilities => Some(&mut Arc::make_mut(&mut self.catalog).vulnerabilities),
            Service::Recommendations => Some(&mut Arc::make_mut(&mut self.catalog).recommendations),
            Service::Alerts | Service::Investigations | Service::AdvancedHunting | Service::Incidents => None,
        }
    }

    /// See [`World::add_machines`].
    pub(super) fn add_machines(&mut self, count: u32, at: Ticks) -> Range<u32> {
        let first = self.machines.add(count, at);
        for number in first..first + count {
            self.counts[catalog::first_profile(self.seed, number) as usize] += 1;
        }
        first..first + count
    }

    /// See [`World::remove_machine`].
    pub(super) fn remove_machine(&mut self, number: u32, at: Ticks) -> bool {
        let removed = self.machines.remove(number, at);
        if removed {
            let profile = self.profile_of(number);
            self.counts[profile as usize] -= 1;
        }
        removed
    }

    /// See [`World::patch_machine`].
    pub(super) fn patch_machine(&mut self, number: u32, at: Ticks) -> bool {
        let before = self.profile_of(number);
        if !self.machines.has(number) || before.is_multiple_of(LEVELS) {
            return false;
        }
        self.machines.change(number, at);
        self.patched.insert(number, at);
        let after = self.profile_of(number);
        self.counts[before as usize] -= 1;
        self.counts[after as usize] += 1;
        true
    }

    /// Lets an investigation begin.
    pub(super) fn add_investigation(&mut self, course: Course) {
        Arc::make_mut(&mut self.investigations).push(course);
    }
}
