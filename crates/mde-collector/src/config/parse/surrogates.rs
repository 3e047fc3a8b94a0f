//! The one thing that JSON writes and YAML does not understand: a character as two escapes.

use std::borrow::Cow;

/// From this column of this line on the file has more characters than the parsed text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shift {
    /// Line, from 1.
    pub line: usize,
    /// Column in the parsed text, from 0.
    pub column: usize,
}

impl Shift {
    /// `\ud83d\ude00` is twelve characters, what it stands for is one.
    pub const BY: usize = 11;
}

/// JSON writes a character beyond the first plane as two escapes, which YAML does not know: they become the character itself.
pub(super) fn join(text: &str) -> (Cow<'_, str>, Vec<Shift>) {
    // In YAML proper a backslash outside double quotes is a backslash; in JSON there is none outside.
    if !text.trim_start().starts_with(['{', '[']) || !text.contains("\\u") {
        return (Cow::Borrowed(text), Vec::new());
    }
    let (mut joined, mut shifts, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    let (mut line, mut column) = (1, 0);
    while let Some(c) = rest.chars().next() {
        let pair = surrogate_pair(rest);
        // A backslash takes the next character with it: `\\ud83d` is a backslash and a word.
        let length = match pair {
            Some(_) => 12,
            None if c == '\\' => {
                1 + rest[1..].chars().next().filter(|next| !matches!(next, '\r' | '\n')).map_or(0, char::len_utf8)
            }
            None => c.len_utf8(),
        };
        match pair {
            Some(character) => {
                column += 1;
                joined.push(character);
                shifts.push(Shift { line, column });
            }
            None => {
                joined.push_str(&rest[..length]);
                column += rest[..length].chars().count();
            }
        }
        if c == '\n' || (c == '\r' && !rest.starts_with("\r\n")) {
            (line, column) = (line + 1, 0);
        }
        rest = &rest[length..];
    }
    (Cow::Owned(joined), shifts)
}

/// The character that two escapes at the beginning of a text stand for.
fn surrogate_pair(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let units = [unit(0).filter(|high| (0xd800..0xdc00).contains(high))?, unit(6)?];
    char::decode_utf16(units).next()?.ok()
}
