//! Finds where one JSON token ends, over any number of chunks. Knows strings, escapes and brackets, nothing more.

/// Deepest nesting that is read. Unit: brackets. Real entities have under ten.
const DEPTH_CAP: usize = 1_024;

/// JSON's white space.
pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Brackets that do not match, or nest too deep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch;

/// What kind of token is being read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Shape {
    /// An object or an array: ends with the bracket that closes the first.
    #[default]
    Container,
    /// A string: ends with its quote.
    Text,
    /// A number or a word: ends before the first byte that cannot belong to it.
    Scalar,
}

/// The state within one token.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// How the token ends.
    shape: Shape,
    /// Whether we are inside a string.
    in_text: bool,
    /// Whether the byte before, within a string, was a backslash that escapes the next.
    escaped: bool,
    /// The closing brackets that are still to come, innermost last.
    closers: Vec<u8>,
}

impl Scan {
    /// Starts a token that begins with that byte, which is read by `run`. `None`: no token begins so.
    pub fn begin(&mut self, first: u8) -> Option<()> {
        self.shape = match first {
            b'{' | b'[' => Shape::Container,
            b'"' => Shape::Text,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Shape::Scalar,
            _ => return None,
        };
        self.in_text = false;
        self.escaped = false;
        self.closers.clear();
        Some(())
    }

    /// Reads on. `Some(n)`: the token ends after the first `n` of these bytes; `None`: all of them belong to it.
    pub fn run(&mut self, bytes: &[u8]) -> Result<Option<usize>, Mismatch> {
        if self.shape == Shape::Scalar {
            return Ok(bytes
                .iter()
                .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')));
        }
        let mut at = 0;
        while at < bytes.len() {
            if self.in_text {
                at += self.text(&bytes[at..]);
                if !self.in_text && self.shape == Shape::Text {
                    return Ok(Some(at));
                }
                continue;
            }
            let Some(offset) = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'))
            else {
                break;
            };
            at += offset + 1;
            match bytes[at - 1] {
                b'"' => self.in_text = true,
                b'{' => self.open(b'}')?,
                b'[' => self.open(b']')?,
                closer => {
                    if self.closers.pop() != Some(closer) {
                        return Err(Mismatch);
                    }
                    if self.closers.is_empty() {
                        return Ok(Some(at));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Reads on in a string, up to and with its quote if it is there. Returns the number of bytes read.
    fn text(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        if std::mem::take(&mut self.escaped) {
            at = 1;
        }
        while let Some(offset) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
            at += offset + 1;
            if bytes[at - 1] == b'"' {
                self.in_text = false;
                return at;
            }
            if at == bytes.len() {
                self.escaped = true;
                return at;
            }
            at += 1;
        }
        bytes.len()
    }

    /// Goes one bracket deeper.
    fn open(&mut self, closer: u8) -> Result<(), Mismatch> {
        if self.closers.len() == DEPTH_CAP {
            return Err(Mismatch);
        }
        self.closers.push(closer);
        Ok(())
    }
}
