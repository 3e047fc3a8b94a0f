//! The transport over real sockets: TLS, proxies, pooled connections, gzip.

use super::tls;
use crate::base::is_local;
use crate::error::Error;
use crate::transport::{Cause, HttpRequest, HttpResponse, Transport, TransportError};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::{NoProxy, Proxy, redirect};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How much of a body an HTTP/2 server may send ahead of us. Unit: bytes; 256 KiB a stream, 2 MiB a connection.
///
/// Eight readers that pause leave no room on a shared connection, so a body that is being read should not
/// wait for another answer of the same transport without end.
const STREAM_WINDOW: u32 = 256 * 1024;
/// See [`STREAM_WINDOW`].
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

/// How sockets are made.
#[derive(Clone)]
pub struct TransportConfig {
    /// Further trusted roots, each a PEM file's content.
    pub ca_pem: Vec<Vec<u8>>,
    /// A proxy for everything but local addresses and `NO_PROXY`; credentials in it are percent-encoded.
    /// `None`: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and the system's settings are looked at.
    pub proxy: Option<Url>,
    /// What we call ourselves. Partners write `MdatpPartner-<company>-<product>/<version>`.
    pub user_agent: String,
    /// Longest wait for a connection, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default 60 s, below the usual idle cut of gateways.
    pub idle_timeout: Duration,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            ca_pem: Vec::new(),
            proxy: None,
            user_agent: concat!("mde-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for TransportConfig {
    /// Leaves out the proxy, which can hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportConfig")
            .field("ca_pem", &self.ca_pem.len())
            .field("proxy", &self.proxy.as_ref().map(|_| "(set)"))
            .field("user_agent", &self.user_agent)
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .finish()
    }
}

/// Real sockets by reqwest and rustls.
#[derive(Debug, Clone)]
pub struct ReqwestTransport {
    /// For loopback and link-local addresses (the managed-identity address is one): never by a proxy.
    direct: reqwest::Client,
    /// For everything else.
    outward: reqwest::Client,
}

impl ReqwestTransport {
    /// Prepares sockets; connects nowhere. Fails on a CA that cannot be read and a proxy that is no address.
    pub fn new(config: &TransportConfig) -> Result<Self, Error> {
        let tls = tls::client_config(&config.ca_pem)?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(&config.user_agent)
                .connect_timeout(config.connect_timeout)
                .pool_idle_timeout(config.idle_timeout)
                .tcp_keepalive(Duration::from_secs(30))
                .redirect(redirect::Policy::none())
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                .gzip(true)
        };
        let outward = match &config.proxy {
            Some(url) => builder().proxy(proxy(url)?),
            None => builder(),
        };
        Ok(Self { direct: built(builder().no_proxy())?, outward: built(outward)? })
    }
}

/// The configured proxy, for all addresses that `NO_PROXY` does not name.
fn proxy(url: &Url) -> Result<Proxy, Error> {
    // The cause is dropped: it may quote the address with its password.
    let proxy = Proxy::all(url.clone()).map_err(|_| Error::config("set up the proxy", "it is no proxy address"))?;
    Ok(proxy.no_proxy(NoProxy::from_env()))
}

/// The finished client; what remains to fail is a user agent that is no header.
fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
    builder.build().map_err(|_| Error::config("set up HTTP", "the user agent or the TLS settings cannot be used"))
}

#[async_trait::async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let client = if is_local(&request.url) { &self.direct } else { &self.outward };
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = request.body.map(Into::into);
        let response = client.execute(outgoing).await.map_err(before_the_head)?;
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes_stream().map_err(in_the_body).boxed(),
        })
    }
}

/// A failure before the head of an answer. The address is taken out: its query can hold customer data.
fn before_the_head(error: reqwest::Error) -> TransportError {
    let (connect, timeout) = (error.is_connect(), error.is_timeout());
    let cause: Option<Cause> = Some(Arc::new(error.without_url()));
    match (connect, timeout) {
        (true, _) => TransportError::Connect(cause),
        (_, true) => TransportError::Timeout(cause),
        _ => TransportError::Broken(cause),
    }
}

/// A failure in the body: whatever it was, the body is not whole.
fn in_the_body(error: reqwest::Error) -> TransportError {
    let timeout = error.is_timeout();
    let cause: Option<Cause> = Some(Arc::new(error.without_url()));
    if timeout { TransportError::Timeout(cause) } else { TransportError::Cut(cause) }
}
