use super::filter::{EVER, Filter};
use super::options::{Options, moved, without};
use super::page::page;
use super::*;
use crate::config::{Order, PageConfig};
use proptest::prelude::*;

/// A collection for tests: a nullable text, a nullable number, an indexed time.
struct Rows(Vec<Row>);

#[derive(Clone, Debug, PartialEq)]
struct Row {
    text: Option<String>,
    number: Option<i64>,
    time: i64,
}

static SCHEMA: Schema = Schema {
    set: "Rows",
    index: Some("time"),
    expand: Some("more"),
    top_limit: 10_000,
    manner: &DEFENDER,
    fields: &[
        Field { name: "text", alias: None, kind: Kind::Text, filterable: true },
        Field { name: "number", alias: Some("Number"), kind: Kind::Number, filterable: true },
        Field { name: "time", alias: None, kind: Kind::Time, filterable: true },
        Field { name: "hidden", alias: None, kind: Kind::Text, filterable: false },
    ],
};

impl Collection for Rows {
    type Row = Row;
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }
    fn rows(&self, range: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, Row> {
        let mut rows: Vec<_> = self.0.iter().filter(|row| range.contains(&Ticks(row.time))).cloned().collect();
        rows.sort_by_key(|row| row.time);
        Box::new(arrangement.of_all(rows, |row| row.time as u64))
    }
    fn value(&self, row: &Row, field: &'static str) -> Value<'static> {
        match field {
            "text" => row.text.clone().map_or(Value::Null, |text| Value::Text(text.into())),
            "number" => row.number.map_or(Value::Null, Value::Integer),
            _ => Value::Time(Ticks(row.time)),
        }
    }
    fn write(&self, _: &Row, _: bool, _: &mut Vec<u8>) {}
    fn id(&self, row: &Row) -> String {
        row.time.to_string()
    }
    fn served(&self, rows: &[Row], _: bool) -> crate::ledger::Rows {
        crate::ledger::Rows::Other(rows.len() as u64)
    }
}

/// A filter as the test sees it, evaluated without any code under test.
#[derive(Clone, Debug)]
enum Wanted {
    And(Box<Wanted>, Box<Wanted>),
    Or(Box<Wanted>, Box<Wanted>),
    Not(Box<Wanted>),
    Text(&'static str, Option<String>),
    Number(&'static str, Option<i64>, bool),
    Time(&'static str, i64),
    In(Vec<i64>),
    StartsWith(String),
}

/// Times of test rows: few steps of 100 ns, so that bounds meet them.
const BASE: i64 = 17_000_000_000_000_000;

impl Wanted {
    fn text(&self) -> String {
        let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
        match self {
            Self::And(left, right) => format!("({}) and {}", left.text(), right.bracketed()),
            Self::Or(left, right) => format!("{} or  {}", left.text(), right.text()),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::Text(operator, literal) => {
                format!("text {operator} {}", literal.as_deref().map_or("null".to_owned(), quote))
            }
            Self::Number(operator, literal, true) => {
                format!("{} {operator} Number", literal.map_or("null".to_owned(), |number| number.to_string()))
            }
            Self::Number(operator, literal, false) => {
                format!("number {operator} {}", literal.map_or("null".to_owned(), |number| number.to_string()))
            }
            Self::Time(operator, time) => format!("time {operator} {}", Ticks(*time)),
            Self::In(numbers) => {
                format!("number in ({})", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" , "))
            }
            Self::StartsWith(start) => format!("startswith( text,{})", quote(start)),
        }
    }

    /// `and` binds tighter than `or`, so an `or` needs brackets under it.
    fn bracketed(&self) -> String {
        if matches!(self, Self::Or(..)) { format!("({})", self.text()) } else { self.text() }
    }

    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::And(left, right) => left.holds(row) && right.holds(row),
            Self::Or(left, right) => left.holds(row) || right.holds(row),
            Self::Not(inner) => !inner.holds(row),
            Self::Text(operator, literal) => compare(operator, row.text.as_ref(), literal.as_ref()),
            Self::Number(operator, literal, true) => compare(operator, literal.as_ref(), row.number.as_ref()),
            Self::Number(operator, literal, false) => compare(operator, row.number.as_ref(), literal.as_ref()),
            Self::Time(operator, time) => compare(operator, Some(&row.time), Some(time)),
            Self::In(numbers) => row.number.is_some_and(|number| numbers.contains(&number)),
            Self::StartsWith(start) => row.text.as_ref().is_some_and(|text| text.starts_with(start)),
        }
    }
}

fn compare<T: PartialOrd>(operator: &str, left: Option<&T>, right: Option<&T>) -> bool {
    match (operator, left, right) {
        ("eq", left, right) => left == right,
        ("ne", left, right) => left != right,
        ("ge", Some(left), Some(right)) => left >= right,
        ("gt", Some(left), Some(right)) => left > right,
        ("le", Some(left), Some(right)) => left <= right,
        ("lt", Some(left), Some(right)) => left < right,
        _ => false,
    }
}

fn operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["eq", "ne", "ge", "gt", "le", "lt"])
}

