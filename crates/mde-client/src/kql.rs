//! Cuts a slice out of a hunting query without changing what the query means. Pure: text in, text out.
//!
//! A query that names `{from}` and `{to}` says itself where the slice goes. To any other one the slice is appended as a
//! line of its own, behind its last statement: before a final `;`, behind a final comment.

use crate::time::write_time;

/// A part of a query's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice<'a> {
    /// Rows whose column lies in `[from, to)`; the column is looked at only where the query does not name the placeholders.
    /// Unit: milliseconds since 1970, UTC.
    pub span: Option<(Option<&'a str>, i64, i64)>,
    /// Of these the rows whose hash modulo the second number is the first.
    pub part: Option<(u64, u64)>,
}

/// The placeholders of a query that says itself where its slice goes.
const PLACEHOLDERS: [&str; 2] = ["{from}", "{to}"];

/// The query of one slice; `None` for a time that has no four digits of a year.
#[must_use]
pub fn sliced(query: &str, slice: Slice<'_>) -> Option<String> {
    let mut text = query.to_owned();
    let mut behind = Vec::new();
    if let Some((column, from_ms, to_ms)) = slice.span {
        let (from, to) = (write_time(from_ms)?, write_time(to_ms)?);
        if has_placeholders(query) {
            for (placeholder, time) in PLACEHOLDERS.into_iter().zip([from, to]) {
                text = placed(&text, placeholder, &time);
            }
        } else if let Some(column) = column {
            let column = named(column);
            behind.push(format!("where {column} >= datetime({from}) and {column} < datetime({to})"));
        }
    }
    if let Some((part, parts)) = slice.part {
        behind.push(format!("where hash(tostring(pack_all()), {parts}) == {part}"));
    }
    Some(appended(text, &behind))
}

/// The query of those rows whose columns have these values.
#[must_use]
pub fn equal(query: &str, equals: &[(&str, &str)]) -> String {
    let conditions = equals.iter().map(|(column, value)| format!("where {} == '{}'", named(column), escaped(value)));
    appended(query.to_owned(), &conditions.collect::<Vec<_>>())
}

/// The query that gives the number of rows alone, in a column of that name.
#[must_use]
pub fn counted(query: &str, column: &str) -> String {
    appended(query.to_owned(), &[format!("summarize {} = count()", named(column))])
}

/// The query with further operators behind its last statement.
fn appended(mut text: String, operators: &[String]) -> String {
    if operators.is_empty() {
        return text;
    }
    text.truncate(last_statement_end(&text));
    for operator in operators {
        text.push_str("\n| ");
        text.push_str(operator);
    }
    text
}

/// Whether the query says itself where its slice goes.
#[must_use]
pub fn has_placeholders(query: &str) -> bool {
    PLACEHOLDERS.iter().all(|placeholder| query.contains(placeholder))
}

/// The text with the placeholder replaced: by a `datetime` literal, or inside one that is written already by its time.
fn placed(text: &str, placeholder: &str, time: &str) -> String {
    let mut parts = text.split(placeholder);
    let mut placed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let before = placed.trim_end_matches(|letter: char| letter.is_whitespace() || letter == '"' || letter == '\'');
        let inside = before.to_ascii_lowercase().ends_with("datetime(");
        if inside {
            placed.push_str(time)
        } else {
            placed.push_str(&format!("datetime({time})"))
        }
        placed.push_str(part);
    }
    placed
}

/// A column as KQL takes it: a name that is no identifier stands in brackets.
fn named(column: &str) -> String {
    let plain = column.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !column.starts_with(|letter: char| letter.is_ascii_digit());
    if plain { column.to_owned() } else { format!("['{}']", escaped(column)) }
}

/// What stands between the quotes of a text.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

