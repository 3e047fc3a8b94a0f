//! One function per event: what the log says about it, in constant words, with its facts as fields.
//!
//! No other room writes log lines, so a line and what is counted beside it cannot drift apart. Never a secret, never a
//! record's content, never one line per record.

pub mod credentials;
pub mod enrich;
pub mod metrics;
pub mod pull;
pub mod quota;
pub mod reload;
pub mod run;
pub mod ship;
pub mod web;

use std::error::Error;
use std::time::Duration;

/// A time as a field of a log line. Unit: milliseconds.
fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// All that lies behind an error, where it says more.
pub fn cause(error: &dyn Error) -> Option<String> {
    let (mut told, mut causes) = (error.to_string(), Vec::new());
    let mut below = error.source();
    while let Some(cause) = below {
        let text = cause.to_string();
        // One that only passes on what is below it has been told already.
        if !told.contains(&text) {
            causes.push(text.clone());
            told = text;
        }
        below = cause.source();
    }
    (!causes.is_empty()).then(|| causes.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn all_that_lies_behind_an_error_is_told_once() {
        let layers = ["certificate", "connect", "connect", "read"];
        let error = layers.into_iter().fold(None, |below, text| Some(Box::new(Layer(text, below)))).expect("layers");
        assert_eq!(cause(&*error).as_deref(), Some("connect: certificate"));
        assert_eq!(cause(&Layer("read", None)), None);
    }
}
