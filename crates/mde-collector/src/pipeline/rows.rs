//! Rows of an answer on their way to events: named, looked up, hidden, flattened, written. Some at a time, so that a page
//! of any size takes the same memory.

use super::batch::BatchWriter;
use super::bridge::{Bridge, Mark, Recognised};
use super::retry::PipelineError;
use super::source::Source;
use crate::config::Emit;
use crate::enrich::{Counted, Enricher};
use crate::flatten::{Flattener, Tail};
use crate::obfuscate::obfuscate;
use crate::pull::{Machine, Numbered, Row, Sightings, SnapshotEnd};
use crate::record::{Cursor, EntityKey, Identity, Mistake, RawObject, StoredKey, VersionKey, content_hash};
use crate::service::{Key, Pull};
use crate::shape::shaped;
use crate::store::{LastSeen, Seen, Store, Trace};
use crate::telemetry::pull::{Report, came_late};
use mde_client::parse_time;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Rows that are taken together, at most.
const CHUNK_ROWS: usize = 512;
/// … or this much of them. Unit: octets.
const CHUNK_BYTES: usize = 512 * 1024;

/// Parts of a millisecond in a row's time.
const UNITS_IN_MS: i64 = 10_000;

/// Rows that wait to be taken together, one behind the other.
#[derive(Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Chunk {
    /// Adds a row; `true` when it is time to take them.
    pub fn push(&mut self, record: &[u8]) -> bool {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
        self.ends.len() >= CHUNK_ROWS || self.bytes.len() >= CHUNK_BYTES
    }

    /// The rows in their order.
    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// Makes room for the next ones.
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// How often each row was met in one answer: equal rows are told apart by their number.
pub type Numbers = HashMap<String, u64>;

/// Everything that a row passes on its way.
pub struct Way<'w, 'b> {
    /// Is told of it.
    pub machine: &'w mut dyn Machine,
    /// Knows whether it is new.
    pub store: &'w dyn Store,
    /// Takes its events.
    pub batch: &'w mut BatchWriter<'b>,
    /// Counts it.
    pub report: &'w mut Report,
    /// Numbers it among its equals.
    pub numbers: &'w mut Numbers,
    /// Microsoft's id of the request that showed it; empty where it gave none.
    pub request_id: &'w str,
    /// Everything before it was read by earlier pulls, so a new record there is a late one. Unit: milliseconds since 1970, UTC.
    pub read_to_ms: Option<i64>,
    /// Whether rows may wait for counts of their own: then nothing of the answer is stored, and it is asked for again.
    pub may_wait: bool,
    /// Set where one does.
    pub waits: &'w mut bool,
}

/// Whether another API has shown a version.
fn shown_there(bridged: &Option<(Mark, Recognised)>) -> bool {
    bridged.as_ref().is_some_and(|(_, recognised)| recognised.there)
}

/// What makes events of a stream's rows.
pub struct Intake {
    source: Source,
    flattener: Flattener,
    /// Knows counts, where any are asked for.
    enricher: Option<Arc<Enricher>>,
    /// Recognises versions that another API has shown, where there is another.
    bridge: Option<Bridge>,
}

/// A document of that source with its hidden values replaced; `None` where it has none.
pub fn hidden(source: &Source, text: &[u8]) -> Result<Option<Vec<u8>>, PipelineError> {
    Ok(match obfuscate(text, &source.service.obfuscation)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(document) => Some(document),
    })
}

/// A document that a parser has accepted as one line, ended: byte for byte, but without white space between its parts where the
/// line would break there.
pub fn one_line(text: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii();
    let mut line = match std::str::from_utf8(text) {
        Ok(document) if text.iter().any(|octet| matches!(octet, b'\n' | b'\r')) => {
            let mut line = String::with_capacity(text.len() + 1);
            Cursor::new(document).compact(&mut line);
            line.into_bytes()
        }
        _ => text.to_vec(),
    };
    line.push(b'\n');
    line
}

