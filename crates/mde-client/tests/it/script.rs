//! A transport that answers from a script, first in, first out, and remembers what it was asked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream::{self, StreamExt};
use mde_client::auth::{ClientSecret, Secret, SecretSource, Token, TokenEndpoint, TokenSource, Tokens};
use mde_client::budget::{Budget, InMemoryBudget, Priority};
use mde_client::header::{HeaderMap, HeaderName, HeaderValue};
use mde_client::limits::Family;
use mde_client::{Bytes, Client, Error, Get, HttpRequest, HttpResponse, ServerDate, Transport, TransportError, Url};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The secret of every test: no output may hold it.
pub const SECRET: &str = "tell-tale-secret";

/// What the transport does with one request.
#[derive(Clone)]
pub struct Reply {
    status: u16,
    headers: HeaderMap,
    chunks: Vec<Bytes>,
    end: End,
    delay: Duration,
}

/// What follows the chunks of a reply.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    /// The end of the body.
    Whole,
    /// A broken connection.
    Cut,
    /// Silence for ever.
    Silence,
    /// The last chunk again and again.
    Endless,
    /// No answer at all: the connection is refused.
    Unreachable,
}

impl Reply {
    /// An answer with that body in one chunk.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let chunks = vec![body.into()];
        Self { status, headers: HeaderMap::new(), chunks, end: End::Whole, delay: Duration::ZERO }
    }

    /// A token.
    pub fn token(text: &str, expires_in: u64) -> Self {
        Self::new(200, format!(r#"{{"token_type":"Bearer","expires_in":{expires_in},"access_token":"{text}"}}"#))
    }

    /// No answer.
    pub fn unreachable() -> Self {
        Self::new(0, "").end(End::Unreachable)
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("test header");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub fn end(self, end: End) -> Self {
        Self { end, ..self }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The body in pieces of that size.
    pub fn in_pieces(self, size: usize) -> Self {
        let body: Vec<u8> = self.chunks.concat();
        Self { chunks: body.chunks(size).map(Bytes::copy_from_slice).collect(), ..self }
    }
}

/// The transport.
#[derive(Default)]
pub struct Script {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<HttpRequest>>,
}

impl Script {
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self { replies: Mutex::new(replies.into_iter().collect()), asked: Mutex::default() })
    }

    pub fn add(&self, reply: Reply) {
        self.replies.lock().expect("nobody panics with it").push_back(reply);
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<HttpRequest> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// The `Authorization` of each request so far.
    pub fn tokens(&self) -> Vec<String> {
        let token = |request: &HttpRequest| {
            request
                .headers
                .get("authorization")
                .map_or(String::new(), |value| value.to_str().expect("plain text").to_owned())
        };
        self.asked().iter().map(token).collect()
    }
}

#[async_trait::async_trait]
impl Transport for Script {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.asked.lock().expect("nobody panics with it").push(request);
        let reply = self
            .replies
            .lock()
            .expect("nobody panics with it")
            .pop_front()
            .expect("the script has a reply for each request");
        sleep(reply.delay).await;
        let last = reply.chunks.last().cloned().unwrap_or_default();
        let chunks = stream::iter(reply.chunks.into_iter().map(Ok));
        let body = match reply.end {
            End::Unreachable => return Err(TransportError::Connect(None)),
            End::Whole => chunks.boxed(),
            End::Cut => chunks.chain(stream::once(async { Err(TransportError::Cut(None)) })).boxed(),
            End::Silence => chunks.chain(stream::pending()).boxed(),
            End::Endless => chunks.chain(stream::repeat(last).map(Ok)).boxed(),
        };
        Ok(HttpResponse { status: reply.status, headers: reply.headers, body })
    }
}

/// The text of a token with those claims.
pub fn jwt(claims: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

/// Tokens from the script, asked for at an authority of the test.
pub fn tokens(script: &Arc<Script>) -> Arc<Tokens> {
    let authority = Url::parse("https://login.example").expect("an address");
    let identity = ClientSecret {
        endpoint: TokenEndpoint::new(&authority, "tenant").expect("a good authority"),
        client_id: "application".into(),
        secret: SecretSource::Fixed(Secret::new(SECRET)),
        scope: "https://api.example/.default".into(),
    };
    Arc::new(Tokens::new(identity, Arc::clone(script) as Arc<dyn Transport>))
}

/// A source that numbers its tokens: `token-0`, and the next one for each refusal.
#[derive(Default)]
pub struct Numbered(Mutex<u32>);

#[async_trait::async_trait]
impl TokenSource for Numbered {
    async fn token(&self) -> Result<Token, Error> {
        let number = *self.0.lock().expect("nobody panics with it");
        let token = Token::new(&format!("token-{number}"), Instant::now(), Duration::from_secs(3_600));
        Ok(token.expect("it can stand in a header"))
    }

    fn refused(&self, _: &Token) {
        *self.0.lock().expect("nobody panics with it") += 1;
    }

    fn date(&self) -> Option<ServerDate> {
        None
    }
}

/// A client of a scripted API, with its budget.
pub fn client(script: &Arc<Script>) -> (Client, InMemoryBudget) {
    let budget = InMemoryBudget::new(1.0, Vec::new());
    let shared: Arc<dyn Budget> = Arc::new(budget.clone());
    let base = Url::parse("https://api.example/prefix").expect("an address");
    let transport = Arc::clone(script) as Arc<dyn Transport>;
    (Client::new(base, transport, Arc::new(Numbered::default()), shared).expect("a good base"), budget)
}

/// The call that most tests make.
pub fn alerts() -> Get {
    Get::new("/api/alerts", Family::Alerts, Priority::NewestAlerts)
}

/// Calls that the budget has counted for alerts.
pub fn spent(budget: &InMemoryBudget) -> u32 {
    spent_by(budget, Family::Alerts)
}

/// Calls that the budget has counted for a family.
pub fn spent_by(budget: &InMemoryBudget, family: Family) -> u32 {
    budget.snapshot()[family as usize].windows[1].used
}
