//! Leases: one holder at a time, and a number by which a stale one is recognised.

use super::*;

/// A lease of ten seconds.
async fn try_take(store: &dyn Store, owner: &str) -> Option<Lease> {
    store.acquire("stream acme/alerts", owner, Duration::from_secs(10)).await.expect("acquire")
}

/// A lease that must be free.
async fn take(store: &dyn Store, owner: &str) -> Lease {
    try_take(store, owner).await.expect("it is free")
}

pub(in crate::store) async fn a_lease_has_one_holder_until_it_ends(place: &mut impl Place) {
    let store = place.open().await;
    let first = take(&*store, "a").await;
    assert_eq!((first.owner.as_str(), first.fence), ("a", 1));
    place.clock().advance(9_999);
    assert_eq!(try_take(&*store, "b").await, None);
    place.clock().advance(2);
    let second = take(&*store, "b").await;
    assert_eq!((second.owner.as_str(), second.fence), ("b", 2));
    assert_eq!(try_take(&*store, "a").await, None);
}

pub(in crate::store) async fn a_renewed_lease_keeps_its_fence(place: &mut impl Place) {
    let store = place.open().await;
    let first = take(&*store, "a").await;
    for _ in 0..3 {
        place.clock().advance(8_000);
        assert_eq!(take(&*store, "a").await, first);
    }
    assert_eq!(try_take(&*store, "b").await, None, "it was renewed");
    // Too late, but nobody has taken it: its holder is still the only one.
    place.clock().advance(60_000);
    assert_eq!(take(&*store, "a").await, first);
}

pub(in crate::store) async fn a_lease_given_back_is_free_at_once(place: &mut impl Place) {
    let store = place.open().await;
    let first = take(&*store, "a").await;
    store.release(&first).await.expect("release");
    assert_eq!(take(&*store, "b").await.fence, 2);
}

pub(in crate::store) async fn a_late_release_leaves_the_new_holder_alone(place: &mut impl Place) {
    let store = place.open().await;
    let first = take(&*store, "a").await;
    place.clock().advance(20_000);
    take(&*store, "b").await;
    store.release(&first).await.expect("no error: it is not his any more");
    assert_eq!(try_take(&*store, "a").await, None);
}

pub(in crate::store) async fn a_stale_holder_changes_nothing(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let stale = take(&*store, "a").await;
    store.attach("devo", &alerts, &super::super::StartAt::Oldest).await.expect("attach");
    put_frame(&*store, &stream("machines"), frame("other", 1)).await;
    place.clock().advance(20_000);
    take(&*store, "b").await;

    let progress = Progress { checkpoint_ms: Some(9), ..Progress::default() };
    let commit = Commit { epoch: 1, batch: None, keys: vec![stored_key(1, 1)], progress, ..Commit::default() };
    let errors = [
        store.begin(&stale, &alerts, &head("tag")).await.expect_err("begin"),
        store.commit(&stale, &alerts, &commit).await.expect_err("commit"),
        store.advance(&stale, "devo", &[], Some("memory")).await.expect_err("advance"),
        store.start_again(&stale, &alerts, "memory").await.expect_err("start again"),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::LeaseLost { fence: 1, .. }), "{error}");
    }
    let state = store.stream(&alerts).await.expect("stream");
    assert_eq!((state.epoch, state.checkpoint_ms, &*state.memory), (1, None, ""));
    assert_eq!(store.known(&alerts, &[key(1)]).await.expect("known"), [false]);
    assert_eq!(store.output_memory("devo").await.expect("memory"), None);
}

pub(in crate::store) async fn a_batch_begun_before_the_lease_changed_hands_is_never_shown(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let first = take(&*store, "a").await;
    let frames = [frame("stale", 1)];
    let id = fill(&*store, &first, &alerts, &frames).await;
    place.clock().advance(20_000);
    let second = take(&*store, "b").await;
    store.release(&second).await.expect("release");
    let third = take(&*store, "a").await;

    // The same node again, under a fence of today: meanwhile the other may have stored the very same versions.
    let commit = Commit { epoch: 1, batch: Some(count(id, &frames)), ..Commit::default() };
    let error = store.commit(&third, &alerts, &commit).await.expect_err("begun under fence 1");
    assert!(matches!(error, StoreError::LeaseLost { fence: 1, .. }), "{error}");
    assert!(all_frames(&*store, &alerts).await.is_empty());
}

pub(in crate::store) async fn an_ended_lease_that_nobody_took_still_commits(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = take(&*store, "a").await;
    let frames = [frame("slow", 1)];
    let id = fill(&*store, &lease, &alerts, &frames).await;
    place.clock().advance(60_000);
    let commit = Commit { epoch: 1, batch: Some(count(id, &frames)), ..Commit::default() };
    assert_eq!(store.commit(&lease, &alerts, &commit).await.expect("nobody else could have written"), Some(1));
}
