//! The outputs that publish messages: NATS and Kafka.

use super::*;
use crate::config::outputs::nats::Login;

/// A configuration with this output.
fn with_output(kind: &str, config: &str) -> String {
    with_input("", "      alerts: {}\n").replace("type: console", &format!("type: {kind}\n    config: {{{config}}}"))
}

/// What is said of a configuration with this output.
fn told(kind: &str, config: &str) -> String {
    load_yaml(with_output(kind, config)).err().map(|problems| problems.to_string()).unwrap_or_default()
}

#[test]
fn nats_takes_one_address_or_several_and_one_way_to_log_in() {
    let nats = |config: &str| match good(&with_output("nats", config)).config.outputs.remove(0).output {
        OutputConfig::Nats(nats) => nats,
        other => panic!("{other:?}"),
    };
    let plain = nats("url: nats://a:4222");
    assert_eq!((plain.servers, plain.login), (vec!["nats://a:4222".to_owned()], Login::None));
    assert_eq!((plain.subject.as_str(), plain.in_flight), ("mde.{tenant}.{service}", 256));
    let login = nats("urls: [tls://a, tls://b:1], user: u, password: p, subject: \"x.{tag}\"");
    assert_eq!(login.servers, ["tls://a", "tls://b:1"]);
    assert_eq!(login.login, Login::Password { user: "u".to_owned(), password: Secret::new("p") });
    assert_eq!(nats("url: nats://a, token: t").login, Login::Token(Secret::new("t")));
    assert_eq!(nats("url: nats://a, nkey_seed: SUx").login, Login::Nkey(Secret::new("SUx")));
    let file = nats("url: nats://a, credentials_file: secret.txt").login;
    assert!(matches!(file, Login::CredentialsFile(path) if path.ends_with("secret.txt")));
}

#[test]
fn a_nats_output_that_cannot_work_is_told_and_shows_no_secret() {
    for (config, wanted) in [
        ("subject: x", "`url` is missing"),
        ("url: https://a", "cannot be read"),
        ("url: \"nats://u:hunter2@a\"", "has credentials in it"),
        ("url: nats://a, token: hunter2, user: u, password: hunter2", "two ways to log in"),
        ("url: nats://a, user: u", "`password` is missing"),
        ("url: nats://a, cert: demo_domain.crt", "`key` is missing"),
        ("url: nats://a, subject: \"a..b\"", "is no subject"),
        ("url: nats://a, subject: \"a.>\"", "is no subject"),
        ("url: nats://a, subject: \"a.{date}\"", "unknown placeholder"),
        ("url: nats://a, in_flight: 0", "out of range"),
    ] {
        let told = told("nats", config);
        assert!(told.contains(wanted), "{config}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn nats_without_event_ids_is_warned_about() {
    let loaded = good(&with_output("nats", "url: nats://a, event_id: false"));
    assert!(messages(&loaded.warnings).iter().any(|text| text.contains("cannot drop doubles")));
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_build_without_kafka_says_how_to_get_one() {
    let told = told("kafka", "brokers: [\"a:9092\"]");
    assert!(told.contains("this build has no Kafka output") && told.contains("--features kafka"), "{told}");
}

#[test]
fn a_kafka_output_that_cannot_work_is_told_and_shows_no_secret() {
    for (config, wanted) in [
        ("topic: x", "`brokers` is missing"),
        ("brokers: [\"kafka://a:1\"]", "a broker cannot be read"),
        ("brokers: [a]", "a broker cannot be read"),
        ("brokers: [\"a:1\"], topic: \"a b\"", "is no topic"),
        ("brokers: [\"a:1\"], password: hunter2", "`user` is missing"),
        ("brokers: [\"a:1\"], tls: true, key: demo_domain.key", "`cert` is missing"),
        ("brokers: [\"a:1\"], delivery_timeout: 2m", "out of range"),
    ] {
        let told = told("kafka", config);
        assert!(told.contains(wanted), "{config}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[cfg(feature = "kafka")]
#[test]
fn kafka_is_plain_unless_tls_is_asked_for() {
    let kafka = |config: &str| match good(&with_output("kafka", config)).config.outputs.remove(0).output {
        OutputConfig::Kafka(kafka) => kafka,
        other => panic!("{other:?}"),
    };
    let plain = kafka("brokers: [\"a:9092\", \"[::1]:1\"], ca_file: chain.crt");
    assert_eq!((plain.brokers.len(), plain.tls, plain.sasl), (2, None, None));
    let both = kafka("brokers: [\"a:9093\"], tls: true, user: u, password: p, sasl: plain");
    assert_eq!(both.sasl.map(|sasl| sasl.mechanism), Some("PLAIN"));
    assert!(both.tls.is_some_and(|tls| tls.check_hostname && tls.identity.is_none()));
}
