//! Any sequence of calls against a model that keeps everything in plain maps.
//!
//! The model knows which rules a call breaks, not in which order a store looks at them: a refused call must be refused
//! for one of the reasons that hold. After every call all that can be observed is compared.

mod call;
mod outputs;
mod state;

use super::*;
use crate::store::{Attached, LastSeen, OutputState, Refusal, StreamState, Trace, Traced};
use call::{Call, Move, calls};
use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use state::{Model, ModelBatch, ModelLease, ModelStream, Reason, name, reason};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

/// Streams, outputs, nodes and keys that the sequences play with: few, so that they meet often.
const STREAMS: usize = 2;
/// Outputs.
const OUTPUTS: [&str; 3] = ["devo", "file", "http"];
/// Nodes.
const OWNERS: [&str; 2] = ["node-1", "node-2"];
/// Keys of each stream.
const KEYS: u64 = 8;
/// Entities of each stream.
const ENTITIES: u64 = 6;

/// One store, its model, and where it lives.
struct Run<'a, P: Place> {
    place: &'a mut P,
    store: Arc<dyn Store>,
    model: Model,
}

/// One of the items, if there is any.
fn pick<T: Clone>(items: &[T], index: usize) -> Option<T> {
    if items.is_empty() { None } else { items.get(index % items.len()).cloned() }
}

/// The number of a stream on which an output works.
fn own(output: usize, stream: usize) -> usize {
    if stream == STREAMS { STREAMS + output } else { stream }
}

/// Compares what a call gave with what it must give.
fn expect<T>(result: Result<T, StoreError>, reasons: &[Reason]) -> Option<T> {
    match result {
        Ok(value) => {
            assert!(reasons.is_empty(), "allowed in spite of {reasons:?}");
            Some(value)
        }
        Err(error) => {
            assert!(reasons.contains(&reason(&error)), "refused with {error:?}, allowed are {reasons:?}");
            None
        }
    }
}

