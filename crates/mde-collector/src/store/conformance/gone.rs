//! What is there after the process is gone, and what has left the disk.

use super::*;
use crate::store::{LastSeen, Refusal, StreamState, Trace};

/// Something of everything.
async fn furnish(store: &dyn Store) {
    let alerts = stream("alerts");
    store.attach("devo", &alerts, &StartAt::Oldest).await.expect("attach");
    let progress = Progress {
        checkpoint_ms: Some(1_000),
        memory: Some("width 7".to_owned()),
        forget_before_ms: Some(10),
        ..Progress::default()
    };
    let keys = vec![stored_key(1, 9), stored_key(2, 10)];
    put(store, &alerts, &[frame("a", 2), frame("b", 3)], keys, progress).await.expect("commit");
    put_entities(store, &alerts, vec![seen(1, 3, 4), seen(2, 3, 4)], vec![entity(9)]).await;
    let history = vec![Trace {
        id: "id".to_owned(),
        key: key(1),
        time_ms: 9,
        request_id: "r".to_owned(),
        version: "id\09".to_owned(),
        events: 2,
    }];
    let stream_lease = lease(store, &alerts).await;
    store.commit(&stream_lease, &alerts, &Commit { epoch: 1, history, ..Commit::default() }).await.expect("commit");
    let lease = store.acquire("output devo", NODE, TERM).await.expect("acquire").expect("free");
    let refused = [Refusal { stream: alerts.clone(), position: at(1, 0), line: 1, reason: "too long".to_owned() }];
    store.bury(&lease, "devo", &[(alerts, at(1, 0))], Some("a.ndjson 20"), &refused).await.expect("bury");
}

/// All of it is where it was.
async fn expect_furniture(store: &dyn Store) {
    let alerts = stream("alerts");
    let state = StreamState { epoch: 1, checkpoint_ms: Some(1_000), memory: "width 7".to_owned(), last_batch: 1 };
    assert_eq!(store.streams().await.expect("streams"), [(alerts.clone(), state)]);
    assert_eq!(store.known(&alerts, &[key(1), key(2)]).await.expect("known"), [false, true]);
    assert_eq!(store.attach("devo", &alerts, &StartAt::Now).await.expect("attach").position, at(1, 0));
    assert_eq!(store.output_memory("devo").await.expect("memory").as_deref(), Some("a.ndjson 20"));
    let last = LastSeen { snapshot: 3, content: [4; 16] };
    let entities = store.last_seen(&alerts, &[entity(1), entity(9)]).await.expect("last seen");
    assert_eq!(entities, [Some(last), None]);
    assert_eq!(store.history("id", 9).await.expect("history").len(), 1);
    let letters = store.dead_letters("devo", 0, usize::MAX).await.expect("letters");
    assert_eq!(letters.iter().map(|letter| (letter.position, letter.line)).collect::<Vec<_>>(), [(at(1, 0), 1)]);
    assert_eq!(store.outputs().await.expect("outputs")[0].dead_letters, 1);
    let seen = all_frames(store, &alerts).await;
    assert_eq!(seen.iter().map(|seen| seen.body.clone()).collect::<Vec<_>>(), [frame("a", 2).body, frame("b", 3).body]);
    assert_eq!(store.depth("devo").await.expect("depth").events, 3);
}

pub(in crate::store) async fn a_closed_store_gives_everything_back(place: &mut impl Place) {
    let store = place.open().await;
    furnish(&*store).await;
    let octets = store.bytes().await.expect("bytes");
    store.close().await.expect("close");
    store.bytes().await.expect_err("a closed store does nothing");
    drop(store);
    let store = place.open().await;
    expect_furniture(&*store).await;
    assert_eq!(store.bytes().await.expect("bytes"), octets);
}

pub(in crate::store) async fn a_killed_store_gives_everything_back(place: &mut impl Place) {
    let store = place.open().await;
    furnish(&*store).await;
    let octets = store.bytes().await.expect("bytes");
    place.kill(store).await;
    let store = place.open().await;
    expect_furniture(&*store).await;
    assert_eq!(store.bytes().await.expect("bytes"), octets);
    // And once more, with nothing done in between.
    place.kill(store).await;
    expect_furniture(&*place.open().await).await;
}

