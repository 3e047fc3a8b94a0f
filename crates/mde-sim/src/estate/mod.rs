//! Everything of the tenant but its alerts: machines, software, vulnerabilities, recommendations, investigations.
//!
//! Nothing is kept of a machine: what it is follows from its number and the seed, and only exceptions are remembered. The estate at
//! one moment is an immutable value that many answers share, so that each of them is consistent in itself while the world goes on.

mod catalog;
mod fixture;
mod investigation;
mod live;
mod machine;
mod picture;
mod recommendation;
mod roster;
mod software;
mod steer;
mod vulnerability;

pub(crate) use catalog::{Advice, Compliance, Exposure, Profiles, profile_count};
pub(crate) use investigation::investigation_id;
pub use picture::{Entity, Picture};
pub(crate) use recommendation::{advice_id, setting_id, sort as advice_sort};
pub(crate) use software::{kb, product_id, product_name, version_text};
pub(crate) use vulnerability::{cve, sort as vulnerability_sort};

use crate::clock::SimClock;
use crate::config::{InvestigationConfig, MachineConfig, SimConfig};
use crate::ticks::Ticks;
use catalog::{Catalog, CatalogPlan};
use investigation::Course;
use live::Live;
use roster::Roster;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the estate is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Everything made up follows from it.
    pub(crate) seed: u64,
    /// Products, vulnerabilities, recommendations.
    catalog: CatalogPlan,
    /// Machines there are at the start.
    machines: usize,
    /// Investigations.
    investigations: InvestigationConfig,
    /// How often each thing happens by itself, in the order of [`live::Happening`]. Unit: times per hour.
    rates: [f64; live::HAPPENINGS],
    /// How often a machine reports without being changed.
    pub(crate) report_every: Option<Duration>,
    /// Whether undocumented properties are shown.
    pub(crate) undocumented: bool,
    /// How often exports are built.
    rebuilt_every: Duration,
}

/// The estate at one moment.
#[derive(Clone)]
pub(crate) struct Estate {
    /// Everything made up follows from it.
    pub(crate) seed: u64,
    /// What it is made from.
    pub(crate) plan: Arc<Plan>,
    /// When the world began.
    pub(crate) started: Ticks,
    /// Products, vulnerabilities, recommendations.
    pub(crate) catalog: Arc<Catalog>,
    /// Machines.
    pub(crate) machines: Roster,
    /// Machines that were brought up to date, with the time.
    patched: BTreeMap<u32, Ticks>,
    /// Machines of each profile.
    counts: Vec<u32>,
    /// What each investigation does.
    pub(crate) investigations: Arc<Vec<Course>>,
}

/// The estate as it is seen at one moment; clones are cheap.
#[derive(Clone)]
pub(crate) struct View {
    /// The estate.
    pub(crate) estate: Arc<Estate>,
    /// The moment.
    pub(crate) now: Ticks,
}

/// Keeps the estate and lets it go on.
pub(crate) struct Keeper {
    /// Decides what has happened by now.
    clock: SimClock,
    /// The estate and what comes.
    state: Mutex<State>,
}

/// The estate and what comes.
struct State {
    /// As it is.
    estate: Arc<Estate>,
    /// What happens by itself.
    live: Live,
    /// As it was when exports were built last.
    built: View,
}

impl Plan {
    /// The part of a configuration that is about the estate.
    pub(crate) fn of(config: &SimConfig) -> Self {
        let SimConfig { seed, machines, software, vulnerabilities, recommendations, investigations, exports, .. } =
            config;
        let MachineConfig { count, software: installed, report_every, .. } = *machines;
        let catalog = CatalogPlan {
            seed: *seed,
            software: software.count,
            installed,
            without_cpe: software.without_cpe,
            vulnerabilities: vulnerabilities.count,
            recommendations: recommendations.count,
        };
        Self {
            seed: *seed,
            catalog,
            machines: count,
            investigations: investigations.clone(),
            rates: live::rates(config),
            report_every,
            undocumented: software.undocumented,
            rebuilt_every: exports.rebuilt_every,
        }
    }
}

