//! Kafka, in builds that have it.

use super::super::Secret;
use super::super::key::{Branch, Form, Key, Table, keys};
use super::super::problem::Fault;
use super::super::section::Section;
use super::devo::Tls;
use super::nats::identity;
use std::path::PathBuf;
use std::time::Duration;

/// Topics of a Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port` of some brokers, from which the others are learned.
    pub brokers: Vec<String>,
    /// Topic with the placeholders `{tenant}`, `{service}`, `{tag}`.
    pub topic: String,
    /// What decides on the partition.
    pub record_key: RecordKey,
    /// TLS; none for plain TCP.
    pub tls: Option<Tls>,
    /// Log in by SASL; none: not at all, or by the client certificate alone.
    pub sasl: Option<Sasl>,
    /// How record batches are compressed.
    pub compression: Compression,
    /// Records sent and not acknowledged at most.
    pub in_flight: usize,
    /// A record that is not acknowledged within this time is handed over anew.
    pub delivery_timeout: Duration,
    /// A larger record is refused here; the topics must take one of this size. Unit: octets.
    pub max_message_bytes: u64,
}

/// What decides on the partition of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKey {
    /// The entity's `id`, else `@event_id`: the history of each entity stays in order.
    Entity,
    /// Name of the input and service: a whole service stays in order, in one partition.
    Stream,
}

/// How record batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As gzip.
    Gzip,
    /// As snappy.
    Snappy,
    /// As lz4.
    Lz4,
}

impl Compression {
    /// Kafka's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
        }
    }
}

/// A user, its password, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// Kafka's word for the mechanism.
    pub mechanism: &'static str,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

keys! {
    /// Keys of its `config`.
    static KEYS;
    /// `host:port` of some brokers of the cluster, as a list.
    BROKERS: Key<Branch> = Key::tree("brokers", Form::Texts).required().example("kafka.example.org:9092");
    /// Topic of each record. `{tenant}` (name of the input), `{service}` and `{tag}` are replaced.
    TOPIC: Key<String> = Key::parsed("topic", Form::Text, |_, text| topic(text)).default("mde.{service}");
    /// What decides on the partition. `entity`: the entity's id, else `@event_id`. `stream`: name of the input and service, so that a whole service stays in order, in one partition.
    KEY_OF: Key<RecordKey> = Key::word("record_key", &[("entity", RecordKey::Entity), ("stream", RecordKey::Stream)]).default("entity");
    /// `true`: TLS.
    TLS: Key<bool> = Key::boolean("tls").default("false");
    /// The only roots of trust, PEM.
    CA: Key<PathBuf> = Key::file("ca_file", "certs").otherwise("the system's roots");
    /// Client certificate, PEM, followed by intermediates.
    CERTIFICATE: Key<PathBuf> = Key::file("cert", "certs");
    /// Private key of that certificate, PEM.
    KEY: Key<PathBuf> = Key::file("key", "certs");
    /// Whether the certificate of a broker must name its address.
    CHECK_HOSTNAME: Key<bool> = Key::boolean("check_hostname").default("true");
    /// How `user` and `password` are shown.
    SASL: Key<&'static str> = Key::word("sasl", &[
        ("plain", "PLAIN"), ("scram_sha_256", "SCRAM-SHA-256"), ("scram_sha_512", "SCRAM-SHA-512"),
    ]).default("scram_sha_512");
    /// A user, with `password`.
    USER: Key<String> = Key::text("user");
    /// The password of `user`.
    PASSWORD: Key<Secret> = Key::secret("password");
    /// How record batches are compressed.
    COMPRESSION: Key<Compression> = Key::word("compression", &[
        ("none", Compression::None), ("gzip", Compression::Gzip), ("snappy", Compression::Snappy), ("lz4", Compression::Lz4),
    ]).default("lz4");
    /// Records sent and not acknowledged, at most.
    IN_FLIGHT: Key<i64> = Key::integer("in_flight", 1, 100_000).default("2000");
    /// A record that is not acknowledged within this time is handed over anew.
    DELIVERY_TIMEOUT: Key<Duration> = Key::parsed(
        "delivery_timeout", Form::Duration(Duration::from_secs(1), Duration::from_secs(50)), super::super::key::time,
    ).default("30s");
    /// A larger record is refused without asking, and kept as a dead letter. Not above `max.message.bytes` of the topics.
    MAX_MESSAGE: Key<u64> = Key::size("max_message_bytes", 1 << 10).default("1000000B");
}

