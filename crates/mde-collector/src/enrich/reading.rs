//! How a source is read: every row is taken for every count in it.

use super::EnrichError;
use super::list::{List, calm};
use super::passes::{Use, entity_key};
use super::tally::Tally;
use crate::record::{RawObject, unquoted};
use crate::service::{JOINT, OWNER, Only, Pass, Read};
use mde_client::budget::Priority;
use mde_client::limits::{EXPORT_LINK_HOURS_CAP, EXPORT_PAGE_CAP, Family, PAGE_CAP};
use mde_client::query::{Query, segment};
use mde_client::retry::Tries;
use mde_client::{Client, ErrorKind, ExportFile, Get};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::Path;

/// How often new links are asked for when the old ones have expired.
const LISTS_OF_LINKS: u32 = 3;
/// Entities of a list of each of which something is asked: their ids are held, some MB.
const MOST_OF_EACH: usize = 100_000;

/// One reading of a source.
pub(super) struct Reading<'a> {
    /// Within the limits of the service that waits for it.
    pub client: &'a Client,
    /// Where values are sorted when memory does not hold them.
    pub folder: &'a Path,
    /// The counts in it.
    pub uses: &'a [Use],
    /// Whether an export is read in files before it is tried in pages.
    pub in_files: bool,
}

impl Reading<'_> {
    /// Reads all of a source. Returns how many rows it had, and their values.
    ///
    /// # Errors
    /// The API's and the disk's.
    pub(super) async fn all(&self, pass: &'static Pass) -> Result<(u64, Tally), EnrichError> {
        let mut tally = Tally::new(self.folder);
        let rows = match &pass.read {
            Read::List { path, family } => {
                let get = Get::new(*path, *family, Priority::Enrichment);
                List::new(self.client, get, Some(PAGE_CAP)).all(&mut |row| self.take("", row, &mut tally)).await?
            }
            Read::Each { path, each, family } => self.each((path, each), *family, &mut tally).await?,
            Read::Export { pages, files, .. } => {
                let first = match self.in_files {
                    true => self.files(files, &mut tally).await,
                    false => self.pages(pages, &mut tally).await,
                };
                match first {
                    // One of the two ways may be missing where the other is not.
                    Err(error) if error.is_denied() || matches!(error, EnrichError::Api(_) | EnrichError::Link) => {
                        tally = Tally::new(self.folder);
                        let second = match self.in_files {
                            true => self.pages(pages, &mut tally).await,
                            false => self.files(files, &mut tally).await,
                        };
                        second.map_err(|_| error)?
                    }
                    other => other?,
                }
            }
        };
        Ok((rows, tally))
    }

    /// Pages of an export, the largest that there are: rows are counted while they arrive, so a page's size costs no memory.
    async fn pages(&self, path: &'static str, tally: &mut Tally) -> Result<u64, EnrichError> {
        let query = Query::verbatim(format!("pageSize={EXPORT_PAGE_CAP}"));
        let get = Get::new(path, Family::ExportJson, Priority::Enrichment).query(query);
        List::new(self.client, get, None).all(&mut |row| self.take("", row, tally)).await
    }

    /// Files of an export. Where a link has expired everything is read again by new ones: they may lead to a newer build.
    async fn files(&self, path: &'static str, tally: &mut Tally) -> Result<u64, EnrichError> {
        let query = Query::verbatim(format!("sasValidHours={EXPORT_LINK_HOURS_CAP}"));
        let get = Get::new(path, Family::ExportFiles, Priority::Enrichment).query(query);
        for list in 1..=LISTS_OF_LINKS {
            *tally = Tally::new(self.folder);
            match self.linked(&get, tally).await {
                Err(EnrichError::Api(error)) if *error.kind() == ErrorKind::LinkExpired && list < LISTS_OF_LINKS => {}
                other => return other,
            }
        }
        unreachable!("the last list's outcome is returned")
    }

    /// Asks for links and reads what is behind them.
    async fn linked(&self, get: &Get, tally: &mut Tally) -> Result<u64, EnrichError> {
        let (mut tries, mut rows) = (Tries::default(), 0);
        let list = loop {
            match self.client.export_files(get).await {
                Ok(list) => break list,
                Err(error) => calm(error, &mut tries).await?,
            }
        };
        for file in &list.files {
            let mut tries = Tries::default();
            rows += loop {
                match self.file(file, tally).await {
                    Err(EnrichError::Api(error)) => calm(error, &mut tries).await?,
                    other => break other?,
                }
            };
        }
        Ok(rows)
    }

    /// The rows of one file. A file that is fetched again shows them again, which changes no count.
    async fn file(&self, file: &ExportFile, tally: &mut Tally) -> Result<u64, EnrichError> {
        let mut lines = self.client.fetch(file).await?;
        while let Some(row) = lines.next().await? {
            self.take("", row, tally)?;
        }
        Ok(lines.rows())
    }

    /// What belongs to each entity of a list.
    async fn each(&self, (path, each): (&str, &str), family: Family, tally: &mut Tally) -> Result<u64, EnrichError> {
        let mut ids: Vec<String> = Vec::new();
        let get = Get::new(path, family, Priority::Enrichment);
        let mut id_of = |row: &[u8]| {
            ids.extend(RawObject::parse(row)?.text("id").map(Cow::into_owned));
            if ids.len() > MOST_OF_EACH { Err(EnrichError::TooMany { limit: MOST_OF_EACH }) } else { Ok(()) }
        };
        List::new(self.client, get, Some(PAGE_CAP)).all(&mut id_of).await?;
        ids.sort_unstable();
        ids.dedup();
        let mut rows = 0;
        for id in &ids {
            let get = Get::new(each.replace("{id}", &segment(id)), family, Priority::Enrichment);
            let list = List::new(self.client, get, Some(PAGE_CAP)).all(&mut |row| self.take(id, row, tally)).await;
            match list {
                Ok(more) => rows += more,
                // It has gone since the list was read.
                Err(EnrichError::Api(error)) if *error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    /// Takes one row for every count in the pass. `owner`: the entity under which it was found.
    fn take(&self, owner: &str, row: &[u8], tally: &mut Tally) -> Result<(), EnrichError> {
        let row = RawObject::parse(row)?;
        for (number, Use { stream, grouped, .. }) in (0_u8..).zip(self.uses) {
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

/// The first half of a hash.
fn half(hash: &[u8]) -> [u8; 16] {
    std::array::from_fn(|index| hash[index])
}