/// Where the last statement ends: behind its last letter that is no white space, comment or `;`. Unit: octets.
fn last_statement_end(query: &str) -> usize {
    let octets = query.as_bytes();
    let (mut at, mut end) = (0, 0);
    while let Some(&octet) = octets.get(at) {
        let rest = &query[at..];
        let length = match octet {
            b'/' if rest.starts_with("//") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'"' | b'\'' => text_length(rest, at > 0 && octets[at - 1] == b'@'),
            b'`' if rest.starts_with("```") => rest[3..].find("```").map_or(rest.len(), |inside| inside + 6),
            b';' => {
                at += 1;
                continue;
            }
            octet if octet.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += length;
        end = at;
    }
    end
}

/// Length of the text literal that begins here. Unit: octets. In a verbatim one two quotes stand for one, and a backslash
/// is a letter; a plain one ends at its line's end at the latest.
fn text_length(rest: &str, verbatim: bool) -> usize {
    let octets = rest.as_bytes();
    let quote = octets[0];
    let mut at = 1;
    while let Some(&octet) = octets.get(at) {
        match octet {
            b'\\' if !verbatim => at += 1,
            octet if octet == quote && verbatim && octets.get(at + 1) == Some(&quote) => at += 1,
            octet if octet == quote => return at + 1,
            b'\n' if !verbatim => return at,
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPAN: Option<(Option<&str>, i64, i64)> = Some((Some("Timestamp"), 0, 86_400_000));
    const WHERE: &str =
        "\n| where Timestamp >= datetime(1970-01-01T00:00:00.000Z) and Timestamp < datetime(1970-01-02T00:00:00.000Z)";

    fn of(query: &str) -> String {
        sliced(query, Slice { span: SPAN, part: None }).expect("in range")
    }

    #[test]
    fn the_slice_comes_behind_the_last_statement_whatever_follows_it() {
        for (query, kept) in [
            ("DeviceEvents", "DeviceEvents"),
            ("DeviceEvents ;", "DeviceEvents"),
            ("DeviceEvents // all of them", "DeviceEvents"),
            ("DeviceEvents; // all\n\n;", "DeviceEvents"),
            ("let x = 1; // one\nDeviceEvents | where y == x;", "let x = 1; // one\nDeviceEvents | where y == x"),
            ("T | where u == \"http://a;b\"", "T | where u == \"http://a;b\""),
            ("T | where u == 'a\\'//;'", "T | where u == 'a\\'//;'"),
            ("T | where p == @\"C:\\\" // x", "T | where p == @\"C:\\\""),
            ("T | where p == @'a''b//' ;", "T | where p == @'a''b//'"),
            ("T | where m == ```a;\n// b``` ;\n", "T | where m == ```a;\n// b```"),
            ("T | where n == 'é' ;", "T | where n == 'é'"),
        ] {
            assert_eq!(of(query), format!("{kept}{WHERE}"), "{query}");
        }
    }

    #[test]
    fn placeholders_are_replaced_and_nothing_is_appended() {
        assert_eq!(
            of("T | where Timestamp between ({from} .. datetime({to})) | summarize count()"),
            "T | where Timestamp between (datetime(1970-01-01T00:00:00.000Z) .. datetime(1970-01-02T00:00:00.000Z)) | summarize count()"
        );
        assert_eq!(
            of("T | where a > datetime(\"{from}\") and a < {to}"),
            "T | where a > datetime(\"1970-01-01T00:00:00.000Z\") and a < datetime(1970-01-02T00:00:00.000Z)"
        );
    }

    #[test]
    fn a_part_is_a_condition_of_its_own_also_without_a_span() {
        assert_eq!(
            sliced("T;", Slice { span: None, part: Some((3, 8)) }).as_deref(),
            Some("T\n| where hash(tostring(pack_all()), 8) == 3")
        );
        assert_eq!(sliced("T;", Slice { span: None, part: None }).as_deref(), Some("T;"));
    }

    #[test]
    fn rows_are_picked_by_their_values_and_counted_behind_the_last_statement() {
        assert_eq!(
            equal("T | take 9; // nine", &[("A", "it's"), ("b c", "d\\e")]),
            "T | take 9\n| where A == 'it\\'s'\n| where ['b c'] == 'd\\\\e'"
        );
        assert_eq!(counted("T ;", "Rows"), "T\n| summarize Rows = count()");
    }

    #[test]
    fn a_column_that_is_no_identifier_stands_in_brackets() {
        assert_eq!(named("Time_1"), "Time_1");
        assert_eq!(named("my time"), "['my time']");
        assert_eq!(named("it's"), "['it\\'s']");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_at_a_letters_border_and_nothing_of_a_statement_is_lost(query in "[a-z;/\"'@`\\\\ \n\u{e9}]{0,60}") {
            let end = last_statement_end(&query);
            prop_assert!(query.is_char_boundary(end));
            let behind = &query[end..];
            let plain: String = behind.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
            prop_assert!(plain.chars().all(|letter| letter == ';' || letter.is_whitespace()), "{behind:?}");
        }
    }
}
