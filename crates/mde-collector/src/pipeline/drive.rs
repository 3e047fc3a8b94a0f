//! The loop that does a pull machine's I/O: ask, stream, recognise, flatten, store.

use super::batch::BatchWriter;
use super::clock::{self, Clock};
use super::retry::{PipelineError, pause};
use crate::config::ServiceConfig;
use crate::flatten::{Flattener, Tail};
use crate::obfuscate::obfuscate;
use crate::pull::window::list::List;
use crate::pull::window::{Memory, Rules, Windows};
use crate::pull::{Answer, Ask, Condition, Machine, More, Now, Outcome, Row, Step, clock::Reading};
use crate::record::{BatchHead, ErrorClass, Identity, RawObject, StoredKey, StreamKey, VersionKey};
use crate::service::{Key, Pull};
use crate::store::{Lease, Progress, Store};
use mde_client::budget::Priority;
use mde_client::query::{Filter, Literal, Op, Query};
use mde_client::{Client, Get, Link, LinkGuard, NextLink, ServerDate, parse_time};
use std::sync::Arc;
use std::time::Duration;

/// How often the same request is tried within one pull.
const TRIES: u32 = 3;
/// Records that are looked up in the store together.
const CHUNK_ROWS: usize = 64;
/// … or this much of them. Unit: octets.
const CHUNK_BYTES: usize = 256 * 1024;
/// How long a stream's lease lasts; it is renewed at each pull and each answer.
const LEASE: Duration = Duration::from_secs(30);

/// What a pull came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests answered whole.
    pub requests: u64,
    /// Rows in them.
    pub rows: u64,
    /// Events stored.
    pub events: u64,
    /// Rows whose version was stored already.
    pub repeated: u64,
}

/// One stream's pull half.
pub struct Puller {
    store: Arc<dyn Store>,
    client: Client,
    clock: Arc<dyn Clock>,
    owner: String,
    service: ServiceConfig,
    input: String,
    environment: Option<String>,
    stream: StreamKey,
    flattener: Flattener,
    api_date: Option<ServerDate>,
    answered: bool,
}

/// A row that waits to be looked up.
struct Waiting {
    record: Vec<u8>,
    identity: Identity,
    key: StoredKey,
}

impl Puller {
    /// A puller for one service of one tenant.
    pub fn new(
        store: Arc<dyn Store>,
        client: Client,
        clock: Arc<dyn Clock>,
        owner: String,
        input: &crate::config::Input,
        service: &ServiceConfig,
    ) -> Self {
        Self {
            store,
            client,
            clock,
            owner,
            flattener: Flattener::new(&service.flatten),
            stream: StreamKey { tenant: input.id.clone(), service: service.def.name.to_owned(), query: None },
            service: service.clone(),
            input: input.name.clone(),
            environment: input.environment.clone(),
            api_date: None,
            answered: false,
        }
    }

    /// The stream that it fills.
    pub const fn stream(&self) -> &StreamKey {
        &self.stream
    }

    /// What time it is by the median of the clocks.
    fn now(&self) -> Reading {
        clock::read(&*self.clock, self.api_date, self.client.tokens().date())
    }

    async fn lease(&self) -> Result<Lease, PipelineError> {
        let name = format!("stream {}", self.stream);
        let lease = self.store.acquire(&name, &self.owner, LEASE).await?;
        lease.ok_or_else(|| PipelineError::Held(self.stream.to_string()))
    }

    /// One pull, from somewhere before the checkpoint to now.
    ///
    /// # Errors
    /// What stopped it. What was committed before stays; the next pull goes on from there.
    pub async fn pull(&mut self) -> Result<Report, PipelineError> {
        // The token's date is one of the three clocks, so it comes first.
        self.client.tokens().token().await?;
        let lease = self.lease().await?;
        let mut state = self.store.stream(&self.stream).await?;
        let rules = self.rules();
        let memory = self.memory(&state.memory)?;
        let mut machine = Windows::new(rules.clone(), state.checkpoint_ms, memory);
        if machine.must_start_again() {
            tracing::warn!(stream = %self.stream, "historical_poll_datetime has changed: the stream starts again");
            state = self.store.start_again(&lease, &self.stream, "").await?;
            machine = Windows::new(rules, None, None);
        }
        let mut report = Report::default();
        loop {
            let (reading, sure) = (self.now(), self.answered);
            if reading.spread_ms > crate::pull::clock::SPREAD_WARNING_MS {
                tracing::warn!(stream = %self.stream, spread_ms = reading.spread_ms, "the clocks disagree");
            }
            let head = BatchHead {
                input: self.input.clone(),
                service: self.stream.service.clone(),
                tag: self.service.tag.clone(),
                pulled_ms: reading.now_ms,
            };
            let (store, stream) = (Arc::clone(&self.store), self.stream.clone());
            let mut batch = BatchWriter::new(&*store, &lease, &stream, state.epoch, head);
            let begun = machine.begin(Now { ms: reading.now_ms, sure });
            if begun.backwards {
                tracing::warn!(stream = %self.stream, "the checkpoint was ahead of time and goes back");
            }
            batch.commit(progress(&begun)).await?;
            let ended = self.windows(&mut machine, &mut batch, reading.now_ms, &mut report).await;
            if ended.is_err() {
                batch.discard().await?;
            }
            ended?;
            // Only now does the API's clock say that the checkpoint is ahead of time: once more, from where it belongs.
            if sure || !machine.is_ahead(self.now().now_ms) {
                return Ok(report);
            }
        }
    }

