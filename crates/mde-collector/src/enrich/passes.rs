//! Readings of whole sources, shared by all streams of a tenant: one reading fills every count that is in it.

use super::EnrichError;
use super::list::{List, calm};
use super::tally::Tally;
use crate::record::{EntityKey, Identity, RawObject, StreamKey, unquoted};
use crate::service::{Bulk, Count, Grouped, JOINT, OWNER, Only, Pass, Read, Silence};
use crate::store::{Counts, WallClock};
use crate::telemetry::enrich as events;
use mde_client::budget::Priority;
use mde_client::limits::{EXPORT_LINK_HOURS_CAP, Family, PAGE_CAP};
use mde_client::query::{Query, segment};
use mde_client::{Client, ErrorKind, ExportFile, Get};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A role that is missing is looked at again after this time.
const DENIED_FOR: Duration = Duration::from_secs(3_600);
/// From so many entities on an export is read in files. Source: vendor page "Export assessment methods".
const FILES_FROM: u64 = 100_000;
/// How often new links are asked for when the old ones have expired.
const LISTS_OF_LINKS: u32 = 3;
/// Entities of a list of each of which something is asked: their ids are held, some MB.
const MOST_OF_EACH: usize = 100_000;
/// Values that are stored together.
const TOLD: usize = 1_000;

/// What the streams of one tenant share.
pub struct Shared {
    pub(super) client: Client,
    pub(super) store: Arc<dyn Counts>,
    pub(super) now: WallClock,
    /// Where values are sorted when memory does not hold them.
    folder: PathBuf,
    /// Streams and the counts that they ask for.
    streams: Vec<(StreamKey, Vec<&'static Count>)>,
    /// What was refused for want of a role or an endpoint, and when.
    denied: Mutex<HashMap<&'static str, Instant>>,
    /// Most entities of a stream whose counts lie in an export by entity.
    most: AtomicU64,
    /// One reading at a time: they wait for the same quota.
    turn: tokio::sync::Mutex<()>,
    /// Readings under way. They outlive those who wait for them no longer.
    tasks: Mutex<JoinSet<()>>,
}

/// A count that is in a pass.
struct Use {
    stream: StreamKey,
    count: &'static Count,
    grouped: &'static Grouped,
}

impl Shared {
    /// For a tenant with these streams.
    #[must_use]
    pub fn new(
        client: Client,
        (store, now): (Arc<dyn Counts>, WallClock),
        folder: PathBuf,
        streams: Vec<(StreamKey, Vec<&'static Count>)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            store,
            now,
            folder,
            streams,
            denied: Mutex::default(),
            most: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(()),
            tasks: Mutex::default(),
        })
    }

