//! Devo's syslog channel: the platform itself, a relay, or a plain syslog receiver.

use super::super::key::{Form, Key, Table, keys};
use super::super::problem::Fault;
use super::super::section::Section;
use super::compression::{self, Gzip};
use std::path::PathBuf;
use std::time::Duration;

/// A syslog receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct Devo {
    /// Official type word, for messages: `devo_platform`, `relay`, `syslog` …
    pub kind: &'static str,
    /// Host name or address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// TLS, or plain TCP.
    pub tls: Option<Tls>,
    /// HOST of the header; the machine's name where the configuration names none.
    pub hostname: Option<String>,
    /// Form of the header's date.
    pub date: DateForm,
    /// What counts as delivered.
    pub confirm: Confirm,
    /// Time to connect, handshake included. Default 30 s.
    pub connect_timeout: Duration,
    /// First wait after a failed connection; official `connecting_initial_wait_in_seconds`, default 2 s.
    pub initial_wait: Duration,
    /// Longest wait; official `connecting_max_wait_in_seconds`, default 60 s.
    pub max_wait: Duration,
    /// A connection without a write for this long is closed and opened anew. Default 25 s: balancers cut at 30 s.
    pub idle: Duration,
    /// When and how to compress; none where the receiver would not understand it.
    pub gzip: Option<Gzip>,
    /// Connections at once; each stream keeps to one of them.
    pub connections: usize,
}

/// TLS settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Client certificate and its key, PEM.
    pub identity: Option<ClientIdentity>,
    /// The only trust root, PEM; the system's roots where there is none.
    pub chain: Option<PathBuf>,
    /// Whether the certificate must name the address. Default true.
    pub check_hostname: bool,
}

/// Client certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Certificate, followed by intermediates.
    pub cert: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1 key.
    pub key: PathBuf,
}

/// Form of the header's date; both UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// `YYYY-MM-DD HH:MM:SS.mmm`
    Iso,
    /// `Mon DD HH:MM:SS`
    Bsd,
}

/// What counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// The peer's FIN after ours, or octets acknowledged by its kernel this long ago on a connection still sound.
    Acked {
        /// Default 5 s.
        after: Duration,
    },
    /// Only the peer's FIN after ours.
    Closed,
}

/// What distinguishes the official types from each other.
#[derive(Debug)]
pub(super) struct Kind {
    /// The type word.
    word: &'static str,
    /// Whether it speaks TLS.
    tls: TlsUse,
    /// Form of the header's date where the configuration says nothing.
    date: DateForm,
}

/// Whether a type speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsUse {
    /// Always, and with a client certificate.
    Always,
    /// Unless `type: TCP` says otherwise.
    Chosen,
    /// Never.
    Never,
}

/// The platform itself.
pub(super) static PLATFORM: Kind = Kind { word: "devo_platform", tls: TlsUse::Always, date: DateForm::Iso };
/// A relay, over TLS unless it is told otherwise.
pub(super) static RELAY: Kind = Kind { word: "relay", tls: TlsUse::Chosen, date: DateForm::Iso };
/// A plain syslog receiver.
pub(super) static SYSLOG: Kind = Kind { word: "syslog", tls: TlsUse::Never, date: DateForm::Bsd };
/// A relay in the house, plain.
pub(super) static IN_HOUSE: Kind = Kind { word: "in_house_relay", tls: TlsUse::Never, date: DateForm::Bsd };
/// A container beside us, plain.
pub(super) static SIDECAR: Kind = Kind { word: "sidecar", tls: TlsUse::Never, date: DateForm::Bsd };

/// Port of the Devo platform; another one is seldom meant.
const PLATFORM_PORT: i64 = 443;
/// Time to connect, handshake included. Source: the official sender's time-out.
const CONNECT: Duration = Duration::from_secs(30);
/// Balancers cut a connection that is idle for 30 s; we are there first.
const IDLE: Duration = Duration::from_secs(25);
/// Shortest wait, the official one.
const WAIT_LEAST: Duration = Duration::from_secs(1);
/// Longest wait, the official one.
const WAIT_MOST: Duration = Duration::from_secs(60);

