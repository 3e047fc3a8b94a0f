//! Batches: seen whole or not at all, numbered without gaps, exactly what their writer counted.

use super::*;

pub(in crate::store) async fn a_batch_is_seen_whole_or_not_at_all(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let frames = [frame("a", 3), frame("b", 2)];
    let id = fill(&*store, &lease, &alerts, &frames).await;
    assert!(all_frames(&*store, &alerts).await.is_empty());
    assert!(store.bytes().await.expect("bytes") > 0, "invisible frames occupy the disk all the same");

    place.clock().advance(5);
    let progress = Progress { checkpoint_ms: Some(100), memory: Some("m".to_owned()), ..Progress::default() };
    let commit = Commit {
        epoch: 1,
        batch: Some(count(id, &frames)),
        keys: vec![stored_key(1, 50)],
        progress,
        ..Commit::default()
    };
    assert_eq!(store.commit(&lease, &alerts, &commit).await.expect("commit"), Some(1));

    let seen = all_frames(&*store, &alerts).await;
    assert_eq!(seen.iter().map(|seen| seen.body.clone()).collect::<Vec<_>>(), [&*frames[0].body, &*frames[1].body]);
    assert_eq!(seen.iter().map(|seen| seen.events).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(store.known(&alerts, &[key(1), key(2)]).await.expect("known"), [true, false]);
    let state = store.stream(&alerts).await.expect("stream");
    assert_eq!((state.checkpoint_ms, &*state.memory, state.last_batch), (Some(100), "m", 1));
}

pub(in crate::store) async fn commits_in_the_other_order_leave_no_gap(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let (early, late) = ([frame("early", 1)], [frame("late", 1)]);
    let begun_first = fill(&*store, &lease, &alerts, &early).await;
    let begun_second = fill(&*store, &lease, &alerts, &late).await;

    let commit = Commit { epoch: 1, batch: Some(count(begun_second, &late)), ..Commit::default() };
    assert_eq!(store.commit(&lease, &alerts, &commit).await.expect("commit"), Some(1));
    // A reader that passes number 1 now must still get the batch that was begun before it.
    let passed = all_frames(&*store, &alerts).await.last().expect("one").position;
    let commit = Commit { epoch: 1, batch: Some(count(begun_first, &early)), ..Commit::default() };
    assert_eq!(store.commit(&lease, &alerts, &commit).await.expect("commit"), Some(2));
    let rest = store.read(&alerts, passed, usize::MAX).await.expect("read");
    assert_eq!(rest.iter().map(|rest| &rest.body).collect::<Vec<_>>(), [&early[0].body]);
}

pub(in crate::store) async fn a_batch_that_holds_something_else_than_counted_is_refused(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let frames = [frame("a", 3), frame("b", 2)];
    let id = fill(&*store, &lease, &alerts, &frames).await;
    let right = count(id, &frames);
    let wrong = [
        BatchCount { frames: right.frames + 1, ..right },
        BatchCount { events: right.events - 1, ..right },
        BatchCount { bytes: right.bytes + 1, ..right },
    ];
    for wrong in wrong {
        let progress = Progress { checkpoint_ms: Some(9), ..Progress::default() };
        let commit =
            Commit { epoch: 1, batch: Some(wrong), keys: vec![stored_key(1, 1)], progress, ..Commit::default() };
        let error = store.commit(&lease, &alerts, &commit).await.expect_err("counts differ");
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    }
    assert!(all_frames(&*store, &alerts).await.is_empty());
    assert_eq!(store.known(&alerts, &[key(1)]).await.expect("known"), [false]);
    assert_eq!(store.stream(&alerts).await.expect("stream").checkpoint_ms, None);

    let commit = Commit { epoch: 1, batch: Some(right), ..Commit::default() };
    assert_eq!(store.commit(&lease, &alerts, &commit).await.expect("the batch itself is sound"), Some(1));
}

pub(in crate::store) async fn a_discarded_batch_frees_its_octets_and_takes_no_more(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let frames: Vec<Frame> = (0..200).map(|number| frame(&format!("f{number}"), 2)).collect();
    let id = fill(&*store, &lease, &alerts, &frames).await;
    store.discard(id).await.expect("discard");
    assert_eq!(store.bytes().await.expect("bytes"), 0);
    let error = store.append(id, &frames[0]).await.expect_err("it is gone");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    store.discard(id).await.expect("a second time is no error");

    let next = fill(&*store, &lease, &alerts, &frames[..1]).await;
    assert_ne!(next, id, "a late writer must not find another batch under its number");
}

pub(in crate::store) async fn a_batch_for_another_stream_is_refused(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    let lease = lease(&*store, &alerts).await;
    let frames = [frame("a", 1)];
    let id = fill(&*store, &lease, &alerts, &frames).await;
    let commit = Commit { epoch: 1, batch: Some(count(id, &frames)), ..Commit::default() };
    let error = store.commit(&lease, &machines, &commit).await.expect_err("begun for alerts");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    assert!(all_frames(&*store, &machines).await.is_empty());
}

pub(in crate::store) async fn a_shown_batch_can_be_neither_filled_nor_shown_nor_discarded_again(
    place: &mut impl Place,
) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let frames = [frame("a", 1)];
    let id = fill(&*store, &lease, &alerts, &frames).await;
    let commit = Commit { epoch: 1, batch: Some(count(id, &frames)), ..Commit::default() };
    store.commit(&lease, &alerts, &commit).await.expect("commit");

    let errors = [
        store.append(id, &frames[0]).await.expect_err("append"),
        store.commit(&lease, &alerts, &commit).await.expect_err("commit"),
        store.discard(id).await.expect_err("discard"),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    }
    assert_eq!(places(&*store, &alerts).await, [(1, 0)]);
}

