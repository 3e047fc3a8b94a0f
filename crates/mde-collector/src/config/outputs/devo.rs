//! Devo's syslog channel: the platform itself, a relay, or a plain syslog receiver.

use super::super::problem::Fault;
use super::super::section::Section;
use super::super::units;
use std::path::PathBuf;
use std::time::Duration;

/// A syslog receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The official types.
static KINDS: &[Kind] = &[
    Kind { word: "devo_platform", tls: TlsUse::Always, date: DateForm::Iso },
    Kind { word: "relay", tls: TlsUse::Chosen, date: DateForm::Iso },
    Kind { word: "syslog", tls: TlsUse::Never, date: DateForm::Bsd },
    Kind { word: "in_house_relay", tls: TlsUse::Never, date: DateForm::Bsd },
    Kind { word: "sidecar", tls: TlsUse::Never, date: DateForm::Bsd },
];

/// Port of the Devo platform; another one is seldom meant.
const PLATFORM_PORT: i64 = 443;
/// Time to connect, handshake included. Source: the official sender's time-out.
const CONNECT: Duration = Duration::from_secs(30);
/// Balancers cut a connection that is idle for 30 s; we are there first.
const IDLE: Duration = Duration::from_secs(25);
/// Age at which acknowledged octets count as delivered.
const CONFIRM_AFTER: Duration = Duration::from_secs(5);
/// Bounds of a wait, the official ones.
const WAIT_BOUNDS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// The official sender's first wait, and its longest. Unit: seconds.
const WAITS_S: [u64; 2] = [2, 60];

/// Official keys about retries that never run out here: they are checked, and not needed.
const OBSOLETE: &[(&str, i64, i64)] = &[
    ("connecting_retries", 1, 10),
    ("sending_timeout", 1, 10),
    ("sending_retries", 1, 10),
    ("sending_max_wait_in_seconds", 1, 60),
    ("sending_initial_wait_in_seconds", 1, 60),
    ("sending_wait_between_retries_in_seconds", 0, 3_600),
];

/// The type of that word.
pub(super) fn kind(word: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.word == word)
}

/// The type words.
pub(super) fn words() -> impl Iterator<Item = &'static str> + Clone {
    KINDS.iter().map(|kind| kind.word)
}

/// Reads `config` of an output of one of these types; none when an error has been reported.
pub(super) fn load(section: &Section<'_>, kind: &'static Kind) -> Option<Devo> {
    let address = section.text("address").alias("url").alias("location").check(|text| host(text)).required();
    let port = port(section, kind);
    let tls = tls(section, kind);
    let hostname = section.text("hostname").check(|text| header_word(text)).optional();
    let date = section.choice("date", &[("iso", DateForm::Iso), ("bsd", DateForm::Bsd)]).or(kind.date);
    let confirm = confirm(section);
    let wait = |name: &'static str, default_s: u64| {
        let [least, most] = WAIT_BOUNDS;
        let within = move |wait: &Duration| match (least..=most).contains(wait) {
            true => Ok(()),
            false => {
                let (least, most) = (units::duration_text(least), units::duration_text(most));
                Err(Fault::new("is out of range").help(format!("from {least} to {most}")))
            }
        };
        section.seconds(name).check(within).or(Duration::from_secs(default_s))
    };
    let initial_wait = wait("connecting_initial_wait_in_seconds", WAITS_S[0]);
    let max_wait = wait("connecting_max_wait_in_seconds", WAITS_S[1]);
    compression(section, &COMPRESSION);
    for (name, least, most) in OBSOLETE {
        if section.integer(name).range(*least..=*most).optional().is_some() {
            section.obsolete(&[name]);
        }
    }
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
    })
}

/// The port; one of the platform's that is not its usual one is warned about.
fn port(section: &Section<'_>, kind: &Kind) -> Option<u16> {
    let port = section.integer("port").range(1..=i64::from(u16::MAX)).required()?;
    if kind.tls == TlsUse::Always
        && port != PLATFORM_PORT
        && let Some(entry) = section.entry("port")
    {
        let fault = Fault::new(format!("the Devo platform listens on port {PLATFORM_PORT}"));
        section.report.warning(entry.value.at(), fault.help("another port is right only for something in between"));
    }
    u16::try_from(port).ok()
}

