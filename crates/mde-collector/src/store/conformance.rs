//! The suite that every store must pass.
//!
//! A store brings a [`Place`]: how it is opened, how its process dies, how large it is on disk. `every_store!` makes one
//! test of each claim; `every_lasting_store!` adds those about what survives. A store in memory leaves the second list
//! out, because it promises nothing beyond its own life.

pub(super) mod cancel;
pub(super) mod counts;
pub(super) mod entities;
pub(super) mod gone;
pub(super) mod history;
pub(super) mod keys;
pub(super) mod leases;
pub(super) mod left;
pub(super) mod letters;
pub(super) mod model;
pub(super) mod outbox;
pub(super) mod outputs;
pub(super) mod passages;
pub(super) mod positions;
pub(super) mod progress;

use super::{BatchCount, BatchId, Commit, Lease, Progress, Seen, StartAt, Store, StoreError, WallClock};
use crate::record::{BatchHead, EntityKey, Frame, Position, StoredFrame, StoredKey, StreamKey, VersionKey};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Where a store lives.
#[async_trait]
pub(super) trait Place: Send {
    /// Opens the store that is here.
    async fn open(&mut self) -> Arc<dyn Store>;

    /// The process dies at this very moment: the next `open` finds what was on disk, and nobody has closed anything.
    async fn kill(&mut self, store: Arc<dyn Store>);

    /// Moves on to an empty place.
    fn renew(&mut self);

    /// The clock that the store was given.
    fn clock(&self) -> &TestClock;

    /// How much the store that was opened last occupies on disk. Unit: octets.
    fn octets(&self) -> u64;
}

/// A clock that stands until it is moved.
#[derive(Clone, Default)]
pub(super) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// Lets time pass.
    pub(super) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Unit: milliseconds since 1970.
    pub(super) fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// As a store takes it.
    pub(super) fn wall(&self) -> WallClock {
        let clock = self.clone();
        Arc::new(move || clock.now_ms())
    }
}

