//! What is there at the start, and what happens by itself: functions of the seed and the clock, without a task of their own.

use super::dice::Dice;
use super::{Change, Recipe, State, names};
use crate::config::AlertConfig;
use crate::ticks::Ticks;

/// Updates choose among so many of the newest alerts, since old ones are seldom touched.
const UPDATED_AMONG: u64 = 1_000;

/// Two rhythms: new alerts and updates.
pub(super) struct Live {
    /// New alerts.
    new: Rhythm,
    /// Updates.
    update: Rhythm,
}

/// Something that happens at even distances.
pub(crate) struct Rhythm {
    /// Counted from here.
    start: Ticks,
    /// Distance; `None`: never. Unit: 100 ns.
    every: Option<i64>,
    /// How often it has happened.
    done: u64,
}

impl Rhythm {
    /// `per_minute` times a minute from `start` on.
    pub(crate) fn new(start: Ticks, per_minute: f64) -> Self {
        let every = (per_minute > 0.0).then(|| ((60 * Ticks::PER_SECOND) as f64 / per_minute).max(1.0) as i64);
        Self { start, every, done: 0 }
    }

    /// When it happens next.
    pub(crate) fn due(&self) -> Option<Ticks> {
        let turn = i64::try_from(self.done + 1).unwrap_or(i64::MAX);
        self.every.map(|every| self.start.plus(every.saturating_mul(turn)))
    }

    /// It has happened once more.
    pub(crate) fn step(&mut self) {
        self.done += 1;
    }
}

impl Live {
    /// Rhythms that begin at `start`.
    pub(super) fn new(config: &AlertConfig, start: Ticks) -> Self {
        Self { new: Rhythm::new(start, config.new_per_minute), update: Rhythm::new(start, config.updates_per_minute) }
    }

    /// When something happens next.
    pub(super) fn due(&self) -> Option<Ticks> {
        self.new.due().into_iter().chain(self.update.due()).min()
    }
}

impl State {
    /// Does what is due next.
    pub(super) fn live_step(&mut self, recipe: &Recipe) {
        let due = self.live.due();
        if self.live.new.due() == due {
            self.live.new.step();
            if let Some(updated) = due {
                let number = self.reserve();
                self.apply(recipe, Change { number, updated: updated.on_database_grid(), incident: None }, updated);
            }
        } else {
            self.live.update.step();
            let newest = self.versions.len() as u64;
            let back =
                1 + Dice::new(recipe.seed, names::LIVE_STREAM + self.live.update.done).below(newest.min(UPDATED_AMONG));
            let number = newest.checked_sub(back).and_then(|number| u32::try_from(number).ok());
            if let (Some(number), Some(updated)) = (number, due)
                && self.versions[number as usize].is_some()
            {
                self.apply(recipe, Change { number, updated: updated.on_database_grid(), incident: None }, updated);
            }
        }
    }
}

/// Update times of the alerts there are at the start, oldest first: spread over the span, tied in groups as told.
pub(super) fn initial_times(recipe: &Recipe, start: Ticks) -> impl Iterator<Item = Ticks> {
    let AlertConfig { count, span, tied, tied_at, .. } = recipe.config;
    let span = i64::try_from(span.as_nanos() / 100).unwrap_or(i64::MAX / 4);
    let begin = start.plus(-span);
    let tied = tied.max(1);
    let groups = i128::try_from(count.div_ceil(tied).max(1)).expect("fits 128 bits");
    let seed = recipe.seed;
    (0..count).map(move |index| {
        let group = (index / tied) as i128;
        let at = match tied_at.filter(|_| groups == 1) {
            Some(instant) => Ticks::of(instant),
            None => {
                let from = i128::from(span) * group / groups;
                let width = (i128::from(span) / groups).max(1);
                // A tied group of all stands in the middle; several groups are shaken within their part of the span.
                let within = match groups {
                    1 => width / 2,
                    _ => i128::from(Dice::new(seed, names::LIVE_STREAM * 2 + group as u64).bits()) % width,
                };
                begin.plus(i64::try_from(from + within).expect("inside the span"))
            }
        };
        if tied_at.is_some() && groups == 1 { at } else { at.on_database_grid() }
    })
}
