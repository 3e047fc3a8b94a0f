//! The parser against texts whose meaning is known, and against another reader of JSON.

use super::*;
use proptest::prelude::*;
use serde_json::Value as Json;

/// Parses a text that is all right.
fn tree(text: &str) -> Node {
    let parsed = parse(text, 0);
    assert!(parsed.faults.is_empty(), "{text}: {parsed:?}");
    parsed.root.unwrap()
}

/// What is wrong with a text, each with its place.
fn faults(text: &str) -> Vec<(usize, usize, String)> {
    parse(text, 0)
        .faults
        .into_iter()
        .map(|found| (found.span.start.line, found.span.start.column, found.fault.message))
        .collect()
}

/// A tree as JSON in which every single value is a text.
fn texts(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => scalar.text.clone().into(),
        Value::List(items) => items.iter().map(texts).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), texts(&entry.value))).collect(),
    }
}

/// JSON in which every single value is a text.
fn flattened(json: &Json) -> Json {
    match json {
        Json::Null => Json::Null,
        Json::String(text) => text.clone().into(),
        Json::Bool(_) | Json::Number(_) => json.to_string().into(),
        Json::Array(items) => items.iter().map(flattened).collect(),
        Json::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), flattened(value))).collect(),
    }
}

#[test]
fn values_keep_their_spelling() {
    let root =
        tree("date: 2024-09-18T00:00:00Z\nid: 007\nlow: -1.0\nint: -1\nempty:\nquoted: ''\ntilde: ~\nword: 'null'\n");
    let expected = serde_json::json!({"date": "2024-09-18T00:00:00Z", "id": "007", "low": "-1.0", "int": "-1", "empty": null,
        "quoted": "", "tilde": null, "word": "null"});
    assert_eq!(texts(&root), expected);
}

#[test]
fn everything_knows_its_place_and_path() {
    let Value::Map(entries) = tree("a: 1\nb:\n  - é: x\n  - {c: 'y'}\n").value else { panic!() };
    let Value::List(items) = &entries[1].value.value else { panic!() };
    let Value::Map(inner) = &items[1].value else { panic!() };
    let place = |span: Span| (span.start.line, span.start.column, span.end.column);
    assert_eq!(place(entries[1].span), (2, 1, 2));
    assert_eq!(place(inner[0].span), (4, 6, 7));
    assert_eq!((place(inner[0].value.span), inner[0].value.path.as_str()), ((4, 9, 12), "b[1].c"));
}

#[test]
fn an_empty_value_stands_where_its_key_does() {
    let Value::Map(entries) = tree("services:\n  alerts:\n\n\nother: 1\n").value else { panic!() };
    let Value::Map(services) = &entries[0].value.value else { panic!() };
    assert_eq!(services[0].value.span, services[0].span);
}

#[test]
fn a_key_that_stands_twice_names_both_places() {
    for text in ["a: 1\nb: 2\na: 3\n", "{\"a\": 1,\n \"b\": 2,\n\"a\": 3}"] {
        let first = if text.starts_with('{') { 2 } else { 1 };
        assert_eq!(faults(text), [(3, 1, format!("the key stands twice; first at line 1, column {first}"))]);
    }
}

#[test]
fn json_escapes_mean_what_json_says() {
    let root =
        tree("{\t\"a\": \"x\\/y\\u00e9\\ud83d\\ude00\\\\ud83d\\n\\t\\\"\",\r\n\t\"b\"\t:\t[1,\ttrue,null,-1.5e3]}\n");
    assert_eq!(texts(&root), serde_json::json!({"a": "x/yé😀\\ud83d\n\t\"", "b": ["1", "true", null, "-1.5e3"]}));
}

#[test]
fn columns_behind_joined_escapes_are_those_of_the_file() {
    let text = "{\"a\": \"\\ud83d\\ude00\\ud83d\\ude00\", \"b\": 1}";
    let Value::Map(entries) = tree(text).value else { panic!() };
    assert_eq!(entries[1].span.start.column, text.find("\"b\"").unwrap() + 1);
    assert_eq!(entries[0].value.span.start.column, text.find("\"\\ud").unwrap() + 1);
}

