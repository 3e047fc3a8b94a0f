//! Rows of an answer on their way to events: named, looked up, hidden, flattened, written. Some at a time, so that a page
//! of any size takes the same memory.

use super::batch::BatchWriter;
use super::retry::PipelineError;
use crate::config::ServiceConfig;
use crate::flatten::{Flattener, Tail};
use crate::obfuscate::obfuscate;
use crate::pull::{Machine, Row};
use crate::record::{Identity, RawObject, StoredKey, StreamKey};
use crate::service::Pull;
use crate::store::Store;
use crate::telemetry::pull::Report;
use mde_client::parse_time;
use std::borrow::Cow;

/// Rows that are taken together, at most.
const CHUNK_ROWS: usize = 512;
/// … or this much of them. Unit: octets.
const CHUNK_BYTES: usize = 512 * 1024;
/// 100 ns in a millisecond.
const TICKS: i64 = 10_000;

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

/// What makes events of a stream's rows.
pub struct Intake {
    service: ServiceConfig,
    stream: StreamKey,
    environment: Option<String>,
    flattener: Flattener,
}

/// A row that has been read.
struct Named<'a> {
    /// Its members.
    record: RawObject<'a>,
    /// Its text.
    text: &'a [u8],
    /// Names its version and its events.
    identity: Identity,
    /// As the store keeps it.
    key: StoredKey,
}

impl Intake {
    /// For one stream.
    pub fn new(service: &ServiceConfig, stream: &StreamKey, environment: Option<String>) -> Self {
        let flattener = Flattener::new(&service.flatten);
        Self { service: service.clone(), stream: stream.clone(), environment, flattener }
    }

    /// Takes the rows of a chunk and empties it. `keep: false`: the machine sees them, and that is all.
    pub async fn take(
        &self,
        chunk: &mut Chunk,
        keep: bool,
        (machine, store, batch): (&mut dyn Machine, &dyn Store, &mut BatchWriter<'_>),
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let mut rows = Vec::with_capacity(chunk.ends.len());
        for text in chunk.rows() {
            let (named, id, time, open) = self.name(text)?;
            machine.row(Row { key: named.key.key, id: &id, time, open })?;
            rows.push(named);
        }
        if keep && !rows.is_empty() {
            report.rows += rows.len() as u64;
            let keys: Vec<_> = rows.iter().map(|row| row.key.key).collect();
            let known = store.known(&self.stream, &keys).await?;
            let pulled_ms = machine.pulled_ms();
            for (row, known) in rows.iter().zip(known) {
                if known || !batch.version(row.key) {
                    report.repeated += 1;
                } else {
                    self.write(row, pulled_ms, batch).await?;
                }
            }
        }
        drop(rows);
        chunk.clear();
        Ok(())
    }

    /// What names a row's version, its entity's id, its time and whether it is open.
    fn name<'a>(&self, text: &'a [u8]) -> Result<(Named<'a>, Cow<'a, str>, Option<i64>, bool), PipelineError> {
        let record = RawObject::parse(text)?;
        let parts = self.service.def.key.parts(&record).map_err(PipelineError::Nameless)?;
        let time_of = |field| record.text(field).and_then(|text| parse_time(&text)).map(|time| time.0);
        let (time, open) = match self.service.def.pull[0] {
            Pull::Window { time, .. } => (time_of(time), false),
            Pull::Open { start, end } => (time_of(start), time_of(end).is_none()),
            Pull::Snapshot { .. } | Pull::Slices => (None, false),
        };
        let identity = Identity::new(&self.stream.tenant, &self.stream.service, parts.iter().map(|part| &**part));
        let key = StoredKey { key: identity.key(), time_ms: time.unwrap_or_default().div_euclid(TICKS) };
        let id = parts.into_iter().next().unwrap_or_default();
        Ok((Named { record, text, identity, key }, id, time, open))
    }

    /// Writes a row's events.
    async fn write(&self, row: &Named<'_>, pulled_ms: i64, batch: &mut BatchWriter<'_>) -> Result<(), PipelineError> {
        let environment = self.environment.as_deref();
        let tail = Tail { counts: &[], environment, pulled_ms, identity: &row.identity };
        let hidden = obfuscate(row.text, &self.service.obfuscation)?;
        let mut events = match &hidden {
            Cow::Borrowed(_) => self.flattener.start(&row.record, &tail),
            Cow::Owned(document) => self.flattener.start(&RawObject::parse(document)?, &tail),
        };
        while let Some(line) = events.next_line() {
            batch.line(line).await?;
        }
        batch.split().await?;
        Ok(())
    }
}
