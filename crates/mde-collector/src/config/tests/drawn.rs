//! What is drawn from the declarations: the example loads as it stands and with anything switched on, and the schema knows every key.

use super::*;
use crate::service::{Pull, SERVICES};
use serde_json::Value;

/// Loads a text beside the files that the example names.
fn load_example(text: &str) -> Result<Loaded, Problems> {
    let folder = folder();
    for name in ["my_domain.crt", "my_domain.key"] {
        std::fs::write(folder.path().join("certs").join(name), "stands for PEM\n").unwrap();
    }
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    load(&path, &environment, Options { strict: true, offline: true, ..Options::default() })
}

#[test]
fn the_example_loads_without_a_word() {
    let loaded = load_example(&example()).unwrap_or_else(|problems| panic!("{problems}\n{}", example()));
    assert_eq!(messages(&loaded.warnings), [""; 0]);
    assert_eq!(loaded.config.inputs[0].services[0].def.name, "alerts");
}

/// The keys that are switched off in these lines: each with its first line, and the one after its last.
fn switched_off(lines: &[String]) -> Vec<(usize, usize, usize)> {
    let column = |line: &str| line.find('#').filter(|at| line[..*at].trim().is_empty());
    let begins = |line: &str| column(line).filter(|at| line[at + 1..].starts_with(|c: char| c.is_ascii_lowercase()));
    let inside = |line: &str, at: usize| column(line) == Some(at) && line[at + 1..].starts_with("  ");
    let units = lines.iter().enumerate().filter_map(|(first, line)| begins(line).map(|at| (first, at)));
    units
        .map(|(first, at)| {
            (first, first + 1 + lines[first + 1..].iter().take_while(|line| inside(line, at)).count(), at)
        })
        .collect()
}

#[test]
fn everything_in_the_example_can_be_switched_on() {
    // Each of these needs another one beside it.
    let needs_company = ["settle"];
    // Each of these needs a build that has it.
    let needs_a_feature: &[&str] = if cfg!(feature = "kafka") { &[] } else { &["kafka_1"] };
    let mut waiting: Vec<(Vec<String>, std::ops::Range<usize>)> = Vec::new();
    let lines: Vec<String> = example().lines().map(str::to_owned).collect();
    let all = 0..lines.len();
    waiting.push((lines, all));
    let mut count = 0;
    while let Some((lines, range)) = waiting.pop() {
        for (first, end, at) in switched_off(&lines).into_iter().filter(|(first, ..)| range.contains(first)) {
            let mut lines = lines.clone();
            lines[first..end].iter_mut().for_each(|line| line.replace_range(at..=at, ""));
            count += 1;
            let key = lines[first].trim_start_matches([' ', '-']).to_owned();
            if needs_company.iter().chain(needs_a_feature).any(|name| key.starts_with(name)) {
                continue;
            }
            if let Err(problems) = load_example(&lines.join("\n")) {
                panic!("{key}\n{problems}");
            }
            waiting.push((lines, first + 1..end));
        }
    }
    assert!(count > 80, "only {count} keys were switched on");
}