keys! {
    /// Keys of their `config`.
    static KEYS;
    /// Host name or address alone, without scheme or port.
    ADDRESS: Key<String> = Key::parsed("address", Form::Text, |_, text| host(text)).alias(&["url", "location"])
        .official().required().example("collector-eu.devo.io");
    /// Port. The Devo platform listens on 443.
    PORT: Key<i64> = Key::integer("port", 1, 65_535).official().required().example("443");
    /// TLS, or plain TCP. devo_platform is always TLS; syslog, in_house_relay and sidecar are always plain.
    TYPE: Key<bool> = Key::word("type", &[("SSL", true), ("TCP", false)]).official().otherwise("SSL for devo_platform and relay");
    /// The only roots of trust, PEM.
    CHAIN: Key<PathBuf> = Key::file("chain", "certs").alias(&["chain_loc"]).official().otherwise("the system's roots")
        .example("chain.crt");
    /// Client certificate, PEM, followed by intermediates. devo_platform needs one.
    CERT: Key<PathBuf> = Key::file("cert", "certs").alias(&["cert_loc"]).official().example("my_domain.crt");
    /// Private key of that certificate, PEM: PKCS#8, PKCS#1 or SEC1.
    KEY: Key<PathBuf> = Key::file("key", "certs").alias(&["key_loc"]).official().example("my_domain.key");
    /// Whether the certificate of the other side must name the address.
    CHECK_HOSTNAME: Key<bool> = Key::boolean("check_hostname").default("true");
    /// HOST of the header, one word.
    HOSTNAME: Key<String> = Key::parsed("hostname", Form::Text, |_, text| header_word(text)).otherwise("the machine's name");
    /// Form of the header's date: `YYYY-MM-DD HH:MM:SS.mmm` or `Mon DD HH:MM:SS`, both UTC.
    DATE: Key<DateForm> = Key::word("date", &[("iso", DateForm::Iso), ("bsd", DateForm::Bsd)])
        .otherwise("iso for devo_platform and relay, else bsd");
    /// What counts as delivered: octets that the other side's kernel acknowledged on a sound connection, or only its end after ours.
    CONFIRM: Key<bool> = Key::word("confirm", &[("acked", false), ("closed", true)]).default("acked");
    /// Age at which acknowledged octets count as delivered, with `confirm: acked`.
    CONFIRM_AFTER: Key<Duration> = Key::duration("confirm_after").default("5s");
    /// Wait after the first failed connection.
    INITIAL_WAIT: Key<Duration> = Key::seconds("connecting_initial_wait_in_seconds", WAIT_LEAST, WAIT_MOST).official().default("2");
    /// Longest wait between two connections.
    MAX_WAIT: Key<Duration> = Key::seconds("connecting_max_wait_in_seconds", WAIT_LEAST, WAIT_MOST).official().default("60");
}

keys! {
    /// Official keys about retries, which never run out here.
    static RETRIES;
    /// Tries to connect before the official sender gives up.
    CONNECTING_RETRIES: Key<i64> = Key::integer("connecting_retries", 1, 10).obsolete();
    /// Time for one official send. Unit: seconds.
    SENDING_TIMEOUT: Key<i64> = Key::integer("sending_timeout", 1, 10).obsolete();
    /// Tries to send before the official sender gives up.
    SENDING_RETRIES: Key<i64> = Key::integer("sending_retries", 1, 10).obsolete();
    /// Longest wait between two tries to send. Unit: seconds.
    SENDING_MAX_WAIT: Key<i64> = Key::integer("sending_max_wait_in_seconds", 1, 60).obsolete();
    /// First wait between two tries to send. Unit: seconds.
    SENDING_INITIAL_WAIT: Key<i64> = Key::integer("sending_initial_wait_in_seconds", 1, 60).obsolete();
    /// Wait between two tries to send; the official sender does not use it either. Unit: seconds.
    SENDING_WAIT: Key<i64> = Key::integer("sending_wait_between_retries_in_seconds", 0, 3_600).obsolete();
}

/// `config` of these types.
pub(super) static TABLE: Table = super::config(
    "Devo's syslog channel: the platform itself, a relay, or a plain syslog receiver.",
    &[KEYS, compression::OUTPUT_KEYS, super::COMMON, RETRIES],
);

