//! Never lost, never twice: one seed, one history of the whole collector in simulated time, judged by an oracle that shares
//! nothing with it.
//!
//! `docs/guarantees.md` says what is promised, and what these histories do not show.

mod disk;
mod history;
mod hunt;
mod medium;
#[cfg(feature = "deliberate-bugs")]
mod mistakes;
mod oracle;
mod plan;
mod receiver;
mod tenant;

use hunt::{attempt, hunt, report};
use plan::Plan;
use std::time::Duration;

/// Histories in the test command, as far as its time allows.
const HISTORIES: usize = 2_000;
/// That time.
const TIME: Duration = Duration::from_secs(120);

#[test]
fn in_histories_on_fresh_seeds_nothing_is_lost_and_nothing_stored_twice() {
    let begun = tokio::time::Instant::now();
    let fresh = std::iter::repeat_with(rand::random::<u64>).take(HISTORIES);
    match hunt(fresh, TIME) {
        Ok((histories, figures)) => {
            let each_second = histories as f64 / begun.elapsed().as_secs_f64();
            println!("{histories} histories, {each_second:.1} a second: {figures:?}");
            assert!(histories > 0);
        }
        Err(broken) => panic!("{}", report(broken)),
    }
}

#[test]
#[ignore = "by hand, with MDE_SEED: one history again"]
fn the_history_of_one_seed() {
    let seed = std::env::var("MDE_SEED").expect("MDE_SEED").parse().expect("a number");
    let plan = Plan::draw(seed);
    println!("{plan:#?}");
    // What the collector says, dated by the machine and not by the history.
    tracing_subscriber::fmt().with_writer(std::io::stdout).with_ansi(false).without_time().init();
    println!("{:?}", attempt(&plan).expect("every promise holds"));
}
/// Histories that broke a promise once, or that do with a mistake put back; each with what was wrong.
const REGRESSIONS: [(u64, &str); 9] = [
    (1_017, "the checkpoint moved before the commit"),
    (1_014, "the overlap was not read again"),
    (1_020, "a window began behind its beginning"),
    (1_003, "a key named an entity, whatever its version"),
    (1_026, "a batch was visible before it was whole"),
    (1_013, "a commit under a lost lease counted"),
    (1_004, "the last frame of several was not handed over"),
    (1_007, "after a failure only what was not written was written"),
    (1_023, "a window that did not fit was paged with $skip"),
];

#[test]
fn histories_that_once_broke_a_promise_keep_all_of_them() {
    for (seed, once) in REGRESSIONS {
        if let Err(what) = attempt(&Plan::draw(seed)) {
            panic!("{seed}, once {once}: {what}");
        }
    }
}
