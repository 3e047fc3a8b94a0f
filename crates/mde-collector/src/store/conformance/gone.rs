//! What is there after the process is gone, and what has left the disk.

use super::*;
use crate::store::{StartAt, StreamState};

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
    let lease = store.acquire("output devo", NODE, TERM).await.expect("acquire").expect("free");
    store.advance(&lease, "devo", &[(alerts, at(1, 0))], Some("a.ndjson 20")).await.expect("advance");
}

async fn expect_furniture(store: &dyn Store) {
    let alerts = stream("alerts");
    let state =
        StreamState { epoch: 1, checkpoint_ms: Some(1_000), memory: "width 7".to_owned(), last_batch: 1 };
    assert_eq!(store.streams().await.expect("streams"), [(alerts.clone(), state)]);
    assert_eq!(store.known(&alerts, &[key(1), key(2)]).await.expect("known"), [false, true]);
    assert_eq!(store.attach("devo", &alerts, &StartAt::Now).await.expect("attach").position, at(1, 0));
    assert_eq!(store.output_memory("devo").await.expect("memory").as_deref(), Some("a.ndjson 20"));
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

pub(in crate::store) async fn forgotten_keys_leave_the_file(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    // A steady stream: 500 keys a round, each forgotten twenty rounds later. Live keys: 10,000, or about 500 KB.
    let round = async |number: i64| {
        let first = u64::try_from(number).expect("positive") * 500;
        let keys = (first..first + 500).map(|key| stored_key(key, number)).collect();
        put_keys(&*store, &alerts, keys, Some(number - 20)).await.expect("commit");
    };
    for number in 0..100 {
        round(number).await;
    }
    let settled = place.octets();
    for number in 100..400 {
        round(number).await;
    }
    // Without forgetting, the file would be 300 x 500 keys larger: more than 4 MB.
    let grown = place.octets().saturating_sub(settled);
    assert!(grown < 1 << 20, "{settled} octets grew by {grown}");
}

pub(in crate::store) async fn ended_epochs_leave_the_file(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let epoch = async || {
        let lease = lease(&*store, &alerts).await;
        store.start_again(&lease, &alerts, "").await.expect("start again");
        for part in 0..5 {
            let keys = (part * 4_000..(part + 1) * 4_000).map(|key| stored_key(key, 10)).collect();
            put_keys(&*store, &alerts, keys, Some(0)).await.expect("commit");
        }
    };
    for _ in 0..3 {
        epoch().await;
    }
    let settled = place.octets();
    for _ in 0..8 {
        epoch().await;
    }
    // Each epoch that stayed would add 20,000 keys: 600 KB.
    let grown = place.octets().saturating_sub(settled);
    assert!(grown < 1 << 20, "{settled} octets grew by {grown}");
}

pub(in crate::store) async fn a_collected_backlog_leaves_the_file(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    store.attach("devo", &alerts, &StartAt::Oldest).await.expect("attach");
    // What lz4 cannot shorten: 64 MB of it.
    let body: Vec<u8> = (0..65_536_u64).flat_map(|number| key(number + 1).0).collect();
    let frames = vec![Frame { events: 1, body }; 32];
    for _ in 0..2 {
        put(&*store, &alerts, &frames, Vec::new(), Progress::default()).await.expect("commit");
    }
    let full = place.octets();
    assert!(full > 48 << 20, "{full}: the rest is still in the log");
    let lease = store.acquire("output devo", NODE, TERM).await.expect("acquire").expect("free");
    store.advance(&lease, "devo", &[(alerts, Position::after_batch(2))], None).await.expect("advance");
    assert!(store.collect(&["devo".to_owned()]).await.expect("collect") > 60 << 20);
    assert_eq!(store.bytes().await.expect("bytes"), 0);
    store.close().await.expect("close");
    let left = place.octets();
    assert!(left < 24 << 20, "of {full} octets {left} are left");
}
