//! What only a connection can show: faults of the receiver, soundness, identity.

mod measure;

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
async fn a_receiver_that_ends_before_us_confirms_nothing() {
    for kind in KINDS {
        for way in [Some(Duration::ZERO), LATE, None] {
            let subject = StreamSubject::with(kind, way, [Plan::EndFirst]).await;
            let mut output = subject.build(None);
            let mut shipper = Shipper::new(frames(1, 1, 1, 0));
            if shipper.write_next(&mut *output).await.is_ok() {
                until("it has said its end", || subject.receiver.connections().iter().any(|taken| taken.said_end))
                    .await;
                // Even our own end behind it must not count.
                let error = output.close(PATIENCE).await.expect_err("nothing counts");
                assert_eq!(error.class, ErrorClass::Transient);
            }
            shipper.recover(&mut *output).await;
            shipper.ship(&mut *output, |_| ()).await;
            assert_nothing_lost(&subject, &shipper).await;
        }
    }
}

#[tokio::test]
async fn an_end_that_crosses_ours_counts_only_when_everything_was_acknowledged() {
    use tokio::io::AsyncReadExt;
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket.set_recv_buffer_size(4_096).expect("buffer");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("bound");
    let listener = socket.listen(1).expect("listening");
    let port = listener.local_addr().expect("address").port();
    let mut output = Devo::new(loopback(port, None, None));
    let mut shipper = Shipper::new(frames(1, 1, 300, 1_000));
    shipper.write_next(&mut output).await.expect("our kernel has room");
    let (mut receiver, _) = listener.accept().await.expect("connected");
    // Our FIN waits behind octets for which the receiver has no room, when the receiver's comes.
    assert_eq!(output.close(Duration::from_millis(60)).await.expect("no end yet").through, Offset(0));
    rustix::net::shutdown(&receiver, rustix::net::Shutdown::Write).expect("ended");
    for _ in 0..50 {
        shipper.confirm(&mut output).await.expect("still open towards the receiver");
        assert_eq!(shipper.confirmed, 0);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut octets = Vec::new();
    receiver.read_to_end(&mut octets).await.expect("read");
    confirm_all(&mut shipper, &mut output, 1).await;
    assert_eq!(crate::output::conformance::ship::events_of(&octets).len(), 300);
}

#[tokio::test]
async fn a_polite_close_with_frames_unconfirmed_is_one_error() {
    for kind in KINDS {
        for way in WAYS {
            let subject = StreamSubject::with(kind, way, []).await;
            let mut output = subject.build(None);
            let mut shipper = Shipper::new(frames(1, 6, 2, 100));
            for _ in 0..3 {
                shipper.write_next(&mut *output).await.expect("written");
            }
            until("three frames have come", || subject.received().len() == 6).await;
            subject.receiver.hang_up();
            until("the receiver has let go", || subject.is_quiet()).await;
            // The next write must see it, without any other call between.
            let error = shipper.write_next(&mut *output).await.expect_err("noticed before the write");
            assert_eq!(error.class, ErrorClass::Transient);
            shipper.recover(&mut *output).await;
            shipper.ship(&mut *output, |_| ()).await;
            assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
            assert_nothing_lost(&subject, &shipper).await;
        }
    }
}

#[tokio::test]
async fn a_polite_close_with_nothing_unconfirmed_costs_nothing() {
    for kind in KINDS {
        let subject = StreamSubject::with(kind, Some(Duration::ZERO), []).await;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(1, 4, 2, 100));
        for _ in 0..2 {
            shipper.write_next(&mut *output).await.expect("written");
        }
        confirm_all(&mut shipper, &mut *output, 2).await;
        until("two frames have come", || subject.received().len() == 4).await;
        subject.receiver.hang_up();
        until("the receiver has let go", || subject.is_quiet()).await;
        shipper.ship(&mut *output, |_| ()).await;
        assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
        until("all frames have come", || subject.received().len() == 8).await;
        assert_eq!(subject.receiver.connections().len(), 2);
    }
}

