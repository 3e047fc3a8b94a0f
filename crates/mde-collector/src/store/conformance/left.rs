//! Streams that an output takes no more while it stays configured.

use super::*;
use crate::store::{Depth, REMOVED_KEPT, Removed};

/// How long what was left is kept. Unit: milliseconds.
fn kept_ms() -> i64 {
    crate::record::ms(REMOVED_KEPT)
}

/// Two outputs in both streams from the first event on, and three events in each stream.
async fn furnish(store: &dyn Store) -> (StreamKey, StreamKey) {
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for stream in [&alerts, &machines] {
        for output in ["one", "two"] {
            attach(store, output, stream, StartAt::Oldest).await;
        }
        for _ in 0..3 {
            put_frame(store, stream, frame("a", 1)).await;
        }
    }
    (alerts, machines)
}

/// The output takes the stream no more.
async fn leave(store: &dyn Store, output: &str, stream: &StreamKey) {
    store.leave(output, std::slice::from_ref(stream)).await.expect("leave");
}

/// What is removed: output, stream, events.
fn told(removed: Vec<Removed>) -> Vec<(String, Option<StreamKey>, u64)> {
    removed.into_iter().map(|removed| (removed.output, removed.stream, removed.depth.events)).collect()
}

/// What the store tells of it.
async fn removed(store: &dyn Store) -> Vec<(String, Option<StreamKey>, u64)> {
    told(store.removed().await.expect("removed"))
}

/// What it lets go.
async fn let_go(store: &dyn Store, max_bytes: u64) -> Vec<(String, Option<StreamKey>, u64)> {
    told(store.let_go(max_bytes).await.expect("let go"))
}

/// Events that wait for an output.
async fn waiting(store: &dyn Store, output: &str) -> u64 {
    store.depth(output).await.expect("depth").events
}

pub(in crate::store) async fn what_an_output_has_left_holds_up_nobody_and_is_kept(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = furnish(&*store).await;
    advance(&*store, "one", &alerts, at(1, 0)).await;
    advance(&*store, "two", &alerts, at(3, 0)).await;
    let full = store.live_bytes().await.expect("live");
    leave(&*store, "one", &alerts).await;
    leave(&*store, "one", &stream("unmet")).await;
    leave(&*store, "unmet", &alerts).await;

    let since_ms = place.clock().now_ms();
    place.clock().advance(10);
    leave(&*store, "one", &alerts).await;
    let [known] = &store.removed().await.expect("removed")[..] else { panic!("one place was left") };
    assert_eq!((&*known.output, known.stream.as_ref(), known.removed_ms), ("one", Some(&alerts), since_ms));
    assert_eq!((known.depth.events, known.depth.oldest_ms.is_some()), (2, true));
    assert_eq!((waiting(&*store, "one").await, waiting(&*store, "two").await), (3, 3), "the other stream is taken");
    let live = store.live_bytes().await.expect("live");
    assert!(live < full, "pulling does not wait for what was left: {live} of {full}");
    assert!(collect(&*store, &["one", "two"]).await > 0, "what both have passed goes");
    assert_eq!(places(&*store, &alerts).await, [(2, 0), (3, 0)], "the rest is kept");
    assert_eq!(store.outputs().await.expect("outputs").iter().filter_map(|state| state.removed_ms).count(), 0);
    assert_eq!(places(&*store, &machines).await.len(), 3);
}

pub(in crate::store) async fn a_stream_that_is_taken_again_goes_on_where_it_stood(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, _) = furnish(&*store).await;
    advance(&*store, "one", &alerts, at(1, 0)).await;
    leave(&*store, "one", &alerts).await;
    place.clock().advance(kept_ms() - 1);
    assert_eq!(let_go(&*store, u64::MAX).await, [], "its time is not over");
    assert_eq!(attach(&*store, "one", &alerts, StartAt::Now).await, at(1, 0));
    assert_eq!(removed(&*store).await, []);
    place.clock().advance(kept_ms());
    assert_eq!(let_go(&*store, 0).await, [], "it is taken");
    assert_eq!(waiting(&*store, "one").await, 5);
    // Left once more, its time begins anew.
    leave(&*store, "one", &alerts).await;
    place.clock().advance(kept_ms() - 1);
    assert_eq!(let_go(&*store, u64::MAX).await, []);
}

