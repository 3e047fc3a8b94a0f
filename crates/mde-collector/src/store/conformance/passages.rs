//! When outputs came past what, which entities there are, and what processes say of themselves.

use super::*;
use crate::store::{HISTORY_KEPT, Note, Passage, Passing, Place as Stand, replay_stream};

/// How an output first came to a place or past it.
async fn passed(store: &dyn Store, output: &str, stream: &StreamKey, position: Position) -> Option<(i64, Passing)> {
    let passage = store.passage(output, stream, position).await.expect("passage");
    passage.map(|Passage { passed_ms, how }| (passed_ms, how))
}

pub(in crate::store) async fn the_first_move_past_a_place_tells_when_and_how(place: &mut impl Place) {
    let store = place.open().await;
    let (alerts, machines) = (stream("alerts"), stream("machines"));
    put_frame(&*store, &alerts, frame("old", 1)).await;
    place.clock().advance(1_000);
    attach(&*store, "devo", &alerts, StartAt::Now).await;
    attach(&*store, "devo", &machines, StartAt::Now).await;
    attach(&*store, "file", &alerts, StartAt::Oldest).await;
    for _ in 0..2 {
        put(&*store, &alerts, &[frame("a", 1), frame("b", 1)], Vec::new(), Progress::default()).await.expect("commit");
    }
    place.clock().advance(1_000);
    advance(&*store, "devo", &alerts, at(2, 0)).await;
    place.clock().advance(1_000);
    advance(&*store, "devo", &alerts, at(3, 0)).await;
    advance(&*store, "devo", &alerts, at(2, 1)).await;
    place.clock().advance(1_000);
    store.jump(&["file".to_owned()], u64::MAX).await.expect("jump");

    let began = place.clock().now_ms() - 3_000;
    assert_eq!(passed(&*store, "devo", &alerts, at(1, 0)).await, Some((began, Passing::Began)));
    assert_eq!(passed(&*store, "devo", &alerts, at(2, 0)).await, Some((began + 1_000, Passing::Delivered)));
    assert_eq!(passed(&*store, "devo", &alerts, at(2, 1)).await, Some((began + 2_000, Passing::Delivered)));
    assert_eq!(passed(&*store, "devo", &alerts, at(3, 1)).await, None, "it waits");
    assert_eq!(passed(&*store, "devo", &machines, at(1, 0)).await, None);
    assert_eq!(passed(&*store, "devo", &stream("unmet"), at(1, 0)).await, None);
    assert_eq!(passed(&*store, "file", &alerts, at(2, 1)).await, Some((began + 3_000, Passing::Jumped)));

    let stands = store.places().await.expect("places");
    let stand = |output: &str, stream: &StreamKey, position| Stand {
        output: output.to_owned(),
        stream: stream.clone(),
        position,
    };
    assert_eq!(
        stands,
        [
            stand("devo", &alerts, at(3, 0)),
            stand("devo", &machines, Position::START),
            stand("file", &alerts, Position::after_batch(2)),
        ]
    );
}

pub(in crate::store) async fn passages_move_with_a_renamed_output_and_go_with_a_dropped_one(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "old", &alerts, StartAt::Oldest).await;
    put_frame(&*store, &alerts, frame("a", 1)).await;
    advance(&*store, "old", &alerts, at(1, 0)).await;
    attach(&*store, "new", &alerts, StartAt::Output("old".to_owned())).await;
    collect(&*store, &["new"]).await;
    let now_ms = place.clock().now_ms();
    assert_eq!(passed(&*store, "new", &alerts, at(1, 0)).await, Some((now_ms, Passing::Delivered)));
    store.drop_output("new").await.expect("drop");
    assert_eq!(passed(&*store, "new", &alerts, at(1, 0)).await, None);
}

