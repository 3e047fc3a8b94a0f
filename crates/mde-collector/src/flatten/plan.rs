//! A record as a small program whose runs are its events.
//!
//! Straight steps write a member. At an array the program forks: one way for each element, and all of them meet again
//! behind the array. Running it and going back to the newest fork, again and again, gives every event in order, the last
//! array varying fastest, nested arrays included. Its size grows with the record, not with the number of events.

use super::names::{Name, Names};
use super::{FlattenConfig, Selection, Tail};
use crate::record::{Cursor, RawObject, unquoted};
use std::fmt::Write as _;

/// Objects deeper than this stay JSON. Source: serde_json's own limit, which ordinary parsers of events share; without
/// one, hostile nesting would exhaust the stack, and joined names would grow with the square of the record.
pub(super) const DEPTH_LIMIT: usize = 128;

/// One step of the program. Targets are indices into the steps.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Write a member, go on with the next step.
    Member(Member),
    /// Go on with the next step; another run goes on at `other`.
    Fork {
        /// First step of the array's next element.
        other: usize,
    },
    /// Go on at `to`.
    Jump {
        /// First step behind the array.
        to: usize,
    },
    /// Write the event's id, and the event is whole. The member's text ends where the id begins.
    End(Member),
}

/// One member, ready to be copied: `"name":value,` in the plan's text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Where the text begins.
    pub(super) start: usize,
    /// Where the quote stands that ends the name.
    pub(super) quote: usize,
    /// Where the text ends.
    pub(super) end: usize,
    /// The name, unescaped, as a number.
    pub(super) name: Name,
    /// Keeps its name even where another member has it (flattening is off).
    pub(super) doubles: bool,
}

/// The program of one record. No `Debug`: it holds the record.
pub(super) struct Plan {
    /// What to do; the last one is the only `End`.
    pub(super) steps: Vec<Step>,
    /// All members' texts.
    pub(super) text: String,
    /// All members' names.
    pub(super) names: Names,
    /// Number of events that a run gives.
    pub(super) events: u64,
    /// The record gives more events than its limit, so its arrays were kept as JSON.
    pub(super) skipped: bool,
}

impl Plan {
    /// Lays out one record and its tail.
    pub(super) fn new(config: &FlattenConfig, record: &RawObject<'_>, tail: &Tail<'_>) -> Self {
        let mut planner = Planner::new(config, &config.arrays);
        let (events, skipped) = match planner.record(record) {
            Ok(events) => (events, false),
            Err(TooMany) => {
                planner = Planner::new(config, &NOTHING);
                (planner.record(record).expect("without arrays a record is one event"), true)
            }
        };
        planner.tail(tail, skipped);
        let Planner { steps, text, names, .. } = planner;
        Self { steps, text, names, events, skipped }
    }
}

/// The record gives more events than its limit. Found while counting, long before memory is used for them.
#[derive(Debug)]
struct TooMany;

/// No array at all.
static NOTHING: Selection = Selection::Named(Vec::new());

/// Lays out steps while the record is read once, from left to right.
struct Planner<'c> {
    /// The service's configuration.
    config: &'c FlattenConfig,
    /// The arrays that fork; not the configuration's where the record gives too many events.
    arrays: &'c Selection,
    /// Laid out so far, as in the plan; so are `text` and `names`.
    steps: Vec<Step>,
    text: String,
    names: Names,
    /// Where the record is being read.
    path: Path,
    /// Names of what is laid out now stay doubled.
    doubles: bool,
}

impl<'c> Planner<'c> {
    /// Nothing laid out yet.
    fn new(config: &'c FlattenConfig, arrays: &'c Selection) -> Self {
        Self {
            config,
            arrays,
            steps: Vec::with_capacity(128),
            text: String::with_capacity(8192),
            names: Names::new(),
            path: Path::default(),
            doubles: !config.enabled,
        }
    }

    /// Lays out the record's own members. Returns the number of events.
    fn record(&mut self, record: &RawObject<'_>) -> Result<u64, TooMany> {
        let mut events = 1;
        for (key, value) in &record.members {
            let factor = self.member(key, &mut Cursor::new(value), false)?;
            events = self.times(events, factor)?;
        }
        Ok(events)
    }

