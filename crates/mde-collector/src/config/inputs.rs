//! `inputs`: tenants, each with its credentials, addresses, limits and services.

use super::problem::Fault;
use super::report::At;
use super::section::{Section, choices};
use super::tree::Entry;
use super::{Input, credentials, endpoints, limits, services};

/// Part of Microsoft's quota that we use where the configuration says nothing; the rest is for other tools.
const QUOTA_SHARE: f64 = 0.8;

/// Reads all inputs that are switched on; `outputs`: names of what exists.
pub(super) fn load(top: &Section<'_>, outputs: &[String]) -> Vec<Input> {
    let section = top.section("inputs");
    let report = section.report;
    let mut inputs = Vec::new();
    let mut ids: Vec<(String, String)> = Vec::new();
    let mut enabled_count = 0;
    for entry in section.entries() {
        let input = Section::of(report, entry);
        // One that is switched off may be half finished: it is not looked at.
        if !input.boolean("enabled").or(true) {
            continue;
        }
        enabled_count += 1;
        inputs.extend(one(input, entry, outputs, &mut ids));
    }
    if enabled_count == 0 && !section.is_broken() {
        let fault = Fault::new(if section.entries().is_empty() { "there is no input" } else { "no input is enabled" });
        report.error(section.at(), fault.help("each tenant is an entry under `inputs`"));
    }
    inputs
}

/// One tenant; none when an error has been reported.
fn one(input: Section<'_>, entry: &Entry, outputs: &[String], ids: &mut Vec<(String, String)>) -> Option<Input> {
    let id = input.text("id").check(|id| plain(id)).required();
    if let Some(id) = &id {
        claim(&input, entry, id, ids);
    }
    let environment = input.text("environment").optional();
    let credentials = credentials::load(input.section("credentials"));
    let endpoints = endpoints::load(&input, credentials.as_ref().map(|known| known.tenant_id.as_str()));
    let ca_file = input.file("ca_file", "certs").optional();
    let proxy = input.key("proxy", endpoints::proxy).optional();
    let quota_share = quota_share(input.section("quota"));
    let limits = limits::load(&input);
    let own_outputs = own_outputs(&input, outputs);
    let services = services::load(&input, &services::inherited(&input));
    autoconfig(input.section("autoconfig"));
    // The official collector fills the key itself, from `globals`.
    input.obsolete(&["persistence"]);
    endpoints::refuse_graph(&input);
    input.finish();
    Some(Input {
        name: entry.key.clone(),
        id: id?,
        environment,
        credentials: credentials?,
        endpoints: endpoints?,
        ca_file,
        proxy,
        quota_share,
        limits,
        outputs: own_outputs,
        services,
    })
}

/// State belongs to the id: the parts that name it in the store must keep apart.
fn plain(id: &str) -> Result<(), Fault> {
    match id.chars().any(char::is_control) {
        true => Err(Fault::new("is no id").help("a short text without control characters")),
        false => Ok(()),
    }
}

/// Notes an id; that two inputs share one is an error at the second.
fn claim(input: &Section<'_>, entry: &Entry, id: &str, ids: &mut Vec<(String, String)>) {
    match ids.iter().find(|(taken, _)| taken == id) {
        Some((_, owner)) => {
            let at = input.entry("id").map_or_else(|| entry.at(), |id| id.value.at());
            let fault = Fault::new(format!("the input `{owner}` has the same id"));
            input.report.error(at, fault.help("state belongs to the id: give each input its own"));
        }
        None => ids.push((id.to_owned(), entry.key.clone())),
    }
}

/// Part of Microsoft's quota that we may use.
fn quota_share(section: Section<'_>) -> f64 {
    let share = section.number("share").check(|share| match *share > 0.0 && *share <= 1.0 {
        true => Ok(()),
        false => Err(Fault::new("is no share").help("more than 0 and at most 1; 0.8 leaves a fifth to other tools")),
    });
    let share = share.or(QUOTA_SHARE);
    section.finish();
    share
}

/// Names of the outputs that get this input's events.
fn own_outputs(input: &Section<'_>, outputs: &[String]) -> Vec<String> {
    let Some(wanted) = input.texts("outputs") else { return outputs.to_vec() };
    if let Some(entry) = input.entry("outputs").filter(|_| input.items("outputs").is_some_and(<[_]>::is_empty)) {
        input.report.error(
            entry.at(),
            Fault::new("the input has no output").help("name at least one, or leave the key out for all"),
        );
    }
    let exists = |(name, at): (String, At)| match outputs.contains(&name) {
        true => Some(name),
        // Which names exist is not known while the outputs themselves are wrong.
        false if outputs.is_empty() => None,
        false => {
            let fault = Fault::new("there is no output of this name");
            input.report.error(at, fault.help(choices(&name, outputs.iter().map(String::as_str))));
            None
        }
    };
    wanted.into_iter().filter_map(exists).collect()
}

/// The official `autoconfig`, which only some of its collectors have.
fn autoconfig(section: Section<'_>) {
    if section.boolean("enabled").or(false)
        && let Some(entry) = section.entry("enabled")
    {
        section.no_effect(entry, "this collector has nothing to configure by itself");
    }
    section.finish();
}
