//! The seam below HTTP: a request in, a streamed response out.
//!
//! [`ReqwestTransport`](crate::ReqwestTransport) uses real sockets; a simulator can answer in process instead.

mod sockets;
mod tls;

pub use sockets::{ReqwestTransport, TransportConfig};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Sends requests. One transport serves any number of calls at once.
///
/// It follows no redirect, repeats nothing and hands out the body as it arrives, decompressed.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request and waits for the head of the answer, whatever its status.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// One request.
#[derive(Clone)]
pub struct HttpRequest {
    /// GET or POST.
    pub method: Method,
    /// Where to, complete.
    pub url: Url,
    /// Among them `Authorization`, marked as sensitive.
    pub headers: HeaderMap,
    /// What is posted.
    pub body: Option<Bytes>,
}

impl fmt::Debug for HttpRequest {
    /// Leaves out the query (filters), the headers and the body (secrets).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.url.host_str().unwrap_or_default(), self.url.path())
    }
}

/// One response: its head, and a body that has yet to arrive.
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The head.
    pub headers: HeaderMap,
    /// The body in pieces of any size. An error ends it; a body without error is whole.
    pub body: BoxStream<'static, Result<Bytes, TransportError>>,
}

impl fmt::Debug for HttpResponse {
    /// The status only: headers and body are not ours to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({})", self.status)
    }
}

/// What lies below a [`TransportError`]. It must name no query and no secret.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// A failure below HTTP.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// The server was not reached: name, route, port, proxy or certificate.
    #[error("connect to the server")]
    Connect(#[source] Option<Cause>),
    /// It was reached and did not answer in time, or stopped in the middle.
    #[error("hear from the server in time")]
    Timeout(#[source] Option<Cause>),
    /// The body broke off, or could not be decompressed.
    #[error("read the body to its end")]
    Cut(#[source] Option<Cause>),
    /// The connection broke before the head of an answer, or the answer is no HTTP.
    #[error("exchange a request for an answer")]
    Broken(#[source] Option<Cause>),
}

/// What the libraries below say in their own words, and what helps. Nothing but advice hangs on these words.
static REMEDIES: &[(&str, &str)] = &[
    (
        "invalid peer certificate",
        "the certificate that was shown is not trusted: where the company's proxy reads TLS, name its authority in ca_file; else check the address and this machine's clock",
    ),
    (
        "proxy authorization required",
        "the proxy wants a login: write it into `proxy` as http://user:password@host:port, percent-encoded",
    ),
    ("socks", "the SOCKS proxy refuses: check address and login in `proxy`, percent-encoded"),
    ("tunnel", "the proxy refuses to connect: check that it allows this address, and its log"),
    ("dns error", "the name is not known here: check the address, or name the proxy that knows it in `proxy`"),
];

impl TransportError {
    /// One sentence for the person who has to act, where the cause has a common remedy.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let mut below = std::error::Error::source(self);
        while let Some(cause) = below {
            let text = cause.to_string().to_lowercase();
            if let Some((_, advice)) = REMEDIES.iter().find(|(words, _)| text.contains(words)) {
                return Some(advice);
            }
            below = cause.source();
        }
        None
    }
}
