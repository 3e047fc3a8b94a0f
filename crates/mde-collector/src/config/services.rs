//! `services` of an input: what is pulled, how often, from when, and how it leaves.

use super::key::{About, Branch, Declared, Form, Key, Table, keys};
use super::problem::Fault;
use super::section::{Section, choices};
use super::tree::shown_key;
use super::{
    Backend, Emit, Enrichment, Method, Obfuscation, ServiceConfig, Sweep, endpoints, flatten, limits, obfuscation,
    queries, scope, tag, units,
};
use crate::service::{self, Api, Count, Pull, SERVICES, ServiceDef};
use std::time::Duration;

keys! {
    /// What an input may say for all its services, and each of them for itself.
    pub(super) static INHERITED;
    /// Where the first pull starts: a date, or a date with a time, UTC where no zone is said. Changed, the service starts again from there.
    HISTORICAL: Key<i64> = Key::parsed("historical_poll_datetime", Form::Moment, |_, text| units::moment_ms(text)).official()
        .otherwise("7 days back");
    /// Pulls start at multiples of the period.
    TIME_SLOTS: Key<bool> = Key::boolean("use_time_slots_for_retrievals").official().default("false");
}

keys! {
    /// Keys of every service.
    static KEYS;
    /// `false`: the service is not pulled.
    ENABLED: Key<bool> = Key::boolean("enabled").default("true");
    /// Time between two pulls. Machines: under 3600 is an error; other snapshots are raised to 3600.
    PERIOD: Key<Duration> = period_key().otherwise("see services.md");
    /// The official collector's modules of a service; there is one of each here.
    TYPES: Key<Branch> = Key::tree("types", Form::Any).obsolete();
}

keys! {
    /// The choice among a source's ways.
    pub(super) static WAYS;
    /// How the source is read: the whole list each time, or what has changed since the last time.
    MODE: Key<Mode> = Key::word("mode", &[("snapshot", Mode::Snapshot), ("incremental", Mode::Incremental)])
        .otherwise("snapshot");
}

keys! {
    /// Re-reading by time.
    pub(super) static OVERLAPPING;
    /// Re-read before the checkpoint, for updates that become visible late. Nothing is sent twice by it.
    OVERLAP: Key<Duration> = Key::duration("overlap").default("10m");
}

keys! {
    /// Wider re-reading by time.
    pub(super) static SWEEPING;
    /// A wider re-read now and then, for updates that become visible very late.
    SWEEP: Key<Branch> = Key::tree("sweep", Form::Section(&SWEEP_TABLE));
}

keys! {
    /// Keys of `sweep`.
    static SWEEP_KEYS;
    /// Time between two of them.
    EVERY: Key<Duration> = Key::interval("every").default("1h");
    /// How late an update may become visible and still be found.
    BACK: Key<Duration> = Key::duration("back").default("24h");
}

/// `inputs.*.services.*.sweep`.
static SWEEP_TABLE: Table =
    Table { path: "inputs.*.services.*.sweep", doc: "A wider re-read now and then.", groups: &[SWEEP_KEYS] };

keys! {
    /// What narrows a list.
    pub(super) static FILTERING;
    /// An OData filter of the classic API, ANDed, in brackets, to our own: `severity ne 'Informational'`.
    FILTER: Key<String> = Key::parsed("filter", Form::Text, |_, filter| closed(filter));
}

keys! {
    /// What leaves of a snapshot.
    pub(super) static SNAPSHOTS;
    /// `changes`: only entities whose content has changed since the last snapshot, and tombstones for the gone.
    EMIT: Key<Emit> = Key::word("emit", &[("all", Emit::All), ("changes", Emit::Changes)]).default("all");
    /// Properties that are no change for `emit: changes`.
    CHANGES_IGNORE: Key<Branch> = Key::tree("changes_ignore", Form::Texts);
    /// `true`: a snapshot ends with an event that says how many entities it has and whether it is complete.
    MARKER: Key<bool> = Key::boolean("snapshot_marker").default("false");
}

keys! {
    /// How counts are had.
    pub(super) static COUNTING;
    /// How the `related_*` counts are had that the service's flags ask for.
    ENRICHMENT: Key<Branch> = Key::tree("enrichment", Form::Section(&ENRICHMENT_TABLE));
}

