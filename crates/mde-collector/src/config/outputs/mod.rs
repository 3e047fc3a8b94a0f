//! What each output can be told. One file per output; a variant here is its registration.

pub mod console;
pub mod devo;
pub mod file;

use super::problem::Fault;
use super::report::At;
use super::section::{Section, choices};
use super::tree::{Entry, Node, Value};
use super::{From, OutputEntry};

/// An output of the configuration.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are a handful of outputs, each read once")]
pub enum OutputConfig {
    /// `console`, `stdout`.
    Console(console::Console),
    /// `file`.
    File(file::File),
    /// `devo_platform`, `relay`, `syslog`, `in_house_relay`, `sidecar`.
    Devo(devo::Devo),
}

/// Reads `config` of one type; none when an error has been reported.
type Load = fn(&Section<'_>) -> Option<OutputConfig>;

/// What the type words mean that are not [`devo`]'s.
static TYPES: &[(&str, Load)] = &[
    ("console", |section| Some(OutputConfig::Console(console::load(section)))),
    ("stdout", |section| Some(OutputConfig::Console(console::load(section)))),
    ("file", |section| file::load(section).map(OutputConfig::File)),
];

/// Types of a later version. To ignore one would be to send nothing where somebody waits for it.
const LATER: &[&str] = &["devo_http", "http", "nats", "kafka"];

/// Largest event that leaves; the one value that this version knows. Unit: octets.
const MAX_EVENT_BYTES: u64 = 1 << 20;

/// The outputs that are switched on, by name, yet to be read.
///
/// A list is taken as well, as the collector-server form has it; its elements are `output_1`, `output_2` …
pub(super) fn declared<'r>(top: &Section<'r>) -> Vec<(String, Section<'r>)> {
    let report = top.report;
    let entry = top.entry("outputs");
    let all: Vec<(String, Section<'_>)> = match entry.map(|entry| &entry.value.value) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Map(entries)) => {
            entries.iter().map(|entry| (entry.key.clone(), Section::of(report, entry))).collect()
        }
        Some(Value::List(items)) => {
            let section = |item| Section::new(report, Node::at(item), Some(item));
            items.iter().enumerate().map(|(index, item)| (format!("output_{}", index + 1), section(item))).collect()
        }
        Some(Value::Scalar(_)) => {
            // Says what is wrong with it.
            top.section("outputs");
            return Vec::new();
        }
    };
    let is_empty = all.is_empty();
    let enabled: Vec<_> = all.into_iter().filter(|(_, section)| section.boolean("enabled").or(true)).collect();
    if enabled.is_empty() {
        let at = entry.map_or_else(|| At { path: "outputs".to_owned(), ..top.at() }, Entry::at);
        let fault = Fault::new(if is_empty { "there is no output" } else { "no output is enabled" });
        report.error(
            at,
            fault
                .help("each output is an entry with a `type` under `outputs` (`loggers` in a collector configuration)"),
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
    let word = section.text("type").required();
    let config = section.section("config");
    let kind = word.as_deref().and_then(|word| kind(word, &section));
    let output = kind.and_then(|kind| match kind {
        Kind::Devo(kind) => devo::load(&config, kind).map(OutputConfig::Devo),
        Kind::Other(load) => load(&config),
    });
    if let Some(OutputConfig::File(file)) = &output {
        claim(&config, &file.path, paths);
    }
    let from = from(name, &config);
    config.later(&[("required", "true"), ("event_id", "true")]);
    if config.size("max_event_bytes").optional().is_some_and(|most| most != MAX_EVENT_BYTES) {
        config.later(&[("max_event_bytes", "")]);
    }
    for name in ["period_sender_stats_in_seconds", "generate_metrics", "activate_final_queue"] {
        config.obsolete(&[name]);
    }
    let connections = config.integer("concurrent_connections").at_least(1).or(1);
    if connections > 1
        && let Some(entry) = config.entry("concurrent_connections")
    {
        config.no_effect(entry, "one connection keeps each stream in order");
    }
    // What an output of an unknown type may be told is unknown too: its keys are no news.
    if kind.is_some() {
        config.finish();
    }
    section.finish();
    Some(OutputEntry { name: name.to_owned(), from, required: true, output: output? })
}

/// Notes the path of a file; two outputs that write one file would cut off each other's lines.
fn claim(config: &Section<'_>, path: &str, paths: &mut Vec<String>) {
    if paths.iter().any(|taken| taken == path)
        && let Some(entry) = config.entry("path")
    {
        let fault = Fault::new("another output writes this file");
        config.report.error(entry.value.at(), fault.help("give each output its own path"));
    }
    paths.push(path.to_owned());
}

/// What reads `config`.
#[derive(Clone, Copy)]
enum Kind {
    /// A syslog receiver.
    Devo(&'static devo::Kind),
    /// One of [`TYPES`].
    Other(Load),
}

/// What a type word means; none when an error has been reported.
fn kind(word: &str, section: &Section<'_>) -> Option<Kind> {
    let other = || TYPES.iter().find(|(name, _)| *name == word).map(|(_, load)| Kind::Other(*load));
    if let Some(kind) = devo::kind(word).map(Kind::Devo).or_else(other) {
        return Some(kind);
    }
    let fault = match LATER.contains(&word) {
        true => Fault::new("outputs of this type are not available in this version"),
        false => Fault::new("there is no output of this type"),
    };
    let words = devo::words().chain(TYPES.iter().map(|(name, _)| *name));
    if let Some(entry) = section.entry("type") {
        section.report.error(entry.value.at(), fault.help(choices(word, words)));
    }
    None
}

/// Where an output begins that the store meets for the first time.
fn from(name: &str, config: &Section<'_>) -> From {
    let other = name.to_owned();
    let from = config.text("from").check(move |from| match *from == other {
        true => Err(Fault::new("is the output itself")
            .help("name the output whose position it takes over, or write now or oldest")),
        false => Ok(()),
    });
    match from.optional() {
        None => From::Now,
        Some(word) if word == "now" => From::Now,
        Some(word) if word == "oldest" => From::Oldest,
        Some(name) => From::Output(name),
    }
}
