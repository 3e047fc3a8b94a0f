//! The answer that holds a token.

use serde::Deserialize;
use std::time::Duration;

/// A lifetime for answers that tell none. Short, so that a wrong guess costs a renewal and not an hour of refusals.
const UNTOLD: Duration = Duration::from_secs(300);

/// Longest lifetime that is believed.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What is read of the answer.
#[derive(Deserialize)]
pub(crate) struct Grant {
    /// The token.
    pub access_token: String,
    /// Unit: seconds; a number, or a string that holds one.
    #[serde(default)]
    expires_in: Option<Seconds>,
    /// Unit: seconds since 1970, UTC. An App Service tells nothing else.
    #[serde(default)]
    expires_on: Option<Seconds>,
}

/// A number in either spelling.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    /// As v2 writes it.
    Number(f64),
    /// As v1 and managed identities write it.
    Text(String),
}

impl Grant {
    /// Reads the answer; `None` where it holds no token.
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// How long the token lives. An end is relative to the answer's own `Date` (milliseconds since 1970).
    pub fn lifetime(&self, answered_ms: Option<i64>) -> Duration {
        let number = |seconds: &Seconds| match seconds {
            Seconds::Number(seconds) => Some(*seconds),
            Seconds::Text(text) => text.trim().parse().ok(),
        };
        let until_end = || {
            let end = self.expires_on.as_ref().and_then(number)?;
            Some(end - answered_ms? as f64 / 1_000.0)
        };
        let told = self.expires_in.as_ref().and_then(number).or_else(until_end);
        told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map_or(UNTOLD, |told| told.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_read_in_either_spelling() {
        for (body, seconds) in [
            (r#"{"access_token":"t","expires_in":3599}"#, 3_599),
            (r#"{"access_token":"t","expires_in":"3599","expires_on":"1506484173"}"#, 3_599),
            (r#"{"access_token":"t","expires_in":3}"#, 3),
            (r#"{"access_token":"t"}"#, 300),
            (r#"{"access_token":"t","expires_in":null}"#, 300),
            (r#"{"access_token":"t","expires_in":-1}"#, 300),
            (r#"{"access_token":"t","expires_in":1e300}"#, 300),
            (r#"{"access_token":"t","expires_in":99999999}"#, 86_400),
        ] {
            let grant = Grant::read(body.as_bytes()).expect("it holds a token");
            assert_eq!(grant.lifetime(None), Duration::from_secs(seconds), "{body}");
        }
        let on = |end: &str, answered| {
            let body = format!(r#"{{"access_token":"t","expires_on":{end}}}"#);
            Grant::read(body.as_bytes()).expect("it holds a token").lifetime(answered).as_secs()
        };
        assert_eq!(on("\"1506484173\"", Some(1_506_480_573_000)), 3_600);
        assert_eq!(on("1506484173", Some(1_506_480_573_000)), 3_600);
        assert_eq!(on("1506484173", None), 300, "relative to nothing");
        assert_eq!(on("1506484173", Some(1_506_484_174_000)), 300, "it has passed");
        assert_eq!(on("\"1/1/2030 00:00:00 +00:00\"", Some(0)), 300);
        assert!(Grant::read(br#"{"expires_in":3599}"#).is_none());
        assert!(Grant::read(b"<html>").is_none());
    }
}
