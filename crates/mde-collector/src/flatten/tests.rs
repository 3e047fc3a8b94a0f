//! The contract's sentences, one by one.

use super::*;
use std::convert::Infallible;

/// These names.
fn named(names: &[&str]) -> Selection {
    Selection::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Flattening on, with the default limit.
fn config(objects: Selection, arrays: Selection) -> FlattenConfig {
    FlattenConfig { enabled: true, objects, arrays, max_events_per_record: FlattenConfig::MAX_EVENTS }
}

/// The version that all records of these tests are.
fn identity() -> Identity {
    Identity::new("acme", "alerts", ["one"])
}

/// Events without the tail, which is checked on its own.
fn bodies(config: &FlattenConfig, record: &str) -> Vec<String> {
    let identity = identity();
    let tail = Tail { counts: &[], environment: None, pulled_ms: 7, identity: &identity };
    let parsed = RawObject::parse(record.as_bytes()).expect("the record is JSON");
    let mut bodies = Vec::new();
    let outcome = Flattener::new(config).events(&parsed, &tail, |line| {
        let line = std::str::from_utf8(line).expect("an event is UTF-8");
        let id = identity.event_id(bodies.len() as u64);
        let tail = format!("\"@devo_pulling_id\":\"7\",\"@event_id\":\"{id}\"}}\n");
        let body = line.strip_suffix(&tail).expect("the tail ends the event");
        bodies.push(format!("{}}}", body.strip_suffix(',').unwrap_or(body)));
        Ok::<_, Infallible>(())
    });
    assert_eq!(outcome.unwrap(), Outcome { events: bodies.len() as u64, skipped: false });
    bodies
}

#[test]
fn a_selected_object_is_flattened_all_the_way_down_and_in_place() {
    let record = r#"{"x":1,"a":{"b":{"c":1},"d":[{"e":2}]},"y":{"z":3}}"#;
    assert_eq!(
        bodies(&config(named(&["a"]), named(&[])), record),
        [r#"{"x":1,"a_b_c":1,"a_d":[{"e":2}],"y":{"z":3}}"#]
    );
    assert_eq!(bodies(&config(Selection::All, named(&[])), record), [r#"{"x":1,"a_b_c":1,"a_d":[{"e":2}],"y_z":3}"#]);
}

#[test]
fn what_is_empty_is_null_under_the_outer_key_and_a_scalar_stays() {
    let all = config(named(&["a", "b", "c", "d"]), named(&["c"]));
    assert_eq!(
        bodies(&all, r#"{"a":{},"b":null,"c":"x","d":{"e":{}}}"#),
        [r#"{"a":null,"b":null,"c":"x","d_e":null}"#]
    );
}

#[test]
fn two_three_and_four_elements_make_24_events_and_the_last_array_varies_fastest() {
    let events = bodies(&config(named(&[]), named(&["a", "b", "c"])), r#"{"a":[1,2],"b":[1,2,3],"c":[1,2,3,4]}"#);
    let mut expected = Vec::new();
    for a in 1..=2 {
        for b in 1..=3 {
            for c in 1..=4 {
                expected.push(format!(
                    r#"{{"a":{a},"a_found":2,"a_id":{a},"b":{b},"b_found":3,"b_id":{b},"c":{c},"c_found":4,"c_id":{c}}}"#
                ));
            }
        }
    }
    assert_eq!(events, expected);
}

#[test]
fn an_element_stands_in_place_with_its_count_and_number_right_after() {
    let record = r#"{"x":0,"e":[{"p":{"q":1},"r":[9]},{},[1, {"p":2}],null],"y":5}"#;
    assert_eq!(
        bodies(&config(named(&[]), named(&["e"])), record),
        [
            r#"{"x":0,"e_p_q":1,"e_r":[9],"e_found":4,"e_id":1,"y":5}"#,
            r#"{"x":0,"e":null,"e_found":4,"e_id":2,"y":5}"#,
            r#"{"x":0,"e":[1,{"p":2}],"e_found":4,"e_id":3,"y":5}"#,
            r#"{"x":0,"e":null,"e_found":4,"e_id":4,"y":5}"#,
        ]
    );
}

#[test]
fn a_named_array_that_is_empty_or_null_gives_one_event() {
    let none = r#"{"a":null,"a_found":0,"a_id":0}"#;
    assert_eq!(bodies(&config(named(&[]), named(&["a"])), r#"{"a":[]}"#), [none]);
    assert_eq!(bodies(&config(named(&[]), named(&["a"])), r#"{"a":null}"#), [none]);
    assert_eq!(bodies(&config(named(&[]), Selection::All), r#"{"a":[ ]}"#), [none]);
    assert_eq!(bodies(&config(named(&[]), Selection::All), r#"{"a":null}"#), [r#"{"a":null}"#]);
    assert_eq!(bodies(&config(named(&[]), named(&["a"])), "{}"), ["{}"]);
}

#[test]
fn an_object_where_an_array_is_named_counts_as_one_element() {
    assert_eq!(
        bodies(&config(named(&[]), named(&["a"])), r#"{"a":{"b":{"c":1}},"d":2}"#),
        [r#"{"a_b_c":1,"a_found":1,"a_id":1,"d":2}"#]
    );
    assert_eq!(bodies(&config(named(&[]), Selection::All), r#"{"a":{"b":[1]}}"#), [r#"{"a":{"b":[1]}}"#]);
}

#[test]
fn nested_arrays_are_expanded_where_their_flattened_name_is_selected() {
    let record = r#"{"e":[{"t":["x","y"]},{"t":[]},{"u":1}],"o":{"l":[1,2]}}"#;
    let events = bodies(&config(named(&["o"]), named(&["e", "e_t"])), record);
    assert_eq!(
        events,
        [
            r#"{"e_t":"x","e_t_found":2,"e_t_id":1,"e_found":3,"e_id":1,"o_l":[1,2]}"#,
            r#"{"e_t":"y","e_t_found":2,"e_t_id":2,"e_found":3,"e_id":1,"o_l":[1,2]}"#,
            r#"{"e_t":null,"e_t_found":0,"e_t_id":0,"e_found":3,"e_id":2,"o_l":[1,2]}"#,
            r#"{"e_u":1,"e_found":3,"e_id":3,"o_l":[1,2]}"#,
        ]
    );
    assert_eq!(bodies(&config(named(&["o"]), Selection::All), record).len(), 8);
    assert_eq!(bodies(&config(named(&[]), Selection::All), record).len(), 4, "an object that stays hides its array");
}

#[test]
fn the_first_keeps_its_name_and_nothing_is_overwritten() {
    let flat = config(named(&["a"]), named(&["e"]));
    assert_eq!(
        bodies(&flat, r#"{"a_b":1,"a":{"b":2},"a_b_2":3,"x":4,"x":5,"x":6}"#),
        [r#"{"a_b":1,"a_b_2":2,"a_b_2_2":3,"x":4,"x_2":5,"x_3":6}"#]
    );
    assert_eq!(
        bodies(&flat, r#"{"e_found":"own","e":[{"id":7},{"k":8}],"e_id":9}"#),
        [
            r#"{"e_found":"own","e_id":7,"e_found_2":2,"e_id_2":1,"e_id_3":9}"#,
            r#"{"e_found":"own","e_k":8,"e_found_2":2,"e_id":2,"e_id_2":9}"#,
        ]
    );
}

#[test]
fn names_are_compared_unescaped_and_sent_as_written() {
    let flat = config(named(&["é"]), named(&[]));
    assert_eq!(
        bodies(&flat, r#"{"é_b":1,"\u00e9":{"\u0062":2},"x":{"y":1}}"#),
        [r#"{"é_b":1,"\u00e9_\u0062_2":2,"x":{"y":1}}"#]
    );
}

#[test]
fn names_of_the_tail_give_way_to_those_of_the_record_whether_flattening_is_on_or_off() {
    let identity = identity();
    let tail = Tail {
        counts: &[("related_files", 2), ("related_ips", 0)],
        environment: Some("a\"\n"),
        pulled_ms: -1,
        identity: &identity,
    };
    let record = RawObject::parse(br#"{"@event_id":1,"related_files":"x","@event\u005fid":2}"#).expect("JSON");
    for (enabled, own) in [
        (true, r#"{"@event_id":1,"related_files":"x","@event\u005fid_2":2,"#),
        (false, r#"{"@event_id":1,"related_files":"x","@event\u005fid":2,"#),
    ] {
        let flattener = Flattener::new(&FlattenConfig { enabled, ..config(named(&[]), named(&[])) });
        let mut events = flattener.start(&record, &tail);
        let line = String::from_utf8(events.next_line().expect("one event").to_vec()).expect("UTF-8");
        let id = format!("@event_id_{}", if enabled { 3 } else { 2 });
        let counts = r#""related_files_2":2,"related_ips":0,"@devo_environment":"a\"\n","@devo_pulling_id":"-1""#;
        assert_eq!(line, format!("{own}{counts},\"{id}\":\"{}\"}}\n", identity.event_id(0)));
        assert_eq!(events.next_line(), None);
        assert_eq!(events.next_line(), None, "the end stays the end");
    }
}

#[test]
fn a_record_over_the_limit_leaves_as_one_marked_event() {
    let limited = FlattenConfig { max_events_per_record: 5, ..config(named(&["o"]), named(&["a", "b", "c"])) };
    let text = r#"{"o":{"p":1},"a":[1, 2],"b":[3,4,5],"c":null}"#;
    let identity = identity();
    let tail = Tail { counts: &[("related_ips", 1)], environment: Some("test"), pulled_ms: 7, identity: &identity };
    let mut lines = Vec::new();
    let outcome = Flattener::new(&limited).events(&RawObject::parse(text.as_bytes()).expect("JSON"), &tail, |line| {
        lines.push(String::from_utf8(line.to_vec()).expect("UTF-8"));
        Ok::<_, Infallible>(())
    });
    assert_eq!(outcome.unwrap(), Outcome { events: 1, skipped: true });
    let own = r#"{"o_p":1,"a":[1,2],"b":[3,4,5],"c":null,"related_ips":1,"@flatten_skipped":true"#;
    let rest = r#""@devo_environment":"test","@devo_pulling_id":"7","@event_id""#;
    assert_eq!(lines, [format!("{own},{rest}:\"{}\"}}\n", identity.event_id(0))]);
    let wider = FlattenConfig { max_events_per_record: 6, ..limited };
    assert_eq!(bodies(&wider, text).len(), 6);
    let least = FlattenConfig { max_events_per_record: 0, ..wider };
    assert_eq!(bodies(&least, r#"{"a":[1]}"#).len(), 1, "one event is never too many");
}

#[test]
fn a_product_beyond_every_number_is_refused_without_being_made() {
    let array = format!("[{}]", vec!["1"; 100].join(","));
    let members: Vec<_> = (0..40).map(|index| format!("\"k{index}\":{array}")).collect();
    let record = format!("{{{}}}", members.join(","));
    let endless = FlattenConfig { max_events_per_record: u64::MAX - 1, ..config(named(&[]), Selection::All) };
    let identity = identity();
    let tail = Tail { counts: &[], environment: None, pulled_ms: 7, identity: &identity };
    let events = Flattener::new(&endless).start(&RawObject::parse(record.as_bytes()).expect("JSON"), &tail);
    assert_eq!(events.outcome(), Outcome { events: 1, skipped: true });
}

#[test]
fn bottomless_nesting_stays_json_below_the_limit_and_breaks_nothing() {
    let levels = 100_000;
    let deep = format!("{{{}1{}}}", "\"a\":{".repeat(levels) + "\"a\":", "}".repeat(levels));
    let events = bodies(&config(Selection::All, Selection::All), &deep);
    let name = vec!["a"; plan::DEPTH_LIMIT].join("_");
    assert!(events[0].starts_with(&format!("{{\"{name}\":{{\"a\":")));
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(bodies(&config(Selection::All, Selection::All), &nested)[0].starts_with("{\"a\":[[["));
    let both = format!("{{\"a\":{}1{}}}", "[{\"a\":".repeat(levels), "}]".repeat(levels));
    assert!(bodies(&config(Selection::All, Selection::All), &both)[0].starts_with(&format!("{{\"{name}\":{{\"a\":[")));
}

#[test]
fn the_first_line_is_there_before_the_last_is_made_and_a_sink_can_stop() {
    let exploding = config(named(&[]), Selection::All);
    let record = RawObject::parse(br#"{"a":[1,2,3],"b":[1,2,3]}"#).expect("JSON");
    let identity = identity();
    let tail = Tail { counts: &[], environment: None, pulled_ms: 7, identity: &identity };
    let mut seen = 0;
    let stopped = Flattener::new(&exploding).events(&record, &tail, |_| {
        seen += 1;
        if seen == 4 { Err("full") } else { Ok(()) }
    });
    assert_eq!((stopped, seen), (Err("full"), 4));
}

#[test]
fn no_line_break_can_be_smuggled_through() {
    for octet in ['\n', '\r', '\0', '\u{1f}'] {
        for record in
            [format!("{{\"a\":\"{octet}\"}}"), format!("{{\"a{octet}\":1}}"), format!("{{\"a\":[\"{octet}\"]}}")]
        {
            assert!(RawObject::parse(record.as_bytes()).is_err(), "{record:?}");
        }
    }
    assert!(RawObject::parse(b"{\"a\":\0 1}").is_err());
    let spaced = "\r\n{\r\n\"a\"\n:\r[\n1\r,\n{ }\r]\n,\r\"b\"\n: \" \\n\"\r}\n";
    assert_eq!(bodies(&config(named(&[]), named(&[])), spaced), [r#"{"a":[1,{}],"b":" \n"}"#]);
}

#[test]
fn nothing_of_a_record_is_printed() {
    let identity = identity();
    let tail = Tail { counts: &[], environment: None, pulled_ms: 7, identity: &identity };
    let record = RawObject::parse(br#"{"hidden":"tell-tale"}"#).expect("JSON");
    let mut events = Flattener::new(&config(named(&[]), named(&[]))).start(&record, &tail);
    assert!(events.next_line().is_some());
    assert!(!format!("{events:?}").contains("tell-tale"));
}

#[test]
fn the_defaults_are_those_of_the_service_table() {
    let alerts = crate::service::find("alerts").expect("alerts are a service");
    assert_eq!(FlattenConfig::of(alerts.flatten), config(named(&["relatedUser"]), named(&["evidence"])));
    assert!(!FlattenConfig::of(&[]).enabled);
}
