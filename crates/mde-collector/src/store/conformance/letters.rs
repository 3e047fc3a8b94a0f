//! Dead letters: kept once, counted, bounded, sent again once.

use super::*;
use crate::store::{DeadLetter, MAX_DEAD_LETTER_BYTES, Refusal, replay_stream};

/// A refusal of one line.
fn refusal(stream: &StreamKey, position: Position, line: u32) -> Refusal {
    Refusal { stream: stream.clone(), position, line, reason: format!("too long: line {line}") }
}

/// Passes a position with refusals on the way. Returns how many letters had to go.
async fn bury(
    store: &dyn Store,
    output: &str,
    stream: &StreamKey,
    position: Position,
    refused: &[Refusal],
) -> Result<u64, StoreError> {
    let lease = output_lease(store, output).await;
    store.bury(&lease, output, &[(stream.clone(), position)], None, refused).await
}

/// All letters of an output.
async fn letters(store: &dyn Store, output: &str) -> Vec<DeadLetter> {
    store.dead_letters(output, 0, usize::MAX).await.expect("letters")
}

/// Where they come from.
async fn sources(store: &dyn Store, output: &str) -> Vec<(u64, u32, u32)> {
    let letters = letters(store, output).await;
    letters.iter().map(|letter| (letter.position.batch, letter.position.frame, letter.line)).collect()
}

/// How many letters and lost events the store counts for an output.
async fn counts(store: &dyn Store, output: &str) -> Option<(u64, u64)> {
    let states = store.outputs().await.expect("outputs");
    states.iter().find(|state| state.name == output).map(|state| (state.dead_letters, state.lost_events))
}

/// A line as `frame` makes it.
fn line(name: &str, line: u32) -> String {
    format!("{{\"name\":\"{name}\",\"line\":{line}}}")
}

/// One stream with two batches of two frames, and two outputs on it.
async fn furnish(store: &dyn Store) -> StreamKey {
    let alerts = stream("alerts");
    for output in ["devo", "file"] {
        attach(store, output, &alerts, StartAt::Oldest).await;
    }
    for name in ["a", "b"] {
        let frames = [frame(&format!("{name}0"), 3), frame(&format!("{name}1"), 3)];
        put(store, &alerts, &frames, Vec::new(), Progress::default()).await.expect("commit");
    }
    alerts
}

pub(in crate::store) async fn what_an_output_refuses_is_kept_with_the_positions_or_not_at_all(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = furnish(&*store).await;
    place.clock().advance(50);
    let refused = [refusal(&alerts, at(1, 0), 2), refusal(&alerts, at(2, 0), 0), refusal(&alerts, at(1, 0), 1)];
    assert_eq!(bury(&*store, "devo", &alerts, at(2, 0), &refused).await.expect("bury"), 0);
    assert_eq!(attach(&*store, "devo", &alerts, StartAt::Now).await, at(2, 0));
    let kept = letters(&*store, "devo").await;
    let records: Vec<_> = kept.iter().map(|letter| String::from_utf8_lossy(&letter.record).into_owned()).collect();
    assert_eq!(records, [line("a0", 2), line("a0", 1), line("b0", 0)]);
    assert_eq!((&kept[0].stream, &kept[0].head, &*kept[0].reason), (&alerts, &head("tag"), "too long: line 2"));
    assert_eq!(kept[0].refused_ms, place.clock().now_ms());
    assert!(!format!("{kept:?}").contains("name"), "a record never reaches a log");
    assert_eq!(counts(&*store, "devo").await, Some((3, 0)));
    assert!(letters(&*store, "file").await.is_empty(), "the other output has its own");

    // A line that is not there, a frame that is not passed, one that does not exist, a stream and an output without a place.
    let lease = output_lease(&*store, "devo").await;
    for (output, to, refused) in [
        ("devo", at(2, 1), refusal(&alerts, at(2, 1), 3)),
        ("devo", at(2, 0), refusal(&alerts, at(2, 1), 0)),
        ("devo", Position::after_batch(2), refusal(&alerts, at(2, 2), 0)),
        ("devo", at(2, 1), refusal(&stream("unmet"), at(2, 1), 0)),
        ("unmet", at(2, 1), refusal(&alerts, at(2, 1), 0)),
    ] {
        let refused = [refusal(&alerts, at(2, 1), 1), refused];
        let error =
            store.bury(&lease, output, &[(alerts.clone(), to)], Some("new"), &refused).await.expect_err("wrong");
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
        assert_eq!(attach(&*store, "devo", &alerts, StartAt::Now).await, at(2, 0));
        assert_eq!(counts(&*store, "devo").await, Some((3, 0)));
        assert_eq!(store.output_memory("devo").await.expect("memory"), None);
    }
    let next = store.acquire(&lease.name, "node-2", TERM).await.expect("acquire");
    assert_eq!(next, None, "the lease is still held");
    store.release(&lease).await.expect("release");
    let refused = [refusal(&alerts, at(2, 1), 1)];
    let error = store.bury(&lease, "devo", &[(alerts, at(2, 1))], None, &refused).await.expect_err("stale");
    assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
    assert_eq!(counts(&*store, "devo").await, Some((3, 0)));
}

