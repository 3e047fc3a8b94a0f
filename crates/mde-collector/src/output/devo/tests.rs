//! What only a connection can show: faults of the receiver, soundness, identity.

mod confirming;
mod measure;
mod trust;

use super::*;
use crate::output::conformance::certificates::Authority;
use crate::output::conformance::receiver::{Plan, Receiver};
use crate::output::conformance::ship::{Shipper, frames};
use crate::output::conformance::subjects::{GZIP, Kind, PLAIN, StreamSubject, THREE, TLS, config as loopback};
use crate::output::conformance::{PATIENCE, Subject, until};
use crate::record::ErrorClass;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::timeout;

/// Never reached in a test: only the peer's FIN confirms.
const LATE: Option<Duration> = Some(Duration::from_secs(3600));

/// What must bear each fault alike.
const KINDS: [Kind; 3] = [PLAIN, TLS, GZIP];

/// Both ways of confirming.
const WAYS: [Option<Duration>; 2] = [LATE, None];

/// Lets this much time pass at once. Nothing may be under way meanwhile.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Asks for confirmation until everything handed is confirmed.
async fn confirm_all(shipper: &mut Shipper, output: &mut dyn Output, frame_count: usize) {
    let asking = async {
        while shipper.confirmed < frame_count {
            shipper.confirm(output).await.expect("sound");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("confirmed in the end");
}

/// Asks for confirmation until the answer is an error.
async fn confirm_until_error(output: &mut dyn Output) -> OutputError {
    let asking = async {
        loop {
            match output.confirmed().await {
                Err(error) => return error,
                Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("an error in the end")
}

/// Everything has arrived, doubles or not.
async fn assert_nothing_lost(subject: &StreamSubject, shipper: &Shipper) {
    until("everything is at the receiver", || {
        subject.received().into_iter().collect::<BTreeSet<_>>() == shipper.events()
    })
    .await;
}

/// Each connection brings the events of a stream in order and without a gap.
fn assert_no_gaps(subject: &StreamSubject) {
    for taken in subject.receiver.connections() {
        let numbers: Vec<_> =
            crate::output::conformance::ship::events_of(&taken.octets).iter().map(|event| event.number).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    }
}

#[tokio::test]
async fn two_thousand_events_and_one_reset_after_158_lose_nothing() {
    for kind in [PLAIN, TLS] {
        for way in WAYS {
            let shipped = frames(1, 100, 20, 200);
            let on_wire = shipped[0].body.len() as u64 / 20 + 73;
            let subject = StreamSubject::with(kind, way, [Plan::ResetAfter(158 * on_wire)]).await;
            let mut shipper = Shipper::new(shipped);
            shipper.ship(&mut *subject.build(None), |_| ()).await;
            assert_eq!(shipper.errors.len(), 1, "{:?}", shipper.errors);
            assert_eq!(shipper.errors[0].class, ErrorClass::Transient);
            assert_nothing_lost(&subject, &shipper).await;
            assert_no_gaps(&subject);
        }
    }
}

#[tokio::test]
async fn two_thousand_events_and_one_reset_at_any_of_200_octets_lose_nothing() {
    const SEED: u64 = 20_261_124;
    for kind in [PLAIN, TLS, GZIP, THREE] {
        let mut random = SmallRng::seed_from_u64(SEED);
        let shipped = || frames(3, 100, 20, 20).into_iter().take(100);
        let clean = StreamSubject::new(kind, LATE).await;
        let mut shipper = Shipper::new(shipped().collect());
        shipper.ship(&mut *clean.build(None), |_| ()).await;
        // A reset at the last octets may come when all is said; the first connection bears a part of it at least.
        let total = clean.receiver.connections()[0].octets.len() as u64;
        assert_eq!(shipper.events().len(), 2_000);
        let mut resets = 0;
        for round in 0..200 {
            let (way, at) = (WAYS[round % 2], random.random_range(0..total));
            let subject = StreamSubject::with(kind, way, [Plan::ResetAfter(at)]).await;
            let mut shipper = Shipper::new(shipped().collect());
            shipper.ship(&mut *subject.build(None), |_| ()).await;
            let place = format!("seed {SEED}, round {round}, {kind:?}, octet {at}: {:?}", shipper.errors);
            assert!(shipper.errors.iter().all(|error| error.class == ErrorClass::Transient), "{place}");
            assert!(shipper.errors.len() <= 1, "{place}");
            resets += shipper.errors.len();
            assert_nothing_lost(&subject, &shipper).await;
        }
        assert!(resets > 190, "{kind:?}: only {resets} resets were met");
    }
}

#[tokio::test]
async fn resets_at_any_octet_lose_nothing() {
    const SEED: u64 = 20_261_124;
    let mut random = SmallRng::seed_from_u64(SEED);
    for round in 0..48 {
        let (kind, way) = (KINDS[round % 3], WAYS[round / 3 % 2]);
        let total = if kind.gzip { 2_000 * 10 } else { 2_000 * 110 };
        let plans: Vec<_> = (0..3).map(|_| Plan::ResetAfter(random.random_range(0..total))).collect();
        let subject = StreamSubject::with(kind, way, plans.clone()).await;
        let mut shipper = Shipper::new(frames(1, 100, 20, 0));
        shipper.ship(&mut *subject.build(None), |_| ()).await;
        assert!(shipper.errors.iter().all(|error| error.class == ErrorClass::Transient), "{:?}", shipper.errors);
        assert_nothing_lost(&subject, &shipper).await;
        assert_no_gaps(&subject);
        assert!(shipper.errors.len() <= 3, "seed {SEED}, round {round}, {plans:?}: {:?}", shipper.errors);
    }
}

#[tokio::test]
async fn streams_spread_over_connections_and_each_keeps_to_one() {
    let kind = Kind { connections: 3, ..PLAIN };
    let subject = StreamSubject::new(kind, LATE).await;
    let mut shipper = Shipper::new(frames(7, 20, 3, 10));
    shipper.ship(&mut *subject.build(None), |_| ()).await;
    assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
    let streams: Vec<BTreeSet<u32>> = subject
        .receiver
        .connections()
        .iter()
        .map(|taken| {
            let events = crate::output::conformance::ship::events_of(&taken.octets);
            events.iter().map(|event| event.stream).collect()
        })
        .collect();
    assert_eq!(streams, [BTreeSet::from([0, 3, 6]), BTreeSet::from([1, 4]), BTreeSet::from([2, 5])]);
}

#[tokio::test]
async fn what_is_confirmed_ends_before_the_first_frame_that_any_connection_lacks() {
    for way in WAYS {
        let kind = Kind { connections: 3, ..PLAIN };
        let subject = StreamSubject::with(kind, way, [Plan::Read, Plan::Stall, Plan::Read]).await;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(3, 4, 2, 10));
        while shipper.write_next(&mut *output).await.expect("written") {}
        // Half-closed, two of three connections end; frames 0, 3, 6 … and 2, 5, 8 … are confirmed there.
        let closing = output.close(Duration::from_millis(200)).await.expect("no error, only no end");
        shipper.take(closing);
        assert_eq!(shipper.confirmed, 1, "the second frame lies on the connection that stands still");
        subject.receiver.read_on();
        confirm_all(&mut shipper, &mut *output, 12).await;
        assert_nothing_lost(&subject, &shipper).await;
    }
}

#[tokio::test]
async fn compression_follows_the_backlog_on_one_connection() {
    let subject = {
        let mut subject = StreamSubject::new(TLS, LATE).await;
        subject.config.gzip = Some(crate::config::outputs::compression::Gzip::default());
        subject
    };
    let mut output = subject.build(None);
    let mut shipper = Shipper::new(frames(1, 60, 20, 0));
    while shipper.write_next(&mut *output).await.expect("written") {
        output.backlog(if (20..40).contains(&(shipper.handed.0 as usize / shipper.frames[0].body.len())) {
            9 << 20
        } else {
            0
        });
    }
    shipper.take(output.close(PATIENCE).await.expect("closed"));
    assert_eq!(shipper.confirmed, 60);
    let connections = subject.receiver.connections();
    assert_eq!(connections.len(), 1);
    let plain = connections[0].octets.windows(4).filter(|part| part == b"<14>").count();
    assert!((700..1_000).contains(&plain), "{plain} of 1200 headers are plain");
    assert_nothing_lost(&subject, &shipper).await;
}

#[tokio::test]
async fn slow_and_talkative_receivers_are_served_like_others() {
    for kind in KINDS {
        for plan in [Plan::Slow, Plan::Talk] {
            let subject = StreamSubject::with(kind, None, [plan]).await;
            let mut shipper = Shipper::new(frames(1, 40, 20, 1_000));
            shipper.ship(&mut *subject.build(None), |_| ()).await;
            assert_eq!(shipper.errors.len(), 0, "{plan:?}: {:?}", shipper.errors);
            assert_eq!(subject.received().len(), 800, "{plan:?}");
        }
    }
}

#[tokio::test]
async fn a_frame_that_is_given_up_in_the_middle_never_looks_like_a_whole_one() {
    for kind in KINDS {
        let subject = StreamSubject::with(kind, LATE, [Plan::Stall]).await;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(1, 1, 9_000, 1_000));
        // 9 MB are more than socket buffers take: the rest waits in memory, and the far side has half a line.
        shipper.write_next(&mut *output).await.expect("taken");
        assert!(futures_util::FutureExt::now_or_never(output.flush()).is_none(), "9 MB went into socket buffers");
        until("the receiver stands", || subject.receiver.connections().iter().any(|taken| taken.standing)).await;
        shipper.recover(&mut *output).await;
        subject.receiver.read_on();
        until("the receiver has let go", || subject.is_quiet()).await;
        assert!(!subject.receiver.connections()[0].ended, "it was reset, not ended: {kind:?}");
        shipper.ship(&mut *output, |_| ()).await;
        assert_nothing_lost(&subject, &shipper).await;
    }
}

#[tokio::test]
async fn a_connection_that_stands_still_does_not_hold_up_the_others() {
    for way in WAYS {
        let kind = Kind { connections: 3, ..PLAIN };
        let subject = StreamSubject::with(kind, way, [Plan::Stall, Plan::Read, Plan::Read]).await;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(3, 1, 9_000, 1_000));
        // The first stream's frame does not fit into its connection's buffers; who waits for the others moves on.
        for _ in 0..3 {
            shipper.write_next(&mut *output).await.expect("taken");
        }
        {
            let flushing = output.flush();
            tokio::pin!(flushing);
            let others = async {
                until("the two others have all", || {
                    let came = subject.received();
                    [1, 2].iter().all(|stream| came.iter().filter(|event| event.stream == *stream).count() == 9_000)
                })
                .await;
            };
            tokio::select! {
                biased;
                _ = &mut flushing => panic!("9 MB went into the socket buffers of a connection that stands still"),
                () = others => {}
            }
            subject.receiver.read_on();
            timeout(PATIENCE, flushing).await.expect("in the end").expect("sound");
        }
        shipper.ship(&mut *output, |_| ()).await;
        assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
        assert_nothing_lost(&subject, &shipper).await;
    }
}
