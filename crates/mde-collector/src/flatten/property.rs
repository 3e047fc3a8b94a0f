//! Laws over generated documents, and the model beside the real one.

use super::model::{self, Field, field};
use super::*;
use crate::record::documents::{Node, Tree, document};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Flattened names that the generated documents reach.
const NAMES: &[&str] = &[
    "a",
    "b",
    "list",
    "a_b",
    "a_list",
    "list_a",
    "list_list",
    "a_b_list",
    "list_a_b",
    "a_a",
    "b_b",
    "é",
    "",
    "_",
    "\"{",
    r"\ud83d",
    "@event_id",
    "list_found",
];

/// Some names, or all.
fn selection() -> impl Strategy<Value = Selection> {
    let named =
        vec(select(NAMES), 0..6).prop_map(|names| Selection::Named(names.into_iter().map(str::to_owned).collect()));
    prop_oneof![1 => Just(Selection::All), 2 => named]
}

/// Mostly on, with a low limit: the model makes every event at once.
fn config() -> impl Strategy<Value = FlattenConfig> {
    let limit = select(&[1, 2, 7, 60, 300][..]);
    (any::<[bool; 3]>(), selection(), selection(), limit).prop_map(|(on, objects, arrays, max_events_per_record)| {
        FlattenConfig { enabled: on.contains(&true), objects, arrays, max_events_per_record }
    })
}

/// The version that all generated records are.
fn identity() -> Identity {
    Identity::new("acme", "alerts", ["one", "two"])
}

/// Counts of the tail.
const COUNTS: &[(&str, u64)] = &[("related_files", 3), ("related_ips", u64::MAX)];

/// What the contract says about the end of an event, as the model's fields.
fn tail(index: usize, skipped: bool) -> Vec<Field> {
    let plain = |name: &str, value: String| field(name, name, &value);
    let mut fields: Vec<_> = COUNTS.iter().map(|(name, count)| plain(name, count.to_string())).collect();
    if skipped {
        fields.push(plain("@flatten_skipped", "true".to_owned()));
    }
    fields.push(plain("@devo_environment", r#""pre \"é\"""#.to_owned()));
    fields.push(plain("@devo_pulling_id", r#""1790000000123""#.to_owned()));
    fields.push(plain("@event_id", format!("\"{}\"", identity().event_id(index as u64))));
    fields
}

/// What the real flattener makes of a text.
fn flattened(config: &FlattenConfig, text: &str) -> (Vec<String>, Outcome) {
    let record = RawObject::parse(text.as_bytes()).expect("generated documents are JSON");
    let identity = identity();
    let tail =
        Tail { counts: COUNTS, environment: Some("pre \"é\""), pulled_ms: 1_790_000_000_123, identity: &identity };
    let mut lines = Vec::new();
    let outcome = Flattener::new(config).events(&record, &tail, |line| {
        lines.push(String::from_utf8(line.to_vec()).expect("an event is UTF-8"));
        Ok::<_, std::convert::Infallible>(())
    });
    (lines, outcome.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn events_are_those_of_the_model_octet_for_octet(document in document(), config in config()) {
        let (lines, outcome) = flattened(&config, &document.text());
        let (events, skipped) = model::events(&document, &config, &tail);
        let expected: Vec<_> = events.iter().map(|event| model::line(event)).collect();
        prop_assert_eq!(&lines, &expected);
        prop_assert_eq!(outcome, Outcome { events: expected.len() as u64, skipped });
    }

    #[test]
    fn flatten_false_gives_the_compact_record_and_the_tail(document in document(), mut config in config()) {
        config.enabled = false;
        let (lines, outcome) = flattened(&config, &document.text());
        prop_assert_eq!(outcome, Outcome { events: 1, skipped: false });
        let compact = document.tree.compact();
        let open = &compact[..compact.len() - 1];
        prop_assert!(lines[0].starts_with(open), "{} {}", lines[0], open);
        let added = lines[0][open.len()..].replace("_2\":", "\":").replace("_3\":", "\":");
        let tail: Vec<_> = tail(0, false).iter().map(|own| format!("\"{}\":{}", own.written, own.value)).collect();
        prop_assert_eq!(added.trim_start_matches(','), tail.join(",") + "}\n");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn an_event_is_one_line_of_json_and_no_name_is_given_twice(document in document(), config in config()) {
        for line in flattened(&config, &document.text()).0 {
            let (event, end) = line.split_at(line.len() - 1);
            prop_assert_eq!(end, "\n");
            prop_assert!(!event.contains(['\n', '\r', '\0']));
            let event = RawObject::parse(event.as_bytes());
            prop_assert!(event.is_ok());
            let members = event.unwrap().members;
            let names: std::collections::BTreeSet<_> = members.iter().map(|(key, _)| crate::record::unquoted(key)).collect();
            prop_assert!(!config.enabled || names.len() == members.len());
        }
    }

    #[test]
    fn arrays_beside_each_other_multiply(lengths in vec(0..5_usize, 0..5)) {
        let array = |length: &usize| Tree::Array(vec![
            Node { before: " ", after: "", tree: Tree::Scalar("1.0".to_owned()) }; *length
        ]).compact();
        let members: Vec<_> =
            lengths.iter().enumerate().map(|(index, length)| format!("\"k{index}\":{}", array(length))).collect();
        let config = FlattenConfig {
            enabled: true,
            objects: Selection::All,
            arrays: Selection::Named((0..lengths.len()).map(|index| format!("k{index}")).collect()),
            max_events_per_record: FlattenConfig::MAX_EVENTS,
        };
        let (lines, outcome) = flattened(&config, &format!("{{{}}}", members.join(",")));
        let product: usize = lengths.iter().map(|length| length.max(&1)).product();
        prop_assert_eq!(lines.len(), product);
        prop_assert_eq!(outcome, Outcome { events: product as u64, skipped: false });
    }
}