/// Reads `config` of an output of one of these types; none when an error has been reported.
pub(super) fn load(section: &Section<'_>, kind: &'static Kind) -> Option<Devo> {
    let address = section.required(&ADDRESS);
    let port = port(section, kind);
    let tls = tls(section, kind);
    let hostname = section.optional(&HOSTNAME);
    let date = section.optional(&DATE).unwrap_or(kind.date);
    let confirm = confirm(section);
    let (initial_wait, max_wait) = (section.value(&INITIAL_WAIT), section.value(&MAX_WAIT));
    let gzip = gzip(section, kind);
    let connections = usize::try_from(section.value(&super::CONNECTIONS)).expect("a small number, by its bounds");
    Some(Devo {
        kind: kind.word,
        address: address?,
        port: port?,
        tls: tls?,
        hostname,
        date,
        confirm,
        connect_timeout: CONNECT,
        initial_wait,
        max_wait,
        idle: IDLE,
        gzip,
        connections,
    })
}

/// The port; one of the platform's that is not its usual one is warned about.
fn port(section: &Section<'_>, kind: &Kind) -> Option<u16> {
    let port = section.required(&PORT)?;
    if kind.tls == TlsUse::Always && port != PLATFORM_PORT {
        let fault = Fault::new(format!("the Devo platform listens on port {PLATFORM_PORT}"));
        section.warn(&PORT, fault.help("another port is right only for something in between"));
    }
    u16::try_from(port).ok()
}

/// TLS, or `Some(None)` for plain TCP; none when an error has been reported.
fn tls(section: &Section<'_>, kind: &Kind) -> Option<Option<Tls>> {
    let wanted = section.optional(&TYPE);
    let encrypted = match (kind.tls, wanted) {
        (TlsUse::Always, _) => true,
        (TlsUse::Chosen, wanted) => wanted.unwrap_or(true),
        (TlsUse::Never, _) => false,
    };
    match (kind.tls, wanted) {
        (TlsUse::Always, Some(false)) => section.no_effect(&TYPE, "devo_platform always uses TLS"),
        (TlsUse::Never, Some(true)) => {
            let fault = Fault::new(format!("is not for `{}`, which is plain TCP", kind.word));
            section.wrong(&TYPE, fault.help("write `type: relay` above `config` for TLS"));
        }
        _ => {}
    }
    if !encrypted {
        section.no_effect(&CHAIN, PLAIN);
        section.no_effect(&CERT, PLAIN);
        section.no_effect(&KEY, PLAIN);
        section.no_effect(&CHECK_HOSTNAME, PLAIN);
        return Some(None);
    }
    let chain = section.optional(&CHAIN);
    let check_hostname = section.value(&CHECK_HOSTNAME);
    let (cert, key) = (section.given(&CERT), section.given(&KEY));
    // A certificate without its key proves nothing, so one of them demands the other.
    if kind.tls != TlsUse::Always && cert.or(key).is_none() {
        return Some(Some(Tls { identity: None, chain, check_hostname }));
    }
    let (cert, key) = (section.required(&CERT), section.required(&KEY));
    let identity = Some(ClientIdentity { cert: cert?, key: key? });
    Some(Some(Tls { identity, chain, check_hostname }))
}

/// When and how to compress. The official sender to plain syslog never does, and neither do its receivers unpack.
fn gzip(section: &Section<'_>, kind: &Kind) -> Option<Gzip> {
    let asked = compression::load(section, &compression::OUTPUT);
    if kind.tls == TlsUse::Never {
        compression::without_effect(section, "a plain syslog receiver reads no gzip");
        return None;
    }
    Some(asked)
}

/// Why keys of TLS do nothing.
const PLAIN: &str = "this output is plain TCP";

/// What counts as delivered.
fn confirm(section: &Section<'_>) -> Confirm {
    let (closed, after) = (section.value(&CONFIRM), section.value(&CONFIRM_AFTER));
    if closed { Confirm::Closed } else { Confirm::Acked { after } }
}

/// A host name or address alone.
fn host(text: &str) -> Result<String, Fault> {
    match url::Host::parse(text).is_ok() || text.parse::<std::net::Ipv6Addr>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err(Fault::new("is no host")
            .help("write the name or address alone, without scheme or port, such as collector-eu.devo.io")),
    }
}

/// HOST of a header is one word.
fn header_word(text: &str) -> Result<String, Fault> {
    match text.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => {
            Err(Fault::new("is no host name")
                .help("no space, control or non-ASCII character: it would break the header"))
        }
    }
}
