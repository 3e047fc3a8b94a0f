//! What only an output over HTTP can show: faults at any place of a request, refused events, waiting, credentials.

use super::super::conformance::certificates::{Authority, Signed};
use super::super::conformance::http::{HttpSubject, TOKEN, devo, elasticsearch, splunk};
use super::super::conformance::ship::{Event, Shipper, frames, with_ids};
use super::super::conformance::{PATIENCE, Subject};
use super::divided;
use crate::config::Secret;
use crate::config::outputs::devo::Tls;
use crate::config::outputs::http::{Auth, Preset, Token};
use crate::output::{Output, OutputError};
use crate::record::ErrorClass;
use mde_sim::receiver::HttpFault;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Every preset, and the acknowledged Splunk beside the other one.
fn presets() -> Vec<Preset> {
    vec![Preset::Ndjson, Preset::JsonArray, splunk(None), splunk(Some(PATIENCE)), elasticsearch(), devo()]
}

/// Ships everything, over errors, and looks that nothing is lost or out of order.
async fn ship_all(subject: &HttpSubject) -> Shipper {
    let mut shipper = Shipper::new(with_ids(frames(2, 6, 10, 300)));
    let mut output = subject.build(None);
    shipper.ship(&mut *output, |_| ()).await;
    let received: BTreeSet<Event> = subject.received().into_iter().collect();
    assert_eq!(received, shipper.events(), "lost or invented events");
    shipper
}

/// The error of a first write.
async fn first_error(subject: &HttpSubject) -> OutputError {
    let mut output = subject.build(None);
    output.write(&with_ids(frames(1, 1, 4, 10))[0]).await.expect_err("it is refused")
}

#[tokio::test]
async fn a_reset_at_any_octet_of_a_request_loses_nothing_and_doubles_nothing() {
    for preset in presets() {
        let subject = HttpSubject::new(preset).await;
        // In the head, at its end, in the body, and just before its end.
        subject.receiver.script([1, 60, 300, 700, 1_500, 3_500].map(HttpFault::Reset));
        let shipper = ship_all(&subject).await;
        assert!(subject.receiver.is_scripted_out());
        assert!(!shipper.errors.is_empty(), "the resets were noticed");
        assert_eq!(subject.received().len(), shipper.events().len(), "a request that was cut is not taken");
    }
}

#[tokio::test]
async fn statuses_that_pass_are_tried_again_and_what_was_taken_is_not_sent_again() {
    for preset in presets() {
        // Several requests a frame: an error in the middle of a frame must not repeat its beginning.
        let subject = HttpSubject::new(preset).await.sending(|sending| sending.max_events = 3);
        let faults = [(500, None), (503, Some(7)), (429, Some(3)), (502, None)];
        subject.receiver.script(faults.map(|(status, after)| HttpFault::Status(status, after)));
        let shipper = ship_all(&subject).await;
        assert_eq!(subject.received().len(), shipper.events().len(), "doubles");
        let classes: Vec<_> = shipper.errors.iter().map(|error| error.class).collect();
        let waits = |seconds| ErrorClass::Throttled { after: Some(Duration::from_secs(seconds)) };
        assert_eq!(classes, [ErrorClass::Transient, waits(7), waits(3), ErrorClass::Transient]);
    }
}

#[tokio::test]
async fn a_lost_answer_is_doubled_at_most_and_not_where_events_have_ids() {
    for preset in presets() {
        let idempotent = matches!(preset, Preset::Elasticsearch { .. });
        let subject = HttpSubject::new(preset).await;
        subject.receiver.script([HttpFault::LoseAnswer, HttpFault::LoseAnswer]);
        let shipper = ship_all(&subject).await;
        let doubles = subject.received().len() - shipper.events().len();
        assert_eq!(doubles, if idempotent { 0 } else { 20 }, "two requests of ten events");
    }
}

#[tokio::test]
async fn a_receiver_that_stands_still_is_given_up_in_time() {
    let subject =
        HttpSubject::new(Preset::Ndjson).await.sending(|sending| sending.timeout = Duration::from_millis(200));
    subject.receiver.script([HttpFault::Stall]);
    let shipper = ship_all(&subject).await;
    assert_eq!(shipper.errors.len(), 1);
    assert_eq!(shipper.errors[0].class, ErrorClass::Transient);
}

#[tokio::test]
async fn half_of_a_bulk_request_comes_again_and_nothing_is_created_twice() {
    let subject = HttpSubject::new(elasticsearch()).await;
    subject.receiver.script([429, 503, 500].map(HttpFault::EverySecond));
    let shipper = ship_all(&subject).await;
    assert_eq!(shipper.errors.len(), 3);
    assert_eq!(subject.received().len(), shipper.events().len());
}

