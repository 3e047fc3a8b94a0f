//! A stored frame in the form that one output wants: with or without `@event_id`, and without events that are too large.

use crate::record::{StoredFrame, StreamKey, lines};
use crate::store::Refusal;

/// How `@event_id` begins at the end of an event; 32 hex digits, a quote and a bracket follow.
const EVENT_ID: &[u8] = b",\"@event_id\":\"";
/// Length of the whole member with the bracket behind it. Unit: octets.
const EVENT_ID_BYTES: usize = EVENT_ID.len() + 32 + 2;

/// What an output wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Whether events carry `@event_id`.
    pub event_id: bool,
    /// A larger event is refused. Unit: octets.
    pub max_event_bytes: u64,
}

/// A frame as it is handed over, and what of it is not.
#[derive(Debug)]
pub struct Shaped {
    /// What is handed over.
    pub frame: StoredFrame,
    /// What is not.
    pub refused: Vec<Refusal>,
    /// For each line that is handed over its number in the stored frame; empty where none was left out.
    kept: Vec<u32>,
}

impl Shape {
    /// Brings a frame into form; most are in form already and are passed on as they are.
    pub fn apply(&self, stream: &StreamKey, frame: StoredFrame) -> Shaped {
        let limit = usize::try_from(self.max_event_bytes).unwrap_or(usize::MAX);
        let too_large = frame.body.len() > limit && lines(&frame.body).any(|line| self.length(line) > limit);
        if self.event_id && !too_large {
            return Shaped { frame, refused: Vec::new(), kept: Vec::new() };
        }
        let (mut body, mut kept, mut refused) = (Vec::with_capacity(frame.body.len()), Vec::new(), Vec::new());
        for (number, line) in (0_u32..).zip(lines(&frame.body)) {
            if self.length(line) > limit {
                refused.push(Refusal {
                    stream: stream.clone(),
                    position: frame.position,
                    line: number,
                    reason: format!("it has {} octets, max_event_bytes allows {limit}", self.length(line)),
                });
                continue;
            }
            kept.push(number);
            match self.without_id(line) {
                Some(event) => body.extend([event, b"}\n"].concat()),
                None => body.extend_from_slice(line),
            }
        }
        let events = kept.len() as u32;
        Shaped { frame: StoredFrame { body, events, ..frame }, refused, kept }
    }

    /// Length of an event as it would leave, without the end of its line. Unit: octets.
    fn length(&self, line: &[u8]) -> usize {
        let event = line.strip_suffix(b"\n").unwrap_or(line);
        if self.without_id(line).is_some() { event.len() - EVENT_ID_BYTES + 1 } else { event.len() }
    }

    /// What stands before `@event_id`; `None` where the event keeps it, or has none of ours.
    fn without_id<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let event = line.strip_suffix(b"\n").unwrap_or(line);
        let (before, member) = event.split_at_checked(event.len().checked_sub(EVENT_ID_BYTES)?)?;
        (!self.event_id && member.starts_with(EVENT_ID)).then_some(before)
    }
}

impl Shaped {
    /// The number in the stored frame of a line that was handed over.
    pub fn stored_line(&self, line: u32) -> u32 {
        self.kept.get(line as usize).copied().unwrap_or(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchHead, Position};
    use std::sync::Arc;

    const ID: &str = ",\"@event_id\":\"00112233445566778899aabbccddeeff\"}";

    fn shaped(shape: Shape, lines: &[String]) -> (String, Vec<u32>, Shaped) {
        let stream = StreamKey { tenant: "t".to_owned(), service: "alerts".to_owned(), query: None };
        let (input, service, tag) = (String::new(), String::new(), String::new());
        let head = Arc::new(BatchHead { input, service, tag, pulled_ms: 0 });
        let body = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let frame = StoredFrame { position: Position::START, head, events: lines.len() as u32, body };
        let shaped = shape.apply(&stream, frame);
        let text = String::from_utf8(shaped.frame.body.clone()).expect("text");
        (text, shaped.refused.iter().map(|refusal| refusal.line).collect(), shaped)
    }

    #[test]
    fn a_frame_in_form_is_passed_on_as_it_is() {
        let lines = [format!("{{\"a\":1{ID}"), "{}".to_owned()];
        let (text, refused, _) = shaped(Shape { event_id: true, max_event_bytes: 1_000 }, &lines);
        assert_eq!((text, refused), (format!("{}\n{}\n", lines[0], lines[1]), vec![]));
    }

    #[test]
    fn an_output_without_event_ids_gets_none() {
        let lines = [format!("{{\"a\":1{ID}"), "{\"short\":1}".to_owned(), format!("{{\"b\":\"{}\"}}", "x".repeat(80))];
        let (text, ..) = shaped(Shape { event_id: false, max_event_bytes: 1_000 }, &lines);
        assert_eq!(text, format!("{{\"a\":1}}\n{}\n{}\n", lines[1], lines[2]));
    }

    #[test]
    fn an_event_is_refused_by_the_length_in_which_it_would_leave() {
        let event = format!("{{\"a\":\"{}\"{ID}", "x".repeat(100));
        let lines = ["{}".to_owned(), event.clone(), "{\"z\":1}".to_owned()];
        for (event_id, length) in [(true, event.len()), (false, event.len() - ID.len() + 1)] {
            let limit = |max_event_bytes| shaped(Shape { event_id, max_event_bytes }, &lines);
            let (_, refused, _) = limit(length as u64);
            assert!(refused.is_empty(), "exactly the limit passes");
            let (text, refused, shaped) = limit(length as u64 - 1);
            assert_eq!((text.as_str(), refused), ("{}\n{\"z\":1}\n", vec![1]));
            assert_eq!((shaped.frame.events, shaped.stored_line(0), shaped.stored_line(1)), (2, 0, 2));
        }
    }
}
