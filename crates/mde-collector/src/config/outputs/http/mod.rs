//! Receivers over HTTP: any that takes JSON lines or an array, those with a form of their own (presets), and Devo's.

pub(super) mod devo;
mod sending;

use super::super::Secret;
use super::super::endpoints::is_loopback;
use super::super::hidden::sounds_secret;
use super::super::key::{Branch, Form, Key, Table, keys};
use super::super::problem::Fault;
use super::super::report::Outcome;
use super::super::section::Section;
use super::devo::Tls;
use super::file::known_placeholders;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// A receiver over HTTP.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where to, with the placeholders `{tenant}`, `{service}`, `{tag}`, `{date}`; no login, no fragment.
    pub url: String,
    /// How it wants to be spoken to.
    pub preset: Preset,
    /// Verb of a request with events.
    pub method: Method,
    /// Who we are.
    pub auth: Auth,
    /// Further headers of every request; a value may be a credential.
    pub headers: Vec<(String, Secret)>,
    /// How events are put into requests and sent.
    pub sending: Sending,
}

/// How a receiver wants to be spoken to, with what only such a receiver needs to know.
#[derive(Debug, Clone)]
pub enum Preset {
    /// One event a line.
    Ndjson,
    /// An array of events.
    JsonArray,
    /// Splunk's HTTP event collector.
    SplunkHec {
        /// Index; the token's own where there is none.
        index: Option<String>,
        /// `source`, with placeholders.
        source: String,
        /// `sourcetype`, with placeholders.
        sourcetype: String,
        /// `host`; the machine's name where there is none.
        hostname: Option<String>,
        /// How long an acknowledgement may take; none: an answer is enough.
        ack: Option<Duration>,
    },
    /// Elasticsearch's or OpenSearch's bulk requests.
    Elasticsearch {
        /// Index or data stream, with placeholders.
        index: String,
    },
    /// Devo's HTTP endpoint, mode `stream`.
    Devo {
        /// Domain at Devo.
        domain: String,
        /// Token of that domain; it is a part of the address.
        token: Secret,
        /// Host of the events; the machine's name where there is none.
        hostname: Option<String>,
    },
}

/// Verb of a request with events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The usual one.
    Post,
    /// What some object stores and buckets want.
    Put,
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    None,
    /// A word and a token.
    Token {
        /// `Bearer` and the like; the preset's where there is none.
        scheme: Option<String>,
        /// The token, or the file that holds it.
        token: Token,
    },
    /// Name and password.
    Basic {
        /// Name.
        username: String,
        /// Password.
        password: Secret,
    },
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// From the configuration.
    Fixed(Secret),
    /// From a file, which is read again while we run.
    File(PathBuf),
}

/// How events are put into requests and sent.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Most events of a request.
    pub max_events: usize,
    /// Most octets of a request's events before compression; one event alone may be longer.
    pub max_bytes: usize,
    /// How a body is compressed.
    pub compress: Compress,
    /// Longest time from the first octet of a request to the last one of its answer.
    pub timeout: Duration,
    /// Trust, and our certificate; used for `https` only.
    pub tls: Tls,
    /// Proxy's address, which may carry a login; that of the environment where there is none.
    pub proxy: Option<Secret>,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// What a receiver is, before its own keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// None of the known ones: the body's form is chosen.
    Plain,
    /// Splunk's HTTP event collector.
    SplunkHec,
    /// Elasticsearch or OpenSearch.
    Elasticsearch,
}

keys! {
    /// Keys of its `config`.
    static KEYS;
    /// Where to: https, or http where nothing secret is sent or to this machine. `{tenant}` (name of the input), `{service}`, `{tag}` and `{date}` are replaced. A preset adds its own path.
    URL: Key<String> = Key::parsed("url", Form::Url, |_, text| address(text)).required().example("https://collector.example/events/{service}");
    /// A receiver with a form of its own: `splunk_hec` (HTTP event collector) or `elasticsearch` (also OpenSearch: `_bulk`, `_id` from `@event_id`).
    PRESET: Key<Kind> = Key::word("preset", &[
        ("none", Kind::Plain), ("splunk_hec", Kind::SplunkHec), ("elasticsearch", Kind::Elasticsearch),
    ]).default("none");
    /// Form of a body: one event a line, or an array of events. A preset has its own.
    FORMAT: Key<bool> = Key::word("format", &[("ndjson", false), ("json_array", true)]).default("ndjson");
    /// Verb of a request.
    METHOD: Key<Method> = Key::word("method", &[("POST", Method::Post), ("PUT", Method::Put)]).default("POST");
    /// Further headers of every request, as `Name: value` lines; the values count as secrets.
    HEADERS: Key<Branch> = Key::tree("headers", Form::Any);
    /// Who we are.
    AUTH: Key<Branch> = Key::tree("auth", Form::Section(&AUTH_TABLE));
    /// With `splunk_hec` an index, without it the token's own; with `elasticsearch` an index or data stream, without it `mde-{service}`. Placeholders are replaced.
    INDEX: Key<String> = Key::parsed("index", Form::Text, |_, text| known_placeholders(text)).otherwise("see there");
    /// For `splunk_hec`: `source` of the events. Placeholders are replaced.
    SOURCE: Key<String> = Key::parsed("source", Form::Text, |_, text| known_placeholders(text)).default("mde:{service}");
    /// For `splunk_hec`: `sourcetype` of the events. Placeholders are replaced.
    SOURCETYPE: Key<String> = Key::parsed("sourcetype", Form::Text, |_, text| known_placeholders(text)).default("_json");
    /// For `splunk_hec`: `host` of the events.
    HOSTNAME: Key<String> = Key::text("hostname").otherwise("the machine's name");
    /// For `splunk_hec`: `true` where the token has acknowledgement switched on; then only what Splunk says is indexed counts as delivered.
    ACK: Key<bool> = Key::boolean("ack").default("false");
    /// For `splunk_hec`: how long an acknowledgement may take before the events are sent again.
    ACK_TIMEOUT: Key<Duration> = Key::interval("ack_timeout").default("5m");
}

