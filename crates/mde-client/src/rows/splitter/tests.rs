//! Laws of the splitter over generated pages, and every ending that is no success.

use super::*;
use crate::rows::layout::Column;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What the splitter made of a body.
#[derive(Debug, PartialEq)]
struct Read {
    entities: Vec<Vec<u8>>,
    rows: u64,
    annotations: Annotations,
}

/// Reads a body in chunks of these sizes, over and over.
fn split(body: &[u8], sizes: &[usize], cap: usize) -> Result<Read, Fault> {
    let mut splitter = Splitter::new(Layout::Collection, cap);
    let mut entities = Vec::new();
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = Bytes::copy_from_slice(body);
    loop {
        match splitter.step()? {
            Step::Row => entities.push(splitter.row().to_vec()),
            Step::Hungry if rest.is_empty() => break,
            Step::Hungry => {
                let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
                splitter.feed(rest.split_to(size));
            }
        }
    }
    let rows = splitter.end()?;
    Ok(Read { entities, rows, annotations: splitter.annotations().clone() })
}

/// Reads a body in one piece.
fn whole(body: &str) -> Result<Read, Fault> {
    split(body.as_bytes(), &[usize::MAX], 1 << 20)
}

fn texts(read: &Read) -> Vec<&str> {
    read.entities.iter().map(|entity| std::str::from_utf8(entity).expect("test text")).collect()
}

/// The same page as serde_json sees it.
#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
    #[serde(rename = "@odata.count")]
    count: Option<u64>,
    #[serde(rename = "@odata.context")]
    context: Option<String>,
}

