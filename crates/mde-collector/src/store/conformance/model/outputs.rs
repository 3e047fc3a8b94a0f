//! What a store should do with its outputs.

use super::super::{Frame, Position, StartAt, StreamKey, at};
use super::state::{Model, ModelLetter, ModelOutput, ModelStream, name};
use crate::store::{Depth, Jump, OutputState, REMOVED_KEPT, Removed};
use std::collections::{BTreeMap, BTreeSet};

/// Beyond everything.
const END: Position = Position::after_batch(u64::MAX);

/// Octets of frames up to a position.
fn octets_through(stream: &ModelStream, through: Position) -> u64 {
    let passed = stream.frames.iter().filter(|((batch, frame), _)| at(*batch, *frame) <= through);
    passed.map(|(_, (_, octets, _))| *octets).sum()
}

impl ModelOutput {
    /// Whether pulling may have to wait for it there.
    fn needs(&self, stream: usize) -> bool {
        self.removed_ms.is_none() && !self.left.contains_key(&stream)
    }
}

impl Model {
    /// The slowest position in a stream of the outputs that `counts` chooses.
    fn slowest(&self, stream: usize, counts: impl Fn(&str, &ModelOutput) -> bool) -> Option<Position> {
        let chosen = self.outputs.iter().filter(|(name, output)| counts(name, output));
        chosen.filter_map(|(_, output)| output.positions.get(&stream)).min().copied()
    }

    /// Where the output stands from now on.
    pub(super) fn attach(
        &mut self,
        output: &'static str,
        stream: usize,
        start: &StartAt,
        from: Option<&'static str>,
        now_ms: i64,
    ) -> Position {
        let other = from.and_then(|from| self.outputs.get(from));
        let inherited = other.and_then(|other| other.positions.get(&stream)).copied();
        let memory = other.and_then(|other| other.memory.clone());
        let older = self.met.iter().copied().collect();
        let last_batch = self.meet(stream).last_batch;
        let fresh = || ModelOutput { memory, older, ..ModelOutput::default() };
        let known = self.outputs.entry(output).or_insert_with(fresh);
        known.used_ms = now_ms;
        known.removed_ms = None;
        known.left.remove(&stream);
        if let Some(position) = known.positions.get(&stream) {
            return *position;
        }
        let position = match start {
            StartAt::Output(_) => {
                known.heir_of = from.filter(|_| inherited.is_some()).or(known.heir_of);
                inherited.unwrap_or(Position::START)
            }
            StartAt::Now if known.older.contains(&stream) => Position::after_batch(last_batch),
            StartAt::Now | StartAt::Oldest => Position::START,
        };
        known.positions.insert(stream, position);
        position
    }

    /// These are configured, the others are removed; what was renamed goes.
    pub(super) fn mark(&mut self, configured: &BTreeSet<&str>, now_ms: i64) {
        for (name, output) in &mut self.outputs {
            output.removed_ms = (!configured.contains(name)).then(|| output.removed_ms.unwrap_or(now_ms));
        }
        let renamed: Vec<(&str, &str)> = self
            .outputs
            .iter()
            .filter(|(_, heir)| heir.removed_ms.is_none())
            .filter_map(|(name, heir)| Some((*name, heir.heir_of?)))
            .filter(|(_, old)| self.outputs.get(old).is_some_and(|old| old.removed_ms.is_some()))
            .collect();
        for (heir, old) in renamed {
            let taken = self.outputs[heir].positions.clone();
            let Some(left) = self.outputs.get_mut(old) else { continue };
            left.positions.retain(|stream, _| !taken.contains_key(stream));
            left.left.retain(|stream, _| !taken.contains_key(stream));
            let (letters, gone) = (std::mem::take(&mut left.letters), left.positions.is_empty());
            let heirs = &mut self.outputs.get_mut(heir).expect("listed above").letters;
            for (serial, letter) in letters {
                if !heirs.values().any(|kept| *kept == letter) {
                    heirs.insert(serial, letter);
                }
            }
            if gone {
                let left = &self.outputs[old];
                let lost_events = left.lost_events;
                self.outputs.remove(old);
                self.outputs.get_mut(heir).expect("listed above").lost_events += lost_events;
            }
        }
        self.hand_over_left();
        self.outputs.values_mut().for_each(|output| output.heir_of = None);
    }

    /// What an output has left to one that began where it stood goes with it.
    fn hand_over_left(&mut self) {
        let mut handed = Vec::new();
        for heir in self.outputs.values().filter(|heir| heir.removed_ms.is_none()) {
            let taken = heir.positions.keys().filter(|stream| !heir.left.contains_key(stream));
            handed.extend(heir.heir_of.into_iter().flat_map(|old| taken.clone().map(move |stream| (old, *stream))));
        }
        for (old, stream) in handed {
            let Some(old) = self.outputs.get_mut(old) else { continue };
            if old.left.remove(&stream).is_some() {
                old.positions.remove(&stream);
            }
        }
    }

