//! Certificates made on the spot: an authority, servers of several kinds, a client. Good for tests only.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub cert_pem: String,
    /// Its key, PKCS#8.
    pub key_pem: String,
}

/// An authority and what it has signed. A second one is a stranger to the first.
#[derive(Clone, Debug)]
pub struct TestPki {
    /// The authority's certificate: the chain that clients trust, and the one that servers ask of clients.
    pub ca_pem: String,
    /// A server called `localhost` and `127.0.0.1`.
    pub server: Identity,
    /// A server called something else.
    pub misnamed_server: Identity,
    /// A server whose time is over.
    pub expired_server: Identity,
    /// A client.
    pub client: Identity,
}

/// Where [`TestPki::write_to`] has put things.
#[derive(Clone, Debug)]
pub struct PkiFiles {
    /// The authority's certificate.
    pub chain: PathBuf,
    /// The client's certificate.
    pub client_cert: PathBuf,
    /// The client's key.
    pub client_key: PathBuf,
    /// The server's certificate.
    pub server_cert: PathBuf,
    /// The server's key.
    pub server_key: PathBuf,
}

impl TestPki {
    /// Makes all of them anew.
    pub fn new() -> Self {
        let ca_key = key();
        let mut ca = named(CertificateParams::default(), "mde-sim test authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_pem = ca.self_signed(&ca_key).expect("the parameters are sound").pem();
        let issuer = Issuer::new(ca, ca_key);
        let mut expired = server(&["localhost", "127.0.0.1"]);
        expired.not_before = date_time_ymd(2001, 1, 1);
        expired.not_after = date_time_ymd(2002, 1, 1);
        let mut client = named(CertificateParams::default(), "mde-sim test client");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Self {
            ca_pem,
            server: signed(&server(&["localhost", "127.0.0.1"]), &issuer),
            misnamed_server: signed(&server(&["other.example"]), &issuer),
            expired_server: signed(&expired, &issuer),
            client: signed(&client, &issuer),
        }
    }

    /// Writes chain, client and server into a folder that exists.
    pub fn write_to(&self, folder: &Path) -> io::Result<PkiFiles> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map(|()| path)
        };
        Ok(PkiFiles {
            chain: write("chain.crt", &self.ca_pem)?,
            client_cert: write("client.crt", &self.client.cert_pem)?,
            client_key: write("client.key", &self.client.key_pem)?,
            server_cert: write("server.crt", &self.server.cert_pem)?,
            server_key: write("server.key", &self.server.key_pem)?,
        })
    }
}

impl Default for TestPki {
    fn default() -> Self {
        Self::new()
    }
}

/// A fresh key.
fn key() -> KeyPair {
    KeyPair::generate().expect("the system gives random numbers")
}

/// The parameters under a common name.
fn named(mut params: CertificateParams, name: &str) -> CertificateParams {
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Parameters of a server with these names.
fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = named(CertificateParams::new(names).expect("the names are ASCII"), "mde-sim test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A certificate with a fresh key.
fn signed(params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Identity {
    let key = key();
    let cert = params.clone().signed_by(&key, issuer).expect("the parameters are sound");
    Identity { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Identity")
    }
}
