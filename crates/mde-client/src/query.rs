//! OData options as text: filters, literals, escaping. Nothing here can be made to leave its place.

use crate::error::Error;
use crate::time::write_time;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::{self, Write as _};

/// What is encoded in the value of an option. Blanks become `%20`: a `+` would do in some places only.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b',')
    .remove(b'(')
    .remove(b')')
    .remove(b'=')
    .remove(b'/')
    .remove(b'$');

/// What is encoded in one segment of a path: all that is not unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An entity's id as one segment of a path (`intel®_tool` → `intel%C2%AE_tool`).
#[must_use]
pub fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

/// The query of a request, encoded as it is sent.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Query(String);

impl Query {
    /// No options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A query that is already encoded, as a next link has it.
    #[must_use]
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `$filter`.
    #[must_use]
    pub fn filter(self, filter: &Filter) -> Self {
        self.with("$filter", &filter.0)
    }

    /// `$top`. Asking for it makes the API leave out next links.
    #[must_use]
    pub fn top(self, rows: usize) -> Self {
        self.with("$top", &rows.to_string())
    }

    /// `$skip`.
    #[must_use]
    pub fn skip(self, rows: usize) -> Self {
        self.with("$skip", &rows.to_string())
    }

    /// `$expand`.
    #[must_use]
    pub fn expand(self, property: &str) -> Self {
        self.with("$expand", property)
    }

    /// Any other option (`pageSize`, `sinceTime`). The name is sent as it stands, the value encoded.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, VALUE));
        self
    }

    /// The query as it is sent, without the question mark.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the first option of that name, decoded (`+` and `%20` are blanks).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.0.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for Query {
    /// Its length: a filter can hold customer data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({} bytes)", self.0.len())
    }
}

/// How a property is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal; true for null compared with a value.
    Ne,
    /// Greater or equal.
    Ge,
    /// Greater.
    Gt,
    /// Less or equal.
    Le,
    /// Less.
    Lt,
}

impl Op {
    /// The operator's word.
    const fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Le => "le",
            Self::Lt => "lt",
        }
    }
}

/// What a property is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal<'a> {
    /// A string; its quotes are doubled.
    Text(&'a str),
    /// A time. Unit: milliseconds since 1970, UTC.
    Time(i64),
    /// A whole number.
    Number(i64),
    /// Nothing.
    Null,
}

/// An expression for `$filter`, not yet encoded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Filter(String);

impl Filter {
    /// `property op literal`. Fails on a time that four digits of a year cannot hold.
    pub fn compare(property: &str, op: Op, literal: Literal<'_>) -> Result<Self, Error> {
        let mut text = format!("{property} {} ", op.word());
        match literal {
            Literal::Text(value) => {
                text.push('\'');
                text.push_str(&value.replace('\'', "''"));
                text.push('\'');
            }
            Literal::Time(ms) => {
                let time = write_time(ms).filter(|time| !time.starts_with('-'));
                text.push_str(&time.ok_or_else(|| problem("a time is outside the years 0 to 9999"))?);
            }
            Literal::Number(value) => write!(text, "{value}").expect("a String takes all that is written"),
            Literal::Null => text.push_str("null"),
        }
        Ok(Self(text))
    }

    /// The half-open window `from ≤ property < to`. Unit: milliseconds since 1970, UTC.
    pub fn window(property: &str, from_ms: i64, to_ms: i64) -> Result<Self, Error> {
        let from = Self::compare(property, Op::Ge, Literal::Time(from_ms))?;
        Ok(from.and(&Self::compare(property, Op::Lt, Literal::Time(to_ms))?))
    }

    /// Somebody else's expression, in brackets.
    ///
    /// Fails where its brackets or quotes do not match: it could otherwise undo what it is joined to.
    pub fn bracketed(text: &str) -> Result<Self, Error> {
        let (mut depth, mut quoted) = (0_u32, false);
        for byte in text.bytes() {
            match byte {
                // A doubled quote closes and opens again.
                b'\'' => quoted = !quoted,
                b'(' if !quoted => depth += 1,
                b')' if !quoted => depth = depth.checked_sub(1).ok_or_else(|| problem("a bracket closes nothing"))?,
                _ => {}
            }
        }
        match (quoted, depth, text.trim().is_empty()) {
            (true, ..) => Err(problem("a quote is not closed")),
            (_, 1.., _) => Err(problem("a bracket is not closed")),
            (.., true) => Err(problem("it is empty")),
            _ => Ok(Self(format!("({})", text.trim()))),
        }
    }

