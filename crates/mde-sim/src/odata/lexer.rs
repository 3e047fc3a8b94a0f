//! A filter's text in pieces.

use super::{QueryError, Value};
use crate::ticks::Ticks;
use jiff::Timestamp;
use std::borrow::Cow;

/// A piece of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// A name or a keyword.
    Word(&'a str),
    /// A literal that is not a word.
    Literal(Value<'a>),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
}

/// Cuts a filter into pieces.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '\'' => quoted(rest)?,
            _ => bare(rest)?,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A string in single quotes, in which a quote is written twice. Gives its length in the text as well.
fn quoted(rest: &str) -> Result<(Token<'_>, usize), QueryError> {
    let mut end = 1;
    while let Some(quote) = rest[end..].find('\'') {
        end += quote + 1;
        if !rest[end..].starts_with('\'') {
            let inside = &rest[1..end - 1];
            let value =
                if inside.contains('\'') { Cow::Owned(inside.replace("''", "'")) } else { Cow::Borrowed(inside) };
            return Ok((Token::Literal(Value::Text(value)), end));
        }
        end += 1;
    }
    Err(QueryError(format!("There is an unterminated string literal at the end of the filter: {rest}")))
}

/// A word, a number or an instant. Gives its length in the text as well.
fn bare(rest: &str) -> Result<(Token<'_>, usize), QueryError> {
    let end =
        rest.find(|next: char| next.is_whitespace() || matches!(next, '(' | ')' | ',' | '\'')).unwrap_or(rest.len());
    let text = &rest[..end];
    let token = if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        Token::Literal(
            number(text)
                .or_else(|| instant(text))
                .ok_or_else(|| QueryError(format!("Unrecognized literal '{text}'")))?,
        )
    } else if text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '/' | '.')) {
        match text {
            "null" => Token::Literal(Value::Null),
            "true" => Token::Literal(Value::Bool(true)),
            "false" => Token::Literal(Value::Bool(false)),
            word => Token::Word(word),
        }
    } else {
        return Err(QueryError(format!("Syntax error: character is not valid in '{text}'")));
    };
    Ok((token, end))
}

/// A number. `-` alone, infinities and hexadecimals are none.
fn number(text: &str) -> Option<Value<'static>> {
    if !text.bytes().all(|octet| octet.is_ascii_digit() || matches!(octet, b'-' | b'+' | b'.' | b'e' | b'E')) {
        return None;
    }
    text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float)).ok()
}

/// An instant: a date, or a date and a time of day with 0 to 7 fractional digits, with `Z` or an offset.
/// A date may come without a zone, which is then UTC.
fn instant(text: &str) -> Option<Value<'static>> {
    let digits =
        text.split_once('.').map_or(0, |(_, fraction)| fraction.bytes().take_while(u8::is_ascii_digit).count());
    let (_, day_and_rest) = text.split_at_checked(10)?;
    let whole = match day_and_rest {
        "" | "Z" => format!("{}T00:00:00Z", &text[..10]),
        _ if day_and_rest.starts_with('T') => text.to_owned(),
        _ => return None,
    };
    let instant: Timestamp = whole.parse().ok().filter(|_| digits <= 7)?;
    Some(Value::Time(Ticks::of(instant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Option<Value<'_>> {
        match tokens(text).ok()?.as_slice() {
            [Token::Literal(value)] => Some(value.clone()),
            _ => None,
        }
    }

    #[test]
    fn instants_have_up_to_seven_digits_and_a_zone() {
        let step = |text| match literal(text) {
            Some(Value::Time(ticks)) => Some(ticks.to_string()),
            _ => None,
        };
        assert_eq!(step("2019-11-22T00:00:00Z").unwrap(), "2019-11-22T00:00:00Z");
        assert_eq!(step("2019-11-22T00:00:05.9999999Z").unwrap(), "2019-11-22T00:00:05.9999999Z");
        assert_eq!(step("2019-11-22T02:00:00+02:00").unwrap(), "2019-11-22T00:00:00Z");
        assert_eq!(step("2018-08-01Z").unwrap(), "2018-08-01T00:00:00Z");
        assert_eq!(step("2018-08-01").unwrap(), "2018-08-01T00:00:00Z");
        for refused in
            ["2019-11-22T00:00:00.12345678Z", "2019-11-22T00:00:00", "2019-13-22T00:00:00Z", "2019-11-22 00:00:00Z"]
        {
            assert_eq!(step(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_quote_inside_a_string_is_written_twice() {
        assert_eq!(literal("'o''brien'"), Some(Value::Text("o'brien".into())));
        assert_eq!(literal("''"), Some(Value::Text("".into())));
        assert!(tokens("'open").is_err());
        assert!(tokens("'open''").is_err());
    }

    #[test]
    fn numbers_keep_their_sort() {
        assert_eq!(literal("-7"), Some(Value::Integer(-7)));
        assert_eq!(literal("9.80"), Some(Value::Float(9.8)));
        assert_eq!(literal("12monkeys"), None);
        assert_eq!(literal("-"), None);
    }
}
