//! Statements checked by the public key, as the authority checks them.

use super::*;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use serde_json::Value;
use std::collections::HashMap;
use tempfile::TempDir;
use url::{Url, form_urlencoded};

/// 2026-11-24T09:00:00.999Z.
const NOW_MS: i64 = 1_795_510_800_999;

/// A key with its certificate.
struct Made {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

fn made() -> Made {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    let certificate = CertificateParams::new(Vec::new()).and_then(|params| params.self_signed(&key));
    Made { certificate: certificate.expect("a certificate"), key }
}

/// PEM of the kind that older tools write: the part of PKCS#8 that is the key itself.
fn pkcs1(key: &KeyPair) -> String {
    let der = key.serialize_der();
    let inner = &der[26..];
    assert_eq!(inner[..2], [0x30, 0x82], "a sequence");
    let text = STANDARD.encode(inner);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"))
}

/// An identity with its two files.
struct Files {
    folder: TempDir,
    identity: Certificate,
}

impl Files {
    fn new(certificate: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().expect("a writable temporary folder");
        let authority = Url::parse("https://login.example").expect("an address");
        let endpoint = TokenEndpoint::new(&authority, "t").expect("a good address");
        let [one, other] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
        let scope = "https://api.example/.default";
        let files =
            Self { identity: Certificate::new(endpoint, "app", scope, one, other, Arc::new(|| NOW_MS)), folder };
        files.write(certificate, key);
        files
    }

    fn write(&self, certificate: &str, key: &str) {
        for (name, content) in [("certificate.pem", certificate), ("key.pem", key)] {
            std::fs::write(self.folder.path().join(name), content).expect("a writable temporary folder");
        }
    }

    /// The statement of one request.
    fn statement(&self) -> Result<String, Error> {
        let body = self.identity.request()?.body.expect("a form");
        let form: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!((form["grant_type"].as_str(), form["client_id"].as_str()), ("client_credentials", "app"));
        assert!(!form.contains_key("client_secret"));
        Ok(form["client_assertion"].clone())
    }
}

/// Head and claims of a statement that the key has signed in that way.
fn checked(statement: &str, made: &Made, scheme: SignatureScheme) -> (Value, Value) {
    let (signed, signature) = statement.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let algorithms = default_provider().signature_verification_algorithms;
    let (_, algorithms) = algorithms.mapping.iter().find(|(known, _)| *known == scheme).expect("a known scheme");
    let good = |algorithm: &&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
        algorithm.verify_signature(made.key.der_bytes(), signed.as_bytes(), &signature).is_ok()
    };
    assert!(algorithms.iter().any(good), "the signature is the key's");
    let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64")).expect("JSON");
    let (head, claims) = signed.split_once('.').expect("three parts");
    (part(head), part(claims))
}

#[test]
fn a_statement_is_signed_as_the_authority_checks_it_with_keys_in_either_form() {
    let made = made();
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(made.certificate.der()));
    for key in [made.key.serialize_pem(), pkcs1(&made.key)] {
        let files = Files::new(&made.certificate.pem(), &key);
        for (signature, name, scheme) in [
            (Signature::Ps256, "PS256", SignatureScheme::RSA_PSS_SHA256),
            (Signature::Rs256, "RS256", SignatureScheme::RSA_PKCS1_SHA256),
        ] {
            let files = Files {
                identity: files.identity.clone().signature(signature),
                folder: tempfile::tempdir().expect("a folder"),
            };
            let (head, claims) = checked(&files.statement().expect("a statement"), &made, scheme);
            assert_eq!(head, serde_json::json!({"alg": name, "typ": "JWT", "x5t#S256": thumbprint}));
            assert_eq!(claims["aud"], "https://login.example/t/oauth2/v2.0/token");
            assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("app"), Some("app")));
            assert_eq!((&claims["nbf"], &claims["iat"]), (&1_795_510_800.into(), &1_795_510_800.into()));
            assert_eq!(claims["exp"], 1_795_511_400);
        }
    }
}

#[test]
fn no_two_statements_have_the_same_id() {
    let made = made();
    let files = Files::new(&made.certificate.pem(), &made.key.serialize_pem());
    let id = || {
        let (_, claims) = checked(&files.statement().expect("a statement"), &made, SignatureScheme::RSA_PSS_SHA256);
        claims["jti"].as_str().map(str::to_owned).expect("an id")
    };
    assert_ne!(id(), id());
}

#[test]
fn one_file_may_hold_both_and_a_chain() {
    let (made, issuer) = (made(), made());
    let both = format!("{}{}{}", made.key.serialize_pem(), made.certificate.pem(), issuer.certificate.pem());
    let files = Files::new(&both, &both);
    checked(&files.statement().expect("a statement"), &made, SignatureScheme::RSA_PSS_SHA256);
}

#[test]
fn a_pair_in_the_middle_of_a_change_keeps_the_old_one() {
    let (old, new) = (made(), made());
    let files = Files::new(&old.certificate.pem(), &old.key.serialize_pem());
    checked(&files.statement().expect("a statement"), &old, SignatureScheme::RSA_PSS_SHA256);
    assert!(!files.identity.changed());

    files.write(&new.certificate.pem(), &old.key.serialize_pem());
    assert!(files.identity.changed());
    checked(&files.statement().expect("the old pair"), &old, SignatureScheme::RSA_PSS_SHA256);
    let complaint = files.identity.complaint().expect("somebody must hear of it").to_string();
    assert!(complaint.ends_with("the private key does not belong to the certificate"), "{complaint}");

    files.write(&new.certificate.pem(), &new.key.serialize_pem());
    checked(&files.statement().expect("a statement"), &new, SignatureScheme::RSA_PSS_SHA256);
    assert!(files.identity.complaint().is_none());
}

#[test]
fn what_cannot_sign_is_named_and_never_shown() {
    let made = made();
    let (certificate, key) = (made.certificate.pem(), made.key.serialize_pem());
    let curve = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key").serialize_pem();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (certificate, key, why) in [
        ("", &*key, "no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &*key, "certificate cannot be read"),
        (&*certificate, "tell-tale", "no private key in PEM"),
        (&*certificate, &*certificate, "no private key in PEM"),
        (&*certificate, &*encrypted, "the key is encrypted"),
        (&*certificate, &*curve, "none of RSA"),
    ] {
        let files = Files::new(certificate, key);
        let error = files.statement().expect_err(why);
        let shown = format!("{error} {error:?} {:?}", files.identity);
        assert!(shown.contains(why) && !shown.contains("tell"), "{shown}");
        assert!(!shown.contains("BEGIN"), "{shown}");
    }
}