/// `config` of this type.
pub(super) static TABLE: Table = super::config(
    "One event a record to topics of Kafka, by an idempotent producer with acks=all. Only in builds with the feature `kafka`.",
    &[KEYS, super::COMMON],
);

/// Reads `config` of an output of this type; none when an error has been reported.
pub(super) fn load(section: &Section<'_>) -> Option<Kafka> {
    if !cfg!(feature = "kafka") {
        let fault = Fault::new("this build has no Kafka output");
        section
            .report
            .error(section.at(), fault.help("build with `--features kafka`; docs/outputs.md tells what that needs"));
    }
    let brokers = section.sound(&BROKERS, broker);
    let (topic, record_key) = (section.value(&TOPIC), section.value(&KEY_OF));
    let tls = tls(section);
    let sasl = sasl(section);
    let compression = section.value(&COMPRESSION);
    let max_message_bytes = section.value(&MAX_MESSAGE);
    let (in_flight, delivery_timeout) = (section.value(&IN_FLIGHT), section.value(&DELIVERY_TIMEOUT));
    Some(Kafka {
        brokers: brokers?,
        topic,
        record_key,
        tls: tls?,
        sasl: sasl?,
        compression,
        in_flight: usize::try_from(in_flight).expect("a small number, by its bounds"),
        delivery_timeout,
        max_message_bytes,
    })
}

/// Whether a text is the address of a broker.
fn broker(text: &str) -> Result<(), Fault> {
    let sound = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| port.parse::<u16>().is_ok_and(|port| port > 0) && url::Host::parse(host).is_ok());
    match sound {
        true => Ok(()),
        false => Err(Fault::new("a broker cannot be read").help("write HOST:PORT, without a scheme")),
    }
}

/// TLS, or `Some(None)` for plain TCP; none when an error has been reported.
fn tls(section: &Section<'_>) -> Option<Option<Tls>> {
    let identity = identity(section, &CERTIFICATE, &KEY);
    let (chain, check_hostname) = (section.optional(&CA), section.value(&CHECK_HOSTNAME));
    if section.value(&TLS) {
        return Some(Some(Tls { identity: identity?, chain, check_hostname }));
    }
    for key in [&CA, &CERTIFICATE, &KEY] {
        section.no_effect(key, PLAIN);
    }
    section.no_effect(&CHECK_HOSTNAME, PLAIN);
    Some(None)
}

/// Why keys of TLS do nothing.
const PLAIN: &str = "`tls: true` is not written";

/// User and password, or `Some(None)` where there is neither; none when an error has been reported.
fn sasl(section: &Section<'_>) -> Option<Option<Sasl>> {
    let mechanism = section.value(&SASL);
    if section.given(&USER).or(section.given(&PASSWORD)).is_none() {
        section.no_effect(&SASL, "there is no `user`");
        return Some(None);
    }
    let (user, password) = (section.required(&USER), section.required(&PASSWORD));
    Some(Some(Sasl { mechanism, user: user?, password: password? }))
}

/// What a topic may hold in braces: values that are the same for all events of a stream.
const PLACEHOLDERS: &[&str] = &["tenant", "service", "tag"];

/// A topic by Kafka's rules: letters, digits, `.`, `_` and `-`.
fn topic(text: &str) -> Result<String, Fault> {
    let topic = super::file::placeholders_of(text, PLACEHOLDERS)?;
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '{' | '}');
    match !topic.is_empty() && topic.chars().all(sound) {
        true => Ok(topic),
        false => Err(Fault::new("is no topic").help("write letters, digits, `.`, `_` or `-`, such as mde.{service}")),
    }
}