keys! {
    /// Keys of `enrichment`.
    static ENRICHMENT_KEYS;
    /// A call for each entity, a few calls for all, or whichever of them fits the quota.
    METHOD: Key<Method> = Key::word("method", &[
        ("auto", Method::Auto), ("per_entity", Method::PerEntity), ("bulk", Method::Bulk),
    ]).default("auto");
    /// A count older than this is asked for again.
    MAX_AGE: Key<Duration> = Key::interval("max_age").default("6h");
}

/// `inputs.*.services.*.enrichment`.
static ENRICHMENT_TABLE: Table = Table {
    path: "inputs.*.services.*.enrichment",
    doc: "How `related_*` counts are had.",
    groups: &[ENRICHMENT_KEYS],
};

keys! {
    /// What a source that Graph has too may be told about it.
    pub(super) static SHAPING;
    /// `mde`: events have the classic names and nesting whatever API was read; `native`: as the API gives them.
    SHAPE: Key<bool> = Key::word("shape", &[("mde", false), ("native", true)]).default("mde");
    /// Which products' alerts Graph is asked for: those of the classic API, or all.
    SCOPE: Key<bool> = Key::word("scope", &[("endpoint", false), ("all", true)]).default("endpoint");
}

keys! {
    /// What narrows a list of Graph.
    pub(super) static GRAPH_FILTERING;
    /// As `filter`, for Microsoft Graph, in its words: `severity ne 'informational'`.
    GRAPH_FILTER: Key<String> = Key::parsed("graph_filter", Form::Text, |_, filter| closed(filter));
}

/// `inputs.*.services.*`; the flags of a service's counts come on top.
pub(super) static TABLE: Table = Table {
    path: "inputs.*.services.*",
    doc: "One service, under its name. Which keys mean something depends on how the service is read; another one is an error.",
    groups: &[
        KEYS,
        INHERITED,
        WAYS,
        OVERLAPPING,
        SWEEPING,
        FILTERING,
        SNAPSHOTS,
        queries::KEYS,
        COUNTING,
        SHAPING,
        GRAPH_FILTERING,
        flatten::KEYS,
        tag::KEYS,
        obfuscation::KEYS,
        limits::KEYS,
        endpoints::BACKEND_KEYS,
    ],
};

/// The key of a service's or a query's period.
pub(super) const fn period_key() -> Key<Duration> {
    Key::seconds("request_period_in_seconds", units::SHORTEST, units::LONGEST).official()
}

/// The two ways that a person can choose between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The whole list each time.
    Snapshot,
    /// What has changed.
    Incremental,
}

impl Mode {
    /// The mode of a way, and its word; none for a way that nobody chooses.
    pub fn of(pull: &Pull) -> Option<(Self, &'static str)> {
        match pull {
            Pull::Snapshot { .. } => Some((Self::Snapshot, "snapshot")),
            Pull::Window { .. } => Some((Self::Incremental, "incremental")),
            Pull::Open { .. } | Pull::Slices => None,
        }
    }
}

/// Services whose period is an error when it is too short, as the official collector has it; for others it is raised.
const REFUSED_PERIOD: &[&str] = &["machines"];

/// What an input says for all its services.
#[derive(Debug, Clone, Default)]
pub(super) struct Inherited {
    /// Where the first pull starts. Unit: milliseconds since 1970, UTC.
    pub historical_ms: Option<i64>,
    /// Pulls start at multiples of the period.
    pub time_slots: bool,
    /// Devo tag.
    pub tag: Option<String>,
    /// Values replaced before anything is stored.
    pub obfuscation: Vec<Obfuscation>,
    /// Which API is read.
    pub backend: Option<Backend>,
}

/// Reads what an input may say for all its services.
pub(super) fn inherited(input: &Section<'_>) -> Inherited {
    Inherited {
        historical_ms: input.optional(&HISTORICAL),
        time_slots: input.value(&TIME_SLOTS),
        tag: tag::load(input, &tag::TAG),
        obfuscation: obfuscation::load(input),
        backend: endpoints::backend(input),
    }
}