#[tokio::test]
async fn a_receiver_that_stands_still_is_given_up_and_nothing_is_lost() {
    for kind in KINDS {
        let subject = StreamSubject::with(kind, Some(Duration::ZERO), [Plan::Stall]).await;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(1, 16, 1_000, 1_000));
        shipper.write_next(&mut *output).await.expect("the buffers take one");
        // From here on only our own patience moves the clock.
        tokio::time::pause();
        let error = loop {
            match shipper.write_next(&mut *output).await {
                Ok(more) => assert!(more, "16 MB went into socket buffers"),
                Err(error) => break error,
            }
        };
        tokio::time::resume();
        assert_eq!(error.class, ErrorClass::Transient);
        shipper.recover(&mut *output).await;
        shipper.ship(&mut *output, |_| ()).await;
        subject.receiver.read_on();
        assert_nothing_lost(&subject, &shipper).await;
    }
}

#[tokio::test]
async fn confirmed_never_passes_what_the_receivers_kernel_has() {
    let receiver = Receiver::start_with_buffer(None, [Plan::Stall], Some(16 * 1024)).await;
    let mut output = Devo::new(loopback(receiver.port, None, Some(Duration::ZERO)));
    let mut shipper = Shipper::new(frames(1, 200, 1, 1_000));
    let on_wire = shipper.frames[0].body.len() as u64 + 73;
    while shipper.write_next(&mut output).await.expect("our kernel has room") {
        shipper.confirm(&mut output).await.expect("sound");
    }
    confirm_all(&mut shipper, &mut output, 1).await;
    for _ in 0..100 {
        shipper.confirm(&mut output).await.expect("sound");
        // Nothing is read meanwhile, so what is held later was never less before.
        let confirmed = shipper.confirmed as u64;
        until("the receiver's kernel has what is confirmed", || receiver.held() >= confirmed * on_wire).await;
    }
    assert!(shipper.confirmed < 200, "200 KB went into a buffer of 16 KiB");
    receiver.read_on();
    confirm_all(&mut shipper, &mut output, 200).await;
}

#[tokio::test]
async fn confirming_late_does_not_hold_up_writing() {
    for kind in KINDS {
        for way in WAYS {
            let subject = StreamSubject::with(kind, way, []).await;
            let mut output = subject.build(None);
            let mut shipper = Shipper::new(frames(1, 3_000, 1, 1_000));
            while shipper.write_next(&mut *output).await.expect("written") {
                shipper.confirm(&mut *output).await.expect("sound");
            }
            assert_eq!(shipper.confirmed, 0, "nothing is old enough, and nothing was ended");
            assert_eq!(subject.receiver.connections().len(), 1);
            shipper.take(output.close(PATIENCE).await.expect("closed"));
            assert_eq!(shipper.confirmed, 3_000);
        }
    }
}

#[tokio::test]
async fn an_acknowledgement_confirms_once_it_is_old_enough() {
    for kind in KINDS {
        let mut subject = StreamSubject::with(kind, LATE, []).await;
        subject.config.idle = Duration::MAX;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(1, 2, 3, 10));
        shipper.write_next(&mut *output).await.expect("written");
        until("it has come", || subject.received().len() == 3).await;
        shipper.confirm(&mut *output).await.expect("sound");
        assert_eq!(shipper.confirmed, 0);
        let asking = async {
            while shipper.confirmed == 0 {
                pass(Duration::from_secs(3600)).await;
                shipper.confirm(&mut *output).await.expect("sound");
                // The acknowledgement itself comes in its own time.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE * 3600, asking).await.expect("confirmed in the end");
        assert_eq!(subject.receiver.connections().len(), 1, "by acknowledgement, not by FIN");
    }
}

#[tokio::test]
async fn an_old_acknowledgement_counts_for_nothing_on_a_broken_connection() {
    for kind in KINDS {
        // The kernel has acknowledged everything when the reset comes.
        let subject = StreamSubject::with(kind, LATE, [Plan::Stall]).await;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(1, 4, 2, 10));
        shipper.write_next(&mut *output).await.expect("written");
        // Under TLS the handshake may have read the first frame along; the second stays in the kernel.
        until("the receiver stands", || subject.receiver.connections().iter().any(|taken| taken.standing)).await;
        shipper.write_next(&mut *output).await.expect("written");
        until("the receiver's kernel has it", || subject.receiver.held() > 100).await;
        shipper.confirm(&mut *output).await.expect("sound");
        subject.receiver.reset_all();
        until("the receiver has let go", || subject.is_quiet()).await;
        pass(Duration::from_secs(3600)).await;
        let error = output.confirmed().await.expect_err("not sound");
        assert_eq!(error.class, ErrorClass::Transient);
        shipper.recover(&mut *output).await;
        shipper.ship(&mut *output, |_| ()).await;
        assert_nothing_lost(&subject, &shipper).await;
    }
}