#[test]
fn half_a_surrogate_is_a_fault_and_yaml_keeps_its_backslashes() {
    assert_eq!(faults("{\"a\": \"\\ud83d\"}").len(), 1);
    assert_eq!(texts(&tree("a: \\ud83d\\ude00")), serde_json::json!({"a": "\\ud83d\\ude00"}));
}

#[test]
fn aliases_cannot_multiply_without_end() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", "));
    }
    assert_eq!(faults(&text).last().unwrap().2, "aliases repeat more than 10000 values");
    assert_eq!(faults("a: &a [*a]")[0].2, "an alias stands inside its own anchor");
    assert_eq!(faults("a: *nobody").len(), 1);
}

#[test]
fn depth_is_bounded_in_every_form() {
    let block: String = (0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    for text in ["[".repeat(100_000), "{a: ".repeat(100_000), block, "- ".repeat(5_000)] {
        assert_eq!(faults(&text).len(), 1);
    }
}

#[test]
fn only_keys_that_hold_no_credential_may_be_shown() {
    for text in [
        "password: [{hunter2, x: 1",
        "a:\n  secret: \"x\n    hunter2\":\n",
        "&secret: hunter2: 1",
        "{password:& hunter2: 1}",
    ] {
        for key in parse(text, 0).keys {
            let line = text.lines().nth(key.start.line - 1).unwrap();
            let shown: String = line.chars().take(key.end.column - 1).skip(key.start.column - 1).collect();
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
        }
    }
}

#[test]
fn merge_keys_bring_what_is_not_written_out() {
    let root = tree("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, y: 9}\ntwo: {<<: [*m, *b]}\n");
    let json = texts(&root);
    assert_eq!(json["one"], serde_json::json!({"y": "9", "x": "1"}));
    assert_eq!(json["two"], serde_json::json!({"y": "3", "z": "4", "x": "1"}));
    let Value::Map(entries) = root.value else { panic!() };
    let Value::Map(two) = &entries[3].value.value else { panic!() };
    assert_eq!((two[2].value.path.as_str(), two[2].value.span.start.line), ("two.x", 1));
}

#[test]
fn what_has_no_meaning_here_is_refused() {
    assert_eq!(faults("a: !vault x\n")[0].2, "a tag has no meaning here");
    assert_eq!(faults("a: !!str 5\n"), []);
    assert_eq!(faults("a: 1\n---\nb: 2\n")[0].2, "a second document begins here");
    assert_eq!(faults("{[a]: 1}")[0].2, "a key must be a single text");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_is_read_as_another_reader_reads_it(text in json(), pretty in any::<bool>(), ascii in any::<bool>()) {
        let json: Json = serde_json::from_str(&text).unwrap();
        let mut written = if pretty { with_tabs(&json) } else { text };
        if ascii {
            written = escaped(&written);
        }
        let parsed = parse(&written, 0);
        prop_assert!(parsed.faults.is_empty(), "{} {:?}", written, parsed);
        prop_assert_eq!(texts(&parsed.root.unwrap()), flattened(&json));
    }
}

/// JSON on many lines, indented with tabs.
fn with_tabs(json: &Json) -> String {
    let mut octets = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    serde::Serialize::serialize(json, &mut serde_json::Serializer::with_formatter(&mut octets, tabs)).unwrap();
    String::from_utf8(octets).unwrap()
}

/// JSON texts of objects with all kinds of characters.
fn json() -> impl Strategy<Value = String> {
    let text = "([a-z :#{}\\[\\],&*!|>'\"%@`\\\\/-]|\\PC){0,8}";
    let leaf = prop_oneof![
        any::<i32>().prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        text.prop_map(Json::from),
        Just(Json::Null),
        Just(Json::from("\n\t\r\u{8}\u{1F600}")),
    ];
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(text, inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    });
    prop::collection::vec(value, 0..3).prop_map(|items| serde_json::json!({"items": items}).to_string())
}

/// The same JSON with every character beyond ASCII as an escape.
fn escaped(json: &str) -> String {
    let unit = |unit: u16| format!("\\u{unit:04x}");
    json.chars()
        .map(
            |c| {
                if c.is_ascii() {
                    c.to_string()
                } else {
                    c.encode_utf16(&mut [0; 2]).iter().copied().map(unit).collect()
                }
            },
        )
        .collect()
}
