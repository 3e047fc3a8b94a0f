//! Devo's HTTP endpoint.
//!
//! The product description of the official collector says nothing of HTTP. The address
//! (`<endpoint>/stream/<domain>/token!<token>/<host>/<tag>`), one event a line, gzip and the bound of 32 MB a request are
//! from Devo's documentation pages. The names of the keys are ours, and so is what we make of an answer that is not 200:
//! the pages name no other. They do say that an answer comes at once and does not mean that the events are stored, so this
//! channel promises less than the syslog one.

use super::super::super::Secret;
use super::super::super::key::{Form, Key, Table, keys};
use super::super::super::problem::Fault;
use super::super::super::section::Section;
use super::{Auth, Compress, Http, Method, Preset, address, guard, sending};

/// Most of one request. Unit: octets. Source: Devo's page on HTTP, read 2026-11.
const MOST: usize = 32_000_000;

keys! {
    /// Keys of its `config`.
    static KEYS;
    /// Devo's endpoint of your region, without a path.
    URL: Key<String> = Key::parsed("url", Form::Url, |_, text| endpoint(text)).alias(&["address", "location"]).required()
        .example("https://http-eu.devo.io");
    /// Your domain at Devo.
    DOMAIN: Key<String> = Key::parsed("domain", Form::Text, |_, text| word(text)).required().example("my_domain");
    /// HTTP token of that domain, with a right to send to the tags.
    TOKEN: Key<Secret> = Key::secret("token").required().example("change-me");
    /// Host of the events.
    HOSTNAME: Key<String> = Key::parsed("hostname", Form::Text, |_, text| word(text)).otherwise("the machine's name");
}

/// `config` of this type.
pub(in super::super) static TABLE: Table = super::super::config(
    "Devo's HTTP endpoint. Its answer says that events were received, not that they are stored.",
    &[KEYS, sending::KEYS, super::super::COMMON],
);

/// Reads `config` of an output of this type; none when an error has been reported.
pub(in super::super) fn load(section: &Section<'_>) -> Option<Http> {
    let (url, domain, token) = (section.required(&URL), section.required(&DOMAIN), section.required(&TOKEN));
    let hostname = section.optional(&HOSTNAME);
    let sending = sending::load(section);
    if let Some(sending) = &sending {
        if sending.compress == Compress::Zstd {
            section.wrong(&sending::COMPRESS, Fault::new("is not understood by Devo").help("write gzip"));
        }
        if sending.max_bytes > MOST {
            section.report.error(section.at(), Fault::new("batch.max_bytes is over 32 MB, the most that Devo takes"));
        }
    }
    let url = url?;
    // The token is a part of the address.
    guard(section, &URL, &url, true);
    let preset = Preset::Devo { domain: domain?, token: token?, hostname };
    Some(Http { url, preset, method: Method::Post, auth: Auth::None, headers: Vec::new(), sending: sending? })
}

/// An address alone: the path is ours to write.
fn endpoint(text: &str) -> Result<String, Fault> {
    let text = address(text)?;
    let path = url::Url::parse(&text).map(|url| (url.path().to_owned(), url.query().is_some()));
    match path {
        Ok((path, false)) if path == "/" => Ok(text),
        _ => Err(Fault::new("is more than an endpoint").help("write the host alone, such as https://http-eu.devo.io")),
    }
}

/// One visible word: a part of the address.
fn word(text: &str) -> Result<String, Fault> {
    match !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '/') {
        true => Ok(text.to_owned()),
        false => Err(Fault::new("is not one word of visible ASCII without `/`")),
    }
}