#[tokio::test]
async fn a_resting_connection_is_ended_and_its_end_confirms() {
    for kind in KINDS {
        let mut subject = StreamSubject::with(kind, None, []).await;
        subject.config.idle = Duration::from_secs(25);
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(1, 3, 2, 10));
        shipper.write_next(&mut *output).await.expect("written");
        shipper.confirm(&mut *output).await.expect("sound");
        pass(Duration::from_secs(24)).await;
        shipper.write_next(&mut *output).await.expect("written");
        pass(Duration::from_secs(24)).await;
        shipper.confirm(&mut *output).await.expect("sound");
        assert_eq!(shipper.confirmed, 0, "it has not rested long enough");
        pass(Duration::from_secs(1)).await;
        confirm_all(&mut shipper, &mut *output, 2).await;
        assert!(subject.receiver.connections()[0].ended);
        shipper.ship(&mut *output, |_| ()).await;
        assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
        assert_eq!(subject.receiver.connections().len(), 2);
        assert_eq!(subject.received().len(), 6);
    }
}

#[tokio::test]
async fn where_only_fin_counts_a_busy_connection_hands_over_each_minute() {
    for kind in KINDS {
        let subject = StreamSubject::with(kind, None, [Plan::Stall]).await;
        let mut output = subject.build(None);
        let mut shipper = Shipper::new(frames(1, 12, 2, 10));
        for _ in 0..4 {
            shipper.write_next(&mut *output).await.expect("written");
            pass(Duration::from_secs(20)).await;
        }
        assert_eq!(subject.receiver.connections().len(), 2, "the fourth frame went to a second connection");
        pass(Duration::from_secs(5)).await;
        shipper.confirm(&mut *output).await.expect("sound");
        until("the second connection, which rested, has ended", || subject.receiver.connections()[1].over).await;
        shipper.confirm(&mut *output).await.expect("sound");
        assert_eq!(shipper.confirmed, 0, "what is confirmed is a prefix, and the first connection stands still");
        subject.receiver.read_on();
        confirm_all(&mut shipper, &mut *output, 4).await;
        shipper.ship(&mut *output, |_| ()).await;
        assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
        assert_eq!(subject.received().len(), 24, "nothing twice");
    }
}

#[tokio::test]
async fn where_the_system_tells_no_acknowledgements_only_the_end_of_a_connection_counts() {
    for kind in KINDS {
        let subject = StreamSubject::with(kind, Some(Duration::ZERO), []).await;
        let mut output = Devo::new(subject.config.clone());
        // As on a system whose sockets have no such question: `Socket::unacknowledged` is always `None` there.
        output.without_acknowledgements();
        let mut shipper = Shipper::new(frames(1, 2, 3, 10));
        shipper.write_next(&mut output).await.expect("written");
        until("it has come", || subject.received().len() == 3).await;
        for _ in 0..20 {
            shipper.confirm(&mut output).await.expect("sound");
            assert_eq!(shipper.confirmed, 0, "it has come, but nobody has said so");
        }
        pass(subject.config.idle).await;
        confirm_all(&mut shipper, &mut output, 1).await;
        assert!(subject.receiver.connections()[0].ended);
    }
}

