//! How events become the body of a request. Events are compact JSON lines and are never parsed for it.

use crate::config::outputs::http::{Compress, Preset};
use crate::output::template::Template;
use crate::record::BatchHead;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write as _};

/// How events are put into a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One a line.
    Lines,
    /// `[…,…]`
    Array,
    /// Each inside an object with its time and origin.
    Hec,
    /// Each behind a line that says where it is created, under which id.
    Create,
}

/// What all events of a frame are wrapped in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// Before the first event.
    open: &'static str,
    /// Before each event.
    before: String,
    /// What follows `before` and, where the event has one, its id.
    behind_id: Option<&'static str>,
    /// Behind each event.
    after: &'static str,
    /// Between two events.
    between: &'static str,
    /// Behind the last event.
    close: &'static str,
}

/// What a preset says about each event, with placeholders, in the order in which it is written: (member, text).
pub(super) type Fields = Vec<(&'static str, Template)>;

/// The members of a preset; fails on placeholders that nobody knows.
pub(super) fn fields(preset: &Preset, machine: &str) -> Result<Fields, crate::output::template::TemplateError> {
    let written: Vec<(&'static str, String)> = match preset {
        Preset::SplunkHec { index, source, sourcetype, hostname, .. } => {
            // A host name is no template: its braces would be its own.
            let host = hostname.as_deref().unwrap_or(machine).replace(['{', '}'], "-");
            let own = [("host", host), ("source", source.clone()), ("sourcetype", sourcetype.clone())];
            own.into_iter().chain(index.clone().map(|index| ("index", index))).collect()
        }
        Preset::Elasticsearch { index } => vec![("_index", index.clone())],
        Preset::Ndjson | Preset::JsonArray | Preset::Devo { .. } => Vec::new(),
    };
    written.into_iter().map(|(member, text)| Ok((member, Template::parse(&text)?))).collect()
}

impl Envelope {
    /// For the events of one batch.
    pub(super) fn new(framing: Framing, fields: &Fields, head: &BatchHead) -> Self {
        let members = || {
            let member = |(name, template): &(&str, Template)| {
                let text = template.fill(head, |text, value| text.push_str(value));
                format!("\"{name}\":{}", serde_json::Value::String(text))
            };
            fields.iter().map(member).collect::<Vec<_>>().join(",")
        };
        let plain = Self { open: "", before: String::new(), behind_id: None, after: "\n", between: "", close: "" };
        match framing {
            Framing::Lines => plain,
            Framing::Array => Self { open: "[", after: "", between: ",", close: "]", ..plain },
            Framing::Hec => {
                let (seconds, rest) = (head.pulled_ms.div_euclid(1_000), head.pulled_ms.rem_euclid(1_000));
                let before = format!("{{\"time\":{seconds}.{rest:03},{},\"event\":", members());
                Self { before, after: "}\n", ..plain }
            }
            Framing::Create => {
                Self { before: format!("{{\"create\":{{{}", members()), behind_id: Some("}}\n"), ..plain }
            }
        }
    }

    /// The body of a request with these events, each without the end of its line.
    pub(super) fn body<'e>(&self, events: impl Iterator<Item = &'e [u8]>) -> Vec<u8> {
        let mut body = self.open.as_bytes().to_vec();
        for (number, event) in events.enumerate() {
            if number > 0 {
                body.extend_from_slice(self.between.as_bytes());
            }
            body.extend_from_slice(self.before.as_bytes());
            if let Some(behind) = self.behind_id {
                if let Some(id) = event_id(event) {
                    body.extend_from_slice(b",\"_id\":\"");
                    body.extend_from_slice(id);
                    body.push(b'"');
                }
                body.extend_from_slice(behind.as_bytes());
            }
            body.extend_from_slice(event);
            body.extend_from_slice(self.after.as_bytes());
        }
        body.extend_from_slice(self.close.as_bytes());
        body
    }
}

/// The `@event_id` that ends an event, 32 hex digits; none where the output's events have none. A record that has a
/// property of this name itself makes ours `@event_id_2`.
pub(super) fn event_id(event: &[u8]) -> Option<&[u8]> {
    /// Length of an id in hex.
    const LENGTH: usize = 32;
    let rest = event.strip_suffix(b"\"}")?;
    let (rest, id) = rest.split_at_checked(rest.len().checked_sub(LENGTH)?)?;
    let name = rest.strip_suffix(b"\":\"")?;
    let name = &name[name.iter().rposition(|&octet| octet == b'"')? + 1..];
    let ours = name.strip_prefix(b"@event_id").is_some_and(|number| match number.strip_prefix(b"_") {
        Some(digits) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        None => number.is_empty(),
    });
    (ours && id.iter().all(u8::is_ascii_hexdigit)).then_some(id)
}

