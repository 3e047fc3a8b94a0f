//! What an answer means for the events of its request.
//!
//! A receiver's words are never quoted: they may hold a piece of an event, or an address with a token in it. Statuses, codes
//! and the names of error types are told instead.

use crate::output::OutputError;
use crate::record::ErrorClass;
use serde::Deserialize;
use std::time::Duration;

/// How an answer is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// By its status alone.
    Status,
    /// By its status and Splunk's code.
    Hec,
    /// By the status of each event.
    Bulk,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// How long the receiver asks us to wait.
    pub retry_after: Option<Duration>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
}

/// What becomes of the events of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has them.
    Taken {
        /// Under this number it will say that they are stored.
        ack: Option<u64>,
        /// But not these, ever: place in the request, and why.
        refused: Vec<(usize, String)>,
    },
    /// It has none, because of one of them or because they are too many.
    Divide {
        /// The place of the one that it named.
        at: Option<usize>,
        /// Why a single event is refused for good.
        reason: String,
    },
}

/// Codes of Splunk's with which an event is refused; the other ones of a 400 are about settings.
/// Source: Splunk's page on the event collector's codes, read 2026-11. In order: no data, invalid data format, event field missing, event
/// field blank, indexed fields.
const HEC_EVENT_CODES: &[i64] = &[5, 6, 12, 13, 15];

/// What we read of a Splunk answer.
#[derive(Debug, Default, Deserialize)]
struct HecBody {
    /// Splunk's code.
    code: Option<i64>,
    /// Place of the event that is wrong.
    #[serde(rename = "invalid-event-number")]
    invalid: Option<usize>,
    /// Number under which storage is told.
    #[serde(rename = "ackId")]
    ack: Option<u64>,
}

/// What we read of a bulk answer.
#[derive(Debug, Deserialize)]
struct BulkBody {
    /// Whether any event was not taken.
    errors: bool,
    /// One for each event, in order.
    #[serde(default)]
    items: Vec<BulkItem>,
}

/// An event's place in a bulk answer.
#[derive(Debug, Deserialize)]
struct BulkItem {
    /// What became of it.
    create: BulkOutcome,
}

/// What became of an event.
#[derive(Debug, Deserialize)]
struct BulkOutcome {
    /// HTTP status.
    status: u16,
    /// Why not.
    error: Option<BulkError>,
}

