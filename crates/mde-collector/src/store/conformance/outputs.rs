//! Outputs that are gone from the configuration, and outputs that may lose events.

use super::*;
use crate::store::{Depth, Jump, OutputState, REMOVED_KEPT};

/// Long enough for every removed output to be let go. Unit: milliseconds.
const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;

/// What the store tells of one output.
async fn state(store: &dyn Store, output: &str) -> Option<OutputState> {
    store.outputs().await.expect("outputs").into_iter().find(|state| state.name == output)
}

/// How many events wait for it.
async fn waiting(store: &dyn Store, output: &str) -> u64 {
    store.depth(output).await.expect("depth").events
}

/// What configured outputs need, and what is on disk beside it.
async fn live_and_rest(store: &dyn Store) -> (u64, u64) {
    let (live, all) = (store.live_bytes().await.expect("live"), store.bytes().await.expect("bytes"));
    (live, all - live)
}

/// Names of the outputs that were let go, and the events that they have lost.
async fn let_go(store: &dyn Store, max_bytes: u64) -> Vec<(String, u64)> {
    let gone = store.let_go(max_bytes).await.expect("let go");
    gone.into_iter().map(|removed| (removed.output, removed.depth.events)).collect()
}

/// Lets outputs jump, and gives the events that each has lost.
async fn jump(store: &dyn Store, optional: &[&str], bytes: u64) -> Vec<(String, u64)> {
    let optional: Vec<String> = optional.iter().map(ToString::to_string).collect();
    let jumps = store.jump(&optional, bytes).await.expect("jump");
    jumps.into_iter().map(|Jump { output, events }| (output, events)).collect()
}

pub(in crate::store) async fn what_a_removed_output_needs_is_kept_and_told_apart(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for (output, stream) in [("here", &alerts), ("old", &alerts), ("old", &machines)] {
        attach(&*store, output, stream, StartAt::Oldest).await;
    }
    for number in 0..4 {
        put(&*store, &alerts, &[frame(&format!("a{number}"), 1), frame("b", 1)], Vec::new(), Progress::default())
            .await
            .expect("commit");
    }
    put_frame(&*store, &machines, frame("m", 5)).await;
    let all = store.bytes().await.expect("bytes");
    assert_eq!(live_and_rest(&*store).await, (all, 0), "both are configured");

    place.clock().advance(10);
    assert_eq!(collect(&*store, &["here"]).await, 0);
    let removed = state(&*store, "old").await.expect("known");
    assert_eq!(
        (removed.used_ms, removed.removed_ms),
        (Some(place.clock().now_ms() - 10), Some(place.clock().now_ms()))
    );
    assert_eq!((removed.depth.events, removed.lost_events), (13, 0));
    assert_eq!(state(&*store, "here").await.expect("known").removed_ms, None);
    // Nobody else takes the second stream, and the first one is needed by the output that is still here.
    let (live, rest) = live_and_rest(&*store).await;
    assert!(rest > 0 && live > rest, "{live} {rest}");

    // In the middle of a batch.
    advance(&*store, "here", &alerts, at(3, 0)).await;
    let (smaller, larger) = live_and_rest(&*store).await;
    assert!(smaller < live && smaller + larger == all, "{smaller} {larger} {all}");
    assert_eq!(collect(&*store, &["here"]).await, 0, "all of it waits for the removed one");
    advance(&*store, "here", &alerts, at(4, 1)).await;
    assert_eq!(live_and_rest(&*store).await, (0, all));

    let lease = lease(&*store, &machines).await;
    fill(&*store, &lease, &machines, &[frame("open", 1)]).await;
    assert!(store.live_bytes().await.expect("live") > 0, "a batch that nobody sees yet is on its way to somebody");
    // Removed is not gone: it may still be drained.
    advance(&*store, "old", &alerts, at(4, 1)).await;
    assert!(collect(&*store, &["here"]).await > 0);
    assert_eq!(waiting(&*store, "old").await, 5);
}

