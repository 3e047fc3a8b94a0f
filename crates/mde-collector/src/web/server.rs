//! Connections: accepted, bounded in number and patience, with TLS where it is asked for.

use crate::config::StatusTls;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Connections at once; the next one waits until one of them has ended.
const CONNECTIONS: usize = 256;
/// How long a client may take for its handshake, and for the head of each request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The wait after a connection that the system could not give us.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Certificate and key are read again this often, so that a renewed one is used without a restart.
const READ_AGAIN: Duration = Duration::from_secs(60);

/// Certificate and key, as they were last read whole.
pub struct Identity {
    files: StatusTls,
    acceptor: TlsAcceptor,
    read: Instant,
}

impl Identity {
    /// Reads them; the error names the file, never what is in it.
    pub fn load(files: StatusTls) -> Result<Self, String> {
        let acceptor = acceptor(&files)?;
        Ok(Self { files, acceptor, read: Instant::now() })
    }

    /// What takes the next connection. Files that cannot be used now leave the old ones in use.
    fn current(&mut self) -> TlsAcceptor {
        if self.read.elapsed() >= READ_AGAIN {
            self.read = Instant::now();
            if let Ok(acceptor) = acceptor(&self.files) {
                self.acceptor = acceptor;
            }
        }
        self.acceptor.clone()
    }
}

/// TLS with these files.
fn acceptor(StatusTls { cert, key }: &StatusTls) -> Result<TlsAcceptor, String> {
    let unreadable = |path: &Path, what: &str| format!("read {}: it holds no readable PEM {what}", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(|found| found.collect())
        .map_err(|_| unreadable(cert, "certificate"))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|_| unreadable(key, "key"))?;
    let unusable = |error: rustls::Error| format!("use certificate {} with its key: {error}", cert.display());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves for as long as it is polled; its connections end with it.
pub async fn serve(listener: TcpListener, mut identity: Option<Identity>, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let (acceptor, router) = (identity.as_mut().map(Identity::current), router.clone());
        connections.spawn(async move {
            match acceptor {
                None => answer(stream, router).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = timeout(PATIENCE, acceptor.accept(stream)).await {
                        answer(stream, router).await;
                    }
                }
            }
            drop(permit);
        });
    }
}

/// Answers the requests of one connection.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // How a connection ends is the client's business.
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await.ok();
}
