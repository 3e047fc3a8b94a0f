//! What happens to the estate by itself: functions of the seed and the clock, without a task of their own.

use super::Estate;
use super::investigation::Course;
use crate::config::SimConfig;
use crate::ticks::Ticks;
use crate::world::Rhythm;
use crate::world::dice::mix;
use std::sync::Arc;

/// Something that happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// A machine comes.
    MachineComes,
    /// A machine leaves.
    MachineLeaves,
    /// A machine reports something new.
    MachineChanges,
    /// A machine is brought up to date.
    MachinePatched,
    /// A vulnerability becomes known.
    VulnerabilityComes,
    /// A vulnerability's entry is updated.
    VulnerabilityChanges,
    /// An investigation begins.
    InvestigationComes,
}

/// How many sorts of happenings there are.
pub(super) const HAPPENINGS: usize = 7;

/// The sorts, in the order of rates.
const ALL: [Happening; HAPPENINGS] = [
    Happening::MachineComes,
    Happening::MachineLeaves,
    Happening::MachineChanges,
    Happening::MachinePatched,
    Happening::VulnerabilityComes,
    Happening::VulnerabilityChanges,
    Happening::InvestigationComes,
];

/// How often each sort happens. Unit: times per hour.
pub(super) fn rates(config: &SimConfig) -> [f64; HAPPENINGS] {
    [
        config.machines.added_per_hour,
        config.machines.removed_per_hour,
        config.machines.changed_per_hour,
        config.machines.patched_per_hour,
        config.vulnerabilities.added_per_hour,
        config.vulnerabilities.updated_per_hour,
        config.investigations.new_per_hour,
    ]
}

/// A rhythm for each sort.
pub(super) struct Live {
    /// In the order of [`ALL`].
    rhythms: [Rhythm; HAPPENINGS],
    /// Happenings so far.
    turns: u64,
}

impl Live {
    /// Rhythms that begin at `start`. `rates`: times per hour.
    pub(super) fn new(rates: [f64; HAPPENINGS], start: Ticks) -> Self {
        Self { rhythms: rates.map(|rate| Rhythm::new(start, rate / 60.0)), turns: 0 }
    }

    /// What happens next and when, if it is not later than `until`.
    pub(super) fn next(&mut self, until: Ticks) -> Option<(Happening, Ticks)> {
        let due = self.rhythms.iter().zip(ALL).filter_map(|(rhythm, happening)| Some((rhythm.due()?, happening)));
        let (at, happening) = due.min_by_key(|(at, _)| *at).filter(|(at, _)| *at <= until)?;
        self.rhythms[ALL.iter().position(|known| *known == happening).expect("taken from the same table")].step();
        self.turns += 1;
        Some((happening, at))
    }

    /// Happenings so far.
    pub(super) fn turn(&self) -> u64 {
        self.turns
    }
}

impl Estate {
    /// Lets something happen. `turn` decides to whom.
    pub(super) fn happen(&mut self, happening: Happening, at: Ticks, turn: u64) {
        let lot = mix(self.seed ^ 0x71, turn);
        let one_of = |total: u32| if total == 0 { 0 } else { (lot % u64::from(total)) as u32 };
        let machine = self.machines.next_from(one_of(self.machines.total()));
        match (happening, machine) {
            (Happening::MachineComes, _) => {
                self.add_machines(1, at);
            }
            (Happening::MachineLeaves, Some(machine)) => {
                self.remove_machine(machine, at);
            }
            (Happening::MachineChanges, Some(machine)) => {
                self.machines.change(machine, at);
            }
            (Happening::MachinePatched, Some(machine)) => {
                self.patch_machine(machine, at);
            }
            (Happening::MachineLeaves | Happening::MachineChanges | Happening::MachinePatched, None) => {}
            (Happening::VulnerabilityComes, _) => {
                Arc::make_mut(&mut self.catalog).vulnerabilities.add(1, at);
            }
            (Happening::VulnerabilityChanges, _) => {
                let known = &mut Arc::make_mut(&mut self.catalog).vulnerabilities;
                if let Some(number) = known.next_from(one_of(known.total())) {
                    known.change(number, at);
                }
            }
            (Happening::InvestigationComes, _) => {
                let number = self.investigations.len() as u32;
                let first = self.plan.investigations.count.max(1);
                let alert = self.investigations.get(number as usize % first).and_then(|known| known.alert.clone());
                self.add_investigation(Course::drawn(self.seed, number, at, self.machines.total(), alert));
            }
        }
    }
}