pub(in crate::store) async fn an_output_that_comes_back_goes_on_where_it_stood(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    for output in ["here", "old"] {
        attach(&*store, output, &alerts, StartAt::Oldest).await;
    }
    for _ in 0..3 {
        put_frame(&*store, &alerts, frame("a", 1)).await;
    }
    advance(&*store, "old", &alerts, at(1, 0)).await;
    advance(&*store, "here", &alerts, at(3, 0)).await;
    collect(&*store, &["here"]).await;
    place.clock().advance(WEEK_MS - 1);
    assert_eq!(let_go(&*store, u64::MAX).await, [], "its time is not over");

    assert_eq!(attach(&*store, "old", &alerts, StartAt::Now).await, at(1, 0));
    assert_eq!(state(&*store, "old").await.expect("known").removed_ms, None);
    place.clock().advance(WEEK_MS);
    collect(&*store, &["here", "old"]).await;
    assert_eq!(let_go(&*store, 0).await, [], "it is configured");
    let (live, rest) = live_and_rest(&*store).await;
    assert!(live > 0 && rest == 0, "{live} {rest}");
    // Gone once more, its time begins anew.
    collect(&*store, &["here"]).await;
    place.clock().advance(WEEK_MS - 1);
    assert_eq!(let_go(&*store, u64::MAX).await, []);
    place.clock().advance(1);
    assert_eq!(let_go(&*store, u64::MAX).await, [("old".to_owned(), 2)]);
}

pub(in crate::store) async fn a_removed_output_is_let_go_when_its_time_is_over(place: &mut impl Place) {
    let store = place.open().await;
    assert_eq!(REMOVED_KEPT.as_millis(), WEEK_MS.unsigned_abs().into());
    let alerts = stream("alerts");
    for output in ["here", "old", "older"] {
        attach(&*store, output, &alerts, StartAt::Oldest).await;
    }
    put_frame(&*store, &alerts, frame("a", 7)).await;
    advance(&*store, "here", &alerts, at(1, 0)).await;
    collect(&*store, &["here", "old"]).await;
    place.clock().advance(1_000);
    collect(&*store, &["here"]).await;
    place.clock().advance(WEEK_MS - 1_000);
    assert_eq!(let_go(&*store, u64::MAX).await, [("older".to_owned(), 7)]);
    assert_eq!(state(&*store, "older").await, None);
    assert!(store.bytes().await.expect("bytes") > 0, "the other one still waits");
    place.clock().advance(1_000);
    assert_eq!(let_go(&*store, u64::MAX).await, [("old".to_owned(), 7)]);
    assert_eq!(store.bytes().await.expect("bytes"), 0, "what only they needed is freed");
    assert_eq!(attach(&*store, "old", &alerts, StartAt::Now).await, Position::after_batch(1), "as if it were new");
}

pub(in crate::store) async fn removed_outputs_beyond_their_bound_are_let_go_oldest_first(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for (output, stream) in [("here", &alerts), ("b", &alerts), ("a", &machines), ("c", &machines)] {
        attach(&*store, output, stream, StartAt::Oldest).await;
    }
    put_frame(&*store, &alerts, frame("first", 2)).await;
    put_frame(&*store, &machines, frame("second", 3)).await;
    // What configured outputs need does not count, however much it is.
    put_frame(&*store, &alerts, frame("live", 1_000)).await;
    advance(&*store, "here", &alerts, at(1, 0)).await;
    for configured in [&["here", "a", "c"][..], &["here", "c"], &["here"]] {
        place.clock().advance(10);
        collect(&*store, configured).await;
    }
    let (live, rest) = live_and_rest(&*store).await;
    assert_eq!(let_go(&*store, rest).await, []);
    assert_eq!(let_go(&*store, rest - 1).await, [("b".to_owned(), 1_002)]);
    // The next two hold the same frames: it needs both to go.
    assert_eq!(let_go(&*store, 0).await, [("a".to_owned(), 3), ("c".to_owned(), 3)]);
    assert_eq!(live_and_rest(&*store).await, (live, 0));
    assert_eq!(waiting(&*store, "here").await, 1_000);
}