pub(in crate::store) async fn what_was_let_go_is_not_sent_twice_when_it_is_taken_again(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, _) = furnish(&*store).await;
    advance(&*store, "one", &alerts, at(2, 0)).await;
    leave(&*store, "one", &alerts).await;
    place.clock().advance(kept_ms());
    assert_eq!(let_go(&*store, u64::MAX).await, [("one".to_owned(), Some(alerts.clone()), 1)]);
    assert_eq!(removed(&*store).await, [], "it is told once");
    assert_eq!(let_go(&*store, 0).await, []);
    // The stream is younger than the output, so that one which came as a new one would begin at the first event.
    for start in [StartAt::Now, StartAt::Oldest] {
        assert_eq!(attach(&*store, "one", &alerts, start).await, at(2, 0), "all before it was sent");
    }
    assert_eq!(waiting(&*store, "one").await, 4, "what somebody else still held is not lost");
    advance(&*store, "two", &alerts, at(3, 0)).await;
    assert!(collect(&*store, &["one", "two"]).await > 0);
    assert_eq!(places(&*store, &alerts).await, [(3, 0)], "it holds its events again");
}

pub(in crate::store) async fn what_was_left_goes_by_age_and_beyond_the_bound_oldest_first(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = furnish(&*store).await;
    attach(&*store, "gone", &machines, StartAt::Oldest).await;
    for stream in [&alerts, &machines] {
        advance(&*store, "two", stream, at(3, 0)).await;
    }
    leave(&*store, "one", &alerts).await;
    place.clock().advance(1_000);
    collect(&*store, &["one", "two"]).await;
    place.clock().advance(1_000);
    leave(&*store, "one", &machines).await;
    let [first, second, third] = [("one", Some(&alerts)), ("gone", None), ("one", Some(&machines))]
        .map(|(output, stream)| (output.to_owned(), stream.cloned(), 3));
    assert_eq!(removed(&*store).await, [first.clone(), second.clone(), third.clone()]);
    let bytes = store.bytes().await.expect("bytes");
    assert_eq!(store.live_bytes().await.expect("live"), 0);
    assert_eq!(let_go(&*store, bytes).await, []);
    assert_eq!(let_go(&*store, bytes - 1).await, [first]);
    let left = store.bytes().await.expect("bytes");
    assert!(left > 0 && left < bytes, "what only it held is freed: {left} of {bytes}");
    place.clock().advance(kept_ms() - 1_000);
    assert_eq!(let_go(&*store, u64::MAX).await, [second]);
    assert_eq!(let_go(&*store, u64::MAX).await, []);
    place.clock().advance(1_000);
    assert_eq!(let_go(&*store, u64::MAX).await, [third]);
    assert_eq!(store.bytes().await.expect("bytes"), 0);
}

pub(in crate::store) async fn what_another_output_has_taken_over_is_not_kept(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = furnish(&*store).await;
    advance(&*store, "one", &alerts, at(1, 0)).await;
    for stream in [&alerts, &machines] {
        leave(&*store, "one", stream).await;
    }
    assert_eq!(attach(&*store, "next", &alerts, StartAt::Output("one".to_owned())).await, at(1, 0));
    collect(&*store, &["one", "two", "next"]).await;
    assert_eq!(removed(&*store).await, [("one".to_owned(), Some(machines), 3)], "nobody has taken this one over");
    advance(&*store, "next", &alerts, at(3, 0)).await;
    advance(&*store, "two", &alerts, at(3, 0)).await;
    collect(&*store, &["one", "two", "next"]).await;
    assert_eq!(places(&*store, &alerts).await, []);
}

pub(in crate::store) async fn jumps_pass_over_what_was_left(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = furnish(&*store).await;
    for stream in [&alerts, &machines] {
        leave(&*store, "one", stream).await;
    }
    attach(&*store, "one", &machines, StartAt::Now).await;
    let jumped = store.jump(&["two".to_owned()], u64::MAX).await.expect("jump");
    assert_eq!(jumped.iter().map(|jump| (&*jump.output, jump.events)).collect::<Vec<_>>(), [("two", 3)]);
    assert_eq!(store.depth("two").await.expect("depth").events, 3, "what another one takes is not jumped");
    let jumped = store.jump(&["one".to_owned(), "two".to_owned()], u64::MAX).await.expect("jump");
    assert_eq!(jumped.iter().map(|jump| (&*jump.output, jump.events)).collect::<Vec<_>>(), [("one", 3), ("two", 3)]);
    assert_eq!(
        removed(&*store).await,
        [("one".to_owned(), Some(alerts), 3)],
        "nobody pauses for it, so it loses nothing"
    );
    assert_eq!(store.depth("one").await.expect("depth"), Depth::default());
}
