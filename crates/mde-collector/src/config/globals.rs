//! `globals`: settings of the whole process.

use super::outputs::devo;
use super::problem::Fault;
use super::section::{Section, choices};
use super::{Globals, Persistence, units};
use std::path::PathBuf;

/// Bound of the outbox where the configuration names none. Unit: octets.
const OUTBOX: u64 = 4 << 30;
/// Smallest bound: below it one batch and its neighbours would not fit. Unit: octets. Source: the design's "under 256MiB is an error".
const OUTBOX_LEAST: u64 = 256 << 20;
/// The official collector's folder.
const DIRECTORY: &str = "state";

/// Keys of the official collector that tune what is built otherwise here; the last four only older versions of it knew.
const OBSOLETE: &[&str] = &[
    "queue_max_size_in_mb",
    "queue_max_size_in_messages",
    "queue_max_elapsed_time_in_sec",
    "queue_wrap_max_size_in_messages",
    "queue_generate_metrics",
    "sender_stats_period_in_sec",
    "generate_collector_details",
    "multiprocessing",
    "balanced_output",
    "sender_concurrent_connections",
    "sender_activate_final_queue",
];

/// Keys that a later version obeys.
const LATER: &[(&str, &str)] = &[("status", "false"), ("internal_messages", "false"), ("inputs_dir", "")];

/// Reads the section; none when an error has been reported.
pub(super) fn load(section: Section<'_>) -> Option<Globals> {
    // The official state path holds the id; ours does not need it.
    section.entry("id");
    let name = name(&section);
    let debug = section.boolean("debug").or(false);
    let persistence = persistence(section.section("persistence"));
    let outbox = section.section("outbox");
    let outbox_max_bytes = outbox.size("max_bytes").check(big_enough).or(OUTBOX);
    outbox.finish();
    section.obsolete(OBSOLETE);
    section.later(LATER);
    devo::compression(&section, &devo::GLOBAL_COMPRESSION);
    section.finish();
    Some(Globals { name, debug, persistence: persistence?, outbox_max_bytes })
}

/// The collector's name by the official rules: letters, digits, `-`, `_`; a dot, `#` or space becomes `_`.
fn name(section: &Section<'_>) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let replaced = |c: char| matches!(c, '.' | '#' | ' ');
    let name = section.text("name").check(move |name| match name.chars().find(|c| !legal(*c) && !replaced(*c)) {
        None => Ok(()),
        Some(_) => Err(Fault::new("is no collector name").help("use letters, digits, `-` and `_`")),
    });
    let name = name.optional()?;
    let mended: String = name.chars().map(|c| if replaced(c) { '_' } else { c }).collect();
    if mended != name
        && let Some(entry) = section.entry("name")
    {
        section.report.warning(
            entry.value.at(),
            Fault::new(format!("the name becomes `{mended}`")).help("`.`, `#` and space are not used in names"),
        );
    }
    Some(mended)
}

/// Where state lies; none when an error has been reported.
fn persistence(section: Section<'_>) -> Option<Persistence> {
    let is_given = section.given("type").is_some();
    let kind = section.key("type", kind).optional();
    let config = section.section("config");
    section.finish();
    // Which keys a type has that we do not know is not known either.
    if is_given && kind.is_none() {
        return None;
    }
    let directory = config.text("directory_name").alias("dir").or(DIRECTORY.to_owned());
    config.obsolete(&["host", "location", "port", "password", "db", "socket_timeout"]);
    config.finish();
    Some(match kind {
        Some(Kind::Memory) => Persistence::Memory,
        Some(Kind::Filesystem) | None => Persistence::Filesystem { directory: PathBuf::from(directory) },
    })
}

/// What a type word of `persistence` means.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A folder.
    Filesystem,
    /// Nowhere.
    Memory,
}

/// The type of that word. Another place than the one that was asked for would be a silent fresh start, so none is taken instead.
fn kind(word: &str) -> Result<Kind, Fault> {
    let instead = format!("write `persistence: {{type: filesystem, config: {{directory_name: {DIRECTORY}}}}}`");
    match word {
        "filesystem" => Ok(Kind::Filesystem),
        "memory" => Ok(Kind::Memory),
        "redis" => Err(Fault::new("is not supported for state").help(instead)),
        "postgres" => Err(Fault::new("is not available in this version").help(instead)),
        _ => Err(Fault::new("is no place for state").help(choices(word, ["filesystem", "memory"].into_iter()))),
    }
}

/// Whether an outbox of that size can work.
fn big_enough(octets: &u64) -> Result<(), Fault> {
    match *octets >= OUTBOX_LEAST {
        true => Ok(()),
        false => Err(Fault::new("is too small for the outbox")
            .help(format!("give it at least {}", units::size_text(OUTBOX_LEAST)))),
    }
}
