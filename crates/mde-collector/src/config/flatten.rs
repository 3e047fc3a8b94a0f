//! `flatten`: which objects are joined to their names, and which arrays give one event for each element.

use super::section::Section;
use super::tree::{Scalar, Value};
use super::{FlattenConfig, Selection, units};
use crate::service::{Flatten, ServiceDef};

/// Most events from one record where the configuration says nothing.
const MAX_EVENTS: i64 = 10_000;

/// Reads the key of a service; each part that is not written is the service's own default.
pub(super) fn load(service: &Section<'_>, def: &ServiceDef) -> FlattenConfig {
    let by_default = |pick: fn(&Flatten) -> Option<&'static str>| {
        Selection::Named(def.flatten.iter().filter_map(pick).map(str::to_owned).collect())
    };
    let objects = by_default(|part| if let Flatten::Object(name) = part { Some(name) } else { None });
    let arrays = by_default(|part| if let Flatten::Array(name) = part { Some(name) } else { None });
    let default = FlattenConfig { enabled: true, objects, arrays, max_events_per_record: MAX_EVENTS.unsigned_abs() };
    if let Some(Value::Scalar(Scalar { text, .. })) = service.entry("flatten").map(|entry| &entry.value.value)
        && units::boolean(text).is_ok()
    {
        let enabled = service.boolean("flatten").or(true);
        return FlattenConfig { enabled, ..default };
    }
    let section = service.section("flatten");
    let config = FlattenConfig {
        enabled: true,
        objects: selection(&section, "objects").unwrap_or(default.objects),
        arrays: selection(&section, "arrays").unwrap_or(default.arrays),
        max_events_per_record: section.integer("max_events_per_record").at_least(1).or(MAX_EVENTS).unsigned_abs(),
    };
    section.finish();
    config
}

/// The names of a list, or all where it holds `*`.
fn selection(section: &Section<'_>, name: &'static str) -> Option<Selection> {
    let names: Vec<String> = section.texts(name)?.into_iter().map(|(name, _)| name).collect();
    Some(if names.iter().any(|name| name == "*") { Selection::All } else { Selection::Named(names) })
}
