//! Events of the ship half.

use super::{cause, ms};
use std::error::Error;
use std::time::Duration;
use tracing::warn;

/// An output has failed; what it has not confirmed is sent again.
pub fn failed(output: &str, error: &dyn Error, wait: Duration) {
    warn!(output, %error, cause = cause(error), wait_ms = ms(wait), "the output failed; unconfirmed events are sent again");
}

/// An output has ended with events left.
pub fn not_drained(output: &str, error: &dyn Error) {
    warn!(output, %error, "the output was not drained; the rest stays in the outbox");
}
