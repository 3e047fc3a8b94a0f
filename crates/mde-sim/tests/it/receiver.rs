use flate2::Compression;
use flate2::write::GzEncoder;
use mde_sim::receiver::{
    After, Behaviour, DateForm, DevoReceiver, Digest, End, Identity, ReceiverConfig, ReceiverTls, Record, TestPki,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// An event's line.
fn line(number: usize) -> String {
    format!("<14>2026-11-24 03:00:00.000 host my.app.test.sim: {{\"n\":{number}}}\n")
}

/// Several lines.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(line).collect()
}

/// One gzip member.
fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A plain receiver.
async fn receiver() -> DevoReceiver {
    DevoReceiver::start(ReceiverConfig::default()).await.unwrap()
}

/// Numbers in the events, in order of arrival.
fn numbers(receiver: &DevoReceiver) -> Vec<u64> {
    receiver.events().iter().map(|event| event.json().unwrap()["n"].as_u64().unwrap()).collect()
}

/// Waits until a connection has ended.
async fn ended(receiver: &DevoReceiver, number: usize) -> End {
    let open = |receiver: &DevoReceiver| {
        receiver.connections().get(number).is_none_or(|connection| connection.end == End::Open)
    };
    receiver.wait_until(|receiver| !open(receiver)).await;
    receiver.connections()[number].end.clone()
}

#[tokio::test]
async fn plain_events_and_gzip_members_mix_on_one_connection_and_fin_confirms() {
    let receiver = receiver().await;
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    let octets = [line(0).into_bytes(), gzip(&lines(1..4)), gzip(&line(4)), lines(5..7).into_bytes()].concat();
    for piece in octets.chunks(7) {
        socket.write_all(piece).await.unwrap();
    }
    receiver.wait_events(7).await;
    socket.shutdown().await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0, "FIN answers FIN");
    assert_eq!(ended(&receiver, 0).await, End::Fin);
    assert_eq!(numbers(&receiver), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(
        receiver.events().iter().map(|event| event.gzip).collect::<Vec<_>>(),
        [false, true, true, true, true, false, false]
    );
    let event = receiver.events().remove(0);
    assert_eq!(
        (event.pri, event.date_form, event.host.as_str(), event.tag.as_str()),
        (14, DateForm::Iso, "host", "my.app.test.sim")
    );
    let connection = receiver.connections().remove(0);
    assert_eq!(
        (connection.raw, connection.octets, connection.events, connection.torn),
        (octets.clone(), octets.len() as u64, 7, false)
    );
}

#[tokio::test]
async fn what_is_no_event_and_what_is_torn_is_written_down() {
    let receiver = receiver().await;
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(format!("{}no header\n{}<14>2026", line(0), line(1)).as_bytes()).await.unwrap();
    drop(socket);
    assert_eq!(ended(&receiver, 0).await, End::Fin);
    assert_eq!(numbers(&receiver), [0, 1]);
    assert_eq!(receiver.unreadable()[0].line, b"no header");
    assert!(receiver.connections()[0].torn);
}

#[tokio::test]
async fn a_damaged_member_ends_the_connection() {
    let receiver = receiver().await;
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(&[line(0).as_bytes(), &[0x1f, 0x8b, 0xff, 0xff, 0xff]].concat()).await.unwrap();
    assert_eq!(ended(&receiver, 0).await, End::Damaged);
    assert_eq!(numbers(&receiver), [0]);
}

#[tokio::test]
async fn a_reset_after_events_keeps_exactly_those() {
    let receiver = receiver().await;
    receiver.script(Behaviour { reset_after: Some(After::Events(3)), ..Behaviour::default() });
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(lines(0..10).as_bytes()).await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(ended(&receiver, 0).await, End::Reset);
    assert_eq!(numbers(&receiver), [0, 1, 2]);
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(lines(10..20).as_bytes()).await.unwrap();
    receiver.wait_events(13).await;
}

