//! What counts as delivered: the end of a connection, or octets that were acknowledged long enough ago; and nothing less.

use super::*;

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