/// Levels that cost less time than the octets they save cost on the way.
const GZIP_LEVEL: u32 = 1;
/// As [`GZIP_LEVEL`].
const ZSTD_LEVEL: i32 = 1;

/// A body as it is sent, and its `Content-Encoding`.
pub(super) fn compressed(body: Vec<u8>, how: Compress) -> io::Result<(Vec<u8>, Option<&'static str>)> {
    Ok(match how {
        Compress::None => (body, None),
        Compress::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
            encoder.write_all(&body)?;
            (encoder.finish()?, Some("gzip"))
        }
        Compress::Zstd => (zstd::bulk::compress(&body, ZSTD_LEVEL)?, Some("zstd")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> BatchHead {
        BatchHead {
            input: "ac\"me".to_owned(),
            service: "alerts".to_owned(),
            tag: "my.app.x".to_owned(),
            pulled_ms: 1_795_489_200_007,
        }
    }

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn body(framing: Framing, preset: &Preset, events: &[&str]) -> String {
        let envelope = Envelope::new(framing, &fields(preset, "box").expect("valid"), &head());
        String::from_utf8(envelope.body(events.iter().map(|event| event.as_bytes()))).expect("text")
    }

    #[test]
    fn lines_and_arrays_hold_the_events_octet_for_octet() {
        let events = ["{\"a\":1.0}", "{\"b\":\"é\\u00e9\"}"];
        assert_eq!(body(Framing::Lines, &Preset::Ndjson, &events), "{\"a\":1.0}\n{\"b\":\"é\\u00e9\"}\n");
        assert_eq!(body(Framing::Array, &Preset::JsonArray, &events), "[{\"a\":1.0},{\"b\":\"é\\u00e9\"}]");
    }

    #[test]
    fn a_splunk_event_says_when_it_was_pulled_and_where_it_comes_from() {
        let (source, sourcetype) = ("{tenant}:{service}".to_owned(), "_json".to_owned());
        let preset =
            Preset::SplunkHec { index: Some("main".to_owned()), source, sourcetype, hostname: None, ack: None };
        let text = body(Framing::Hec, &preset, &["{\"a\":1}"]);
        let event: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let expected = serde_json::json!({"time": 1_795_489_200.007, "host": "box", "source": "ac\"me:alerts",
            "sourcetype": "_json", "index": "main", "event": {"a": 1}});
        assert_eq!(event, expected);
    }

    #[test]
    fn a_bulk_line_creates_the_event_under_its_own_id() {
        let preset = Preset::Elasticsearch { index: "mde-{service}-{date}".to_owned() };
        let with = format!("{{\"a\":1,\"@event_id\":\"{ID}\"}}");
        let text = body(Framing::Create, &preset, &[&with, "{\"a\":1}"]);
        let expected = format!(
            "{{\"create\":{{\"_index\":\"mde-alerts-2026-11-24\",\"_id\":\"{ID}\"}}}}\n{with}\n{{\"create\":{{\"_index\":\"mde-alerts-2026-11-24\"}}}}\n{{\"a\":1}}\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn only_an_id_of_ours_at_the_very_end_counts() {
        for (event, found) in [
            (format!("{{\"a\":1,\"@event_id\":\"{ID}\"}}"), true),
            (format!("{{\"@event_id\":\"mine\",\"@event_id_2\":\"{ID}\"}}"), true),
            (format!("{{\"@event_id\":\"{ID}\",\"a\":1}}"), false),
            (format!("{{\"a\":1,\"@event_id_x\":\"{ID}\"}}"), false),
            (format!("{{\"a\":1,\"@event_id\":\"{}\"}}", ID.replace('0', "x")), false),
            (format!("{{\"a\":{{\"@event_id\":\"{ID}\"}}}}"), false),
            ("{}".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(event_id(event.as_bytes()).is_some(), found, "{event}");
        }
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let text = b"{\"a\":1}\n".repeat(1_000);
        let (zipped, word) = compressed(text.clone(), Compress::Gzip).expect("memory");
        assert_eq!(word, Some("gzip"));
        let mut back = Vec::new();
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&zipped[..]), &mut back).expect("gzip");
        assert_eq!(back, text);
        let (zipped, word) = compressed(text.clone(), Compress::Zstd).expect("memory");
        assert_eq!(word, Some("zstd"));
        assert_eq!(zstd::bulk::decompress(&zipped, text.len()).expect("zstd"), text);
    }
}
