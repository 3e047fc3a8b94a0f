//! The simulated tenant as somebody sees it who only looks: which version was visible from when to when.
//!
//! It is asked the simulator's world, never the collector.

use jiff::Timestamp;
use mde_sim::{Sim, VersionKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// From when to when something was there. Unit: milliseconds after the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    /// From.
    pub from_ms: i64,
    /// Up to; `None`: it still is.
    pub to_ms: Option<i64>,
}

/// What was there, and when.
#[derive(Clone)]
pub struct Tenant(Arc<Shared>);

/// What clones share.
struct Shared {
    sim: Arc<Sim>,
    start_ms: i64,
    seen: Mutex<Seen>,
}

/// All that was ever there.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<VersionKey, Visible>,
    /// By their ids.
    machines: BTreeMap<String, Visible>,
    /// Numbers of machines that are there.
    present: BTreeSet<u32>,
}

impl Tenant {
    /// The tenant as it is at the beginning, with so many machines.
    pub fn new(sim: &Arc<Sim>, machines: usize) -> Self {
        let start_ms = sim.clock().now().as_millisecond();
        let tenant = Self(Arc::new(Shared { sim: Arc::clone(sim), start_ms, seen: Mutex::default() }));
        tenant.came(0..u32::try_from(machines).expect("a small tenant"));
        tenant.look();
        tenant
    }

    /// Time since the beginning. Unit: milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.0.sim.clock().now().as_millisecond() - self.0.start_ms
    }

    /// When the beginning was. Unit: milliseconds since 1970, UTC.
    pub fn start_ms(&self) -> i64 {
        self.0.start_ms
    }

    /// Notes what is there now.
    pub fn look(&self) {
        let (now_ms, there) = (self.now_ms(), self.0.sim.world().versions());
        let there: BTreeSet<VersionKey> = there.into_iter().collect();
        let mut seen = self.seen();
        for (version, visible) in &mut seen.versions {
            if visible.to_ms.is_none() && !there.contains(version) {
                visible.to_ms = Some(now_ms);
            }
        }
        for version in there {
            seen.versions.entry(version).or_insert(Visible { from_ms: now_ms, to_ms: None });
        }
    }

    /// So many alerts appear now.
    pub fn add(&self, count: u32) {
        for _ in 0..count {
            self.0.sim.world().add_alert(self.time());
        }
        self.look();
    }

    /// One appears whose time lies so many seconds back.
    pub fn add_late(&self, seconds: u64) {
        let at = Timestamp::from_millisecond(self.time().as_millisecond() - seconds as i64 * 1_000);
        self.0.sim.world().add_alert(at.expect("a moment near the beginning"));
        self.look();
    }

    /// One of those that are there.
    pub fn alert(&self, draw: impl FnOnce(u64) -> u64) -> Option<String> {
        let there = self.0.sim.world().versions();
        let last = (there.len() as u64).checked_sub(1)?;
        Some(there[usize::try_from(draw(last)).ok()?].id.clone())
    }

    /// An alert changes now.
    pub fn update(&self, id: &str) {
        // Two changes in one moment cannot be told apart: the second is none.
        self.0.sim.world().update_alert(id, self.time()).ok();
        self.look();
    }

    /// An alert changes now, which shows so many seconds later.
    pub fn update_late(&self, id: &str, seconds: u64) {
        self.0.sim.world().update_alert_late(id, self.time(), std::time::Duration::from_secs(seconds)).ok();
    }

    /// A machine comes.
    pub fn add_machine(&self) {
        self.came(self.0.sim.world().add_machines(1));
    }

    /// A machine leaves.
    pub fn remove_machine(&self, draw: impl FnOnce(u64) -> u64) {
        let now_ms = self.now_ms();
        let mut seen = self.seen();
        let Some(last) = (seen.present.len() as u64).checked_sub(1) else { return };
        let number = seen.present.iter().nth(usize::try_from(draw(last)).unwrap_or_default()).copied();
        let Some(number) = number else { return };
        seen.present.remove(&number);
        let id = self.0.sim.world().machine_id(number);
        if let Some(visible) = seen.machines.get_mut(&id) {
            visible.to_ms = Some(now_ms);
        }
        self.0.sim.world().remove_machine(number);
    }

    /// When each version was there.
    pub fn versions(&self) -> BTreeMap<VersionKey, Visible> {
        self.seen().versions.clone()
    }

    /// When each machine was there.
    pub fn machines(&self) -> BTreeMap<String, Visible> {
        self.seen().machines.clone()
    }

    /// Machines that have come.
    fn came(&self, numbers: std::ops::Range<u32>) {
        let now_ms = self.now_ms();
        for number in numbers {
            let id = self.0.sim.world().machine_id(number);
            let mut seen = self.seen();
            seen.present.insert(number);
            seen.machines.insert(id, Visible { from_ms: now_ms, to_ms: None });
        }
    }

    /// Now, as the tenant has it.
    fn time(&self) -> Timestamp {
        self.0.sim.clock().now()
    }

    /// What was seen, also after a panic elsewhere.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
