//! Devo's syslog channel: the platform itself, a relay, or a plain syslog receiver.

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
