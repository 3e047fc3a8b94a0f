//! What every output over HTTP can be told about its requests: how large, how compressed, over which connection.

use super::super::super::Secret;
use super::super::super::endpoints::address_of_proxy;
use super::super::super::key::{Branch, Form, Key, Table, keys};
use super::super::super::section::Section;
use super::super::devo::{ClientIdentity, Tls};
use super::{Compress, Sending};
use std::path::PathBuf;
use std::time::Duration;

/// The pipeline gives up a write after 60 s; a request must have failed before that.
const LONGEST: Duration = Duration::from_secs(50);

keys! {
    /// Keys of requests and their connections.
    pub(super) static KEYS;
    /// How much goes into one request.
    BATCH: Key<Branch> = Key::tree("batch", Form::Section(&BATCH_TABLE));
    /// How a body is compressed; the receiver must understand it. Presets and Devo take gzip.
    pub(super) COMPRESS: Key<Compress> = Key::word("compress", &[
        ("none", Compress::None), ("gzip", Compress::Gzip), ("zstd", Compress::Zstd),
    ]).default("none");
    /// Longest time that one request may take.
    TIMEOUT: Key<Duration> = Key::duration_within("timeout", Duration::from_secs(1), LONGEST).default("30s");
    /// The only roots of trust, PEM.
    CA_FILE: Key<PathBuf> = Key::file("ca_file", "certs").alias(&["chain"]).otherwise("the system's roots");
    /// Client certificate, PEM, followed by intermediates.
    CERT: Key<PathBuf> = Key::file("cert", "certs");
    /// Private key of that certificate, PEM: PKCS#8, PKCS#1 or SEC1.
    KEY: Key<PathBuf> = Key::file("key", "certs");
    /// Whether the certificate of the other side must name the address.
    CHECK_HOSTNAME: Key<bool> = Key::boolean("check_hostname").default("true");
    /// Proxy, such as http://user:password@host:3128, the login percent-encoded; https, socks5, socks5h too. Never used for this machine.
    PROXY: Key<Secret> = Key::parsed("proxy", Form::Secret, |_, text| address_of_proxy(text))
        .otherwise("HTTPS_PROXY and NO_PROXY of the environment");
}

keys! {
    /// Keys of `batch`.
    static BATCH_KEYS;
    /// Most events of a request.
    MAX_EVENTS: Key<i64> = Key::integer("max_events", 1, 1_000_000).default("1000");
    /// Most octets of a request's events before compression; one event alone may be longer. Unit: octets.
    MAX_BYTES: Key<u64> = Key::size("max_bytes", 1 << 10).default("1MiB");
}

/// `outputs.*.config.batch`.
static BATCH_TABLE: Table =
    Table { path: "outputs.*.config.batch", doc: "How much goes into one request.", groups: &[BATCH_KEYS] };

/// Reads those keys; none when an error has been reported.
pub(super) fn load(section: &Section<'_>) -> Option<Sending> {
    let batch = section.section(&BATCH);
    let (max_events, max_bytes) = (batch.value(&MAX_EVENTS), batch.value(&MAX_BYTES));
    batch.finish();
    let (compress, timeout, proxy) = (section.value(&COMPRESS), section.value(&TIMEOUT), section.optional(&PROXY));
    let (chain, check_hostname) = (section.optional(&CA_FILE), section.value(&CHECK_HOSTNAME));
    // A certificate without its key proves nothing, so one of them demands the other.
    let identity = match section.given(&CERT).or(section.given(&KEY)) {
        None => None,
        Some(_) => {
            let (cert, key) = (section.required(&CERT), section.required(&KEY));
            Some(ClientIdentity { cert: cert?, key: key? })
        }
    };
    Some(Sending {
        max_events: usize::try_from(max_events).expect("a small number, by its bounds"),
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        compress,
        timeout,
        tls: Tls { identity, chain, check_hostname },
        proxy,
    })
}
