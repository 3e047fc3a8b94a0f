//! One function per event: what the log says about it, in constant words, with its facts as fields.
//!
//! No other room writes log lines, so a line and what is counted beside it cannot drift apart. Never a secret, never a
//! record's content, never one line per record.

pub mod enrich;
pub mod metrics;
pub mod pull;
pub mod quota;
pub mod run;
pub mod ship;
pub mod web;

use std::error::Error;
use std::time::Duration;

/// A time as a field of a log line. Unit: milliseconds.
fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What lies behind an error, where it says more.
fn cause(error: &dyn Error) -> Option<String> {
    error.source().map(ToString::to_string)
}
