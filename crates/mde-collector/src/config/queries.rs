//! `queries` of advanced hunting: each is a stream of its own, with its own tag.

use super::key::{Branch, Declared, Form, Key, Table, keys};
use super::problem::Fault;
use super::section::Section;
use super::tree::{Entry, Value};
use super::{QueryConfig, Sweep, services, tag};
use crate::service::{Pull, ServiceDef};
use std::time::Duration;

keys! {
    /// What only hunting knows.
    pub(super) static KEYS;
    /// The queries, as a list or each under its name.
    QUERIES: Key<Branch> = Key::tree("queries", Form::NamedOrList(&TABLE)).required();
}

keys! {
    /// Keys of a query.
    static QUERY_KEYS;
    /// Its name: letters, digits, `_`, `-` and `.`. State belongs to it. Left out where the query stands under its name.
    NAME: Key<String> = Key::parsed("name", Form::Text, |_, name| legal(name)).required().example("logons");
    /// The KQL text. With `{from}` and `{to}` in it the slice is put there, else it is added at the end.
    QUERY: Key<String> = Key::parsed("query", Form::Text, |_, query| sliced(query)).alias(&["kql", "query_text"])
        .required().example("DeviceLogonEvents");
    /// Devo tag of its rows.
    TAG: Key<String> = tag::key().otherwise("the service's or the input's; one is needed").example("my.app.defender.logons");
    /// The column whose time puts a row into a slice. Without it, and without `{from}` and `{to}`, each run is a snapshot.
    COLUMN: Key<String> = Key::parsed("timestamp_column", Form::Text, |_, column| identifier(column)).example("Timestamp");
}

keys! {
    /// How a query that is read by time is read.
    static SLICED;
    /// Re-read before the checkpoint, for rows that arrive late.
    OVERLAP: Key<Duration> = Key::duration("overlap").default("30m");
    /// A wider re-read now and then, for rows that arrive very late.
    SWEEP: Key<Branch> = Key::tree("sweep", Form::Section(&SWEEP_TABLE));
    /// Slices begin at multiples of this and are read once, without overlap: for queries whose rows depend on the slice.
    ALIGN: Key<Duration> = Key::interval("align");
    /// How long after the end of an aligned slice it is read.
    SETTLE: Key<Duration> = Key::duration("settle").default("30m");
}

keys! {
    /// Further keys of a query.
    static FURTHER;
    /// `false`: the query is not run.
    ENABLED: Key<bool> = Key::boolean("enabled").default("true");
    /// An answer of so many rows is not whole, and is asked for in parts.
    ROW_CAP: Key<i64> = Key::integer("row_cap", 1, 100_000).default("100000");
    /// Time between two runs; a snapshot's is raised to 3600.
    PERIOD: Key<Duration> = services::period_key().otherwise("the service's, 3600 for a snapshot");
}

/// One query.
static TABLE: Table = Table {
    path: "inputs.*.services.advanced_hunting.queries.*",
    doc: "One hunting query: a stream of its own.",
    groups: &[QUERY_KEYS, SLICED, FURTHER],
};

keys! {
    /// Keys of its `sweep`.
    static SWEEP_KEYS;
    /// Time between two of them.
    EVERY: Key<Duration> = Key::interval("every").default("6h");
    /// How late a row may arrive and still be found.
    BACK: Key<Duration> = Key::duration("back").default("24h");
}

/// `sweep` of a query.
static SWEEP_TABLE: Table = Table {
    path: "inputs.*.services.advanced_hunting.queries.*.sweep",
    doc: "A wider re-read of a query now and then.",
    groups: &[SWEEP_KEYS],
};

/// A query as it could be written.
const SAMPLE: &str = "such as `queries: [{name: logons, query: DeviceLogonEvents, devo_tag: my.app.defender.logons, timestamp_column: Timestamp}]`";

