//! The schema as a validator that somebody else has written reads it: what loads is valid, and a broken structure is not.

use super::*;
use crate::config::tree::{Node, Value};
use crate::config::{later, parse};
use jsonschema::Validator;
use serde_json::{Map, Number, Value as Json};
use std::fs;
use std::path::PathBuf;

/// The golden configurations.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/config");

/// The schema, compiled; that it is one itself is part of it.
fn validator() -> Validator {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("the schema is none: {error}"));
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("the schema cannot be used: {error}"))
}

/// A file as an editor sees it; none where it is no YAML.
fn seen(text: &str) -> Option<Json> {
    let parsed = parse::parse(text, 0);
    let whole = parsed.faults.is_empty();
    parsed.root.filter(|_| whole).map(|root| json(&root))
}

/// A node as JSON: scalars without quotes are what YAML's core schema says.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) if scalar.quoted => Json::String(scalar.text.clone()),
        Value::Scalar(scalar) => match scalar.text.as_str() {
            "true" | "True" | "TRUE" => Json::Bool(true),
            "false" | "False" | "FALSE" => Json::Bool(false),
            text => text
                .parse::<i64>()
                .map(Json::from)
                .ok()
                .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64).map(Json::Number))
                .unwrap_or_else(|| Json::String(text.to_owned())),
        },
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect::<Map<_, _>>())
        }
    }
}

/// What the validator has against a file.
fn against(validator: &Validator, text: &str) -> Vec<String> {
    let seen = seen(text).unwrap_or_else(|| panic!("no YAML:\n{text}"));
    validator.iter_errors(&seen).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Files of a folder, in their order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "json"));
    files.sort();
    files
}

#[test]
fn the_example_and_what_it_is_converted_to_are_valid() {
    let validator = validator();
    let text = example();
    assert_eq!(against(&validator, &text), [""; 0]);
    let folder = folder();
    let path = folder.path().join("config.yaml");
    fs::write(&path, text.replace("my_domain", "demo_domain")).unwrap();
    let converted = convert(Original::File(&path), &environment).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(against(&validator, &converted.text), [""; 0]);
}

#[test]
fn every_golden_configuration_that_loads_is_valid() {
    let (validator, mut count) = (validator(), 0);
    for path in files(Path::new(GOLDEN)) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        // Warnings are of no account: a newer official file may hold keys that we cannot know.
        if load(&path, &environment, Options { offline: true, ..Options::default() }).is_ok() {
            // Words may be written otherwise than the schema completes them.
            let text = text.replace("method: put", "method: PUT");
            assert_eq!(against(&validator, &text), [""; 0], "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} of them load");
}

#[test]
fn the_official_files_are_valid_where_they_are() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/devo-configs");
    let folder = std::env::var_os("OFFICIAL_CONFIGS").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        return;
    }
    let validator = validator();
    for path in files(&folder).iter().filter(|path| path.to_string_lossy().ends_with(".yaml")) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("defender-")) {
            let text = fs::read_to_string(path).unwrap();
            assert_eq!(against(&validator, &text), [""; 0], "{}", path.display());
        }
    }
}

#[test]
fn what_is_broken_in_structure_is_not_valid() {
    let validator = validator();
    let sound = with_input("", "      alerts:\n        overlap: 10m\n");
    assert_eq!(against(&validator, &sound), [""; 0]);
    for (from, to) in [
        ("outputs:\n  console_1:\n    type: console\n", ""),
        ("inputs:\n", "inputs: none\nmore:\n"),
        ("    type: console\n", "    type: cnsole\n"),
        ("    type: console\n", "    type: devo_platform\n"),
        ("    id: acme\n", ""),
        ("    id: acme\n", "    id: [acme]\n"),
        ("    id: acme\n", "    id: acme\n    enabled: perhaps\n"),
        ("tenant_id: t, ", ""),
        ("    services:\n", "    services: alerts\n    more:\n"),
        ("        overlap: 10m\n", "        request_period_in_seconds: often\n"),
        ("        overlap: 10m\n", "        overlap: {minutes: 10}\n"),
        ("        overlap: 10m\n", "        flatten: {objects: {a: b}}\n"),
    ] {
        assert!(sound.contains(from), "{from:?}");
        let broken = sound.replace(from, to);
        assert!(load_yaml(&broken).is_err(), "it loads:\n{broken}");
        assert!(!against(&validator, &broken).is_empty(), "it is valid:\n{broken}");
    }
}

#[test]
fn the_example_has_every_key() {
    let text = example();
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    for (section, definition) in definitions {
        for (key, about) in definition["properties"].as_object().unwrap() {
            let doc = about["description"].as_str().unwrap_or_default();
            let passed = about["deprecated"] == true
                || doc.starts_with("Another spelling")
                || doc.starts_with("Not available")
                || later::named().any(|(place, key)| section.starts_with(&format!("{place}.{key}")))
                || section.contains("job_config")
                || section.contains("collector_config");
            assert!(passed || text.contains(&format!("{key}:")), "`{key}` of `{section}` is not in the example");
        }
    }
}