    /// The output takes that stream no more.
    pub(super) fn leave(&mut self, output: &str, stream: usize, now_ms: i64) {
        let Some(known) = self.outputs.get_mut(output) else { return };
        if known.positions.contains_key(&stream) {
            known.left.entry(stream).or_insert((now_ms, true));
        }
    }

    /// Removes what all outputs have passed. Returns its octets.
    pub(super) fn free(&mut self) -> u64 {
        let mut freed = 0;
        for stream in self.met.clone() {
            let holds = |output: &ModelOutput| output.left.get(&stream).is_none_or(|(_, holds)| *holds);
            let passed = self.slowest(stream, |_, output| holds(output)).unwrap_or(END);
            let known = self.streams.get_mut(&stream).expect("met");
            if !self.outputs.is_empty() {
                freed += octets_through(known, passed);
                known.frames.retain(|(batch, frame), _| at(*batch, *frame) > passed);
            }
        }
        freed
    }

    /// Octets that configured outputs have passed.
    fn passed_bytes(&self) -> u64 {
        let passed = |stream| self.slowest(stream, |_, output| output.needs(stream)).unwrap_or(END);
        self.streams.iter().map(|(stream, known)| octets_through(known, passed(*stream))).sum()
    }

    /// Octets of all frames, visible or not.
    pub(super) fn bytes(&self) -> u64 {
        let visible: u64 = self.streams.values().map(|known| octets_through(known, END)).sum();
        visible + self.open.iter().flat_map(|open| open.frames.iter().map(|(_, octets)| *octets)).sum::<u64>()
    }

    /// Octets of frames that configured outputs need.
    pub(super) fn live_bytes(&self) -> u64 {
        self.bytes() - self.passed_bytes()
    }

    /// Forgets an output.
    pub(super) fn drop_output(&mut self, output: &str) -> Option<OutputState> {
        self.outputs.contains_key(output).then(|| self.output_state(output)).inspect(|_| {
            self.outputs.remove(output);
        })
    }

    /// What is removed and not let go: since when, when the output was used, which, and in which stream.
    fn all_removed(&self) -> Vec<(i64, i64, &'static str, Option<usize>)> {
        let mut removed = Vec::new();
        for (name, output) in &self.outputs {
            removed.extend(output.removed_ms.map(|removed_ms| (removed_ms, output.used_ms, *name, None)));
            let left = output.left.iter().filter(|(_, (_, holds))| *holds);
            removed.extend(left.map(|(stream, (removed_ms, _))| (*removed_ms, output.used_ms, *name, Some(*stream))));
        }
        let met = |stream: Option<usize>| stream.and_then(|stream| self.met.iter().position(|met| *met == stream));
        removed.sort_by_key(|(removed_ms, used_ms, name, stream)| (*removed_ms, *used_ms, *name, met(*stream)));
        removed
    }

    /// As it is told.
    pub(super) fn removed(&self) -> Vec<Removed> {
        let told = |(removed_ms, _, output, stream): (i64, i64, &str, Option<usize>)| Removed {
            output: output.to_owned(),
            stream: stream.map(name),
            depth: match stream {
                Some(stream) => self.depth_in(&self.outputs[output], &[stream]),
                None => self.depth(output),
            },
            removed_ms,
        };
        self.all_removed().into_iter().map(told).collect()
    }

    /// What must go, as it was.
    pub(super) fn let_go(&mut self, now_ms: i64, max_bytes: u64) -> Vec<Removed> {
        let mut gone = Vec::new();
        loop {
            self.free();
            let Some((removed_ms, _, name, stream)) = self.all_removed().first().copied() else { return gone };
            let over = u128::from(now_ms.abs_diff(removed_ms)) >= REMOVED_KEPT.as_millis();
            if !over && self.passed_bytes() <= max_bytes {
                return gone;
            }
            gone.push(self.removed().swap_remove(0));
            match stream {
                None => drop(self.drop_output(name)),
                Some(stream) => {
                    self.outputs.get_mut(name).expect("listed").left.insert(stream, (removed_ms, false));
                }
            }
        }
    }

