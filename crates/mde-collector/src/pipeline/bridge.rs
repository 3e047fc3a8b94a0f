//! Versions that another API has shown already. Update times of two APIs need not agree, so a version is recognised by what both
//! show of it in the same way (its core) together with a time that is near, or that lies before the place up to which the other one
//! had been read while its newest version was this one. Everything else is a new version, in both directions.
//!
//! Two things are kept for it with each version, and forgotten with its key: a name made of id, core and time, which is a version
//! key as any other; and of each entity the core of its newest version, which is an entity as any other.

use super::retry::PipelineError;
use crate::record::{EntityKey, Identity, RawObject, StoredKey, StreamKey, VersionKey, hex};
use crate::service::{Api, Core};
use crate::shape::core_hash;
use crate::store::{Seen, Store};

/// 100 ns in a millisecond.
const TICKS: i64 = 10_000;
/// Times up to so far apart are near, and those from half as much more on are not. Unit: 100 ns (5 s).
const NEAR: i64 = 5_000 * TICKS;
/// Times are told apart by steps of this length, so that a name can hold one. Unit: 100 ns.
const STEP: i64 = NEAR / 2;
/// What these names begin with: nothing that is an id.
const MARK: &str = "@core";

/// Recognises a stream's versions.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// What is compared.
    pub core: &'static Core,
    /// The stream.
    pub stream: StreamKey,
    /// What it is read from now.
    pub here: Api,
    /// What was left for it, and where everything before had been read there. Unit: milliseconds since 1970, UTC.
    pub left: Option<(Api, i64)>,
}

/// A version as it is compared.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The entity's id.
    id: String,
    /// Its core.
    core: [u8; 16],
    /// Its time. Unit: 100 ns since 1970, UTC.
    time: i64,
}

/// What is known of a version by its mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recognised {
    /// The other API has shown it.
    pub there: bool,
    /// Its name is stored for this API.
    marked: bool,
}

/// Marks of a version, to be stored with it.
pub struct Marks {
    /// Its name; `None` where it is stored.
    pub key: Option<StoredKey>,
    /// The newest version of its entity.
    pub newest: Seen,
}

impl Bridge {
    /// A version's mark; of a row in the source's own form.
    pub fn mark(&self, id: &str, row: &RawObject<'_>, time: i64) -> Mark {
        // Ids of old alerts lack what newer ones begin with.
        let id = self.core.prefixes.iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id).to_owned();
        Mark { id, core: core_hash(self.core, row), time }
    }

    /// What is known of these versions.
    pub async fn recognise(&self, store: &dyn Store, marks: &[Mark]) -> Result<Vec<Recognised>, PipelineError> {
        let mut recognised = vec![Recognised::default(); marks.len()];
        let own: Vec<_> = marks.iter().map(|mark| self.name(self.here, mark, 0)).collect();
        for (found, marked) in recognised.iter_mut().zip(store.known(&self.stream, &own).await?) {
            found.marked = marked;
        }
        let Some((there, read_ms)) = self.left else { return Ok(recognised) };
        let steps = -NEAR / STEP..=NEAR / STEP;
        let near: Vec<_> =
            marks.iter().flat_map(|mark| steps.clone().map(|step| self.name(there, mark, step))).collect();
        let near = store.known(&self.stream, &near).await?;
        let newest: Vec<_> = marks.iter().map(|mark| self.entity(there, mark)).collect();
        let newest = store.last_seen(&self.stream, &newest).await?;
        let each = near.chunks(steps.count()).zip(newest).zip(marks);
        for (found, ((near, newest), mark)) in recognised.iter_mut().zip(each) {
            let before = mark.time < read_ms.saturating_mul(TICKS);
            let is_newest = newest.is_some_and(|newest| newest.content == mark.core);
            found.there = near.contains(&true) || (before && is_newest);
        }
        Ok(recognised)
    }

    /// What is stored with a version; `time_ms`: by which its key is forgotten.
    pub fn marks(&self, mark: &Mark, recognised: Recognised, time_ms: i64) -> Marks {
        let key = (!recognised.marked).then(|| StoredKey { key: self.name(self.here, mark, 0), time_ms });
        let (key_of_newest, snapshot) = (self.entity(self.here, mark), number(mark.time));
        // Without an id: it is no entity of a snapshot that anybody could ask for.
        Marks { key, newest: Seen { key: key_of_newest, id: String::new(), snapshot, content: mark.core } }
    }

    /// The name of a version as that API has shown it, or of one so many steps later.
    fn name(&self, api: Api, mark: &Mark, steps: i64) -> VersionKey {
        let step = (mark.time.div_euclid(STEP) + steps).to_string();
        let parts = [MARK, api.name(), &mark.id, &hex(&mark.core), &step];
        Identity::new(&self.stream.tenant, &self.stream.service, parts).key()
    }

    /// The name of an entity as that API has shown it.
    fn entity(&self, api: Api, mark: &Mark) -> EntityKey {
        let parts = [MARK, api.name(), &mark.id];
        EntityKey(Identity::new(&self.stream.tenant, &self.stream.service, parts).key().0)
    }
}

/// A time as the number that tells newer from older. Unit: 100 ns since 1970, UTC.
fn number(time: i64) -> u64 {
    u64::try_from(time).unwrap_or_default()
}

/// The number of the first version that is not forgotten yet. Unit: milliseconds since 1970, UTC.
pub fn horizon(forget_before_ms: i64) -> u64 {
    number(forget_before_ms.saturating_mul(TICKS))
}

#[cfg(test)]
mod tests;