pub(in crate::store) async fn a_dead_writers_batch_is_gone_with_its_octets(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    put_frame(&*store, &alerts, frame("seen", 1)).await;
    let visible = store.bytes().await.expect("bytes");
    let lease = lease(&*store, &alerts).await;
    let frames: Vec<Frame> = (0..200).map(|number| frame(&format!("f{number}"), 1)).collect();
    let open = fill(&*store, &lease, &alerts, &frames).await;
    assert!(store.bytes().await.expect("bytes") > visible);
    place.kill(store).await;

    // The first question of the pull half is how full the outbox is: the dead batch must not count any more.
    let store = place.open().await;
    assert_eq!(store.bytes().await.expect("bytes"), visible);
    assert_eq!(places(&*store, &alerts).await, [(1, 0)]);
    let error = store.append(open, &frames[0]).await.expect_err("it is gone");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
}

pub(in crate::store) async fn fences_go_on_growing_after_a_kill(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let before = lease(&*store, &alerts).await;
    place.kill(store).await;
    let store = place.open().await;
    // On an embedded store the file lock proves that the holder is gone; its lease has ended with it.
    let after = store.acquire(&before.name, "node-2", TERM).await.expect("acquire").expect("free");
    assert_eq!(after.fence, before.fence + 1);
    let error = store.commit(&before, &alerts, &Commit { epoch: 1, ..Commit::default() }).await.expect_err("stale");
    assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
}

/// How much is on disk when nothing is in the log any more; the store is opened anew.
async fn settled(place: &mut impl Place, store: Arc<dyn Store>) -> (Arc<dyn Store>, u64) {
    store.close().await.expect("close");
    let octets = place.octets();
    (place.open().await, octets)
}

/// Rounds of a steady stream: 500 keys each, forgotten twenty rounds later.
async fn steady(store: &dyn Store, rounds: std::ops::Range<i64>) {
    for round in rounds {
        let first = u64::try_from(round).expect("positive") * 500;
        let keys = (first..first + 500).map(|key| stored_key(key, round)).collect();
        put_keys(store, &stream("alerts"), keys, Some(round - 20)).await.expect("commit");
    }
}

pub(in crate::store) async fn forgotten_keys_leave_the_file(place: &mut impl Place) {
    let store = place.open().await;
    steady(&*store, 0..100).await;
    let (store, before) = settled(place, store).await;
    steady(&*store, 100..400).await;
    let (_store, after) = settled(place, store).await;
    // With every key kept, 150,000 would have come to 10,000: more than 4 MB.
    let grown = after.saturating_sub(before);
    assert!(grown < before / 2, "{before} octets grew by {grown}");
}

/// Starts again and stores the same 20,000 keys and 4,000 entities.
async fn another_epoch(store: &dyn Store) {
    let alerts = stream("alerts");
    let lease = lease(store, &alerts).await;
    store.start_again(&lease, &alerts, "").await.expect("start again");
    for part in 0..5 {
        let keys = (part * 4_000..(part + 1) * 4_000).map(|key| stored_key(key, 10)).collect();
        put_keys(store, &alerts, keys, Some(0)).await.expect("commit");
    }
    put_entities(store, &alerts, (0..4_000).map(|number| seen(number, 1, 1)).collect(), Vec::new()).await;
}

pub(in crate::store) async fn ended_epochs_leave_the_file(place: &mut impl Place) {
    let store = place.open().await;
    for _ in 0..3 {
        another_epoch(&*store).await;
    }
    let (store, before) = settled(place, store).await;
    for _ in 0..8 {
        another_epoch(&*store).await;
    }
    let (_store, after) = settled(place, store).await;
    // With every epoch kept, there would be 220,000 keys instead of 60,000.
    let grown = after.saturating_sub(before);
    assert!(grown < before / 2, "{before} octets grew by {grown}");
}

pub(in crate::store) async fn a_collected_backlog_leaves_the_file(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    store.attach("devo", &alerts, &StartAt::Oldest).await.expect("attach");
    // What lz4 cannot shorten: 64 MiB of it.
    let body: Vec<u8> = (0..65_536_u64).flat_map(|number| key(number + 1).0).collect();
    let frames = vec![Frame { events: 1, body }; 32];
    for _ in 0..2 {
        put(&*store, &alerts, &frames, Vec::new(), Progress::default()).await.expect("commit");
    }
    let (store, full) = settled(place, store).await;
    assert!(full > 64 << 20, "{full}");

    let lease = store.acquire("output devo", NODE, TERM).await.expect("acquire").expect("free");
    store.advance(&lease, "devo", &[(alerts, Position::after_batch(2))], None).await.expect("advance");
    assert!(store.collect(&["devo".to_owned()]).await.expect("collect") > 60 << 20);
    assert_eq!(store.bytes().await.expect("bytes"), 0);
    let (_store, left) = settled(place, store).await;
    assert!(left < full / 3, "of {full} octets {left} are left");
}
