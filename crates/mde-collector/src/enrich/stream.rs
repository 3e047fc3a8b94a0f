//! The counts of one stream.

use super::choose::{Facts, choose};
use super::list::List;
use super::passes::{Shared, entity_key};
use super::related::{Outcome, count};
use super::{EnrichError, record};
use crate::record::{EntityKey, RawObject, StreamKey, ms};
use crate::service::{Answer, Bulk, Count, Method, permitted};
use crate::store::{Counts, StoreError, Told, Wanted};
use crate::telemetry::enrich as events;
use futures_util::StreamExt;
use futures_util::stream::iter;
use mde_client::budget::Priority;
use mde_client::{Client, Get};
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Calls for single entities that are under way together.
const TOGETHER: usize = 4;
/// Calls whose answers are stored together.
const BATCH: u32 = 8;
/// Entities that are made known together.
const CHUNK: usize = 500;
/// How often the ways are chosen anew within one preparation: each time something was refused.
const CHOICES: u32 = 8;
/// Time between two looks at what has become old.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Pause after a failure that is not one entity's.
const PAUSE: Duration = Duration::from_secs(5);
/// So many batches in a row without an answer are an outage, or the fault of the last few entities.
const OUTAGE: u32 = 3;
/// Pause of the background after such a failure.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// What the configuration says about a stream's counts.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// By which calls.
    pub method: Method,
    /// A count older than this is asked for again.
    pub max_age: Duration,
    /// Part of the vendor's quota that we may use, 0 to 1.
    pub share: f64,
    /// Nobody is asked: what the records themselves do not tell is not known.
    pub alone: bool,
}

/// The counts of one stream, asked for and looked up.
pub struct Enricher {
    shared: Arc<Shared>,
    /// Within the service's own limits.
    client: Client,
    stream: StreamKey,
    counts: Vec<&'static Count>,
    rules: Rules,
    /// How each count is had; `None` before that is chosen, and for one that cannot be had.
    chosen: Mutex<Vec<Option<Answer>>>,
    /// One batch of calls at a time, so that nothing is asked twice.
    turn: tokio::sync::Mutex<()>,
    /// Batches in a row of which the server answered nothing.
    outage: AtomicU32,
}

/// Counts of some rows.
#[derive(Debug, Default)]
pub struct Counted {
    /// For each row its counts in the order of the table; `None`: not known.
    pub values: Vec<Vec<Option<u64>>>,
    /// The same, and for what is not known now what was known last: what is compared from one snapshot to the next.
    pub last: Vec<Vec<Option<u64>>>,
    /// Rows that lack a count which a call for them alone would bring, and which was never asked for.
    pub pending: Vec<usize>,
}

