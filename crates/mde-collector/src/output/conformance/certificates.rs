//! Certificates made on the spot: an authority, a receiver, a sender.

use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SignatureAlgorithm};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// An authority, with what it has signed in files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, both PEM.
pub(crate) struct Signed {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("signed");
        let folder = TempDir::new().expect("folder");
        std::fs::write(folder.path().join("chain.pem"), issuer.pem()).expect("written");
        Self { issuer, folder }
    }

    /// The authority's own certificate.
    pub fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    /// Signs a certificate for these names, with a key of its own.
    pub fn sign(&self, file: &str, names: &[&str]) -> Signed {
        self.sign_with(file, names, KeyPair::generate().expect("key"))
    }

    /// Signs a certificate for these names and this key.
    pub fn sign_with(&self, file: &str, names: &[&str], key: KeyPair) -> Signed {
        self.sign_as(file, &params(names), key)
    }

    /// Signs a certificate for these names that has expired.
    pub fn sign_expired(&self, file: &str, names: &[&str]) -> Signed {
        let mut params = params(names);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign_as(file, &params, KeyPair::generate().expect("key"))
    }

    /// Signs what is asked for, for this key.
    fn sign_as(&self, file: &str, params: &CertificateParams, key: KeyPair) -> Signed {
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let path = |ending: &str| self.folder.path().join(format!("{file}.{ending}"));
        let signed = Signed { cert: path("crt"), key: path("key") };
        std::fs::write(&signed.cert, certificate.pem()).expect("written");
        std::fs::write(&signed.key, key.serialize_pem()).expect("written");
        signed
    }

    /// A key in the older form that lies inside PKCS#8, as PEM under that label.
    pub fn older_form(algorithm: &'static SignatureAlgorithm, label: &str) -> (KeyPair, String) {
        let key = KeyPair::generate_for(algorithm).expect("key");
        let text = base64::engine::general_purpose::STANDARD.encode(older_key(&key.serialize_der()));
        (key, format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"))
    }

    /// Settings of a receiver that has this certificate, and asks for one of ours when `client` names who signs it.
    pub fn server(
        signed: &Signed,
        client: Option<&Self>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).expect("versions");
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).expect("root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("verifier"))
            }
        };
        let cert = CertificateDer::from_pem_file(&signed.cert).expect("certificate");
        let key = PrivateKeyDer::from_pem_file(&signed.key).expect("key");
        Arc::new(builder.with_single_cert(vec![cert], key).expect("certificate and key"))
    }
}

/// A certificate for these names.
fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).expect("names")
}

/// The OCTET STRING of a PKCS#8 document: a PKCS#1 or SEC1 key.
fn older_key(pkcs8: &[u8]) -> &[u8] {
    let (_, mut rest, _) = element(pkcs8);
    loop {
        let (tag, value, behind) = element(rest);
        if tag == 4 {
            return value;
        }
        rest = behind;
    }
}

/// The first DER element: its tag, its value, what is behind it.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (start, length) = match der[1] {
        short @ 0..0x80 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            (2 + count, der[2..2 + count].iter().fold(0, |length, &octet| length << 8 | usize::from(octet)))
        }
    };
    (der[0], &der[start..start + length], &der[start + length..])
}