    /// Asks what the machine wants until it wants nothing more.
    async fn windows(
        &mut self,
        machine: &mut Windows,
        batch: &mut BatchWriter<'_>,
        pulled_ms: i64,
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let mut link = None;
        let mut failures = 0;
        loop {
            let reading = self.now();
            let Some(Step::List(ask)) = machine.next(Now { ms: reading.now_ms, sure: self.answered }) else {
                return Ok(());
            };
            match self.answer(&ask, machine, batch, pulled_ms, &mut link, report).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    batch.discard().await?;
                    failures += 1;
                    let again = matches!(error.class(), ErrorClass::Transient | ErrorClass::Throttled { .. })
                        && matches!(error, PipelineError::Api(_));
                    if !again || failures >= TRIES {
                        return Err(error);
                    }
                    let wait = pause(&error, failures);
                    tracing::warn!(stream = %self.stream, %error, attempt = failures, wait_ms = wait.as_millis() as u64,
                        advice = error.advice(), "a request failed and is tried again");
                    tokio::time::sleep(wait).await;
                }
            }
            self.lease().await?;
        }
    }

    /// One request and its answer, committed at its end.
    async fn answer(
        &mut self,
        ask: &Ask,
        machine: &mut Windows,
        batch: &mut BatchWriter<'_>,
        pulled_ms: i64,
        link: &mut Option<(LinkGuard, NextLink)>,
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let mut get = self.get(ask)?;
        let mut guard = LinkGuard::new(&get);
        // The link stays until the answer is whole, so that a failed request can follow it again.
        if let (true, Some((walk, next))) = (ask.follow, &*link) {
            get = get.follow(next);
            guard = walk.clone();
        }
        let mut answer =
            self.client.get(&get).await.inspect_err(|error| self.api_date = error.date().or(self.api_date))?;
        self.api_date = answer.date.or(self.api_date);
        self.answered = true;
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut bytes = 0;
        while let Some(record) = answer.page.next().await? {
            let (identity, key, time) = self.identify(record)?;
            if !machine.row(Row { key, id: "", time, open: false })? {
                continue;
            }
            report.rows += 1;
            let time_ms = time.unwrap_or_default().div_euclid(10_000);
            bytes += record.len();
            waiting.push(Waiting { record: record.to_vec(), identity, key: StoredKey { key, time_ms } });
            if waiting.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
                self.take(&mut waiting, batch, pulled_ms, report).await?;
                bytes = 0;
            }
        }
        self.take(&mut waiting, batch, pulled_ms, report).await?;
        report.requests += 1;
        let end = answer.page.rest().await?;
        let more = match end.next_link {
            None => More::Nothing,
            Some(Link::Foreign { .. }) => More::Elsewhere,
            Some(Link::Follow(next)) => {
                if end.rows == 0 {
                    guard.admit(&next)?;
                    *link = Some((guard, next));
                }
                More::Link
            }
        };
        let outcome = machine.answered(Answer::Rows(more))?;
        report.events += batch.commit(progress(&outcome)).await?;
        Ok(())
    }

    /// Stores what is new of the rows that wait.
    async fn take(
        &self,
        waiting: &mut Vec<Waiting>,
        batch: &mut BatchWriter<'_>,
        pulled_ms: i64,
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        if waiting.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = waiting.iter().map(|row| row.key.key).collect();
        let known = self.store.known(&self.stream, &keys).await?;
        for (row, known) in waiting.drain(..).zip(known) {
            if known || !batch.version(row.key) {
                report.repeated += 1;
                continue;
            }
            let document = obfuscate(&row.record, &self.service.obfuscation)?;
            let record = RawObject::parse(&document)?;
            let environment = self.environment.as_deref();
            let tail = Tail { counts: &[], environment, pulled_ms, identity: &row.identity };
            let mut events = self.flattener.start(&record, &tail);
            while let Some(line) = events.next_line() {
                batch.line(line).await?;
            }
            batch.split().await?;
        }
        Ok(())
    }

    /// What names a record's version, and its time.
    fn identify(&self, record: &[u8]) -> Result<(Identity, VersionKey, Option<i64>), PipelineError> {
        let record = RawObject::parse(record)?;
        let Key::Fields(fields) = self.service.def.key else { unreachable!("the table pulls windows only") };
        let mut parts = Vec::with_capacity(fields.len());
        for field in fields {
            parts.push(record.text(field).ok_or(PipelineError::Nameless(field))?);
        }
        let identity = Identity::new(&self.stream.tenant, &self.stream.service, parts.iter().map(|part| &**part));
        let Pull::Window { time, .. } = self.service.def.pull[0] else { unreachable!("the table pulls windows only") };
        let time = record.text(time).and_then(|text| parse_time(&text)).map(|time| time.0);
        let key = identity.key();
        Ok((identity, key, time))
    }

    /// What the machine left in the store; `None` before the first pull of an epoch.
    fn memory(&self, text: &str) -> Result<Option<Memory>, PipelineError> {
        if text.is_empty() {
            return Ok(None);
        }
        // Starting anew instead would send again what the epoch has sent, or skip what it has not.
        let unreadable = |_| PipelineError::Memory(self.stream.to_string());
        serde_json::from_str(text).map(Some).map_err(unreadable)
    }

    fn rules(&self) -> Rules {
        let Pull::Window { time, splits } = self.service.def.pull[0] else {
            unreachable!("the table pulls windows only")
        };
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let endpoint = &self.service.def.endpoint;
        let (page_cap, expands) = (endpoint.page_cap as u64, endpoint.expand.is_some());
        Rules {
            source: List { time, splits, page_cap, expands },
            overlap_ms: ms(self.service.overlap),
            sweep_every_ms: ms(self.service.sweep.every),
            sweep_back_ms: ms(self.service.sweep.back),
            open_ms: None,
            historical_ms: self.service.historical_ms,
            once: false,
        }
    }

    /// The machine's words as a request.
    fn get(&self, ask: &Ask) -> Result<Get, PipelineError> {
        let endpoint = &self.service.def.endpoint;
        let mut filters = Vec::new();
        for condition in &ask.conditions {
            match *condition {
                Condition::Time { field, from_ms, to_ms } => filters.push(Filter::window(field, from_ms, to_ms)?),
                Condition::NotOneOf(ref ids) => {
                    for id in ids {
                        filters.push(Filter::compare("id", Op::Ne, Literal::Text(id))?);
                    }
                }
                Condition::Is(field, value) => filters.push(Filter::compare(field, Op::Eq, Literal::Text(value))?),
                Condition::IsNone(field, values) => {
                    for value in values {
                        filters.push(Filter::compare(field, Op::Ne, Literal::Text(value))?);
                    }
                }
            }
        }
        if let Some(own) = &self.service.filter {
            filters.push(Filter::bracketed(own)?);
        }
        let mut query = Query::new();
        if let Some(filter) = filters.into_iter().reduce(|all, next| all.and(&next)) {
            query = query.filter(&filter);
        }
        if let (true, Some(expand)) = (ask.whole, endpoint.expand) {
            query = query.expand(expand);
        }
        if let Some(top) = ask.top {
            query = query.top(usize::try_from(top).unwrap_or(usize::MAX));
        }
        if let Some(skip) = ask.skip {
            query = query.skip(usize::try_from(skip).unwrap_or(usize::MAX));
        }
        let priority = if ask.newest { Priority::NewestAlerts } else { Priority::Alerts };
        Ok(Get::new(endpoint.path, endpoint.family, priority).query(query))
    }
}

/// What the machine wants kept, in the store's words.
fn progress(outcome: &Outcome) -> Progress {
    Progress {
        checkpoint_ms: outcome.checkpoint_ms,
        backwards: outcome.backwards,
        memory: outcome.memory.clone(),
        forget_before_ms: outcome.forget_before_ms,
    }
}
