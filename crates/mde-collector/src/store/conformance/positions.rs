//! Positions of outputs, and what they allow to be removed.

use super::*;

pub(in crate::store) async fn positions_are_per_output_and_stream(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for output in ["devo", "file"] {
        for stream in [&alerts, &machines] {
            assert_eq!(attach(&*store, output, stream, StartAt::Now).await, Position::START);
        }
    }
    for stream in [&alerts, &machines] {
        put(&*store, stream, &[frame("a", 1), frame("b", 1)], Vec::new(), Progress::default()).await.expect("commit");
    }
    advance(&*store, "devo", &alerts, at(1, 0)).await;
    assert_eq!(attach(&*store, "devo", &alerts, StartAt::Oldest).await, at(1, 0), "start counts once only");
    assert_eq!(attach(&*store, "devo", &machines, StartAt::Now).await, Position::START);
    assert_eq!(attach(&*store, "file", &alerts, StartAt::Now).await, Position::START);
}

pub(in crate::store) async fn a_position_never_moves_back_and_never_past_what_is_stored(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "devo", &alerts, StartAt::Oldest).await;
    for _ in 0..3 {
        put_frame(&*store, &alerts, frame("a", 1)).await;
    }
    advance(&*store, "devo", &alerts, at(2, 0)).await;
    advance(&*store, "devo", &alerts, at(1, 0)).await;
    assert_eq!(attach(&*store, "devo", &alerts, StartAt::Now).await, at(2, 0), "a late confirmation is passed over");

    let lease = output_lease(&*store, "devo").await;
    for (output, stream, position) in
        [("devo", &alerts, at(4, 0)), ("other", &alerts, at(1, 0)), ("devo", &stream("unmet"), at(1, 0))]
    {
        let error =
            store.advance(&lease, output, &[(stream.clone(), position)], None).await.expect_err("it would skip events");
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    }
    advance(&*store, "devo", &alerts, Position::after_batch(3)).await;
    assert_eq!(attach(&*store, "devo", &alerts, StartAt::Now).await, Position::after_batch(3));
}

pub(in crate::store) async fn memory_moves_with_the_positions_or_not_at_all(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "file", &alerts, StartAt::Oldest).await;
    put_frame(&*store, &alerts, frame("a", 1)).await;
    assert_eq!(store.output_memory("file").await.expect("memory"), None);
    assert_eq!(store.output_memory("unmet").await.expect("memory"), None);

    let lease = output_lease(&*store, "file").await;
    store.advance(&lease, "file", &[(alerts.clone(), at(1, 0))], Some("a.ndjson 20")).await.expect("advance");
    store.advance(&lease, "file", &[], None).await.expect("nothing changes");
    assert_eq!(store.output_memory("file").await.expect("memory").as_deref(), Some("a.ndjson 20"));

    let positions = [(alerts.clone(), at(9, 0))];
    store.advance(&lease, "file", &positions, Some("a.ndjson 900")).await.expect_err("batch 9 is not there");
    assert_eq!(store.output_memory("file").await.expect("memory").as_deref(), Some("a.ndjson 20"));
    let error = store.advance(&lease, "unmet", &[], Some("x")).await.expect_err("nobody knows this output");
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
}

pub(in crate::store) async fn collecting_waits_for_the_slowest(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    for output in ["fast", "slow"] {
        attach(&*store, output, &alerts, StartAt::Oldest).await;
    }
    // More than one group of batches and, in the last one, more than one group of frames.
    for number in 0..150 {
        put_frame(&*store, &alerts, frame(&format!("b{number}"), 1)).await;
    }
    let many: Vec<Frame> = (0..150).map(|number| frame(&format!("f{number}"), 1)).collect();
    put(&*store, &alerts, &many, Vec::new(), Progress::default()).await.expect("commit");
    advance(&*store, "fast", &alerts, Position::after_batch(151)).await;

    assert_eq!(collect(&*store, &["fast", "slow"]).await, 0);
    advance(&*store, "slow", &alerts, at(151, 99)).await;
    let before = store.bytes().await.expect("bytes");
    let freed = collect(&*store, &["fast", "slow"]).await;
    assert_eq!(store.bytes().await.expect("bytes"), before - freed);
    assert_eq!(places(&*store, &alerts).await, (100..150).map(|frame| (151, frame)).collect::<Vec<_>>());

    assert_eq!(collect(&*store, &["fast"]).await, 0, "the slow one is no longer named, and keeps its backlog");
    store.drop_output("slow").await.expect("drop");
    assert_eq!(store.bytes().await.expect("bytes"), 0);
    assert_eq!(put_frame(&*store, &alerts, frame("next", 1)).await, 152, "numbers go on over an empty outbox");
}