#[tokio::test]
async fn a_reset_after_octets_reads_exactly_those() {
    let receiver = receiver().await;
    receiver.script(Behaviour { reset_after: Some(After::Octets(100)), ..Behaviour::default() });
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(lines(0..10).as_bytes()).await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(ended(&receiver, 0).await, End::Reset);
    assert_eq!(receiver.connections()[0].octets, 100);
    assert_eq!(numbers(&receiver), [0]);
}

#[tokio::test]
async fn a_polite_close_still_reads_what_comes() {
    let receiver = receiver().await;
    receiver.script(Behaviour { close_after: Some(After::Events(1)), ..Behaviour::default() });
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(line(0).as_bytes()).await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
    socket.write_all(line(1).as_bytes()).await.unwrap();
    drop(socket);
    assert_eq!(ended(&receiver, 0).await, End::Fin);
    assert_eq!(numbers(&receiver), [0, 1]);
}

#[tokio::test]
async fn a_forgetful_receiver_acknowledges_and_loses() {
    let receiver = receiver().await;
    receiver.script(Behaviour { forget_after: Some(After::Events(2)), ..Behaviour::default() });
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(lines(0..5).as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0, "and looks sound");
    assert_eq!(ended(&receiver, 0).await, End::Fin);
    assert_eq!(numbers(&receiver), [0, 1]);
}

#[tokio::test]
async fn a_stalled_receiver_lets_the_sender_run_full_and_loses_nothing() {
    let receiver = receiver().await;
    receiver.stall();
    let socket = TcpStream::connect(receiver.addr()).await.unwrap();
    let text = lines(0..300_000).into_bytes();
    let mut sent = 0;
    socket.writable().await.unwrap();
    // Until the kernel's buffers on both sides are used up.
    loop {
        match socket.try_write(&text[sent..]) {
            Ok(more) => sent += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < text.len(), "the buffers took everything");
    }
    assert_eq!(receiver.event_count(), 0);
    receiver.resume();
    let mut socket = socket;
    socket.write_all(&text[sent..]).await.unwrap();
    receiver.wait_events(300_000).await;
}

#[tokio::test]
async fn a_stall_in_the_script_delays_and_a_late_fin_comes() {
    let receiver = receiver().await;
    let pause = Duration::from_millis(30);
    receiver.script(Behaviour {
        stall: Some((After::Events(1), pause)),
        fin_delay: Some(pause),
        ..Behaviour::default()
    });
    let start = Instant::now();
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(line(0).as_bytes()).await.unwrap();
    receiver.wait_events(1).await;
    socket.write_all(line(1).as_bytes()).await.unwrap();
    receiver.wait_events(2).await;
    assert!(start.elapsed() >= pause);
    let shut = Instant::now();
    socket.shutdown().await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(shut.elapsed() >= pause);
}

#[tokio::test]
async fn an_idle_connection_is_cut() {
    let receiver = receiver().await;
    receiver.set_behaviour(Behaviour { idle_cut: Some(Duration::from_millis(20)), ..Behaviour::default() });
    let mut socket = TcpStream::connect(receiver.addr()).await.unwrap();
    socket.write_all(line(0).as_bytes()).await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(ended(&receiver, 0).await, End::Idle);
    assert_eq!(numbers(&receiver), [0]);
}

#[tokio::test]
async fn counting_only_keeps_no_bodies_and_the_digest_ignores_order() {
    let counting =
        DevoReceiver::start(ReceiverConfig { record: Record::CountOnly, ..ReceiverConfig::default() }).await.unwrap();
    let mut socket = TcpStream::connect(counting.addr()).await.unwrap();
    socket.write_all(&[lines(50..100).into_bytes(), gzip(&lines(0..50))].concat()).await.unwrap();
    counting.wait_events(100).await;
    let mut expected = Digest::default();
    for number in 0..100 {
        expected.add("my.app.test.sim", &format!("{{\"n\":{number}}}"));
    }
    assert_eq!(counting.digest(), expected);
    assert!(counting.events().is_empty() && counting.connections()[0].raw.is_empty());
    let mut doubled = expected;
    doubled.add("my.app.test.sim", "{\"n\":1}");
    assert_ne!(doubled, expected);
}

