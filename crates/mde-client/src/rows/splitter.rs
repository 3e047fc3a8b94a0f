//! Finds the rows of a body while its bytes arrive. Pure: chunks in, ranges of bytes out.
//!
//! It checks the frame of the body (the outer object, the one array of rows, brackets that match) and nothing inside a
//! row: those who read a row parse it. Memory: one chunk, and one row where it lies across chunks.

use super::layout::{Annotations, Layout, Member};
use super::scanner::{Scan, is_blank};
use bytes::Bytes;

/// Largest key or annotation (a next link, a schema). Unit: bytes. Links with tokens are some kilobytes.
const SMALL_CAP: usize = 64 * 1024;

/// Why a body is not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ends before its frame does.
    Cut,
    /// It is no JSON object with one array of rows.
    NotAPage,
    /// A row exceeds the cap.
    TooLarge,
}

/// What the splitter needs or has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// [`Splitter::row`] is the next row.
    Row,
    /// The chunk is used up: feed another, or end.
    Hungry,
}

/// Where in the body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the outer `{`.
    Start,
    /// After `{`: a key or `}`.
    FirstKey,
    /// After `,` in the object: a key.
    NextKey,
    /// After a key: `:`.
    Colon(Member),
    /// After `:`: a value.
    Value(Member),
    /// After a value of the object: `,` or `}`.
    AfterMember,
    /// After `[` of the rows: an element or `]`.
    FirstElement,
    /// After `,` in the rows: an element.
    NextElement,
    /// After an element: `,` or `]`.
    AfterElement,
    /// Inside a key, a member's value or an element.
    Token(Role),
    /// After the outer `}`: blanks only.
    End,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A key of the outer object.
    Key,
    /// A value of the outer object.
    Member(Member),
    /// An element of the array of rows.
    Element,
}

/// The bytes of the token that was finished last.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// In the chunk, from and to.
    Chunk(usize, usize),
    /// In the carry buffer, since it began in an earlier chunk.
    Carry,
}

impl Found {
    /// Those bytes.
    fn bytes<'a>(self, chunk: &'a [u8], carry: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Chunk(from, to) => &chunk[from..to],
            Self::Carry => carry,
        }
    }
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// The bytes being read.
    chunk: Bytes,
    /// How far.
    at: usize,
    /// Which members mean something.
    layout: Layout,
    /// Where in the grammar of the frame.
    place: Place,
    /// Where within a token.
    scan: Scan,
    /// The beginning of a token that lies across chunks. Its room is kept from token to token.
    carry: Vec<u8>,
    /// Where the finished token lies.
    found: Found,
    /// Largest row. Unit: bytes.
    cap: usize,
    /// Whether the array of rows has been there.
    seen_rows: bool,
    /// Rows so far.
    rows: u64,
    /// What was read beside them.
    annotations: Annotations,
}

