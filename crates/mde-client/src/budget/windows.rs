//! Exact sliding windows over one log of calls. Pure: the time is passed in.

use super::Priority;
use std::collections::VecDeque;
use std::time::Duration;

/// A time on the budget's own clock, which begins anywhere and never goes back.
pub type Moment = Duration;

/// The least step of a [`Moment`]. A slot is free one step after its window, since a server's window may include both ends.
const STEP: Duration = Duration::from_nanos(1);

/// At most `limit` calls in any `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The length of the window.
    pub period: Duration,
    /// Unit: calls.
    pub limit: u32,
}

impl Window {
    /// A share of a limit, rounded down, at least one call.
    #[must_use]
    pub fn share_of(limit: u32, share: f64, period: Duration) -> Self {
        // The small addition undoes what binary fractions lose: 100 × 0.29 is 29.
        let part = (f64::from(limit) * share + 1e-9).floor();
        Self { period, limit: (part as u32).clamp(1, limit.max(1)) }
    }
}

/// How full one window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowUse {
    /// The length of the window.
    pub period: Duration,
    /// Calls that count in it now.
    pub used: u32,
    /// The most that may.
    pub limit: u32,
    /// How long until it has room for a most urgent call; of one that must await an answer the whole window.
    pub free_in: Duration,
}

/// When there is room for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Now.
    Now,
    /// Not before that moment.
    At(Moment),
    /// Not before an answer to a call that is under way.
    AfterAnAnswer,
}

impl Room {
    /// The later of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::AfterAnAnswer, _) | (_, Self::AfterAnAnswer) => Self::AfterAnAnswer,
            (Self::At(one), Self::At(other)) => Self::At(one.max(other)),
            (Self::Now, room) | (room, Self::Now) => room,
        }
    }
}

/// Several windows over the same calls.
#[derive(Debug, Clone, Default)]
pub struct SlidingWindows {
    /// The limits, in the order they were given.
    windows: Vec<Window>,
    /// Calls sent and not yet answered.
    open: u32,
    /// When the others were answered, oldest first, back to the longest window.
    answered: VecDeque<Moment>,
}

impl SlidingWindows {
    /// Windows without a call in them. A limit of 0 would stop everything for ever and is taken as 1.
    #[must_use]
    pub fn new(mut windows: Vec<Window>) -> Self {
        windows.iter_mut().for_each(|window| window.limit = window.limit.max(1));
        Self { windows, ..Self::default() }
    }

    /// The windows.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The windows, to change their limits.
    pub(super) fn windows_mut(&mut self) -> &mut [Window] {
        &mut self.windows
    }

    /// When all windows have room for a call of that priority.
    #[must_use]
    pub fn room(&self, now: Moment, priority: Priority) -> Room {
        self.windows.iter().map(|window| self.room_in(window, now, priority)).fold(Room::Now, Room::and)
    }

    /// When one window has room.
    fn room_in(&self, window: &Window, now: Moment, priority: Priority) -> Room {
        let allowed = (window.limit - priority.kept_from(window.limit)) as usize;
        let first = self.first_in(window.period, now);
        let counting = self.answered.len() - first;
        if self.open as usize + counting < allowed {
            return Room::Now;
        }
        // All but `allowed − 1` of those that count have to leave; calls under way do not leave by waiting.
        let leaving = self.open as usize + counting - allowed;
        match self.answered.get(first + leaving) {
            Some(answered) if leaving < counting => Room::At(*answered + window.period + STEP),
            _ => Room::AfterAnAnswer,
        }
    }

    /// Index of the oldest answered call that counts in a window of that length.
    fn first_in(&self, period: Duration, now: Moment) -> usize {
        self.answered.partition_point(|answered| *answered + period < now)
    }

    /// A call is being sent: it counts in every window from now on. Ask for [`room`](Self::room) before.
    pub fn send(&mut self) {
        self.open += 1;
    }

    /// A call that was entered is not made after all.
    pub fn give_back(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// A call that was sent is answered.
    pub fn answer(&mut self, now: Moment) {
        self.open = self.open.saturating_sub(1);
        self.count(now, 1);
        self.forget(now);
    }

    /// Counts calls as answered at a moment, which may lie ahead: those that a process before this one may have made.
    pub fn count(&mut self, answered: Moment, calls: u32) {
        let index = self.answered.partition_point(|other| *other <= answered);
        (0..calls).for_each(|_| self.answered.insert(index, answered));
    }

    /// Lets go what no window looks at any more.
    fn forget(&mut self, now: Moment) {
        let longest = self.windows.iter().map(|window| window.period).max().unwrap_or_default();
        let first = self.first_in(longest, now);
        self.answered.drain(..first);
    }

    /// How full each window is.
    #[must_use]
    pub fn used(&self, now: Moment) -> Vec<WindowUse> {
        let used = |window: &Window| WindowUse {
            period: window.period,
            used: self.open + (self.answered.len() - self.first_in(window.period, now)) as u32,
            limit: window.limit,
            free_in: match self.room_in(window, now, Priority::NewestAlerts) {
                Room::Now => Duration::ZERO,
                Room::At(at) => at.saturating_sub(now),
                Room::AfterAnAnswer => window.period,
            },
        };
        self.windows.iter().map(used).collect()
    }
}

#[cfg(test)]
mod tests;