    /// Ends the readings under way.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that was refused not long ago.
    pub(super) fn is_denied(&self, what: &str) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get(what).is_some_and(|since| since.elapsed() < DENIED_FOR)
    }

    /// That is refused.
    pub(super) fn deny(&self, what: &'static str) {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).insert(what, Instant::now());
    }

    /// A stream with counts in exports has so many entities.
    pub(super) fn has(&self, entities: u64) {
        self.most.fetch_max(entities, Ordering::Relaxed);
    }

    /// Waits until the count's newest reading began no longer ago than `max_age`; where it did, the source is read.
    ///
    /// # Errors
    /// Why it could not be read.
    pub(super) async fn ensure(
        self: &Arc<Self>,
        stream: &StreamKey,
        count: &'static Count,
        pass: &'static Pass,
        max_age: Duration,
    ) -> Result<(), EnrichError> {
        let (tell, told) = oneshot::channel();
        let (shared, stream) = (Arc::clone(self), stream.clone());
        {
            let mut tasks = self.tasks();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let _turn = shared.turn.lock().await;
                // The receiver may wait no longer; what was read is stored all the same.
                tell.send(shared.read_unless_new(&stream, count, pass, max_age).await).ok();
            });
        }
        told.await.unwrap_or(Err(EnrichError::Over))
    }

    async fn read_unless_new(
        &self,
        stream: &StreamKey,
        count: &'static Count,
        pass: &'static Pass,
        max_age: Duration,
    ) -> Result<(), EnrichError> {
        let kinds = self.store.count_kinds(stream).await?;
        let passed_ms = kinds.iter().find(|kind| kind.name == count.field).and_then(|kind| kind.passed_ms);
        let max_age_ms = i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX);
        let now_ms = (self.now)();
        if passed_ms.is_some_and(|passed_ms| passed_ms > now_ms.saturating_sub(max_age_ms) && passed_ms <= now_ms) {
            return Ok(());
        }
        let uses = self.uses(pass).await?;
        let started = Instant::now();
        match self.read(pass, &uses, now_ms).await {
            Ok(rows) => {
                events::source_read(&stream.tenant, pass.name, rows, started.elapsed());
                Ok(())
            }
            Err(error) => {
                if error.is_denied() || matches!(&error, EnrichError::Api(api) if *api.kind() == ErrorKind::NotFound) {
                    self.deny(pass.name);
                }
                let trouble = error.to_string();
                for Use { stream, count, .. } in &uses {
                    self.store.trouble(stream, count.field, Some(&trouble)).await?;
                }
                Err(error)
            }
        }
    }

    /// The counts in a pass that are had by it, or whose way is not chosen yet.
    async fn uses(&self, pass: &'static Pass) -> Result<Vec<Use>, EnrichError> {
        let mut uses = Vec::new();
        for (stream, counts) in &self.streams {
            let kinds = self.store.count_kinds(stream).await?;
            for count in counts {
                let grouped = count.bulk.iter().find_map(|bulk| match bulk {
                    Bulk::Grouped(grouped) if grouped.pass.name == pass.name => Some(grouped),
                    _ => None,
                });
                let method = kinds.iter().find(|kind| kind.name == count.field).map_or("", |kind| kind.method.as_str());
                if let Some(grouped) = grouped.filter(|_| method.is_empty() || method == pass.name) {
                    uses.push(Use { stream: stream.clone(), count, grouped });
                }
            }
        }
        Ok(uses)
    }

    /// Reads a source and stores the counts in it. Returns how many rows it had.
    async fn read(&self, pass: &'static Pass, uses: &[Use], taken_ms: i64) -> Result<u64, EnrichError> {
        let mut tally = Tally::new(&self.folder);
        let rows = match &pass.read {
            Read::List { path, family } => {
                let get = Get::new(*path, *family, Priority::Enrichment);
                List::new(&self.client, get, Some(PAGE_CAP)).all(&mut |row| take(uses, "", row, &mut tally)).await?
            }
            Read::Each { path, each, family } => self.each((path, each), *family, uses, &mut tally).await?,
            Read::Export { pages, files } => {
                let in_files = self.most.load(Ordering::Relaxed) > FILES_FROM;
                let first = match in_files {
                    true => self.files(files, uses, &mut tally).await,
                    false => self.pages(pages, uses, &mut tally).await,
                };
                match first {
                    // One of the two ways may be missing where the other is not.
                    Err(error) if error.is_denied() || matches!(error, EnrichError::Api(_) | EnrichError::Link) => {
                        tally = Tally::new(&self.folder);
                        let second = match in_files {
                            true => self.pages(pages, uses, &mut tally).await,
                            false => self.files(files, uses, &mut tally).await,
                        };
                        second.map_err(|_| error)?
                    }
                    other => other?,
                }
            }
        };
        self.tell(uses, taken_ms, tally).await?;
        for Use { stream, count, grouped } in uses {
            self.store.read_ended(stream, count.field, taken_ms, grouped.silence == Silence::Zero).await?;
        }
        Ok(rows)
    }

    /// Stores what was counted.
    async fn tell(&self, uses: &[Use], taken_ms: i64, tally: Tally) -> Result<(), EnrichError> {
        let mut groups = tally.finish()?;
        let (mut what, mut values) = (0, Vec::with_capacity(TOLD));
        loop {
            let next = groups.next()?;
            let is_full = values.len() == TOLD || next.is_none_or(|(next, ..)| usize::from(next) != what);
            if let Some(Use { stream, count, .. }) = uses.get(what).filter(|_| is_full && !values.is_empty()) {
                self.store.tell_read(stream, count.field, taken_ms, &values).await?;
                values.clear();
            }
            let Some((next, entity, value)) = next else { return Ok(()) };
            what = usize::from(next);
            values.push((EntityKey(entity), value));
        }
    }

    /// Pages of an export.
    async fn pages(&self, path: &'static str, uses: &[Use], tally: &mut Tally) -> Result<u64, EnrichError> {
        let get = Get::new(path, Family::ExportJson, Priority::Enrichment);
        List::new(&self.client, get, None).all(&mut |row| take(uses, "", row, tally)).await
    }

    /// Files of an export. Where a link has expired everything is read again by new ones: they may lead to a newer build.
    async fn files(&self, path: &'static str, uses: &[Use], tally: &mut Tally) -> Result<u64, EnrichError> {
        let query = Query::verbatim(format!("sasValidHours={EXPORT_LINK_HOURS_CAP}"));
        let get = Get::new(path, Family::ExportFiles, Priority::Enrichment).query(query);
        for list in 1..=LISTS_OF_LINKS {
            *tally = Tally::new(&self.folder);
            match self.linked(&get, uses, tally).await {
                Err(EnrichError::Api(error)) if *error.kind() == ErrorKind::LinkExpired && list < LISTS_OF_LINKS => {}
                other => return other,
            }
        }
        unreachable!("the last list's outcome is returned")
    }

    /// Asks for links and reads what is behind them.
    async fn linked(&self, get: &Get, uses: &[Use], tally: &mut Tally) -> Result<u64, EnrichError> {
        let (mut failures, mut rows) = (0, 0);
        let list = loop {
            match self.client.export_files(get).await {
                Ok(list) => break list,
                Err(error) => calm(error, &mut failures).await?,
            }
        };
        for file in &list.files {
            let mut failures = 0;
            rows += loop {
                match self.file(file, uses, tally).await {
                    Err(EnrichError::Api(error)) => calm(error, &mut failures).await?,
                    other => break other?,
                }
            };
        }
        Ok(rows)
    }

    /// The rows of one file. A file that is fetched again shows them again, which changes no count.
    async fn file(&self, file: &ExportFile, uses: &[Use], tally: &mut Tally) -> Result<u64, EnrichError> {
        let mut lines = self.client.fetch(file).await?;
        while let Some(row) = lines.next().await? {
            take(uses, "", row, tally)?;
        }
        Ok(lines.rows())
    }

    /// What belongs to each entity of a list.
    async fn each(
        &self,
        (path, each): (&str, &str),
        family: Family,
        uses: &[Use],
        tally: &mut Tally,
    ) -> Result<u64, EnrichError> {
        let mut ids: Vec<String> = Vec::new();
        let get = Get::new(path, family, Priority::Enrichment);
        let mut id_of = |row: &[u8]| {
            ids.extend(RawObject::parse(row)?.text("id").map(Cow::into_owned));
            if ids.len() > MOST_OF_EACH { Err(EnrichError::TooMany { limit: MOST_OF_EACH }) } else { Ok(()) }
        };
        List::new(&self.client, get, Some(PAGE_CAP)).all(&mut id_of).await?;
        ids.sort_unstable();
        ids.dedup();
        let mut rows = 0;
        for id in &ids {
            let get = Get::new(each.replace("{id}", &segment(id)), family, Priority::Enrichment);
            let list = List::new(&self.client, get, Some(PAGE_CAP)).all(&mut |row| take(uses, id, row, tally)).await;
            match list {
                Ok(more) => rows += more,
                // It has gone since the list was read.
                Err(EnrichError::Api(error)) if *error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }
}

/// Takes one row for every count in the pass. `owner`: the entity under which it was found.
fn take(uses: &[Use], owner: &str, row: &[u8], tally: &mut Tally) -> Result<(), EnrichError> {
    let row = RawObject::parse(row)?;
    for (number, Use { stream, grouped, .. }) in (0_u8..).zip(uses) {
        let Some(id) = joined(&row, owner, grouped.by).filter(|id| !id.is_empty()) else { continue };
        let value = joined(&row, owner, grouped.distinct)
            .filter(|value| match grouped.only {
                Only::All => true,
                Only::Filled => !value.is_empty(),
                Only::Digits => !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit()),
            })
            .map(|value| half(&Sha256::digest(value.as_bytes())));
        tally.add(number, entity_key(stream, &id).0, value)?;
    }
    Ok(())
}

/// Properties of a row, joined as the vendor joins them; `None` where one is null or absent.
fn joined<'a>(row: &RawObject<'a>, owner: &'a str, names: &[&str]) -> Option<Cow<'a, str>> {
    let one = |name: &str| {
        if name == OWNER {
            return Some(Cow::Borrowed(owner));
        }
        let (_, value) = row.members.iter().find(|(key, _)| unquoted(key).eq_ignore_ascii_case(name))?;
        match value.as_bytes() {
            [b'"', ..] => Some(unquoted(value)),
            b"null" => None,
            _ => Some(Cow::Borrowed(*value)),
        }
    };
    match names {
        [name] => one(name),
        names => {
            let parts = names.iter().map(|name| one(name)).collect::<Option<Vec<_>>>()?;
            Some(Cow::Owned(parts.join(JOINT)))
        }
    }
}

/// Names an entity as a stream's rows do.
pub(super) fn entity_key(stream: &StreamKey, id: &str) -> EntityKey {
    EntityKey(Identity::new(&stream.tenant, &stream.service, [id]).key().0)
}

/// The first half of a hash.
fn half(hash: &[u8]) -> [u8; 16] {
    std::array::from_fn(|index| hash[index])
}