/// Reads the services of an input.
pub(super) fn load(section: Section<'_>, inherited: &Inherited) -> Vec<ServiceConfig> {
    let mut services: Vec<ServiceConfig> = Vec::new();
    // Whether a service has been refused already: that there is none left is no news then.
    let mut refused = section.is_broken();
    for entry in section.entries() {
        match service::find(&entry.key) {
            Some(def) if services.iter().any(|other| other.def.name == def.name) => {
                refused = true;
                let fault = Fault::new(format!("the service {} stands twice, under two spellings", def.name));
                section.report.error(entry.at(), fault.help("keep one of the two"));
            }
            Some(def) => {
                let errors = section.report.error_count();
                services.extend(one(Section::of(section.report, entry, &TABLE), def, inherited));
                refused |= section.report.error_count() > errors;
            }
            None => {
                refused = true;
                let fault = Fault::new(format!("there is no service `{}`", shown_key(&entry.key)));
                section.report.error(entry.at(), fault.help(choices(&entry.key, names())));
            }
        }
    }
    wanted(&section, &mut services, inherited);
    if services.is_empty() && !refused {
        let is_empty = section.entries().is_empty();
        let fault = Fault::new(if is_empty { "the input has no service" } else { "no service is enabled" });
        let names: Vec<&str> = names().collect();
        section.report.error(section.at(), fault.help(format!("write at least one of: {}", names.join(", "))));
    }
    services
}

/// Adds the service that a command asks for where the file does not have it, as if its section were empty. A service that
/// consists of its queries cannot come out of nothing.
fn wanted(section: &Section<'_>, services: &mut Vec<ServiceConfig>, inherited: &Inherited) {
    let Some(def) = section.report.options.service.and_then(service::find) else { return };
    if def.pull.contains(&Pull::Slices) || services.iter().any(|service| service.def.name == def.name) {
        return;
    }
    services.extend(one(Section::new(section.report, section.at(), None, &TABLE), def, inherited));
}

/// Names of the services.
fn names() -> impl Iterator<Item = &'static str> + Clone {
    SERVICES.iter().map(|def| def.name)
}

/// One service; none when it is switched off.
fn one(section: Section<'_>, def: &'static ServiceDef, inherited: &Inherited) -> Option<ServiceConfig> {
    let section = section.with(def.counts.iter().map(|count| count as &dyn Declared).collect());
    let enabled = section.value(&ENABLED);
    let pull = way(&section, def);
    scope::refuse(&section, def, pull);
    let (emit, changes_ignore) = (section.value(&EMIT), section.texts(&CHANGES_IGNORE));
    if emit == Emit::All && changes_ignore.is_some() {
        section.no_effect(&CHANGES_IGNORE, "it belongs to `emit: changes`");
    }
    let own_tag = tag::load(&section, &tag::TAG).or_else(|| inherited.tag.clone());
    let period = period(&section, &PERIOD, def, pull);
    let mut config = ServiceConfig {
        def,
        pull,
        period: period.unwrap_or(Duration::from_secs(def.period_s)),
        time_slots: section.optional(&TIME_SLOTS).unwrap_or(inherited.time_slots),
        historical_ms: section.optional(&HISTORICAL).or(inherited.historical_ms),
        overlap: section.value(&OVERLAP),
        sweep: sweep(section.section(&SWEEP)),
        emit,
        changes_ignore: changes_ignore.unwrap_or_default().into_iter().map(|(name, _)| name).collect(),
        snapshot_marker: section.value(&MARKER),
        counts: counts(&section, def),
        enrichment: enrichment(section.section(&ENRICHMENT)),
        queries: Vec::new(),
        flatten: flatten::load(&section, def),
        tag: own_tag.clone().unwrap_or_else(|| def.tag.to_owned()),
        filter: section.optional(&FILTER),
        backend: endpoints::service_backend(&section, def, pull, inherited.backend),
        native: section.value(&SHAPE),
        native_tag: native_tag(def, own_tag.as_deref()),
        all_products: section.value(&SCOPE),
        graph_filter: section.optional(&GRAPH_FILTER),
        obfuscation: [inherited.obfuscation.clone(), obfuscation::load(&section)].concat(),
        limits: limits::load(&section),
    };
    if config.backend == Backend::Graph && def.endpoint.api == Api::Mde && config.filter.is_some() {
        section.wrong(
            &FILTER,
            Fault::new("is of the classic API, which is not read").help("write `graph_filter`, or leave it out"),
        );
    }
    if matches!(pull, Pull::Slices) {
        config.queries = queries::load(&section, def, own_tag.as_deref(), period);
    }
    let is_wanted = section.report.options.service == Some(def.name);
    section.finish();
    (enabled || is_wanted).then_some(config)
}