#[tokio::test]
async fn an_end_that_is_never_answered_is_given_up() {
    let subject = StreamSubject::with(PLAIN, None, [Plan::Stall]).await;
    let mut output = subject.build(None);
    let mut shipper = Shipper::new(frames(1, 2, 2, 10));
    shipper.write_next(&mut *output).await.expect("written");
    pass(subject.config.idle).await;
    shipper.confirm(&mut *output).await.expect("ending");
    pass(connection::LINGER + Duration::from_secs(1)).await;
    let error = confirm_until_error(&mut *output).await;
    assert_eq!(error.class, ErrorClass::Transient);
    shipper.recover(&mut *output).await;
    shipper.ship(&mut *output, |_| ()).await;
    assert_nothing_lost(&subject, &shipper).await;
}

#[tokio::test]
async fn close_keeps_to_its_time_and_confirms_by_its_rule_only() {
    for kind in KINDS {
        for way in WAYS {
            let subject = StreamSubject::with(kind, way, [Plan::Stall]).await;
            let mut output = subject.build(None);
            let mut shipper = Shipper::new(frames(1, 1, 2, 10));
            shipper.write_next(&mut *output).await.expect("written");
            let confirmed = output.close(Duration::from_millis(120)).await.expect("no error, only no end");
            assert_eq!(confirmed.through, Offset(0));
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

#[tokio::test]
async fn nobody_listening_is_transient_and_names_the_receiver() {
    let port = Receiver::start(None, []).await.port;
    let mut output = Devo::new(loopback(port, None, LATE));
    // The listener is gone with the receiver; its task ends at the next turn.
    let error = loop {
        match output.check().await {
            Err(error) => break error,
            Ok(()) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.to_string().contains(&format!("devo_platform 127.0.0.1:{port}")), "{error}");
}

/// A TLS configuration of ours.
fn tls(chain: &Authority, identity: Option<(&std::path::Path, &std::path::Path)>, check_hostname: bool) -> config::Tls {
    config::Tls {
        identity: identity.map(|(cert, key)| config::ClientIdentity { cert: cert.to_owned(), key: key.to_owned() }),
        chain: Some(chain.chain()),
        check_hostname,
    }
}

/// What `check` says to a receiver with that certificate, that asks for ours where `asks` names who signs it.
async fn check(server: Arc<rustls::ServerConfig>, tls: config::Tls, address: &str) -> Result<Devo, OutputError> {
    let receiver = Receiver::start(Some(server), []).await;
    let mut config = loopback(receiver.port, Some(tls), LATE);
    config.address = address.to_owned();
    let mut output = Devo::new(config);
    let checked = output.check().await;
    assert_eq!(receiver.received(), [], "a check delivers nothing");
    checked.map(|()| output)
}

#[tokio::test]
async fn the_receivers_name_is_verified_unless_told_otherwise_and_its_chain_always() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13][..]] {
        let named = |name: &str| Authority::server(&authority.sign("server", &[name]), None, versions);
        check(named("127.0.0.1"), tls(&authority, None, true), "127.0.0.1").await.expect("address in the certificate");
        check(named("localhost"), tls(&authority, None, true), "localhost").await.expect("name in the certificate");
        let error = check(named("other"), tls(&authority, None, true), "localhost").await.err().expect("another name");
        assert_eq!(error.class, ErrorClass::Denied);
        check(named("other"), tls(&authority, None, false), "localhost").await.expect("the name does not matter");
        for check_hostname in [true, false] {
            let untrusted = tls(&stranger, None, check_hostname);
            let error = check(named("localhost"), untrusted, "localhost").await.err().expect("unknown authority");
            assert_eq!(error.class, ErrorClass::Denied);
        }
    }
}

#[tokio::test]
async fn a_check_tells_which_certificate_ends_soon_and_what_is_not_verified() {
    let authority = Authority::new();
    let ours = authority.sign("client", &["sender"]);
    let server =
        || Authority::server(&authority.sign("server", &["127.0.0.1"]), Some(&authority), rustls::ALL_VERSIONS);
    let with = |check_hostname| tls(&authority, Some((&ours.cert, &ours.key)), check_hostname);
    let output = check(server(), with(true), "127.0.0.1").await.expect("accepted");
    // What is made on the spot is good until 4096.
    assert_eq!(output.notes(0), [""; 0]);
    let end_ms = 67_090_118_400_000 - 29 * 86_400_000;
    let notes = output.notes(end_ms);
    assert_eq!(notes.len(), 3, "ours, the root, the receiver's: {notes:#?}");
    for (note, place) in notes.iter().zip(["client.crt", "chain.pem", "devo_platform 127.0.0.1:"]) {
        assert!(note.contains(place) && note.contains("expires on 4096-01-01, in 29 days"), "{note}");
    }
    let output = check(server(), with(false), "127.0.0.1").await.expect("accepted");
    assert!(output.notes(0).concat().contains("check_hostname"), "{:?}", output.notes(0));
}

#[tokio::test]
async fn a_refused_client_certificate_is_denied_also_after_the_handshake() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (ours, theirs) = (authority.sign("client", &["sender"]), stranger.sign("client", &["sender"]));
    let server = authority.sign("server", &["127.0.0.1"]);
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13][..]] {
        let asking = || Authority::server(&server, Some(&authority), versions);
        let good = tls(&authority, Some((&ours.cert, &ours.key)), true);
        check(asking(), good, "127.0.0.1").await.expect("accepted");
        for bad in [None, Some((&*theirs.cert, &*theirs.key))] {
            let error = check(asking(), tls(&authority, bad, true), "127.0.0.1").await.err().expect("refused");
            assert_eq!(error.class, ErrorClass::Denied, "{error:?}");
            // Without a check the refusal meets the first frames; none of them counts as delivered.
            let receiver = Receiver::start(Some(asking()), []).await;
            let mut output = Devo::new(loopback(receiver.port, Some(tls(&authority, bad, true)), LATE));
            let error = match output.write(&frames(1, 1, 1, 10)[0]).await {
                Err(error) => error,
                Ok(_) => confirm_until_error(&mut output).await,
            };
            assert_eq!(error.class, ErrorClass::Denied, "{error:?}");
        }
    }
}