pub(in crate::store) async fn dropping_an_output_frees_what_only_it_needed(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    for output in ["here", "old"] {
        attach(&*store, output, &alerts, StartAt::Oldest).await;
    }
    for _ in 0..3 {
        put_frame(&*store, &alerts, frame("a", 2)).await;
    }
    advance(&*store, "here", &alerts, at(2, 0)).await;
    let lease = output_lease(&*store, "old").await;
    store.advance(&lease, "old", &[], Some("a.ndjson 20")).await.expect("advance");
    assert_eq!(store.drop_output("unmet").await.expect("drop"), None);
    let dropped = store.drop_output("old").await.expect("drop").expect("known");
    assert_eq!((&*dropped.name, dropped.depth.events, dropped.memory.as_deref()), ("old", 6, Some("a.ndjson 20")));
    assert_eq!(places(&*store, &alerts).await, [(3, 0)]);
    assert_eq!(store.outputs().await.expect("outputs").len(), 1);
    assert_eq!(store.output_memory("old").await.expect("memory"), None);
    let error = store.advance(&lease, "old", &[(alerts, at(3, 0))], None).await.expect_err("nobody knows it");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
}

pub(in crate::store) async fn the_last_output_that_goes_takes_nothing_with_it(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "only", &alerts, StartAt::Oldest).await;
    put_frame(&*store, &alerts, frame("a", 2)).await;
    store.drop_output("only").await.expect("drop").expect("known");
    store.let_go(0).await.expect("let go");
    // The one that replaces it may want to begin there.
    assert_eq!(places(&*store, &alerts).await, [(1, 0)]);
    attach(&*store, "next", &alerts, StartAt::Oldest).await;
    assert_eq!(waiting(&*store, "next").await, 2);
}

pub(in crate::store) async fn a_renamed_output_leaves_nothing_behind(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for stream in [&alerts, &machines] {
        attach(&*store, "old", stream, StartAt::Oldest).await;
        for _ in 0..3 {
            put_frame(&*store, stream, frame("a", 2)).await;
        }
    }
    advance(&*store, "old", &alerts, at(1, 0)).await;
    let from_old = StartAt::Output("old".to_owned());
    assert_eq!(attach(&*store, "new", &alerts, from_old.clone()).await, at(1, 0));
    // Another output collects while the new one is still being attached.
    collect(&*store, &["new"]).await;
    assert_eq!(waiting(&*store, "old").await, 6, "what nobody has taken over is kept");
    assert_eq!(attach(&*store, "new", &machines, from_old).await, Position::START);
    collect(&*store, &["new"]).await;
    assert_eq!(state(&*store, "old").await, None);
    assert_eq!(waiting(&*store, "new").await, 10);
    for stream in [&alerts, &machines] {
        advance(&*store, "new", stream, at(3, 0)).await;
    }
    collect(&*store, &["new"]).await;
    assert_eq!(store.bytes().await.expect("bytes"), 0, "nothing is kept for the old name");
}

pub(in crate::store) async fn a_copied_output_leaves_the_other_as_it_is(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "old", &alerts, StartAt::Oldest).await;
    put_frame(&*store, &alerts, frame("a", 2)).await;
    attach(&*store, "new", &alerts, StartAt::Output("old".to_owned())).await;
    collect(&*store, &["new", "old"]).await;
    advance(&*store, "new", &alerts, at(1, 0)).await;
    // It goes later, and for itself: what the other has delivered, it has delivered elsewhere.
    collect(&*store, &["new"]).await;
    assert_eq!(waiting(&*store, "old").await, 2);
}

