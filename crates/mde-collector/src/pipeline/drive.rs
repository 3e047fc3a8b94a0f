//! The loop that does a pull machine's I/O: ask, stream, take, commit.

use super::ask;
use super::batch::BatchWriter;
use super::clock::{self, Clock};
use super::gate::Gate;
use super::lease;
use super::retry::{PipelineError, Verdict, pause, verdict};
use super::rows::{Chunk, Intake, Numbers, Way};
use super::source::Source;
use crate::pull::{Answer, Ask, Machine, More, Now, Outcome, Step, clock::SPREAD_WARNING_MS};
use crate::record::{BatchHead, StreamKey};
use crate::store::{Lease, Progress, Store};
use crate::telemetry::pull::{self as events, Report};
use mde_client::{Client, Get, Link, LinkGuard, NextLink, ServerDate};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Entities that are taken for gone together.
const ABSENT_CHUNK: u32 = 1_000;

/// One stream's pull half.
pub struct Puller {
    store: Arc<dyn Store>,
    client: Client,
    clock: Arc<dyn Clock>,
    gate: Gate,
    owner: String,
    source: Source,
    /// Whether this is the only pull of the run.
    once: bool,
    intake: Intake,
    api_date: Option<ServerDate>,
    answered: bool,
}

/// One pull under way.
struct Pulling<'a> {
    machine: &'a mut dyn Machine,
    batch: BatchWriter<'a>,
    /// The link of the answer before, and the walk that it belongs to.
    link: Option<(LinkGuard, NextLink)>,
    report: Report,
    /// How often each row was met in the answer under way.
    numbers: Numbers,
}

impl Puller {
    /// A puller for one stream of one tenant.
    pub fn new(
        (store, gate): (Arc<dyn Store>, Gate),
        client: Client,
        clock: Arc<dyn Clock>,
        owner: String,
        (source, once): (Source, bool),
    ) -> Self {
        let intake = Intake::new(source.clone());
        Self { store, client, clock, gate, owner, source, once, intake, api_date: None, answered: false }
    }

    /// The stream that it fills.
    pub const fn stream(&self) -> &StreamKey {
        &self.source.stream
    }

    /// What time it is by the median of the clocks.
    fn now(&self) -> Now {
        let reading = clock::read(&*self.clock, self.api_date, self.client.tokens().date());
        if reading.spread_ms > SPREAD_WARNING_MS {
            events::clocks_disagree(&self.source.stream, reading.spread_ms);
        }
        Now { ms: reading.now_ms, sure: self.answered }
    }

