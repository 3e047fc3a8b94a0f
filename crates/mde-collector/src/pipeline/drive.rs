//! The loop that does a pull machine's I/O: ask, stream, take, commit.

use super::ask;
use super::batch::BatchWriter;
use super::bridge::{self, Bridge};
use super::choice::Choice;
use super::clock::{self, Clock};
use super::gate::Gate;
use super::lease;
use super::retry::{PipelineError, Verdict, pause, verdict};
use super::rows::{Chunk, Intake, Numbers, Way};
use super::setup::Clients;
use super::source::Source;
use super::standing::Standing;
use crate::enrich::Enricher;
use crate::pull::clock::{Reading, SPREAD_WARNING_MS};
use crate::pull::{Answer, Ask, Machine, More, Now, Outcome, Slice, SnapshotEnd, Step};
use crate::record::{BatchHead, StreamKey};
use crate::status::Word;
use crate::store::{Lease, Progress, Store};
use crate::telemetry::pull::{self as events, Report};
use mde_client::hunting::{Endpoint, Hunt, Hunter};
use mde_client::{Get, Link, LinkGuard, NextLink, ServerDate, kql};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Entities that are taken for gone together.
const ABSENT_CHUNK: u32 = 1_000;

/// Marks of versions that are let go together.
const LET_GO_CHUNK: u32 = 10_000;
/// How far the horizon moves before marks are let go again. Unit: milliseconds.
const LET_GO_EVERY_MS: i64 = 3_600_000;

/// One stream's pull half.
pub struct Puller {
    pub(super) store: Arc<dyn Store>,
    pub(super) clients: Clients,
    clock: Arc<dyn Clock>,
    gate: Gate,
    owner: String,
    pub(super) source: Source,
    /// Whether this is the only pull of the run.
    pub(super) once: bool,
    intake: Intake,
    /// Has the counts that are asked for.
    pub(super) enricher: Option<Arc<Enricher>>,
    /// The same where the source itself is read, and where another API is.
    enrichers: (Option<Arc<Enricher>>, Option<Arc<Enricher>>),
    /// Where it stands, as the store has it.
    pub(super) standing: Standing,
    /// What is known of the APIs among which it may choose.
    pub(super) choice: Choice,
    /// Up to where marks of versions were let go. Unit: milliseconds since 1970, UTC.
    let_go_ms: i64,
    /// Runs queries; chosen at the first one.
    hunter: Option<Hunter>,
    api_date: Option<ServerDate>,
    answered: bool,
}

/// One pull under way.
pub(super) struct Pulling<'a> {
    machine: &'a mut dyn Machine,
    pub(super) batch: BatchWriter<'a>,
    /// The link of the answer before, and the walk that it belongs to.
    link: Option<(LinkGuard, NextLink)>,
    report: Report,
    /// How often each row was met in the answer under way.
    numbers: Numbers,
    /// Microsoft's id of the request that it answers.
    request_id: String,
    /// The checkpoint at the pull's beginning, where what lies before it can be told late.
    read_to_ms: Option<i64>,
    /// Whether rows of the answer under way wait for counts of their own.
    pub(super) waits: bool,
    /// Whether the step under way has waited for them already.
    pub(super) waited: bool,
}

impl Puller {
    /// A puller for one stream of one tenant.
    pub fn new(
        (store, gate): (Arc<dyn Store>, Gate),
        clients: Clients,
        clock: Arc<dyn Clock>,
        owner: String,
        (source, once): (Source, bool),
        enrichers: (Option<Arc<Enricher>>, Option<Arc<Enricher>>),
    ) -> Self {
        let standing = Standing { api: source.api(), left: None, memory: String::new() };
        let mut puller = Self {
            store,
            clients,
            clock,
            gate,
            owner,
            intake: Intake::new(source.clone(), None, None),
            source,
            once,
            enricher: None,
            enrichers,
            standing,
            choice: Choice::default(),
            let_go_ms: i64::MIN,
            hunter: None,
            api_date: None,
            answered: false,
        };
        puller.equip();
        puller
    }

