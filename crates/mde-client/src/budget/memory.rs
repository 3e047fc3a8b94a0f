//! A budget for one process, on tokio's clock.

use super::bucket::{Bucket, Room, Throttle};
use super::windows::{Moment, SlidingWindows, Window, WindowUse};
use super::{Budget, Permit, Priority};
use crate::limits::{Family, LIMITS};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What the budget's clock shows at its beginning, so that it can tell moments before that: two hours, where no window is
/// longer than one.
const BEGINNING: Moment = Duration::from_secs(7_200);

/// The budget of one application in one tenant, for one process. Clones share it.
#[derive(Clone)]
pub struct InMemoryBudget {
    /// What all handles have in common.
    shared: Arc<Shared>,
    /// The bucket of this handle's own limits.
    own: Option<usize>,
}

/// What all handles share.
struct Shared {
    /// The budget's clock shows [`BEGINNING`] here.
    start: Instant,
    /// Locked for moments, never while waiting.
    state: Mutex<State>,
    /// Told whenever somebody who waits may have got a call, or may have to wait for another moment.
    changed: Notify,
}

/// Buckets and queue.
struct State {
    /// First one for each family, in their order; then that of the whole tenant; then those of single services.
    buckets: Vec<Bucket>,
    /// Those who wait, most urgent first, then in the order of arrival.
    waiting: BTreeMap<Place, Waiting>,
    /// Arrivals so far.
    arrivals: u64,
}

/// A place in the queue.
type Place = (Priority, u64);

/// The buckets that a call spends from; all must have room at the same moment.
type Spends = [Option<usize>; 3];

/// One who waits.
struct Waiting {
    /// What the call needs room in.
    spends: Spends,
    /// The call is entered in the buckets, and not yet picked up.
    granted: bool,
}

/// One quota in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUse {
    /// Whose; `None` for limits that were added to the vendor's.
    pub family: Option<Family>,
    /// Its windows: for a family the minute, then the hour.
    pub windows: Vec<WindowUse>,
    /// How long nobody may call because of a 429.
    pub blocked_for: Duration,
    /// 429s since the beginning.
    pub throttled: u64,
}

impl InMemoryBudget {
    /// The part `share` of every family's limits (0 < share ≤ 1), and further limits for all calls of the tenant together.
    #[must_use]
    pub fn new(share: f64, limits: Vec<Window>) -> Self {
        let families = LIMITS.iter().map(|limits| Bucket::of_family(limits.family, share));
        let buckets = families.chain([Bucket::of_windows(limits)]).collect();
        let state = Mutex::new(State { buckets, waiting: BTreeMap::new(), arrivals: 0 });
        Self { shared: Arc::new(Shared { start: Instant::now(), state, changed: Notify::new() }), own: None }
    }

    /// A handle on the same budget whose calls are held to further limits, for a service with limits of its own.
    #[must_use]
    pub fn with_limits(&self, limits: Vec<Window>) -> Self {
        let mut state = self.shared.state();
        state.buckets.push(Bucket::of_windows(limits));
        Self { shared: Arc::clone(&self.shared), own: Some(state.buckets.len() - 1) }
    }

    /// Waits for room and takes it.
    pub(super) async fn slot(&self, family: Family, priority: Priority) -> Slot {
        let shared = &self.shared;
        let spends = [Some(family as usize), Some(LIMITS.len()), self.own];
        let mut ticket = Ticket::draw(Arc::clone(shared), priority, spends);
        loop {
            // Listening begins before looking, so that no change between the two is missed.
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            match ticket.look() {
                Ok(slot) => return slot,
                Err(Some(at)) => tokio::select! {
                    () = sleep_until(shared.start + at.saturating_sub(BEGINNING)) => {}
                    () = changed => {}
                },
                Err(None) => changed.await,
            }
        }
    }

