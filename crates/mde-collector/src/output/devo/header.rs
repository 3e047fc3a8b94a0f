//! The syslog form of an event: `<14>DATE HOST TAG: MESSAGE\n`.

use crate::config::outputs::devo::DateForm;
use crate::record::{BatchHead, StoredFrame, lines};
use jiff::Timestamp;
use jiff::tz::Offset;

/// Facility user, severity info.
const PRIORITY: &str = "<14>";

/// Turns a frame into the octets of the wire, header by header, in place of what `wire` held.
pub(super) fn encode(frame: &StoredFrame, form: DateForm, host: &str, wire: &mut Vec<u8>) {
    let header = header(&frame.head, form, host);
    wire.clear();
    wire.reserve(frame.body.len() + header.len() * frame.events as usize);
    for line in lines(&frame.body) {
        wire.extend_from_slice(header.as_bytes());
        wire.extend_from_slice(line);
    }
    if !frame.body.is_empty() && !frame.body.ends_with(b"\n") {
        wire.push(b'\n');
    }
}

/// What stands before each event of a batch.
fn header(head: &BatchHead, form: DateForm, host: &str) -> String {
    format!("{PRIORITY}{} {host} {}: ", date(head.pulled_ms, form), head.tag)
}

/// A time in the header's form, UTC. One that no calendar has counts as 1970.
fn date(ms: i64, form: DateForm) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let form = match form {
        DateForm::Iso => "%Y-%m-%d %H:%M:%S.%3f",
        DateForm::Bsd => "%b %d %H:%M:%S",
    };
    Offset::UTC.to_datetime(time).strftime(form).to_string()
}

/// HOST of the header: the configured name, or else the machine's. A letter that would end the field, or that is not
/// visible ASCII, becomes `-`.
pub(super) fn host(configured: Option<&str>) -> String {
    let name = configured.map_or_else(|| gethostname::gethostname().to_string_lossy().into_owned(), str::to_owned);
    if name.is_empty() {
        return "-".to_owned();
    }
    name.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Position;
    use std::sync::Arc;

    fn encoded(body: &str, pulled_ms: i64, form: DateForm) -> String {
        let head = BatchHead {
            input: "acme".to_owned(),
            service: "alerts".to_owned(),
            tag: "edr.microsoft_defender.endpoint.alerts".to_owned(),
            pulled_ms,
        };
        let events = body.lines().count() as u32;
        let frame = StoredFrame { position: Position::START, head: Arc::new(head), events, body: body.into() };
        let mut wire = b"left over".to_vec();
        encode(&frame, form, "myhost", &mut wire);
        String::from_utf8(wire).expect("text")
    }

    #[test]
    fn every_event_gets_the_header_with_its_date() {
        assert_eq!(
            encoded("{\"id\":1}\n{\"id\":\"é\"}\n", 1_795_489_200_007, DateForm::Iso),
            "<14>2026-11-24 03:00:00.007 myhost edr.microsoft_defender.endpoint.alerts: {\"id\":1}\n\
             <14>2026-11-24 03:00:00.007 myhost edr.microsoft_defender.endpoint.alerts: {\"id\":\"é\"}\n"
        );
    }

    #[test]
    fn the_old_form_has_its_day_padded_with_a_zero() {
        assert_eq!(
            encoded("{}\n", 1_775_001_605_999, DateForm::Bsd),
            "<14>Apr 01 00:00:05 myhost edr.microsoft_defender.endpoint.alerts: {}\n"
        );
    }

    #[test]
    fn the_octets_are_those_of_the_public_python_package() {
        // Recorded with devo-sdk 7.0.2 by xtask/devo-sdk/record.py, which was given the date of the pull.
        const SENT: &str = include_str!("../../../tests/golden/devo-sdk/7.0.2.octets");
        const EVENTS: &str = include_str!("../../../tests/golden/devo-sdk/events.ndjson");
        let ours = encoded(EVENTS, 1_795_489_200_007, DateForm::Iso).replace(" myhost ", " collector-7 ");
        for (ours, sent) in ours.split_inclusive('\n').zip(SENT.split_inclusive('\n')) {
            assert_eq!(ours, sent);
        }
        assert_eq!(ours, SENT);
    }

    #[test]
    fn a_line_is_always_ended_and_nothing_stays_nothing() {
        assert!(encoded("{}", 0, DateForm::Iso).ends_with(": {}\n"));
        assert_eq!(encoded("", 0, DateForm::Iso), "");
    }

    #[test]
    fn a_host_name_stays_one_word() {
        assert_eq!(host(Some("my host\n\u{e9}")), "my-host--");
        assert_eq!(host(Some("")), "-");
        assert!(!host(None).contains(' '));
    }
}
