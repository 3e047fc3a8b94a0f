//! What can be called, and how sequences of it are drawn. Where an output works on stream number `STREAMS`, it is the one
//! in which it gets its dead letters again.

use super::{ENTITIES, KEYS, OUTPUTS, OWNERS, STREAMS};
use proptest::collection::vec;
use proptest::prelude::*;

/// One call. Numbers that choose among things are taken modulo how many there are.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Wait(i64),
    Acquire {
        stream: usize,
        owner: usize,
    },
    Release {
        lease: usize,
    },
    Begin {
        lease: usize,
        stream: usize,
    },
    Append {
        batch: usize,
        events: u32,
    },
    Discard {
        batch: usize,
    },
    Commit {
        lease: usize,
        stream: usize,
        batch: Option<usize>,
        epoch: u64,
        wrong_count: bool,
        keys: Vec<(u64, i64)>,
        /// Entities, and how far the snapshot lies behind the newest number drawn so far.
        seen: Vec<(u64, u64)>,
        gone: Vec<u64>,
        traced: Vec<u64>,
        progress: Move,
    },
    StartAgain {
        lease: usize,
        stream: usize,
    },
    Attach {
        output: usize,
        stream: usize,
        start: usize,
    },
    Leave {
        output: usize,
        stream: usize,
    },
    Advance {
        lease: usize,
        output: usize,
        stream: usize,
        batch: u64,
        frame: u32,
        memory: bool,
        /// Frames among those that are passed, and lines in them.
        refused: Vec<(usize, usize)>,
    },
    Replay {
        output: usize,
    },
    Collect {
        outputs: Vec<usize>,
    },
    LetGo {
        max_bytes: u64,
    },
    Drop {
        output: usize,
    },
    Jump {
        outputs: Vec<usize>,
        bytes: u64,
    },
    /// So much that removed outputs may be let go.
    WaitDays(i64),
    Kill,
    Close,
}

/// What a commit does to its stream.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) checkpoint_ms: Option<i64>,
    pub(super) backwards: bool,
    pub(super) forget_before_ms: Option<i64>,
    pub(super) keep: Vec<(i64, i64)>,
}

/// Calls in the proportion in which they get far: most commits meet an open batch and a lease that is held.
pub(super) fn calls() -> impl Strategy<Value = Call> {
    let any_index = 0..64_usize;
    let stream = 0..STREAMS;
    // The newest lease most of the time, any old one now and then.
    let lease = prop_oneof![6 => Just(0_usize), 1 => 0..8_usize];
    let spans = vec((0..60_i64, 0..20_i64).prop_map(|(from_ms, length_ms)| (from_ms, from_ms + length_ms)), 0..3);
    let forget = (prop::option::weighted(0.4, 0..60_i64), spans);
    let progress = (prop::option::of(0..60_i64), prop::bool::weighted(0.2), forget).prop_map(
        |(checkpoint_ms, backwards, (forget_before_ms, keep))| Move {
            checkpoint_ms,
            backwards,
            forget_before_ms,
            keep,
        },
    );
    let epoch_behind = prop_oneof![8 => Just(0_u64), 1 => 1..3_u64];
    prop_oneof![
        1 => (1..40_i64).prop_map(Call::Wait),
        4 => (stream.clone(), 0..OWNERS.len()).prop_map(|(stream, owner)| Call::Acquire { stream, owner }),
        1 => lease.clone().prop_map(|lease| Call::Release { lease }),
        5 => (lease.clone(), stream.clone()).prop_map(|(lease, stream)| Call::Begin { lease, stream }),
        6 => (any_index.clone(), 1..4_u32).prop_map(|(batch, events)| Call::Append { batch, events }),
        1 => any_index.clone().prop_map(|batch| Call::Discard { batch }),
        9 => (
            (lease.clone(), stream.clone(), prop::option::weighted(0.8, any_index.clone()), epoch_behind),
            prop::bool::weighted(0.1),
            vec((0..KEYS, 0..60_i64), 0..3),
            (vec((0..ENTITIES, 0..3_u64), 0..4), vec(0..ENTITIES, 0..2), vec(0..ENTITIES, 0..2)),
            progress,
        )
            .prop_map(|((lease, stream, batch, epoch), wrong_count, keys, (seen, gone, traced), progress)| Call::Commit {
                lease, stream, batch, epoch, wrong_count, keys, seen, gone, traced, progress,
            }),
        1 => (lease.clone(), stream.clone()).prop_map(|(lease, stream)| Call::StartAgain { lease, stream }),
        4 => (0..OUTPUTS.len(), 0..=STREAMS, 0..5_usize)
            .prop_map(|(output, stream, start)| Call::Attach { output, stream, start }),
        2 => (0..OUTPUTS.len(), stream).prop_map(|(output, stream)| Call::Leave { output, stream }),
        6 => (
            (lease, 0..OUTPUTS.len(), 0..=STREAMS, 0..6_u64, 0..3_u32, any::<bool>()),
            vec((any_index.clone(), any_index), 0..3),
        )
            .prop_map(|((lease, output, stream, batch, frame, memory), refused)| Call::Advance {
                lease, output, stream, batch, frame: if frame == 2 { u32::MAX } else { frame }, memory, refused,
            }),
        2 => (0..OUTPUTS.len()).prop_map(|output| Call::Replay { output }),
        4 => vec(0..OUTPUTS.len(), 0..4).prop_map(|outputs| Call::Collect { outputs }),
        1 => (0..300_u64).prop_map(|max_bytes| Call::LetGo { max_bytes }),
        1 => (0..OUTPUTS.len()).prop_map(|output| Call::Drop { output }),
        2 => (vec(0..OUTPUTS.len(), 0..3), 0..400_u64).prop_map(|(outputs, bytes)| Call::Jump { outputs, bytes }),
        1 => (1..5_i64).prop_map(Call::WaitDays),
        1 => Just(Call::Kill),
        1 => Just(Call::Close),
    ]
}