    /// Lays out the member that the cursor has come to. `inside`: it belongs to something that is flattened, and
    /// flattening goes all the way down.
    fn member(&mut self, key: &str, value: &mut Cursor<'_>, inside: bool) -> Result<u64, TooMany> {
        let outer = self.path.enter(key);
        let events = self.named(value, inside);
        self.path.leave(outer);
        events
    }

    /// Lays out a value under the name that stands in the path.
    fn named(&mut self, value: &mut Cursor<'_>, inside: bool) -> Result<u64, TooMany> {
        let name = self.path.name.as_str();
        let config = self.config;
        match value.peek() {
            _ if !config.enabled => self.plain(value),
            b'[' if self.arrays.has(name) => return self.array(value),
            b'{' if self.arrays.names(name) => return self.only_element(value),
            b'n' if self.arrays.names(name) => {
                value.value();
                self.no_element();
            }
            b'{' if inside || config.objects.has(name) => return self.object(value),
            _ => self.plain(value),
        }
        Ok(1)
    }

    /// Lays out the members of an object, each under the joined name.
    fn object(&mut self, value: &mut Cursor<'_>) -> Result<u64, TooMany> {
        if self.path.depth >= DEPTH_LIMIT {
            self.plain(value);
            return Ok(1);
        }
        let mut events = 1;
        let mut empty = true;
        value.open();
        while let Some(key) = value.key() {
            empty = false;
            let factor = self.member(key, value, true)?;
            events = self.times(events, factor)?;
        }
        if empty {
            self.null();
        }
        Ok(events)
    }

    /// Lays out an array: a fork for each element, and its number right after it.
    fn array(&mut self, value: &mut Cursor<'_>) -> Result<u64, TooMany> {
        value.open();
        if !value.element() {
            self.no_element();
            return Ok(1);
        }
        let mut events: u64 = 0;
        let mut ends = Vec::new();
        let mut more = true;
        while more {
            let fork = self.steps.len();
            self.steps.push(Step::Fork { other: fork });
            events = events.saturating_add(self.element(value)?);
            if events > self.limit() {
                return Err(TooMany);
            }
            ends.push(self.steps.len());
            // The number of elements and the way out are known at the end only: held free until then.
            self.steps.push(Step::Jump { to: fork });
            self.id(ends.len());
            self.steps.push(Step::Jump { to: fork });
            more = value.element();
            // The last element leaves no other way.
            let next = self.steps.len();
            self.steps[fork] = if more { Step::Fork { other: next } } else { Step::Jump { to: fork + 1 } };
        }
        let found = self.found(ends.len());
        let behind = self.steps.len();
        for end in ends {
            self.steps[end] = Step::Member(found);
            self.steps[end + 2] = Step::Jump { to: behind };
        }
        Ok(events)
    }

    /// Lays out one element under its array's name.
    fn element(&mut self, value: &mut Cursor<'_>) -> Result<u64, TooMany> {
        if value.peek() == b'{' {
            return self.object(value);
        }
        self.plain(value);
        Ok(1)
    }

    /// Lays out an object that stands where an array is named: it counts as one element.
    fn only_element(&mut self, value: &mut Cursor<'_>) -> Result<u64, TooMany> {
        let events = self.object(value)?;
        let found = self.found(1);
        self.steps.push(Step::Member(found));
        self.id(1);
        Ok(events)
    }

    /// Lays out a named array that has no element.
    fn no_element(&mut self) {
        self.null();
        let found = self.found(0);
        self.steps.push(Step::Member(found));
        self.id(0);
    }

    /// Writes the member `key_found`; the caller says where it stands.
    fn found(&mut self, count: usize) -> Member {
        self.beside("_found", count)
    }

    /// Lays out `key_id`, 1-based.
    fn id(&mut self, number: usize) {
        let member = self.beside("_id", number);
        self.steps.push(Step::Member(member));
    }

    /// Writes a number under the path's name and a suffix.
    fn beside(&mut self, suffix: &str, number: usize) -> Member {
        let outer = self.path.lengthen(suffix);
        let member = self.write(|text| write!(text, "{number}").expect("a String takes all"));
        self.path.leave(outer);
        member
    }

    /// Lays out a value as it is, without its white space.
    fn plain(&mut self, value: &mut Cursor<'_>) {
        let member = self.write(|text| value.compact(text));
        self.steps.push(Step::Member(member));
    }