impl Estate {
    /// The estate at its beginning. `alert` gives the alert that called for an investigation.
    fn new(plan: Plan, started: Ticks, alert: impl Fn(usize) -> Option<String>) -> Self {
        let mut counts = vec![0; catalog::profile_count() as usize];
        let machines = Roster::new(plan.machines);
        for number in 0..machines.total() {
            counts[catalog::first_profile(plan.seed, number) as usize] += 1;
        }
        let InvestigationConfig { count, span, .. } = plan.investigations;
        let steps = span.as_nanos() / 100;
        let begins = |number: usize| {
            let back = steps * (count - number) as u128 / count.max(1) as u128;
            started.plus(-i64::try_from(back).unwrap_or(i64::MAX / 4))
        };
        let total = machines.total();
        let courses =
            (0..count).map(|number| Course::drawn(plan.seed, number as u32, begins(number), total, alert(number)));
        let courses: Vec<_> = courses.collect();
        Self {
            seed: plan.seed,
            started,
            catalog: Arc::new(Catalog::new(plan.catalog)),
            machines,
            patched: BTreeMap::new(),
            counts,
            investigations: Arc::new(courses),
            plan: Arc::new(plan),
        }
    }

    /// The profile of a machine.
    pub(crate) fn profile_of(&self, machine: u32) -> u32 {
        let first = catalog::first_profile(self.seed, machine);
        if self.patched.contains_key(&machine) { first - first % catalog::LEVELS } else { first }
    }

    /// The machines brought up to date at `since` or later, with the time and the profile they had.
    pub(crate) fn patched_since(&self, since: Ticks) -> impl Iterator<Item = (u32, Ticks, u32)> {
        let recent = self.patched.iter().filter(move |(_, at)| **at >= since);
        recent.map(|(machine, at)| (*machine, *at, catalog::first_profile(self.seed, *machine)))
    }
}

impl Keeper {
    /// A new estate. `alert` gives the alert that called for an investigation.
    pub(crate) fn new(plan: Plan, clock: SimClock, alert: impl Fn(usize) -> Option<String>) -> Self {
        let started = Ticks::of(clock.now());
        let live = Live::new(plan.rates, started);
        let estate = Arc::new(Estate::new(plan, started, alert));
        let built = View { estate: Arc::clone(&estate), now: started };
        Self { clock, state: Mutex::new(State { estate, live, built }) }
    }

    /// The estate as it is now.
    pub(crate) fn view(&self) -> View {
        let (state, now) = self.state();
        View { estate: Arc::clone(&state.estate), now }
    }

    /// The estate as it was when exports were built last. Asking never builds.
    pub(crate) fn built(&self) -> View {
        self.state().0.built.clone()
    }

    /// Changes the estate; what was seen of it before stays as it was.
    fn change<T>(&self, change: impl FnOnce(&mut Estate, Ticks) -> T) -> T {
        let (mut state, now) = self.state();
        change(Arc::make_mut(&mut state.estate), now)
    }

    /// The state after all that has happened by now.
    fn state(&self) -> (MutexGuard<'_, State>, Ticks) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Ticks::of(self.clock.now());
        state.settle(now);
        (state, now)
    }
}

impl State {
    /// Does all that has happened up to `now`, exports included, in the order of its happening.
    fn settle(&mut self, now: Ticks) {
        let every = self.estate.plan.rebuilt_every;
        let every = i64::try_from(every.as_nanos() / 100).unwrap_or(i64::MAX);
        // Only the newest build can be asked for.
        let turns = if every == 0 { 0 } else { (now.0 - self.built.now.0).max(0) / every };
        let newest = self.built.now.plus(turns.saturating_mul(every));
        if turns > 0 {
            self.live_until(newest);
            self.built = View { estate: Arc::clone(&self.estate), now: newest };
        }
        self.live_until(now);
        if every == 0 {
            self.built = View { estate: Arc::clone(&self.estate), now };
        }
    }

    /// Does what happens by itself up to `until`.
    fn live_until(&mut self, until: Ticks) {
        while let Some((happening, at)) = self.live.next(until) {
            let turn = self.live.turn();
            Arc::make_mut(&mut self.estate).happen(happening, at, turn);
        }
    }
}
