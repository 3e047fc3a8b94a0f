//! An application that proves itself by a certificate: it signs a statement about itself with the certificate's key.

use super::form::{self, Proof};
use super::kept::Kept;
use super::{Identity, TokenEndpoint};
use crate::error::Error;
use crate::time::WallClock;
use crate::transport::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{InconsistentKeys, SignatureScheme};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How long a statement is good. Unit: seconds. Source: "Application authentication certificate credentials", read
/// 2026-11: 5 to 10 minutes.
const LIFETIME: i64 = 600;

/// How the statement is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// What the vendor asks for.
    #[default]
    Ps256,
    /// For an authority that is older.
    Rs256,
}

impl Signature {
    /// Its name in a statement's head, and in TLS.
    const fn names(self) -> (&'static str, SignatureScheme) {
        match self {
            Self::Ps256 => ("PS256", SignatureScheme::RSA_PSS_SHA256),
            Self::Rs256 => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
        }
    }
}

/// The client-credentials flow with a statement signed by a certificate's key.
#[derive(Clone)]
pub struct Certificate {
    /// Where to ask.
    endpoint: TokenEndpoint,
    /// The application's id.
    client_id: String,
    /// What the token is for.
    scope: String,
    /// The certificate and its key.
    pair: Kept<Pair>,
    /// How statements are signed.
    signature: Signature,
    /// Tells the time that stands in a statement.
    now: WallClock,
}

/// A certificate and its key.
#[derive(Clone)]
struct Pair {
    /// SHA-256 of the certificate, in base64 for addresses.
    thumbprint: String,
    /// The key.
    key: Arc<dyn SigningKey>,
}

impl Certificate {
    /// An application that is known by a certificate. Both files are PEM, may be one, and are read for each request: the
    /// first certificate counts; the key is PKCS#8 or PKCS#1, not encrypted. While the two do not fit each other, as in
    /// the middle of a change, the old pair is used.
    #[must_use]
    pub fn new(
        endpoint: TokenEndpoint,
        client_id: impl Into<String>,
        scope: impl Into<String>,
        certificate_file: impl Into<PathBuf>,
        key_file: impl Into<PathBuf>,
        now: WallClock,
    ) -> Self {
        let pair = Kept::new([certificate_file.into(), key_file.into()], pair);
        let (client_id, scope) = (client_id.into(), scope.into());
        Self { endpoint, client_id, scope, pair, signature: Signature::default(), now }
    }

    /// The same with another signature than [`Signature::Ps256`].
    #[must_use]
    pub fn signature(self, signature: Signature) -> Self {
        Self { signature, ..self }
    }

    /// The statement: who we are, for whom it is, until when it counts.
    fn statement(&self, pair: &Pair) -> Result<String, Error> {
        /// Its head.
        #[derive(Serialize)]
        struct Head<'a> {
            alg: &'a str,
            typ: &'a str,
            #[serde(rename = "x5t#S256")]
            thumbprint: &'a str,
        }
        /// Its claims.
        #[derive(Serialize)]
        struct Claims<'a> {
            aud: &'a str,
            iss: &'a str,
            sub: &'a str,
            jti: String,
            nbf: i64,
            iat: i64,
            exp: i64,
        }
        let (name, scheme) = self.signature.names();
        let signer = pair.key.choose_scheme(&[scheme]).ok_or_else(|| problem("the key is none of RSA"))?;
        let mut unique = [0; 16];
        let provider = default_provider();
        provider.secure_random.fill(&mut unique).map_err(|_| problem("there are no random numbers"))?;
        let now = (self.now)().div_euclid(1_000);
        let head = Head { alg: name, typ: "JWT", thumbprint: &pair.thumbprint };
        let claims = Claims {
            aud: self.endpoint.url().as_str(),
            iss: &self.client_id,
            sub: &self.client_id,
            jti: URL_SAFE_NO_PAD.encode(unique),
            nbf: now,
            iat: now,
            exp: now + LIFETIME,
        };
        let mut statement = format!("{}.{}", encoded(&head), encoded(&claims));
        let signature = signer.sign(statement.as_bytes()).map_err(|_| problem("the key cannot sign"))?;
        statement.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut statement);
        Ok(statement)
    }
}

/// A part of a statement as it is signed.
fn encoded(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("strings and numbers are always JSON"))
}

/// A statement that cannot be signed.
fn problem(text: &str) -> Error {
    Error::config("sign with the certificate's key", text)
}

/// The pair in a certificate's and a key's PEM.
fn pair(contents: &[Vec<u8>]) -> Result<Pair, &'static str> {
    let [certificate, key] = contents else { return Err("a certificate and a key are needed") };
    let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| "it holds no certificate in PEM")?;
    let text = String::from_utf8_lossy(key);
    let encrypted = text.lines().any(|line| line.contains("ENCRYPTED") && line.contains(['-', ':']));
    if encrypted {
        return Err("the key is encrypted: write it without a passphrase, readable for this program alone");
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "it holds no private key in PEM (PKCS#8 or PKCS#1)")?;
    let key = any_supported_type(&key).map_err(|_| "the private key cannot be read")?;
    if key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none() {
        return Err("the private key is none of RSA, which is all that the authority takes");
    }
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate));
    match CertifiedKey::new(vec![certificate], Arc::clone(&key)).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Pair { thumbprint, key }),
        Err(rustls::Error::InconsistentKeys(_)) => Err("the private key does not belong to the certificate"),
        Err(_) => Err("the certificate cannot be read"),
    }
}

impl Identity for Certificate {
    fn request(&self) -> Result<HttpRequest, Error> {
        let statement = self.statement(&self.pair.get()?)?;
        Ok(form::request(&self.endpoint, &self.client_id, &self.scope, &Proof::Assertion(&statement)))
    }

    fn complaint(&self) -> Option<Error> {
        self.pair.complaint()
    }

    fn changed(&self) -> bool {
        self.pair.changed()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("endpoint", &self.endpoint)
            .field("client_id", &self.client_id)
            .field("pair", &self.pair)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