/// One test per claim about any store.
macro_rules! every_store {
    ($place:expr) => {
        $crate::store::conformance::claims! { $place,
            outbox: a_batch_is_seen_whole_or_not_at_all,
            outbox: commits_in_the_other_order_leave_no_gap,
            outbox: a_batch_that_holds_something_else_than_counted_is_refused,
            outbox: a_discarded_batch_frees_its_octets_and_takes_no_more,
            outbox: a_batch_for_another_stream_is_refused,
            outbox: a_shown_batch_can_be_neither_filled_nor_shown_nor_discarded_again,
            outbox: a_batch_without_frames_takes_a_number_and_hides_nothing,
            outbox: reading_gives_at_least_one_frame_and_then_what_fits,
            outbox: every_batch_keeps_its_own_head,
            outbox: bodies_of_any_content_come_back_octet_for_octet,
            keys: a_key_stored_twice_is_refused_and_nothing_changes,
            keys: a_key_twice_in_one_commit_is_refused,
            keys: streams_do_not_share_keys,
            keys: known_answers_in_the_order_of_the_question,
            keys: keys_behind_the_horizon_are_forgotten_and_can_be_stored_again,
            keys: a_horizon_that_goes_back_brings_no_key_back,
            keys: keys_in_a_kept_span_stay_until_it_is_given_up,
            keys: a_span_that_comes_late_brings_no_key_back,
            keys: a_new_epoch_keeps_no_span,
            entities: an_entity_is_known_by_the_last_snapshot_that_showed_it,
            entities: the_number_of_a_snapshot_only_grows,
            entities: of_an_entity_twice_in_one_commit_the_later_counts,
            entities: what_is_gone_is_forgotten_unless_it_was_seen,
            entities: the_absent_are_counted_and_named_with_their_ids,
            entities: ids_of_any_content_come_back_as_they_were,
            entities: a_new_epoch_forgets_entities,
            entities: a_refused_commit_leaves_entities_as_they_were,
            counts: a_count_is_unknown_until_it_is_told,
            counts: those_tried_longest_ago_are_stale_first,
            counts: a_whole_reading_tells_what_it_shows_and_of_the_rest_what_silence_means,
            counts: counts_of_what_is_gone_are_forgotten,
            counts: any_sequence_of_wishes_and_answers_behaves_as_the_model_says,
            history: a_record_is_found_by_its_id_with_all_that_led_to_it,
            history: traces_of_any_content_come_back_as_they_were,
            history: a_refused_commit_leaves_no_trace,
            history: traces_go_after_thirty_days_a_few_with_each_commit,
            history: a_trace_from_the_far_future_keeps_no_other_one,
            passages: the_first_move_past_a_place_tells_when_and_how,
            passages: passages_move_with_a_renamed_output_and_go_with_a_dropped_one,
            passages: passages_go_after_thirty_days,
            passages: entities_are_found_by_their_id_in_the_present_epoch,
            passages: a_note_replaces_the_one_of_its_name,
            passages: somebody_is_at_work_while_a_lease_is_held,
            passages: a_replayed_letter_is_passed_in_a_stream_of_its_own,
            leases: a_lease_has_one_holder_until_it_ends,
            leases: a_renewed_lease_keeps_its_fence,
            leases: a_lease_given_back_is_free_at_once,
            leases: a_late_release_leaves_the_new_holder_alone,
            leases: a_stale_holder_changes_nothing,
            leases: a_batch_begun_before_the_lease_changed_hands_is_never_shown,
            leases: an_ended_lease_that_nobody_took_still_commits,
            progress: a_checkpoint_moves_back_only_when_told_to,
            progress: progress_needs_no_batch,
            progress: starting_again_keeps_unsent_events_and_numbers,
            progress: a_commit_of_an_ended_epoch_is_refused,
            progress: streams_are_listed_as_they_were_met,
            positions: positions_are_per_output_and_stream,
            positions: a_position_never_moves_back_and_never_past_what_is_stored,
            positions: memory_moves_with_the_positions_or_not_at_all,
            positions: collecting_waits_for_the_slowest,
            positions: collecting_frees_streams_that_no_output_takes,
            positions: collecting_without_outputs_removes_nothing,
            positions: a_new_output_starts_where_it_is_told,
            positions: a_stream_younger_than_its_output_is_sent_from_its_first_event,
            positions: depth_counts_what_is_not_confirmed,
            outputs: what_a_removed_output_needs_is_kept_and_told_apart,
            outputs: an_output_that_comes_back_goes_on_where_it_stood,
            outputs: a_removed_output_is_let_go_when_its_time_is_over,
            outputs: removed_outputs_beyond_their_bound_are_let_go_oldest_first,
            outputs: dropping_an_output_frees_what_only_it_needed,
            outputs: the_last_output_that_goes_takes_nothing_with_it,
            outputs: a_renamed_output_leaves_nothing_behind,
            outputs: a_copied_output_leaves_the_other_as_it_is,
            outputs: an_optional_output_jumps_over_what_nobody_else_needs,
            outputs: a_jump_takes_the_oldest_first_and_no_more_than_it_must,
            outputs: a_jump_frees_nothing_that_another_output_needs,
            left: what_an_output_has_left_holds_up_nobody_and_is_kept,
            left: a_stream_that_is_taken_again_goes_on_where_it_stood,
            left: what_was_let_go_is_not_sent_twice_when_it_is_taken_again,
            left: what_was_left_goes_by_age_and_beyond_the_bound_oldest_first,
            left: what_another_output_has_taken_over_is_not_kept,
            left: jumps_pass_over_what_was_left,
            letters: what_an_output_refuses_is_kept_with_the_positions_or_not_at_all,
            letters: a_letter_is_kept_once_and_outlives_its_frame,
            letters: letters_are_listed_oldest_first_within_a_bound,
            letters: letters_beyond_the_bound_count_as_lost,
            letters: a_replay_gives_each_letter_to_its_output_once,
            letters: a_replayed_event_can_be_refused_again,
            letters: a_dropped_output_takes_its_letters_with_it,
            letters: a_renamed_output_keeps_its_letters,
            cancel: a_cancelled_commit_is_whole_or_absent,
            cancel: a_cancelled_append_can_be_thrown_away,
            model: any_sequence_of_calls_behaves_as_the_model_says,
        }
    };
}

/// One test per claim about a store that outlives its process.
macro_rules! every_lasting_store {
    ($place:expr) => {
        $crate::store::conformance::claims! { $place,
            gone: a_closed_store_gives_everything_back,
            gone: a_killed_store_gives_everything_back,
            gone: a_dead_writers_batch_is_gone_with_its_octets,
            gone: fences_go_on_growing_after_a_kill,
            gone: forgotten_keys_leave_the_file,
            gone: ended_epochs_leave_the_file,
            gone: a_collected_backlog_leaves_the_file,
            model: any_sequence_of_calls_and_kills_behaves_as_the_model_says,
        }
    };
}

/// `room: claim` pairs to tests.
macro_rules! claims {
    ($place:expr, $($room:ident: $claim:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $claim() {
                $crate::store::conformance::$room::$claim(&mut $place).await;
            }
        )+
    };
}

pub(super) use {claims, every_lasting_store, every_store};

/// The node of most tests.
const NODE: &str = "node-1";

/// Longer than any test.
const TERM: Duration = Duration::from_secs(1_000_000);

/// A stream of the only tenant.
fn stream(service: &str) -> StreamKey {
    StreamKey { tenant: "acme".to_owned(), service: service.to_owned(), query: None }
}

/// A head that differs from others by its tag.
fn head(tag: &str) -> BatchHead {
    BatchHead { input: "acme".to_owned(), service: "alerts".to_owned(), tag: tag.to_owned(), pulled_ms: 7 }
}

/// A frame whose lines say who they are.
fn frame(name: &str, events: u32) -> Frame {
    let body = (0..events).map(|line| format!("{{\"name\":\"{name}\",\"line\":{line}}}\n")).collect::<String>();
    Frame { events, body: body.into_bytes() }
}

