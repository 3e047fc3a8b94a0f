//! What each output can be told. One file per output; a variant here is its registration.

pub mod compression;
pub mod console;
pub mod devo;
pub mod file;
pub mod http;
pub mod kafka;
pub mod nats;

use super::key::{Branch, Declared, Form, Key, Table, Types, keys};
use super::problem::Fault;
use super::report::At;
use super::section::Section;
use super::tree::{Entry, Node, Value};
use super::{From, Globals, OutputEntry};
use std::path::Path;
use std::time::Duration;

/// An output of the configuration.
#[derive(Debug, Clone)]
pub enum OutputConfig {
    /// `console`, `stdout`.
    Console(console::Console),
    /// `file`.
    File(file::File),
    /// `devo_platform`, `relay`, `syslog`, `in_house_relay`, `sidecar`.
    Devo(devo::Devo),
    /// `nats`.
    Nats(nats::Nats),
    /// `kafka`.
    Kafka(kafka::Kafka),
    /// `devo_http`, `http`.
    Http(http::Http),
}

impl OutputConfig {
    /// Takes over what `globals` says to outputs; it wins.
    pub(super) fn under(&mut self, globals: &Globals) {
        match self {
            Self::Devo(devo) => devo.gzip = devo.gzip.map(|own| own.under(globals.gzip)),
            Self::Console(_) | Self::File(_) | Self::Http(_) | Self::Nats(_) | Self::Kafka(_) => {}
        }
    }

    /// The certificate with which it shows who we are.
    #[must_use]
    pub fn certificate(&self) -> Option<&Path> {
        let tls = match self {
            Self::Devo(devo) => devo.tls.as_ref(),
            Self::Nats(nats) => Some(&nats.tls),
            Self::Kafka(kafka) => kafka.tls.as_ref(),
            Self::Http(http) => Some(&http.sending.tls),
            Self::Console(_) | Self::File(_) => None,
        };
        Some(&*tls?.identity.as_ref()?.cert)
    }

    /// First and longest wait after a failure: the official keys where an output has them.
    #[must_use]
    pub const fn waits(&self) -> (Duration, Duration) {
        match self {
            Self::Devo(devo) => (devo.initial_wait, devo.max_wait),
            Self::Console(_) | Self::File(_) | Self::Http(_) | Self::Nats(_) | Self::Kafka(_) => {
                (Duration::from_secs(1), Duration::from_secs(60))
            }
        }
    }
}

/// What a type word means.
#[derive(Clone, Copy)]
struct Type {
    /// What its `config` may hold.
    table: &'static Table,
    /// Reads its `config`; none when an error has been reported.
    load: fn(&Section<'_>) -> Option<OutputConfig>,
}

/// A Devo output of one kind under its word.
macro_rules! devo {
    ($kind:path) => {
        Type { table: &devo::TABLE, load: |section| devo::load(section, &$kind).map(OutputConfig::Devo) }
    };
}

/// Standard output.
const CONSOLE: Type =
    Type { table: &console::TABLE, load: |section| Some(OutputConfig::Console(console::load(section))) };

/// What the type words mean; a line here is an output's registration.
static TYPES: &[(&str, Type)] = &[
    ("devo_platform", devo!(devo::PLATFORM)),
    ("relay", devo!(devo::RELAY)),
    ("syslog", devo!(devo::SYSLOG)),
    ("in_house_relay", devo!(devo::IN_HOUSE)),
    ("sidecar", devo!(devo::SIDECAR)),
    (
        "devo_http",
        Type { table: &http::devo::TABLE, load: |section| http::devo::load(section).map(OutputConfig::Http) },
    ),
    ("http", Type { table: &http::TABLE, load: |section| http::load(section).map(OutputConfig::Http) }),
    ("console", CONSOLE),
    ("stdout", CONSOLE),
    ("file", Type { table: &file::TABLE, load: |section| file::load(section).map(OutputConfig::File) }),
    ("nats", Type { table: &nats::TABLE, load: |section| nats::load(section).map(OutputConfig::Nats) }),
    ("kafka", Type { table: &kafka::TABLE, load: |section| kafka::load(section).map(OutputConfig::Kafka) }),
];

keys! {
    /// Keys of an output.
    static KEYS;
    /// `false`: the output is not looked at.
    ENABLED: Key<bool> = Key::boolean("enabled").default("true");
    /// What it is.
    TYPE: Key<Type> = Key::word(super::key::TYPE, TYPES).official().required().example("console");
    /// Settings of that type.
    CONFIG: Key<Branch> = Key::tree("config", Form::ByType(tables)).official();
}

/// `outputs.*`.
pub(super) static TABLE: Table = Table {
    path: "outputs.*",
    doc: "One destination, under a name of your own; every output gets every event, unless an input says otherwise.",
    groups: &[KEYS],
};

keys! {
    /// Keys that every output's `config` may hold.
    static COMMON;
    /// Where an output begins that the store meets for the first time: `now`, `oldest`, or the name of the output that it continues.
    FROM: Key<String> = Key::text("from").default("now");
    /// `false`: when the outbox is full it passes over what no other output needs, counted, instead of making all wait.
    REQUIRED: Key<bool> = Key::boolean("required").default("true");
    /// Whether events carry `@event_id`, by which a receiver can drop doubles.
    EVENT_ID: Key<bool> = Key::boolean("event_id").default("true");
    /// A larger event is set aside as a dead letter.
    MAX_EVENT_BYTES: Key<u64> = Key::size("max_event_bytes", 1 << 10).default("1MiB");
    /// Connections at once; each stream keeps to one of them.
    CONNECTIONS: Key<i64> = Key::integer("concurrent_connections", 1, 64).official().default("1");
    /// Period of the official sender's statistics.
    STATS: Key<Branch> = Key::tree("period_sender_stats_in_seconds", Form::Any).obsolete();
    /// Metrics of the official sender.
    METRICS: Key<Branch> = Key::tree("generate_metrics", Form::Any).obsolete();
    /// A last queue of the official sender.
    FINAL_QUEUE: Key<Branch> = Key::tree("activate_final_queue", Form::Any).obsolete();
}

/// The `config` of a type.
const fn config(doc: &'static str, groups: &'static [&'static [&'static dyn Declared]]) -> Table {
    Table { path: "outputs.*.config", doc, groups }
}

