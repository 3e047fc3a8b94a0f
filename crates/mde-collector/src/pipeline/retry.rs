//! Error → class → action, with one sentence of advice: decided here and nowhere else.

use crate::pull::PullError;
use crate::record::{ErrorClass, JsonError};
use crate::store::StoreError;
use mde_client::retry::Retry;
use mde_client::{Error, ErrorKind};
use std::time::Duration;

/// Why a pull ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The API or the identity provider.
    #[error("{0}")]
    Api(#[from] Error),
    /// An answer that contradicts its question.
    #[error("{0}")]
    Pull(#[from] PullError),
    /// A record that is no JSON object.
    #[error("{0}")]
    Record(#[from] JsonError),
    /// A record without the fields that name its version.
    #[error("read a record: it has no {0}")]
    Nameless(&'static str),
    /// The pull machine's memory was written by something else.
    #[error("read the stored progress of {0}: it is not in a known form")]
    Memory(String),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Somebody else works on this stream.
    #[error("work on {0}: another node holds it")]
    Held(String),
}

impl PipelineError {
    /// What happens next.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Api(error) => match (error.kind(), error.retry()) {
                (ErrorKind::Throttled { after }, _) => ErrorClass::Throttled { after: *after },
                (ErrorKind::Token(refusal), _) if !refusal.transient => ErrorClass::Denied,
                (ErrorKind::Unauthorized | ErrorKind::NotLicensed | ErrorKind::Forbidden { .. }, _) => {
                    ErrorClass::Denied
                }
                (_, Retry::Never) => ErrorClass::Refused,
                (_, Retry::After(after)) => ErrorClass::Throttled { after: Some(after) },
                (_, Retry::Backoff) => ErrorClass::Transient,
            },
            Self::Store(
                StoreError::Damaged { .. }
                | StoreError::Foreign { .. }
                | StoreError::Newer { .. }
                | StoreError::Broken { .. },
            )
            | Self::Memory(_) => ErrorClass::Fatal,
            Self::Pull(_) | Self::Record(_) | Self::Nameless(_) | Self::Store(_) | Self::Held(_) => {
                ErrorClass::Transient
            }
        }
    }

    /// Whether the credentials or the roles are the reason.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.class() == ErrorClass::Denied
    }

    /// One sentence for the operator.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Api(error) => error.advice().unwrap_or(match self.class() {
                ErrorClass::Denied => "check the application's secret and its granted roles",
                ErrorClass::Throttled { .. } => "nothing to do: the collector waits as long as it was asked to",
                ErrorClass::Transient => "nothing to do: the window is kept and asked for again",
                ErrorClass::Refused | ErrorClass::Fatal => "report the request id to the vendor",
            }),
            Self::Memory(_) => "use the version that wrote the state, or start with another state folder",
            Self::Store(_) => "check the disk below the state folder",
            Self::Held(_) => "nothing to do: the other node is working on it",
            _ => "nothing to do: the window is kept and asked for again",
        }
    }
}

/// How long to wait before the next try.
#[must_use]
pub fn pause(error: &PipelineError, attempt: u32) -> Duration {
    match error.class() {
        ErrorClass::Throttled { after: Some(after) } => after,
        ErrorClass::Denied => Duration::from_secs(300),
        _ => mde_client::retry::backoff(attempt, rand::random()),
    }
}
