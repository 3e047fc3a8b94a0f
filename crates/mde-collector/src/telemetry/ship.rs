//! Events of the ship half.

use super::metrics::{self, DEAD, DELIVERED};
use super::{cause, ms};
use std::error::Error;
use std::time::Duration;
use tracing::warn;

/// An output has failed; what it has not confirmed is sent again.
pub fn failed(output: &str, error: &dyn Error, wait: Duration) {
    warn!(output, %error, cause = cause(error), wait_ms = ms(wait), "the output failed; unconfirmed events are sent again");
}

/// The far side has confirmed events; no line is worth it.
pub fn delivered(output: &str, events: u64) {
    metrics::add(&DELIVERED, &[output], events);
}

/// Events that an output will never take have become dead letters; `lost` older ones had to go for them.
pub fn refused(output: &str, events: u64, first_reason: &str, lost: u64) {
    metrics::add(&DEAD, &[output], events);
    warn!(output, events, first_reason, lost, "events were refused for good and are kept as dead letters");
}

/// An output has ended with events left.
pub fn not_drained(output: &str, error: &dyn Error) {
    warn!(output, %error, "the output was not drained; the rest stays in the outbox");
}

/// An output that need not get everything has jumped over events.
pub fn jumped(output: &str, events: u64) {
    warn!(output, events, "the outbox is full: this output is not required and loses events");
}

/// An output that is no longer configured still keeps events.
pub fn removed(output: &str, events: u64, bytes: u64) {
    warn!(
        output,
        events,
        bytes,
        "this output is no longer configured; its events are kept for 7 days: configure it again, let another one inherit with `from`, or drop it with `state drop-output`"
    );
}

/// An output that is no longer configured has been forgotten with what it kept.
pub fn let_go(output: &str, events: u64) {
    warn!(
        output,
        events, "this output is no longer configured and was let go; the events that waited for it are lost to it"
    );
}
