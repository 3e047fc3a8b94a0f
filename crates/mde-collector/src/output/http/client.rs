//! One request and its answer: connections, trust, credentials, time.
//!
//! The files that the configuration names are looked at again every [`LOOK_AGAIN`] and after each reset; changed ones are
//! used from then on, and while one cannot be read the old ones stay in use.

use super::answer::Answer;
use crate::config::is_loopback;
use crate::config::outputs::http::{Auth, Http, Token};
use crate::output::expiry::Expiry;
use crate::output::witness::Witness;
use crate::output::{OutputError, tls};
use crate::record::ErrorClass;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::fmt::rfc2822;
use mde_client::retry::wait_in_header;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, NoProxy, Proxy, Request, redirect};
use sha2::{Digest, Sha256};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use url::Url;

/// How often files are looked at while everything works. Source: design, "a file within 60 s".
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Balancers cut a connection that rests for 30 s; we are there first.
const IDLE: Duration = Duration::from_secs(25);
/// Most of an answer that is kept: a bulk answer has some 100 octets an event. Unit: octets.
const ANSWER_CAP: usize = 8 << 20;

/// A body with what its headers say of it.
pub(super) struct Content {
    /// The octets, compressed where `encoding` says so.
    pub body: Vec<u8>,
    /// `Content-Type`.
    pub kind: &'static str,
    /// `Content-Encoding`.
    pub encoding: Option<&'static str>,
}

/// Sends requests to one receiver.
pub(super) struct Client {
    /// What was configured.
    config: Arc<Http>,
    /// Word before a token in `Authorization`.
    scheme: &'static str,
    /// Type and origin, for messages.
    target: String,
    /// Sees the certificates of the receiver.
    witness: Witness,
    /// Connections and credentials; none before the first request.
    ready: Option<Ready>,
    /// When the files are looked at next; at once where there is none.
    look_at: Option<Instant>,
}

/// What files and configuration have become.
struct Ready {
    /// Connections.
    client: reqwest::Client,
    /// Headers of every request.
    headers: HeaderMap,
    /// What was in the files.
    files: [u8; 32],
}

