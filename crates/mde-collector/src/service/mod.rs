//! The table of Defender data sources. It is data: no async, no clock, no store, no output.
//!
//! If a source does not fit, a new enum variant comes here, never a puller of its own.

mod advanced_hunting;
mod alerts;
mod count;
mod graph;
mod hunting;
mod incidents;
mod investigations;
mod machines;
mod recommendations;
mod shape;
mod software;
mod vulnerabilities;

pub use shape::{Core, Field, Pick, Take};

pub use count::{
    Answer, Bulk, Count, Grouped, JOINT, Method, OWNER, Only, Part, Pass, PerEntity, Read, Related, Silence,
};

use crate::record::{RawObject, content_hash, hex, row_hash};
use mde_client::limits::Family;
use std::borrow::Cow;

/// One Defender data source.
#[derive(Debug)]
pub struct ServiceDef {
    /// Config key = file = metric label = status row = golden folder.
    pub name: &'static str,
    /// Older spellings accepted in a configuration.
    pub aliases: &'static [&'static str],
    /// Where the source is read.
    pub endpoint: Endpoint,
    /// Where else it can be read, best first.
    pub elsewhere: &'static [Elsewhere],
    /// The ways it can be read; the first is the default.
    pub pull: &'static [Pull],
    /// What names one version.
    pub key: Key,
    /// `related_*` counts: the option that asks for each, and the field it adds.
    pub counts: &'static [Count],
    /// What is flattened unless the configuration says otherwise.
    pub flatten: &'static [Flatten],
    /// Default Devo tag.
    pub tag: &'static str,
    /// Default time between two pulls. Unit: seconds.
    pub period_s: u64,
}

/// What a source is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// The classic API of Defender for Endpoint.
    Mde,
    /// Lists of Microsoft Graph.
    Graph,
    /// Tables of advanced hunting.
    Hunting,
}

impl Api {
    /// All of them, with their names in state and status.
    const NAMES: [(Self, &'static str); 3] = [(Self::Mde, "mde"), (Self::Graph, "graph"), (Self::Hunting, "hunting")];

    /// Its name in state and status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(api, _)| *api)
    }
}

/// Another API that has a source's entities, in words of its own: same ids, same stream, same machine.
#[derive(Debug)]
pub struct Elsewhere {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How it is read there; a source that is read in another way is not to be had there.
    pub pull: Pull,
    /// What is asked, where the endpoint runs queries.
    pub query: Option<&'static str>,
    /// Property and value that leave what the source itself shows; all other rows are further ones.
    pub scope: Option<(&'static str, &'static str)>,
    /// How a row takes the source's own form.
    pub shape: &'static [Field],
    /// How rows leave that keep their form; `None`: they never do.
    pub native: Option<Native>,
    /// What two versions are compared by, where update times of both APIs need not agree; `None` for snapshots.
    pub core: Option<&'static Core>,
    /// What it does not have, as the end of a sentence.
    pub lacks: &'static str,
}

impl Elsewhere {
    /// Whether a source that is read in that way can be read so here.
    #[must_use]
    pub fn reads(&self, pull: &Pull) -> bool {
        std::mem::discriminant(&self.pull) == std::mem::discriminant(pull)
    }
}

/// Rows that keep the form in which another API gives them.
#[derive(Debug)]
pub struct Native {
    /// What names one version in it.
    pub key: Key,
    /// Default Devo tag.
    pub tag: &'static str,
}

/// How an answer of a list tells that there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// Asked without `$top`: by a link.
    Linked,
    /// Asked with `$top` and `$count`: by the number of all rows. `$skip` reaches `skip_cap` rows and no further.
    Counted {
        /// Unit: rows.
        skip_cap: usize,
    },
}