    /// Both. Nothing that this type makes needs brackets: comparisons are bare, the rest has its own.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.push_str(" and ");
        self.0.push_str(&other.0);
        self
    }

    /// The expression, not encoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Filter {
    /// Its length: a filter can hold customer data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({} bytes)", self.0.len())
    }
}

/// A filter that cannot be sent. The text never quotes it.
fn problem(text: &str) -> Error {
    Error::config("build a filter", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_window_is_spelt_as_the_api_reads_it() {
        let filter = Filter::window("lastUpdateTime", 1_580_070_839_200, 1_580_070_840_000).expect("in range");
        let filter = filter.and(&Filter::bracketed("severity ne 'Informational'").expect("balanced"));
        let query = Query::new().filter(&filter).expand("evidence").top(2).skip(99);
        assert_eq!(
            query.as_str(),
            "$filter=lastUpdateTime%20ge%202020-01-26T20:33:59.200Z%20and%20lastUpdateTime%20lt%20\
             2020-01-26T20:34:00.000Z%20and%20(severity%20ne%20%27Informational%27)&$expand=evidence&$top=2&$skip=99"
        );
        assert_eq!(query.get("$filter").as_deref(), Some(filter.as_str()));
    }

    #[test]
    fn a_quote_in_a_string_is_doubled() {
        let filter = Filter::compare("title", Op::Eq, Literal::Text("it's' or true")).expect("a string");
        assert_eq!(filter.as_str(), "title eq 'it''s'' or true'");
        let null = Filter::compare("assignedTo", Op::Eq, Literal::Null).expect("null");
        assert_eq!(null.as_str(), "assignedTo eq null");
        let number = Filter::compare("incidentId", Op::Gt, Literal::Number(-7)).expect("a number");
        assert_eq!(number.as_str(), "incidentId gt -7");
    }

    #[test]
    fn a_foreign_expression_cannot_leave_its_brackets() {
        for bad in ["a eq 1) or (b eq 2", "(a eq 1", "a eq 'x", "", "  ", ")("] {
            let error = Filter::bracketed(bad).expect_err("must be refused").to_string();
            assert!(bad.trim().is_empty() || !error.contains(bad), "{error}");
        }
        for good in ["title eq 'a)b'", "title eq 'it''s)'", "(a eq 1 or b eq 2) and c eq 3"] {
            assert_eq!(Filter::bracketed(good).expect("balanced").as_str(), format!("({good})"));
        }
    }

    #[test]
    fn a_time_without_four_digits_of_year_is_refused() {
        assert!(Filter::window("t", i64::MIN, 0).is_err());
        assert!(Filter::window("t", -62_198_755_200_001, 0).is_err(), "year -1");
    }

    #[test]
    fn an_option_of_a_link_is_read_in_every_spelling() {
        for text in ["%24filter=a+eq+1&$skip=1", "$skip=1&$filter=a%20eq%201", "$filter=a eq 1"] {
            assert_eq!(Query::verbatim(text).get("$filter").as_deref(), Some("a eq 1"), "{text}");
        }
        assert_eq!(Query::verbatim("=a eq 1&skip=1").get("$filter"), None);
    }

    #[test]
    fn debug_output_shows_no_filter() {
        let filter = Filter::bracketed("name eq 'tell-tale'").expect("balanced");
        assert!(!format!("{filter:?} {:?}", Query::new().filter(&filter)).contains("tell"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_value_arrives_as_it_was(name in "[a-z]{1,5}", value in any::<String>()) {
            let query = Query::new().with("before", "1").with(&name, &value).with("after", "2");
            if name != "before" {
                prop_assert_eq!(query.get(&name), Some(value));
            }
            // The address keeps it letter for letter, so what we compare is what was sent.
            let mut url = url::Url::parse("https://a.example/").expect("an address");
            url.set_query(Some(query.as_str()));
            prop_assert_eq!(url.query(), Some(query.as_str()));
        }

        #[test]
        fn any_id_is_one_segment(id in "[^.]+") {
            let mut url = url::Url::parse("https://a.example/").expect("an address");
            let path = format!("/api/machines/{}/alerts", segment(&id));
            url.set_path(&path);
            prop_assert_eq!(url.path(), path);
        }
    }
}
