//! Until when certificates are good, in words for an operator.

use jiff::Timestamp;
use jiff::tz::Offset;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that ends sooner than this is worth a line. Unit: days.
const SOON: i64 = 30;
/// Unit: milliseconds.
const DAY: i64 = 86_400_000;

/// The end of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// Where it comes from and whom it names.
    what: String,
    /// Its last moment. Unit: milliseconds since 1970.
    ends_ms: i64,
}

/// The end of a certificate found at `place`; none for what is no certificate, which others refuse in better words.
pub(crate) fn of(place: &str, der: &[u8]) -> Option<Expiry> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    // The far side chooses its own names: what could steer a terminal stays out.
    let subject: String = certificate.subject().to_string().chars().filter(|letter| !letter.is_control()).collect();
    let ends_ms = certificate.validity().not_after.timestamp().saturating_mul(1_000);
    Some(Expiry { what: format!("certificate of {subject:?} ({place})"), ends_ms })
}

impl Expiry {
    /// Its last moment. Unit: milliseconds since 1970.
    pub(crate) const fn ends_ms(&self) -> i64 {
        self.ends_ms
    }

    /// Its last day, UTC.
    pub(crate) fn day(&self) -> String {
        let end = Timestamp::from_millisecond(self.ends_ms).unwrap_or(Timestamp::MAX);
        Offset::UTC.to_datetime(end).date().to_string()
    }

    /// What to say about it at that time; nothing while it is good for long.
    pub(crate) fn note(&self, now_ms: i64) -> Option<String> {
        let left = (self.ends_ms - now_ms).div_euclid(DAY);
        let day = self.day();
        match left {
            ..0 => Some(format!("{} expired on {day}", self.what)),
            0..SOON => Some(format!("{} expires on {day}, in {left} days", self.what)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_within_thirty_days_and_one_in_the_past_are_told_and_others_are_not() {
        let expiry = Expiry { what: "certificate".to_owned(), ends_ms: 1_795_564_799_000 };
        let at = |days: i64| expiry.note(expiry.ends_ms - days * DAY);
        assert_eq!(at(30), None);
        assert_eq!(at(29).as_deref(), Some("certificate expires on 2026-11-24, in 29 days"));
        assert_eq!(at(0).as_deref(), Some("certificate expires on 2026-11-24, in 0 days"));
        assert_eq!(at(-1).as_deref(), Some("certificate expired on 2026-11-24"));
        assert_eq!(expiry.note(expiry.ends_ms + 1).as_deref(), Some("certificate expired on 2026-11-24"));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        assert_eq!(of("here", b"\x30\x03nothing"), None);
    }
}
