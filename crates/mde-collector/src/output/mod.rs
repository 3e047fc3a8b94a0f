//! Outputs: where stored frames go, each with the strongest sign of arrival that its channel offers.
//!
//! An output never opens the store. It is handed frames, says how far they were written and how far the far side has
//! taken them; `pipeline::ship` keeps the positions. What is not confirmed when a connection ends is handed again.

mod console;
mod devo;
mod event;
pub(crate) mod expiry;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod nats;
mod template;
mod tls;
mod witness;

use crate::config::OutputConfig;
use crate::record::{ErrorClass, StoredFrame};
use async_trait::async_trait;
use std::time::Duration;

/// Makes the output that the configuration describes. `memory` is what the store kept for it ([`Confirmed::memory`] or
/// [`Output::announce`], whichever was stored last). Opens no connection and touches no file.
pub fn build(config: &OutputConfig, memory: Option<&str>) -> Result<Box<dyn Output>, OutputError> {
    Ok(match config {
        OutputConfig::Console(_) => Box::new(console::Console::new(Box::new(tokio::io::stdout()))),
        OutputConfig::File(config) => Box::new(file::File::new(config, memory)?),
        OutputConfig::Devo(config) => Box::new(devo::Devo::new(config.clone())),
        OutputConfig::Nats(config) => Box::new(nats::Nats::new(config.clone())?),
        #[cfg(feature = "kafka")]
        OutputConfig::Kafka(config) => Box::new(kafka::Kafka::new(config.clone())?),
        #[cfg(not(feature = "kafka"))]
        OutputConfig::Kafka(_) => {
            return Err(OutputError::found(ErrorClass::Fatal, "open a Kafka output: this build has no Kafka"));
        }
        OutputConfig::Http(config) => Box::new(http::Http::new(config.clone())?),
    })
}

/// A place in everything that was handed to this output since it was made. Grows with each frame, also over
/// [`Output::reset`], so an offset never means two things. Unit: octets of frame bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Offset(pub u64);

/// How a frame was taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Where it ends.
    pub end: Offset,
    /// Events of it that the receiver refuses for good.
    pub refused: Vec<Refused>,
}

/// An event that will never be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Line of the frame, 0-based.
    pub line: u32,
    /// Why, in words for an operator.
    pub reason: String,
}

/// How far the far side has taken what was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confirmed {
    /// Everything up to here.
    pub through: Offset,
    /// What the output wants to find again after a restart at exactly this offset; kept with the positions.
    pub memory: Option<String>,
}

/// Delivers frames. May be given again what it was given before; must tolerate it.
///
/// Writing and confirming are two things: a stream channel confirms late, and writing goes on meanwhile.
/// Frames of one stream come in order; frames of several streams are mixed.
///
/// After any `Err` the caller forgets what was not confirmed, calls [`Output::reset`] and hands it again. Methods are
/// called one at a time, and a call that was cancelled counts as an error.
#[async_trait]
pub trait Output: Send {
    /// What must be stored before this frame may be written (a file's name and present length, so that a kill in the
    /// middle of the write can be undone). `None`: nothing. It belongs to the last [`Confirmed`] that was returned and
    /// replaces its memory; several frames may be announced before the last answer is stored and they are written.
    fn announce(&mut self, frame: &StoredFrame) -> Result<Option<String>, OutputError> {
        let _ = frame;
        Ok(None)
    }

    /// Told now and then: what waits for this output in the store, unconfirmed frames included. Unit: octets of bodies.
    fn backlog(&mut self, octets: u64) {
        let _ = octets;
    }

    /// Hands the frame to the channel; waits while the channel is full.
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError>;

    /// Waits until the channel has everything that was written. A channel that is full may keep the last frame of each of
    /// its ways in memory, and moves it on in the calls that follow: where none follows soon, this one is due.
    async fn flush(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    /// How far the far side has taken what was written, by the strongest sign that this channel has. Returns soon; does
    /// not wait for the far side. Also notices that a connection has ended.
    async fn confirmed(&mut self) -> Result<Confirmed, OutputError>;

    /// Proves that credentials and network work, without delivering anything.
    async fn check(&mut self) -> Result<(), OutputError>;

    /// What a person should know although the last [`Output::check`] passed: a certificate that expires soon, say.
    /// `now_ms`: the time on the wall, milliseconds since 1970.
    fn notes(&self, now_ms: i64) -> Vec<String> {
        let _ = now_ms;
        Vec::new()
    }

    /// What a [`Output::check`] that succeeds has proved, for a person.
    fn proof(&self) -> &'static str {
        "reachable, and we are let in"
    }

    /// Ends the connection so that the last octets are confirmed, within the time given.
    async fn close(&mut self, within: Duration) -> Result<Confirmed, OutputError>;

    /// Drops connections and everything unconfirmed; the next write starts anew.
    async fn reset(&mut self);
}

/// Why an output could not take or confirm.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct OutputError {
    /// What happens next.
    pub class: ErrorClass,
    /// Lower-case fragment after "failed to".
    pub action: String,
    /// What the system said.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl OutputError {
    /// An error with its cause.
    fn new(
        class: ErrorClass,
        action: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { class, action: action.into(), cause: Some(cause.into()) }
    }

    /// An error that we found ourselves.
    fn found(class: ErrorClass, action: impl Into<String>) -> Self {
        Self { class, action: action.into(), cause: None }
    }
}

#[cfg(test)]
mod conformance;