/// Why an event was not taken.
#[derive(Debug, Deserialize)]
struct BulkError {
    /// Name of the error's type.
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Judges the answer to a request with `count` events. `target`: for messages; `ack`: whether a number must come.
pub(super) fn judge(
    reading: Reading,
    answer: &Answer,
    (count, ack): (usize, bool),
    target: &str,
) -> Result<Verdict, OutputError> {
    match reading {
        Reading::Status => by_status(answer, target),
        Reading::Hec => by_code(answer, ack, target),
        Reading::Bulk => by_event(answer, count, target),
    }
}

/// By the status alone.
fn by_status(answer: &Answer, target: &str) -> Result<Verdict, OutputError> {
    match answer.status {
        200..=299 => Ok(Verdict::Taken { ack: None, refused: Vec::new() }),
        status @ (400 | 413 | 422) => {
            Ok(Verdict::Divide { at: None, reason: format!("the receiver answers {status} to this event alone") })
        }
        status => Err(failure(status, answer.retry_after, target)),
    }
}

/// By the status and Splunk's code.
fn by_code(answer: &Answer, wanted: bool, target: &str) -> Result<Verdict, OutputError> {
    let body: HecBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (by_status(answer, target)?, body.code) {
        (Verdict::Taken { .. }, _) if wanted && body.ack.is_none() => {
            let action = format!(
                "deliver to {target}: it gives no number to ask by; switch acknowledgement on for the token, or write `ack: false`"
            );
            Err(OutputError::found(ErrorClass::Denied, action))
        }
        (Verdict::Taken { refused, .. }, _) => Ok(Verdict::Taken { ack: body.ack.filter(|_| wanted), refused }),
        (Verdict::Divide { .. }, Some(code)) if answer.status == 400 && !HEC_EVENT_CODES.contains(&code) => {
            let action = format!("deliver to {target}: it answers 400 with code {code}, which is about index or token");
            Err(OutputError::found(ErrorClass::Denied, action))
        }
        (Verdict::Divide { reason, .. }, code) => {
            let reason = code.map_or(reason, |code| format!("Splunk refuses this event with code {code}"));
            Ok(Verdict::Divide { at: body.invalid, reason })
        }
    }
}

/// By the status of each event. One that is to come again makes all come again: the others are under their ids already.
fn by_event(answer: &Answer, count: usize, target: &str) -> Result<Verdict, OutputError> {
    let whole = by_status(answer, target)?;
    if let Verdict::Divide { .. } = whole {
        return Ok(whole);
    }
    let unreadable =
        |what: &str| OutputError::found(ErrorClass::Transient, format!("understand the answer of {target}: {what}"));
    let body: BulkBody =
        serde_json::from_slice(&answer.body).map_err(|_| unreadable("it is no answer to a bulk request"))?;
    if !body.errors {
        return Ok(whole);
    }
    if body.items.len() != count {
        return Err(unreadable("it speaks of another number of events"));
    }
    let mut refused = Vec::new();
    for (place, BulkItem { create }) in body.items.into_iter().enumerate() {
        match create.status {
            // 409: an earlier request, whose answer was lost, has created it.
            200..=299 | 409 => {}
            status @ (401 | 403 | 404 | 408 | 429 | 500..) => return Err(failure(status, answer.retry_after, target)),
            status => {
                let kind = create.error.and_then(|error| error.kind).filter(|kind| is_name(kind));
                let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
                refused.push((place, format!("the index refuses this event with status {status}{kind}")));
            }
        }
    }
    Ok(Verdict::Taken { ack: None, refused })
}

/// Whether a text is the name of an error's type and nothing of an event's.
fn is_name(text: &str) -> bool {
    text.len() <= 80 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The error of a status that is about the whole request.
pub(super) fn failure(status: u16, after: Option<Duration>, target: &str) -> OutputError {
    let (class, advice) = match status {
        429 => (ErrorClass::Throttled { after }, ""),
        408 | 425 | 500.. if after.is_some() => (ErrorClass::Throttled { after }, ""),
        408 | 425 | 500.. => (ErrorClass::Transient, ""),
        401 | 403 | 407 => (ErrorClass::Denied, ": the credentials or their rights are refused"),
        300..=399 => (ErrorClass::Denied, ": it points elsewhere; write the final address"),
        _ => (ErrorClass::Denied, ": the address or the settings are not what it expects"),
    };
    OutputError::found(class, format!("deliver to {target}: it answers {status}{advice}"))
}

/// What Splunk says about numbers: those of which it says that they are stored.
pub(super) fn acknowledged(body: &[u8]) -> Option<Vec<u64>> {
    /// The answer to a question about numbers.
    #[derive(Deserialize)]
    struct Acks {
        /// Number, as text, and whether its events are stored.
        acks: std::collections::HashMap<String, bool>,
    }
    let Acks { acks } = serde_json::from_slice(body).ok()?;
    Some(acks.into_iter().filter(|(_, stored)| *stored).filter_map(|(number, _)| number.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, body: body.as_bytes().to_vec() }
    }

    fn class(reading: Reading, answer: &Answer) -> Option<ErrorClass> {
        judge(reading, answer, (2, false), "http x").err().map(|error| error.class)
    }

    #[test]
    fn a_status_says_who_must_act() {
        use ErrorClass::{Denied, Throttled, Transient};
        for (status, expected) in [
            (200, None),
            (204, None),
            (400, None),
            (413, None),
            (302, Some(Denied)),
            (401, Some(Denied)),
            (403, Some(Denied)),
            (404, Some(Denied)),
            (415, Some(Denied)),
            (408, Some(Transient)),
            (429, Some(Throttled { after: None })),
            (500, Some(Transient)),
            (503, Some(Transient)),
        ] {
            assert_eq!(class(Reading::Status, &answer(status, "")), expected, "{status}");
        }
        let after = Some(Duration::from_secs(7));
        for status in [429, 503] {
            let answer = Answer { status, retry_after: after, body: Vec::new() };
            assert_eq!(class(Reading::Status, &answer), Some(Throttled { after }), "{status}");
        }
    }

    #[test]
    fn a_splunk_code_parts_events_from_settings() {
        let body = "{\"text\":\"Invalid data format\",\"code\":6,\"invalid-event-number\":1}";
        let judged = judge(Reading::Hec, &answer(400, body), (2, false), "x").expect("about an event");
        assert!(matches!(judged, Verdict::Divide { at: Some(1), .. }), "{judged:?}");
        assert_eq!(
            class(Reading::Hec, &answer(400, "{\"text\":\"Incorrect index\",\"code\":7}")),
            Some(ErrorClass::Denied)
        );
        let judged = judge(Reading::Hec, &answer(200, "{\"code\":0,\"ackId\":7}"), (2, true), "x").expect("taken");
        assert_eq!(judged, Verdict::Taken { ack: Some(7), refused: Vec::new() });
        let missing = judge(Reading::Hec, &answer(200, "{\"code\":0}"), (2, true), "x").expect_err("no number");
        assert_eq!(missing.class, ErrorClass::Denied);
    }

    #[test]
    fn each_event_of_a_bulk_answer_is_judged_by_its_own_status() {
        let items = |statuses: &[u16]| {
            let item = |status: &u16| {
                format!("{{\"create\":{{\"status\":{status},\"error\":{{\"type\":\"mapper_parsing_exception\"}}}}}}")
            };
            let items = statuses.iter().map(item).collect::<Vec<_>>().join(",");
            answer(200, &format!("{{\"errors\":true,\"items\":[{items}]}}"))
        };
        let judged = judge(Reading::Bulk, &items(&[409, 400]), (2, false), "x").expect("final");
        let reason = "the index refuses this event with status 400 (mapper_parsing_exception)".to_owned();
        assert_eq!(judged, Verdict::Taken { ack: None, refused: vec![(1, reason)] });
        assert_eq!(class(Reading::Bulk, &items(&[201, 429])), Some(ErrorClass::Throttled { after: None }));
        assert_eq!(class(Reading::Bulk, &items(&[503, 201])), Some(ErrorClass::Transient));
        assert_eq!(class(Reading::Bulk, &items(&[404, 404])), Some(ErrorClass::Denied));
        assert_eq!(class(Reading::Bulk, &items(&[400])), Some(ErrorClass::Transient), "an answer to something else");
        assert_eq!(class(Reading::Bulk, &answer(200, "<html>")), Some(ErrorClass::Transient));
    }

    #[test]
    fn a_receivers_words_are_not_repeated() {
        let body =
            "{\"errors\":true,\"items\":[{\"create\":{\"status\":400,\"error\":{\"type\":\"failed on 'hunter2'\"}}}]}";
        let judged = judge(Reading::Bulk, &answer(200, body), (1, false), "x").expect("final");
        assert!(!format!("{judged:?}").contains("hunter2"));
    }
}
