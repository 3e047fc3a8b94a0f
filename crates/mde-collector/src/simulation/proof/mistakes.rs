//! The proof is itself tested: each of ten mistakes, made on purpose, is found; two more wait for histories that meet them.

use super::hunt::{attempt, hunt};
use super::plan::Plan;
use crate::record::Mistake;
use std::time::Duration;

/// Histories in which a mistake must be found.
const HISTORIES: usize = 2_000;
/// Not shown to be found yet: rows must slip over the same border twice, and calls must travel at the limit of a minute. Their own
/// tests are `a_row_that_slips_over_a_border_is_found_by_the_next_walk` and
/// `a_slow_burst_and_the_burst_after_it_stay_below_the_vendors_minute`.
const NOT_YET: [Mistake; 2] = [Mistake::SameBorders, Mistake::CountedAtSending];
/// No mistake takes longer.
const TIME: Duration = Duration::from_secs(1_500);

#[test]
fn each_deliberate_mistake_is_found_within_2_000_histories() {
    // One by name, for whoever works on the proof.
    let only = std::env::var("MDE_MISTAKE").ok();
    let asked = |mistake: &Mistake| only.as_ref().is_none_or(|only| format!("{mistake:?}") == *only);
    let mut missed = Vec::new();
    for mistake in Mistake::ALL.into_iter().filter(|mistake| !NOT_YET.contains(mistake)).filter(asked) {
        // The same histories each time: what finds a mistake today finds it tomorrow.
        let mut seeds = 1_000..1_000 + HISTORIES as u64;
        loop {
            Mistake::make(Some(mistake));
            let found = hunt(&mut seeds, TIME);
            Mistake::make(None);
            match found {
                // Without the mistake every promise must hold in that very history.
                Err(broken) if attempt(&Plan::draw(broken.seed)).is_err() => {}
                Err(broken) => {
                    println!("{mistake:?}: found by {}, {}", broken.seed, broken.what);
                    break;
                }
                Ok(_) => {
                    missed.push(mistake);
                    break;
                }
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