pub(in crate::store) async fn a_batch_without_frames_takes_a_number_and_hides_nothing(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    assert_eq!(put(&*store, &alerts, &[], Vec::new(), Progress::default()).await.expect("commit"), 1);
    assert_eq!(put_frame(&*store, &alerts, frame("a", 1)).await, 2);
    assert_eq!(places(&*store, &alerts).await, [(2, 0)]);
}

pub(in crate::store) async fn reading_gives_at_least_one_frame_and_then_what_fits(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let frames = [frame("a", 100), frame("b", 100), frame("c", 100)];
    let length = frames[0].body.len();
    put(&*store, &alerts, &frames, Vec::new(), Progress::default()).await.expect("commit");
    put_frame(&*store, &alerts, frame("d", 100)).await;

    for (max_octets, expected) in [(0, 1), (1, 1), (length, 1), (2 * length - 1, 1), (2 * length, 2), (4 * length, 4)] {
        let read = store.read(&alerts, Position::START, max_octets).await.expect("read");
        assert_eq!(read.len(), expected, "{max_octets} octets");
    }
    let rest = store.read(&alerts, at(1, 1), usize::MAX).await.expect("read");
    assert_eq!(rest.iter().map(|frame| frame.position).collect::<Vec<_>>(), [at(1, 2), at(2, 0)]);
    assert!(store.read(&alerts, at(2, 0), usize::MAX).await.expect("read").is_empty());
    assert!(store.read(&stream("unmet"), Position::START, usize::MAX).await.expect("read").is_empty());
}

pub(in crate::store) async fn every_batch_keeps_its_own_head(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    for tag in ["first", "second"] {
        let id = store.begin(&lease, &alerts, &head(tag)).await.expect("begin");
        let frames = [frame("a", 1), frame("b", 1)];
        for frame in &frames {
            store.append(id, frame).await.expect("append");
        }
        let commit = Commit { epoch: 1, batch: Some(count(id, &frames)), ..Commit::default() };
        store.commit(&lease, &alerts, &commit).await.expect("commit");
    }
    let heads: Vec<BatchHead> =
        all_frames(&*store, &alerts).await.iter().map(|frame| BatchHead::clone(&frame.head)).collect();
    assert_eq!(heads, [head("first"), head("first"), head("second"), head("second")]);
}

pub(in crate::store) async fn bodies_of_any_content_come_back_octet_for_octet(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    // Nothing, one octet, all octets, what lz4 cannot shorten, and what it shortens most.
    let noise: Vec<u8> = (0..40_000_u64).flat_map(|number| key(number + 1).0).collect();
    let bodies = [Vec::new(), b"\n".to_vec(), (0..=255).collect(), noise, vec![b'x'; 2 << 20]];
    let frames: Vec<Frame> = bodies.iter().map(|body| Frame { events: 1, body: body.clone() }).collect();
    put(&*store, &alerts, &frames, Vec::new(), Progress::default()).await.expect("commit");
    let read: Vec<Vec<u8>> = all_frames(&*store, &alerts).await.into_iter().map(|frame| frame.body).collect();
    assert!(read == bodies, "lengths {:?}", read.iter().map(Vec::len).collect::<Vec<_>>());
}