#[tokio::test]
async fn an_event_that_is_refused_stands_alone_in_the_end() {
    for preset in presets() {
        let subject = HttpSubject::new(preset).await;
        // Two events of ten.
        subject.receiver.demand(|config| config.refuses = Some("\"number\":7,".to_owned()));
        let frame = &with_ids(frames(1, 1, 10, 50))[0];
        let mut output = subject.build(None);
        let written = output.write(frame).await.expect("the rest is taken");
        let lines: Vec<u32> = written.refused.iter().map(|refused| refused.line).collect();
        assert_eq!(lines, [7], "{:?}", subject.config.preset);
        let received: BTreeSet<u32> = subject.received().iter().map(|event| event.number).collect();
        assert_eq!(received, (0..10).filter(|number| *number != 7).collect());
        let confirmed = output.close(PATIENCE).await.expect("confirmed");
        assert_eq!(confirmed.through, written.end);
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_divided_and_one_event_that_is_too_large_is_refused() {
    let subject = HttpSubject::new(Preset::Ndjson).await;
    subject.receiver.demand(|config| config.max_bytes = Some(1_000));
    let mut output = subject.build(None);
    let written = output.write(&frames(1, 1, 40, 100)[0]).await.expect("in parts");
    assert_eq!((written.refused.len(), subject.received().len()), (0, 40));
    let written = output.write(&frames(1, 1, 2, 2_000)[0]).await.expect("refused");
    assert_eq!(written.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [0, 1]);
    assert!(written.refused[0].reason.contains("413"));
}

#[tokio::test]
async fn requests_keep_to_their_bounds() {
    let subject = HttpSubject::new(Preset::Ndjson).await.sending(|sending| sending.max_events = 7);
    let mut output = subject.build(None);
    output.write(&frames(1, 1, 20, 10)[0]).await.expect("taken");
    assert_eq!(subject.receiver.requests().len(), 3);
    let subject = HttpSubject::new(Preset::Ndjson).await.sending(|sending| sending.max_bytes = 1_100);
    let mut output = subject.build(None);
    output.write(&frames(1, 1, 10, 500)[0]).await.expect("taken");
    assert_eq!(subject.receiver.requests().len(), 5);
}

#[tokio::test]
async fn refused_credentials_are_for_a_person_and_are_never_shown() {
    for preset in presets() {
        let mut subject = HttpSubject::new(preset).await;
        match &mut subject.config.preset {
            Preset::Devo { token, .. } => *token = Secret::new("telltale-wrong"),
            _ => subject.config.auth = Auth::Token { scheme: None, token: Token::Fixed(Secret::new("telltale-wrong")) },
        }
        let error = first_error(&subject).await;
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(!format!("{error:?} {error} {:?}", subject.config).contains("telltale"), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_is_read_again_from_its_file() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "old\n").expect("writable");
    let mut subject = HttpSubject::new(Preset::Ndjson).await;
    subject.config.auth = Auth::Token { scheme: None, token: Token::File(file.clone()) };
    let frame = &frames(1, 1, 2, 10)[0];
    let mut output = subject.build(None);
    assert_eq!(output.write(frame).await.expect_err("an old token").class, ErrorClass::Denied);
    std::fs::write(&file, format!("{TOKEN}\n")).expect("writable");
    output.reset().await;
    output.write(frame).await.expect("the new token");
    // A broken file keeps the token that works.
    std::fs::write(&file, "").expect("writable");
    output.reset().await;
    output.write(&frames(1, 2, 2, 10)[1]).await.expect("the token before");
}

#[tokio::test]
async fn only_what_splunk_says_is_stored_counts_as_delivered() {
    let subject = HttpSubject::new(splunk(Some(PATIENCE))).await;
    let mut output = subject.build(None);
    let written = output.write(&frames(1, 1, 3, 10)[0]).await.expect("taken");
    // The receiver says so at the second question only.
    assert!(output.confirmed().await.expect("asked").through < written.end);
    assert_eq!(output.close(PATIENCE).await.expect("asked again").through, written.end);
}

#[tokio::test]
async fn what_splunk_never_stores_is_sent_again() {
    let subject = HttpSubject::new(splunk(Some(Duration::from_millis(50)))).await;
    subject.receiver.script([HttpFault::NeverStored]);
    let mut output = subject.build(None);
    let mut shipper = Shipper::new(frames(1, 1, 3, 10));
    shipper.write_next(&mut *output).await.expect("taken");
    let error = output.close(PATIENCE).await.expect_err("it never says so");
    assert_eq!(error.class, ErrorClass::Transient);
    shipper.recover(&mut *output).await;
    shipper.write_next(&mut *output).await.expect("taken again");
    assert_eq!(subject.received().len(), 6, "the same three events");
}

#[tokio::test]
async fn presets_write_to_the_address_that_they_are_known_for() {
    for (preset, path) in [
        (Preset::Ndjson, "/in/tenant0/alerts".to_owned()),
        (splunk(None), "/services/collector/event".to_owned()),
        (elasticsearch(), "/_bulk".to_owned()),
        (devo(), format!("/stream/my%20domain/token!{TOKEN}/box/edr.microsoft_defender.endpoint.alerts")),
    ] {
        let mut subject = HttpSubject::new(preset).await;
        for copied in ["", "/", "/services/collector"] {
            if matches!(subject.config.preset, Preset::SplunkHec { .. }) || copied.is_empty() {
                subject.config.url = subject.config.url.trim_end_matches('/').to_owned() + copied;
                subject.build(None).write(&with_ids(frames(1, 1, 1, 10))[0]).await.expect("taken");
            }
        }
        assert!(subject.receiver.events().iter().all(|event| event.path == path), "{:?}", subject.receiver.events());
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_fails_its_check() {
    let subject = HttpSubject::new(elasticsearch()).await;
    let mut output = subject.build(None);
    output.check().await.expect("there");
    subject.receiver.demand(|config| config.authorization = Some("Bearer other".to_owned()));
    assert_eq!(output.check().await.expect_err("refused").class, ErrorClass::Denied);
    let HttpSubject { receiver, config } = subject;
    drop(receiver);
    let mut output = super::Http::new(config).expect("valid");
    assert_eq!(output.check().await.expect_err("gone").class, ErrorClass::Transient);
}

/// A server that shows this certificate and says yes to everything; its address.
async fn says_yes(signed: &Signed) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("address");
    let acceptor = TlsAcceptor::from(Authority::server(signed, None, rustls::ALL_VERSIONS));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut head = [0; 4096];
            if stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                // Whoever asks may be gone.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    });
    format!("https://{address}/in")
}

/// A check of that address by somebody who trusts in that authority alone.
async fn check(url: String, chain: &Authority, check_hostname: bool) -> Result<super::Http, OutputError> {
    let mut subject = HttpSubject::new(Preset::Ndjson).await.sending(|sending| {
        sending.tls = Tls { identity: None, chain: Some(chain.chain()), check_hostname };
    });
    subject.config.url = url;
    let mut output = super::Http::new(subject.config).expect("valid");
    output.check().await.map(|()| output)
}

#[tokio::test]
async fn a_receiver_that_does_not_prove_who_it_is_needs_a_person() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = says_yes(&authority.sign("server", &["127.0.0.1"])).await;
    check(good.clone(), &authority, true).await.expect("proved");
    let misnamed = says_yes(&authority.sign("misnamed", &["elsewhere.example"])).await;
    let expired = says_yes(&authority.sign_expired("expired", &["127.0.0.1"])).await;
    for (url, chain) in [(&good, &stranger), (&misnamed, &authority), (&expired, &authority)] {
        let error = check(url.clone(), chain, true).await.err().expect("not proved");
        assert_eq!(error.class, ErrorClass::Denied, "{error:?}");
    }
    check(misnamed, &authority, false).await.expect("nobody asked for the name");
}

#[tokio::test]
async fn a_check_tells_which_certificate_ends_soon_and_what_is_not_protected() {
    let authority = Authority::new();
    let url = says_yes(&authority.sign("server", &["127.0.0.1"])).await;
    let output = check(url.clone(), &authority, true).await.expect("proved");
    // What is made on the spot is good until 4096.
    assert_eq!(output.notes(0), [""; 0]);
    let notes = output.notes(67_090_118_400_000 - 29 * 86_400_000);
    assert_eq!(notes.len(), 2, "the root and the receiver's: {notes:#?}");
    for (note, place) in notes.iter().zip(["chain.pem", "http https://127.0.0.1:"]) {
        assert!(note.contains(place) && note.contains("expires on 4096-01-01, in 29 days"), "{note}");
    }
    let output = check(url, &authority, false).await.expect("reached");
    assert!(output.notes(0).concat().contains("check_hostname"), "{:?}", output.notes(0));
}

#[test]
fn the_event_that_was_named_is_tried_alone() {
    assert_eq!(divided(10..20, Some(3)), [14..20, 13..14, 10..13]);
    assert_eq!(divided(10..20, Some(10)), [15..20, 10..15], "a place outside is no place");
    assert_eq!(divided(10..13, None), [11..13, 10..11]);
}