/// Whether a query has one of these keys as well.
pub(super) fn have(keys: &[&dyn Declared]) -> bool {
    keys.iter().any(|key| SLICED.iter().any(|own| own.names() == key.names()))
}

/// Reads the queries of a service; `tag` and `period`: what the service says for all of them.
pub(super) fn load(
    service: &Section<'_>,
    def: &'static ServiceDef,
    tag: Option<&str>,
    period: Option<Duration>,
) -> Vec<QueryConfig> {
    let mut taken: Vec<String> = Vec::new();
    let mut queries = Vec::new();
    let sections = sections(service);
    if sections.as_ref().is_some_and(Vec::is_empty) {
        let at = service.given(&QUERIES).map_or_else(|| service.at(), Entry::at);
        service.report.error(at, Fault::new(format!("{} has no query", def.name)).help(SAMPLE));
    }
    for (name, section) in sections.unwrap_or_default() {
        let name = named(&section, name, &mut taken);
        queries.extend(one(section, name, def, tag, period));
    }
    queries
}

/// The sections of the queries, with the names that they stand under; none when an error has been reported.
fn sections<'r>(service: &Section<'r>) -> Option<Vec<(Option<&'r Entry>, Section<'r>)>> {
    let Some(entry) = service.given(&QUERIES) else { return Some(Vec::new()) };
    let report = service.report;
    match &entry.value.value {
        Value::Map(entries) => {
            Some(entries.iter().map(|entry| (Some(entry), Section::of(report, entry, &TABLE))).collect())
        }
        Value::List(items) => Some(items.iter().map(|item| (None, Section::item(report, item, &TABLE))).collect()),
        Value::Null | Value::Scalar(_) => {
            let fault = Fault::new(format!("must be a list of queries, not {}", entry.value.kind()));
            report.error(entry.value.at(), fault.help(SAMPLE));
            None
        }
    }
}

/// The name of a query, which no other has; none when an error has been reported.
fn named(section: &Section<'_>, under: Option<&Entry>, taken: &mut Vec<String>) -> Option<String> {
    let name = match under {
        Some(entry) => {
            section.no_effect(&NAME, "the query stands under its name");
            match legal(&entry.key) {
                Ok(name) => Some(name),
                Err(fault) => {
                    let message = format!("`{}` {}", entry.key, fault.message);
                    section.report.error(entry.at(), Fault { message, ..fault });
                    None
                }
            }
        }
        None => section.required(&NAME),
    }?;
    if taken.contains(&name) {
        section.wrong(&NAME, Fault::new("is the name of another query").help("state belongs to the name"));
    }
    taken.push(name.clone());
    Some(name)
}

/// One query; none when it is switched off or an error has been reported.
fn one(
    section: Section<'_>,
    name: Option<String>,
    def: &'static ServiceDef,
    inherited_tag: Option<&str>,
    inherited_period: Option<Duration>,
) -> Option<QueryConfig> {
    let enabled = section.value(&ENABLED);
    let query = section.required(&QUERY);
    let own_tag = tag::load(&section, &TAG);
    // A wrong one has been reported already.
    if inherited_tag.is_none() && section.given(&TAG).is_none() {
        section.missing(&TAG);
    }
    let column = section.optional(&COLUMN);
    let by_time = column.is_some() || query.as_deref().is_some_and(has_bounds);
    let pull = def.pull.iter().find(|pull| matches!(pull, Pull::Slices) == by_time);
    let pull = pull.expect("hunting is read in slices or as snapshots");
    let (align, settle) = (section.optional(&ALIGN), section.value(&SETTLE));
    if let (Some(query), true, None) = (&query, by_time, align) {
        judge(&section, query);
    }
    refuse(&section, by_time, align.is_some());
    let default = match *pull {
        Pull::Snapshot { min_period_s } => inherited_period.unwrap_or_default().max(Duration::from_secs(min_period_s)),
        _ => inherited_period.unwrap_or(Duration::from_secs(def.period_s)),
    };
    let period = services::period(&section, &PERIOD, def, pull).unwrap_or(default);
    let overlap = section.value(&OVERLAP);
    let sweep = sweep(section.section(&SWEEP));
    let row_cap = section.value(&ROW_CAP);
    section.finish();
    enabled.then_some(())?;
    Some(QueryConfig {
        name: name?,
        query: query?,
        tag: own_tag.or_else(|| inherited_tag.map(str::to_owned))?,
        pull,
        timestamp_column: column,
        period,
        overlap: if align.is_some() { Duration::ZERO } else { overlap },
        sweep: align.is_none().then_some(sweep),
        align,
        settle,
        row_cap: usize::try_from(row_cap).expect("a small number, by its bounds"),
    })
}

