//! The one place that sends: budget, token, request, and the head of the answer.

use crate::answer::{Answer, Success, failure, head};
use crate::auth::{Token, TokenSource};
use crate::base::Base;
use crate::body::Body;
use crate::budget::{Budget, Priority};
use crate::error::{Context, Error, ErrorKind};
use crate::limits::Family;
use crate::link::NextLink;
use crate::page::Page;
use crate::query::Query;
use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// What a client allows.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Longest wait for the head of an answer. Default 120 s: lists of 10,000 rows are slow to begin. An answer to a
    /// hunting query is waited for as long as the vendor lets a query run, if that is longer.
    pub answer_timeout: Duration,
    /// Longest silence within a body. Default 60 s.
    pub silence_timeout: Duration,
    /// Largest entity, in a list or alone. Unit: bytes. Default 16 MiB; real ones have some kilobytes.
    pub entity_cap: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_secs(120),
            silence_timeout: Duration::from_secs(60),
            entity_cap: 16 * 1024 * 1024,
        }
    }
}

/// One GET: where, what, from which budget, how urgent.
#[derive(Debug, Clone)]
pub struct Get {
    /// Below the base URL, beginning with a slash, encoded (ids by [`segment`](crate::query::segment)).
    pub path: String,
    /// The options.
    pub query: Query,
    /// The budget that the call spends from.
    pub family: Family,
    /// Who waits longer when the budget is short.
    pub priority: Priority,
}

impl Get {
    /// A GET without options.
    #[must_use]
    pub fn new(path: impl Into<String>, family: Family, priority: Priority) -> Self {
        Self { path: path.into(), query: Query::new(), family, priority }
    }

    /// The same with these options.
    #[must_use]
    pub fn query(self, query: Query) -> Self {
        Self { query, ..self }
    }

    /// The GET that a next link of this one's answer asks for.
    #[must_use]
    pub fn follow(&self, link: &NextLink) -> Self {
        Self { path: link.path.clone(), query: link.query.clone(), family: self.family, priority: self.priority }
    }

    /// What an error about this call tells: the path, never the query.
    pub(crate) fn context(&self) -> Context {
        Context { action: format!("read {}", self.path), family: Some(self.family), ..Context::default() }
    }

    /// The call that it makes.
    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            path: &self.path,
            query: &self.query,
            posted: None,
            family: self.family,
            priority: self.priority,
            patience: Duration::ZERO,
            context: self.context(),
        }
    }
}

/// One call of either method, complete.
pub(crate) struct Call<'a> {
    /// Below the base URL, encoded.
    pub path: &'a str,
    /// The options.
    pub query: &'a Query,
    /// The JSON of a POST; `None`: a GET.
    pub posted: Option<Bytes>,
    /// The budget that it spends from.
    pub family: Family,
    /// Who waits longer when the budget is short.
    pub priority: Priority,
    /// How long the answer may take to begin, if that is longer than the client's limit.
    pub patience: Duration,
    /// What an error about it tells.
    pub context: Context,
}

/// A client of one API for one application in one tenant. Clones share everything.
#[derive(Clone)]
pub struct Client {
    /// Where the API lies; the token goes nowhere else.
    base: Base,
    /// Carries the requests.
    transport: Arc<dyn Transport>,
    /// Whom we call as.
    tokens: Arc<dyn TokenSource>,
    /// Says when we may.
    budget: Arc<dyn Budget>,
    /// How long we wait and how much we hold.
    options: ClientOptions,
}

impl Client {
    /// A client of the API below `base`. Fails where that is plain HTTP to another machine, or no base at all.
    pub fn new(
        base: Url,
        transport: Arc<dyn Transport>,
        tokens: Arc<dyn TokenSource>,
        budget: Arc<dyn Budget>,
    ) -> Result<Self, Error> {
        Ok(Self { base: Base::new(base)?, transport, tokens, budget, options: ClientOptions::default() })
    }

    /// The same client with other limits.
    #[must_use]
    pub fn with_options(self, options: ClientOptions) -> Self {
        Self { options, ..self }
    }

    /// The same client with another budget, for example one with the limits of a single service added.
    #[must_use]
    pub fn with_budget(self, budget: Arc<dyn Budget>) -> Self {
        Self { budget, ..self }
    }

    /// Where this client's tokens come from.
    #[must_use]
    pub fn tokens(&self) -> &Arc<dyn TokenSource> {
        &self.tokens
    }

    /// Where the API lies.
    pub(crate) fn base_url(&self) -> &Url {
        self.base.url()
    }

    /// Carries requests that are none of the API's.
    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// How long we wait and how much we hold.
    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Makes one call: a 200 whose body is still arriving, or an error. A 401 is met with a new token once; nothing
    /// else is tried again here.
    pub async fn get(&self, get: &Get) -> Result<Answer, Error> {
        let Success { url, context, body } = self.call(get.call()).await?;
        let page = Page::new(body, self.options.entity_cap, self.base.clone(), url);
        Ok(Answer { status: 200, date: context.date, request_id: context.request_id, page })
    }

    /// Makes one call of any kind, see [`Client::get`].
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Success, Error> {
        let url = self.base.join(call.path, call.query)?;
        // A refused identity must not spend quota, so the token is asked for before the wait; and after it again,
        // since the wait can outlast the token.
        self.tokens.token().await?;
        let (mut token, mut response) = self.send(&call, &url).await?;
        if response.status == 401 {
            let error = self.failed(&call, response, &token).await;
            if *error.kind() != ErrorKind::Unauthorized {
                return Err(error);
            }
            self.tokens.refused(&token);
            if self.tokens.token().await? == token {
                return Err(error);
            }
            (token, response) = self.send(&call, &url).await?;
        }
        if response.status != 200 {
            return Err(self.failed(&call, response, &token).await);
        }
        let context = head(&response, call.context);
        let body = Body::new(response.body, self.options.silence_timeout, context.clone());
        Ok(Success { url, context, body })
    }

    /// Spends one call of the budget on sending the request, and returns the head with the token it was sent with.
    async fn send(&self, call: &Call<'_>, url: &Url) -> Result<(Token, HttpResponse), Error> {
        let (permit, token) = loop {
            let permit = self.budget.acquire(call.family, call.priority).await;
            let token = self.tokens.token().await?;
            // A token that took long to come can outlast the permit.
            if permit.is_good() {
                break (permit, token);
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, token.header().clone());
        if call.posted.is_some() {
            // Without the charset Graph has been seen to misread what is not ASCII.
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        }
        if call.family.is_graph() {
            // Without it newer words all read `unknownFutureValue`, so that one record has two contents.
            headers.insert("prefer", HeaderValue::from_static("include-unknown-enum-members"));
        }
        let method = if call.posted.is_some() { Method::POST } else { Method::GET };
        let request = HttpRequest { method, url: url.clone(), headers, body: call.posted.clone() };
        let patience = self.options.answer_timeout.max(call.patience);
        let answer = timeout(patience, self.transport.send(request)).await;
        permit.answered();
        let response = answer.unwrap_or(Err(TransportError::Timeout(None)));
        Ok((token, response.map_err(|cause| Error::transport(cause, call.context.clone()))?))
    }

    /// An answer that is no success as an error; a 429 is told to the budget.
    async fn failed(&self, call: &Call<'_>, response: HttpResponse, token: &Token) -> Error {
        let (error, throttle) = failure(response, self.options.silence_timeout, call.context.clone(), token).await;
        if let Some(throttle) = throttle {
            self.budget.throttled(call.family, &throttle);
        }
        error
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).field("options", &self.options).finish_non_exhaustive()
    }
}