/// Whether a part of a schema allows a value, by the few words of JSON Schema that ours uses.
fn allows(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        allows(root, definition(root, name), value)?;
    }
    let fail = |what: &str| Err(format!("{value} {what}"));
    let all = |name: &str| schema[name].as_array().cloned().unwrap_or_default();
    let kinds = if schema["type"].is_string() { vec![schema["type"].clone()] } else { all("type") };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.is_empty() && !kinds.iter().any(|wanted| wanted == kind || (wanted == "number" && kind == "integer")) {
        return fail(&format!("is not {kinds:?}"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return fail("is too small");
    }
    if let (Some(most), Some(number)) = (schema["maximum"].as_f64(), value.as_f64())
        && number > most
    {
        return fail("is too large");
    }
    if !schema["const"].is_null() && schema["const"] != *value {
        return fail("is another constant");
    }
    // A whole validator knows every pattern; this one only that of a text which may stand for anything.
    if schema["pattern"] == r"\$\{|^<"
        && value.as_str().is_some_and(|text| !text.contains("${") && !text.starts_with('<'))
    {
        return fail("is no reference");
    }
    if schema["enum"].is_array() && !all("enum").contains(value) {
        return fail("is no word");
    }
    for name in all("required") {
        if value.get(name.as_str().unwrap()).is_none() {
            return fail(&format!("lacks {name}"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let schema = schema["properties"].get(name).or(schema.get("additionalProperties"));
        schema.map_or(Ok(()), |schema| allows(root, schema, inner).map_err(|why| format!("{name}: {why}")))?;
    }
    for inner in value.as_array().into_iter().flatten() {
        schema.get("items").map_or(Ok(()), |schema| allows(root, schema, inner))?;
    }
    for demand in all("allOf") {
        match demand.get("if") {
            Some(condition) if allows(root, condition, value).is_err() => {}
            Some(_) => allows(root, &demand["then"], value)?,
            None => allows(root, &demand, value)?,
        }
    }
    let ways = all("anyOf");
    let faults: Vec<String> = ways.iter().filter_map(|way| allows(root, way, value).err()).collect();
    if ways.is_empty() || faults.len() < ways.len() { Ok(()) } else { Err(faults.join(" | ")) }
}

/// The definition that a reference names.
fn definition<'s>(root: &'s Value, name: &str) -> &'s Value {
    let name = name.strip_prefix("#/$defs/").unwrap().replace("%20", " ");
    root["$defs"].get(&name).unwrap_or_else(|| panic!("no definition {name}"))
}

/// A configuration in JSON with this put in the place of a part of it.
fn with(pointer: &str, value: Value) -> Value {
    let mut config = serde_json::json!({
        "globals": {"persistence": {"type": "filesystem", "config": {"dir": "state"}}},
        "outputs": {"d": {"type": "devo_platform", "config": {"url": "h", "port": 443, "cert": "c", "key": "k"}}},
        "inputs": {"a": {"id": 1, "credentials": {"tenant_id": "t", "client_id": "c", "client_secret": "s"}, "services": {
            "alerts": null, "softwares": {"request_softtware_missing_kbs": true},
            "advanced_huntuing": {"queries": {"q": {"query": "DeviceInfo", "devo_tag": "my.app.a.b"}}}}}}
    });
    *config.pointer_mut(pointer).unwrap() = value;
    config
}

#[test]
fn the_schema_allows_what_loads_and_refuses_what_does_not() {
    use serde_json::json;
    let schema = schema();
    let services = "/inputs/a/services/alerts";
    for (pointer, value, good) in [
        (services, json!(null), true),
        (services, json!({"request_period_in_seconds": 60, "overlap": "10m", "flatten": false}), true),
        (services, json!({"request_period_in_seconds": "${env:PERIOD}", "unheard_of": 1}), true),
        (services, json!({"flatten": {"arrays": "*"}, "historical_poll_datetime": "2026-10-01"}), true),
        (services, json!({"overlap": "soon"}), true), // Patterns are left to a whole validator.
        (services, json!({"overlap": 10}), false),
        (services, json!({"request_period_in_seconds": 0}), false),
        (services, json!({"enabled": 5}), false),
        (services, json!([]), false),
        ("/outputs/d/config/port", json!("443"), true),
        ("/outputs/d/config/port", json!(70_000), false),
        ("/outputs/d/config/port", json!(null), true),
        ("/outputs/d/config", json!({"address": "h", "port": 1, "confirm": "closed"}), true),
        ("/outputs/d/config", json!({"address": "h", "port": 1, "confirm": "never"}), false),
        ("/outputs/d/config", json!({"port": 1}), false),
        ("/outputs/d", json!({"type": "console"}), true),
        ("/outputs/d", json!({"type": "file"}), false),
        ("/outputs/d", json!({"config": {}}), false),
        ("/outputs", json!([{"type": "console"}]), true),
        ("/globals", json!(null), true),
        ("/globals/persistence/type", json!("redis"), false),
        ("/inputs/a/id", json!([]), false),
        ("/inputs/a/services/advanced_huntuing/queries", json!([{"query": "DeviceInfo"}]), false),
        ("/inputs/a/services/advanced_huntuing/queries", json!([{"name": "a", "kql": "DeviceInfo"}]), true),
    ] {
        let outcome = allows(&schema, &schema, &with(pointer, value.clone()));
        assert_eq!(outcome.is_ok(), good, "{pointer} {value}: {outcome:?}");
    }
}

#[test]
fn the_schema_explains_every_key_of_a_service() {
    let schema = schema();
    for def in SERVICES {
        let properties = schema["$defs"][def.name]["properties"].as_object().unwrap();
        assert!(def.counts.iter().all(|count| properties.contains_key(count.option)), "{}", def.name);
        assert!(properties.values().all(|key| key["description"].as_str().is_some_and(|text| text.len() > 10)));
        let snapshots = matches!(def.pull[0], Pull::Snapshot { .. });
        assert_eq!(properties.contains_key("emit"), snapshots, "{}", def.name);
    }
}