/// What `config` may hold, by type word.
fn tables() -> Types {
    TYPES.iter().map(|(word, kind)| (*word, kind.table)).collect()
}

/// The outputs that are switched on, by name, yet to be read.
///
/// A list is taken as well, as the collector-server form has it; its elements are `output_1`, `output_2` …
pub(super) fn declared<'r>(top: &Section<'r>, key: &'static Key<Branch>) -> Vec<(String, Section<'r>)> {
    let report = top.report;
    let entry = top.entry(key);
    let all: Vec<(String, Section<'_>)> = match entry.map(|entry| &entry.value.value) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Map(entries)) => {
            entries.iter().map(|entry| (entry.key.clone(), Section::of(report, entry, &TABLE))).collect()
        }
        Some(Value::List(items)) => {
            let section = |item: &'r Node| Section::item(report, item, &TABLE);
            items.iter().enumerate().map(|(index, item)| (format!("output_{}", index + 1), section(item))).collect()
        }
        Some(Value::Scalar(_)) => {
            // Says what is wrong with it.
            top.section(key);
            return Vec::new();
        }
    };
    let is_empty = all.is_empty();
    let enabled: Vec<_> = all.into_iter().filter(|(_, section)| section.value(&ENABLED)).collect();
    if enabled.is_empty() {
        let at = entry.map_or_else(|| At { path: "outputs".to_owned(), ..top.at() }, Entry::at);
        let fault = Fault::new(if is_empty { "there is no output" } else { "no output is enabled" });
        report.error(
            at,
            fault
                .help("write one, such as `outputs: {here: {type: console}}` (`loggers` in a collector configuration)"),
        );
    }
    enabled
}

/// Reads the outputs; those that are wrong have been reported and are left out.
pub(super) fn load(declared: Vec<(String, Section<'_>)>) -> Vec<OutputEntry> {
    let mut paths = Vec::new();
    declared.into_iter().filter_map(|(name, section)| one(&name, section, &mut paths)).collect()
}

/// Reads one output; none when an error has been reported. `paths`: those of the files before it.
fn one(name: &str, section: Section<'_>, paths: &mut Vec<String>) -> Option<OutputEntry> {
    let kind = section.optional(&TYPE);
    if section.given(&TYPE).is_none() {
        section.missing(&TYPE);
    }
    // What an output of an unknown type may be told is unknown too: its keys are no news.
    let Some(kind) = kind else {
        section.entry(&CONFIG);
        section.finish();
        return None;
    };
    let config = section.section_as(&CONFIG, kind.table);
    section.finish();
    let output = (kind.load)(&config);
    if let Some(OutputConfig::File(file)) = &output {
        claim(&config, &file.path, paths);
    }
    let from = from(name, &config);
    if let Some(OutputConfig::Nats(_)) = &output
        && !config.value(&EVENT_ID)
    {
        let fault = Fault::new("without `@event_id` the server cannot drop doubles");
        config.warn(&EVENT_ID, fault.help("leave the key out, or expect some events twice after a restart"));
    }
    let (required, event_id) = (config.value(&REQUIRED), config.value(&EVENT_ID));
    let (max_event_bytes, connections) = (config.value(&MAX_EVENT_BYTES), config.value(&CONNECTIONS));
    config.finish();
    Some(OutputEntry {
        name: name.to_owned(),
        from,
        required,
        event_id,
        max_event_bytes,
        connections: usize::try_from(connections).expect("a small number, by its bounds"),
        output: output?,
    })
}

/// Notes the path of a file; two outputs that write one file would cut off each other's lines.
fn claim(config: &Section<'_>, path: &str, paths: &mut Vec<String>) {
    if paths.iter().any(|taken| taken == path) {
        config.wrong(&file::PATH, Fault::new("is written by another output").help("give each output its own path"));
    }
    paths.push(path.to_owned());
}

/// Where an output begins that the store meets for the first time.
fn from(name: &str, config: &Section<'_>) -> From {
    match config.value(&FROM) {
        word if word == "now" => From::Now,
        word if word == "oldest" => From::Oldest,
        other => {
            if other == name {
                let help = "name the output whose position it takes over, or write now or oldest";
                config.wrong(&FROM, Fault::new("is the output itself").help(help));
            }
            From::Output(other)
        }
    }
}
