//! Whom a connection is made with, and what is said where it is not.

use super::*;

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