pub(in crate::store) async fn a_letter_is_kept_once_and_outlives_its_frame(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = furnish(&*store).await;
    let twice = [refusal(&alerts, at(1, 0), 2), refusal(&alerts, at(1, 0), 2)];
    bury(&*store, "devo", &alerts, at(1, 0), &twice).await.expect("bury");
    // Handed over again after a kill, refused again, and confirmed late.
    bury(&*store, "devo", &alerts, at(1, 0), &twice).await.expect("bury");
    let again = [refusal(&alerts, at(1, 0), 1), refusal(&alerts, at(1, 1), 0)];
    bury(&*store, "devo", &alerts, at(1, 1), &again).await.expect("bury");
    assert_eq!(sources(&*store, "devo").await, [(1, 0, 2), (1, 1, 0)]);

    advance(&*store, "devo", &alerts, at(2, 1)).await;
    advance(&*store, "file", &alerts, at(2, 1)).await;
    collect(&*store, &["devo", "file"]).await;
    assert_eq!(store.bytes().await.expect("bytes"), 0);
    assert_eq!(letters(&*store, "devo").await[1].record, line("a1", 0).as_bytes());
    assert_eq!(counts(&*store, "devo").await, Some((2, 0)));
}

pub(in crate::store) async fn letters_are_listed_oldest_first_within_a_bound(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "devo", &alerts, StartAt::Oldest).await;
    put_frame(&*store, &alerts, frame("a", 50)).await;
    let refused: Vec<Refusal> = (0..50).map(|line| refusal(&alerts, at(1, 0), line)).collect();
    bury(&*store, "devo", &alerts, at(1, 0), &refused).await.expect("bury");
    let (mut after, mut lines) = (0, Vec::new());
    loop {
        let part = store.dead_letters("devo", after, 100).await.expect("letters");
        let Some(last) = part.last() else { break };
        assert!(part.len() == 1 || part.iter().map(|letter| letter.record.len()).sum::<usize>() <= 100);
        after = last.id;
        lines.extend(part.iter().map(|letter| letter.line));
    }
    assert_eq!(lines, (0..50).collect::<Vec<_>>());
    assert_eq!(store.dead_letters("devo", 0, 0).await.expect("letters").len(), 1, "one at least");
    assert!(letters(&*store, "unmet").await.is_empty());
}

pub(in crate::store) async fn letters_beyond_the_bound_count_as_lost(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    attach(&*store, "devo", &alerts, StartAt::Oldest).await;
    // Five of them are a little more than the bound.
    let length = usize::try_from(MAX_DEAD_LETTER_BYTES / 5 + 1).expect("it fits");
    let mut gone = Vec::new();
    for batch in 1..=6 {
        let mut body = vec![b'x'; length];
        body.push(b'\n');
        put_frame(&*store, &alerts, Frame { events: 1, body }).await;
        gone.push(
            bury(&*store, "devo", &alerts, at(batch, 0), &[refusal(&alerts, at(batch, 0), 0)]).await.expect("bury"),
        );
    }
    assert_eq!(gone, [0, 0, 0, 0, 1, 1]);
    assert_eq!(counts(&*store, "devo").await, Some((4, 2)));
    let first = store.dead_letters("devo", 0, 0).await.expect("letters");
    assert_eq!(first.iter().map(|letter| letter.position.batch).collect::<Vec<_>>(), [3], "the oldest are gone");
}