/// Any JSON value; strings favour what could mislead a scanner.
fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[\"\\\\{}\\[\\],: u]{0,12}", any::<String>(), Just("value".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e30..1e30).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A value as text, compact or with blanks and line breaks.
fn spelt() -> impl Strategy<Value = String> {
    (json(), any::<bool>()).prop_map(|(value, pretty)| if pretty { format!("{value:#}") } else { value.to_string() })
}

/// A member of a page that is not `value`.
fn member() -> impl Strategy<Value = String> {
    let link = prop_oneof![Just(Value::Null), any::<String>().prop_map(Value::from)];
    prop_oneof![
        (any::<String>(), spelt()).prop_filter_map("`value` stands once", |(key, value)| {
            let known = key.eq_ignore_ascii_case("value") || key.to_ascii_lowercase().starts_with("@odata.");
            (!known).then(|| format!("{} : {value}", Value::from(key)))
        }),
        link.prop_map(|link| format!("\"@odata.nextLink\":{link}")),
        any::<u64>().prop_map(|count| format!("\"@odata.count\" :{count}")),
        any::<String>().prop_map(|context| format!("\"@odata.context\":\n{}", Value::from(context))),
    ]
}

/// A page: members in any order, `value` among them.
fn page() -> impl Strategy<Value = String> {
    let elements = prop::collection::vec(spelt(), 0..6);
    let around = (prop::collection::vec(member(), 0..3), prop::collection::vec(member(), 0..3));
    let blank = || prop_oneof![Just(""), Just(" "), Just("\r\n\t")];
    (elements, around, blank(), blank()).prop_map(|(elements, (mut before, after), one, other)| {
        before.push(format!("{one}\"value\"{other}:[{one}{}{other}]", elements.join(&format!("{other},{one}"))));
        before.extend(after);
        // Of two annotations of one name the reference would refuse the document.
        let mut seen = std::collections::HashSet::new();
        before.retain(|member| {
            let name = member.split(':').next().unwrap_or_default().trim().to_owned();
            !name.starts_with("\"@odata.") || seen.insert(name)
        });
        format!("{other}{{{one}{}{one}}}{other}", before.join(&format!("{one},{other}")))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_chunking_gives_what_serde_json_sees(page in page(), sizes in prop::collection::vec(1_usize..40, 1..8)) {
        let reference: Reference<'_> = serde_json::from_str(&page).expect("the generator writes JSON");
        let read = split(page.as_bytes(), &sizes, 1 << 20).expect("it is a page");
        let expected: Vec<&str> = reference.value.iter().map(|value| value.get()).collect();
        prop_assert_eq!(texts(&read), expected);
        prop_assert_eq!(read.rows, reference.value.len() as u64);
        prop_assert_eq!(&read.annotations.next_link, &reference.next_link.filter(|link| !link.is_empty()));
        prop_assert_eq!(read.annotations.count, reference.count);
        prop_assert_eq!(&read.annotations.context, &reference.context);
        prop_assert_eq!(whole(&page), Ok(read));
    }

    #[test]
    fn no_part_of_a_page_is_a_success(page in page(), cut in any::<prop::sample::Index>(), size in 1_usize..40) {
        let page = page.trim_end();
        let part = &page.as_bytes()[..cut.index(page.len())];
        prop_assert_eq!(split(part, &[size], 1 << 20), Err(Fault::Cut));
    }

    #[test]
    fn any_bytes_are_read_or_refused_alike_in_any_chunking(bytes in "[\"\\\\{}\\[\\],:a1 ]{0,40}", size in 1_usize..9) {
        let body = format!("{{\"value\":[{bytes}");
        let in_one = whole(&body);
        prop_assert_eq!(&split(body.as_bytes(), &[size], 1 << 20), &in_one);
        if serde_json::from_str::<Reference<'_>>(&body).is_ok() {
            prop_assert!(in_one.is_ok(), "what is a page must be read");
        }
    }
}

#[test]
fn annotations_are_found_before_and_after_the_entities() {
    let before = r#"{"@odata.nextLink":"https://a/?$skip=1","@odata.count":2,"@odata.context":"c","value":[{}]}"#;
    let after = r#"{"value":[{}],"@odata.context":"c","@odata.count":2,"@odata.nextLink":"https:\/\/a/?$skip=1"}"#;
    let read = whole(before).expect("a page");
    let expected = Annotations {
        next_link: Some("https://a/?$skip=1".into()),
        count: Some(2),
        context: Some("c".into()),
        ..Annotations::default()
    };
    assert_eq!(read.annotations, expected);
    assert_eq!(whole(after), Ok(read));
}

#[test]
fn only_the_outer_value_counts() {
    let body = r#"{"x":{"value":[1,2]},"y":[{"value":[3]}],"v\u0061lue":[{"value":[4]},5,null,"six",[7],true,-8.5e3]}"#;
    let read = whole(body).expect("a page");
    assert_eq!(texts(&read), [r#"{"value":[4]}"#, "5", "null", r#""six""#, "[7]", "true", "-8.5e3"]);
}

/// What a body of another layout holds: its rows and what stands beside them.
fn laid_out(layout: Layout, body: &str, size: usize) -> Result<(Vec<String>, Annotations), Fault> {
    let mut splitter = Splitter::new(layout, 1 << 20);
    let mut rows = Vec::new();
    for chunk in body.as_bytes().chunks(size) {
        splitter.feed(Bytes::copy_from_slice(chunk));
        while splitter.step()? == Step::Row {
            rows.push(String::from_utf8(splitter.row().to_vec()).expect("test text"));
        }
    }
    splitter.end()?;
    Ok((rows, splitter.annotations().clone()))
}

#[test]
fn a_hunting_answer_is_read_in_the_spelling_of_either_endpoint() {
    let defender = r#"{"Stats":{"cpu":99},"Schema":[{"Name":"A","Type":"SByte"},{"Name":"a","Type":"New"}],"Results":[{"A":1},{"value":[2]}]}"#;
    let graph = r#"{"@odata.context":"c","value":[1],"results":[{"A":1},{"value":[2]}],"schema":[{"type":"SByte","name":"A","x":[]},{"name":"a","type":"New"}]}"#;
    let column = |name: &str, kind: &str| Column { name: name.into(), kind: kind.into() };
    for body in [defender, graph] {
        for size in [1, 7, 1_000] {
            let (rows, beside) = laid_out(Layout::Hunting, body, size).expect("an answer");
            assert_eq!(rows, [r#"{"A":1}"#, r#"{"value":[2]}"#]);
            assert_eq!(beside.columns, Some(vec![column("A", "SByte"), column("a", "New")]));
        }
    }
}

#[test]
fn a_schema_is_known_as_soon_as_it_has_been_read() {
    let mut splitter = Splitter::new(Layout::Hunting, 1_024);
    splitter.feed(Bytes::from_static(br#"{"Schema":[{"Name":"A","Type":"Int64"}],"Results":[{"A":1}"#));
    assert_eq!(splitter.step(), Ok(Step::Row));
    assert_eq!(splitter.annotations().columns.as_ref().map(Vec::len), Some(1));
}

#[test]
fn statistics_of_any_size_and_a_schema_of_another_form_spoil_no_rows() {
    let body = format!(r#"{{"Stats":"{}","Schema":7,"Results":[1]}}"#, "x".repeat(SMALL_CAP));
    for size in [1_000, usize::MAX] {
        let (rows, beside) = laid_out(Layout::Hunting, &body, size).expect("an answer");
        assert_eq!((rows.len(), beside), (1, Annotations::default()));
    }
}

#[test]
fn a_list_of_files_is_read_with_its_time() {
    let body =
        r#"{"@odata.context":"c","exportFiles":["https://a/1","https://a/2"],"generatedTime":"2021-01-11T11:01:00Z"}"#;
    let (rows, beside) = laid_out(Layout::ExportFiles, body, 5).expect("a list");
    assert_eq!(rows, [r#""https://a/1""#, r#""https://a/2""#]);
    assert_eq!(beside.generated.as_deref(), Some("2021-01-11T11:01:00Z"));
    assert_eq!(laid_out(Layout::ExportFiles, r#"{"value":[]}"#, 5), Err(Fault::NotAPage));
}

#[test]
fn an_entity_in_one_chunk_is_not_copied() {
    let body = Bytes::from_static(br#"{"value":[{"a":1}]}"#);
    let mut splitter = Splitter::new(Layout::Collection, 1_024);
    splitter.feed(body.clone());
    assert_eq!(splitter.step(), Ok(Step::Row));
    assert_eq!(splitter.row().as_ptr(), body[10..].as_ptr());
}

#[test]
fn the_carry_buffer_never_outgrows_the_cap() {
    let body = format!(r#"{{"value":["{}"]}}"#, "x".repeat(100_000));
    for size in [1, 7, 100_000] {
        assert_eq!(split(body.as_bytes(), &[size], 1_000), Err(Fault::TooLarge), "{size}");
    }
    assert!(split(body.as_bytes(), &[7], 100_002).is_ok(), "the cap itself is allowed");
}

#[test]
fn what_is_passed_over_may_be_of_any_size_and_a_link_may_not() {
    let long = "x".repeat(SMALL_CAP + 1);
    let passed_over = format!(r#"{{"other":"{long}","value":[]}}"#);
    assert!(split(passed_over.as_bytes(), &[4_096], 10).is_ok());
    for body in [format!(r#"{{"@odata.nextLink":"{long}","value":[]}}"#), format!(r#"{{"{long}":1,"value":[]}}"#)] {
        assert_eq!(whole(&body), Err(Fault::NotAPage));
    }
}

#[test]
fn what_is_no_page_is_refused() {
    for body in [
        "<html><body>Bad gateway</body></html>",
        "[]",
        "null",
        "{}",
        r#"{"error":{"code":"x"}}"#,
        r#"{"value":{}}"#,
        r#"{"value":null}"#,
        r#"{"value":"text"}"#,
        r#"{"value":[],"value":[]}"#,
        r#"{"value":[{}]} x"#,
        r#"{"value":[{}]}{"value":[]}"#,
        r#"{"value":[{},]}"#,
        r#"{"value":[,{}]}"#,
        r#"{"value":[{} {}]}"#,
        r#"{"value":[{}}"#,
        r#"{"value":[{"a":[}]}"#,
        r#"{"value":[<html>]}"#,
        r#"{"value":[]],"x":1}"#,
        r#"{"value" []}"#,
        r#"{value:[]}"#,
        r#"{"value":[],}"#,
        r#"{,"value":[]}"#,
        r#"{"@odata.nextLink":7,"value":[]}"#,
        r#"{"x":[1},"value":[]}"#,
        "{\"value\":[]}\0",
    ] {
        assert_eq!(whole(body), Err(Fault::NotAPage), "{body}");
    }
    let deep = format!(r#"{{"value":[{}"#, "[".repeat(2_000));
    assert_eq!(whole(&deep), Err(Fault::NotAPage), "a nest without end");
}

#[test]
fn a_body_that_ends_early_is_cut() {
    for body in
        ["", "  ", "{", r#"{"value"#, r#"{"value":"#, r#"{"value":[{"a":"#, r#"{"value":[{}]"#, r#"{"value":[1"#]
    {
        assert_eq!(whole(body), Err(Fault::Cut), "{body}");
    }
}

/// Sample pages in a folder beside the repository, where there is one.
#[test]
fn sample_pages_are_read_as_serde_json_reads_them() {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let Ok(folders) = std::fs::read_dir(samples) else { return };
    let files = folders.flatten().filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten().flatten();
    for path in files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let text = std::fs::read_to_string(&path).expect("a readable sample");
        let Ok(reference) = serde_json::from_str::<Reference<'_>>(&text) else { continue };
        let read = split(text.as_bytes(), &[97, 1, 512], 1 << 20).unwrap_or_else(|fault| panic!("{path:?}: {fault:?}"));
        let expected: Vec<&str> = reference.value.iter().map(|value| value.get()).collect();
        assert_eq!(texts(&read), expected, "{path:?}");
        assert_eq!(read.annotations.next_link, reference.next_link, "{path:?}");
    }
}