/// Connects with TLS and sends one event; gives the first error that shows, at the latest when reading the end.
async fn over_tls(receiver: &DevoReceiver, roots: &str, client: Option<&Identity>) -> io::Result<()> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut store = rustls::RootCertStore::empty();
    store.add(CertificateDer::from_pem_slice(roots.as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).unwrap();
            builder
                .with_client_auth_cert(
                    vec![certificate],
                    PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap(),
                )
                .unwrap()
        }
    };
    let socket = TcpStream::connect(receiver.addr()).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut channel = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), socket).await?;
    channel.write_all(line(0).as_bytes()).await?;
    channel.shutdown().await?;
    channel.read_to_end(&mut Vec::new()).await.map(drop)
}

/// A receiver with TLS.
async fn tls_receiver(identity: &Identity, client_ca: Option<&str>) -> DevoReceiver {
    let tls = ReceiverTls { identity: identity.clone(), client_ca_pem: client_ca.map(str::to_owned) };
    DevoReceiver::start(ReceiverConfig { tls: Some(tls), ..ReceiverConfig::default() }).await.unwrap()
}

#[tokio::test]
async fn tls_with_a_client_certificate_carries_events() {
    let pki = TestPki::new();
    let receiver = tls_receiver(&pki.server, Some(&pki.ca_pem)).await;
    over_tls(&receiver, &pki.ca_pem, Some(&pki.client)).await.unwrap();
    assert_eq!(ended(&receiver, 0).await, End::Fin);
    assert_eq!(numbers(&receiver), [0]);
    assert!(receiver.connections()[0].client_certificate);
}

#[tokio::test]
async fn a_client_without_or_with_a_strange_certificate_is_refused() {
    let (pki, stranger) = (TestPki::new(), TestPki::new());
    let receiver = tls_receiver(&pki.server, Some(&pki.ca_pem)).await;
    for client in [None, Some(&stranger.client)] {
        assert!(over_tls(&receiver, &pki.ca_pem, client).await.is_err());
    }
    for number in 0..2 {
        assert!(matches!(ended(&receiver, number).await, End::Handshake(_)));
    }
    assert_eq!(receiver.event_count(), 0);
}

#[tokio::test]
async fn servers_with_a_wrong_name_a_past_date_or_a_strange_authority_are_not_believed() {
    let (pki, stranger) = (TestPki::new(), TestPki::new());
    for (identity, roots) in
        [(&pki.misnamed_server, &pki.ca_pem), (&pki.expired_server, &pki.ca_pem), (&pki.server, &stranger.ca_pem)]
    {
        let receiver = tls_receiver(identity, None).await;
        let error = over_tls(&receiver, roots, None).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    let receiver = tls_receiver(&pki.server, None).await;
    over_tls(&receiver, &pki.ca_pem, None).await.unwrap();
    assert!(!receiver.connections()[0].client_certificate);
}

#[tokio::test]
async fn certificates_are_written_where_a_configuration_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let pki = TestPki::new();
    let files = pki.write_to(folder.path()).unwrap();
    assert_eq!(std::fs::read_to_string(files.chain).unwrap(), pki.ca_pem);
    assert_eq!(std::fs::read_to_string(files.client_key).unwrap(), pki.client.key_pem);
    assert_eq!(std::fs::read_to_string(files.client_cert).unwrap(), pki.client.cert_pem);
    assert_eq!(std::fs::read_to_string(files.server_cert).unwrap(), pki.server.cert_pem);
    assert_eq!(std::fs::read_to_string(files.server_key).unwrap(), pki.server.key_pem);
    assert!(!format!("{pki:?}").contains("PRIVATE KEY"));
}
