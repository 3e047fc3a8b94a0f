//! Which certificates were shown in the handshakes of a client that hands out no connection to look at.

use super::expiry::{self, Expiry};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Remembers what each name has shown last. Clones remember together.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    /// Where the certificates are met, for messages.
    place: String,
    /// By the name that was asked for.
    seen: Arc<Mutex<BTreeMap<String, Vec<Expiry>>>>,
}

impl Witness {
    /// One that has seen nothing. `place`: type and address of the output.
    pub(super) fn new(place: String) -> Self {
        Self { place, seen: Arc::default() }
    }

    /// Until when the certificates are good that were found in order; empty where nobody has shown one.
    pub(super) fn expiries(&self) -> Vec<Expiry> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().collect()
    }

    /// A verifier that decides as `judge` does.
    pub(super) fn beside(&self, judge: Arc<dyn ServerCertVerifier>) -> Arc<dyn ServerCertVerifier> {
        Arc::new(Watched { witness: self.clone(), judge })
    }
}

/// A verifier and its witness.
#[derive(Debug)]
struct Watched {
    /// Remembers what was found in order.
    witness: Witness,
    /// Decides.
    judge: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.judge.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        let shown = std::iter::once(certificate).chain(intermediates);
        let expiries = shown.filter_map(|der| expiry::of(&self.witness.place, der)).collect();
        let mut seen = self.witness.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(name.to_str().into_owned(), expiries);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
