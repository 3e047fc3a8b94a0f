//! TLS in front of the simulator under a name of its own, as the vendor's servers have one: what loopback names never show
//! can be seen there, a proxy's work above all.

use mde_sim::receiver::Identity;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The name that the certificate bears; no name server knows it.
pub const NAME: &str = "defender.test";

/// A front; it ends when dropped.
pub struct Front {
    accepting: JoinHandle<()>,
    /// Where it listens.
    pub port: u16,
    /// The authority that has signed its certificate, PEM.
    pub ca_pem: String,
}

/// An authority, made on the spot.
pub fn authority(name: &str) -> (Identity, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().expect("the library makes keys");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let cert_pem = params.self_signed(&key).expect("the parameters are sound").pem();
    (Identity { cert_pem, key_pem: key.serialize_pem() }, Issuer::new(params, key))
}

impl Front {
    /// Stands before that address.
    pub async fn start(behind: SocketAddr) -> Self {
        let (authority, issuer) = authority("front of the tests");
        let key = KeyPair::generate().expect("the library makes keys");
        let server = CertificateParams::new(vec![NAME.to_owned()]).and_then(|params| params.signed_by(&key, &issuer));
        let chain = vec![CertificateDer::from(server.expect("the parameters are sound").der().to_vec())];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they belong together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("it listens").port();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(socket).await else { return };
                    let Ok(mut far) = TcpStream::connect(behind).await else { return };
                    // How it ends, both sides see for themselves.
                    copy_bidirectional(&mut near, &mut far).await.ok();
                });
            }
        });
        Self { accepting, port, ca_pem: authority.cert_pem }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://{NAME}:{}", self.port)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
