//! What a channel of messages needs to know of each event of a frame: its octets, and what names it.

use crate::record::{StoredFrame, lines};

/// How `@event_id` ends an event, number of a name's repetition aside; 32 hex digits, a quote and a bracket follow.
const MEMBER: &str = ",\"@event_id";
/// Length of an event's id. Unit: octets.
const ID_BYTES: usize = 32;

/// One event of a frame.
#[derive(Clone, Copy)]
pub(super) struct Event<'f> {
    /// Its line in the frame, 0-based.
    pub line: u32,
    /// One JSON object, without a line feed.
    pub body: &'f [u8],
}

/// The events of a frame, in order.
pub(super) fn events(frame: &StoredFrame) -> impl Iterator<Item = Event<'_>> {
    (0_u32..).zip(lines(&frame.body)).map(|(line, body)| Event { line, body: body.strip_suffix(b"\n").unwrap_or(body) })
}

impl<'f> Event<'f> {
    /// The event's `@event_id`, by which a receiver tells doubles; none where the output leaves it out.
    pub fn id(self) -> Option<&'f str> {
        let body = self.body.strip_suffix(b"\"}")?;
        let (before, id) = body.split_at_checked(body.len().checked_sub(ID_BYTES)?)?;
        let id = str::from_utf8(id).ok().filter(|id| id.bytes().all(|octet| octet.is_ascii_hexdigit()))?;
        // The name stands close before; it may bear a number where the record has such a property of its own.
        let name = before.strip_suffix(b"\":\"")?;
        let digits = name.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
        let name = &name[..name.len() - digits];
        let name = if digits > 0 { name.strip_suffix(b"_")? } else { name };
        name.ends_with(MEMBER.as_bytes()).then_some(id)
    }

    /// The `id` of the entity that the event tells of, where it has one that is text.
    #[cfg(any(feature = "kafka", test))]
    pub fn entity(self) -> Option<String> {
        /// The one property that is read.
        #[derive(serde::Deserialize)]
        struct Entity<'a> {
            /// As the API gave it.
            #[serde(borrow)]
            id: Option<std::borrow::Cow<'a, str>>,
        }
        serde_json::from_slice::<Entity<'_>>(self.body).ok()?.id.map(std::borrow::Cow::into_owned)
    }
}

/// Adds a value of a batch to a name so that it stays one word of it: what has a meaning in subjects or topics, or is no
/// visible ASCII, becomes `_`. Dots stay, since a tag is made of levels, unless one of them would be empty.
pub(super) fn push_word(name: &mut String, value: &str) {
    let levels = !value.split('.').any(str::is_empty);
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || (c == '.' && levels);
    if value.is_empty() {
        name.push('_');
    }
    name.extend(value.chars().map(|c| if sound(c) { c } else { '_' }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchHead, Position};
    use std::sync::Arc;

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn frame(lines: &[String]) -> StoredFrame {
        let head = BatchHead { input: String::new(), service: String::new(), tag: String::new(), pulled_ms: 0 };
        let body = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        StoredFrame { position: Position::START, head: Arc::new(head), events: lines.len() as u32, body }
    }

    #[test]
    fn an_event_is_named_by_its_last_property_and_nothing_else() {
        let lines = [
            format!("{{\"a\":1,\"@event_id\":\"{ID}\"}}"),
            format!("{{\"@event_id\":2,\"@event_id_17\":\"{ID}\"}}"),
            format!("{{\"a\":1,\"other\":\"{ID}\"}}"),
            format!("{{\"a\":1,\"@event_id17\":\"{ID}\"}}"),
            "{\"@event_id\":\"short\"}".to_owned(),
            "{}".to_owned(),
        ];
        let frame = frame(&lines);
        let found: Vec<_> = events(&frame).map(|event| (event.line, event.id())).collect();
        assert_eq!(found, [(0, Some(ID)), (1, Some(ID)), (2, None), (3, None), (4, None), (5, None)]);
        assert!(events(&frame).zip(&lines).all(|(event, line)| event.body == line.as_bytes()));
    }

    #[test]
    fn an_entity_is_named_by_its_id_where_that_is_one_text() {
        let lines =
            ["{\"x\":1,\"id\":\"a\\u002db\"}", "{\"id\":7}", "{\"id\":\"a\",\"id\":\"b\"}", "{}"].map(str::to_owned);
        let frame = frame(&lines);
        let found: Vec<_> = events(&frame).map(Event::entity).collect();
        assert_eq!(found, [Some("a-b".to_owned()), None, None, None]);
    }

    #[test]
    fn a_value_adds_no_wildcard_and_no_empty_level_to_a_name() {
        for (value, wanted) in
            [("a *>\u{e9}", "a____"), ("edr.microsoft.x", "edr.microsoft.x"), ("", "_"), ("a..b", "a__b")]
        {
            let mut name = String::new();
            push_word(&mut name, value);
            assert_eq!(name, wanted);
        }
    }
}
