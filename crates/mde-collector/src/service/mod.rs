//! The table of Defender data sources. It is data: no async, no clock, no store, no output.
//!
//! If a source does not fit, a new enum variant comes here, never a puller of its own.

mod alerts;

use mde_client::limits::Family;

/// One Defender data source.
#[derive(Debug)]
pub struct ServiceDef {
    /// Config key = file = metric label = status row = golden folder.
    pub name: &'static str,
    /// Older spellings accepted in a configuration.
    pub aliases: &'static [&'static str],
    /// Where the source is read.
    pub endpoint: Endpoint,
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

/// Where a source is read.
#[derive(Debug)]
pub struct Endpoint {
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
}

/// What names one version of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Key {
    /// These fields, in this order; the first is the entity's id.
    Fields(&'static [&'static str]),
}

/// One `related_*` count.
#[derive(Debug, PartialEq, Eq)]
pub struct Count {
    /// The configuration's flag.
    pub option: &'static str,
    /// Older spellings of the flag.
    pub aliases: &'static [&'static str],
    /// The property that it adds.
    pub field: &'static str,
}

/// What is flattened by default.
#[derive(Debug, PartialEq, Eq)]
pub enum Flatten {
    /// An object, its members joined to its name.
    Object(&'static str),
    /// An array, one event for each element.
    Array(&'static str),
}

/// Every source that this version reads, in the order of the documentation.
pub static SERVICES: &[&ServiceDef] = &[&alerts::DEF];

/// Services of the official collector that are not read yet: (name, aliases). A configuration that names one loads.
pub static ANNOUNCED: &[(&str, &[&str])] = &[
    ("machines", &[]),
    ("vulnerabilities", &["vulnerabiities"]),
    ("software", &["softwares"]),
    ("recommendations", &[]),
    ("investigations", &[]),
    ("advanced_hunting", &["advanced_huntuing"]),
];

/// The source of that name or alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static ServiceDef> {
    SERVICES.iter().copied().find(|service| service.name == name || service.aliases.contains(&name))
}