/// Where a source is read.
#[derive(Debug)]
pub struct Endpoint {
    /// Whose it is.
    pub api: Api,
    /// Path below the API's base URL.
    pub path: &'static str,
    /// Value of `$expand`, where the list can carry more.
    pub expand: Option<&'static str>,
    /// Application roles; any one of them is enough.
    pub roles: &'static [&'static str],
    /// The budget that a call spends from.
    pub family: Family,
    /// Most rows that one answer can hold.
    pub page_cap: usize,
    /// How it tells that there are more.
    pub paging: Paging,
}

/// A way to read a source.
#[derive(Debug, PartialEq, Eq)]
pub enum Pull {
    /// Closed windows over a time of the record.
    Window {
        /// The time that filters.
        time: &'static str,
        /// Fields that split what no time can: (field, its known values).
        splits: &'static [(&'static str, &'static [&'static str])],
    },
    /// The whole list, each entity once per snapshot.
    Snapshot {
        /// Shortest time between two snapshots. Unit: seconds.
        min_period_s: u64,
    },
    /// Windows over the time at which an entity begins, read again from the oldest one that has not ended.
    Open {
        /// The time that filters.
        start: &'static str,
        /// The time at which it ended; absent or null while it is open.
        end: &'static str,
    },
    /// Closed time slices of a query.
    Slices,
}

/// What names one version of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Key {
    /// These fields, in this order; the first is the entity's id. A snapshot uses its own id and the first alone.
    Fields(&'static [&'static str]),
    /// These fields and a hash of the whole content, for sources without a time of their last change.
    FieldsAndContent(&'static [&'static str]),
    /// A hash of the row, the same at whichever endpoint it was asked for, and its number among equal rows.
    RowHash,
}

impl Key {
    /// What names this record's version, in order; the first part names the entity (a row without one: its own hash).
    ///
    /// # Errors
    /// The field that the record lacks.
    pub fn parts<'a>(&self, record: &RawObject<'a>) -> Result<Vec<Cow<'a, str>>, &'static str> {
        let fields = match self {
            Self::Fields(fields) | Self::FieldsAndContent(fields) => *fields,
            Self::RowHash => &[],
        };
        let texts = fields.iter().map(|field| record.text(field).ok_or(*field));
        let mut parts = texts.collect::<Result<Vec<_>, _>>()?;
        match self {
            Self::Fields(_) => {}
            Self::FieldsAndContent(_) => parts.push(Cow::Owned(hex(&content_hash(record, &[])))),
            Self::RowHash => parts.push(Cow::Owned(hex(&row_hash(record)))),
        }
        Ok(parts)
    }
}

/// What is flattened by default.
#[derive(Debug, PartialEq, Eq)]
pub enum Flatten {
    /// An object, its members joined to its name.
    Object(&'static str),
    /// An array, one event for each element.
    Array(&'static str),
}

/// Whether an application with these roles may do what needs one of `wanted`: where none is wanted it may, and where a token
/// cannot be read (`None`) it is assumed to.
#[must_use]
pub fn permitted(wanted: &[&str], roles: Option<&[String]>) -> bool {
    let roles = roles.filter(|_| !wanted.is_empty());
    roles.is_none_or(|roles| roles.iter().any(|role| wanted.contains(&role.as_str())))
}

/// Every source that this version reads, in the order of the documentation.
pub static SERVICES: &[&ServiceDef] = &[
    &alerts::DEF,
    &machines::DEF,
    &vulnerabilities::DEF,
    &software::DEF,
    &recommendations::DEF,
    &investigations::DEF,
    &advanced_hunting::DEF,
    &incidents::DEF,
];

impl ServiceDef {
    /// Where it is read there; `None`: where the source itself is.
    #[must_use]
    pub fn endpoint_at(&'static self, elsewhere: Option<&'static Elsewhere>) -> &'static Endpoint {
        elsewhere.map_or(&self.endpoint, |other| &other.endpoint)
    }
}

/// The source of that name or alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static ServiceDef> {
    SERVICES.iter().copied().find(|service| service.name == name || service.aliases.contains(&name))
}