    /// Counts calls of others as made so many milliseconds from now, or before now.
    pub(super) fn count(&self, family: Family, calls: u32, from_now_ms: i64) {
        let now = self.shared.now();
        let length = Duration::from_millis(from_now_ms.unsigned_abs());
        let made = if from_now_ms < 0 { now.saturating_sub(length) } else { now + length };
        let mut state = self.shared.state();
        for bucket in [family as usize, LIMITS.len()] {
            state.buckets[bucket].windows_mut().count(made, calls);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// How full every quota is: the families in their order, then the tenant's further limits, then those of services.
    #[must_use]
    pub fn snapshot(&self) -> Vec<BucketUse> {
        let now = self.shared.now();
        let state = self.shared.state();
        let families = LIMITS.iter().map(|limits| Some(limits.family)).chain(std::iter::repeat(None));
        let with_limits = families.zip(&state.buckets).filter(|(_, bucket)| !bucket.windows().windows().is_empty());
        let used = |(family, bucket): (Option<Family>, &Bucket)| BucketUse {
            family,
            windows: bucket.used(now),
            blocked_for: bucket.blocked_for(now),
            throttled: bucket.throttled(),
        };
        with_limits.map(used).collect()
    }
}

#[async_trait::async_trait]
impl Budget for InMemoryBudget {
    async fn acquire(&self, family: Family, priority: Priority) -> Permit {
        self.slot(family, priority).await.permit()
    }

    fn throttled(&self, family: Family, throttle: &Throttle) {
        let now = self.shared.now();
        self.shared.state().buckets[family as usize].throttle(now, throttle);
        self.shared.changed.notify_waiters();
    }
}

impl Shared {
    /// The time on the budget's clock.
    fn now(&self) -> Moment {
        BEGINNING + self.start.elapsed()
    }

    /// The state, for a moment. Nothing here panics half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is to be entered in each of those buckets, and may make room.
    fn enter(&self, spends: Spends, entry: impl Fn(&mut SlidingWindows)) {
        let mut state = self.state();
        spends.into_iter().flatten().for_each(|bucket| entry(state.buckets[bucket].windows_mut()));
        drop(state);
        self.changed.notify_waiters();
    }

    /// A call that spent from those buckets is answered.
    fn answered(&self, spends: Spends) {
        let now = self.now();
        self.enter(spends, |windows| windows.answer(now));
    }
}

impl State {
    /// Serves those who wait in their order, as far as there is room. Returns the first moment at which there may be
    /// more, where that is known.
    ///
    /// Who finds no room in a bucket closes it for those behind: nobody is overtaken where they wait for the same.
    fn serve(&mut self, now: Moment) -> Option<Moment> {
        let mut closed = vec![false; self.buckets.len()];
        let mut next: Option<Moment> = None;
        for ((priority, _), waiting) in self.waiting.iter_mut().filter(|(_, waiting)| !waiting.granted) {
            let mut free = true;
            for bucket in waiting.spends.into_iter().flatten() {
                match self.buckets[bucket].room(now, *priority) {
                    Room::Now => free &= !closed[bucket],
                    room => {
                        free = false;
                        closed[bucket] = true;
                        if let Room::At(at) = room {
                            next = Some(next.map_or(at, |next| next.min(at)));
                        }
                    }
                }
            }
            if free {
                waiting.granted = true;
                for bucket in waiting.spends.into_iter().flatten() {
                    self.buckets[bucket].windows_mut().send();
                }
            }
        }
        next
    }
}

/// A place in the queue, given up when dropped.
struct Ticket {
    /// Where the queue is.
    shared: Arc<Shared>,
    /// Which place it is.
    place: Place,
    /// What the call needs room in.
    spends: Spends,
    /// The permit was picked up: nothing is left to give up.
    done: bool,
}

impl Ticket {
    /// Takes a place behind those of the same priority.
    fn draw(shared: Arc<Shared>, priority: Priority, spends: Spends) -> Self {
        let mut state = shared.state();
        state.arrivals += 1;
        let place = (priority, state.arrivals);
        state.waiting.insert(place, Waiting { spends, granted: false });
        drop(state);
        Self { shared, place, spends, done: false }
    }

    /// The room, or the moment at which to look again; without one, when something changes.
    fn look(&mut self) -> Result<Slot, Option<Moment>> {
        let now = self.shared.now();
        let mut state = self.shared.state();
        let others = |state: &State| state.waiting.values().filter(|waiting| waiting.granted).count();
        let granted_before = others(&state);
        let next = state.serve(now);
        let granted = state.waiting.get(&self.place).is_some_and(|waiting| waiting.granted);
        let served_others = others(&state) > granted_before + usize::from(granted);
        if granted {
            state.waiting.remove(&self.place);
            self.done = true;
        }
        drop(state);
        if served_others {
            self.shared.changed.notify_waiters();
        }
        if !granted {
            return Err(next);
        }
        Ok(Slot { shared: Arc::clone(&self.shared), spends: Some(self.spends) })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let waiting = self.shared.state().waiting.remove(&self.place);
        if waiting.is_some_and(|waiting| waiting.granted) {
            // It was entered and never sent; entered it stays, which errs on the safe side.
            self.shared.answered(self.spends);
        } else {
            self.shared.changed.notify_waiters();
        }
    }
}

/// Room for one call, entered in its buckets. Dropped, it counts as a call that was answered.
pub(super) struct Slot {
    /// Where it is entered.
    shared: Arc<Shared>,
    /// In which buckets; `None` once it has been given back.
    spends: Option<Spends>,
}

impl Slot {
    /// The right to make the call.
    pub fn permit(self) -> Permit {
        Permit::new(move || drop(self))
    }

    /// The call is not made: its room is free again at once.
    pub fn give_back(mut self) {
        if let Some(spends) = self.spends.take() {
            self.shared.enter(spends, SlidingWindows::give_back);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(spends) = self.spends.take() {
            self.shared.answered(spends);
        }
    }
}

#[cfg(test)]
mod tests;