pub(in crate::store) async fn collecting_frees_streams_that_no_output_takes(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    attach(&*store, "devo", &alerts, StartAt::Oldest).await;
    let lease = lease(&*store, &machines).await;
    let open = fill(&*store, &lease, &machines, &[frame("open", 1)]).await;
    let invisible = store.bytes().await.expect("bytes");
    for stream in [&alerts, &machines] {
        put_frame(&*store, stream, frame("a", 1)).await;
    }
    assert!(collect(&*store, &["devo"]).await > 0);
    assert_eq!(places(&*store, &alerts).await, [(1, 0)]);
    assert!(all_frames(&*store, &machines).await.is_empty());
    let commit = Commit { epoch: 1, batch: Some(count(open, &[frame("open", 1)])), ..Commit::default() };
    assert!(invisible > 0);
    store.commit(&lease, &machines, &commit).await.expect("a batch that is still open is left alone");
}

pub(in crate::store) async fn collecting_without_outputs_removes_nothing(place: &mut impl Place) {
    let store = place.open().await;
    put_frame(&*store, &stream("alerts"), frame("a", 1)).await;
    assert_eq!(collect(&*store, &[]).await, 0);
    assert_eq!(places(&*store, &stream("alerts")).await, [(1, 0)]);
}

pub(in crate::store) async fn a_new_output_starts_where_it_is_told(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    attach(&*store, "first", &alerts, StartAt::Now).await;
    for stream in [&alerts, &alerts, &machines] {
        put_frame(&*store, stream, frame("a", 1)).await;
    }
    let lease = output_lease(&*store, "first").await;
    store.advance(&lease, "first", &[(alerts.clone(), at(1, 0))], Some("a.ndjson 20")).await.expect("advance");

    assert_eq!(attach(&*store, "now", &alerts, StartAt::Now).await, Position::after_batch(2));
    assert_eq!(attach(&*store, "oldest", &alerts, StartAt::Oldest).await, Position::START);
    let renamed = StartAt::Output("first".to_owned());
    assert_eq!(attach(&*store, "renamed", &alerts, renamed.clone()).await, at(1, 0));
    assert_eq!(store.output_memory("renamed").await.expect("memory").as_deref(), Some("a.ndjson 20"));
    // What the old name never met, it has never sent.
    assert_eq!(attach(&*store, "renamed", &machines, renamed).await, Position::START);
}

pub(in crate::store) async fn a_stream_younger_than_its_output_is_sent_from_its_first_event(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    put_frame(&*store, &alerts, frame("a", 1)).await;
    assert_eq!(attach(&*store, "devo", &alerts, StartAt::Now).await, Position::after_batch(1));
    // A service that is switched on later: its first events may be stored before the output meets it.
    put_frame(&*store, &machines, frame("m", 1)).await;
    assert_eq!(attach(&*store, "devo", &machines, StartAt::Now).await, Position::START);
}

pub(in crate::store) async fn depth_counts_what_is_not_confirmed(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    for stream in [&alerts, &machines] {
        attach(&*store, "devo", stream, StartAt::Oldest).await;
    }
    assert_eq!(store.depth("devo").await.expect("depth"), crate::store::Depth::default());
    let started = place.clock().now_ms();
    put(&*store, &alerts, &[], Vec::new(), Progress::default()).await.expect("an empty batch is no backlog");
    place.clock().advance(10);
    put(&*store, &alerts, &[frame("a", 2), frame("b", 3)], Vec::new(), Progress::default()).await.expect("commit");
    place.clock().advance(10);
    put_frame(&*store, &machines, frame("m", 4)).await;

    let depth = store.depth("devo").await.expect("depth");
    assert_eq!((depth.events, depth.oldest_ms), (9, Some(started + 10)));
    assert_eq!(depth.bytes, store.bytes().await.expect("bytes"));

    advance(&*store, "devo", &alerts, at(2, 0)).await;
    let depth = store.depth("devo").await.expect("depth");
    assert_eq!((depth.events, depth.oldest_ms), (7, Some(started + 10)));
    collect(&*store, &["devo"]).await;
    assert_eq!(store.depth("devo").await.expect("depth"), depth, "collecting changes nothing that still waits");
    assert_eq!(depth.bytes, store.bytes().await.expect("bytes"));

    advance(&*store, "devo", &alerts, at(2, 1)).await;
    let depth = store.depth("devo").await.expect("depth");
    assert_eq!((depth.events, depth.oldest_ms), (4, Some(started + 20)));
    assert_eq!(store.depth("unmet").await.expect("depth"), crate::store::Depth::default());
}
