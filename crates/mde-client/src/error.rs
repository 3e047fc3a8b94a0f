//! What can go wrong: a kind to act on, the context to find it again, the cause.
//!
//! No secret, no record and no filter reaches an error: addresses lose their query, and of what a server says only
//! checked words and a shortened text are kept.

use crate::auth::Refusal;
use crate::limits::Family;
use crate::transport::TransportError;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// The kinds of failure; each asks for another reaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection, or it broke before an answer began.
    #[error("the connection failed")]
    Transport,
    /// Nothing came in the time allowed.
    #[error("nothing came in time")]
    Timeout,
    /// The body ended before it was whole: nothing of its page may be committed.
    #[error("the body ended early")]
    BodyCut,
    /// The body is not the JSON that was asked for, for example a gateway's HTML.
    #[error("the body is not the expected JSON")]
    NotJson,
    /// One entity is larger than the client was told to hold.
    #[error("an entity is larger than {limit} bytes")]
    EntityTooLarge {
        /// The largest entity allowed. Unit: bytes.
        limit: usize,
    },
    /// 429: the quota is used up.
    #[error("the quota is used up")]
    Throttled {
        /// How long the server asks us to wait; `None` where it does not say.
        after: Option<Duration>,
    },
    /// 401, and a new token did not help.
    #[error("the token was refused")]
    Unauthorized,
    /// 401 for want of a licence or an active account; a new token cannot help.
    #[error("the tenant has no licence for this")]
    NotLicensed,
    /// 403: a role is missing, or the feature is switched off.
    #[error("access is denied{}", missing_text(missing))]
    Forbidden {
        /// Roles that the API names as required and that the application lacks; empty where it names none.
        missing: Vec<String>,
    },
    /// 404.
    #[error("not found")]
    NotFound,
    /// Any other 4xx: asking again cannot help.
    #[error("the request was refused")]
    BadRequest,
    /// 400: one answer cannot hold what a query asks for, or finding it takes too long. Asked for less, for example for
    /// half the time, it can be answered.
    #[error("the result is too large for one answer")]
    ResultTooLarge,
    /// 400: a query that cannot be read or makes no sense.
    #[error("the query was refused")]
    QueryRefused,
    /// 400: a query names a column that is not there.
    #[error("the query names an unknown column{}", named(name))]
    UnknownColumn {
        /// The column, where the answer names it.
        name: Option<String>,
    },
    /// 400: a query names a table that this tenant does not have.
    #[error("the query names an unknown table{}", named(name))]
    UnknownTable {
        /// The table, where the answer names it.
        name: Option<String>,
    },
    /// 5xx.
    #[error("the server failed")]
    Server {
        /// The HTTP status.
        status: u16,
        /// How long the server asks us to wait, where it does.
        after: Option<Duration>,
    },
    /// 206: a product behind the API did not answer, so rows are missing and nobody says which.
    #[error("the answer is incomplete")]
    Incomplete,
    /// A status that this client has no use for, redirects among them: they would carry the token elsewhere.
    #[error("the answer is none that this call has")]
    Unexpected {
        /// The HTTP status.
        status: u16,
    },
    /// The link to a file is good no more: a new list has new links.
    #[error("the link has expired")]
    LinkExpired,
    /// A link to a file that others could read on the way, or that leads to this machine.
    #[error("a link leads where it must not")]
    LinkRefused,
    /// A next link that this walk has already followed.
    #[error("a next link came twice")]
    LinkRepeated,
    /// A next link that drops or changes the filter of the request.
    #[error("the next link changes the filter")]
    LinkChangedFilter,
    /// The identity provider gave no token.
    #[error("{0}")]
    Token(Refusal),
    /// What we were told to do cannot be done; the text says what to correct.
    #[error("{0}")]
    Config(String),
}

/// The roles of a 403 as the tail of a sentence.
fn missing_text(missing: &[String]) -> String {
    if missing.is_empty() { String::new() } else { format!(", missing: {}", missing.join(", ")) }
}

/// A name as the tail of a sentence.
fn named(name: &Option<String>) -> String {
    name.as_ref().map_or_else(String::new, |name| format!(", {name}"))
}

