//! A query's text in pieces.

use super::KqlError;
use crate::ticks::Ticks;

/// A piece of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// An instant.
    Time(Ticks),
    /// A length of time. Unit: 100 ns.
    Span(i64),
    /// A sign, or a word that begins with `!`.
    Sign(String),
}

/// A piece and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The piece.
    pub(super) token: Token,
    /// Line, counted from 1.
    pub(super) line: usize,
    /// Column, counted from 1.
    pub(super) column: usize,
}

/// Signs of two characters; the rest have one.
const PAIRS: [&str; 7] = ["==", "!=", "=~", "!~", ">=", "<=", ".."];

/// Cuts a query into pieces. Comments end with their line.
pub(super) fn pieces(query: &str) -> Result<Vec<Piece>, KqlError> {
    let mut pieces = Vec::new();
    let mut rest = query;
    loop {
        rest = rest.trim_start();
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        if rest.is_empty() {
            return Ok(pieces);
        }
        let before = &query[..query.len() - rest.len()];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        let (token, length) = token(rest).ok_or_else(|| KqlError::unparsed(rest, line, column))?;
        pieces.push(Piece { token, line, column });
        rest = &rest[length..];
    }
}

/// The first piece of a text and its length.
fn token(rest: &str) -> Option<(Token, usize)> {
    let first = rest.chars().next()?;
    let in_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    if first == '@' || first == '"' || first == '\'' {
        return quoted(rest);
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    if first.is_alphabetic() || matches!(first, '_' | '$') || first == '!' && rest[1..].starts_with(char::is_alphabetic)
    {
        let skipped = first.len_utf8();
        let end = rest[skipped..].find(|letter| !in_word(letter)).map_or(rest.len(), |end| end + skipped);
        let word = &rest[..end];
        if word == "datetime" && rest[end..].starts_with('(') {
            let close = rest.find(')')?;
            return Some((Token::Time(instant(&rest[end + 1..close])?), close + 1));
        }
        let token = if first == '!' { Token::Sign(word.to_owned()) } else { Token::Word(word.to_owned()) };
        return Some((token, end));
    }
    if let Some(pair) = PAIRS.iter().find(|pair| rest.starts_with(**pair)) {
        return Some((Token::Sign((*pair).to_owned()), pair.len()));
    }
    "|,();=<>+-*~/%.".contains(first).then(|| (Token::Sign(first.to_string()), 1))
}

/// A text in single or double quotes, with `\` before special letters, or behind `@` as it stands.
fn quoted(rest: &str) -> Option<(Token, usize)> {
    let verbatim = rest.starts_with('@');
    let start = usize::from(verbatim);
    let quote = rest[start..].chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut text = String::new();
    let mut letters = rest[start + 1..].char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' if !verbatim => text.push(match letters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            _ if letter == quote => return Some((Token::Text(text), start + 1 + place + 1)),
            '\n' => return None,
            _ => text.push(letter),
        }
    }
    None
}

/// A number, or a length of time such as `1h`.
fn number(rest: &str) -> Option<(Token, usize)> {
    let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '.').unwrap_or(rest.len());
    let (value, unit) = (&rest[..digits], &rest[digits..end]);
    let seconds = match unit {
        "" if value.contains('.') => return Some((Token::Real(value.parse().ok()?), end)),
        "" => return Some((Token::Integer(value.parse().ok()?), end)),
        "d" => 86_400.0,
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 0.001,
        _ => return None,
    };
    Some((Token::Span((value.parse::<f64>().ok()? * seconds * Ticks::PER_SECOND as f64) as i64), end))
}

/// What stands in `datetime(…)`: a date, or a date and a time, with or without a zone, which is then UTC.
fn instant(text: &str) -> Option<Ticks> {
    let text = text.trim().trim_matches(['"', '\'']);
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.replacen(' ', "T", 1),
    };
    let zoned = whole.ends_with('Z') || whole.get(10..).is_some_and(|time| time.contains(['+', '-']));
    let instant: jiff::Timestamp = if zoned { whole.parse().ok()? } else { format!("{whole}Z").parse().ok()? };
    Some(Ticks::of(instant))
}
