//! NATS with JetStream.

use super::super::Secret;
use super::super::key::{Branch, Form, Key, Table, keys};
use super::super::problem::Fault;
use super::super::section::Section;
use super::devo::{ClientIdentity, Tls};
use super::file::placeholders_of;
use std::path::PathBuf;
use std::time::Duration;

/// A stream of a NATS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nats {
    /// Addresses of one server or cluster, without credentials; the first that answers is used.
    pub servers: Vec<String>,
    /// Subject with the placeholders `{tenant}`, `{service}`, `{tag}`.
    pub subject: String,
    /// Who we are.
    pub login: Login,
    /// Trust and our certificate; used wherever the server or an address asks for TLS.
    pub tls: Tls,
    /// TLS also where neither asks for it.
    pub tls_required: bool,
    /// Messages sent and not acknowledged at most.
    pub in_flight: usize,
    /// An acknowledgement that takes longer counts as lost.
    pub ack_timeout: Duration,
}

/// How we prove who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Not at all, or by the client certificate alone.
    None,
    /// A token.
    Token(Secret),
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// The seed of an nkey.
    Nkey(Secret),
    /// A `.creds` file: a user's JWT and its seed. Read at each connect.
    CredentialsFile(PathBuf),
}

keys! {
    /// Keys of its `config`.
    static KEYS;
    /// Address of the server, `nats://` or `tls://`; a list for the servers of one cluster.
    URL: Key<Branch> = Key::tree("url", Form::Texts).alias(&["urls"]).required().example("nats://nats.example.org:4222");
    /// Subject of each message. `{tenant}` (name of the input), `{service}` and `{tag}` are replaced; a stream of the server must take it.
    SUBJECT: Key<String> = Key::parsed("subject", Form::Text, |_, text| subject(text)).default("mde.{tenant}.{service}");
    /// A token.
    TOKEN: Key<Secret> = Key::secret("token");
    /// A user, with `password`.
    USER: Key<String> = Key::text("user");
    /// The password of `user`.
    PASSWORD: Key<Secret> = Key::secret("password");
    /// The seed of an nkey: it begins with SU.
    NKEY: Key<Secret> = Key::secret("nkey_seed");
    /// A file with a user's JWT and seed, as nsc writes it; read at each connect.
    CREDENTIALS: Key<PathBuf> = Key::file("credentials_file", "credentials");
    /// TLS also where neither the address nor the server asks for it.
    TLS: Key<bool> = Key::boolean("tls").default("false");
    /// The only roots of trust, PEM.
    CA: Key<PathBuf> = Key::file("ca_file", "certs").otherwise("the system's roots");
    /// Client certificate, PEM, followed by intermediates.
    CERTIFICATE: Key<PathBuf> = Key::file("cert", "certs");
    /// Private key of that certificate, PEM.
    KEY: Key<PathBuf> = Key::file("key", "certs");
    /// Whether the certificate of the server must name its address.
    CHECK_HOSTNAME: Key<bool> = Key::boolean("check_hostname").default("true");
    /// Messages sent and not acknowledged, at most.
    IN_FLIGHT: Key<i64> = Key::integer("in_flight", 1, 10_000).default("256");
    /// An acknowledgement that takes longer counts as lost; the message is sent again.
    ACK_TIMEOUT: Key<Duration> = Key::interval("ack_timeout").default("20s");
}

/// `config` of this type.
pub(super) static TABLE: Table = super::config(
    "One event a message to a JetStream stream of NATS; `Nats-Msg-Id` is the `@event_id`, so that the server drops doubles.",
    &[KEYS, super::COMMON],
);

/// Reads `config` of an output of this type; none when an error has been reported.
pub(super) fn load(section: &Section<'_>) -> Option<Nats> {
    let servers = section.sound(&URL, address);
    let subject = section.value(&SUBJECT);
    let login = login(section);
    let identity = identity(section, &CERTIFICATE, &KEY);
    let (chain, check_hostname) = (section.optional(&CA), section.value(&CHECK_HOSTNAME));
    let tls_required = section.value(&TLS);
    let (in_flight, ack_timeout) = (section.value(&IN_FLIGHT), section.value(&ACK_TIMEOUT));
    Some(Nats {
        servers: servers?,
        subject,
        login: login?,
        tls: Tls { identity: identity?, chain, check_hostname },
        tls_required,
        in_flight: usize::try_from(in_flight).expect("a small number, by its bounds"),
        ack_timeout,
    })
}

/// Whether a text is the address of a server. The fault does not repeat it: it may hold a password.
fn address(text: &str) -> Result<(), Fault> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "nats" | "tls") && url.has_host());
    let Some(url) = url else {
        let fault = Fault::new("the address of a NATS server cannot be read");
        return Err(fault.help("write nats://HOST:PORT, or tls://HOST:PORT"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let fault = Fault::new("the address of a NATS server has credentials in it");
        return Err(fault.help("write them in `user` and `password`, or in `token`"));
    }
    Ok(())
}

/// The one proof that is given; none when an error has been reported.
fn login(section: &Section<'_>) -> Option<Login> {
    let (user, password) = (section.given(&USER), section.given(&PASSWORD));
    let (token, nkey, file) = (section.given(&TOKEN), section.given(&NKEY), section.given(&CREDENTIALS));
    let given: Vec<_> = [user.or(password), token, nkey, file].into_iter().flatten().collect();
    if let [_, second, ..] = given[..] {
        let fault = Fault::new("two ways to log in are given");
        section
            .report
            .error(second.at(), fault.help("keep one: user and password, token, nkey_seed or credentials_file"));
        return None;
    }
    if user.or(password).is_some() {
        let (user, password) = (section.required(&USER), section.required(&PASSWORD));
        return Some(Login::Password { user: user?, password: password? });
    }
    if token.is_some() {
        return section.required(&TOKEN).map(Login::Token);
    }
    if nkey.is_some() {
        return section.required(&NKEY).map(Login::Nkey);
    }
    if file.is_some() {
        return section.required(&CREDENTIALS).map(Login::CredentialsFile);
    }
    Some(Login::None)
}

/// Our certificate with its key, or `Some(None)` where there is neither; none when an error has been reported.
pub(super) fn identity(
    section: &Section<'_>,
    certificate: &'static Key<PathBuf>,
    key: &'static Key<PathBuf>,
) -> Option<Option<ClientIdentity>> {
    // A certificate without its key proves nothing, so one of them demands the other.
    if section.given(certificate).or(section.given(key)).is_none() {
        return Some(None);
    }
    let (cert, key) = (section.required(certificate), section.required(key));
    Some(Some(ClientIdentity { cert: cert?, key: key? }))
}

/// What a subject may hold in braces: values that are the same for all events of a stream.
const PLACEHOLDERS: &[&str] = &["tenant", "service", "tag"];

/// A subject that a message can be sent to: no empty token, no wildcard, no blank.
fn subject(text: &str) -> Result<String, Fault> {
    let subject = placeholders_of(text, PLACEHOLDERS)?;
    let sound = |token: &str| !token.is_empty() && !token.chars().any(|c| c.is_whitespace() || matches!(c, '*' | '>'));
    match subject.split('.').all(sound) && !subject.starts_with('$') {
        true => Ok(subject),
        false => Err(Fault::new("is no subject")
            .help("write words joined by dots, without blanks, `*` or `>`, such as mde.{tenant}.{service}")),
    }
}
