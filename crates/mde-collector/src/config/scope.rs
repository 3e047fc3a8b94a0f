//! Which keys of a service mean something, by how the service is read. One that means nothing is refused, never passed over.

use super::key::Declared;
use super::section::Section;
use super::{queries, services};
use crate::service::{Api, Key, Pull, SERVICES, ServiceDef};

/// Keys that only some services know.
struct Scope {
    /// The keys.
    keys: &'static [&'static dyn Declared],
    /// Whether they mean something for a source that is read that way.
    holds: fn(&ServiceDef, &Pull) -> bool,
}

/// Every such group.
static SCOPES: &[Scope] = &[
    Scope { keys: services::WAYS, holds: |def, _| modes(def) > 1 },
    Scope { keys: services::OVERLAPPING, holds: |_, pull| matches!(pull, Pull::Window { .. } | Pull::Open { .. }) },
    Scope { keys: services::SWEEPING, holds: |_, pull| matches!(pull, Pull::Window { .. }) },
    Scope { keys: services::FILTERING, holds: |def, _| is_list(def) && def.endpoint.api == Api::Mde },
    Scope { keys: services::SNAPSHOTS, holds: |def, pull| is_list(def) && matches!(pull, Pull::Snapshot { .. }) },
    Scope { keys: services::COUNTING, holds: |def, _| !def.counts.is_empty() },
    Scope { keys: services::SHAPING, holds: |def, _| def.elsewhere.iter().any(|other| other.native.is_some()) },
    Scope { keys: services::GRAPH_FILTERING, holds: |def, _| on_graph(def) },
    Scope { keys: queries::KEYS, holds: |_, pull| matches!(pull, Pull::Slices) },
];

/// Whether a list of Microsoft Graph has the source.
fn on_graph(def: &ServiceDef) -> bool {
    let elsewhere = def.elsewhere.iter().map(|other| &other.endpoint);
    std::iter::once(&def.endpoint).chain(elsewhere).any(|endpoint| endpoint.api == Api::Graph)
}

/// Ways of a source that a person can choose between.
fn modes(def: &ServiceDef) -> usize {
    def.pull.iter().filter(|pull| services::Mode::of(pull).is_some() && is_list(def)).count()
}

/// Whether the source is a list of entities, not the rows of a query.
fn is_list(def: &ServiceDef) -> bool {
    def.key != Key::RowHash
}

/// Reports every key that is written and means nothing for this source read this way.
pub(super) fn refuse(section: &Section<'_>, def: &ServiceDef, pull: &Pull) {
    let here = named(def, Some(pull));
    for scope in SCOPES.iter().filter(|scope| !(scope.holds)(def, pull)) {
        let mut elsewhere = format!("it belongs to {}", homes(scope).join(", "));
        if queries::have(scope.keys) {
            elsewhere += "; each hunting query has its own";
        }
        section.refuse(scope.keys.iter().copied(), &here, &elsewhere);
    }
    foreign_flags(section, def, &here);
}

/// Reports flags of counts that another service has.
fn foreign_flags(section: &Section<'_>, def: &ServiceDef, here: &str) {
    for other in SERVICES.iter().filter(|other| other.name != def.name) {
        let flags = other.counts.iter().filter(|count| def.counts.iter().all(|own| own.names() != count.names()));
        section.refuse(flags.map(|count| count as &dyn Declared), here, &format!("it belongs to {}", other.name));
    }
}

/// The services that a key means something for; none said for one without a scope.
#[cfg(test)]
pub(super) fn of(key: &dyn Declared) -> Option<Vec<String>> {
    let holds = |scope: &&Scope| scope.keys.iter().any(|own| own.names() == key.names());
    SCOPES.iter().find(holds).map(homes)
}

/// Whether a source knows a key, read in any of its ways.
pub(super) fn knows(def: &ServiceDef, key: &dyn Declared) -> bool {
    let scope = SCOPES.iter().find(|scope| scope.keys.iter().any(|own| own.names() == key.names()));
    scope.is_none_or(|scope| def.pull.iter().any(|pull| (scope.holds)(def, pull)))
}

/// The services of a scope, each with the mode that it needs.
fn homes(scope: &Scope) -> Vec<String> {
    let home = |def: &&'static ServiceDef| {
        let ways: Vec<&Pull> = def.pull.iter().filter(|pull| (scope.holds)(def, pull)).collect();
        match ways.as_slice() {
            [] => None,
            [only] if def.pull.len() > 1 => Some(named(def, Some(only))),
            _ => Some(named(def, None)),
        }
    };
    SERVICES.iter().filter_map(home).collect()
}

/// A service in words, with the mode where one of several is meant.
fn named(def: &ServiceDef, pull: Option<&Pull>) -> String {
    match pull.and_then(services::Mode::of) {
        Some((_, word)) if modes(def) > 1 => format!("{} with `mode: {word}`", def.name),
        _ => def.name.to_owned(),
    }
}
