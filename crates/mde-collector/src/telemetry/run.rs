//! Events of the process.

use super::ms;
use std::fmt::Display;
use std::time::Duration;
use tracing::{error, info, warn};

/// The store has failed and is tried again.
pub fn store_failed(error: &dyn Display, failing: Duration, limit: Duration) {
    warn!(%error, failing_ms = ms(failing), limit_ms = ms(limit), "the state store failed and is tried again; nothing is lost");
}

/// The store works again.
pub fn store_works(failed: Duration) {
    info!(failed_ms = ms(failed), "the state store works again");
}

/// The store has failed for too long.
pub fn store_given_up(error: &dyn Display, failing: Duration) {
    error!(%error, failing_ms = ms(failing), "the state store has failed for too long: the process ends; nothing is lost");
}

/// Nothing that is configured may be read.
pub fn refused() {
    error!("every tenant is refused, or no service is permitted: the process ends; `check` says what to do");
}

/// A task has ended by a fault of ours.
pub fn task_broken(error: &dyn Display) {
    error!(%error, "a task of ours has broken: please report it");
}