fn short_text() -> impl Strategy<Value = String> {
    "[ab'é]{0,3}"
}

fn row() -> impl Strategy<Value = Row> {
    (prop::option::of(short_text()), prop::option::of(-3i64..4), 0i64..30).prop_map(|(text, number, time)| Row {
        text,
        number,
        time: BASE + time,
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let leaf = prop_oneof![
        (operator(), prop::option::of(short_text())).prop_map(|(operator, literal)| Wanted::Text(operator, literal)),
        (operator(), prop::option::of(-3i64..4), any::<bool>())
            .prop_map(|(operator, literal, turned)| Wanted::Number(operator, literal, turned)),
        (operator(), -1i64..31).prop_map(|(operator, time)| Wanted::Time(operator, BASE + time)),
        prop::collection::vec(-3i64..4, 1..4).prop_map(Wanted::In),
        short_text().prop_map(Wanted::StartsWith),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Wanted::And(Box::new(left), Box::new(right))),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Wanted::Or(Box::new(left), Box::new(right))),
            inner.prop_map(|inner| Wanted::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn a_filter_selects_what_a_naive_reading_of_it_selects(rows in prop::collection::vec(row(), 0..20), wanted in wanted()) {
        let text = wanted.text();
        let filter = parser::parse(&text, &SCHEMA).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let rows = Rows(rows);
        let arrangement = Arrangement { order: Order::OldestFirst, shuffle: 0 };
        let selected: Vec<_> = Filter::select(Some(&filter), &rows, arrangement).collect();
        let mut expected: Vec<_> = rows.0.iter().filter(|row| wanted.holds(row)).cloned().collect();
        expected.sort_by_key(|row| row.time);
        prop_assert_eq!(selected, expected, "{}", text);
    }

    #[test]
    fn no_text_panics_the_parser(text in "[ -~é]{0,40}|([()', ]|and|or|not|text|eq|in|'a'|1|null){0,20}") {
        let _ = parser::parse(&text, &SCHEMA);
    }

    #[test]
    fn pages_by_link_and_by_top_give_every_row_once(count in 0usize..40, size in 1usize..12, order in 0usize..3) {
        let rows = Rows((0..count).map(|time| Row { text: None, number: None, time: BASE + time as i64 }).collect());
        let order = [Order::NewestFirst, Order::OldestFirst, Order::Shuffled][order];
        let config = PageConfig { size, order, ..PageConfig::default() };
        let mut by_link = Vec::new();
        let mut skip = Some(0);
        while let Some(from) = skip {
            let next = page(&rows, &Options { skip: from, ..Options::default() }, &config);
            by_link.extend(next.rows.iter().map(|row| row.time));
            skip = next.next_skip;
        }
        let mut by_top = Vec::new();
        loop {
            let next = page(&rows, &Options { skip: by_top.len(), top: Some(size), ..Options::default() }, &config);
            prop_assert_eq!(next.next_skip, None, "no link beside $top");
            by_top.extend(next.rows.iter().map(|row| row.time));
            if next.rows.len() < size {
                break;
            }
        }
        prop_assert_eq!(&by_link, &by_top);
        by_link.sort_unstable();
        prop_assert_eq!(by_link, (0..count).map(|time| BASE + time as i64).collect::<Vec<_>>());
    }
}

#[test]
fn a_window_touches_only_its_part_of_the_index() {
    let filter =
        parser::parse("time ge 2024-01-01T00:00:00Z and (time lt 2024-01-02T00:00:00Z) and text ne 'a'", &SCHEMA)
            .unwrap();
    let instant = |text: &str| Ticks::of(text.parse().unwrap());
    assert_eq!(filter.range("time"), instant("2024-01-01T00:00:00Z")..=instant("2024-01-01T23:59:59.9999999Z"));
    assert_eq!(parser::parse("time ge 2024-01-01Z or number eq 1", &SCHEMA).unwrap().range("time"), EVER);
    assert_eq!(parser::parse("not (time ge 2024-01-01Z)", &SCHEMA).unwrap().range("time"), EVER);
}

#[test]
fn what_the_service_refuses_is_refused() {
    let deep = format!("{}number eq 1{}", "(".repeat(5_000), ")".repeat(5_000));
    for text in [
        "",
        "nothing eq 1",
        "hidden eq 'a'",
        "Text eq 'a'",
        "text eq 1",
        "number eq '1'",
        "time ge '2024-01-01T00:00:00Z'",
        "time ge 2024-01-01T00:00:00",
        "text eq 'a' and",
        "text eq 'a' number eq 1",
        "(text eq 'a'",
        "text eq \"a\"",
        "text EQ 'a'",
        "text",
        "'a' eq 'a'",
        "text in ()",
        "startswith(number,'1')",
        "startswith(text,'a') eq 'b'",
        "true eq number",
        deep.as_str(),
    ] {
        assert!(parser::parse(text, &SCHEMA).is_err(), "{text:.60} was accepted");
    }
}

#[test]
fn options_outside_the_documented_ones_are_refused() {
    for query in [
        "$top=10001",
        "$top=-1",
        "$top=a",
        "$skip=-1",
        "$top=1&$top=2",
        "$select=id",
        "$expand=other",
        "$count=yes",
        "$orderby=nothing",
        "$orderby=text up",
    ] {
        assert!(Options::parse(query, &SCHEMA).is_err(), "{query}");
    }
    let options = Options::parse(
        "%24filter=text+eq+%27a%26b%27&$top=10000&$skip=90000&$expand=more&$count=true&$orderby=number desc,time&x=1",
        &SCHEMA,
    )
    .unwrap();
    assert_eq!((options.top, options.skip, options.expand, options.count), (Some(10_000), 90_000, true, true));
    assert_eq!(options.filter, Some(parser::parse("text eq 'a&b'", &SCHEMA).unwrap()));
    assert_eq!(
        options.order_by.iter().map(|(field, down)| (field.name, *down)).collect::<Vec<_>>(),
        [("number", true), ("time", false)]
    );
}

#[test]
fn a_link_keeps_the_spelling_of_every_other_option() {
    assert_eq!(
        moved("$filter=a+ge+1&%24skip=10&$expand=evidence", 20, false),
        "$filter=a+ge+1&$expand=evidence&$skip=20"
    );
    assert_eq!(moved("", 5, false), "$skip=5");
    assert_eq!(without("%24filter=x&$skip=1", "$filter"), "$skip=1");
}

#[test]
fn hidden_rows_and_trailing_links_are_what_they_are_called() {
    let rows = Rows((0..5).map(|time| Row { text: None, number: None, time }).collect());
    let hidden = page(&rows, &Options::default(), &PageConfig { hidden_after: Some(3), ..PageConfig::default() });
    assert_eq!((hidden.rows.len(), hidden.next_skip), (3, None));
    let config = PageConfig { size: 5, trailing_link: true, ..PageConfig::default() };
    let last = page(&rows, &Options::default(), &config);
    assert_eq!((last.rows.len(), last.next_skip), (5, Some(5)));
    let empty = page(&rows, &Options { skip: 5, ..Options::default() }, &config);
    assert_eq!((empty.rows.len(), empty.next_skip), (0, None));
}

#[test]
fn an_order_asked_for_is_kept_with_null_first() {
    let row = |number, time| Row { text: None, number, time };
    let rows = Rows(vec![row(Some(2), 1), row(None, 2), row(Some(1), 3), row(Some(2), 0)]);
    let options = Options::parse("$orderby=number,time desc", &SCHEMA).unwrap();
    let times: Vec<_> = page(&rows, &options, &PageConfig::default()).rows.iter().map(|row| row.time).collect();
    assert_eq!(times, [2, 3, 1, 0]);
}