/// Devo tag of rows in the form of another API: never the classic table, unless somebody says so.
fn native_tag(def: &ServiceDef, own: Option<&str>) -> String {
    let default = def.elsewhere.iter().find_map(|other| other.native.as_ref()).map_or("", |native| native.tag);
    own.unwrap_or(default).to_owned()
}

/// The way that the source is read.
fn way(section: &Section<'_>, def: &'static ServiceDef) -> &'static Pull {
    let wanted = section.optional(&MODE);
    let chosen = def.pull.iter().find(|pull| wanted.is_some() && Mode::of(pull).map(|(mode, _)| mode) == wanted);
    chosen.or(def.pull.first()).expect("every source has a way to read it")
}

/// Time between two pulls, where one is written; a snapshot's is not shorter than its source bears.
pub(super) fn period(
    section: &Section<'_>,
    key: &'static Key<Duration>,
    def: &ServiceDef,
    pull: &Pull,
) -> Option<Duration> {
    let period = section.optional(key)?;
    let Pull::Snapshot { min_period_s } = *pull else { return Some(period) };
    let least = Duration::from_secs(min_period_s);
    if period >= least {
        return Some(period);
    }
    if REFUSED_PERIOD.contains(&def.name) {
        section
            .wrong(key, Fault::new(format!("is too short for {}", def.name)).help(format!("at least {min_period_s}")));
    } else {
        let fault = Fault::new(format!("the period becomes {min_period_s} seconds"));
        section.warn(key, fault.help("a snapshot reads the whole list"));
    }
    Some(least)
}

/// The wider re-read.
fn sweep(section: Section<'_>) -> Sweep {
    let sweep = Sweep { every: section.value(&EVERY), back: section.value(&BACK) };
    section.finish();
    sweep
}

/// How counts are had.
fn enrichment(section: Section<'_>) -> Enrichment {
    let enrichment = Enrichment { method: section.value(&METHOD), max_age: section.value(&MAX_AGE) };
    section.finish();
    enrichment
}

/// The counts whose flags are set.
fn counts(section: &Section<'_>, def: &'static ServiceDef) -> Vec<&'static Count> {
    def.counts.iter().filter(|count| section.value(&count.flag())).collect()
}

impl Count {
    /// Its flag as a key.
    const fn flag(&self) -> Key<bool> {
        Key::boolean(self.option).alias(self.aliases).official().default("false")
    }
}

impl Declared for Count {
    fn about(&self) -> About {
        let doc = format!("Adds `{}`: how many there are for each entity.", self.field);
        About { doc, ..self.flag().about() }
    }

    fn names(&self) -> Vec<&'static str> {
        self.flag().names()
    }

    fn probe(&self, section: &Section<'_>) {
        self.flag().probe(section);
    }
}

/// A filter is put in brackets and joined to our own, so it must not end them, nor leave a text open.
fn closed(filter: &str) -> Result<String, Fault> {
    let (mut open, mut quoted) = (0i64, false);
    for c in filter.chars() {
        match c {
            // Two quotes inside a text stand for one; they end it and begin it again here, which comes to the same.
            '\'' => quoted = !quoted,
            '(' if !quoted => open += 1,
            ')' if !quoted => open -= 1,
            _ => {}
        }
        if open < 0 {
            break;
        }
    }
    match (open, quoted) {
        (0, false) => Ok(filter.to_owned()),
        (_, true) => Err(Fault::new("is no filter: a text has no end")
            .help("texts stand in single quotes, such as severity ne 'Informational'")),
        _ => Err(Fault::new("is no filter: its brackets do not match")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_cannot_leave_its_brackets() {
        for good in ["severity ne 'Informational'", "(a eq 1) or (b eq 2)", "t eq 'it''s )('"] {
            assert!(closed(good).is_ok(), "{good}");
        }
        for bad in ["a) or (b", "(a", "a)", "t eq 'x"] {
            assert!(closed(bad).is_err(), "{bad}");
        }
    }
}
