//! Until when the certificates are good with which we show who we are, for whoever must renew them in time.

use crate::config::{Config, Proof};
use crate::output::expiry;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// The end of a certificate of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateEnd {
    /// Name of the input whose application it is for; else empty.
    pub tenant: String,
    /// Name of the output that it is shown to; else empty. Neither: it is the status page's own.
    pub output: String,
    /// Its last moment. Unit: milliseconds since 1970, UTC.
    pub ends_ms: i64,
}

/// The ends of all that are configured. Reads files; one that cannot be read has no end, and is told by those who need it.
#[must_use]
pub fn ends(config: &Config) -> Vec<CertificateEnd> {
    let tenants = config.inputs.iter().filter_map(|input| match &input.credentials.proof {
        Proof::Certificate { certificate, .. } => Some((&*input.name, "", certificate.as_path())),
        Proof::Secret(_) | Proof::SecretFile(_) | Proof::Managed | Proof::Federated(_) => None,
    });
    let outputs = config.outputs.iter().filter_map(|entry| Some(("", &*entry.name, entry.output.certificate()?)));
    let page = config.globals.status.iter().filter_map(|status| Some(("", "", status.tls.as_ref()?.cert.as_path())));
    let all = tenants.chain(outputs).chain(page);
    all.filter_map(|(tenant, output, path)| {
        Some(CertificateEnd { tenant: tenant.to_owned(), output: output.to_owned(), ends_ms: end(path)? })
    })
    .collect()
}

/// When the first certificate of a file ends, which is ours; those behind it are its issuers'.
fn end(path: &Path) -> Option<i64> {
    let pem = std::fs::read(path).ok()?;
    let first = CertificateDer::pem_slice_iter(&pem).next()?.ok()?;
    Some(expiry::of(&path.display().to_string(), &first)?.ends_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_that_of_its_first_certificate_and_none_where_there_is_no_certificate() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificate = |year| {
            let mut parameters = rcgen::CertificateParams::new(vec!["x".to_owned()]).expect("a name");
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().expect("a key");
            parameters.self_signed(&key).expect("a certificate").pem()
        };
        let path = folder.path().join("chain.crt");
        std::fs::write(&path, certificate(2027) + &certificate(2040)).expect("writable");
        assert_eq!(end(&path), Some(1_798_761_600_000));
        std::fs::write(&path, "nothing").expect("writable");
        assert_eq!(end(&path), None);
        assert_eq!(end(&folder.path().join("away")), None);
    }
}