impl Splitter {
    /// A splitter that refuses rows over `cap` bytes.
    pub fn new(layout: Layout, cap: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            at: 0,
            layout,
            place: Place::Start,
            scan: Scan::default(),
            carry: Vec::new(),
            found: Found::Chunk(0, 0),
            cap,
            seen_rows: false,
            rows: 0,
            annotations: Annotations::default(),
        }
    }

    /// Takes the next chunk, once the last one is used up.
    pub fn feed(&mut self, chunk: Bytes) {
        debug_assert_eq!(self.at, self.chunk.len(), "the last chunk must be used up");
        self.chunk = chunk;
        self.at = 0;
    }

    /// Reads on to the next row or to the end of the chunk.
    pub fn step(&mut self) -> Result<Step, Fault> {
        while let Some(&byte) = self.chunk.get(self.at) {
            if let Place::Token(role) = self.place {
                if self.token(role)? && role == Role::Element {
                    return Ok(Step::Row);
                }
            } else if is_blank(byte) {
                self.at += 1;
            } else {
                self.place = self.structure(byte)?;
            }
        }
        Ok(Step::Hungry)
    }

    /// The row that [`Step::Row`] announced; good until the next call of `step` or `feed`.
    pub fn row(&self) -> &[u8] {
        self.found.bytes(&self.chunk, &self.carry)
    }

    /// What has been read beside the rows so far.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// The body has ended: how many rows there were, if it was whole.
    pub fn end(&self) -> Result<u64, Fault> {
        match (self.place, self.seen_rows) {
            (Place::End, true) => Ok(self.rows),
            (Place::End, false) => Err(Fault::NotAPage),
            _ => Err(Fault::Cut),
        }
    }

    /// One byte between tokens. Only here the grammar of the frame is known.
    fn structure(&mut self, byte: u8) -> Result<Place, Fault> {
        let next = match (self.place, byte) {
            (Place::Start, b'{') => Place::FirstKey,
            (Place::FirstKey | Place::AfterMember, b'}') => Place::End,
            (Place::FirstKey | Place::NextKey, b'"') => return self.begin(Role::Key, byte),
            (Place::Colon(member), b':') => Place::Value(member),
            (Place::Value(Member::Rows), b'[') if !self.seen_rows => {
                self.seen_rows = true;
                Place::FirstElement
            }
            (Place::Value(Member::Rows), _) => return Err(Fault::NotAPage),
            (Place::Value(member), _) => return self.begin(Role::Member(member), byte),
            (Place::AfterMember, b',') => Place::NextKey,
            (Place::FirstElement | Place::AfterElement, b']') => Place::AfterMember,
            (Place::FirstElement | Place::NextElement, _) => return self.begin(Role::Element, byte),
            (Place::AfterElement, b',') => Place::NextElement,
            _ => return Err(Fault::NotAPage),
        };
        self.at += 1;
        Ok(next)
    }

    /// A token begins at this byte, which is left to the scanner.
    fn begin(&mut self, role: Role, byte: u8) -> Result<Place, Fault> {
        self.scan.begin(byte).ok_or(Fault::NotAPage)?;
        self.carry.clear();
        Ok(Place::Token(role))
    }

    /// Reads on in a token; true when it is complete.
    fn token(&mut self, role: Role) -> Result<bool, Fault> {
        let from = self.at;
        let end = self.scan.run(&self.chunk[from..]).map_err(|_| Fault::NotAPage)?;
        let to = end.map_or(self.chunk.len(), |length| from + length);
        self.at = to;
        if role != Role::Member(Member::Other) {
            let (cap, fault) = match role {
                Role::Element => (self.cap, Fault::TooLarge),
                Role::Key | Role::Member(_) => (SMALL_CAP, Fault::NotAPage),
            };
            if self.carry.len() + (to - from) > cap {
                return Err(fault);
            }
            if end.is_some() && self.carry.is_empty() {
                self.found = Found::Chunk(from, to);
            } else {
                self.carry.extend_from_slice(&self.chunk[from..to]);
                self.found = Found::Carry;
            }
        }
        if end.is_some() {
            self.place = self.complete(role)?;
        }
        Ok(end.is_some())
    }

    /// A token is complete: what it says is noted.
    fn complete(&mut self, role: Role) -> Result<Place, Fault> {
        match role {
            Role::Key => Ok(Place::Colon(self.layout.member(self.row()).ok_or(Fault::NotAPage)?)),
            Role::Element => {
                self.rows += 1;
                Ok(Place::AfterElement)
            }
            // It was passed over: nothing of it has been found.
            Role::Member(Member::Other) => Ok(Place::AfterMember),
            Role::Member(member) => {
                let text = self.found.bytes(&self.chunk, &self.carry);
                self.annotations.take(member, text).ok_or(Fault::NotAPage)?;
                Ok(Place::AfterMember)
            }
        }
    }
}

#[cfg(test)]
mod tests;