/// Reports keys that mean nothing for a query that is read this way.
fn refuse(section: &Section<'_>, by_time: bool, aligned: bool) {
    let all = SLICED.iter().copied();
    let pick = |wanted: &'static [&'static str]| SLICED.iter().copied().filter(|key| wanted.contains(&key.names()[0]));
    if !by_time {
        let elsewhere = "name the column of the rows' time: `timestamp_column: Timestamp`";
        section.refuse(all, "a query without a time", elsewhere);
    } else if aligned {
        section.refuse(pick(&["overlap", "sweep"]), "a query with `align`", "each of its slices is read once");
    } else {
        section.refuse(pick(&["settle"]), "a query without `align`", "late rows are found by `overlap` and `sweep`");
    }
}

/// The wider re-read.
fn sweep(section: Section<'_>) -> Sweep {
    let sweep = Sweep { every: section.value(&EVERY), back: section.value(&BACK) };
    section.finish();
    sweep
}

/// What stands for the bounds of a slice in a query.
const BOUNDS: [&str; 2] = ["{from}", "{to}"];

/// Whether a query says itself where the slice goes.
fn has_bounds(query: &str) -> bool {
    BOUNDS.iter().all(|bound| query.contains(bound))
}

/// A query that can be cut to a slice.
fn sliced(query: &str) -> Result<String, Fault> {
    if query.trim().is_empty() {
        return Err(Fault::new("is no query").help("write KQL, such as DeviceLogonEvents"));
    }
    match BOUNDS.iter().filter(|bound| query.contains(**bound)).count() {
        1 => Err(Fault::new("has only one end of the slice").help("write both {from} and {to}, or neither")),
        _ => Ok(query.to_owned()),
    }
}

/// Words of KQL that make the rows of a query depend on the slice, or on the moment at which it is asked.
const MOVING: [&str; 6] = ["summarize", "top", "take", "limit", "now", "ago"];

/// Warns of a query that gives other rows in each slice: overlapping slices would send them again and again.
fn judge(section: &Section<'_>, query: &str) {
    // A word within a text or a comment is taken for one as well; that costs a warning.
    let words = || query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    if let Some(word) = MOVING.into_iter().find(|moving| words().any(|word| word == *moving)) {
        let fault = Fault::new(format!(
            "its rows depend on the slice or the moment (`{word}`): overlapping slices send them again"
        ));
        section.warn(&QUERY, fault.help("write `align: 1h`, so that each slice is read once, some time after its end"));
    }
}

/// A name that can stand in the name of a stream and of a file.
fn legal(name: &str) -> Result<String, Fault> {
    match name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        true => Ok(name.to_owned()),
        false => Err(Fault::new("is no name of a query").help("use letters, digits, `_`, `-` and `.`")),
    }
}

/// A column's name, which is put into the query as it is.
fn identifier(column: &str) -> Result<String, Fault> {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    match column.starts_with(starts) && column.chars().all(|c| starts(c) || c.is_ascii_digit()) {
        true => Ok(column.to_owned()),
        false => Err(Fault::new("is no name of a column").help("letters, digits and `_`, such as Timestamp")),
    }
}
