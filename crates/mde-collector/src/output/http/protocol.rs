//! What distinguishes receivers from each other, as values: a new preset is one value here and its word in the configuration.

use super::answer::Reading;
use super::envelope::Framing;
use crate::config::outputs::http::Preset;
use reqwest::Method;

/// How one kind of receiver is spoken to.
#[derive(Debug)]
pub(super) struct Protocol {
    /// What stands behind the configured address; words in braces are filled in.
    pub path: &'static str,
    /// The query of a request with events; empty where there is none.
    pub query: &'static str,
    /// What stands before a token in `Authorization`.
    pub scheme: &'static str,
    /// `Content-Type` of a request with events.
    pub content_type: &'static str,
    /// How events are put into a body.
    pub framing: Framing,
    /// How an answer is understood.
    pub reading: Reading,
    /// What is asked without an event.
    pub probe: Probe,
}

/// What is asked without an event, and what an answer proves.
#[derive(Debug)]
pub(super) struct Probe {
    /// Verb.
    pub method: Method,
    /// Path behind the configured address; none: the address for events itself.
    pub path: Option<&'static str>,
    /// Whether only a 2xx will do; else every answer will that does not refuse us.
    pub strict: bool,
    /// What is proved then.
    pub proof: &'static str,
}

/// One event a line.
static NDJSON: Protocol = Protocol { content_type: "application/x-ndjson", framing: Framing::Lines, ..JSON };

/// An array of events.
static JSON_ARRAY: Protocol = JSON;

/// JSON without a form of the receiver's own.
const JSON: Protocol = Protocol {
    path: "",
    query: "",
    scheme: "Bearer",
    content_type: "application/json",
    framing: Framing::Array,
    reading: Reading::Status,
    probe: Probe {
        method: Method::OPTIONS,
        path: None,
        strict: false,
        proof: "reachable and not refused; whether it takes events shows when the first one is sent",
    },
};

/// Splunk's HTTP event collector. Source: Splunk's pages on its input endpoints, their codes and acknowledgement, read 2026-11.
static SPLUNK_HEC: Protocol = Protocol {
    path: "services/collector/event",
    query: "",
    scheme: "Splunk",
    content_type: "application/json",
    framing: Framing::Hec,
    reading: Reading::Hec,
    probe: Probe {
        method: Method::GET,
        path: Some("services/collector/health"),
        strict: true,
        proof: "reachable and ready to take events; the right to send shows when the first one is sent",
    },
};

/// Where Splunk tells what it has indexed.
pub(super) const HEC_ACK: &str = "services/collector/ack";

/// Elasticsearch and OpenSearch. Source: their pages on bulk requests, read 2026-11. Only what is read of an answer is asked for.
static ELASTICSEARCH: Protocol = Protocol {
    path: "_bulk",
    query: "filter_path=errors,items.*.status,items.*.error.type",
    scheme: "Bearer",
    content_type: "application/x-ndjson",
    framing: Framing::Create,
    reading: Reading::Bulk,
    probe: Probe {
        method: Method::GET,
        path: Some(""),
        strict: true,
        proof: "reachable, and we are let in; the right to write shows when the first event is sent",
    },
};

/// Devo's endpoint, mode `stream`; see the configuration of this output for what is known of it.
static DEVO: Protocol = Protocol {
    path: "stream/{domain}/token!{token}/{host}/{tag}",
    query: "",
    scheme: "",
    content_type: "text/plain; charset=utf-8",
    framing: Framing::Lines,
    reading: Reading::Status,
    probe: Probe {
        method: Method::HEAD,
        path: Some(""),
        strict: false,
        proof: "reachable; Devo has no way to look at a token without an event, so it shows when the first one is sent",
    },
};

impl Protocol {
    /// That of a preset.
    pub(super) fn of(preset: &Preset) -> &'static Self {
        match preset {
            Preset::Ndjson => &NDJSON,
            Preset::JsonArray => &JSON_ARRAY,
            Preset::SplunkHec { .. } => &SPLUNK_HEC,
            Preset::Elasticsearch { .. } => &ELASTICSEARCH,
            Preset::Devo { .. } => &DEVO,
        }
    }
}