/// A row that has been read and named.
struct Named<'a> {
    /// Its members.
    record: RawObject<'a>,
    /// Its text.
    text: &'a [u8],
    /// The entity's id; a row without one has a hash.
    id: Cow<'a, str>,
    /// Names its version and its events.
    identity: Identity,
    /// The parts of that name, joined by NUL; empty in a snapshot, which leaves no traces.
    version: String,
    /// As the store keeps it; in a snapshot it names the entity.
    key: VersionKey,
    /// Its time. Unit: 100 ns since 1970, UTC.
    time: Option<i64>,
    /// Whether it may change without saying when.
    open: bool,
    /// The moment by which its key is forgotten. Unit: milliseconds since 1970, UTC.
    kept_ms: i64,
}

impl Intake {
    /// For one stream.
    pub fn new(source: Source, enricher: Option<Arc<Enricher>>, bridge: Option<Bridge>) -> Self {
        let flattener = Flattener::new(&source.service.flatten);
        Self { source, flattener, enricher, bridge }
    }

    /// A row in the form in which it leaves.
    fn shaped<'a>(&self, row: &'a [u8]) -> Result<Cow<'a, [u8]>, PipelineError> {
        Ok(match self.source.shape() {
            Some(fields) => Cow::Owned(shaped(fields, row)?.into_bytes()),
            None => Cow::Borrowed(row),
        })
    }

    /// Takes the rows of a chunk and empties it.
    pub async fn take(&self, chunk: &mut Chunk, way: Way<'_, '_>) -> Result<(), PipelineError> {
        let mut rows = Vec::with_capacity(chunk.ends.len());
        let pulled_ms = way.machine.pulled_ms();
        let texts = chunk.rows().map(|row| self.shaped(row)).collect::<Result<Vec<_>, _>>()?;
        for text in &texts {
            let row = self.name(text, pulled_ms, way.numbers)?;
            let told = Row { key: row.key, id: &row.id, time: row.time, open: row.open };
            if let Some(kept_ms) = way.machine.row(told)? {
                // Only a key that is never forgotten keeps an entity that changes meanwhile out of an export.
                let kept_ms = if self.source.export.is_some() { i64::MAX } else { kept_ms };
                rows.push(Named { kept_ms, ..row });
            }
        }
        if !rows.is_empty() {
            way.report.rows += rows.len() as u64;
            match way.machine.snapshot() {
                Some(snapshot) => self.entities(&rows, snapshot, way).await?,
                None => self.versions(&rows, way).await?,
            }
        }
        drop(rows);
        drop(texts);
        chunk.clear();
        Ok(())
    }

    /// Stores the versions that are new.
    async fn versions(&self, rows: &[Named<'_>], way: Way<'_, '_>) -> Result<(), PipelineError> {
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let known = way.store.known(&self.source.stream, &keys).await?;
        let pulled_ms = way.machine.pulled_ms();
        let unknown: Vec<&Named<'_>> =
            rows.iter().zip(&known).filter(|(_, known)| !**known).map(|(row, _)| row).collect();
        let mut bridged = self.bridged(&unknown, way.store).await?;
        let new: Vec<&Named<'_>> = unknown
            .into_iter()
            .zip(&bridged)
            .filter(|(_, bridged)| !shown_there(bridged))
            .map(|(row, _)| row)
            .collect();
        let counted = self.counts(&new, false).await?;
        *way.waits |= way.may_wait && !counted.pending.is_empty();
        if *way.waits {
            return Ok(());
        }
        let (mut counts, mut bridged) = (counted.values.iter(), bridged.drain(..));
        for (row, known) in rows.iter().zip(known) {
            let bridged = if known { None } else { bridged.next() };
            let there = bridged.as_ref().is_some_and(shown_there);
            let counts = if known || there { None } else { counts.next() };
            if known || !way.batch.version(StoredKey { key: row.key, time_ms: row.kept_ms }) {
                way.report.repeated += 1;
                continue;
            }
            if let (Some(bridge), Some(Some((mark, recognised)))) = (&self.bridge, bridged) {
                let marks = bridge.marks(&mark, recognised, row.kept_ms);
                if let Some(key) = marks.key {
                    way.batch.version(key);
                }
                way.batch.remember(marks.newest);
            }
            if there {
                way.report.repeated += 1;
            } else {
                way.report.late_ms = way.report.late_ms.max(self.lateness(row, way.read_to_ms));
                let hidden = self.hidden(row)?;
                let replaced = hidden.as_deref().map(RawObject::parse).transpose()?;
                let record = replaced.as_ref().unwrap_or(&row.record);
                let counts = self.named(counts);
                let text = hidden.as_deref().unwrap_or(row.text);
                let events = self.leave((record, text), &counts, &row.identity, pulled_ms, way.batch).await?;
                way.batch.trace(Trace {
                    id: row.id.clone().into_owned(),
                    key: row.key,
                    time_ms: row.kept_ms,
                    request_id: way.request_id.to_owned(),
                    version: row.version.clone(),
                    events,
                });
            }
        }
        Ok(())
    }

    /// How late a new row came. An entity that is read for as long as it is open changes without saying when, so of those it
    /// cannot be told. Unit: milliseconds.
    fn lateness(&self, row: &Named<'_>, read_to_ms: Option<i64>) -> i64 {
        let (Pull::Window { .. } | Pull::Slices, Some(read_to_ms), Some(time)) =
            (self.source.pull, read_to_ms, row.time)
        else {
            return 0;
        };
        let late_ms = read_to_ms.saturating_sub(time.div_euclid(UNITS_IN_MS)).max(0);
        came_late(&self.source.stream, late_ms);
        late_ms
    }

    /// What is known of versions by what two APIs show of them in the same way; in their order. Nothing for one without a time.
    async fn bridged(
        &self,
        rows: &[&Named<'_>],
        store: &dyn Store,
    ) -> Result<Vec<Option<(Mark, Recognised)>>, PipelineError> {
        let Some(bridge) = &self.bridge else { return Ok(rows.iter().map(|_| None).collect()) };
        let mut marks = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(time) = row.time else {
                marks.push(None);
                continue;
            };
            // A row that keeps the other API's form is compared in the source's own all the same.
            let own = self.source.native().map(|fields| shaped(fields, row.text)).transpose()?;
            let own = own.as_ref().map(|text| RawObject::parse(text.as_bytes())).transpose()?;
            marks.push(Some(bridge.mark(&row.id, own.as_ref().unwrap_or(&row.record), time)));
        }
        let asked: Vec<Mark> = marks.iter().flatten().cloned().collect();
        let mut recognised = bridge.recognise(store, &asked).await?.into_iter();
        Ok(marks.into_iter().map(|mark| mark.and_then(|mark| Some((mark, recognised.next()?)))).collect())
    }

    /// Stores the entities that this snapshot has not shown yet, or of them those that have changed.
    async fn entities(&self, rows: &[Named<'_>], snapshot: Numbered, way: Way<'_, '_>) -> Result<(), PipelineError> {
        let keys: Vec<_> = rows.iter().map(|row| EntityKey(row.key.0)).collect();
        let known = way.store.last_seen(&self.source.stream, &keys).await?;
        let pulled_ms = way.machine.pulled_ms();
        let mut sightings = Sightings::default();
        // Most rows of a second walk were seen: nothing else need be made of them.
        let shown = |known: &Option<LastSeen>| known.is_some_and(|known| known.snapshot >= snapshot.number);
        let new: Vec<&Named<'_>> =
            rows.iter().zip(&known).filter(|(_, known)| !shown(known)).map(|(row, _)| row).collect();
        let changes = self.source.service.emit == Emit::Changes;
        let counted = self.counts(&new, changes).await?;
        let mut counts = counted.values.iter().zip(&counted.last);
        for ((row, key), known) in rows.iter().zip(keys).zip(known) {
            if shown(&known) {
                sightings.repeated += 1;
                continue;
            }
            let counts = counts.next();
            let hidden = self.hidden(row)?;
            let replaced = hidden.as_deref().map(RawObject::parse).transpose()?;
            let record = replaced.as_ref().unwrap_or(&row.record);
            let content = self.content(record, &self.named(counts.map(|(_, last)| last)));
            let seen = Seen { key, id: row.id.clone().into_owned(), snapshot: snapshot.number, content };
            if !way.batch.entity(seen) {
                sightings.repeated += 1;
                continue;
            }
            let should = known.is_some_and(|known| snapshot.known_since.is_some_and(|since| known.snapshot >= since));
            *(if should { &mut sightings.known } else { &mut sightings.new }) += 1;
            if !changes || known.is_none_or(|known| known.content != content) {
                let counts = self.named(counts.map(|(values, _)| values));
                let text = hidden.as_deref().unwrap_or(row.text);
                self.leave((record, text), &counts, &row.identity, pulled_ms, way.batch).await?;
            }
        }
        way.report.repeated += sightings.repeated;
        way.machine.sighted(&sightings);
        Ok(())
    }

    /// Counts of rows that are new, in their order.
    async fn counts(&self, rows: &[&Named<'_>], remember: bool) -> Result<Counted, PipelineError> {
        let Some(enricher) = self.enricher.as_ref().filter(|_| !rows.is_empty()) else { return Ok(Counted::default()) };
        let rows: Vec<_> = rows.iter().map(|row| (EntityKey(row.key.0), &*row.id, &row.record)).collect();
        Ok(enricher.counts(&rows, remember).await?)
    }

    /// The counts that are known, with their names.
    fn named(&self, counts: Option<&Vec<Option<u64>>>) -> Vec<(&'static str, u64)> {
        let Some((enricher, counts)) = self.enricher.as_ref().zip(counts) else { return Vec::new() };
        enricher.names().zip(counts).filter_map(|(name, count)| Some((name, (*count)?))).collect()
    }

    /// What is compared from one snapshot to the next; nothing where nobody asks for changes, and where the name of a row
    /// says all that is in it.
    fn content(&self, record: &RawObject<'_>, counts: &[(&str, u64)]) -> [u8; 16] {
        let mut content = [0; 16];
        if self.source.service.emit == Emit::Changes && *self.source.key() != Key::RowHash {
            let counts: Vec<_> =
                counts.iter().map(|(name, count)| (format!("\"{name}\""), count.to_string())).collect();
            let mut record = Cow::Borrowed(record);
            if !counts.is_empty() {
                record.to_mut().members.extend(counts.iter().map(|(name, count)| (name.as_str(), count.as_str())));
            }
            content.copy_from_slice(&content_hash(&record, &self.source.service.changes_ignore)[..16]);
        }
        content
    }

    /// What names a row's version.
    fn name<'a>(&self, text: &'a [u8], pulled_ms: i64, numbers: &mut Numbers) -> Result<Named<'a>, PipelineError> {
        let record = RawObject::parse(text)?;
        let (key, Source { stream, query, .. }) = (self.source.key(), &self.source);
        let mut parts = key.parts(&record).map_err(PipelineError::Nameless)?;
        if *key == Key::RowHash {
            let number = numbers.entry(parts[0].clone().into_owned()).or_default();
            parts.push(Cow::Owned(number.to_string()));
            *number += 1;
        }
        let id = parts[0].clone();
        let time_of = |field: &str| record.text(field).and_then(|text| parse_time(&text)).map(|time| time.0);
        let identity =
            |parts: &[Cow<'_, str>]| Identity::new(&stream.tenant, &stream.service, parts.iter().map(|part| &**part));
        let (time, open) = match *self.source.form() {
            Pull::Window { time, .. } => (time_of(time), false),
            Pull::Open { start, end } => (time_of(start), time_of(end).is_none()),
            Pull::Slices => (query.as_ref().and_then(|query| time_of(query.timestamp_column.as_deref()?)), false),
            Pull::Snapshot { .. } => (None, false),
        };
        // An entity has one name in all snapshots, and its event one in each; a version has one for both.
        let mut entity = None;
        if let Pull::Snapshot { .. } = self.source.pull {
            if let Key::Fields(_) = key {
                parts.truncate(1);
            }
            entity = Some(identity(&parts).key());
            parts.insert(0, Cow::Owned(pulled_ms.to_string()));
        } else if let Some(query) = query {
            parts.insert(0, Cow::Owned(query.name.clone()));
        } else if self.source.export.is_some() {
            entity = Some(identity(&parts[..1]).key());
        }
        if Mistake::KeyWithoutVersion.is_made() {
            entity = Some(identity(&parts[..1]).key());
        }
        let version = if entity.is_some() { String::new() } else { parts.join("\0") };
        let identity = identity(&parts);
        let key = entity.unwrap_or_else(|| identity.key());
        Ok(Named { record, text, id, identity, version, key, time, open, kept_ms: 0 })
    }

    /// The row with its hidden values replaced; `None` where it has none.
    fn hidden(&self, row: &Named<'_>) -> Result<Option<Vec<u8>>, PipelineError> {
        hidden(&self.source, row.text)
    }

    /// Writes a record's events, or in an export of entities the record itself; tells how many there are.
    async fn leave(
        &self,
        (record, text): (&RawObject<'_>, &[u8]),
        counts: &[(&str, u64)],
        identity: &Identity,
        pulled_ms: i64,
        batch: &mut BatchWriter<'_>,
    ) -> Result<u64, PipelineError> {
        if self.source.export.as_ref().is_none_or(|export| export.flatten) {
            return self.events(record, counts, identity, pulled_ms, batch).await;
        }
        batch.line(&one_line(text)).await?;
        batch.split().await?;
        Ok(1)
    }

    /// Writes a record's events, and tells their number.
    async fn events(
        &self,
        record: &RawObject<'_>,
        counts: &[(&str, u64)],
        identity: &Identity,
        pulled_ms: i64,
        batch: &mut BatchWriter<'_>,
    ) -> Result<u64, PipelineError> {
        let environment = self.source.environment.as_deref();
        let tail = Tail { counts, environment, pulled_ms, identity };
        let mut events = self.flattener.start(record, &tail);
        while let Some(line) = events.next_line() {
            batch.line(line).await?;
        }
        batch.split().await?;
        Ok(events.outcome().events)
    }

    /// Writes the event that says that an entity is gone.
    pub async fn tombstone(&self, id: &str, pulled_ms: i64, batch: &mut BatchWriter<'_>) -> Result<(), PipelineError> {
        let text = serde_json::to_string(id).expect("a text has a JSON form");
        let record = RawObject { members: vec![("\"id\"", &text), ("\"@removed\"", "true")] };
        self.own(&record, id, pulled_ms, batch).await
    }

    /// Writes the last event of a snapshot.
    pub async fn marker(&self, end: &SnapshotEnd, batch: &mut BatchWriter<'_>) -> Result<(), PipelineError> {
        let (count, complete) = (end.count.to_string(), end.complete.to_string());
        let record =
            RawObject { members: vec![("\"@snapshot_count\"", &count), ("\"@snapshot_complete\"", &complete)] };
        self.own(&record, "@snapshot", end.pulled_ms, batch).await
    }

    /// Writes an event of our own making, named like an entity of that snapshot.
    async fn own(
        &self,
        record: &RawObject<'_>,
        id: &str,
        pulled_ms: i64,
        batch: &mut BatchWriter<'_>,
    ) -> Result<(), PipelineError> {
        let stream = &self.source.stream;
        let identity = Identity::new(&stream.tenant, &stream.service, [&*pulled_ms.to_string(), id]);
        self.events(record, &[], &identity, pulled_ms, batch).await.map(drop)
    }
}
