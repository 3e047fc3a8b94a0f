//! Error → class → action, with one sentence of advice: decided here and nowhere else.

use crate::pull::{Failure, PullError};
use crate::record::{ErrorClass, JsonError};
use crate::status::Word;
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
    /// The application lacks a role, as its token shows.
    #[error("read {service}: the application lacks {role}")]
    Lacks {
        /// The source.
        service: &'static str,
        /// The least of the roles that would do.
        role: &'static str,
    },
    /// A query's result lacks the column that slices it.
    #[error("slice a query: its result has no column {0}")]
    Column(String),
    /// A slice at a time that no calendar has.
    #[error("slice a query: the time lies outside the calendar")]
    Calendar,
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
            Self::Lacks { .. } => ErrorClass::Denied,
            Self::Column(_) | Self::Calendar => ErrorClass::Refused,
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

    /// The word for a stream that it holds up.
    #[must_use]
    pub fn word(&self) -> Word {
        match self {
            Self::Lacks { .. } => Word::Denied,
            Self::Api(error) => match (self.class(), error.kind()) {
                (_, ErrorKind::Incomplete) => Word::Incomplete,
                (ErrorClass::Throttled { .. }, _) => Word::Throttled,
                (ErrorClass::Denied, ErrorKind::Token(_) | ErrorKind::Unauthorized) => Word::Auth,
                (ErrorClass::Denied, _) => Word::Denied,
                _ => Word::Outage,
            },
            Self::Held(_) => Word::Waiting,
            Self::Store(_) | Self::Memory(_) => Word::Store,
            _ => Word::Outage,
        }
    }

    /// One sentence for the operator.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Api(error) => error.advice().unwrap_or(match self.class() {
                ErrorClass::Denied => match error.kind() {
                    ErrorKind::NotLicensed => "give the tenant the licence that is named, or switch the service off",
                    ErrorKind::Forbidden { .. } => "grant the application the role that is missing, with admin consent",
                    _ => "check the application's secret or certificate and its granted roles",
                },
                ErrorClass::Throttled { .. } => "nothing to do: the collector waits as long as it was asked to",
                ErrorClass::Transient => "nothing to do: the window is kept and asked for again",
                ErrorClass::Refused | ErrorClass::Fatal => "report the request id to the vendor",
            }),
            Self::Lacks { .. } => "grant the application that role; `check` tells where, and what would do instead",
            Self::Memory(_) => "use the version that wrote the state, or start with another state folder",
            Self::Store(_) => "check the disk below the state folder",
            Self::Column(_) => {
                "name a column of the query's result in `timestamp_column`, or keep that column in the query"
            }
            Self::Held(_) => "nothing to do: the other node is working on it",
            _ => "nothing to do: the window is kept and asked for again",
        }
    }
}

/// A refused secret or a missing role is looked at again after this time: a person has to act.
const DENIED: Duration = Duration::from_secs(300);

/// How often the same request is tried before it counts as more than a passing fault.
const TRIES: u32 = 3;

/// What becomes of a request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same once more, after a pause.
    Again {
        /// Whether it counts as a fault: being asked to wait does not.
        counts: bool,
    },
    /// More than a passing fault: the machine may know a way around it.
    Tell(Failure),
    /// The pull ends here.
    End,
}

/// Judges a failed request that has failed `failures` times before.
#[must_use]
pub fn verdict(error: &PipelineError, failures: u32) -> Verdict {
    let PipelineError::Api(api) = error else { return Verdict::End };
    let last = failures + 1 >= TRIES;
    match api.kind() {
        ErrorKind::Throttled { .. } => Verdict::Again { counts: false },
        ErrorKind::NotFound => Verdict::Tell(Failure::NotFound),
        ErrorKind::ResultTooLarge => Verdict::Tell(Failure::TooLarge),
        ErrorKind::EntityTooLarge { .. } => Verdict::Tell(Failure::Server(error.to_string())),
        ErrorKind::Server { .. } | ErrorKind::BodyCut | ErrorKind::NotJson | ErrorKind::Timeout if last => {
            Verdict::Tell(Failure::Server(error.to_string()))
        }
        _ if !last && error.class() != ErrorClass::Denied && api.retry() != Retry::Never => {
            Verdict::Again { counts: true }
        }
        _ => Verdict::End,
    }
}

/// How long to wait before the next try.
#[must_use]
pub fn pause(error: &PipelineError, attempt: u32) -> Duration {
    match error.class() {
        ErrorClass::Throttled { after: Some(after) } => after,
        ErrorClass::Denied => DENIED,
        _ => mde_client::retry::backoff(attempt, rand::random()),
    }
}