    /// Has what goes with where the stream is read.
    pub(super) fn equip(&mut self) {
        let (own, alone) = &self.enrichers;
        self.enricher = if self.source.elsewhere.is_some() { alone.clone() } else { own.clone() };
        let cores = self.source.service.def.elsewhere.iter().find_map(|other| other.core);
        let (stream, here, left) = (self.source.stream.clone(), self.source.api(), self.standing.left);
        let bridge = cores.map(|core| Bridge { core, stream, here, left });
        self.intake = Intake::new(self.source.clone(), self.enricher.clone(), bridge);
        self.hunter = None;
    }

    /// The stream that it fills.
    pub const fn stream(&self) -> &StreamKey {
        &self.source.stream
    }

    /// What it reads.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// What the clocks say.
    fn reading(&self) -> Reading {
        let clients = &self.clients;
        let date = clients.of(self.source.api()).tokens().date().or_else(|| clients.defender.tokens().date());
        clock::read(&*self.clock, self.api_date, date)
    }

    /// What time it is by the median of the clocks.
    pub(super) fn now(&self) -> Now {
        Now { ms: self.reading().now_ms, sure: self.answered }
    }

    /// How long the first pull has to wait, so that a restart does not bring a snapshot forward.
    pub async fn due_in(&self) -> Result<Duration, PipelineError> {
        let state = self.store.stream(&self.source.stream).await?;
        let machine = self.source.standing(&state).machine(&state, self.once)?;
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
        self.choose().await?;
        loop {
            match self.pull_here().await {
                Ok(report) => {
                    self.choice.worked();
                    return Ok(report);
                }
                Err(error) if self.leaves(&error).await => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One pull from where the stream is read now.
    async fn pull_here(&mut self) -> Result<Report, PipelineError> {
        // The token's date is one of the three clocks, so it comes first.
        self.token().await?;
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
        self.take_stand(lease, &mut state).await?;
        let mut machine = self.source.machine(&state, self.once)?;
        if machine.must_start_again() {
            events::started_again(&stream);
            let memory = self.standing.text("", self.source.service.def.endpoint.api);
            state = store.start_again(lease, &stream, &memory).await?;
            machine = self.source.machine(&state, self.once)?;
        }
        let counted = self.prepare().await?;
        // What was set aside comes late for another reason.
        let read_to_ms = state.checkpoint_ms.filter(|_| machine.gaps().is_empty());
        let mut report = Report::default();
        loop {
            let reading = self.reading();
            if reading.spread_ms > SPREAD_WARNING_MS {
                events::clocks_disagree(&stream, reading.spread_ms);
            }
            let now = Now { ms: reading.now_ms, sure: self.answered };
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
            let mut pulling = Pulling {
                machine: &mut *machine,
                batch,
                link: None,
                report,
                numbers: Numbers::new(),
                request_id: String::new(),
                read_to_ms,
                waits: false,
                waited: false,
            };
            self.commit(&mut pulling, &begun).await?;
            let ended = self.steps(&mut pulling).await;
            if ended.is_err() {
                pulling.batch.discard().await?;
            }
            ended?;
            report = pulling.report;
            report.pulled_ms = machine.pulled_ms();
            report.checkpoint_ms = store.stream(&stream).await?.checkpoint_ms;
            report.gaps = machine.gaps().len() as u64 + u64::from(self.once && !counted);
            // Only now does the API's clock say that the checkpoint is ahead of time: once more, from where it belongs.
            if now.sure || !machine.is_ahead(self.now().ms) {
                if let Some(enricher) = &self.enricher {
                    enricher.tidy(self.source.is_snapshot()).await?;
                }
                return Ok(report);
            }
        }
    }

    /// Does what the machine wants until it wants nothing more.
    async fn steps(&mut self, pulling: &mut Pulling<'_>) -> Result<(), PipelineError> {
        let mut failures = 0;
        // Whether the board still says what went wrong.
        let mut told = true;
        loop {
            self.gate.admit(&self.source.stream).await?;
            let Some(step) = pulling.machine.next(self.now()) else { return Ok(()) };
            let Err(error) = self.step(&step, pulling).await else {
                if std::mem::take(&mut told) {
                    self.gate.board().stream(&self.source.stream, |note| note.say(Word::Pulling));
                }
                failures = 0;
                continue;
            };
            pulling.batch.discard().await?;
            match verdict(&error, failures) {
                Verdict::Again { counts } => {
                    failures += u32::from(counts);
                    let wait = pause(&error, failures.max(1));
                    events::tried_again(&self.source.stream, &error, error.advice(), failures, wait);
                    self.gate
                        .board()
                        .stream(&self.source.stream, |note| note.fail(error.word(), error.to_string(), error.advice()));
                    told = true;
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
        pulling.waits = false;
        let before = (pulling.report, pulling.link.clone());
        let answer = match step {
            Step::List(ask) => Answer::Rows(self.list(ask, pulling).await?),
            Step::One(id) => {
                let get = ask::one(&self.source, id);
                let answer = self.get(&get, pulling).await?;
                pulling.report.requests += 1;
                let mut chunk = Chunk::default();
                chunk.push(&answer.entity().await?);
                self.take(&mut chunk, pulling).await?;
                Answer::Rows(More::Nothing)
            }
            Step::Slice(slice) => Answer::Rows(self.slice(slice, pulling).await?),
            Step::CountAbsent { since } => {
                let (absent, known) = self.store.count_absent(&self.source.stream, *since).await?;
                Answer::Absent { absent, known }
            }
            Step::RemoveAbsent { since, tombstones } => {
                self.remove_absent(*since, *tombstones, pulling).await?;
                Answer::Removed
            }
        };
        if pulling.waits {
            (pulling.report, pulling.link) = (Report { requests: pulling.report.requests, ..before.0 }, before.1);
            return self.wait_for_counts(pulling).await;
        }
        let outcome = pulling.machine.answered(answer)?;
        self.commit(pulling, &outcome).await?;
        events::progressed(&self.source.stream, &before.0, &pulling.report);
        self.gate.board().stored(&self.source.stream, pulling.report.events - before.0.events);
        if let Some(enricher) = self.enricher.as_ref().filter(|_| std::mem::take(&mut pulling.waited)) {
            enricher.tidy(self.source.is_snapshot()).await?;
        }
        Ok(())
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
        let mut answer = self.get(&get, pulling).await?;
        let mut chunk = Chunk::default();
        while let Some(record) = answer.page.next().await? {
            if chunk.push(record) {
                self.take(&mut chunk, pulling).await?;
            }
        }
        self.take(&mut chunk, pulling).await?;
        let end = answer.page.rest().await?;
        pulling.report.requests += 1;
        // Asked how many there are, an answer that has fewer rows, or does not say it with a round number of them, is cut.
        let cut = ask.counted && end.count.map_or(end.rows > 0 && end.rows % 100 == 0, |count| count > end.rows);
        Ok(match end.next_link {
            None if cut => More::Elsewhere,
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

    /// Rows of a slice of the query.
    async fn slice(&mut self, slice: &Slice, pulling: &mut Pulling<'_>) -> Result<More, PipelineError> {
        let column = self.source.query.as_ref().and_then(|query| query.timestamp_column.clone());
        let column = column.as_deref();
        let span = slice.span.map(|(from_ms, to_ms)| (column, from_ms, to_ms));
        let query = self.source.kql().expect("only what is the result of a query asks for slices");
        let text = kql::sliced(query, kql::Slice { span, part: slice.part }).ok_or(PipelineError::Calendar)?;
        let hunter = self.hunter().await?;
        // An endpoint that refuses may have been retired, or a role may have moved to the other: chosen anew then.
        let answer = hunter.run(&Hunt::new(text)).await.inspect_err(|_| self.hunter = None);
        let mut answer = self.heard(answer, pulling, |answer| (answer.date, &answer.request_id))?;
        let mut chunk = Chunk::default();
        while let Some(row) = answer.next().await? {
            if chunk.push(row) {
                self.take(&mut chunk, pulling).await?;
            }
        }
        self.take(&mut chunk, pulling).await?;
        pulling.report.requests += 1;
        match (column, answer.columns()) {
            (Some(column), Some(columns)) if columns.iter().all(|known| known.name != column) => {
                Err(PipelineError::Column(column.to_owned()))
            }
            _ => Ok(More::Nothing),
        }
    }

    /// The endpoint for which the application has the role, chosen at the first query and after one that failed.
    async fn hunter(&mut self) -> Result<Hunter, PipelineError> {
        if let Some(hunter) = &self.hunter {
            return Ok(hunter.clone());
        }
        let (defender, graph) = self.clients.hunting(self.source.service.backend);
        let hunter = Hunter::choose(defender, graph).await?;
        if hunter.endpoint() == Endpoint::Defender {
            events::old_hunting(&self.source.stream);
        }
        Ok(self.hunter.insert(hunter).clone())
    }

    /// Sends a request.
    async fn get(&mut self, get: &Get, pulling: &mut Pulling<'_>) -> Result<mde_client::Answer, PipelineError> {
        let answer = self.clients.of(self.source.api()).get(get).await;
        self.heard(answer, pulling, |answer| (answer.date, &answer.request_id))
    }

    /// Notes what the head of an answer tells: the API's clock, also where it failed, and Microsoft's id of the request.
    fn heard<T>(
        &mut self,
        answer: Result<T, mde_client::Error>,
        pulling: &mut Pulling<'_>,
        head: impl FnOnce(&T) -> (Option<ServerDate>, &Option<String>),
    ) -> Result<T, PipelineError> {
        let answer = answer.inspect_err(|error| self.api_date = error.date().or(self.api_date))?;
        let (date, request_id) = head(&answer);
        self.api_date = date.or(self.api_date);
        self.answered = true;
        pulling.request_id = request_id.clone().unwrap_or_default();
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
        let Pulling { machine, batch, report, numbers, request_id, read_to_ms, waits, waited, .. } = pulling;
        let (store, may_wait) = (&*self.store, !*waited);
        let read_to_ms = *read_to_ms;
        let way =
            Way { machine: &mut **machine, store, batch, report, numbers, request_id, read_to_ms, may_wait, waits };
        self.intake.take(chunk, way).await
    }

    /// What the machine wants kept, together with what was gathered.
    async fn commit(&mut self, pulling: &mut Pulling<'_>, outcome: &Outcome) -> Result<(), PipelineError> {
        for gap in &outcome.set_aside {
            events::set_aside(&self.source.stream, gap.id.as_deref(), gap.from_ms, gap.to_ms, &gap.reason);
        }
        if let Some(end) = outcome.ended {
            // Of a page that was stored in part before a kill only the store knows the rows.
            let (absent, known) = self.store.count_absent(&self.source.stream, end.number).await?;
            let end = SnapshotEnd { count: known - absent + pulling.batch.entity_count(), ..end };
            events::snapshot_ended(&self.source.stream, end.pulled_ms, end.count, end.complete);
            if end.drift {
                events::drift(&self.source.stream, end.pulled_ms);
            }
            if self.source.service.snapshot_marker {
                self.intake.marker(&end, &mut pulling.batch).await?;
            }
        }
        if let Some(forget_before_ms) = outcome.forget_before_ms {
            self.let_go(forget_before_ms, &mut pulling.batch).await?;
        }
        pulling.report.events += pulling.batch.commit(self.progress(outcome)).await?;
        Ok(())
    }

    /// What the machine wants kept, in the store's words.
    fn progress(&self, outcome: &Outcome) -> Progress {
        let own = self.source.service.def.endpoint.api;
        Progress {
            checkpoint_ms: outcome.checkpoint_ms,
            backwards: outcome.backwards,
            memory: outcome.memory.as_ref().map(|memory| self.standing.text(memory, own)),
            forget_before_ms: outcome.forget_before_ms,
            keep: outcome.keep.clone(),
        }
    }

    /// Lets go of marks of versions whose keys are forgotten, now and then.
    async fn let_go(&mut self, forget_before_ms: i64, batch: &mut BatchWriter<'_>) -> Result<(), PipelineError> {
        if self.source.is_snapshot() || forget_before_ms < self.let_go_ms.saturating_add(LET_GO_EVERY_MS) {
            return Ok(());
        }
        let since = bridge::horizon(forget_before_ms);
        let absent = self.store.absent(&self.source.stream, since, LET_GO_CHUNK).await?;
        if absent.len() < LET_GO_CHUNK as usize {
            self.let_go_ms = forget_before_ms;
        }
        absent.into_iter().for_each(|(key, _)| batch.gone(key));
        Ok(())
    }
}