pub(in crate::store) async fn a_replay_gives_each_letter_to_its_output_once(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = furnish(&*store).await;
    // More than one frame of letters, and more than one head.
    let lease = lease(&*store, &alerts).await;
    let id = store.begin(&lease, &alerts, &head("other")).await.expect("begin");
    let mut body = vec![b'x'; 400_000];
    body.push(b'\n');
    let frames = [Frame { events: 2, body: body.repeat(2) }];
    store.append(id, &frames[0]).await.expect("append");
    let commit = Commit { epoch: 1, batch: Some(count(id, &frames)), ..Commit::default() };
    store.commit(&lease, &alerts, &commit).await.expect("commit");
    let refused = [(1, 0), (2, 2), (3, 0), (3, 1)].map(|(batch, line)| refusal(&alerts, at(batch, 0), line));
    bury(&*store, "devo", &alerts, at(3, 0), &refused).await.expect("bury");
    bury(&*store, "file", &alerts, at(3, 0), &[refusal(&alerts, at(1, 0), 1)]).await.expect("bury");

    assert_eq!(store.replay("unmet").await.expect("replay"), 0);
    assert_eq!(store.replay("devo").await.expect("replay"), 4);
    assert_eq!(store.replay("devo").await.expect("nothing is left"), 0);
    assert_eq!((counts(&*store, "devo").await, counts(&*store, "file").await), (Some((0, 0)), Some((1, 0))));
    let back = replay_stream("devo");
    let seen = all_frames(&*store, &back).await;
    let expected = format!("{}\n{}\n", line("a0", 0), line("b0", 2)).into_bytes();
    assert_eq!(seen.iter().map(|seen| &seen.body).collect::<Vec<_>>(), [&expected, &body, &body]);
    assert_eq!(seen.iter().map(|seen| &*seen.head.tag).collect::<Vec<_>>(), ["tag", "other", "other"]);
    assert_eq!(
        seen.iter().map(|seen| (seen.position.batch, seen.events)).collect::<Vec<_>>(),
        [(1, 2), (2, 1), (3, 1)]
    );
    assert_eq!(store.streams().await.expect("streams").len(), 1, "it is no stream that anybody pulls");

    // It waits for this output and for nobody else, also when the others are collected.
    assert_eq!(store.depth("devo").await.expect("depth").events, 4);
    collect(&*store, &["devo", "file"]).await;
    assert_eq!(attach(&*store, "devo", &back, StartAt::Now).await, Position::START);
    assert_eq!(all_frames(&*store, &back).await.len(), 3);
    advance(&*store, "devo", &back, at(3, 0)).await;
    collect(&*store, &["devo", "file"]).await;
    assert_eq!(store.bytes().await.expect("bytes"), 0);
}

pub(in crate::store) async fn a_replayed_event_can_be_refused_again(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = furnish(&*store).await;
    bury(&*store, "devo", &alerts, at(1, 0), &[refusal(&alerts, at(1, 0), 2)]).await.expect("bury");
    let back = replay_stream("devo");
    for round in 1..4 {
        assert_eq!(store.replay("devo").await.expect("replay"), 1);
        bury(&*store, "devo", &back, at(round, 0), &[refusal(&back, at(round, 0), 0)]).await.expect("bury");
        let kept = letters(&*store, "devo").await;
        assert_eq!((kept.len(), &*kept[0].record), (1, line("a0", 2).as_bytes()));
    }
}

pub(in crate::store) async fn a_dropped_output_takes_its_letters_with_it(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = furnish(&*store).await;
    for output in ["devo", "file"] {
        let refused = [refusal(&alerts, at(1, 0), 0), refusal(&alerts, at(1, 0), 1)];
        bury(&*store, output, &alerts, at(1, 0), &refused).await.expect("bury");
    }
    store.replay("devo").await.expect("replay");
    bury(&*store, "devo", &alerts, at(1, 1), &[refusal(&alerts, at(1, 1), 0)]).await.expect("bury");
    let dropped = store.drop_output("devo").await.expect("drop").expect("known");
    assert_eq!((dropped.dead_letters, dropped.depth.events), (1, 6 + 2));
    assert!(letters(&*store, "devo").await.is_empty());
    assert!(all_frames(&*store, &replay_stream("devo")).await.is_empty());
    assert_eq!(counts(&*store, "file").await, Some((2, 0)));
}

pub(in crate::store) async fn a_renamed_output_keeps_its_letters(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = furnish(&*store).await;
    bury(&*store, "devo", &alerts, at(1, 0), &[refusal(&alerts, at(1, 0), 2)]).await.expect("bury");
    attach(&*store, "new", &alerts, StartAt::Output("devo".to_owned())).await;
    bury(&*store, "new", &alerts, at(1, 1), &[refusal(&alerts, at(1, 1), 0)]).await.expect("bury");
    collect(&*store, &["file", "new"]).await;
    assert_eq!(counts(&*store, "devo").await, None);
    assert_eq!(counts(&*store, "new").await, Some((2, 0)));
    assert_eq!(sources(&*store, "new").await, [(1, 0, 2), (1, 1, 0)]);
    assert_eq!(store.replay("new").await.expect("replay"), 2);
}