    /// Moves the optional ones over the oldest batches that none but they need.
    pub(super) fn jump(&mut self, optional: &BTreeSet<&str>, bytes: u64) -> Vec<Jump> {
        let mut candidates = Vec::new();
        for (order, stream) in self.met.iter().enumerate() {
            let live = |output: &ModelOutput| output.needs(*stream);
            let behind = self.slowest(*stream, |name, output| live(output) && optional.contains(name));
            let needed = self.slowest(*stream, |name, output| live(output) && !optional.contains(name)).unwrap_or(END);
            let mut batches: BTreeMap<u64, (i64, u64, u32)> = BTreeMap::new();
            for ((batch, frame), (_, octets, stored_ms)) in &self.streams[stream].frames {
                let known = batches.entry(*batch).or_insert((*stored_ms, 0, 0));
                known.1 += octets;
                known.2 = *frame;
            }
            for (batch, (stored_ms, octets, last)) in batches {
                if behind.is_some_and(|behind| at(batch, last) > behind) && at(batch, last) <= needed {
                    candidates.push((stored_ms, order, batch, *stream, octets));
                }
            }
        }
        candidates.sort_unstable();
        let (mut passed, mut lost) = (0, BTreeMap::new());
        for (_, _, batch, stream, octets) in candidates {
            if passed >= bytes {
                break;
            }
            passed += octets;
            let target = Position::after_batch(batch);
            for (name, output) in self.outputs.iter_mut().filter(|(name, _)| optional.contains(*name)) {
                let needs = output.needs(stream);
                let Some(position) = output.positions.get_mut(&stream) else { continue };
                if needs && *position < target {
                    let jumped = self.streams[&stream]
                        .frames
                        .iter()
                        .filter(|((batch, frame), _)| at(*batch, *frame) > *position && at(*batch, *frame) <= target);
                    let events: u64 = jumped.map(|(_, (frame, _, _))| u64::from(frame.events)).sum();
                    *position = target;
                    output.lost_events += events;
                    *lost.entry(*name).or_insert(0) += events;
                }
            }
        }
        lost.retain(|_, events| *events > 0);
        if !lost.is_empty() {
            self.free();
        }
        lost.into_iter().map(|(output, events)| Jump { output: output.to_owned(), events }).collect()
    }

    /// Letters out of the frames that a position passes: which, and which of their lines.
    pub(super) fn refusals(&self, stream: usize, to: Position, chosen: &[(usize, usize)]) -> Vec<ModelLetter> {
        let Some(known) = self.streams.get(&stream) else { return Vec::new() };
        let frames: Vec<_> = known.frames.iter().filter(|((batch, frame), _)| at(*batch, *frame) <= to).collect();
        if frames.is_empty() {
            return Vec::new();
        }
        let mut letters: Vec<ModelLetter> = chosen
            .iter()
            .map(|(index, line)| {
                let ((batch, seq), (frame, _, _)) = frames[index % frames.len()];
                let body = String::from_utf8_lossy(&frame.body);
                let lines: Vec<&str> = body.lines().collect();
                let line = line % lines.len();
                (stream, at(*batch, *seq), u32::try_from(line).expect("few"), lines[line].to_owned())
            })
            .collect();
        // Frame by frame; within one as they were named.
        letters.sort_by_key(|(_, position, ..)| *position);
        letters
    }

    /// What should be told of an output's letters.
    pub(super) fn letters(&self, output: &str) -> Vec<(StreamKey, Position, u32, String)> {
        let letters = self.outputs.get(output).into_iter().flat_map(|known| known.letters.values().cloned());
        letters.map(|(stream, position, line, record)| (name(stream), position, line, record)).collect()
    }

    /// All letters of an output become one batch in a stream of its own. Returns how many.
    pub(super) fn replay(&mut self, output: &str, stream: usize, octets: u64, now_ms: i64) -> u64 {
        let Some(known) = self.outputs.get_mut(output) else { return 0 };
        let letters = std::mem::take(&mut known.letters);
        if letters.is_empty() {
            return 0;
        }
        known.positions.entry(stream).or_insert(Position::START);
        let body: String = letters.values().map(|(.., record)| format!("{record}\n")).collect();
        let frame = Frame { events: u32::try_from(letters.len()).expect("few"), body: body.into_bytes() };
        let known = self.meet(stream);
        known.last_batch += 1;
        known.frames.insert((known.last_batch, 0), (frame, octets, now_ms));
        letters.len() as u64
    }

    /// What should wait for an output, in the streams that it takes.
    pub(super) fn depth(&self, output: &str) -> Depth {
        let Some(known) = self.outputs.get(output) else { return Depth::default() };
        let taken = known.positions.keys().filter(|stream| !known.left.contains_key(stream));
        self.depth_in(known, &taken.copied().collect::<Vec<_>>())
    }

    /// What should wait for it in these streams.
    fn depth_in(&self, output: &ModelOutput, streams: &[usize]) -> Depth {
        let mut depth = Depth::default();
        for stream in streams {
            for ((batch, seq), (frame, octets, stored_ms)) in &self.streams[stream].frames {
                if at(*batch, *seq) > output.positions[stream] {
                    depth.events += u64::from(frame.events);
                    depth.bytes += octets;
                    depth.oldest_ms = Some(depth.oldest_ms.map_or(*stored_ms, |oldest_ms| oldest_ms.min(*stored_ms)));
                }
            }
        }
        depth
    }

    /// What should be told of an output that is known.
    pub(super) fn output_state(&self, output: &str) -> OutputState {
        let known = &self.outputs[output];
        OutputState {
            name: output.to_owned(),
            depth: self.depth(output),
            memory: known.memory.clone(),
            used_ms: Some(known.used_ms),
            removed_ms: known.removed_ms,
            lost_events: known.lost_events,
            dead_letters: known.letters.len() as u64,
        }
    }
}