impl<P: Place> Run<'_, P> {
    /// Does to the store and to the model what the call says.
    async fn call(&mut self, call: Call) {
        match call {
            Call::Wait(ms) => self.place.clock().advance(ms),
            Call::WaitDays(days) => self.place.clock().advance(days * 24 * 3600 * 1000),
            Call::Acquire { stream, owner } => self.acquire(stream, OWNERS[owner]).await,
            Call::Release { lease } => {
                let Some(lease) = pick(&self.model.given, lease) else { return };
                self.store.release(&lease).await.expect("release");
                if self.model.holds(&lease) {
                    self.model.leases.get_mut(&lease.name).expect("held").owner = None;
                }
            }
            Call::Begin { lease, stream } => self.begin(lease, stream).await,
            Call::Append { batch, events } => self.append(batch, events).await,
            Call::Discard { batch } => {
                let Some(batch) = pick(&self.model.open, batch) else { return };
                self.store.discard(batch.id).await.expect("discard");
                self.model.open.retain(|open| open.id != batch.id);
                self.model.past.push(batch.id);
            }
            Call::Commit { lease, stream, batch, epoch, wrong_count, keys, seen, gone, traced, progress } => {
                self.commit(lease, stream, batch, epoch, wrong_count, &keys, &seen, &gone, &traced, progress).await;
            }
            Call::StartAgain { lease, stream } => self.start_again(lease, stream).await,
            Call::Attach { output, stream, start } => {
                self.attach(OUTPUTS[output], own(output, stream), start).await;
            }
            Call::Leave { output, stream } => {
                self.store.leave(OUTPUTS[output], &[name(stream)]).await.expect("leave");
                self.model.leave(OUTPUTS[output], stream, self.place.clock().now_ms());
            }
            Call::Advance { lease, output, stream, batch, frame, memory, refused } => {
                self.advance(lease, OUTPUTS[output], own(output, stream), at(batch, frame), memory, &refused).await;
            }
            Call::Replay { output } => self.replay(output).await,
            Call::Collect { outputs } => self.collect(&outputs).await,
            Call::LetGo { max_bytes } => {
                let got = self.store.let_go(max_bytes).await.expect("let go");
                assert_eq!(got, self.model.let_go(self.place.clock().now_ms(), max_bytes));
            }
            Call::Drop { output } => {
                let got = self.store.drop_output(OUTPUTS[output]).await.expect("drop");
                assert_eq!(got, self.model.drop_output(OUTPUTS[output]));
                self.model.free();
            }
            Call::Jump { outputs, bytes } => {
                let optional: BTreeSet<&str> = outputs.iter().map(|output| OUTPUTS[*output]).collect();
                let names: Vec<String> = optional.iter().map(ToString::to_string).collect();
                let got = self.store.jump(&names, bytes).await.expect("jump");
                assert_eq!(got, self.model.jump(&optional, bytes));
            }
            Call::Kill => {
                self.place.kill(Arc::clone(&self.store)).await;
                self.reopen().await;
            }
            Call::Close => {
                self.store.close().await.expect("close");
                self.reopen().await;
            }
        }
    }

    /// Opens again; nothing that must last may be gone.
    async fn reopen(&mut self) {
        self.store = self.place.open().await;
        self.model.died();
    }

    async fn acquire(&mut self, stream: usize, owner: &str) {
        let name = format!("stream {}", name(stream));
        let now_ms = self.place.clock().now_ms();
        let got = self.store.acquire(&name, owner, Duration::from_millis(30)).await.expect("acquire");
        let until_ms = now_ms + 30;
        let held = self.model.leases.get(&name);
        let fence = match held {
            None => Some(1),
            Some(held) if held.owner.as_deref() == Some(owner) => Some(held.fence),
            Some(held) if held.owner.is_none() || held.until_ms < now_ms => Some(held.fence + 1),
            Some(_) => None,
        };
        let expected = fence.map(|fence| Lease { name: name.clone(), owner: owner.to_owned(), fence });
        assert_eq!(got, expected);
        if let (Some(lease), Some(fence)) = (got, fence) {
            self.model.leases.insert(name, ModelLease { owner: Some(owner.to_owned()), fence, until_ms });
            self.model.given.retain(|given| *given != lease);
            self.model.given.insert(0, lease);
        }
    }

    /// `begin`: refused under a lease that is lost; the number is a new one.
    async fn begin(&mut self, lease: usize, stream: usize) {
        let Some(lease) = pick(&self.model.given, lease) else { return };
        let reasons = if self.model.holds(&lease) { vec![] } else { vec![Reason::LeaseLost] };
        let result = self.store.begin(&lease, &name(stream), &head("tag")).await;
        if let Some(id) = expect(result, &reasons) {
            let epoch = self.model.meet(stream).epoch;
            let unused = !self.model.past.contains(&id) && self.model.open.iter().all(|open| open.id != id);
            assert!(unused, "{id:?} names another batch already");
            self.model.open.push(ModelBatch { id, stream, epoch, lease, frames: Vec::new() });
        }
    }

    async fn append(&mut self, batch: usize, events: u32) {
        let frame = frame(&format!("serial {}", self.model.serial()), events);
        let Some(batch) = pick(&self.model.open, batch) else {
            if let Some(past) = pick(&self.model.past, batch) {
                expect(self.store.append(past, &frame).await, &[Reason::Broken]);
            }
            return;
        };
        let before = self.store.bytes().await.expect("bytes");
        self.store.append(batch.id, &frame).await.expect("append");
        let octets = self.store.bytes().await.expect("bytes") - before;
        assert!(octets > 0);
        let open = self.model.open.iter_mut().find(|open| open.id == batch.id).expect("picked from here");
        open.frames.push((frame, octets));
    }

    /// `commit`: all rules that it breaks, or everything that it does.
    #[expect(clippy::too_many_arguments, reason = "the parts of a commit, each chosen on its own")]
    async fn commit(
        &mut self,
        lease: usize,
        stream: usize,
        batch: Option<usize>,
        epoch_behind: u64,
        wrong_count: bool,
        keys: &[(u64, i64)],
        seen: &[(u64, u64)],
        gone: &[u64],
        traced: &[u64],
        progress: Move,
    ) {
        let Some(lease) = pick(&self.model.given, lease) else { return };
        let batch = match batch {
            None => None,
            Some(index) => match pick(&self.model.open, index) {
                Some(open) => Some(open),
                None => return,
            },
        };
        // Most of the time the batch's own stream: the other way round is refused at once.
        let stream = batch.as_ref().filter(|_| epoch_behind == 0).map_or(stream, |batch| batch.stream);
        let memory = self.model.serial().to_string();
        let now_ms = self.place.clock().now_ms();
        let present = self.model.streams.get(&stream).map_or(1, |known| known.epoch);
        let epoch = present.saturating_sub(epoch_behind);

        let mut reasons = Vec::new();
        if !self.model.holds(&lease) {
            reasons.push(Reason::LeaseLost);
        }
        if epoch != present {
            reasons.push(Reason::EpochOver);
        }
        if let Some(batch) = &batch {
            if batch.lease.name != lease.name || batch.lease.fence != lease.fence {
                reasons.push(Reason::LeaseLost);
            }
            if batch.epoch != present {
                reasons.push(Reason::EpochOver);
            }
            if batch.stream != stream || wrong_count {
                reasons.push(Reason::Broken);
            }
        }
        let known = self.model.streams.get(&stream);
        let numbers: BTreeSet<u64> = keys.iter().map(|(number, _)| *number).collect();
        let stored_before = known.is_some_and(|known| numbers.iter().any(|number| known.keys.contains_key(number)));
        if numbers.len() < keys.len() || stored_before {
            reasons.push(Reason::Broken);
        }
        let old_checkpoint_ms = known.and_then(|known| known.checkpoint_ms);
        if !progress.backwards
            && progress.checkpoint_ms.is_some_and(|new| old_checkpoint_ms.is_some_and(|old| new < old))
        {
            reasons.push(Reason::Broken);
        }

        let frames = |batch: &ModelBatch| batch.frames.iter().map(|(frame, _)| frame.clone()).collect::<Vec<_>>();
        let mut counted = batch.as_ref().map(|batch| count(batch.id, &frames(batch)));
        if let (Some(counted), true) = (&mut counted, wrong_count) {
            counted.events += 1;
        }
        // Each with a number and a content of its own, so that any mistake about which one counts is seen.
        let seen: Vec<(u64, LastSeen)> = seen
            .iter()
            .map(|(number, behind)| {
                let serial = self.model.serial();
                let content = [u8::try_from(serial % 251).expect("an octet"); 16];
                (*number, LastSeen { snapshot: serial.saturating_sub(behind * 2), content })
            })
            .collect();
        let history: Vec<Trace> = traced
            .iter()
            .map(|number| Trace {
                id: id_of(*number),
                key: key(*number),
                time_ms: now_ms,
                request_id: self.model.serial().to_string(),
                version: id_of(*number),
                events: *number,
            })
            .collect();
        let commit = Commit {
            epoch,
            batch: counted,
            history: history.clone(),
            seen: seen
                .iter()
                .map(|(number, last)| Seen {
                    snapshot: last.snapshot,
                    content: last.content,
                    ..super::seen(*number, 0, 0)
                })
                .collect(),
            gone: gone.iter().copied().map(entity).collect(),
            keys: keys.iter().map(|(number, time_ms)| stored_key(*number, *time_ms)).collect(),
            progress: Progress {
                checkpoint_ms: progress.checkpoint_ms,
                backwards: progress.backwards,
                memory: Some(memory.clone()),
                forget_before_ms: progress.forget_before_ms,
                keep: progress.keep.clone(),
            },
        };
        let result = self.store.commit(&lease, &name(stream), &commit).await;
        let Some(number) = expect(result, &reasons) else { return };

        let known = self.model.meet(stream);
        if let Some(batch) = &batch {
            known.last_batch += 1;
            assert_eq!(number, Some(known.last_batch));
            for (seq, (frame, octets)) in (0..).zip(&batch.frames) {
                known.frames.insert((known.last_batch, seq), (frame.clone(), *octets, now_ms));
            }
        }
        known.keys.extend(keys.iter().copied());
        if let Some(horizon_ms) = progress.forget_before_ms {
            (known.horizon_ms, known.keep) = (horizon_ms, progress.keep);
        }
        let ModelStream { horizon_ms, keep, keys, .. } = known;
        let is_kept = |time_ms: i64| keep.iter().any(|&(from_ms, to_ms)| (from_ms..to_ms).contains(&time_ms));
        keys.retain(|_, time_ms| *time_ms >= *horizon_ms || is_kept(*time_ms));
        known.entities.retain(|number, _| !gone.contains(number));
        for (number, last) in seen {
            let stored = known.entities.entry(number).or_insert(last);
            if last.snapshot >= stored.snapshot {
                *stored = last;
            }
        }
        known.checkpoint_ms = progress.checkpoint_ms.or(known.checkpoint_ms);
        known.memory = memory;
        self.model.prune(now_ms);
        self.model.traces.extend(history.into_iter().map(|trace| Traced {
            stream: name(stream),
            stored_ms: now_ms,
            batch: number,
            trace,
        }));
        if let Some(batch) = batch {
            self.model.open.retain(|open| open.id != batch.id);
            self.model.past.push(batch.id);
        }
    }

    /// `start_again`: keys and checkpoint go, frames and numbers stay.
    async fn start_again(&mut self, lease: usize, stream: usize) {
        let Some(lease) = pick(&self.model.given, lease) else { return };
        let memory = self.model.serial().to_string();
        let reasons = if self.model.holds(&lease) { vec![] } else { vec![Reason::LeaseLost] };
        let result = self.store.start_again(&lease, &name(stream), &memory).await;
        if expect(result, &reasons).is_some() {
            let known = self.model.meet(stream);
            known.epoch += 1;
            known.checkpoint_ms = None;
            known.memory = memory;
            known.keys.clear();
            known.entities.clear();
            known.horizon_ms = i64::MIN;
            known.keep.clear();
        }
    }

    async fn attach(&mut self, output: &'static str, stream: usize, start: usize) {
        let from = start.checked_sub(3).map(|other| OUTPUTS[other]);
        let start = match (start, from) {
            (_, Some(other)) => StartAt::Output(other.to_owned()),
            (2, _) => StartAt::Oldest,
            _ => StartAt::Now,
        };
        let got = self.store.attach(output, &name(stream), &start).await.expect("attach");
        let now_ms = self.place.clock().now_ms();
        let position = self.model.attach(output, stream, &start, from, now_ms);
        assert_eq!(got, Attached { stream: name(stream), position });
    }

    /// `advance` or `bury`: positions, memory and letters move together or not at all.
    async fn advance(
        &mut self,
        lease: usize,
        output: &'static str,
        stream: usize,
        to: Position,
        memory: bool,
        refused: &[(usize, usize)],
    ) {
        let Some(lease) = pick(&self.model.given, lease) else { return };
        let memory = memory.then(|| self.model.serial().to_string());
        let mut reasons = Vec::new();
        if !self.model.holds(&lease) {
            reasons.push(Reason::LeaseLost);
        }
        let last_batch = self.model.streams.get(&stream).map_or(0, |known| known.last_batch);
        let old = self.model.outputs.get(output).and_then(|known| known.positions.get(&stream)).copied();
        if old.is_none() || to.batch > last_batch {
            reasons.push(Reason::Broken);
        }
        let letters = self.model.refusals(stream, to, refused);
        let refusals: Vec<Refusal> = letters
            .iter()
            .map(|(_, position, line, _)| Refusal {
                stream: name(stream),
                position: *position,
                line: *line,
                reason: "no".to_owned(),
            })
            .collect();
        let positions = [(name(stream), to)];
        let result = if refusals.is_empty() {
            self.store.advance(&lease, output, &positions, memory.as_deref()).await
        } else {
            self.store.bury(&lease, output, &positions, memory.as_deref(), &refusals).await.map(drop)
        };
        if expect(result, &reasons).is_some() {
            for letter in letters.into_iter().filter(|(_, position, ..)| Some(*position) > old) {
                let serial = self.model.serial();
                let known = self.model.outputs.get_mut(output).expect("attached");
                if !known.letters.values().any(|kept| *kept == letter) {
                    known.letters.insert(serial, letter);
                }
            }
            let known = self.model.outputs.get_mut(output).expect("attached");
            let position = known.positions.get_mut(&stream).expect("attached");
            *position = to.max(*position);
            known.memory = memory.or(known.memory.take());
            known.used_ms = self.place.clock().now_ms();
        }
    }

    /// `replay`: all letters as one batch, of which only the size on disk is the store's own affair.
    async fn replay(&mut self, output: usize) {
        let before = self.store.bytes().await.expect("bytes");
        let events = self.store.replay(OUTPUTS[output]).await.expect("replay");
        let octets = self.store.bytes().await.expect("bytes") - before;
        assert_eq!(events, self.model.replay(OUTPUTS[output], STREAMS + output, octets, self.place.clock().now_ms()));
    }

    /// `collect`: exactly what all known outputs have passed.
    async fn collect(&mut self, outputs: &[usize]) {
        let configured: BTreeSet<&str> = outputs.iter().map(|output| OUTPUTS[*output]).collect();
        let names: Vec<String> = configured.iter().map(ToString::to_string).collect();
        let got = self.store.collect(&names).await.expect("collect");
        if names.is_empty() {
            assert_eq!(got, 0);
        } else {
            self.model.mark(&configured, self.place.clock().now_ms());
            assert_eq!(got, self.model.free());
        }
    }

    /// Everything that anybody can see.
    async fn compare(&self) {
        let expected: Vec<(StreamKey, StreamState)> = self
            .model
            .met
            .iter()
            .filter(|stream| **stream < STREAMS)
            .map(|stream| {
                let known = &self.model.streams[stream];
                let state = StreamState {
                    epoch: known.epoch,
                    checkpoint_ms: known.checkpoint_ms,
                    memory: known.memory.clone(),
                    last_batch: known.last_batch,
                };
                (name(*stream), state)
            })
            .collect();
        assert_eq!(self.store.streams().await.expect("streams"), expected);

        let question: Vec<VersionKey> = (0..KEYS).map(key).collect();
        for (stream, known) in &self.model.streams {
            let expected: Vec<bool> = (0..KEYS).map(|number| known.keys.contains_key(&number)).collect();
            assert_eq!(self.store.known(&name(*stream), &question).await.expect("known"), expected);

            let question: Vec<EntityKey> = (0..ENTITIES).map(entity).collect();
            let expected: Vec<_> = (0..ENTITIES).map(|number| known.entities.get(&number).copied()).collect();
            assert_eq!(self.store.last_seen(&name(*stream), &question).await.expect("last seen"), expected);
            let since = known.entities.values().map(|last| last.snapshot).max().unwrap_or_default();
            let absent: BTreeSet<String> = known
                .entities
                .iter()
                .filter(|(_, last)| last.snapshot < since)
                .map(|(number, _)| id_of(*number))
                .collect();
            let counted = self.store.count_absent(&name(*stream), since).await.expect("count");
            assert_eq!(counted, (absent.len() as u64, known.entities.len() as u64));
            let named = self.store.absent(&name(*stream), since, u32::MAX).await.expect("absent");
            assert_eq!(named.into_iter().map(|(_, id)| id).collect::<BTreeSet<_>>(), absent);

            let seen = all_frames(&*self.store, &name(*stream)).await;
            let seen: Vec<_> =
                seen.iter().map(|seen| (seen.position, seen.events, String::from_utf8_lossy(&seen.body))).collect();
            let expected: Vec<_> = known
                .frames
                .iter()
                .map(|((batch, seq), (frame, _, _))| {
                    (at(*batch, *seq), frame.events, String::from_utf8_lossy(&frame.body))
                })
                .collect();
            assert_eq!(seen, expected);
        }

        for number in 0..ENTITIES {
            let traces = self.model.traces.iter().rev().filter(|traced| traced.trace.id == id_of(number));
            let expected: Vec<Traced> = traces.cloned().collect();
            assert_eq!(self.store.history(&id_of(number), u32::MAX).await.expect("history"), expected);
        }
        assert_eq!(self.store.bytes().await.expect("bytes"), self.model.bytes());
        assert_eq!(self.store.live_bytes().await.expect("live"), self.model.live_bytes());

        let expected: Vec<OutputState> =
            self.model.outputs.keys().map(|output| self.model.output_state(output)).collect();
        assert_eq!(self.store.outputs().await.expect("outputs"), expected);
        assert_eq!(self.store.removed().await.expect("removed"), self.model.removed());
        for output in OUTPUTS {
            let memory = self.model.outputs.get(output).and_then(|known| known.memory.clone());
            assert_eq!(self.store.output_memory(output).await.expect("memory"), memory);
            assert_eq!(self.store.depth(output).await.expect("depth"), self.model.depth(output));
            let letters = self.store.dead_letters(output, 0, usize::MAX).await.expect("letters");
            let letters: Vec<_> = letters
                .into_iter()
                .map(|letter| {
                    (letter.stream, letter.position, letter.line, String::from_utf8_lossy(&letter.record).into_owned())
                })
                .collect();
            assert_eq!(letters, self.model.letters(output));
        }
    }
}

