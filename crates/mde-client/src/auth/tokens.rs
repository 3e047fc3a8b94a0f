//! Asks for tokens, keeps the newest, renews it ahead of its end.

use super::grant::Grant;
use super::{Identity, Refusal, Token, TokenSource};
use crate::answer::{ERROR_CAP, head};
use crate::body::Body;
use crate::error::{Context, Error, ErrorKind, ServerDate};
use crate::retry;
use crate::transport::{Transport, TransportError};
use reqwest::header::RETRY_AFTER;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Longest wait for the head of the answer, and longest silence in it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The token of one identity. Share it among all that call with it.
///
/// One request is under way at most. While a renewal fails and the old token is still good, the old one is given.
pub struct Tokens {
    /// Knows how to ask.
    identity: Box<dyn Identity>,
    /// Carries the request.
    transport: Arc<dyn Transport>,
    /// What came of it so far.
    held: Mutex<Held>,
    /// Whoever has it asks; the others wait for what comes of it.
    turn: tokio::sync::Mutex<()>,
}

/// What is known.
#[derive(Default)]
struct Held {
    /// The newest token, unless the API has refused it.
    token: Option<Token>,
    /// Newest `Date` of the identity provider.
    date: Option<ServerDate>,
    /// Requests finished so far, so that those who waited know that one was made for them.
    asked: u64,
    /// How the last request failed; `None` if it did not.
    failure: Option<Error>,
    /// Failures in a row.
    failures: u32,
    /// No renewal ahead of time is tried again before.
    again_at: Option<Instant>,
}

impl Tokens {
    /// The tokens of that identity. Asks for nothing yet.
    #[must_use]
    pub fn new(identity: impl Identity + 'static, transport: Arc<dyn Transport>) -> Self {
        let (held, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { identity: Box::new(identity), transport, held, turn }
    }

    /// Why the credential of before is still used although its files are newer, for those who tell a person.
    #[must_use]
    pub fn complaint(&self) -> Option<Error> {
        self.identity.complaint()
    }

    /// Whether the credential's files hold something else than at the last request: then an identity that was refused
    /// is worth another try at once. Reads the files.
    #[must_use]
    pub fn credential_changed(&self) -> bool {
        self.identity.changed()
    }

    /// Asks for a token although the one that is held may be good still, because the credential or what it may do has
    /// changed. Where that fails, the one that is held stays. Does nothing before the first token was asked for.
    pub async fn renew(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        if self.held().asked == 0 {
            return Ok(());
        }
        let outcome = self.ask().await;
        let failure = outcome.as_ref().err().cloned();
        // Who calls the API gets the old one from `token` for as long as it is good.
        self.note(outcome).ok();
        failure.map_or(Ok(()), Err)
    }

    /// What is known, for a moment. Nothing that is held here is left half changed by a panic.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request for a token.
    async fn ask(&self) -> Result<Token, Error> {
        let request = self.identity.request()?;
        let host = request.url.host_str().unwrap_or_default();
        let context = Context { action: format!("get a token from {host}"), ..Context::default() };
        let asked_at = Instant::now();
        let answer = timeout(ANSWER_TIMEOUT, self.transport.send(request)).await;
        let response = answer
            .unwrap_or(Err(TransportError::Timeout(None)))
            .map_err(|cause| Error::transport(cause, context.clone()))?;
        let context = head(&response, context);
        if context.date.is_some() {
            self.held().date = context.date;
        }
        let status = response.status;
        let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Body::new(response.body, ANSWER_TIMEOUT, context.clone());
        if status != 200 {
            let answered_ms = context.date.map(|date| date.unix_ms);
            let body = body.beginning(ERROR_CAP).await;
            let mut refusal = Refusal::read(status, &body, retry_after.as_deref(), answered_ms);
            refusal.transient |= self.identity.passing().contains(&status);
            return Err(Error::new(ErrorKind::Token(refusal), context));
        }
        let grant = body.whole(ERROR_CAP).await?.and_then(|body| Grant::read(&body));
        grant
            .and_then(|grant| {
                Token::new(&grant.access_token, asked_at, grant.lifetime(context.date.map(|date| date.unix_ms)))
            })
            .ok_or_else(|| Error::new(ErrorKind::NotJson, context))
    }

    /// Notes what came of a request, and answers the one who made it.
    fn note(&self, outcome: Result<Token, Error>) -> Result<Token, Error> {
        let now = Instant::now();
        let mut held = self.held();
        held.asked += 1;
        match outcome {
            Ok(token) => {
                *held = Held { token: Some(token.clone()), date: held.date, asked: held.asked, ..Held::default() };
                Ok(token)
            }
            Err(error) => {
                held.failures = held.failures.saturating_add(1);
                held.again_at = Some(now + retry::longest_backoff(held.failures));
                held.failure = Some(error.clone());
                held.token.clone().filter(|token| token.is_good(now)).ok_or(error)
            }
        }
    }
}

#[async_trait::async_trait]
impl TokenSource for Tokens {
    async fn token(&self) -> Result<Token, Error> {
        loop {
            let now = Instant::now();
            let (good, asked) = {
                let held = self.held();
                let patient = held.again_at.is_some_and(|again_at| now < again_at);
                match &held.token {
                    Some(token) if token.is_fresh(now) || (patient && token.is_good(now)) => return Ok(token.clone()),
                    token => (token.clone().filter(|token| token.is_good(now)), held.asked),
                }
            };
            let _turn = match (&good, self.turn.try_lock()) {
                (_, Ok(turn)) => turn,
                // Somebody renews it already; meanwhile the old one will do.
                (Some(token), Err(_)) => return Ok(token.clone()),
                (None, Err(_)) => self.turn.lock().await,
            };
            let news = {
                let held = self.held();
                (held.asked != asked).then(|| (held.failure.clone(), held.token.clone()))
            };
            match news {
                None => return self.note(self.ask().await),
                Some((None, Some(token))) => return Ok(token),
                Some((Some(failure), _)) if good.is_none() => return Err(failure),
                // A token came and was refused at once, or a renewal failed while the old token is good.
                Some(_) => {}
            }
        }
    }

    fn refused(&self, token: &Token) {
        let mut held = self.held();
        if held.token.as_ref() == Some(token) {
            held.token = None;
        }
    }

    fn date(&self) -> Option<ServerDate> {
        self.held().date
    }
}
