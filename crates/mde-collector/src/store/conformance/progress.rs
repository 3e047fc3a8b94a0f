//! Checkpoints, epochs and what the pull machine remembers.

use super::*;

pub(in crate::store) async fn a_checkpoint_moves_back_only_when_told_to(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let to = |checkpoint_ms, backwards| Commit {
        epoch: 1,
        progress: Progress { checkpoint_ms: Some(checkpoint_ms), backwards, ..Progress::default() },
        ..Commit::default()
    };
    for checkpoint_ms in [100, 100, 200] {
        store.commit(&lease, &alerts, &to(checkpoint_ms, false)).await.expect("forward");
    }
    let error = store.commit(&lease, &alerts, &to(199, false)).await.expect_err("backwards");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    assert_eq!(store.stream(&alerts).await.expect("stream").checkpoint_ms, Some(200));
    store.commit(&lease, &alerts, &to(150, true)).await.expect("the clocks demand it");
    assert_eq!(store.stream(&alerts).await.expect("stream").checkpoint_ms, Some(150));
}

pub(in crate::store) async fn progress_needs_no_batch(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let progress = Progress { checkpoint_ms: Some(5), memory: Some("width 7".to_owned()), ..Progress::default() };
    let commit = Commit { epoch: 1, progress, ..Commit::default() };
    assert_eq!(store.commit(&lease, &alerts, &commit).await.expect("commit"), None);
    // What a commit does not name stays.
    let commit = Commit { epoch: 1, ..Commit::default() };
    assert_eq!(store.commit(&lease, &alerts, &commit).await.expect("commit"), None);
    let state = store.stream(&alerts).await.expect("stream");
    assert_eq!((state.checkpoint_ms, &*state.memory, state.last_batch), (Some(5), "width 7", 0));
}

pub(in crate::store) async fn starting_again_keeps_unsent_events_and_numbers(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let progress = Progress {
        checkpoint_ms: Some(500),
        memory: Some("old".to_owned()),
        forget_before_ms: Some(5),
        ..Progress::default()
    };
    put(&*store, &alerts, &[frame("a", 2)], vec![stored_key(1, 10)], progress).await.expect("commit");

    let lease = lease(&*store, &alerts).await;
    let state = store.start_again(&lease, &alerts, "fresh").await.expect("start again");
    assert_eq!((state.epoch, state.checkpoint_ms, &*state.memory, state.last_batch), (2, None, "fresh", 1));
    assert_eq!(store.stream(&alerts).await.expect("stream"), state);
    assert_eq!(places(&*store, &alerts).await, [(1, 0)], "unsent events stay");
    assert_eq!(store.known(&alerts, &[key(1)]).await.expect("known"), [false]);

    // Everything is sent again: the same key, before the old horizon even, and a checkpoint before the old one.
    let progress = Progress { checkpoint_ms: Some(3), ..Progress::default() };
    let number = put(&*store, &alerts, &[frame("a", 2)], vec![stored_key(1, 2)], progress).await.expect("commit");
    assert_eq!(number, 2, "numbers go on");
    assert_eq!(store.known(&alerts, &[key(1)]).await.expect("known"), [true]);
}

pub(in crate::store) async fn a_commit_of_an_ended_epoch_is_refused(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let frames = [frame("a", 1)];
    let id = fill(&*store, &lease, &alerts, &frames).await;
    store.start_again(&lease, &alerts, "").await.expect("start again");

    // Its rows were read in epoch 1, whatever the commit says.
    for epoch in [1, 2] {
        let commit = Commit { epoch, batch: Some(count(id, &frames)), ..Commit::default() };
        let error = store.commit(&lease, &alerts, &commit).await.expect_err("epoch 1 is over");
        assert!(matches!(error, StoreError::EpochOver { epoch: 1, .. }), "{error}");
    }
    let error = store.commit(&lease, &alerts, &Commit { epoch: 3, ..Commit::default() }).await.expect_err("not begun");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    assert!(all_frames(&*store, &alerts).await.is_empty());
}

pub(in crate::store) async fn streams_are_listed_as_they_were_met(place: &mut impl Place) {
    let store = place.open().await;
    let hunting = StreamKey { query: Some("logons".to_owned()), ..stream("advanced_hunting") };
    let met = [stream("machines"), hunting, stream("alerts")];
    for stream in &met {
        let state = store.stream(stream).await.expect("stream");
        assert_eq!((state.epoch, state.checkpoint_ms, &*state.memory, state.last_batch), (1, None, "", 0));
    }
    store.stream(&met[1]).await.expect("meeting it again makes no second one");
    let listed: Vec<StreamKey> = store.streams().await.expect("streams").into_iter().map(|(key, _)| key).collect();
    assert_eq!(listed, met);
}
