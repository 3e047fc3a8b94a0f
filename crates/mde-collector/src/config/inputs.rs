//! `inputs`: tenants, each with its credentials, addresses, limits and services.

use super::key::{Branch, Form, Key, Table, keys};
use super::problem::Fault;
use super::report::At;
use super::section::{Section, choices};
use super::tree::Entry;
use super::{Input, credentials, endpoints, limits, obfuscation, services, tag, units};
use std::path::PathBuf;

keys! {
    /// Keys of an input.
    static KEYS;
    /// `false`: the input is not looked at.
    ENABLED: Key<bool> = Key::boolean("enabled").official().default("true");
    /// State belongs to it: any short text, another one for each input. A changed id is a new tenant.
    ID: Key<String> = Key::parsed("id", Form::Text, |_, id| plain(id)).official().required().example("acme");
    /// Adds `@devo_environment` to every event.
    ENVIRONMENT: Key<String> = Key::text("environment").official();
    /// Who we are.
    CREDENTIALS: Key<Branch> = Key::tree("credentials", Form::Section(&credentials::TABLE)).official().required();
    /// Services to pull, each under its name; an empty one means its defaults.
    SERVICES: Key<Branch> = Key::tree("services", Form::Services(&services::TABLE)).official().required();
}

keys! {
    /// Further keys of an input.
    static FURTHER;
    /// Further roots of trust for API and token calls, PEM.
    CA_FILE: Key<PathBuf> = Key::file("ca_file", "certs");
    /// Part of Microsoft's quota that we use.
    QUOTA: Key<Branch> = Key::tree("quota", Form::Section(&QUOTA_TABLE));
    /// Names of the outputs that get its events.
    OUTPUTS: Key<Branch> = Key::tree("outputs", Form::Texts).otherwise("all");
    /// The official collector's way to configure itself; there is nothing of that here.
    AUTOCONFIG: Key<Branch> = Key::tree("autoconfig", Form::Section(&AUTOCONFIG_TABLE)).official();
    /// The official collector fills it from `globals`.
    PERSISTENCE: Key<Branch> = Key::tree("persistence", Form::Any).obsolete();
}

/// `inputs.*`.
pub(super) static TABLE: Table = Table {
    path: "inputs.*",
    doc: "One tenant, under a name of your own.",
    groups: &[
        KEYS,
        services::INHERITED,
        tag::KEYS,
        obfuscation::KEYS,
        limits::KEYS,
        endpoints::KEYS,
        endpoints::BACKEND_KEYS,
        endpoints::PROXY_KEYS,
        FURTHER,
    ],
};

keys! {
    /// Keys of `quota`.
    static QUOTA_KEYS;
    /// Part of Microsoft's limits that we use, more than 0 and at most 1; the rest is left to other tools.
    SHARE: Key<f64> = Key::parsed("share", Form::Number(0.0, 1.0), share).default("0.8");
}

/// `inputs.*.quota`.
static QUOTA_TABLE: Table =
    Table { path: "inputs.*.quota", doc: "How much of Microsoft's quota is ours.", groups: &[QUOTA_KEYS] };

keys! {
    /// Keys of `autoconfig`.
    static AUTOCONFIG_KEYS;
    /// Only `false` has an effect, which is none.
    AUTOCONFIG_ENABLED: Key<bool> = Key::boolean("enabled").official().default("false");
}

/// `inputs.*.autoconfig`.
static AUTOCONFIG_TABLE: Table =
    Table { path: "inputs.*.autoconfig", doc: "Understood, and not needed.", groups: &[AUTOCONFIG_KEYS] };

/// Reads all inputs that are switched on; `outputs`: names of what exists.
pub(super) fn load(section: &Section<'_>, outputs: &[String]) -> Vec<Input> {
    let report = section.report;
    let mut inputs = Vec::new();
    let mut ids: Vec<(String, String)> = Vec::new();
    let mut enabled_count = 0;
    for entry in section.entries() {
        let input = Section::of(report, entry, &TABLE);
        // One that is switched off may be half finished: it is not looked at.
        if !input.value(&ENABLED) {
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
    let id = input.required(&ID);
    if let Some(id) = &id {
        claim(&input, entry, id, ids);
    }
    let environment = input.optional(&ENVIRONMENT);
    let credentials = credentials::load(input.section(&CREDENTIALS));
    let endpoints = endpoints::load(&input, credentials.as_ref().map(|known| known.tenant_id.as_str()));
    let ca_file = input.optional(&CA_FILE);
    let proxy = endpoints::proxy(&input);
    let quota_share = quota_share(input.section(&QUOTA));
    let limits = limits::load(&input);
    let own_outputs = own_outputs(&input, outputs);
    let services = services::load(input.section(&SERVICES), &services::inherited(&input));
    autoconfig(input.section(&AUTOCONFIG));
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
fn plain(id: &str) -> Result<String, Fault> {
    match id.chars().any(char::is_control) {
        true => Err(Fault::new("is no id").help("a short text without control characters")),
        false => Ok(id.to_owned()),
    }
}

/// Notes an id; that two inputs share one is an error at the second.
fn claim(input: &Section<'_>, entry: &Entry, id: &str, ids: &mut Vec<(String, String)>) {
    match ids.iter().find(|(taken, _)| taken == id) {
        Some((_, owner)) => {
            let at = input.entry(&ID).map_or_else(|| entry.at(), |id| id.value.at());
            let fault = Fault::new(format!("the input `{owner}` has the same id"));
            input.report.error(at, fault.help("state belongs to the id: give each input its own"));
        }
        None => ids.push((id.to_owned(), entry.key.clone())),
    }
}

/// Part of Microsoft's quota that we may use.
fn quota_share(section: Section<'_>) -> f64 {
    let share = section.value(&SHARE);
    section.finish();
    share
}

/// A share of something.
fn share(_: &Form, text: &str) -> Result<f64, Fault> {
    let share = units::number(text)?;
    match share > 0.0 && share <= 1.0 {
        true => Ok(share),
        false => Err(Fault::new("is no share").help("more than 0 and at most 1; 0.8 leaves a fifth to other tools")),
    }
}

/// Names of the outputs that get this input's events.
fn own_outputs(input: &Section<'_>, outputs: &[String]) -> Vec<String> {
    let Some(wanted) = input.texts(&OUTPUTS) else { return outputs.to_vec() };
    if let Some(entry) = input.entry(&OUTPUTS).filter(|_| input.items(&OUTPUTS).is_some_and(<[_]>::is_empty)) {
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
    if section.value(&AUTOCONFIG_ENABLED) {
        section.no_effect(&AUTOCONFIG_ENABLED, "this collector has nothing to configure by itself");
    }
    section.finish();
}
