//! The rhythm of a table of events: which event stands when, and when it is seen.

use crate::config::HuntingConfig;
use crate::estate::View;
use crate::ticks::Ticks;
use crate::world::dice::mix;

/// The rhythm of a table of events.
#[derive(Clone, Copy)]
pub(super) struct Events {
    /// Everything made up follows from it.
    pub(super) seed: u64,
    /// Time of the first event.
    first: Ticks,
    /// Distance of two events; 0: there are none. Unit: 100 ns.
    every: i64,
    /// One in so many is seen late.
    late_one_in: u64,
    /// How much later. Unit: 100 ns.
    late_by: i64,
    /// One in so many equals the one before it.
    twin_one_in: u64,
}

impl Events {
    /// The rhythm of a table.
    pub(super) fn of(view: &View, config: &HuntingConfig, number: u64) -> Self {
        let steps = |duration: std::time::Duration| i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX / 4);
        let rate = config.rows_per_minute;
        Self {
            seed: mix(view.estate.seed, number),
            first: view.estate.started.plus(-steps(config.span)),
            every: if rate > 0.0 { ((60 * Ticks::PER_SECOND) as f64 / rate).max(1.0) as i64 } else { 0 },
            late_one_in: config.late_one_in,
            late_by: steps(config.late_by),
            twin_one_in: config.twin_one_in,
        }
    }

    /// The event whose content this one has: itself, or the one before it.
    pub(super) fn original(&self, event: u64) -> u64 {
        let twin = self.twin_one_in > 0 && event > 0 && event.is_multiple_of(self.twin_one_in.max(2));
        event - u64::from(twin)
    }

    /// The time of an event: within its part of the rhythm, to a step of 100 ns.
    pub(super) fn time(&self, event: u64) -> Ticks {
        let event = self.original(event);
        let within = mix(self.seed, event) % self.every.max(1) as u64;
        self.first.plus((event as i64).saturating_mul(self.every).saturating_add(within as i64))
    }

    /// Whether an event is seen at `now`.
    pub(super) fn is_visible(&self, event: u64, now: Ticks) -> bool {
        let late = self.late_one_in > 0 && mix(self.seed ^ 0x81, event).is_multiple_of(self.late_one_in);
        self.every > 0 && self.time(event).plus(if late { self.late_by } else { 0 }) <= now
    }

    /// A number that no event at this time or later is below, by a margin for twins.
    pub(super) fn number_before(&self, at: Ticks) -> u64 {
        let steps = at.0.saturating_sub(self.first.0).max(0);
        if self.every == 0 { 0 } else { (steps / self.every) as u64 }
    }
}