#[tokio::test]
async fn keys_are_read_in_all_three_forms_and_at_each_connect() {
    let authority = Authority::new();
    let server = authority.sign("server", &["127.0.0.1"]);
    let receiver = Receiver::start(Some(Authority::server(&server, Some(&authority), rustls::ALL_VERSIONS)), []).await;
    let client = authority.sign("client", &["sender"]);
    let mut output =
        Devo::new(loopback(receiver.port, Some(tls(&authority, Some((&client.cert, &client.key)), true)), LATE));
    output.check().await.expect("PKCS#8");
    for (algorithm, label) in
        [(&rcgen::PKCS_RSA_SHA256, "RSA PRIVATE KEY"), (&rcgen::PKCS_ECDSA_P256_SHA256, "EC PRIVATE KEY")]
    {
        let (key, pem) = Authority::older_form(algorithm, label);
        authority.sign_with("client", &["sender"], key);
        std::fs::write(&client.key, pem).expect("written");
        output.check().await.expect(label);
    }
    std::fs::write(&client.key, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n").expect("written");
    let error = output.check().await.expect_err("a broken key");
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(!format!("{error:?}").contains("c2VjcmV0") && !format!("{error:?}").contains("secret"), "{error:?}");
    std::fs::remove_file(&client.key).expect("removed");
    let error = output.check().await.expect_err("no key");
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(format!("{error:?}").contains("client.key"), "{error:?}");
}
