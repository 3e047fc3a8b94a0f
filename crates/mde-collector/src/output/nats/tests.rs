//! What only this output can show: wires that break, and servers that do not prove who they are.

use super::Nats;
use crate::config::outputs::devo::{ClientIdentity, Tls};
use crate::config::outputs::nats as config;
use crate::output::conformance::certificates::{Authority, Signed};
use crate::output::conformance::nats::server::{NatsServer, messages_behind};
use crate::output::conformance::nats::{config_of, no_tls};
use crate::output::conformance::ship::{Event, Shipper, events_of, frames, with_ids};
use crate::output::conformance::wire::{Break, Wire};
use crate::output::{Output, OutputError};
use crate::record::ErrorClass;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Ships everything over a wire with these breaks; every event is in the stream once, in the order of its own stream.
async fn ship_over(breaks: Vec<Break>, change: impl FnOnce(&mut config::Nats)) -> Shipper {
    let server = NatsServer::start("").await;
    let stream = server.stream(|_| {}).await;
    let wire = Wire::to(server.port, breaks).await;
    let mut config = config_of(format!("nats://127.0.0.1:{}", wire.port), no_tls());
    change(&mut config);
    let mut shipper = Shipper::new(with_ids(frames(2, 20, 10, 300)));
    let mut output = Nats::new(config).expect("valid");
    shipper.ship(&mut output, |_| ()).await;
    assert_eq!(wire.breaks_left(), 0, "every break was met");
    let bodies = messages_behind(&stream, 0).await.into_iter().map(|(_, _, body)| [&body[..], b"\n"].concat());
    let events = events_of(&bodies.collect::<Vec<_>>().concat());
    for number in [0, 1] {
        let own: Vec<_> = events.iter().filter(|event| event.stream == number).map(|event| event.number).collect();
        assert_eq!(own, (0..200).collect::<Vec<_>>(), "in order and once");
    }
    assert_eq!(events.len(), 400);
    assert!(events.iter().all(|event: &Event| shipper.events().contains(event)));
    shipper
}

#[tokio::test]
async fn resets_at_any_octet_lose_nothing_and_double_nothing() {
    const SEED: u64 = 20_261_124;
    let mut random = SmallRng::seed_from_u64(SEED);
    // In the greeting, in the middle of a frame, behind several.
    let resets: Vec<_> = (0..30).map(|_| Break::Reset(random.random_range(1..9_000))).collect();
    let shipper = ship_over(resets, |_| ()).await;
    let wrong: Vec<_> = shipper.errors.iter().filter(|error| error.class != ErrorClass::Transient).collect();
    assert!(wrong.is_empty(), "seed {SEED}: {wrong:?}");
    // The client itself tries again where a greeting is cut.
    assert!(shipper.errors.len() >= 10, "seed {SEED}: {}", shipper.errors.len());
}

#[tokio::test]
async fn a_wire_that_falls_silent_is_given_up_in_time_and_nothing_is_lost() {
    let shipper =
        ship_over(vec![Break::Silence(5_000)], |config| config.ack_timeout = Duration::from_millis(200)).await;
    assert_eq!(shipper.errors.len(), 1, "{:?}", shipper.errors);
    assert_eq!(shipper.errors[0].class, ErrorClass::Transient);
}

/// A server that shows this certificate and, where `client` is given, asks for one that it has signed.
async fn server(signed: &Signed, client: Option<&Authority>) -> NatsServer {
    let verify = client.map(|authority| format!(", ca_file: {:?}, verify: true", authority.chain()));
    let (cert, key) = (&signed.cert, &signed.key);
    NatsServer::start(&format!("tls {{ cert_file: {cert:?}, key_file: {key:?}{} }}\n", verify.unwrap_or_default()))
        .await
}

/// A check of that server.
async fn check(server: &NatsServer, tls: Tls) -> Result<Nats, OutputError> {
    let mut output = Nats::new(config_of(server.url(), tls)).expect("valid");
    output.check().await.map(|()| output)
}

/// Trust in that authority alone, and nothing of ours.
fn trusting(authority: &Authority) -> Tls {
    Tls { identity: None, chain: Some(authority.chain()), check_hostname: true }
}

#[tokio::test]
async fn a_server_that_does_not_prove_who_it_is_needs_a_person() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = server(&authority.sign("server", &["127.0.0.1"]), None).await;
    check(&good, trusting(&authority)).await.expect("proved");
    let misnamed = server(&authority.sign("misnamed", &["elsewhere.example"]), None).await;
    let expired = server(&authority.sign_expired("expired", &["127.0.0.1"]), None).await;
    for (server, tls) in
        [(&good, trusting(&stranger)), (&misnamed, trusting(&authority)), (&expired, trusting(&authority))]
    {
        let error = check(server, tls).await.err().expect("not proved");
        assert_eq!(error.class, ErrorClass::Denied, "{error:?}");
    }
    check(&misnamed, Tls { check_hostname: false, ..trusting(&authority) }).await.expect("nobody asked for the name");
}

#[tokio::test]
async fn a_client_certificate_that_is_missing_or_a_strangers_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = server(&authority.sign("server", &["127.0.0.1"]), Some(&authority)).await;
    let with = |signed: &Signed| Tls {
        identity: Some(ClientIdentity { cert: signed.cert.clone(), key: signed.key.clone() }),
        ..trusting(&authority)
    };
    check(&server, with(&authority.sign("client", &["sender"]))).await.expect("ours");
    check(&server, with(&stranger.sign("client", &["sender"]))).await.err().expect("a stranger's");
    check(&server, trusting(&authority)).await.err().expect("none");
}

#[tokio::test]
async fn a_check_tells_which_certificate_ends_soon_and_what_is_not_protected() {
    let authority = Authority::new();
    let server = server(&authority.sign("server", &["127.0.0.1"]), None).await;
    let output = check(&server, trusting(&authority)).await.expect("proved");
    // What is made on the spot is good until 4096.
    assert_eq!(output.notes(0), [""; 0]);
    let notes = output.notes(67_090_118_400_000 - 29 * 86_400_000);
    assert_eq!(notes.len(), 2, "the root and the server's: {notes:#?}");
    for (note, place) in notes.iter().zip(["chain.pem", "nats nats://127.0.0.1:"]) {
        assert!(note.contains(place) && note.contains("expires on 4096-01-01, in 29 days"), "{note}");
    }
    let plain = NatsServer::start("").await;
    let output = check(&plain, no_tls()).await.expect("it answers");
    assert!(output.notes(0).concat().contains("without TLS"), "{:?}", output.notes(0));
}