/// Runs one sequence in an empty place; panics at the first difference.
async fn run(place: &mut impl Place, sequence: Vec<Call>) {
    place.renew();
    let store = place.open().await;
    let mut run = Run { place, store, model: Model::default() };
    for call in sequence {
        run.call(call).await;
        run.compare().await;
    }
    run.store.close().await.expect("close");
}

/// Draws sequences, and makes the first one that fails as short as it gets.
///
/// The seed is fixed, so a failure comes again; `MODEL_SEED` and `MODEL_CASES` in the environment look further.
async fn search(place: &mut impl Place, cases: u64, fits: fn(&Call) -> bool) {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = given("MODEL_SEED").unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = vec(calls().prop_filter("calls that this store promises", fits), 1..100);
    for case in 0..given("MODEL_CASES").unwrap_or(cases) {
        let mut tree = strategy.new_tree(&mut runner).expect("most calls fit");
        if AssertUnwindSafe(run(place, tree.current())).catch_unwind().await.is_ok() {
            continue;
        }
        let mut shortest = tree.current();
        let mut on = tree.simplify();
        while on {
            let failed = AssertUnwindSafe(run(place, tree.current())).catch_unwind().await.is_err();
            on = if failed {
                shortest = tree.current();
                tree.simplify()
            } else {
                tree.complicate()
            };
        }
        println!("seed {seed}, case {case}:");
        shortest.iter().for_each(|call| println!("  {call:?}"));
        run(place, shortest).await;
        panic!("case {case} of seed {seed} fails only now and then");
    }
}

pub(in crate::store) async fn any_sequence_of_calls_behaves_as_the_model_says(place: &mut impl Place) {
    search(place, 60, |call| !matches!(call, Call::Kill | Call::Close)).await;
}

pub(in crate::store) async fn any_sequence_of_calls_and_kills_behaves_as_the_model_says(place: &mut impl Place) {
    search(place, 25, |_| true).await;
}
