//! Why no token was given, and what to do about it.

use crate::retry;
use crate::wording;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// Codes of the identity provider with a remedy. Source: "Microsoft Entra authentication and authorization error codes",
/// read 2026-11. They word advice; nothing is decided by them but what is in `TRANSIENT`.
static ADVICE: &[(u64, &str)] = &[
    (7_000_215, "use the value of the client secret, not its id, and check that it was copied whole"),
    (7_000_222, "the client secret has expired: create a new one and put its value into the configuration"),
    (700_016, "check client_id and tenant_id: the application does not exist in this tenant"),
    (700_024, "the assertion is outside its validity: check this machine's clock"),
    (700_027, "the certificate is not registered with the application: upload it, or use the one that is"),
    (90_002, "check tenant_id and cloud: this authority knows no such tenant"),
    (900_023, "check tenant_id: it is neither an id nor a domain name"),
    (900_144, "the request lacks a parameter: check client_id, the secret and the scope"),
    (500_011, "check cloud and scope: Defender for Endpoint is not active in this tenant, or belongs to another cloud"),
    (70_011, "check the scope: it must be the API's address followed by /.default"),
    (1_002_012, "check the scope: it must be the API's address followed by /.default"),
    (901_002, "use the v2.0 token endpoint with a scope, or the older one with a resource"),
    (7_000_112, "the application is disabled in this tenant: enable it"),
    (53_003, "a Conditional Access policy blocks the application: allow this machine's address"),
    (90_038, "the tenant belongs to another national cloud: set cloud"),
    (900_382, "the tenant belongs to another national cloud: set cloud"),
    (900_432, "the tenant belongs to another national cloud: set cloud"),
];

/// Codes that pass by themselves. Source: as above.
const TRANSIENT: [u64; 5] = [90_006, 90_024, 90_033, 90_055, 90_090];

/// The identity provider gave no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `error` of the answer (`invalid_client`), where it is a plain word.
    pub error: Option<String>,
    /// The AADSTS numbers.
    pub codes: Vec<u64>,
    /// Whether it will pass; otherwise a person has to act.
    pub transient: bool,
    /// How long the provider asks us to wait.
    pub after: Option<Duration>,
}

impl Refusal {
    /// Reads an answer that is no success. The description stays behind: it quotes what was sent.
    pub(crate) fn read(status: u16, body: &[u8], retry_after: Option<&str>, answered_ms: Option<i64>) -> Self {
        /// The fields that are read.
        #[derive(Deserialize)]
        struct Fields {
            error: Option<String>,
            #[serde(default)]
            error_codes: Vec<u64>,
        }
        let (error, codes) = match serde_json::from_slice::<Fields>(body) {
            Ok(fields) => (fields.error.as_deref().and_then(wording::word), fields.error_codes),
            Err(_) => (None, Vec::new()),
        };
        let passing = matches!(error.as_deref(), Some("temporarily_unavailable" | "server_error" | "slow_down"));
        let transient =
            matches!(status, 408 | 429 | 500..) || passing || codes.iter().any(|code| TRANSIENT.contains(code));
        Self { error, codes, transient, after: retry::wait(retry_after, answered_ms, "") }
    }

    /// One sentence for the person who has to act, where a code has a common remedy.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        self.codes.iter().find_map(|code| ADVICE.iter().find(|(known, _)| known == code)).map(|(_, advice)| *advice)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.transient { "no token for now" } else { "no token" })?;
        if let Some(error) = &self.error {
            write!(f, ", {error}")?;
        }
        self.codes.iter().try_for_each(|code| write!(f, ", AADSTS{code}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::read(status, body.as_bytes(), None, None)
    }

    #[test]
    fn a_wrong_secret_is_final_and_has_advice_and_its_description_stays_behind() {
        let refusal = refusal(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: tell-tale","error_codes":[7000215]}"#,
        );
        assert!(!refusal.transient);
        assert_eq!(refusal.to_string(), "no token, invalid_client, AADSTS7000215");
        assert!(refusal.advice().expect("a common code").contains("not its id"));
        assert!(!format!("{refusal:?}").contains("tell"));
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for (status, body) in [
            (503, "<html>"),
            (429, ""),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (400, r#"{"error":"invalid_request","error_codes":[90033]}"#),
        ] {
            assert!(refusal(status, body).transient, "{status} {body}");
        }
        for (status, body) in [
            (400, r#"{"error":"invalid_scope","error_codes":[70011]}"#),
            (400, r#"{"error":"unauthorized_client","error_codes":[700016]}"#),
            (404, "<html>"),
            (302, ""),
        ] {
            assert!(!refusal(status, body).transient, "{status} {body}");
        }
    }

    #[test]
    fn a_wait_in_the_header_is_kept() {
        let refusal = Refusal::read(429, b"", Some("7"), None);
        assert_eq!(refusal.after, Some(Duration::from_secs(7)));
    }
}
