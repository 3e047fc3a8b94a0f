//! Events of the ship half.

use super::metrics::{self, DEAD, DELIVERED};
use super::{cause, ms};
use crate::record::StreamKey;
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

/// Events are still kept for an output that is no longer configured, or for one in a stream that it takes no more.
pub fn removed(output: &str, stream: Option<&StreamKey>, (events, bytes): (u64, u64)) {
    match stream {
        None => warn!(
            output,
            events,
            bytes,
            "this output is no longer configured; its events are kept for 7 days: configure it again, let another one inherit with `from`, or drop it with `state drop-output`"
        ),
        Some(stream) => warn!(
            output,
            %stream,
            events,
            bytes,
            "this output takes this stream no more; its events are kept for 7 days: name the output in `outputs` of the input again to have them"
        ),
    }
}

/// What was kept so has been let go.
pub fn let_go(output: &str, stream: Option<&StreamKey>, events: u64) {
    match stream {
        None => warn!(
            output,
            events, "this output is no longer configured and was let go; the events that waited for it are lost to it"
        ),
        Some(stream) => warn!(
            output,
            %stream,
            events,
            "this output takes this stream no more; the events that waited for it there were let go and are lost to it"
        ),
    }
}
