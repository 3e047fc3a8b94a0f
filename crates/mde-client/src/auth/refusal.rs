//! Why no token was given, and what to do about it.

use crate::retry;
use crate::wording;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// Codes of the identity provider with a remedy. Source: "Microsoft Entra authentication and authorization error codes",
/// read 2026-11. They word advice; nothing is decided by them but what is in `TRANSIENT`.
static ADVICE: &[(u64, &str)] = &[
    // The secret.
    (
        7_000_215,
        "use the value of the client secret, not its id, and check that it was copied whole; a value that is lost cannot be shown again: Entra admin center > App registrations > the application > Certificates & secrets > New client secret",
    ),
    (
        7_000_222,
        "the client secret has expired: Entra admin center > App registrations > the application > Certificates & secrets > New client secret, then put its value where the old one stands",
    ),
    (
        7_000_216,
        "the request had neither a secret nor a certificate: give credentials client_secret, client_secret_file or certificate_file",
    ),
    (
        7_000_218,
        "the request had neither a secret nor a certificate: give credentials client_secret, client_secret_file or certificate_file",
    ),
    // The certificate, or the statement that it signs.
    (
        700_027,
        "the certificate is not registered with the application: Entra admin center > App registrations > the application > Certificates & secrets > Certificates > Upload certificate, or use the one that is listed there",
    ),
    (700_024, "the assertion is outside its validity: let a time service set this machine's clock"),
    (700_023, "the assertion is for another audience: check cloud and override_token_url"),
    (
        700_021,
        "no issuer of this assertion is trusted: Entra admin center > App registrations > the application > Certificates & secrets > Federated credentials, compare issuer, subject and audience letter by letter",
    ),
    (
        700_213,
        "no federated credential has this subject: Entra admin center > App registrations > the application > Certificates & secrets > Federated credentials, compare the subject letter by letter",
    ),
    (
        700_211,
        "no federated credential has this issuer: Entra admin center > App registrations > the application > Certificates & secrets > Federated credentials, compare the issuer letter by letter",
    ),
    // The application.
    (
        700_016,
        "the application does not exist in this tenant: compare client_id and tenant_id with Entra admin center > App registrations > the application > Overview",
    ),
    (
        7_000_112,
        "the application is disabled in this tenant: Entra admin center > Enterprise applications > the application > Properties > Enabled for users to sign in > Yes",
    ),
    (
        7_000_229,
        "the application has no service principal in this tenant: an administrator has to grant it admin consent once (App registrations > the application > API permissions > Grant admin consent)",
    ),
    (
        65_001,
        "nobody has consented for this tenant: Entra admin center > App registrations > the application > API permissions > Grant admin consent",
    ),
    (
        90_094,
        "an administrator has to consent: Entra admin center > App registrations > the application > API permissions > Grant admin consent",
    ),
    (
        50_105,
        "the application admits assigned users only: Entra admin center > Enterprise applications > the application > Properties > Assignment required > No",
    ),
    // The tenant.
    (
        90_002,
        "this authority knows no such tenant: compare tenant_id with Entra admin center > Overview > Tenant ID, and check cloud",
    ),
    (900_023, "tenant_id is neither an id nor a domain name: copy it from Entra admin center > Overview > Tenant ID"),
    (
        50_034,
        "this tenant does not know the account: compare tenant_id and client_id with Entra admin center > App registrations > the application > Overview",
    ),
    (
        90_009,
        "the application asks for a token for itself: give override_token_scope the API's address followed by /.default, not the application's own id",
    ),
    (90_038, "the tenant belongs to another national cloud: set cloud to gcc, gcc_high or dod"),
    (900_382, "the tenant belongs to another national cloud: set cloud to gcc, gcc_high or dod"),
    (900_432, "the tenant belongs to another national cloud: set cloud to gcc, gcc_high or dod"),
    (900_439, "the tenant belongs to another national cloud: set cloud to gcc, gcc_high or dod"),
    // The API and the request.
    (
        500_011,
        "the API is not known in this tenant: check cloud and override_token_scope, and that Defender for Endpoint is active there (security.microsoft.com > Settings > Endpoints)",
    ),
    (
        650_057,
        "the application has no permission on this API: Entra admin center > App registrations > the application > API permissions > Add a permission > APIs my organization uses > WindowsDefenderATP",
    ),
    (70_011, "check the scope: it must be the API's address followed by /.default"),
    (1_002_012, "check the scope: it must be the API's address followed by /.default"),
    (901_002, "use the v2.0 token endpoint with a scope, or the older one with a resource"),
    (900_144, "the request lacks a parameter: check client_id, the secret and the scope"),
    // Policies.
    (
        53_003,
        "a Conditional Access policy blocks the application: Entra admin center > Protection > Conditional Access > Policies, exclude its workload identity or add this machine's public address to a named location that is allowed",
    ),
    (
        530_003,
        "a Conditional Access policy asks for a managed device, which a service has not: Entra admin center > Protection > Conditional Access > Policies, exclude the application",
    ),
    (
        53_000,
        "a Conditional Access policy asks for a compliant device, which a service has not: Entra admin center > Protection > Conditional Access > Policies, exclude the application",
    ),
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
    fn each_code_has_one_sentence_that_names_what_to_change() {
        for (number, (code, advice)) in ADVICE.iter().enumerate() {
            assert!(ADVICE[number + 1..].iter().all(|(other, _)| other != code), "AADSTS{code} stands there twice");
            assert!(!TRANSIENT.contains(code), "AADSTS{code} passes by itself");
            let named = ["Entra admin center >", "check ", "set ", "give ", "use ", "let ", "administrator"];
            assert!(named.iter().any(|word| advice.contains(word)), "AADSTS{code}: {advice}");
            assert!(!advice.ends_with('.') && advice.len() < 280, "AADSTS{code}: {advice}");
        }
        let known = |code| refusal(400, &format!(r#"{{"error":"x","error_codes":[1,{code}]}}"#)).advice();
        for code in [7_000_215, 7_000_222, 700_016, 700_027, 7_000_112, 90_002, 90_009, 50_034, 53_003, 65_001, 500_011]
        {
            assert!(known(code).is_some(), "AADSTS{code} has no advice");
        }
        assert_eq!(known(2), None);
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
