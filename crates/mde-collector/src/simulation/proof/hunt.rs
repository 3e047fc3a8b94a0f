//! Many histories, on as many threads as there are processors; the first that breaks a promise is made shorter and told.

use super::history::{self, Figures};
use super::plan::Plan;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often a history is run again before a change to it counts as harmless: threads of the database are not in our hands.
const TRIES: usize = 3;
/// Histories that are tried to find a shorter one.
const SHRINKING: usize = 60;

/// A promise that was broken.
#[derive(Debug)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// Histories until it was found.
    pub after: u64,
    /// What did not hold.
    pub what: String,
}

/// Runs histories on these seeds until the time is over or one breaks a promise. Returns how many there were, and their sum.
pub fn hunt(seeds: impl Iterator<Item = u64> + Send, within: Duration) -> Result<(u64, Figures), Broken> {
    let begun = Instant::now();
    let seeds = Mutex::new(seeds);
    let (done, sum, broken) = (AtomicU64::new(0), Mutex::new(Figures::default()), Mutex::new(None));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while begun.elapsed() < within && lock(&broken).is_none() {
                    let Some(seed) = lock(&seeds).next() else { return };
                    let ended = attempt(&Plan::draw(seed));
                    let after = done.fetch_add(1, Ordering::SeqCst) + 1;
                    match ended {
                        Ok(figures) => lock(&sum).add(&figures),
                        Err(what) => *lock(&broken) = Some(Broken { seed, after, what }),
                    }
                }
            });
        }
    });
    match broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(broken) => Err(broken),
        None => Ok((done.into_inner(), sum.into_inner().unwrap_or_else(PoisonError::into_inner))),
    }
}

/// Runs a history; a panic in it is a broken promise too.
pub fn attempt(plan: &Plan) -> Result<Figures, String> {
    catch_unwind(AssertUnwindSafe(|| history::run(plan))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}

/// The shortest history that was found like this one and still breaks a promise, and which.
pub fn shrink(plan: Plan, what: String) -> (Plan, String) {
    let (mut best, mut tries) = ((plan, what), 0);
    'again: loop {
        for shorter in best.0.shorter() {
            for _ in 0..TRIES {
                tries += 1;
                if tries > SHRINKING {
                    return best;
                }
                if let Err(what) = attempt(&shorter) {
                    best = (shorter, what);
                    continue 'again;
                }
            }
        }
        return best;
    }
}

/// What is printed of a broken promise: how to see it again, and the shortest history with it.
pub fn report(broken: Broken) -> String {
    let Broken { seed, after, what } = broken;
    let (plan, shorter) = shrink(Plan::draw(seed), what.clone());
    format!(
        "history {after} broke a promise: {what}\n  again: MDE_SEED={seed} cargo test -p mde-collector --lib proof::the_history_of_one_seed -- --ignored --nocapture\n  shortest ({shorter}): {plan:#?}"
    )
}

/// What a lock holds, also after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
