//! Runs a plan: one line for each way through it.

use super::names::{Name, Names};
use super::plan::{Member, Plan, Step};
use super::{Outcome, Tail};
use crate::record::{EventId, Identity};
use std::fmt;
use std::io::Write as _;

/// The events of one record, made one after the other. It borrows nothing and holds one line at a time, so whoever takes
/// the lines may wait between two of them.
pub struct Events {
    /// What is run; of its parts only `names` grows, by names with suffixes.
    plan: Plan,
    /// Makes each event's id.
    identity: Identity,
    /// Number of the next event.
    index: u64,
    /// The event so far. What the next event has in common with it is written once and stays.
    line: Vec<u8>,
    /// Ways not taken yet, the newest last.
    forks: Vec<Fork>,
    /// The names in `line`.
    held: Held,
}

/// A way not taken yet, and how far the event had come where it branches off.
struct Fork {
    /// First step of the way.
    step: usize,
    /// Length of the line. Unit: octets.
    line: usize,
    /// Number of changes to the names held.
    changes: usize,
}

impl Events {
    /// Stands before the first run.
    pub(super) fn new(plan: Plan, tail: &Tail<'_>) -> Self {
        let mut line = Vec::with_capacity(2048);
        line.push(b'{');
        let held = Held { uses: vec![0; plan.names.len()], changes: Vec::with_capacity(128) };
        Self { plan, identity: tail.identity.clone(), index: 0, line, forks: Vec::new(), held }
    }

    /// What all of them come to; known from the beginning.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome { events: self.plan.events, skipped: self.plan.skipped }
    }

    /// The next event: one compact JSON object and an LF. `None` when all are done.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        let mut at = if self.index == 0 { 0 } else { self.back()? };
        loop {
            at = match self.plan.steps[at] {
                Step::Member(member) => {
                    self.write(&member);
                    at + 1
                }
                Step::Fork { other } => {
                    self.forks.push(Fork { step: other, line: self.line.len(), changes: self.held.changes.len() });
                    at + 1
                }
                Step::Jump { to } => to,
                Step::End(member) => {
                    self.write(&member);
                    write_hex(self.identity.event_id(self.index), &mut self.line);
                    self.line.extend_from_slice(b"\"}\n");
                    self.index += 1;
                    return Some(&self.line);
                }
            };
        }
    }

    /// Goes back to the newest fork. Returns its other way's first step, or `None` when no way is left.
    fn back(&mut self) -> Option<usize> {
        let fork = self.forks.pop()?;
        self.line.truncate(fork.line);
        self.held.back(fork.changes);
        Some(fork.step)
    }

    /// Appends one member, under another name where the event has its own already.
    fn write(&mut self, member: &Member) {
        let text = self.plan.text.as_bytes();
        if self.held.take(member.name) || member.doubles {
            self.line.extend_from_slice(&text[member.start..member.end]);
            return;
        }
        let number = self.held.take_next(member.name, &mut self.plan.names);
        self.line.extend_from_slice(&text[member.start..member.quote]);
        write!(self.line, "_{number}").expect("a Vec takes all");
        self.line.extend_from_slice(&text[member.quote..member.end]);
    }
}

/// Prints no record.
impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("index", &self.index).field("outcome", &self.outcome()).finish_non_exhaustive()
    }
}

/// The names that the event has so far.
struct Held {
    /// For each name: 0 while nobody has it, then the last suffix given to it, 1 being none.
    uses: Vec<u32>,
    /// What each change was before, oldest first, so that a run can be taken back.
    changes: Vec<(Name, u32)>,
}

impl Held {
    /// Takes a name. `false`: the event has it already.
    fn take(&mut self, name: Name) -> bool {
        let free = self.uses[name as usize] == 0;
        if free {
            self.set(name, 1);
        }
        free
    }

    /// Takes `name_2`, or the first of `name_3`, `name_4`, … that is free. Returns the suffix.
    ///
    /// It goes on behind the last suffix given: what was taken then is taken still.
    fn take_next(&mut self, name: Name, names: &mut Names) -> u32 {
        let mut number = self.uses[name as usize];
        loop {
            number += 1;
            let other = names.number(&format!("{}_{number}", names.text(name)));
            // Only names made here can lie beyond the end.
            self.uses.resize(names.len(), 0);
            if self.take(other) {
                self.set(name, number);
                return number;
            }
        }
    }

    /// Notes the change and makes it.
    fn set(&mut self, name: Name, uses: u32) {
        let place = &mut self.uses[name as usize];
        self.changes.push((name, *place));
        *place = uses;
    }

    /// Takes back all but the first `keep` changes.
    fn back(&mut self, keep: usize) {
        for (name, before) in self.changes.drain(keep..).rev() {
            self.uses[name as usize] = before;
        }
    }
}

/// Appends 32 lower-case hex digits; `Display` would take as long as all the rest of an event.
fn write_hex(id: EventId, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for octet in id.0 {
        out.extend_from_slice(&[DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
    }
}
