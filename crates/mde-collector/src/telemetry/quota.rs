//! Events of the quota.

use super::ms;
use mde_client::budget::WindowUse;
use std::fmt::Display;
use std::time::Duration;
use tracing::warn;

/// A call was refused although it had its place in our budget.
pub fn refused(tenant: &str, family: &str, likely_cause: &str, ours: &[WindowUse], after: Option<Duration>) {
    let used = |window: &WindowUse| format!("{} of {} in {} s", window.used, window.limit, window.period.as_secs());
    let ours: Vec<String> = ours.iter().map(used).collect();
    warn!(
        tenant,
        family,
        likely_cause,
        ours = ours.join(", "),
        wait_ms = after.map(ms),
        "too many calls, says the API (429): the wait is kept to and the budget lowered"
    );
}

/// The file that outlives us cannot be written, so no call is made.
pub fn not_written(error: &dyn Display) {
    warn!(%error, "the record of calls cannot be written: no call is made until it can; look at the disk of the state folder");
}
