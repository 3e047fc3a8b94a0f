//! The receiver's side of TLS.

use super::pki::Identity;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// TLS of a receiver.
#[derive(Clone, Debug)]
pub struct ReceiverTls {
    /// Who the receiver says it is.
    pub identity: Identity,
    /// Client certificates must be signed by this authority, PEM; without it none is asked for.
    pub client_ca_pem: Option<String>,
}

/// Accepts TLS 1.2 and 1.3. What cannot be used of the certificates is an error.
pub(super) fn acceptor(tls: &ReceiverTls) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &tls.client_ca_pem {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(authority)? {
                roots.add(certificate).map_err(unusable)?;
            }
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(unusable)?,
            )
        }
    };
    let key = PrivateKeyDer::from_pem_slice(tls.identity.key_pem.as_bytes()).map_err(unusable)?;
    let config = builder.with_single_cert(certificates(&tls.identity.cert_pem)?, key).map_err(unusable)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The certificates in a PEM text.
fn certificates(pem: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(unusable)
}

/// The cause as an input error.
fn unusable(cause: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, cause)
}
