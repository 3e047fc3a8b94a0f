//! One quota: its windows, the wait that a 429 imposes, and what is learned from it.

use super::Priority;
pub use super::windows::Room;
use super::windows::{Moment, SlidingWindows, Window, WindowUse};
use crate::limits::Family;
use crate::retry::{Allowed, longest_backoff};
use std::time::Duration;

/// The vendor's shorter window.
const MINUTE: Duration = Duration::from_secs(60);
/// The vendor's longer window.
const HOUR: Duration = Duration::from_secs(3_600);

/// What a 429 says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttle {
    /// How long to wait, where it was told.
    pub after: Option<Duration>,
    /// The limit that the server holds us to, where it was told.
    pub allowed: Option<Allowed>,
    /// It is about computing time: that says nothing about how many calls are allowed.
    pub computing: bool,
}

/// One quota.
///
/// What a 429 teaches: either the server's limit is smaller than we thought, or others spend from it too.
/// - Where the text names a smaller limit for one of our windows, that (times our share) is the limit from now on.
/// - Otherwise the window that must have been full (the shortest that the wait fits into) loses a fifth of its limit,
///   and gets a tenth of the whole back for each hour without a 429. Answers to calls that were under way when the
///   wait began teach nothing more, and neither does a 429 about computing time.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The log of calls under the limits of now.
    windows: SlidingWindows,
    /// The limits before anything was learned by cutting, in the order of the windows.
    whole: Vec<u32>,
    /// Our part of what the server allows.
    share: f64,
    /// Nobody calls before; the end of the wait.
    blocked_until: Moment,
    /// 429s since the beginning.
    throttled: u64,
    /// 429s in a row that told no wait, for the back-off.
    untold: u32,
    /// When a limit was cut or raised last.
    adjusted: Moment,
}

impl Bucket {
    /// A share of what the vendor allows for that family.
    #[must_use]
    pub fn of_family(family: Family, share: f64) -> Self {
        let limits = family.limits();
        let minute = Window::share_of(limits.per_minute, share, MINUTE);
        Self::new(vec![minute, Window::share_of(limits.per_hour, share, HOUR)], share)
    }

    /// Limits of somebody's own choice, taken as they are.
    #[must_use]
    pub fn of_windows(windows: Vec<Window>) -> Self {
        Self::new(windows, 1.0)
    }

    /// A bucket with nothing in it.
    fn new(windows: Vec<Window>, share: f64) -> Self {
        let windows = SlidingWindows::new(windows);
        Self {
            whole: windows.windows().iter().map(|window| window.limit).collect(),
            windows,
            share,
            blocked_until: Moment::ZERO,
            throttled: 0,
            untold: 0,
            adjusted: Moment::ZERO,
        }
    }

    /// When there is room for a call of that priority.
    #[must_use]
    pub fn room(&mut self, now: Moment, priority: Priority) -> Room {
        self.recover(now);
        let room = self.windows.room(now, priority);
        if now < self.blocked_until { room.and(Room::At(self.blocked_until)) } else { room }
    }

    /// The log of calls.
    #[must_use]
    pub fn windows(&self) -> &SlidingWindows {
        &self.windows
    }

    /// The log of calls, to enter one.
    pub fn windows_mut(&mut self) -> &mut SlidingWindows {
        &mut self.windows
    }

    /// How full each window is.
    #[must_use]
    pub fn used(&self, now: Moment) -> Vec<WindowUse> {
        self.windows.used(now)
    }

    /// How long nobody may call; zero if anybody may.
    #[must_use]
    pub fn blocked_for(&self, now: Moment) -> Duration {
        self.blocked_until.saturating_sub(now)
    }

    /// 429s since the beginning.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Obeys a 429 and learns from it.
    pub fn throttle(&mut self, now: Moment, throttle: &Throttle) {
        self.recover(now);
        self.throttled += 1;
        let during_a_wait = now < self.blocked_until;
        let in_a_row = now < self.blocked_until + MINUTE;
        self.untold = if throttle.after.is_some() || !in_a_row { 0 } else { self.untold };
        let wait = throttle.after.unwrap_or_else(|| {
            self.untold += u32::from(!during_a_wait);
            longest_backoff(self.untold)
        });
        // Even a wait of nothing is one: otherwise a server that says so is called without pause.
        self.blocked_until = self.blocked_until.max(now + wait.max(longest_backoff(1)));
        let believed = throttle.allowed.is_some_and(|allowed| self.believe(allowed));
        if !believed && !throttle.computing && !during_a_wait {
            self.cut(now, wait);
        }
    }

    /// Takes over a limit that the server names. False where it is none of ours, or not smaller than ours.
    fn believe(&mut self, allowed: Allowed) -> bool {
        let told = Window::share_of(allowed.calls, self.share, allowed.period);
        let mut smaller = false;
        for (window, whole) in self.windows.windows_mut().iter_mut().zip(&mut self.whole) {
            if window.period == told.period && told.limit < *whole {
                *whole = told.limit;
                window.limit = window.limit.min(told.limit);
                smaller = true;
            }
        }
        smaller
    }

    /// Takes a fifth from the shortest window that the wait fits into, else from the longest.
    fn cut(&mut self, now: Moment, wait: Duration) {
        let windows = self.windows.windows_mut();
        let fits = windows.iter().filter(|window| window.period >= wait).map(|window| window.period).min();
        let longest = windows.iter().map(|window| window.period).max();
        let Some(period) = fits.or(longest) else { return };
        for window in windows.iter_mut().filter(|window| window.period == period) {
            window.limit = (window.limit - window.limit.div_ceil(5)).max(1);
        }
        self.adjusted = now;
    }

    /// Gives a tenth of the whole back for each hour that has passed since a limit was changed.
    fn recover(&mut self, now: Moment) {
        while now >= self.adjusted + HOUR {
            let mut cut = false;
            for (window, whole) in self.windows.windows_mut().iter_mut().zip(&self.whole) {
                cut |= window.limit < *whole;
                window.limit = (window.limit + whole.div_ceil(10)).min(*whole);
            }
            self.adjusted = if cut { self.adjusted + HOUR } else { now };
            if !cut {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