pub(in crate::store) async fn passages_go_after_thirty_days(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "devo", &alerts, StartAt::Oldest).await;
    for _ in 0..2 {
        put_frame(&*store, &alerts, frame("a", 1)).await;
    }
    advance(&*store, "devo", &alerts, at(1, 0)).await;
    let first_ms = place.clock().now_ms();
    place.clock().advance(i64::try_from(HISTORY_KEPT.as_millis()).expect("it fits") + 1);
    advance(&*store, "devo", &alerts, at(2, 0)).await;
    let now_ms = place.clock().now_ms();
    assert_eq!(
        passed(&*store, "devo", &alerts, at(1, 0)).await,
        Some((now_ms, Passing::Delivered)),
        "{first_ms} is over"
    );
}

pub(in crate::store) async fn entities_are_found_by_their_id_in_the_present_epoch(place: &mut impl Place) {
    let store = place.open().await;
    let (machines, software) = (stream("machines"), stream("software"));
    put_entities(&*store, &machines, vec![seen(1, 3, 4), seen(2, 3, 4)], Vec::new()).await;
    put_entities(&*store, &software, vec![seen(1, 9, 8)], Vec::new()).await;
    let found = store.sightings(&id_of(1)).await.expect("sightings");
    assert_eq!(found, [(machines.clone(), seen(1, 3, 4)), (software.clone(), seen(1, 9, 8))]);
    let lease = lease(&*store, &machines).await;
    store.start_again(&lease, &machines, "").await.expect("again");
    assert_eq!(store.sightings(&id_of(1)).await.expect("sightings"), [(software, seen(1, 9, 8))]);
    assert_eq!(store.sightings("nobody").await.expect("sightings"), []);
}

pub(in crate::store) async fn a_note_replaces_the_one_of_its_name(place: &mut impl Place) {
    let store = place.open().await;
    let note = |name: &str, text: &str| Note { name: name.to_owned(), text: text.to_owned() };
    assert_eq!(store.notes().await.expect("notes"), []);
    store.note(&[note("stream b", "1"), note("stream a", "2")]).await.expect("note");
    store.note(&[note("stream b", "3\u{0}\"")]).await.expect("note");
    assert_eq!(store.notes().await.expect("notes"), [note("stream a", "2"), note("stream b", "3\u{0}\"")]);
}

pub(in crate::store) async fn somebody_is_at_work_while_a_lease_is_held(place: &mut impl Place) {
    let store = place.open().await;
    assert!(!store.at_work().await.expect("at work"));
    let lease = store.acquire("stream a", NODE, Duration::from_secs(30)).await.expect("acquire").expect("free");
    assert!(store.at_work().await.expect("at work"));
    place.clock().advance(30_001);
    assert!(!store.at_work().await.expect("at work"), "it has not been renewed");
    let lease = store.acquire(&lease.name, NODE, TERM).await.expect("acquire").expect("free");
    assert!(store.at_work().await.expect("at work"));
    store.release(&lease).await.expect("release");
    assert!(!store.at_work().await.expect("at work"));
}

pub(in crate::store) async fn a_replayed_letter_is_passed_in_a_stream_of_its_own(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "devo", &alerts, StartAt::Oldest).await;
    put_frame(&*store, &alerts, frame("a", 2)).await;
    let lease = output_lease(&*store, "devo").await;
    let refused =
        [crate::store::Refusal { stream: alerts.clone(), position: at(1, 0), line: 1, reason: "no".to_owned() }];
    store.bury(&lease, "devo", &[(alerts, at(1, 0))], None, &refused).await.expect("bury");
    assert_eq!(store.replay("devo").await.expect("replay"), 1);
    let again = replay_stream("devo");
    assert_eq!(passed(&*store, "devo", &again, at(1, 0)).await, None);
    advance(&*store, "devo", &again, at(1, 0)).await;
    let now_ms = place.clock().now_ms();
    assert_eq!(passed(&*store, "devo", &again, at(1, 0)).await, Some((now_ms, Passing::Delivered)));
}