/// TLS, or `Some(None)` for plain TCP; none when an error has been reported.
fn tls(section: &Section<'_>, kind: &Kind) -> Option<Option<Tls>> {
    let wanted = section.choice("type", &[("SSL", true), ("TCP", false)]).optional();
    let encrypted = match (kind.tls, wanted) {
        (TlsUse::Always, _) => true,
        (TlsUse::Chosen, wanted) => wanted.unwrap_or(true),
        (TlsUse::Never, _) => false,
    };
    if let Some(entry) = section.entry("type") {
        match (kind.tls, wanted) {
            (TlsUse::Always, Some(false)) => section.no_effect(entry, "devo_platform always uses TLS"),
            (TlsUse::Never, Some(true)) => {
                let fault = Fault::new(format!("`{}` is plain TCP", kind.word));
                section.report.error(entry.value.at(), fault.help("write `type: relay` above `config` for TLS"));
            }
            _ => {}
        }
    }
    if !encrypted {
        for name in ["chain", "chain_loc", "cert", "cert_loc", "key", "key_loc", "check_hostname"] {
            if let Some(entry) = section.given(name) {
                section.no_effect(entry, "this output is plain TCP");
            }
        }
        return Some(None);
    }
    let chain = section.file("chain", "certs").alias("chain_loc").optional();
    let check_hostname = section.boolean("check_hostname").or(true);
    let is_given = |names: [&'static str; 2]| names.into_iter().any(|name| section.given(name).is_some());
    // A certificate without its key proves nothing, so one of them demands the other.
    let needed = kind.tls == TlsUse::Always || is_given(["cert", "cert_loc"]) || is_given(["key", "key_loc"]);
    if !needed {
        return Some(Some(Tls { identity: None, chain, check_hostname }));
    }
    let cert = section.file("cert", "certs").alias("cert_loc").required();
    let key = section.file("key", "certs").alias("key_loc").required();
    let identity = Some(ClientIdentity { cert: cert?, key: key? });
    Some(Some(Tls { identity, chain, check_hostname }))
}

/// What counts as delivered.
fn confirm(section: &Section<'_>) -> Confirm {
    let closed = section.choice("confirm", &[("acked", false), ("closed", true)]).or(false);
    let after = section.duration("confirm_after").or(CONFIRM_AFTER);
    if closed { Confirm::Closed } else { Confirm::Acked { after } }
}

/// The three keys of one place that say when and how to compress.
pub(in super::super) struct CompressionKeys {
    /// From which fill of the official queue on.
    threshold: &'static str,
    /// zlib's level.
    level: &'static str,
    /// Octets before compression.
    buffer: &'static str,
}

/// As an output has them.
const COMPRESSION: CompressionKeys = CompressionKeys {
    threshold: "threshold_for_using_gzip_in_transport_layer",
    level: "compression_level",
    buffer: "compression_buffer_in_bytes",
};

/// As `globals` has them.
pub(in super::super) const GLOBAL_COMPRESSION: CompressionKeys = CompressionKeys {
    threshold: "devo_sender_threshold_for_using_gzip_in_transport_layer",
    level: "devo_sender_compression_level",
    buffer: "devo_sender_compression_buffer_in_bytes",
};

/// Checks the keys of compression, which this version does not do; one warning, unless they say "never" anyway.
pub(in super::super) fn compression(section: &Section<'_>, keys: &CompressionKeys) {
    let threshold = section.number(keys.threshold).range(-1.0..=1.1).optional();
    section.integer(keys.level).range(1..=9).optional();
    section.integer(keys.buffer).range(1..=10_485_760).optional();
    // Use of the queue is at most 1: a threshold above it is never reached.
    if threshold.is_some_and(|threshold| threshold > 1.0) {
        return;
    }
    if let Some(entry) = [keys.threshold, keys.level, keys.buffer].into_iter().find_map(|name| section.given(name)) {
        let fault = Fault::new("this version sends without compression");
        section.report.warning(
            entry.at(),
            fault.help("the keys of compression are ignored; nothing is lost by that but bandwidth"),
        );
    }
}

/// A host name or address alone.
fn host(text: &str) -> Result<(), Fault> {
    match url::Host::parse(text).is_ok() || text.parse::<std::net::Ipv6Addr>().is_ok() {
        true => Ok(()),
        false => Err(Fault::new("is no host")
            .help("write the name or address alone, without scheme or port, such as collector-eu.devo.io")),
    }
}

/// HOST of a header is one word.
fn header_word(text: &str) -> Result<(), Fault> {
    match text.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(()),
        false => {
            Err(Fault::new("is no host name")
                .help("no space, control or non-ASCII character: it would break the header"))
        }
    }
}
