//! Finds the entities of a page while its bytes arrive. Pure: chunks in, ranges of bytes out.
//!
//! It checks the frame of the page (the outer object, the `value` array, brackets that match) and nothing inside an
//! entity: those who read an entity parse it. Memory: one chunk, and one entity where it lies across chunks.

use super::scanner::{Scan, is_blank};
use bytes::Bytes;
use serde::Deserialize;
use std::hash::Hasher;

/// Largest key or annotation (a next link) of a page. Unit: bytes. Links with tokens are some kilobytes.
const SMALL_CAP: usize = 64 * 1024;

/// Why a body is not a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ends before the page does.
    Cut,
    /// It is no JSON object with one array of that name.
    NotAPage,
    /// An entity exceeds the cap.
    TooLarge,
}

/// What the splitter needs or has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// [`Splitter::entity`] is the next entity.
    Entity,
    /// The chunk is used up: feed another, or end.
    Hungry,
}

/// What is known once the body has ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Annotations {
    /// `@odata.nextLink`.
    pub next_link: Option<String>,
    /// `@odata.count`.
    pub count: Option<u64>,
    /// `@odata.context`.
    pub context: Option<String>,
    /// Names in `Schema`.
    pub columns: Option<Vec<String>>,
}

/// Where in the page we are.
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
    /// After `[` of `value`: an element or `]`.
    FirstElement,
    /// After `,` in `value`: an element.
    NextElement,
    /// After an element: `,` or `]`.
    AfterElement,
    /// Inside a key, a member's value or an element.
    Token(Role),
    /// After the outer `}`: blanks only.
    End,
}

/// The members that mean something to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// The array of entities.
    Value,
    /// `@odata.nextLink`.
    NextLink,
    /// `@odata.count`.
    Count,
    /// `@odata.context`.
    Context,
    /// `Schema`: the columns of a hunting query.
    Schema,
    /// Everything else is passed over.
    Other,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A key of the outer object.
    Key,
    /// A value of the outer object.
    Member(Member),
    /// An element of `value`.
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

/// The state machine.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// The bytes being read.
    chunk: Bytes,
    /// How far.
    at: usize,
    /// Where in the grammar of a page.
    place: Place,
    /// Where within a token.
    scan: Scan,
    /// The beginning of a token that lies across chunks. Its room is kept from token to token.
    carry: Vec<u8>,
    /// Where the finished token lies.
    found: Found,
    /// Name of the array of entities, whatever its case.
    array: &'static str,
    /// Largest entity. Unit: bytes.
    cap: usize,
    /// Whether `value` has been there.
    seen_value: bool,
    /// Elements so far.
    rows: u64,
    /// A running hash over the elements.
    digest: std::hash::DefaultHasher,
    /// What was read beside them.
    annotations: Annotations,
}