impl Enricher {
    /// For a stream that asks for these counts.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        client: Client,
        stream: StreamKey,
        counts: Vec<&'static Count>,
        rules: Rules,
    ) -> Self {
        let chosen = Mutex::new(vec![None; counts.len()]);
        Self {
            shared,
            client,
            stream,
            counts,
            rules,
            chosen,
            turn: tokio::sync::Mutex::new(()),
            outage: AtomicU32::new(0),
        }
    }

    /// The stream.
    #[must_use]
    pub const fn stream(&self) -> &StreamKey {
        &self.stream
    }

    /// What it shares with the tenant's other streams.
    #[cfg(test)]
    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn store(&self) -> &dyn Counts {
        &*self.shared.store
    }

    fn chosen(&self) -> Vec<Option<Answer>> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counts asked for, in the order of the table.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.counts.iter().map(|count| count.field)
    }

    /// Names of the counts that are had so.
    fn named(&self, is: impl Fn(Answer) -> bool) -> Vec<&'static str> {
        self.names().zip(self.chosen()).filter(|(_, answer)| answer.is_some_and(&is)).map(|(name, _)| name).collect()
    }

    /// Names of the counts for which a call for each entity is made.
    fn per_entity(&self) -> Vec<&'static str> {
        self.named(|answer| matches!(answer, Answer::PerEntity(call) if !self.shared.is_denied(call.path)))
    }

    fn since_ms(&self) -> i64 {
        let max_age_ms = ms(self.rules.max_age);
        (self.shared.now)().saturating_sub(max_age_ms)
    }

    /// Chooses how each count is had. `entities`: how many the stream has; `None` where their number has no bound.
    ///
    /// # Errors
    /// The store's, or no token.
    pub async fn choose(&self, entities: Option<u64>) -> Result<(), EnrichError> {
        let alone = self.rules.alone;
        let roles = match alone {
            true => None,
            false => self.client.tokens().token().await.map_err(EnrichError::Api)?.roles(),
        };
        let kinds = self.store().count_kinds(&self.stream).await?;
        let may = |answer: Answer| match alone {
            true => answer.is_in_record(),
            false => permitted(answer.roles(), roles.as_deref()) && !self.shared.is_denied(refusable(answer)),
        };
        let mut chosen = Vec::with_capacity(self.counts.len());
        for count in &self.counts {
            let kind = kinds.iter().find(|kind| kind.name == count.field);
            let facts = Facts {
                method: self.rules.method,
                entities,
                affordable: affordable(count, self.rules.share),
                before: kind.map(|kind| kind.method.as_str()),
            };
            let choice = choose(count, facts, may);
            let method = choice.answer.map_or("", Answer::name);
            if kind.is_none_or(|kind| kind.method != method || kind.reason.is_empty()) {
                self.store().choose(&self.stream, count.field, method, choice.reason).await?;
                events::chosen(&self.stream, count.field, method, choice.reason);
            }
            chosen.push(choice.answer);
        }
        if let Some(entities) = entities.filter(|_| chosen.iter().flatten().copied().any(by_entity)) {
            self.shared.has(entities);
        }
        *self.chosen.lock().unwrap_or_else(PoisonError::into_inner) = chosen;
        Ok(())
    }

    /// Reads the stream's whole list for the ids in it, so that their counts can be had before their events are made. Returns
    /// how many rows it has.
    ///
    /// # Errors
    /// The API's and the store's.
    pub async fn census(&self, list: Get, page_cap: usize) -> Result<u64, EnrichError> {
        let mut list = List::new(&self.client, Get { priority: Priority::Enrichment, ..list }, Some(page_cap));
        loop {
            let mut entities = Vec::new();
            let more = list
                .page(&mut |row| {
                    let id = RawObject::parse(row)?.text("id").unwrap_or_default().into_owned();
                    entities.push((entity_key(&self.stream, &id), id));
                    Ok(())
                })
                .await?;
            let names: Vec<&str> =
                self.counts.iter().filter(|count| self.may_need(count, list.rows())).map(|count| count.field).collect();
            for chunk in entities.chunks(CHUNK).filter(|_| !names.is_empty()) {
                self.store().want(&self.stream, &names, chunk).await?;
            }
            if !more {
                return Ok(list.rows());
            }
        }
    }

    /// Whether the number of entities, or who they are, matters to any count.
    #[must_use]
    pub fn needs_entities(&self) -> bool {
        self.counts.iter().any(|count| self.may_need(count, 0))
    }

    /// Whether something is kept of a count where there are at least so many entities: not where the record itself tells it.
    fn may_need(&self, count: &Count, entities: u64) -> bool {
        let in_record = count.bulk.first().is_some_and(|bulk| !matches!(bulk, Bulk::Grouped(_)));
        match self.rules.method {
            Method::PerEntity => true,
            Method::Bulk => !in_record,
            Method::Auto => !in_record || entities <= 2 * affordable(count, self.rules.share),
        }
    }

    /// Chooses the ways that suit so many entities, reads sources whose last reading is too old, and asks for what is missing,
    /// with `refresh` also for what is too old. `entities`: `None` where their number has no bound; then nothing is asked one by
    /// one before a row shows that it is needed. `patience`: how long it may take. Returns whether that was enough.
    ///
    /// # Errors
    /// The store's, or no token.
    pub async fn prepare(
        &self,
        entities: Option<u64>,
        refresh: bool,
        patience: Option<Duration>,
    ) -> Result<bool, EnrichError> {
        let started = Instant::now();
        let deadline = patience.map(|patience| started + patience);
        let mut whole = true;
        for _ in 0..CHOICES {
            self.choose(entities).await?;
            let denied = match self.read_sources(deadline).await? {
                Some(read) => {
                    whole &= read;
                    let settled = match entities {
                        Some(_) => self.settle(refresh, deadline).await,
                        None => Ok(true),
                    };
                    match settled {
                        Err(error) if error.is_denied() => true,
                        settled => {
                            whole &= settled?;
                            false
                        }
                    }
                }
                None => true,
            };
            if !denied {
                break;
            }
        }
        if !whole {
            events::not_waited_for(&self.stream, started.elapsed());
        }
        Ok(whole)
    }

    /// Waits for the sources that counts are in. `None`: one was refused, and another way must be chosen.
    async fn read_sources(&self, deadline: Option<Instant>) -> Result<Option<bool>, EnrichError> {
        let mut whole = true;
        for (count, answer) in self.counts.iter().zip(self.chosen()) {
            let Some(grouped) = answer.and_then(Answer::pass) else { continue };
            let read = self.shared.ensure((&self.stream, &self.client), count, grouped.pass, self.rules.max_age);
            let read = tokio::select! {
                read = read => read,
                () = until(deadline) => {
                    whole = false;
                    continue;
                }
            };
            match read {
                Ok(()) => {}
                Err(_) if self.shared.is_denied(grouped.pass.name) => return Ok(None),
                Err(EnrichError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    events::failed(&self.stream, &error);
                    whole = false;
                }
            }
        }
        Ok(Some(whole))
    }

    /// Asks for what is missing, with `refresh` also for what is too old, until the deadline. Returns whether nothing is left;
    /// without a deadline a failure that is not one entity's ends it.
    ///
    /// # Errors
    /// The store's, and a refusal, after which another way must be chosen.
    pub async fn settle(&self, refresh: bool, deadline: Option<Instant>) -> Result<bool, EnrichError> {
        let since_ms = if refresh { self.since_ms() } else { 0 };
        loop {
            let asked = tokio::select! {
                asked = self.refresh(since_ms) => asked,
                () = until(deadline) => return Ok(false),
            };
            match asked {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(EnrichError::Store(error)) => return Err(error.into()),
                Err(error) if error.is_denied() => return Err(error),
                Err(error) => {
                    events::failed(&self.stream, &error);
                    if deadline.is_none() && self.outage.load(Ordering::Relaxed) >= OUTAGE {
                        return Ok(false);
                    }
                    tokio::select! {
                        () = sleep(PAUSE) => {}
                        () = until(deadline) => return Ok(false),
                    }
                }
            }
        }
    }

    /// Asks for some of what was not tried since then, the longest ago first. Returns for how many.
    async fn refresh(&self, since_ms: i64) -> Result<usize, EnrichError> {
        let _turn = self.turn.lock().await;
        let names = self.per_entity();
        let wanted = self.store().stale(&self.stream, &names, since_ms, BATCH).await?;
        if wanted.is_empty() {
            return Ok(0);
        }
        let ask = |wanted: Wanted| async move {
            let call = self.counts.iter().find(|count| count.field == wanted.name);
            let call = &call.expect("only counts of ours were asked about").per_entity;
            (count(&self.client, call, &wanted.id).await, call.path, wanted)
        };
        let outcomes: Vec<_> = iter(wanted).map(ask).buffer_unordered(TOGETHER).collect().await;
        // Where others are answered, a server that fails fails for that entity. The last few have no others beside them: they
        // are taken for such after some failures in a row.
        let answered = outcomes.iter().any(|(outcome, ..)| matches!(outcome, Outcome::Count(_) | Outcome::Refused(_)));
        let failed = if answered { 0 } else { self.outage.load(Ordering::Relaxed) + 1 };
        self.outage.store(failed, Ordering::Relaxed);
        let answered = answered || (outcomes.len() < BATCH as usize && failed >= OUTAGE);
        let (mut told, mut over) = (Vec::new(), None);
        let mut refused: Vec<String> = Vec::new();
        for (outcome, path, wanted) in outcomes {
            let value = match outcome {
                Outcome::Count(count) => Ok(count),
                Outcome::Refused(reason) => Err(reason),
                Outcome::Failed(error) if answered => Err(error.to_string()),
                Outcome::Failed(error) | Outcome::Over(error) => {
                    if error.is_denied() {
                        self.shared.deny(path);
                    }
                    over.get_or_insert(error);
                    continue;
                }
            };
            refused.extend(value.as_ref().err().cloned());
            told.push(Told { key: wanted.key, name: wanted.name, value });
        }
        self.store().tell(&self.stream, (self.shared.now)(), &told).await?;
        if let Some(first) = refused.first() {
            events::passed_over(&self.stream, refused.len() as u64, first);
        }
        over.map_or(Ok(told.len()), Err)
    }

    /// Asks for what has become too old, for ever.
    pub async fn keep_fresh(&self) {
        loop {
            let wait = match self.refresh(self.since_ms()).await {
                Ok(0) => LOOK_EVERY,
                Ok(_) => continue,
                // The next pull chooses another way.
                Err(error) => {
                    events::failed(&self.stream, &error);
                    LONG_PAUSE
                }
            };
            sleep(wait).await;
        }
    }

    /// Counts of some rows as they are known now. Rows that nobody has asked about are wanted from now on. `keys`: entities, or
    /// versions where the stream has none. `remember`: what a record says itself is kept to be compared with.
    ///
    /// # Errors
    /// The store's.
    pub async fn counts(
        &self,
        rows: &[(EntityKey, &str, &RawObject<'_>)],
        remember: bool,
    ) -> Result<Counted, StoreError> {
        let chosen = self.chosen();
        let keys: Vec<EntityKey> = rows.iter().map(|(key, ..)| *key).collect();
        let kept = |answer: &Option<Answer>| remember || answer.is_some_and(|answer| !answer.is_in_record());
        let columns: Vec<usize> = (0..chosen.len()).filter(|index| kept(&chosen[*index])).collect();
        let names: Vec<&str> = columns.iter().map(|index| self.counts[*index].field).collect();
        let known = self.store().counts(&self.stream, &names, &keys).await?;
        let empty = || vec![vec![None; chosen.len()]; rows.len()];
        let mut counted = Counted { values: empty(), last: empty(), pending: Vec::new() };
        let mut unwanted: Vec<Vec<(EntityKey, String)>> = vec![Vec::new(); chosen.len()];
        let mut changed: Vec<Vec<(EntityKey, u64)>> = vec![Vec::new(); chosen.len()];
        for (row, (key, id, record)) in rows.iter().enumerate() {
            let mut is_pending = false;
            for (index, answer) in chosen.iter().enumerate() {
                let column = columns.iter().position(|column| *column == index);
                let known = column.and_then(|column| known[row][column]);
                let value = match answer {
                    None => None,
                    Some(Answer::Bulk(bulk)) if answer.is_some_and(Answer::is_in_record) => {
                        let value = record::count(bulk, record, id);
                        if let Some(value) =
                            value.filter(|value| remember && known.and_then(|known| known.value) != Some(*value))
                        {
                            changed[index].push((*key, value));
                        }
                        value
                    }
                    Some(answer) => {
                        if known.is_none_or(|known| !known.wanted) {
                            unwanted[index].push((*key, (*id).to_owned()));
                        }
                        is_pending |= matches!(answer, Answer::PerEntity(_)) && known.is_none_or(|known| !known.tried);
                        known.and_then(|known| known.value)
                    }
                };
                counted.values[row][index] = value;
                counted.last[row][index] = value.or(known.and_then(|known| known.value));
            }
            if is_pending {
                counted.pending.push(row);
            }
        }
        let now_ms = (self.shared.now)();
        for (index, count) in self.counts.iter().enumerate() {
            if !unwanted[index].is_empty() {
                self.store().want(&self.stream, &[count.field], &unwanted[index]).await?;
            }
            if !changed[index].is_empty() {
                self.store().tell_read(&self.stream, count.field, now_ms, &changed[index]).await?;
            }
        }
        Ok(counted)
    }

    /// Forgets what nobody needs any more: of a stream with entities what is gone, of another one everything, since its events
    /// have left.
    ///
    /// # Errors
    /// The store's.
    pub async fn tidy(&self, has_entities: bool) -> Result<(), StoreError> {
        match has_entities {
            true => self.store().prune_counts(&self.stream).await?,
            false => self.store().forget_counts(&self.stream, i64::MAX).await?,
        };
        Ok(())
    }
}

/// What of an answer can be refused.
fn refusable(answer: Answer) -> &'static str {
    match answer {
        Answer::PerEntity(call) => call.path,
        other => other.name(),
    }
}

/// Whether that is a reading whose rows name the stream's entities by an id of their own, so that it grows with their number.
#[must_use]
pub fn by_entity(answer: Answer) -> bool {
    answer.pass().is_some_and(|grouped| grouped.by.len() == 1)
}

/// Calls in an hour that a whole refresh of one count may take: a quarter of what we may use.
#[must_use]
pub fn affordable(count: &Count, share: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a few thousand calls")]
    let calls = (f64::from(count.per_entity.family.limits().per_hour) * share / 4.0) as u64;
    calls
}

/// That moment; without one never.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
