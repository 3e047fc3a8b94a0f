//! TLS towards a receiver: who it must be, and who we are.
//!
//! Files are read at each connect, so a rotated certificate is used without a restart. The provider of cryptography is
//! named here and nowhere taken from a process-wide default.

use super::expiry::{self, Expiry};
use super::witness::Witness;
use crate::config::outputs::devo::{ClientIdentity, Tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// What keeps us from TLS before a connection is made. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A file holds no certificate, or a broken one.
    #[error("read {0}: it holds no readable PEM certificate")]
    NoCertificate(PathBuf),
    /// A file holds no key. What the parser says is left out: it may quote the file.
    #[error("read {0}: it holds no readable PEM key (PKCS#8, PKCS#1 or SEC1)")]
    NoKey(PathBuf),
    /// Certificate or key cannot be used.
    #[error("use certificate {cert} with its key")]
    Identity {
        /// The certificate.
        cert: PathBuf,
        /// What rustls said.
        #[source]
        cause: rustls::Error,
    },
    /// A root that no chain can begin with.
    #[error("use {path} as root of trust")]
    Root {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        cause: rustls::Error,
    },
    /// rustls refuses the settings.
    #[error("set up TLS")]
    Settings(#[from] rustls::Error),
    /// The address is neither a name nor an address.
    #[error("use {0:?} as server name")]
    Name(String),
    /// The thread for blocking work is gone.
    #[error("read the certificates")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// The name that the receiver's certificate must bear; for a host name also the SNI.
pub(super) fn server_name(address: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(address.to_owned()).map_err(|_| TlsError::Name(address.to_owned()))
}

/// Until when the certificates in our files are good.
pub(super) async fn expiries(tls: &Tls) -> Result<Vec<Expiry>, TlsError> {
    let tls = tls.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut expiries = Vec::new();
        for path in tls.identity.iter().map(|identity| &identity.cert).chain(&tls.chain) {
            let place = path.display().to_string();
            expiries.extend(certificates(path)?.iter().filter_map(|der| expiry::of(&place, der)));
        }
        Ok(expiries)
    });
    reading.await?
}

/// What a person should know of certificates and protection although a connection was made. `tls`: how it was protected, if
/// it was. `now_ms`: the time on the wall, milliseconds since 1970.
pub(super) fn notes(expiries: &[Expiry], tls: Option<&Tls>, target: &str, now_ms: i64) -> Vec<String> {
    let mut notes: Vec<_> = expiries.iter().filter_map(|expiry| expiry.note(now_ms)).collect();
    match tls {
        None => notes.push(format!("{target} is reached without TLS")),
        Some(tls) if !tls.check_hostname => {
            notes.push(format!("the name of {target} is not verified (`check_hostname: false`)"));
        }
        Some(_) => {}
    }
    notes
}

/// Reads the files and makes what connects.
pub(super) async fn connector(tls: &Tls) -> Result<TlsConnector, TlsError> {
    let tls = tls.clone();
    let config = tokio::task::spawn_blocking(move || client_config(&tls, None)).await??;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Reads the files and makes the settings, for a client that connects by itself.
pub(super) async fn client(tls: &Tls, witness: Witness) -> Result<ClientConfig, TlsError> {
    let tls = tls.clone();
    tokio::task::spawn_blocking(move || client_config(&tls, Some(&witness))).await?
}

/// Reads the files; blocks.
pub(super) fn client_config(tls: &Tls, witness: Option<&Witness>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = match &tls.chain {
        Some(path) => roots_of(path)?,
        None => system_roots(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = if tls.check_hostname {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        verifier.map_err(|error| rustls::Error::General(error.to_string()))?
    } else {
        Arc::new(AnyName { roots, provider })
    };
    let verifier = witness.map_or(Arc::clone(&verifier), |witness| witness.beside(verifier));
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(ClientIdentity { cert, key }) => {
            let chain = certificates(cert)?;
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| TlsError::NoKey(key.clone()))?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|cause| TlsError::Identity { cert: cert.clone(), cause })
        }
    }
}

/// The roots of a chain file, the only ones trusted then.
fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|cause| TlsError::Root { path: path.to_owned(), cause })?;
    }
    Ok(roots)
}

/// The system's roots; those of Mozilla in an image that has none.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

/// A whole file.
fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Read { path: path.to_owned(), cause })
}

/// What rustls said, where an error carries it; an I/O error hides what it holds from its own chain.
pub(super) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut inner = error;
    loop {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        let held = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner = match held {
            Some(held) => held as &(dyn Error + 'static),
            None => inner.source()?,
        };
    }
}

/// Verifies the chain and that the peer holds the key, but not the name: `check_hostname: false`.
#[derive(Debug)]
struct AnyName {
    /// Where a chain may begin.
    roots: RootCertStore,
    /// Which signatures are understood.
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