impl Splitter {
    /// A splitter of the entities in the array of that name, that refuses entities over `cap` bytes.
    pub fn new(array: &'static str, cap: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            at: 0,
            place: Place::Start,
            scan: Scan::default(),
            carry: Vec::new(),
            found: Found::Chunk(0, 0),
            array,
            cap,
            seen_value: false,
            rows: 0,
            digest: std::hash::DefaultHasher::new(),
            annotations: Annotations::default(),
        }
    }

    /// Takes the next chunk, once the last one is used up.
    pub fn feed(&mut self, chunk: Bytes) {
        debug_assert_eq!(self.at, self.chunk.len(), "the last chunk must be used up");
        self.chunk = chunk;
        self.at = 0;
    }

    /// Reads on to the next entity or to the end of the chunk.
    pub fn step(&mut self) -> Result<Step, Fault> {
        while let Some(&byte) = self.chunk.get(self.at) {
            if let Place::Token(role) = self.place {
                if self.token(role)? && role == Role::Element {
                    return Ok(Step::Entity);
                }
            } else if is_blank(byte) {
                self.at += 1;
            } else {
                self.place = self.structure(byte)?;
            }
        }
        Ok(Step::Hungry)
    }

    /// The entity that [`Step::Entity`] announced; good until the next call of `step` or `feed`.
    pub fn entity(&self) -> &[u8] {
        match self.found {
            Found::Chunk(from, to) => &self.chunk[from..to],
            Found::Carry => &self.carry,
        }
    }

    /// The body has ended: rows, digest of the rows and annotations, if it was a whole page.
    pub fn end(&mut self) -> Result<(u64, u64, Annotations), Fault> {
        match (self.place, self.seen_value) {
            (Place::End, true) => Ok((self.rows, self.digest.finish(), std::mem::take(&mut self.annotations))),
            (Place::End, false) => Err(Fault::NotAPage),
            _ => Err(Fault::Cut),
        }
    }

    /// One byte between tokens. Only here the grammar of the page is known.
    fn structure(&mut self, byte: u8) -> Result<Place, Fault> {
        let next = match (self.place, byte) {
            (Place::Start, b'{') => Place::FirstKey,
            (Place::FirstKey | Place::AfterMember, b'}') => Place::End,
            (Place::FirstKey | Place::NextKey, b'"') => return self.begin(Role::Key, byte),
            (Place::Colon(member), b':') => Place::Value(member),
            (Place::Value(Member::Value), b'[') if !self.seen_value => {
                self.seen_value = true;
                Place::FirstElement
            }
            (Place::Value(Member::Value), _) => return Err(Fault::NotAPage),
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
            Role::Key => Ok(Place::Colon(member(self.entity(), self.array)?)),
            Role::Element => {
                self.rows += 1;
                let entity = match self.found {
                    Found::Chunk(from, to) => &self.chunk[from..to],
                    Found::Carry => &self.carry,
                };
                self.digest.write(entity);
                // A border, so that the digest tells [1,11] from [11,1].
                self.digest.write_u8(b',');
                Ok(Place::AfterElement)
            }
            Role::Member(member) => {
                self.annotate(member)?;
                Ok(Place::AfterMember)
            }
        }
    }

    /// Keeps an annotation. A next link that cannot be read is a fault: to pass it over would lose rows.
    fn annotate(&mut self, member: Member) -> Result<(), Fault> {
        let text = match member {
            Member::Value | Member::Other => return Ok(()),
            Member::NextLink | Member::Count | Member::Context | Member::Schema => self.entity(),
        };
        match member {
            Member::NextLink => {
                let link: Option<String> = serde_json::from_slice(text).map_err(|_| Fault::NotAPage)?;
                self.annotations.next_link = link.filter(|link| !link.is_empty());
            }
            Member::Count => self.annotations.count = serde_json::from_slice(text).ok(),
            Member::Schema => {
                let columns: Option<Vec<Column>> = serde_json::from_slice(text).ok();
                self.annotations.columns =
                    columns.map(|columns| columns.into_iter().map(|column| column.name).collect());
            }
            _ => self.annotations.context = serde_json::from_slice(text).ok(),
        }
        Ok(())
    }
}

/// A column of a hunting query; the two APIs differ in the case of its keys.
#[derive(Deserialize)]
struct Column {
    /// Its name.
    #[serde(alias = "Name")]
    name: String,
}

/// The member that a key, with its quotes, names.
fn member(key: &[u8], array: &str) -> Result<Member, Fault> {
    let unescaped: String;
    let inside = &key[1..key.len() - 1];
    let name = if inside.contains(&b'\\') {
        unescaped = serde_json::from_slice(key).map_err(|_| Fault::NotAPage)?;
        unescaped.as_bytes()
    } else {
        inside
    };
    Ok(match name {
        name if name.eq_ignore_ascii_case(array.as_bytes()) => Member::Value,
        name if name.eq_ignore_ascii_case(b"schema") => Member::Schema,
        name if name.eq_ignore_ascii_case(b"@odata.nextLink") => Member::NextLink,
        name if name.eq_ignore_ascii_case(b"@odata.count") => Member::Count,
        name if name.eq_ignore_ascii_case(b"@odata.context") => Member::Context,
        _ => Member::Other,
    })
}

#[cfg(test)]
mod tests;
