//! `services` of an input: what is pulled, how often, from when, and how it leaves.

use super::problem::Fault;
use super::section::{Section, choices};
use super::tree::{Entry, shown_key};
use super::{Obfuscation, ServiceConfig, Sweep, endpoints, flatten, limits, obfuscation, tag, units};
use crate::service::{self, ANNOUNCED, SERVICES, ServiceDef};
use std::time::Duration;

/// Re-read before the checkpoint where the configuration says nothing. Source: the design's default.
const OVERLAP: Duration = Duration::from_secs(10 * 60);
/// Time between two wider re-reads where the configuration says nothing.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Their reach where the configuration says nothing.
const SWEEP_BACK: Duration = Duration::from_secs(24 * 3_600);

/// Keys that a later version obeys, with what this one does anyway.
const LATER: &[(&str, &str)] = &[
    ("emit", "all"),
    ("changes_ignore", ""),
    ("enrichment", ""),
    ("snapshot_marker", "false"),
    ("mode", ""),
    ("shape", "mde"),
    ("scope", "endpoint"),
    ("graph_filter", ""),
    ("queries", ""),
];

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
}

/// Reads what an input may say for all its services.
pub(super) fn inherited(input: &Section<'_>) -> Inherited {
    Inherited {
        historical_ms: input.key("historical_poll_datetime", units::moment_ms).optional(),
        time_slots: input.boolean("use_time_slots_for_retrievals").or(false),
        tag: tag::load(input),
        obfuscation: obfuscation::load(input),
    }
}

/// Reads the services of an input.
pub(super) fn load(input: &Section<'_>, inherited: &Inherited) -> Vec<ServiceConfig> {
    let section = input.section("services");
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
            Some(def) => services.extend(one(Section::of(section.report, entry), def, inherited)),
            None if is_announced(&entry.key) => {
                let fault = Fault::new(format!("the service {} is not available in this version", entry.key));
                section.report.warning(entry.at(), fault.help("it is not pulled"));
            }
            None => {
                refused = true;
                section.report.error(entry.at(), unknown(entry));
            }
        }
    }
    if services.is_empty() && !refused {
        let fault = Fault::new("the input has no service that this version pulls");
        let names: Vec<&str> = SERVICES.iter().map(|def| def.name).collect();
        section.report.error(section.at(), fault.help(format!("write at least one of: {}", names.join(", "))));
    }
    services
}

/// Whether the official collector has the service and this version has not.
fn is_announced(name: &str) -> bool {
    ANNOUNCED.iter().any(|def| def.answers_to(name))
}

/// A service that nobody has.
fn unknown(entry: &Entry) -> Fault {
    let names = SERVICES.iter().map(|def| def.name).chain(ANNOUNCED.iter().map(|def| def.name));
    Fault::new(format!("there is no service `{}`", shown_key(&entry.key))).help(choices(&entry.key, names))
}

/// One service; none when it is switched off.
fn one(section: Section<'_>, def: &'static ServiceDef, inherited: &Inherited) -> Option<ServiceConfig> {
    let enabled = section.boolean("enabled").or(true);
    let period = section.seconds("request_period_in_seconds").check(positive).or(Duration::from_secs(def.period_s));
    let config = ServiceConfig {
        def,
        period,
        time_slots: section.boolean("use_time_slots_for_retrievals").or(inherited.time_slots),
        historical_ms: section.key("historical_poll_datetime", units::moment_ms).optional().or(inherited.historical_ms),
        overlap: section.duration("overlap").or(OVERLAP),
        sweep: sweep(section.section("sweep")),
        flatten: flatten::load(&section, def),
        tag: tag::load(&section).or_else(|| inherited.tag.clone()).unwrap_or_else(|| def.tag.to_owned()),
        filter: section.text("filter").check(|filter| closed(filter)).optional(),
        obfuscation: [inherited.obfuscation.clone(), obfuscation::load(&section)].concat(),
        limits: limits::load(&section),
        pull: &def.pull[0],
        emit: super::Emit::All,
        changes_ignore: Vec::new(),
        snapshot_marker: false,
        queries: Vec::new(),
    };
    section.obsolete(&["types"]);
    section.later(LATER);
    for count in def.counts {
        flag(&section, count.option);
        count.aliases.iter().for_each(|alias| flag(&section, alias));
    }
    endpoints::refuse_graph(&section);
    section.finish();
    enabled.then_some(config)
}

/// A flag that asks for a count which this version cannot fetch yet.
fn flag(section: &Section<'_>, name: &'static str) {
    if section.boolean(name).or(false) {
        section.later(&[(name, "false")]);
    }
}

/// The wider re-read.
fn sweep(section: Section<'_>) -> Sweep {
    let every = section.duration("every").check(positive).or(SWEEP_EVERY);
    let back = section.duration("back").or(SWEEP_BACK);
    section.finish();
    Sweep { every, back }
}

/// Nothing can be done every 0 seconds.
fn positive(time: &Duration) -> Result<(), Fault> {
    if time.is_zero() { Err(Fault::new("must be more than zero")) } else { Ok(()) }
}

/// A filter is put in brackets and joined to our own, so it must not end them, nor leave a text open.
fn closed(filter: &str) -> Result<(), Fault> {
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
        (0, false) => Ok(()),
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