/// The `Date` of an answer, and when it was read: carried on by the monotonic clock it is a second wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerDate {
    /// Unit: milliseconds since 1970, UTC; whole seconds, as the header has them.
    pub unix_ms: i64,
    /// When the head of the answer had arrived.
    pub read_at: Instant,
}

/// What is known about a call when it fails.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    /// What was being done, as a verb with its object ("read /api/alerts").
    pub action: String,
    /// The budget that the call spent from; `None` for token calls.
    pub family: Option<Family>,
    /// The HTTP status, once there is one.
    pub status: Option<u16>,
    /// `error.code` of the body.
    pub code: Option<String>,
    /// `error.message` of the body, shortened.
    pub message: Option<String>,
    /// The vendor's id of this request.
    pub request_id: Option<String>,
    /// `Date` of the answer.
    pub date: Option<ServerDate>,
}

/// A failed call. Its text reads after "failed to".
#[derive(Clone)]
pub struct Error(Box<Inner>);

/// The parts of an [`Error`], behind one pointer so that results stay small.
#[derive(Clone)]
struct Inner {
    /// What to react to.
    kind: ErrorKind,
    /// What to find it again by.
    context: Context,
    /// What lies below, where that is a matter of the transport.
    cause: Option<TransportError>,
}

impl Error {
    /// An error of that kind in that context.
    pub(crate) fn new(kind: ErrorKind, context: Context) -> Self {
        Self(Box::new(Inner { kind, context, cause: None }))
    }

    /// Something to correct in what the caller passed in; `problem` must hold no secret.
    pub(crate) fn config(action: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config(problem.into()), Context { action: action.into(), ..Context::default() })
    }

    /// A failure below HTTP.
    pub(crate) fn transport(cause: TransportError, context: Context) -> Self {
        let kind = match cause {
            TransportError::Timeout(_) => ErrorKind::Timeout,
            TransportError::Cut(_) => ErrorKind::BodyCut,
            TransportError::Connect(_) | TransportError::Broken(_) => ErrorKind::Transport,
        };
        Self(Box::new(Inner { kind, context, cause: Some(cause) }))
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The HTTP status, where an answer came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.context.status
    }

    /// The vendor's error code, where the body has one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.context.code.as_deref()
    }

    /// The vendor's explanation, shortened, without quoted literals and without long words.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.context.message.as_deref()
    }

    /// The vendor's id of this request, for a support case.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.context.request_id.as_deref()
    }

    /// The family of the call; `None` for token calls and for mistakes in what was passed in.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        self.0.context.family
    }

    /// `Date` of the answer, where one came.
    #[must_use]
    pub fn date(&self) -> Option<ServerDate> {
        self.0.context.date
    }

    /// One sentence for the person who has to act, where the vendor's code, or what lies below, has a common remedy.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match (self.kind(), &self.0.cause) {
            (ErrorKind::Token(refusal), _) => refusal.advice(),
            (_, Some(cause)) => cause.advice(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context { action, status, code, message, request_id, .. } = &self.0.context;
        write!(f, "{action}: {}", self.0.kind)?;
        let facts = [
            status.map(|status| format!("status {status}")),
            code.as_ref().map(|code| format!("code {code}")),
            request_id.as_ref().map(|id| format!("request {id}")),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        match message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    /// The fields without the noise of empty ones; nothing here is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}, {self}", self.0.kind)?;
        match &self.0.cause {
            Some(cause) => write!(f, ", {cause:?})"),
            None => f.write_str(")"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_after_failed_to_and_names_what_a_support_case_needs() {
        let context = Context {
            action: "read /api/alerts".into(),
            family: Some(Family::Alerts),
            status: Some(403),
            code: Some("Forbidden".into()),
            request_id: Some("8f1d".into()),
            ..Context::default()
        };
        let error = Error::new(ErrorKind::Forbidden { missing: vec!["Alert.Read.All".into()] }, context);
        assert_eq!(
            error.to_string(),
            "read /api/alerts: access is denied, missing: Alert.Read.All (status 403, code Forbidden, request 8f1d)"
        );
        assert_eq!(error.family(), Some(Family::Alerts));
    }

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
