//! Walks JSON text that a parser has accepted, without copying or parsing it again.
//!
//! Inside such text every `"` that is not escaped begins or ends a string, and brackets outside strings match; that is
//! all that this file relies on. It never validates: on other text it stops early, and it never panics.

/// A place in accepted JSON text.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    /// All of the text.
    text: &'a str,
    /// Octets passed.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Stands before the first value of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where it stands. Unit: octets from the beginning of the text.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// First octet of the next value, which tells its type; 0 at the end of the text.
    pub fn peek(&mut self) -> u8 {
        self.skip(is_space);
        self.octet()
    }

    /// Steps over the bracket of the object or array that comes next.
    pub fn open(&mut self) {
        self.peek();
        self.at += 1;
    }

    /// Next key of the object that was opened, as written and with its quotes; its value comes next. `None`: the object
    /// has ended, and the cursor stands behind it.
    pub fn key(&mut self) -> Option<&'a str> {
        self.skip(is_space_or_comma);
        if self.octet() != b'"' {
            self.at += 1;
            return None;
        }
        let key = self.value();
        if self.peek() == b':' {
            self.at += 1;
        }
        Some(key)
    }

    /// Whether another element of the array that was opened comes next. `false`: the array has ended, and the cursor
    /// stands behind it.
    pub fn element(&mut self) -> bool {
        self.skip(is_space_or_comma);
        let more = !matches!(self.octet(), b']' | 0);
        if !more {
            self.at += 1;
        }
        more
    }

    /// The next value as written, white space within it included.
    pub fn value(&mut self) -> &'a str {
        self.peek();
        let start = self.at;
        self.pass(|_| ());
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Appends the next value without the white space outside its strings; everything else stays as it is.
    pub fn compact(&mut self, out: &mut String) {
        self.peek();
        let text = self.text;
        let mut copied = self.at;
        self.pass(|space| {
            out.push_str(text.get(copied..space).unwrap_or_default());
            copied = space + 1;
        });
        out.push_str(text.get(copied..self.at).unwrap_or_default());
    }

    /// Passes the value that begins here, and tells where in it white space stands outside strings. Brackets are counted,
    /// not recursed into: depth costs nothing.
    fn pass(&mut self, mut on_space: impl FnMut(usize)) {
        let text = self.text.as_bytes();
        let mut depth: usize = 0;
        while let Some(octet) = text.get(self.at) {
            match octet {
                b'"' => self.at = string_end(text, self.at),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                octet if depth > 0 => {
                    if is_space(*octet) {
                        on_space(self.at);
                    }
                    self.at += 1;
                }
                _ => {
                    let start = self.at;
                    self.skip(|octet| !is_space_or_comma(octet) && !matches!(octet, b'}' | b']'));
                    // At least one octet, so that no loop over values stands still, whatever the text is.
                    self.at = self.at.max(start + 1);
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// The octet here; 0 at the end.
    fn octet(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    /// Passes octets of that kind.
    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|octet| !what(*octet)).unwrap_or(rest.len());
    }
}

/// JSON's white space, and nothing else that Unicode calls so.
const fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\n' | b'\r' | b'\t')
}

/// What may stand between two values.
const fn is_space_or_comma(octet: u8) -> bool {
    is_space(octet) || octet == b','
}

/// Index behind the string that begins at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let found = quote_or_backslash(rest);
        match rest.get(found) {
            None => return text.len(),
            Some(b'"') => return at + found + 1,
            // What a backslash escapes ends nothing.
            Some(_) => at += found + 2,
        }
    }
}

/// Index of the first `"` or `\`, or the length. Eight octets at a time: most of a record is the inside of strings.
fn quote_or_backslash(text: &[u8]) -> usize {
    /// 1 in every octet.
    const ONES: u64 = u64::MAX / 255;
    // The lowest set bit is the first octet that is zero; bits above it may be false.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let (words, _) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let end = words.len() * 8;
    text[end..].iter().position(|octet| matches!(octet, b'"' | b'\\')).map_or(text.len(), |found| end + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compacted(value: &str) -> String {
        let mut out = String::new();
        Cursor::new(value).compact(&mut out);
        out
    }

    #[test]
    fn values_end_where_they_end_and_not_inside_a_string() {
        let text = r#" { "a" : "}\"]\\" , "b":[1 , {"c":"["}],"d" :-1.0E+2 , "é":null } "#;
        let mut cursor = Cursor::new(text);
        let mut members = Vec::new();
        assert_eq!(cursor.peek(), b'{');
        cursor.open();
        while let Some(key) = cursor.key() {
            members.push((key, cursor.value()));
        }
        let expected =
            [(r#""a""#, r#""}\"]\\""#), (r#""b""#, r#"[1 , {"c":"["}]"#), (r#""d""#, "-1.0E+2"), (r#""é""#, "null")];
        assert_eq!(members, expected);
        assert_eq!(&text[cursor.at()..], " ");
    }

    #[test]
    fn a_string_ends_at_its_own_quote_wherever_it_lies_among_the_words() {
        for length in 0..40 {
            for inside in ["x".repeat(length), "é".repeat(length), "\\\"".repeat(length), "\\\\".repeat(length)] {
                let text = format!("\"{inside}\",\"y\"");
                let mut cursor = Cursor::new(&text);
                assert_eq!(cursor.value(), &text[..inside.len() + 2]);
            }
        }
    }

    #[test]
    fn elements_end_with_their_array() {
        let mut cursor = Cursor::new("[ 1,[ ] , \"x\" ]7");
        let mut elements = Vec::new();
        cursor.open();
        while cursor.element() {
            elements.push(cursor.value());
        }
        assert_eq!(elements, ["1", "[ ]", "\"x\""]);
        assert_eq!(cursor.value(), "7");
    }

    #[test]
    fn compaction_takes_only_white_space_outside_strings() {
        let spaced = "{ \"a b\\\" \" :\r\n[ 1 ,\t\" \u{a0} \\n\" , { } ] }";
        assert_eq!(compacted(spaced), "{\"a b\\\" \":[1,\" \u{a0} \\n\",{}]}");
        assert_eq!(compacted(" \" x \" "), "\" x \"");
    }

    #[test]
    fn odd_text_ends_the_walk_without_panic() {
        for text in ["", "{", "[", "\"", "\"\\", "{\"a\"", "{\"a\":", "[1", "}", "]", "{x:1}", "[}}", "[é", "{\"a\"é"]
        {
            let mut object = Cursor::new(text);
            object.open();
            while object.key().is_some() {
                object.value();
            }
            let mut array = Cursor::new(text);
            array.open();
            while array.element() {
                array.value();
            }
            assert!(compacted(text).len() <= text.len());
        }
    }
}
