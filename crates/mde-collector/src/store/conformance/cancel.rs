//! A call whose future is dropped half-way: a shutdown, a timeout, a lost race.

use super::*;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Polls at most `times` times, each time when the call has something new to do. `None`: cancelled by then.
async fn polled<T>(times: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        call.as_mut().poll(context).map(Some)
    })
    .await
}

pub(in crate::store) async fn a_cancelled_commit_is_whole_or_absent(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    let mut whole = 0;
    // Ends when the call is allowed more polls than it needs; a bound only so that a hang is seen as one.
    for times in 0..10_000_u32 {
        let round = i64::from(times);
        let frames = [frame(&format!("round {times}"), 1)];
        let id = fill(&*store, &lease, &alerts, &frames).await;
        let key = stored_key(u64::from(times), round);
        let progress = Progress { checkpoint_ms: Some(round), memory: Some(times.to_string()), ..Progress::default() };
        let commit =
            Commit { epoch: 1, batch: Some(count(id, &frames)), keys: vec![key], progress, ..Commit::default() };
        let before = store.stream(&alerts).await.expect("stream");
        let finished = polled(times as usize, store.commit(&lease, &alerts, &commit)).await;

        // The next call that writes finds a sound connection, and the cancelled one has happened or it has not.
        store.acquire("another", NODE, TERM).await.expect("acquire");
        let state = store.stream(&alerts).await.expect("stream");
        let known = store.known(&alerts, &[key.key]).await.expect("known")[0];
        let seen = all_frames(&*store, &alerts).await.iter().any(|seen| seen.body == frames[0].body);
        let shown = state.last_batch > before.last_batch;
        assert_eq!((known, seen), (shown, shown), "after {times} polls");
        let expected = if shown { (Some(round), times.to_string()) } else { (before.checkpoint_ms, before.memory) };
        assert_eq!((state.checkpoint_ms, state.memory), expected, "after {times} polls");
        whole += usize::from(shown);
        if let Some(number) = finished {
            assert_eq!(number.expect("commit"), Some(state.last_batch));
            // A store that is done before we look again needs few polls; then it was not cancelled often enough.
            if times > 3 {
                assert!(whole <= times as usize, "some cancelled calls must have been taken back");
                return;
            }
        }
        store.discard(id).await.ok();
    }
    panic!("the call never ended");
}

pub(in crate::store) async fn a_cancelled_append_can_be_thrown_away(place: &mut impl Place) {
    let store = place.open().await;
    let alerts = stream("alerts");
    let lease = lease(&*store, &alerts).await;
    for times in 0..10_000_u32 {
        let id = store.begin(&lease, &alerts, &head("tag")).await.expect("begin");
        let finished = polled(times as usize, store.append(id, &frame("half", 5))).await;
        store.discard(id).await.expect("discard");
        assert_eq!(store.bytes().await.expect("bytes"), 0, "after {times} polls");
        if finished.is_some() {
            return;
        }
    }
    panic!("the call never ended");
}
