//! Version keys: stored once per epoch, forgotten behind the horizon.

use super::*;

pub(in crate::store) async fn a_key_stored_twice_is_refused_and_nothing_changes(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    put(&*store, &alerts, &[frame("a", 1)], vec![stored_key(1, 10)], Progress::default()).await.expect("commit");

    // Another time makes it no other version; and the new key before it must go with it.
    let progress = Progress { checkpoint_ms: Some(99), memory: Some("new".to_owned()), ..Progress::default() };
    let keys = vec![stored_key(2, 11), stored_key(1, 12)];
    let error = put(&*store, &alerts, &[frame("b", 1)], keys, progress).await.expect_err("key 1 is there");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");

    assert_eq!(places(&*store, &alerts).await, [(1, 0)]);
    assert_eq!(store.known(&alerts, &[key(1), key(2)]).await.expect("known"), [true, false]);
    let state = store.stream(&alerts).await.expect("stream");
    assert_eq!((state.checkpoint_ms, &*state.memory, state.last_batch), (None, "", 1));
}

pub(in crate::store) async fn a_key_twice_in_one_commit_is_refused(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    put_keys(&*store, &alerts, Vec::new(), Some(50)).await.expect("horizon");
    // On both sides of the horizon, next to each other and far apart.
    for time_ms in [10, 90] {
        let mut keys: Vec<StoredKey> = (0..1000).map(|number| stored_key(number, time_ms)).collect();
        keys.push(stored_key(3, time_ms + 1));
        let error = put_keys(&*store, &alerts, keys, None).await.expect_err("key 3 comes twice");
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    }
    assert_eq!(store.known(&alerts, &[key(0), key(3)]).await.expect("known"), [false, false]);
}

pub(in crate::store) async fn streams_do_not_share_keys(place: &mut impl Place) {
    let store = place.open().await;
    let query = |name: &str| StreamKey { query: Some(name.to_owned()), ..stream("advanced_hunting") };
    for stream in [stream("alerts"), stream("machines"), query("logons"), query("processes")] {
        assert_eq!(store.known(&stream, &[key(1)]).await.expect("known"), [false], "{stream}");
        put_keys(&*store, &stream, vec![stored_key(1, 10)], None).await.expect("each stream has its own");
        assert_eq!(store.known(&stream, &[key(1)]).await.expect("known"), [true], "{stream}");
    }
}

pub(in crate::store) async fn known_answers_in_the_order_of_the_question(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let stored: Vec<StoredKey> = (0..3_000).map(|number| stored_key(number * 3, 10)).collect();
    put_keys(&*store, &alerts, stored, None).await.expect("commit");
    // Backwards, some twice, most of them unknown.
    let question: Vec<u64> = (0..9_000).rev().chain([3, 4, 3]).collect();
    let keys: Vec<VersionKey> = question.iter().map(|number| key(*number)).collect();
    let expected: Vec<bool> = question.iter().map(|number| number % 3 == 0).collect();
    assert_eq!(store.known(&alerts, &keys).await.expect("known"), expected);
    assert!(store.known(&alerts, &[]).await.expect("known").is_empty());
}

pub(in crate::store) async fn keys_behind_the_horizon_are_forgotten_and_can_be_stored_again(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let keys = (0..5_000).map(|number| stored_key(number, i64::try_from(number).expect("small"))).collect();
    put_keys(&*store, &alerts, keys, None).await.expect("commit");
    put_keys(&*store, &alerts, Vec::new(), Some(4_000)).await.expect("forget");

    let question: Vec<VersionKey> = (0..5_000).map(key).collect();
    let known = store.known(&alerts, &question).await.expect("known");
    assert_eq!(known.iter().position(|known| *known), Some(4_000), "a key at the horizon is not behind it");
    assert!(known[4_000..].iter().all(|known| *known));

    let again = (0..4_000).map(|number| stored_key(number, 6_000)).collect();
    put_keys(&*store, &alerts, again, None).await.expect("what is forgotten can come again");
    assert!(store.known(&alerts, &question).await.expect("known").iter().all(|known| *known));
    let error = put_keys(&*store, &alerts, vec![stored_key(7, 6_001)], None).await.expect_err("now it is known");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
}