pub(in crate::store) async fn an_optional_output_jumps_over_what_nobody_else_needs(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for (output, stream) in [("firm", &alerts), ("loose", &alerts), ("loose", &machines)] {
        attach(&*store, output, stream, StartAt::Oldest).await;
    }
    let two = [frame("a", 1), frame("b", 10)];
    for stream in [&alerts, &alerts, &machines] {
        put(&*store, stream, &two, Vec::new(), Progress::default()).await.expect("commit");
    }
    advance(&*store, "loose", &alerts, at(1, 0)).await;
    advance(&*store, "firm", &alerts, at(2, 0)).await;
    // Batch 2 is not passed by the firm one as a whole; of batch 1 the loose one has had the first frame.
    assert_eq!(jump(&*store, &["loose"], u64::MAX).await, [("loose".to_owned(), 21)]);
    assert_eq!(places(&*store, &alerts).await, [(2, 0), (2, 1)]);
    assert_eq!(places(&*store, &machines).await, []);
    let state = state(&*store, "loose").await.expect("known");
    assert_eq!((state.lost_events, state.depth.events), (21, 11));
    assert_eq!(jump(&*store, &["loose"], u64::MAX).await, []);
    // A late confirmation of what was jumped over meanwhile.
    advance(&*store, "loose", &alerts, at(1, 1)).await;
    assert_eq!(waiting(&*store, "loose").await, 11);
    advance(&*store, "firm", &alerts, at(2, 1)).await;
    assert_eq!(jump(&*store, &["loose"], 1).await, [("loose".to_owned(), 11)]);
    assert_eq!(self::state(&*store, "loose").await.expect("known").lost_events, 32);
    assert_eq!(store.bytes().await.expect("bytes"), 0);
}

pub(in crate::store) async fn a_jump_takes_the_oldest_first_and_no_more_than_it_must(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for stream in [&alerts, &machines] {
        for output in ["one", "two"] {
            attach(&*store, output, stream, StartAt::Oldest).await;
        }
    }
    for round in 0..4_u32 {
        for stream in [&machines, &alerts] {
            place.clock().advance(1);
            put_frame(&*store, stream, frame("a", 10 + round)).await;
        }
    }
    advance(&*store, "two", &machines, at(1, 0)).await;
    let full = store.live_bytes().await.expect("live");
    let eighth = full / 8;
    // A batch and a half: two, and the second output has the first of them behind it.
    let lost = jump(&*store, &["one", "two"], eighth * 3 / 2).await;
    assert_eq!(lost, [("one".to_owned(), 20), ("two".to_owned(), 10)]);
    assert_eq!(places(&*store, &machines).await, [(2, 0), (3, 0), (4, 0)]);
    assert_eq!(places(&*store, &alerts).await, [(2, 0), (3, 0), (4, 0)]);
    assert!(full - store.live_bytes().await.expect("live") >= eighth * 3 / 2);
    assert_eq!(jump(&*store, &["one", "two"], 0).await, []);
    assert_eq!(jump(&*store, &[], u64::MAX).await, []);
    assert_eq!(jump(&*store, &["unmet"], u64::MAX).await, []);
}

pub(in crate::store) async fn a_jump_frees_nothing_that_another_output_needs(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    for output in ["firm", "loose", "old"] {
        attach(&*store, output, &alerts, StartAt::Oldest).await;
    }
    for _ in 0..2 {
        put_frame(&*store, &alerts, frame("a", 2)).await;
    }
    assert_eq!(jump(&*store, &["loose"], u64::MAX).await, [], "it would lose events and free nothing");
    assert_eq!(waiting(&*store, "loose").await, 4);
    advance(&*store, "firm", &alerts, at(2, 0)).await;
    assert_eq!(jump(&*store, &["loose"], u64::MAX).await, [], "nor while the third one needs them");

    // A removed one has a bound of its own: for it nobody pauses, and it keeps what the other has jumped over.
    collect(&*store, &["firm", "loose"]).await;
    assert_eq!(jump(&*store, &["loose"], u64::MAX).await, [("loose".to_owned(), 4)]);
    assert_eq!(store.live_bytes().await.expect("live"), 0);
    assert_eq!(store.depth("loose").await.expect("depth"), Depth::default());
    assert_eq!(waiting(&*store, "old").await, 4);
    assert_eq!(places(&*store, &alerts).await, [(1, 0), (2, 0)]);
}
