//! `flatten`: which objects are joined to their names, and which arrays give one event for each element.

use super::key::{Branch, Form, Key, Table, keys};
use super::section::Section;
use super::{FlattenConfig, Selection};
use crate::service::ServiceDef;

keys! {
    /// What is flattened.
    pub(super) static KEYS;
    /// What is flattened: `false` for nothing, or a section; each part that is not written is the service's own default.
    FLATTEN: Key<Branch> = Key::tree("flatten", Form::SwitchOr(&TABLE)).otherwise("alerts as in services.md, others off");
}

keys! {
    /// The parts.
    static PARTS;
    /// Objects whose members are joined to their name (`relatedUser_userName`); `"*"` for all.
    OBJECTS: Key<Branch> = Key::tree("objects", Form::Texts).otherwise("the service's own");
    /// Arrays that give one event for each element; `"*"` for all.
    ARRAYS: Key<Branch> = Key::tree("arrays", Form::Texts).otherwise("the service's own");
    /// A record that would give more events than this leaves as one, its arrays kept as JSON.
    MOST: Key<i64> = Key::integer("max_events_per_record", 1, i64::MAX).default("10000");
}

/// The section.
static TABLE: Table =
    Table { path: "inputs.*.services.*.flatten", doc: "What is flattened before an event leaves.", groups: &[PARTS] };

/// Reads the key of a service.
pub(super) fn load(service: &Section<'_>, def: &ServiceDef) -> FlattenConfig {
    let default = FlattenConfig::of(def.flatten);
    if let Some(enabled) = service.switch(&FLATTEN) {
        return FlattenConfig { enabled, ..default };
    }
    let section = service.section(&FLATTEN);
    let config = FlattenConfig {
        enabled: default.enabled || !section.is_absent(),
        objects: selection(&section, &OBJECTS).unwrap_or(default.objects),
        arrays: selection(&section, &ARRAYS).unwrap_or(default.arrays),
        max_events_per_record: section.value(&MOST).unsigned_abs(),
    };
    section.finish();
    config
}

/// The names of a list, or all where it holds `*`.
fn selection(section: &Section<'_>, key: &'static Key<Branch>) -> Option<Selection> {
    let names: Vec<String> = section.texts(key)?.into_iter().map(|(name, _)| name).collect();
    Some(if names.iter().any(|name| name == "*") { Selection::All } else { Selection::Named(names) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_default_of_the_bound_is_the_flatteners_own() {
        assert_eq!(MOST.default_text(), Some(FlattenConfig::MAX_EVENTS.to_string().as_str()));
    }
}