pub(in crate::store) async fn a_horizon_that_goes_back_brings_no_key_back(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let keys = (0..5_000).map(|number| stored_key(number, 100)).collect();
    put_keys(&*store, &alerts, keys, None).await.expect("commit");
    put_keys(&*store, &alerts, Vec::new(), Some(200)).await.expect("forget");
    // The clocks were wrong: what is read from here on counts again.
    put_keys(&*store, &alerts, Vec::new(), Some(50)).await.expect("horizon");
    let question: Vec<VersionKey> = (0..5_000).map(key).collect();
    assert!(!store.known(&alerts, &question).await.expect("known").contains(&true));
    put_keys(&*store, &alerts, vec![stored_key(1, 100)], None).await.expect("known says so, so it must be taken");
    assert_eq!(store.known(&alerts, &[key(1)]).await.expect("known"), [true]);
}

/// Moves the horizon, but for some spans.
async fn forget(store: &dyn Store, stream: &StreamKey, before_ms: i64, keep: &[(i64, i64)]) {
    let lease = lease(store, stream).await;
    let epoch = store.stream(stream).await.expect("stream").epoch;
    let progress = Progress { forget_before_ms: Some(before_ms), keep: keep.to_vec(), ..Progress::default() };
    store.commit(&lease, stream, &Commit { epoch, progress, ..Commit::default() }).await.expect("commit");
}

pub(in crate::store) async fn keys_in_a_kept_span_stay_until_it_is_given_up(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let keys = (0..5_000).map(|number| stored_key(number, i64::try_from(number).expect("small"))).collect();
    put_keys(&*store, &alerts, keys, None).await.expect("commit");
    forget(&*store, &alerts, 4_000, &[(10, 20), (15, 30), (3_990, 4_010)]).await;
    let question: Vec<VersionKey> = (0..5_000).map(key).collect();
    let stays = |number: usize| (10..30).contains(&number) || number >= 3_990;
    let expected: Vec<bool> = (0..5_000).map(stays).collect();
    // However far the hand has come meanwhile, and whatever commits say nothing of the horizon.
    for _ in 0..8 {
        assert_eq!(store.known(&alerts, &question).await.expect("known"), expected);
        forget(&*store, &alerts, 4_000, &[(10, 20), (15, 30), (3_990, 4_010)]).await;
        put_keys(&*store, &alerts, Vec::new(), None).await.expect("no progress");
    }
    let error = put_keys(&*store, &alerts, vec![stored_key(12, 12)], None).await.expect_err("it is known");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    put_keys(&*store, &alerts, vec![stored_key(9_000, 17), stored_key(9_001, 9)], None).await.expect("new ones");
    assert_eq!(store.known(&alerts, &[key(9_000), key(9_001)]).await.expect("known"), [true, false]);

    forget(&*store, &alerts, 4_000, &[(15, 30)]).await;
    let known = store.known(&alerts, &question).await.expect("known");
    assert_eq!((known[10], known[15], known[29], known[30], known[3_999]), (false, true, true, false, false));
    put_keys(&*store, &alerts, vec![stored_key(12, 16)], None).await.expect("what is forgotten can come again");
}

pub(in crate::store) async fn a_span_that_comes_late_brings_no_key_back(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let keys = (0..5_000).map(|number| stored_key(number, 100)).collect();
    put_keys(&*store, &alerts, keys, None).await.expect("commit");
    forget(&*store, &alerts, 200, &[]).await;
    forget(&*store, &alerts, 200, &[(50, 150)]).await;
    let question: Vec<VersionKey> = (0..5_000).map(key).collect();
    assert!(!store.known(&alerts, &question).await.expect("known").contains(&true));
    put_keys(&*store, &alerts, vec![stored_key(1, 100)], None).await.expect("known says so, so it must be taken");
    assert_eq!(store.known(&alerts, &[key(1), key(2)]).await.expect("known"), [true, false]);
}

pub(in crate::store) async fn a_new_epoch_keeps_no_span(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    forget(&*store, &alerts, 200, &[(50, 150)]).await;
    let lease = lease(&*store, &alerts).await;
    store.start_again(&lease, &alerts, "").await.expect("start again");
    put_keys(&*store, &alerts, vec![stored_key(1, 100)], None).await.expect("commit");
    put_keys(&*store, &alerts, Vec::new(), Some(200)).await.expect("forget");
    assert_eq!(store.known(&alerts, &[key(1)]).await.expect("known"), [false]);
}