/// `config` of this type.
pub(super) static TABLE: Table = super::config(
    "A receiver over HTTP: JSON lines, a JSON array, Splunk's HTTP event collector, Elasticsearch or OpenSearch.",
    &[KEYS, sending::KEYS, super::COMMON],
);

keys! {
    /// Keys of `auth`.
    static AUTH_KEYS;
    /// A token, sent as `Authorization: Bearer …` (`Splunk …` with that preset).
    BEARER: Key<Secret> = Key::secret("bearer").otherwise("one of bearer, bearer_file and basic").example("change-me");
    /// A file with the token; a changed one is used within a minute.
    BEARER_FILE: Key<PathBuf> = Key::file("bearer_file", "credentials");
    /// Another word than `Bearer` before the token, such as ApiKey.
    SCHEME: Key<String> = Key::parsed("scheme", Form::Text, |_, text| header_name(text)).otherwise("Bearer; Splunk with splunk_hec");
    /// Name and password instead of a token.
    BASIC: Key<Branch> = Key::tree("basic", Form::Section(&BASIC_TABLE));
}

/// `outputs.*.config.auth`.
static AUTH_TABLE: Table = Table { path: "outputs.*.config.auth", doc: "Who we are.", groups: &[AUTH_KEYS] };

keys! {
    /// Keys of `basic`.
    static BASIC_KEYS;
    /// Name.
    USERNAME: Key<String> = Key::text("username");
    /// Password.
    PASSWORD: Key<Secret> = Key::secret("password");
}

/// `outputs.*.config.auth.basic`.
static BASIC_TABLE: Table =
    Table { path: "outputs.*.config.auth.basic", doc: "Name and password.", groups: &[BASIC_KEYS] };

/// Where events go in Elasticsearch without a word about it.
const INDEX_OF_SERVICE: &str = "mde-{service}";

/// Headers that say what only the sender knows.
const OUR_HEADERS: &[&str] =
    &["content-type", "content-encoding", "content-length", "transfer-encoding", "host", "connection"];

/// Reads `config` of an output of this type; none when an error has been reported.
pub(super) fn load(section: &Section<'_>) -> Option<Http> {
    let (url, kind, method) = (section.required(&URL), section.value(&PRESET), section.value(&METHOD));
    let headers = headers(section);
    let auth = auth(section.section(&AUTH));
    let preset = preset(section, kind);
    let sending = sending::load(section);
    if kind != Kind::Plain {
        section.no_effect(&FORMAT, "the preset has its own");
        if sending.as_ref().is_some_and(|sending| sending.compress == Compress::Zstd) {
            section.wrong(&sending::COMPRESS, Fault::new("is not understood by this receiver").help("write gzip"));
        }
    }
    let (url, auth, headers) = (url?, auth?, headers?);
    if auth != Auth::None && headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        section.wrong(&HEADERS, Fault::new("has `Authorization` as well as `auth`").help("keep one of the two"));
    }
    let telling = |name: &str| sounds_secret(name) || name.to_ascii_lowercase().contains("key");
    guard(section, &URL, &url, auth != Auth::None || headers.iter().any(|(name, _)| telling(name)));
    Some(Http { url, preset, method, auth, headers, sending: sending? })
}