    /// How long the first pull has to wait, so that a restart does not bring a snapshot forward.
    pub async fn due_in(&self) -> Result<Duration, PipelineError> {
        let machine = self.source.machine(&self.store.stream(&self.source.stream).await?, self.once)?;
        if machine.must_start_again() {
            return Ok(Duration::ZERO);
        }
        let wait_ms = machine.due_ms().map_or(0, |due_ms| due_ms.saturating_sub(self.now().ms));
        Ok(Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default()))
    }

    /// One pull, from somewhere before the checkpoint to now, under the stream's lease.
    ///
    /// # Errors
    /// What stopped it. What was committed before stays; the next pull goes on from there.
    pub async fn pull(&mut self) -> Result<Report, PipelineError> {
        // The token's date is one of the three clocks, so it comes first.
        self.client.tokens().token().await?;
        let store = Arc::clone(&self.store);
        let held = || PipelineError::Held(self.source.stream.to_string());
        let name = format!("stream {}", self.source.stream);
        let lease = lease::take(&*store, &name, &self.owner).await?.ok_or_else(held)?;
        self.gate.store_works();
        let lost = held();
        lease::during(&*store, &lease, self.under(&lease)).await.unwrap_or(Err(lost))
    }

    async fn under(&mut self, lease: &Lease) -> Result<Report, PipelineError> {
        let (store, stream) = (Arc::clone(&self.store), self.source.stream.clone());
        let mut state = store.stream(&stream).await?;
        let mut machine = self.source.machine(&state, self.once)?;
        if machine.must_start_again() {
            events::started_again(&stream);
            state = store.start_again(lease, &stream, "").await?;
            machine = self.source.machine(&state, self.once)?;
        }
        let mut report = Report::default();
        loop {
            let now = self.now();
            let begun = machine.begin(now);
            if begun.backwards {
                events::went_back(&stream);
            }
            let head = BatchHead {
                input: self.source.input.clone(),
                service: stream.service.clone(),
                tag: self.source.tag.clone(),
                pulled_ms: machine.pulled_ms(),
            };
            let batch = BatchWriter::new(&*store, lease, &stream, state.epoch, head);
            let mut pulling = Pulling { machine: &mut *machine, batch, link: None, report, numbers: Numbers::new() };
            self.commit(&mut pulling, &begun).await?;
            let ended = self.steps(&mut pulling).await;
            if ended.is_err() {
                pulling.batch.discard().await?;
            }
            ended?;
            report = pulling.report;
            report.gaps = machine.gaps().len() as u64;
            // Only now does the API's clock say that the checkpoint is ahead of time: once more, from where it belongs.
            if now.sure || !machine.is_ahead(self.now().ms) {
                return Ok(report);
            }
        }
    }

    /// Does what the machine wants until it wants nothing more.
    async fn steps(&mut self, pulling: &mut Pulling<'_>) -> Result<(), PipelineError> {
        let mut failures = 0;
        loop {
            self.gate.admit(&self.source.stream).await?;
            let Some(step) = pulling.machine.next(self.now()) else { return Ok(()) };
            let Err(error) = self.step(&step, pulling).await else {
                failures = 0;
                continue;
            };
            pulling.batch.discard().await?;
            match verdict(&error, failures) {
                Verdict::Again { counts } => {
                    failures += u32::from(counts);
                    let wait = pause(&error, failures.max(1));
                    events::tried_again(&self.source.stream, &error, error.advice(), failures, wait);
                    sleep(wait).await;
                }
                Verdict::Tell(failure) => {
                    let outcome = pulling.machine.failed(&failure, self.now());
                    self.commit(pulling, &outcome.ok_or(error)?).await?;
                    failures = 0;
                }
                Verdict::End => return Err(error),
            }
        }
    }

    /// One step, committed at its end.
    async fn step(&mut self, step: &Step, pulling: &mut Pulling<'_>) -> Result<(), PipelineError> {
        pulling.numbers.clear();
        let answer = match step {
            Step::List(ask) => Answer::Rows(self.list(ask, pulling).await?),
            Step::One(id) => {
                let get = ask::one(&self.source, id);
                let answer = self.get(&get).await?;
                pulling.report.requests += 1;
                let mut chunk = Chunk::default();
                chunk.push(&answer.entity().await?);
                self.take(&mut chunk, pulling).await?;
                Answer::Rows(More::Nothing)
            }
            Step::Slice(_) => unreachable!("no service of the table is read so"),
            Step::CountAbsent { since } => {
                let (absent, known) = self.store.count_absent(&self.source.stream, *since).await?;
                Answer::Absent { absent, known }
            }
            Step::RemoveAbsent { since, tombstones } => {
                self.remove_absent(*since, *tombstones, pulling).await?;
                Answer::Removed
            }
        };
        let outcome = pulling.machine.answered(answer)?;
        self.commit(pulling, &outcome).await
    }

    /// Rows of the list, and what the answer says about more.
    async fn list(&mut self, ask: &Ask, pulling: &mut Pulling<'_>) -> Result<More, PipelineError> {
        let mut get = ask::list(&self.source, ask)?;
        let mut guard = LinkGuard::new(&get);
        // The link stays until the answer is whole, so that a failed request can follow it again.
        if let (true, Some((walk, next))) = (ask.follow, &pulling.link) {
            get = get.follow(next);
            guard = walk.clone();
        }
        let mut answer = self.get(&get).await?;
        let mut chunk = Chunk::default();
        while let Some(record) = answer.page.next().await? {
            if chunk.push(record) {
                self.take(&mut chunk, pulling).await?;
            }
        }
        self.take(&mut chunk, pulling).await?;
        let end = answer.page.rest().await?;
        pulling.report.requests += 1;
        Ok(match end.next_link {
            None => More::Nothing,
            Some(Link::Foreign { host }) => {
                events::link_refused(&self.source.stream, &host.as_deref().unwrap_or("it is no address"));
                More::Elsewhere
            }
            Some(Link::Follow(next)) => match guard.admit(&next) {
                Ok(()) => {
                    pulling.link = Some((guard, next));
                    More::Link
                }
                Err(error) => {
                    events::link_refused(&self.source.stream, &error);
                    More::Elsewhere
                }
            },
        })
    }

    /// Sends a request, and reads the API's clock off its answer.
    async fn get(&mut self, get: &Get) -> Result<mde_client::Answer, PipelineError> {
        let answer = self.client.get(get).await.inspect_err(|error| self.api_date = error.date().or(self.api_date))?;
        self.api_date = answer.date.or(self.api_date);
        self.answered = true;
        Ok(answer)
    }

    /// Forgets entities that were not seen since that snapshot, some at a time, each with a last event where one is wanted.
    async fn remove_absent(
        &self,
        since: u64,
        tombstones: bool,
        pulling: &mut Pulling<'_>,
    ) -> Result<(), PipelineError> {
        let pulled_ms = pulling.machine.pulled_ms();
        loop {
            let absent = self.store.absent(&self.source.stream, since, ABSENT_CHUNK).await?;
            if absent.is_empty() {
                return Ok(());
            }
            for (key, id) in absent {
                if tombstones {
                    self.intake.tombstone(&id, pulled_ms, &mut pulling.batch).await?;
                }
                pulling.batch.gone(key);
            }
            pulling.report.events += pulling.batch.commit(Progress::default()).await?;
        }
    }

    async fn take(&self, chunk: &mut Chunk, pulling: &mut Pulling<'_>) -> Result<(), PipelineError> {
        let Pulling { machine, batch, report, numbers, .. } = pulling;
        let way = Way { machine: &mut **machine, store: &*self.store, batch, report, numbers };
        self.intake.take(chunk, way).await
    }

    /// What the machine wants kept, together with what was gathered.
    async fn commit(&self, pulling: &mut Pulling<'_>, outcome: &Outcome) -> Result<(), PipelineError> {
        for gap in &outcome.set_aside {
            events::set_aside(&self.source.stream, gap.id.as_deref(), gap.from_ms, gap.to_ms, &gap.reason);
        }
        if let Some(end) = &outcome.ended {
            events::snapshot_ended(&self.source.stream, end.pulled_ms, end.count, end.complete);
            if end.drift {
                events::drift(&self.source.stream, end.pulled_ms);
            }
            if self.source.service.snapshot_marker {
                self.intake.marker(end, &mut pulling.batch).await?;
            }
        }
        pulling.report.events += pulling.batch.commit(progress(outcome)).await?;
        Ok(())
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
