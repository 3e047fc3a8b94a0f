//! What an application proves itself with beside its secret: a certificate's signature, or another issuer's token.

use super::Refusal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::default_provider;
use serde_json::Value;
use std::collections::BTreeMap;

/// The kind of an assertion. Source: RFC 7523.
const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What may stand in `client_assertion`.
#[derive(Default)]
pub(super) struct Trusted {
    /// Public keys of certificates that the application was registered with.
    pub(super) keys: Vec<Vec<u8>>,
    /// The other issuer's tokens, whole.
    pub(super) tokens: Vec<String>,
}

impl Trusted {
    /// Whether the form's assertion is the application's: signed with a key that is known, for this very endpoint and
    /// good now; or a token that is known.
    pub(super) fn check(
        &self,
        form: &BTreeMap<String, String>,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let assertion = form.get("client_assertion").map_or("", String::as_str);
        if form.get("client_assertion_type").map(String::as_str) != Some(BEARER) {
            return Err(refusal(50_027, "The client assertion type is missing or not supported."));
        }
        if self.tokens.iter().any(|token| token == assertion) {
            return Ok(());
        }
        let signed = self.keys.iter().any(|key| is_signed_by(assertion, key));
        let Some(claims) = claims(assertion).filter(|_| signed) else {
            return Err(refusal(
                700_027,
                "The certificate with identifier used to sign the client assertion is not registered on application.",
            ));
        };
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        let number = |name: &str| claims[name].as_i64().unwrap_or_default();
        if text("iss") != client_id || text("sub") != client_id || text("jti").is_empty() {
            return Err(refusal(
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            ));
        }
        if !text("aud").ends_with(audience) {
            return Err(refusal(700_023, "Client assertion audience claim does not match Realm issuer."));
        }
        let (from, to) = (number("nbf"), number("exp"));
        // The service allows five minutes of difference between clocks.
        if to <= from || now.as_second() < from - 300 || now.as_second() > to + 300 {
            return Err(refusal(700_024, "Client assertion is not within its valid time range."));
        }
        Ok(())
    }
}

/// An assertion that is refused.
fn refusal(code: u32, text: &str) -> Refusal {
    Refusal { status: 401, error: "invalid_client", code, text: text.to_owned() }
}

/// Whether a JWT's last part is this key's signature over the others, in the way that its head names.
fn is_signed_by(jwt: &str, key: &[u8]) -> bool {
    let Some((signed, signature)) = jwt.rsplit_once('.') else { return false };
    let head = signed.split('.').next().and_then(document);
    let scheme = match head.as_ref().and_then(|head| head["alg"].as_str()) {
        Some("PS256") => SignatureScheme::RSA_PSS_SHA256,
        Some("RS256") => SignatureScheme::RSA_PKCS1_SHA256,
        _ => return false,
    };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    let algorithms = default_provider().signature_verification_algorithms;
    let mut fitting = algorithms.mapping.iter().filter(|(known, _)| *known == scheme).flat_map(|(_, all)| *all);
    fitting.any(|algorithm| algorithm.verify_signature(key, signed.as_bytes(), &signature).is_ok())
}

/// What a JWT says, whoever signed it.
fn claims(jwt: &str) -> Option<Value> {
    jwt.split('.').nth(1).and_then(document)
}

/// One part of a JWT.
fn document(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