    /// Lays out the null that stands for what is empty.
    fn null(&mut self) {
        self.plain(&mut Cursor::new("null"));
    }

    /// Writes `"name":value,` with the path's name.
    fn write(&mut self, value: impl FnOnce(&mut String)) -> Member {
        let name = self.names.number(&self.path.name);
        let text = &mut self.text;
        let start = text.len();
        text.push('"');
        text.push_str(&self.path.spelling);
        let quote = text.len();
        text.push_str("\":");
        value(text);
        text.push(',');
        Member { start, quote, end: text.len(), name, doubles: self.doubles }
    }

    /// Lays out what every event ends with. Its names give way even where flattening is off: they are ours, and a
    /// doubled key would hide one of the two values from most readers.
    fn tail(&mut self, tail: &Tail<'_>, skipped: bool) {
        self.doubles = false;
        for (name, count) in tail.counts {
            self.own(name, |text| write!(text, "{count}").expect("a String takes all"));
        }
        if skipped {
            self.own("@flatten_skipped", |text| text.push_str("true"));
        }
        if let Some(environment) = tail.environment {
            let quoted = serde_json::Value::from(environment);
            self.own("@devo_environment", |text| write!(text, "{quoted}").expect("a String takes all"));
        }
        let pulled = tail.pulled_ms;
        self.own("@devo_pulling_id", |text| write!(text, "\"{pulled}\"").expect("a String takes all"));
        self.own("@event_id", |text| text.push('"'));
        // The last member is the id: its value is left open, for it differs from event to event.
        if let Some(Step::Member(mut member)) = self.steps.pop() {
            member.end -= 1;
            self.steps.push(Step::End(member));
        }
    }

    /// Lays out one member of the tail. `name` needs no escape.
    fn own(&mut self, name: &str, value: impl FnOnce(&mut String)) {
        let outer = self.path.lengthen(name);
        let member = self.write(value);
        self.path.leave(outer);
        self.steps.push(Step::Member(member));
    }

    /// The product, while it is within the limit.
    fn times(&self, events: u64, factor: u64) -> Result<u64, TooMany> {
        Some(events.saturating_mul(factor)).filter(|product| *product <= self.limit()).ok_or(TooMany)
    }

    /// A limit of 0 would refuse every record, so 1 is the least.
    fn limit(&self) -> u64 {
        self.config.max_events_per_record.max(1)
    }
}

impl Selection {
    /// Whether a value of that name is meant.
    fn has(&self, name: &str) -> bool {
        matches!(self, Self::All) || self.names(name)
    }

    /// Whether that name stands in the list; `"*"` names nothing.
    fn names(&self, name: &str) -> bool {
        match self {
            Self::All => false,
            Self::Named(names) => names.iter().any(|one| one == name),
        }
    }
}

/// The joined name of what is laid out.
#[derive(Debug, Default)]
struct Path {
    /// Unescaped: what names are compared by.
    name: String,
    /// As the keys were written: what is sent.
    spelling: String,
    /// Number of keys.
    depth: usize,
}

/// How long a path was before something was added.
struct Outer {
    name: usize,
    spelling: usize,
    depth: usize,
}

impl Path {
    /// Adds a key as written, with its quotes.
    fn enter(&mut self, key: &str) -> Outer {
        let outer = self.length();
        if self.depth > 0 {
            self.name.push('_');
            self.spelling.push('_');
        }
        self.depth += 1;
        self.name.push_str(&unquoted(key));
        self.spelling.push_str(key.get(1..key.len().saturating_sub(1)).unwrap_or_default());
        outer
    }

    /// Adds text that needs no escape.
    fn lengthen(&mut self, text: &str) -> Outer {
        let outer = self.length();
        self.name.push_str(text);
        self.spelling.push_str(text);
        outer
    }

    /// Takes back what was added.
    fn leave(&mut self, outer: Outer) {
        self.name.truncate(outer.name);
        self.spelling.truncate(outer.spelling);
        self.depth = outer.depth;
    }

    /// How long the path is now.
    fn length(&self) -> Outer {
        Outer { name: self.name.len(), spelling: self.spelling.len(), depth: self.depth }
    }
}