/// A key that lies somewhere among the others, as a hash does.
fn key(number: u64) -> VersionKey {
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    VersionKey(spread.to_be_bytes())
}

/// That key with a time.
fn stored_key(number: u64, time_ms: i64) -> StoredKey {
    StoredKey { key: key(number), time_ms }
}

/// An entity that lies somewhere among the others, as a hash does.
fn entity(number: u64) -> EntityKey {
    EntityKey(key(number).0)
}

/// Its id.
fn id_of(number: u64) -> String {
    format!("id {number}")
}

/// That entity as a snapshot shows it.
fn seen(number: u64, snapshot: u64, content: u8) -> Seen {
    Seen { key: entity(number), id: id_of(number), snapshot, content: [content; 16] }
}

/// What a writer counts of these frames.
fn count(id: BatchId, frames: &[Frame]) -> BatchCount {
    BatchCount {
        id,
        frames: u32::try_from(frames.len()).expect("few"),
        events: frames.iter().map(|frame| u64::from(frame.events)).sum(),
        bytes: frames.iter().map(|frame| frame.body.len() as u64).sum(),
    }
}

/// The lease of a stream for the only node.
async fn lease(store: &dyn Store, stream: &StreamKey) -> Lease {
    store.acquire(&format!("stream {stream}"), NODE, TERM).await.expect("acquire").expect("nobody else holds it")
}

/// Begins a batch and fills it.
async fn fill(store: &dyn Store, lease: &Lease, stream: &StreamKey, frames: &[Frame]) -> BatchId {
    let id = store.begin(lease, stream, &head("tag")).await.expect("begin");
    for frame in frames {
        store.append(id, frame).await.expect("append");
    }
    id
}

/// A batch from beginning to end, in the stream's present epoch.
async fn put(
    store: &dyn Store,
    stream: &StreamKey,
    frames: &[Frame],
    keys: Vec<StoredKey>,
    progress: Progress,
) -> Result<u64, StoreError> {
    let lease = lease(store, stream).await;
    let epoch = store.stream(stream).await?.epoch;
    let id = fill(store, &lease, stream, frames).await;
    let commit = Commit { epoch, batch: Some(count(id, frames)), keys, progress, ..Commit::default() };
    store.commit(&lease, stream, &commit).await.map(|number| number.expect("there was a batch"))
}

/// A batch of one frame without keys.
async fn put_frame(store: &dyn Store, stream: &StreamKey, frame: Frame) -> u64 {
    put(store, stream, &[frame], Vec::new(), Progress::default()).await.expect("commit")
}

/// Keys alone, with a horizon.
async fn put_keys(
    store: &dyn Store,
    stream: &StreamKey,
    keys: Vec<StoredKey>,
    forget_before_ms: Option<i64>,
) -> Result<(), StoreError> {
    let lease = lease(store, stream).await;
    let epoch = store.stream(stream).await?.epoch;
    let commit = Commit {
        epoch,
        batch: None,
        keys,
        progress: Progress { forget_before_ms, ..Progress::default() },
        ..Commit::default()
    };
    store.commit(&lease, stream, &commit).await.map(drop)
}

/// Entities alone.
async fn put_entities(store: &dyn Store, stream: &StreamKey, seen: Vec<Seen>, gone: Vec<EntityKey>) {
    let lease = lease(store, stream).await;
    let epoch = store.stream(stream).await.expect("stream").epoch;
    store.commit(&lease, stream, &Commit { epoch, seen, gone, ..Commit::default() }).await.expect("commit");
}

/// Everything visible.
async fn all_frames(store: &dyn Store, stream: &StreamKey) -> Vec<StoredFrame> {
    store.read(stream, Position::START, usize::MAX).await.expect("read")
}

/// Where visible frames stand, as (batch, frame).
async fn places(store: &dyn Store, stream: &StreamKey) -> Vec<(u64, u32)> {
    let frames = all_frames(store, stream).await;
    frames.iter().map(|frame| (frame.position.batch, frame.position.frame)).collect()
}

/// A position.
fn at(batch: u64, frame: u32) -> Position {
    Position { batch, frame }
}

/// The lease under which an output is worked.
async fn output_lease(store: &dyn Store, output: &str) -> Lease {
    store.acquire(&format!("output {output}"), NODE, TERM).await.expect("acquire").expect("free")
}

/// Attaches, and says where the output stands.
async fn attach(store: &dyn Store, output: &str, stream: &StreamKey, start: StartAt) -> Position {
    store.attach(output, stream, &start).await.expect("attach").position
}

/// One stream's position moves.
async fn advance(store: &dyn Store, output: &str, stream: &StreamKey, position: Position) {
    let lease = output_lease(store, output).await;
    store.advance(&lease, output, &[(stream.clone(), position)], None).await.expect("advance");
}

/// Removes what everybody has passed, under a configuration with these outputs.
async fn collect(store: &dyn Store, outputs: &[&str]) -> u64 {
    let outputs: Vec<String> = outputs.iter().map(ToString::to_string).collect();
    store.collect(&outputs).await.expect("collect")
}