/// The keys that only a preset knows; those of another one have no effect.
fn preset(section: &Section<'_>, kind: Kind) -> Preset {
    let (index, ack, ack_timeout) = (section.optional(&INDEX), section.value(&ACK), section.value(&ACK_TIMEOUT));
    let (source, sourcetype) = (section.value(&SOURCE), section.value(&SOURCETYPE));
    let hostname = section.optional(&HOSTNAME);
    if kind != Kind::SplunkHec {
        const OTHER: &str = "only the preset splunk_hec knows it";
        section.no_effect(&SOURCE, OTHER);
        section.no_effect(&SOURCETYPE, OTHER);
        section.no_effect(&HOSTNAME, OTHER);
        section.no_effect(&ACK, OTHER);
        section.no_effect(&ACK_TIMEOUT, OTHER);
    }
    match kind {
        Kind::Plain => {
            section.no_effect(&INDEX, "only the presets know it");
            if section.value(&FORMAT) { Preset::JsonArray } else { Preset::Ndjson }
        }
        Kind::SplunkHec => Preset::SplunkHec { index, source, sourcetype, hostname, ack: ack.then_some(ack_timeout) },
        Kind::Elasticsearch => Preset::Elasticsearch { index: index.unwrap_or_else(|| INDEX_OF_SERVICE.to_owned()) },
    }
}

/// The one way in which we say who we are; none when an error has been reported.
fn auth(section: Section<'_>) -> Option<Auth> {
    let basic = section.section(&BASIC);
    let (username, password) = (basic.given(&USERNAME), basic.given(&PASSWORD));
    let ways = [section.given(&BEARER), section.given(&BEARER_FILE), username.or(password)];
    let scheme = section.optional(&SCHEME);
    let mut given = ways.into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    if let (Some(_), Some(second)) = (first, second) {
        let fault = Fault::new("`auth` says twice who we are");
        section.report.error(second.at(), fault.help("keep one of bearer, bearer_file and basic"));
    }
    let auth = match ways {
        [_, _, Some(_)] => basic
            .required(&USERNAME)
            .zip(basic.required(&PASSWORD))
            .map(|(username, password)| Auth::Basic { username, password }),
        [Some(_), ..] => section.required(&BEARER).map(|token| Auth::Token { scheme, token: Token::Fixed(token) }),
        [_, Some(_), _] => section.required(&BEARER_FILE).map(|file| Auth::Token { scheme, token: Token::File(file) }),
        [None, None, None] => Some(Auth::None),
    };
    if !matches!(auth, Some(Auth::Token { .. })) {
        section.no_effect(&SCHEME, "there is no token");
    }
    basic.finish();
    section.finish();
    auth
}

/// Further headers; none when an error has been reported.
fn headers(section: &Section<'_>) -> Option<Vec<(String, Secret)>> {
    /// A place for names that a person chooses.
    static NAMES: Table = Table { path: "outputs.*.config.headers", doc: "Further headers.", groups: &[] };
    let before = section.report.error_count();
    let mut headers = Vec::new();
    for entry in section.section_as(&HEADERS, &NAMES).entries() {
        let ours = OUR_HEADERS.iter().any(|ours| entry.key.eq_ignore_ascii_case(ours));
        if ours || header_name(&entry.key).is_err() {
            let fault = Fault::new(if ours { "this header is ours to write" } else { "this is no name of a header" });
            section.report.error(entry.at(), fault);
        }
        match section.report.text(&entry.value) {
            Outcome::Good(value) | Outcome::Placeholder(value) => {
                if value.contains(|c: char| c.is_control()) {
                    section.report.error(entry.at(), Fault::new("the value has a control character in it"));
                }
                headers.push((entry.key.clone(), Secret::new(value)));
            }
            Outcome::Absent => section.report.error(entry.at(), Fault::new("the header has no value")),
            Outcome::Faulty => {}
        }
    }
    (section.report.error_count() == before).then_some(headers)
}

/// A credential goes over an encrypted connection, or stays on this machine.
fn guard(section: &Section<'_>, key: &'static Key<String>, url: &str, secret: bool) {
    let open = Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url));
    if open && secret {
        let fault = Fault::new("is not encrypted, and credentials go there");
        section.wrong(key, fault.help("write https://; plain http:// takes credentials on this machine only"));
    }
}

/// An address with http or https; a login has its own keys, and a fragment is never sent.
fn address(text: &str) -> Result<String, Fault> {
    let text = known_placeholders(text)?;
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    let Some(url) = url else { return Err(Fault::new("is no URL").help("write https:// and a host")) };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new("has a login in it").help("write it as auth: {basic: {username, password}}"));
    }
    match url.fragment() {
        None => Ok(text),
        Some(_) => Err(Fault::new("has a `#` part, which is never sent").help("leave it out")),
    }
}

/// A name as HTTP has it: visible ASCII without separators.
fn header_name(text: &str) -> Result<String, Fault> {
    match !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)) {
        true => Ok(text.to_owned()),
        false => Err(Fault::new("is no word of a header")),
    }
}
