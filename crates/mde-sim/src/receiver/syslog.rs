//! One line of Devo's syslog channel: `<PRI>DATE HOST TAG: MESSAGE`.

use serde_json::Value;

/// An event as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Number of the connection it came on.
    pub connection: usize,
    /// Whether it came inside a gzip member.
    pub gzip: bool,
    /// Facility × 8 + severity.
    pub pri: u8,
    /// The date's text.
    pub date: String,
    /// Its form.
    pub date_form: DateForm,
    /// Name of the sending host.
    pub host: String,
    /// Devo tag.
    pub tag: String,
    /// All behind the tag.
    pub message: String,
}

/// The two forms of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateForm {
    /// `YYYY-MM-DD HH:MM:SS.mmm`
    Iso,
    /// `Mon DD HH:MM:SS`, the day padded with a zero or a blank.
    Bsd,
}

impl Event {
    /// The message as JSON.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&self.message)
    }
}

/// A line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// See [`Event`], for these and all that follow.
    pub(super) pri: u8,
    pub(super) date: &'a str,
    pub(super) date_form: DateForm,
    pub(super) host: &'a str,
    pub(super) tag: &'a str,
    pub(super) message: &'a str,
}

/// Takes a line apart. The error names the part that is wrong.
pub(super) fn parse(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    let (pri, rest) = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).ok_or("no <PRI>")?;
    let pri = pri.parse().ok().filter(|pri| *pri <= 191).ok_or("PRI is no number up to 191")?;
    let (date_form, shape) = match rest.bytes().next() {
        Some(first) if first.is_ascii_digit() => (DateForm::Iso, "0000-00-00 00:00:00.000"),
        _ => (DateForm::Bsd, "Aaa _0 00:00:00"),
    };
    let (date, rest) = rest
        .split_at_checked(shape.len())
        .filter(|(date, _)| has_shape(date, shape))
        .ok_or("no date of either form")?;
    let (host, rest) = rest.strip_prefix(' ').and_then(|rest| rest.split_once(' ')).ok_or("no HOST")?;
    let (tag, message) = rest.split_once(": ").ok_or("no TAG")?;
    if host.is_empty() || tag.is_empty() || tag.contains([' ', ':']) {
        return Err("HOST or TAG is empty, or TAG has a blank");
    }
    Ok(Line { pri, date, date_form, host, tag, message })
}

/// Whether a text looks like the shape: `0` a digit, `_` a digit or a blank, `A` and `a` letters, all else itself.
fn has_shape(text: &str, shape: &str) -> bool {
    text.bytes().zip(shape.bytes()).all(|(octet, wanted)| match wanted {
        b'0' => octet.is_ascii_digit(),
        b'_' => octet.is_ascii_digit() || octet == b' ',
        b'A' => octet.is_ascii_uppercase(),
        b'a' => octet.is_ascii_lowercase(),
        _ => octet == wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_date_are_understood() {
        let iso =
            parse(b"<14>2026-11-24 03:00:00.000 myhost edr.microsoft_defender.endpoint.alerts: {\"a\": \"b: c\"}")
                .unwrap();
        assert_eq!((iso.pri, iso.date, iso.date_form), (14, "2026-11-24 03:00:00.000", DateForm::Iso));
        assert_eq!(
            (iso.host, iso.tag, iso.message),
            ("myhost", "edr.microsoft_defender.endpoint.alerts", "{\"a\": \"b: c\"}")
        );
        for date in ["Jan 01 00:00:00", "Jan  1 00:00:00"] {
            let line = format!("<191>{date} h my.app.x: é");
            let bsd = parse(line.as_bytes()).unwrap();
            assert_eq!((bsd.date, bsd.date_form, bsd.message), (date, DateForm::Bsd, "é"));
        }
    }

    #[test]
    fn what_is_no_event_is_named() {
        for line in [
            &b"hello"[..],
            b"<192>Jan 01 00:00:00 h t: m",
            b"<14>2026-11-24T03:00:00.000Z h t: m",
            b"<14>Jan 01 00:00:00 h",
            b"<14>Jan 01 00:00:00  t: m",
            b"<14>Jan 01 00:00:00 h t m",
            b"<14>Jan 01 00:00:00 h two words: m",
            b"<14>Jan 01 00:00:00 h t: \xff",
            b"",
        ] {
            assert!(parse(line).is_err(), "{}", String::from_utf8_lossy(line));
        }
    }
}