/// Why files and settings make no connection. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    /// Certificates.
    #[error("{0}")]
    Tls(#[from] tls::TlsError),
    /// A file cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A token that is no header.
    #[error("use the token: it is empty, or has characters that no header can hold")]
    Token,
    /// A header that is none. Its value may be a secret.
    #[error("use the header {0}")]
    Header(String),
    /// The proxy. What the parser says is left out: it may quote the login.
    #[error("use the proxy: it is no address")]
    Proxy,
    /// What remains.
    #[error("set up HTTP")]
    Http(#[source] reqwest::Error),
    /// The thread for blocking work is gone.
    #[error("read the files of this output")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Client {
    /// For that receiver; opens nothing.
    pub(super) fn new(config: Arc<Http>, scheme: &'static str, target: String) -> Self {
        let witness = Witness::new(target.clone());
        Self { config, scheme, target, witness, ready: None, look_at: None }
    }

    /// Until when the certificates are good that our files hold and that the receiver has shown.
    pub(super) async fn expiries(&self) -> Result<Vec<Expiry>, OutputError> {
        let ours = tls::expiries(&self.config.sending.tls).await;
        let mut expiries = ours.map_err(|cause| self.unprepared(cause.into()))?;
        expiries.extend(self.witness.expiries());
        Ok(expiries)
    }

    /// The error of files and settings that make no connection.
    fn unprepared(&self, cause: SetupError) -> OutputError {
        OutputError::new(ErrorClass::Denied, format!("prepare {}", self.target), cause)
    }

    /// The files are looked at before the next request.
    pub(super) fn look_again(&mut self) {
        self.look_at = None;
    }

    /// Sends a request and reads its answer, within the time configured.
    pub(super) async fn send(
        &mut self,
        method: Method,
        url: Url,
        headers: &[(HeaderName, HeaderValue)],
        content: Option<Content>,
    ) -> Result<Answer, OutputError> {
        let target = self.target.clone();
        let patience = self.config.sending.timeout;
        let ready = self.ready().await?;
        let mut request = Request::new(method, url);
        request.headers_mut().extend(ready.headers.clone());
        request.headers_mut().extend(headers.iter().cloned());
        if let Some(Content { body, kind, encoding }) = content {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some(encoding) = encoding {
                request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            *request.body_mut() = Some(body.into());
        }
        match timeout(patience, answer(&ready.client, request)).await {
            Ok(answered) => answered.map_err(|error| failed(error, &target)),
            Err(elapsed) => {
                Err(OutputError::new(ErrorClass::Transient, format!("get an answer of {target} in time"), elapsed))
            }
        }
    }

    /// Connections and credentials, from the files as they are now.
    async fn ready(&mut self) -> Result<&Ready, OutputError> {
        let now = Instant::now();
        if self.ready.is_none() || self.look_at.is_none_or(|at| now >= at) {
            let (config, scheme, witness) = (Arc::clone(&self.config), self.scheme, self.witness.clone());
            let known = self.ready.as_ref().map(|ready| ready.files);
            let read = tokio::task::spawn_blocking(move || Ready::read(&config, scheme, &witness, known)).await;
            match read.map_err(SetupError::from).and_then(|read| read) {
                Ok(Some(ready)) => self.ready = Some(ready),
                Ok(None) => {}
                Err(error) if self.ready.is_some() => {
                    tracing::warn!(output = self.target, %error, "a file of this output cannot be used; what it held before stays in use");
                }
                Err(error) => {
                    return Err(self.unprepared(error));
                }
            }
            self.look_at = Some(now + LOOK_AGAIN);
        }
        Ok(self.ready.as_ref().expect("what is not ready was made ready above or has failed"))
    }
}

impl Ready {
    /// Reads the files; none where they hold what is known. Blocks.
    fn read(
        config: &Http,
        scheme: &str,
        witness: &Witness,
        known: Option<[u8; 32]>,
    ) -> Result<Option<Self>, SetupError> {
        let tls = &config.sending.tls;
        let token = match &config.auth {
            Auth::Token { token: Token::File(path), .. } => Some(path),
            _ => None,
        };
        let identity = tls.identity.iter().flat_map(|identity| [&identity.cert, &identity.key]);
        let mut digest = Sha256::new();
        let mut token_text = String::new();
        for path in tls.chain.iter().chain(identity).chain(token) {
            let octets = std::fs::read(path).map_err(|cause| SetupError::Read { path: path.clone(), cause })?;
            digest.update((octets.len() as u64).to_be_bytes());
            digest.update(&octets);
            if Some(path) == token {
                token_text = String::from_utf8(octets).map_err(|_| SetupError::Token)?.trim().to_owned();
            }
        }
        let files = digest.finalize().into();
        if known == Some(files) {
            return Ok(None);
        }
        let headers = headers(config, scheme, &token_text)?;
        Ok(Some(Self { client: client(config, witness)?, headers, files }))
    }
}

/// Headers of every request.
fn headers(config: &Http, scheme: &str, token_of_file: &str) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let error = || SetupError::Header(name.clone());
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| error())?;
        value.set_sensitive(true);
        headers.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| error())?, value);
    }
    let text = match &config.auth {
        Auth::None => return Ok(headers),
        Auth::Basic { username, password } => {
            format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
        }
        Auth::Token { scheme: own, token } => {
            let token = match token {
                Token::Fixed(token) => token.expose(),
                Token::File(_) => token_of_file,
            };
            if token.is_empty() {
                return Err(SetupError::Token);
            }
            format!("{} {token}", own.as_deref().unwrap_or(scheme))
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| SetupError::Token)?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// Connections that trust and are trusted as configured. A proxy is never asked for this machine.
fn client(config: &Http, witness: &Witness) -> Result<reqwest::Client, SetupError> {
    let mut trust = tls::client_config(&config.sending.tls, Some(witness))?;
    trust.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(trust)
        .user_agent(concat!("mde-collector/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(config.sending.timeout)
        .pool_idle_timeout(IDLE)
        .redirect(redirect::Policy::none());
    let builder = match &config.sending.proxy {
        _ if Url::parse(&config.url).is_ok_and(|url| is_loopback(&url)) => builder.no_proxy(),
        Some(proxy) => {
            let proxy = Proxy::all(proxy.expose()).map_err(|_| SetupError::Proxy)?;
            builder.proxy(proxy.no_proxy(NoProxy::from_env()))
        }
        None => builder,
    };
    builder.build().map_err(SetupError::Http)
}

/// Sends a request and reads its answer as far as it is of use.
async fn answer(client: &reqwest::Client, request: Request) -> reqwest::Result<Answer> {
    let mut response = client.execute(request).await?;
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let answered_ms = header(DATE).and_then(|date| rfc2822::parse(date).ok());
    let answered_ms = answered_ms.map(|date| date.timestamp().as_millisecond());
    let retry_after = header(RETRY_AFTER).and_then(|text| wait_in_header(text, answered_ms));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let room = ANSWER_CAP - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() >= room {
            break;
        }
    }
    Ok(Answer { status, retry_after, body })
}

/// What kept a request from its answer. The address is taken out: it may hold a token.
fn failed(error: reqwest::Error, target: &str) -> OutputError {
    let error = error.without_url();
    match (error.is_connect(), tls::tls_error(&error).is_some()) {
        (true, true) => OutputError::new(ErrorClass::Denied, format!("agree on TLS with {target}"), error),
        (true, false) => OutputError::new(ErrorClass::Transient, format!("connect to {target}"), error),
        _ => OutputError::new(ErrorClass::Transient, format!("get an answer of {target}"), error),
    }
}
