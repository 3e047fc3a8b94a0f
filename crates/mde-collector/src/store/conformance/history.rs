//! Where each record came from and went to.

use super::*;
use crate::store::{HISTORY_KEPT, Trace, Traced};

/// A trace that differs from others in everything.
fn trace(id: &str, number: u64) -> Trace {
    Trace {
        id: id.to_owned(),
        key: key(number),
        time_ms: -5 + i64::try_from(number).expect("small"),
        request_id: format!("request {number}"),
        version: format!("{id}\0{number}"),
        events: number,
    }
}

/// A commit of traces alone.
async fn put_history(store: &dyn Store, stream: &StreamKey, history: Vec<Trace>) {
    let lease = lease(store, stream).await;
    store.commit(&lease, stream, &Commit { epoch: 1, history, ..Commit::default() }).await.expect("commit");
}

/// What is told of an id, the newest first.
async fn history(store: &dyn Store, id: &str) -> Vec<Traced> {
    store.history(id, u32::MAX).await.expect("history")
}

pub(in crate::store) async fn a_record_is_found_by_its_id_with_all_that_led_to_it(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, hunting) = (stream("alerts"), StreamKey { query: Some("q".to_owned()), ..stream("advanced_hunting") });
    assert!(history(&*store, "one").await.is_empty());
    place.clock().advance(10);
    let lease = lease(&*store, &alerts).await;
    let frames = [frame("a", 2)];
    let id = fill(&*store, &lease, &alerts, &frames).await;
    let commit = Commit {
        epoch: 1,
        batch: Some(count(id, &frames)),
        history: vec![trace("one", 1), trace("two", 2)],
        ..Commit::default()
    };
    store.commit(&lease, &alerts, &commit).await.expect("commit");
    place.clock().advance(10);
    put_history(&*store, &hunting, vec![trace("two", 3)]).await;

    let now_ms = place.clock().now_ms();
    let first = |trace| Traced { stream: alerts.clone(), stored_ms: now_ms - 10, batch: Some(1), trace };
    let second = Traced { stream: hunting, stored_ms: now_ms, batch: None, trace: trace("two", 3) };
    assert_eq!(history(&*store, "one").await, [first(trace("one", 1))]);
    assert_eq!(history(&*store, "two").await, [second.clone(), first(trace("two", 2))]);
    assert_eq!(store.history("two", 1).await.expect("history"), [second]);
    assert!(history(&*store, "").await.is_empty());
}

pub(in crate::store) async fn traces_of_any_content_come_back_as_they_were(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let ids = ["", "a\"b\\c", "\u{0}after a nul", "Größe 📦", "1.50"];
    let odd = |id: &str| Trace { request_id: format!("{id}{id}"), version: format!("{id}{id}{id}"), ..trace(id, 7) };
    put_history(&*store, &alerts, ids.map(odd).to_vec()).await;
    let extremes =
        Trace { time_ms: i64::MIN, events: u64::try_from(i64::MAX).expect("positive"), ..trace("extreme", 0) };
    put_history(&*store, &alerts, vec![extremes.clone(), Trace { time_ms: i64::MAX, ..extremes.clone() }]).await;
    for id in ids {
        let found: Vec<Trace> = history(&*store, id).await.into_iter().map(|traced| traced.trace).collect();
        assert_eq!(found, [odd(id)]);
    }
    let found: Vec<Trace> = history(&*store, "extreme").await.into_iter().map(|traced| traced.trace).collect();
    assert_eq!(found, [Trace { time_ms: i64::MAX, ..extremes.clone() }, extremes]);
}

pub(in crate::store) async fn a_refused_commit_leaves_no_trace(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    put_keys(&*store, &alerts, vec![stored_key(1, 1)], None).await.expect("commit");
    let lease = lease(&*store, &alerts).await;
    let (keys, history) = (vec![stored_key(1, 1)], vec![trace("one", 1)]);
    let commit = Commit { epoch: 1, keys, history, ..Commit::default() };
    store.commit(&lease, &alerts, &commit).await.expect_err("the key is there");
    assert!(self::history(&*store, "one").await.is_empty());
}

pub(in crate::store) async fn traces_go_after_thirty_days_a_few_with_each_commit(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let kept_ms = i64::try_from(HISTORY_KEPT.as_millis()).expect("it fits");
    assert_eq!(kept_ms, 30 * 24 * 3600 * 1000);
    put_history(&*store, &alerts, (0..5_000).map(|number| trace("old", number)).collect()).await;
    place.clock().advance(kept_ms);
    put_history(&*store, &alerts, vec![trace("new", 1)]).await;
    assert_eq!(history(&*store, "old").await.len(), 5_000, "their last day is not over");
    place.clock().advance(1);
    put_history(&*store, &alerts, Vec::new()).await;
    let left = history(&*store, "old").await;
    assert!(!left.is_empty() && left.len() < 5_000, "{} are left", left.len());
    assert_eq!(left.last().expect("some").trace.events, 5_000 - left.len() as u64, "the oldest go first");
    for _ in 0..5 {
        put_history(&*store, &alerts, Vec::new()).await;
    }
    assert!(history(&*store, "old").await.is_empty());
    assert_eq!(history(&*store, "new").await.len(), 1);
}

pub(in crate::store) async fn a_trace_from_the_far_future_keeps_no_other_one(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let kept_ms = i64::try_from(HISTORY_KEPT.as_millis()).expect("it fits");
    place.clock().advance(20 * kept_ms);
    put_history(&*store, &alerts, vec![trace("future", 1)]).await;
    place.clock().advance(-20 * kept_ms);
    put_history(&*store, &alerts, vec![trace("present", 1)]).await;
    assert!(history(&*store, "future").await.is_empty());
    place.clock().advance(kept_ms + 1);
    put_history(&*store, &alerts, Vec::new()).await;
    assert!(history(&*store, "present").await.is_empty());
}
