//! One TLS configuration: an explicit provider, the system's roots, and the roots that were configured.

use crate::error::Error;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// A configuration for HTTPS that trusts the system's roots and those given in PEM; speaks HTTP/2 and HTTP/1.1.
pub(crate) fn client_config(ca_pem: &[Vec<u8>]) -> Result<ClientConfig, Error> {
    let roots = roots(rustls_native_certs::load_native_certs().certs, ca_pem)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| problem("no protocol version that this program can speak is left"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The system's roots, or Mozilla's where the system has none (a bare image), and the configured ones beside them.
fn roots(system: Vec<CertificateDer<'static>>, ca_pem: &[Vec<u8>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    // A store may hold certificates that are no good to us; those that are count.
    let (usable, _) = roots.add_parsable_certificates(system);
    if usable == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for pem in ca_pem {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| problem("a configured CA is not valid PEM"))?;
            roots.add(certificate).map_err(|_| problem("a configured CA is no usable certificate"))?;
        }
        if roots.len() == before {
            return Err(problem("a configured CA file holds no certificate"));
        }
    }
    Ok(roots)
}

/// A configuration that cannot be used.
fn problem(text: &str) -> Error {
    Error::config("set up TLS", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_roots_falls_back_to_mozillas() {
        let roots = roots(Vec::new(), &[]).expect("no root is needed from the system");
        assert_eq!(roots.len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }

    #[test]
    fn a_configured_ca_that_holds_no_certificate_is_an_error() {
        let error = roots(Vec::new(), &[b"nothing here".to_vec()]).expect_err("there is no certificate in it");
        assert!(error.to_string().contains("holds no certificate"), "{error}");
    }
}
