//! Alerts of other products: companions of some of our own, in the same incident, a moment older. Nothing is kept of them: a companion
//! follows from the alert it accompanies, so that it changes with it.

use crate::ticks::Ticks;
use crate::world::dice::mix;
use crate::world::names::{ID_FACTOR, ID_INVERSE};
use crate::world::{Recipe, Version};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The alerts of `fixtures/graph_alerts.ndjson`: one of each other product. Together they have every type of evidence.
pub(super) static COMPANIONS: LazyLock<Vec<Map<String, Value>>> = LazyLock::new(|| {
    let lines = include_str!("../../fixtures/graph_alerts.ndjson").lines();
    lines.map(|line| serde_json::from_str(line).expect("every fixture line is an alert")).collect()
});

/// The longest time by which a companion is older than its alert.
pub(super) const LONGEST_LEAD: i64 = 3 * Ticks::PER_SECOND;

/// Stream of chance; it is a seed of its own.
const STREAM: u64 = 0x93;

/// Letters in front of a product's own id.
const PREFIX: usize = 2;

/// The companion of an alert: its line of the fixture, and what it is at this version of the alert.
pub(super) fn of(recipe: &Recipe, version: &Version) -> Option<(usize, Version)> {
    let draw = mix(recipe.seed ^ STREAM, u64::from(version.number));
    let one_in = u64::from(recipe.graph.companion_one_in);
    (one_in > 0 && draw.is_multiple_of(one_in)).then(|| {
        let lead = (1 + (draw >> 32) as i64 % 3) * Ticks::PER_SECOND;
        let line = (draw >> 8) as usize % COMPANIONS.len();
        (line, Version { created: version.created.plus(-lead), updated: version.updated.plus(-lead), ..*version })
    })
}

/// Its id: the product's letters and a GUID that leads back to the alert.
pub(super) fn id(recipe: &Recipe, line: usize, version: &Version) -> String {
    let fixture = COMPANIONS[line]["id"].as_str().unwrap_or_default();
    let disguised = version.number.wrapping_mul(ID_FACTOR) ^ recipe.seed as u32;
    let tail = mix(recipe.seed ^ STREAM, u64::from(version.number) << 1);
    format!(
        "{}{disguised:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        &fixture[..PREFIX],
        tail as u16,
        tail >> 16 & 0xfff,
        tail >> 28 & 0xfff,
        tail >> 16 & 0xffff_ffff_ffff
    )
}

/// The number of the alert whose companion could have this id. The caller compares the whole id.
pub(super) fn number(recipe: &Recipe, id: &str) -> Option<u32> {
    let disguised = u32::from_str_radix(id.get(PREFIX..PREFIX + 8)?, 16).ok()?;
    Some((disguised ^ recipe.seed as u32).wrapping_mul(ID_INVERSE))
}

/// Everything about it but its evidence, as far as the fixture says: the rest is the caller's.
pub(super) fn head(line: usize) -> Map<String, Value> {
    let mut head = COMPANIONS[line].clone();
    head.remove("evidence");
    head
}

/// Rows of evidence: each update of the alert brings the last one again.
pub(super) fn evidence_count(line: usize, version: &Version) -> u32 {
    fixture_rows(line).len() as u32 + version.revision
}

/// Its evidence.
pub(super) fn evidence(line: usize, version: &Version) -> Vec<Value> {
    let rows = fixture_rows(line);
    (0..evidence_count(line, version))
        .map(|place| {
            let mut row = rows[(place as usize).min(rows.len() - 1)].clone();
            let seen = version.created.plus((i64::from(place) + 1) * 4_166_667).min(version.updated);
            redate(&mut row, &seen.on_database_grid().to_string());
            row
        })
        .collect()
}

/// The rows of the fixture.
fn fixture_rows(line: usize) -> &'static [Value] {
    COMPANIONS[line]["evidence"].as_array().expect("every alert of the fixture has evidence")
}

/// Gives a piece of evidence and those in it another time.
fn redate(evidence: &mut Value, created: &str) {
    match evidence {
        Value::Array(elements) => elements.iter_mut().for_each(|element| redate(element, created)),
        Value::Object(properties) => {
            for (name, value) in properties {
                if name == "createdDateTime" {
                    *value = created.into();
                } else {
                    redate(value, created);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::words;
    use std::collections::BTreeSet;

    /// Names of the types in a value, however deep.
    fn types<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|element| types(element, found)),
            Value::Object(properties) => {
                found.extend(properties.get("@odata.type").and_then(Value::as_str));
                properties.values().for_each(|value| types(value, found));
            }
            _ => {}
        }
    }

    #[test]
    fn the_fixture_has_every_type_of_the_schema_and_one_that_nobody_knows() {
        let mut found = BTreeSet::new();
        for line in COMPANIONS.iter() {
            types(&line["evidence"], &mut found);
            assert!(words::SERVICE_SOURCES.contains(&line["serviceSource"].as_str().unwrap()));
            assert_ne!(line["serviceSource"], words::ENDPOINT);
        }
        assert_eq!(found.len(), 47 + 1, "{found:?}");
    }
}
