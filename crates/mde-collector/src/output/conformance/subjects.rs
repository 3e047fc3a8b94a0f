//! The outputs under test, each with its far side.

use super::Subject;
use super::certificates::Authority;
use super::receiver::{Plan, Receiver};
use super::ship::{Event, events_of};
use crate::config::OutputConfig;
use crate::config::outputs::compression::Gzip;
use crate::config::outputs::{devo, file};
use crate::output::{Output, build, console::Console};
use async_trait::async_trait;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWrite;

/// The console on a buffer.
pub(crate) struct ConsoleSubject(Arc<Mutex<Vec<u8>>>);

impl ConsoleSubject {
    pub fn new() -> Self {
        Self(Arc::default())
    }
}

#[async_trait]
impl Subject for ConsoleSubject {
    fn build(&self, _memory: Option<&str>) -> Box<dyn Output> {
        let begun = self.0.lock().expect("sound").last().is_some_and(|&last| last != b'\n');
        if begun {
            // A process that was killed in the middle of a line: the terminal keeps it.
            self.0.lock().expect("sound").extend_from_slice(b"\n");
        }
        Box::new(Console::new(Box::new(Drip { far: Arc::clone(&self.0), tired: false })))
    }

    fn received(&self) -> Vec<Event> {
        // Half a line is nobody's event; whole ones must be sound.
        let octets = self.0.lock().expect("sound").clone();
        let whole = octets.split_inclusive(|&octet| octet == b'\n').filter(|line| line.ends_with(b"}\n"));
        events_of(&whole.collect::<Vec<_>>().concat())
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn exactly_once(&self) -> bool {
        false
    }

    fn confirmed_means_read(&self) -> bool {
        true
    }
}

/// Takes part of what it is given, and nothing at every second call.
struct Drip {
    far: Arc<Mutex<Vec<u8>>>,
    tired: bool,
}

impl AsyncWrite for Drip {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.tired = !self.tired;
        if self.tired {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = octets.len().min(100_007);
        self.far.lock().expect("sound").extend_from_slice(&octets[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Files in a folder of their own.
pub(crate) struct FileSubject(TempDir, Option<file::Rotate>, file::Compress);

impl FileSubject {
    pub fn new(max_bytes: Option<u64>, compress: file::Compress) -> Self {
        let rotate = max_bytes.map(|most| file::Rotate { max_bytes: Some(most), every: None });
        Self(TempDir::new().expect("folder"), rotate, compress)
    }
}

#[async_trait]
impl Subject for FileSubject {
    fn build(&self, memory: Option<&str>) -> Box<dyn Output> {
        let path = self.0.path().join("{date}/{tenant}-{service}.ndjson").to_str().expect("text").to_owned();
        build(&OutputConfig::File(file::File { path, rotate: self.1, compress: self.2 }), memory).expect("valid")
    }

    async fn kill(&self, mut output: Box<dyn Output>) {
        // A reset changes nothing on disk; it waits for the thread that a cancelled write has left, which a real kill
        // would have ended.
        output.reset().await;
    }

    fn received(&self) -> Vec<Event> {
        let mut files: Vec<_> = walkdir::WalkDir::new(self.0.path())
            .into_iter()
            .map(|entry| entry.expect("readable"))
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.into_path())
            .collect();
        // In the order of their turns: by time, then by number.
        files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
        let read = |path: &Path| std::fs::read(path).expect("readable");
        files.iter().flat_map(|path| events_of(&read(path))).collect()
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn exactly_once(&self) -> bool {
        true
    }

    fn confirmed_means_read(&self) -> bool {
        true
    }
}

/// How Devo's channel is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub tls: bool,
    pub gzip: bool,
    pub connections: usize,
}

/// TCP.
pub(crate) const PLAIN: Kind = Kind { tls: false, gzip: false, connections: 1 };
/// TLS.
pub(crate) const TLS: Kind = Kind { tls: true, ..PLAIN };
/// TLS with gzip members in it.
pub(crate) const GZIP: Kind = Kind { gzip: true, ..TLS };
/// Three connections, gzip in them.
pub(crate) const THREE: Kind = Kind { gzip: true, connections: 3, ..PLAIN };

/// Devo's channel to a receiver.
pub(crate) struct StreamSubject {
    pub receiver: Receiver,
    pub config: devo::Devo,
    /// Signs the certificates; its folder holds their files.
    _authority: Option<Authority>,
}

impl StreamSubject {
    /// A receiver; acknowledgements count after that time, or only FIN counts.
    pub async fn new(kind: Kind, after: Option<Duration>) -> Self {
        Self::with(kind, after, []).await
    }

    /// A receiver with plans; over TLS it asks for a client certificate.
    pub async fn with(kind: Kind, after: Option<Duration>, plans: impl IntoIterator<Item = Plan>) -> Self {
        let authority = kind.tls.then(Authority::new);
        let server = authority.as_ref().map(|authority| {
            Authority::server(&authority.sign("server", &["127.0.0.1"]), Some(authority), rustls::ALL_VERSIONS)
        });
        let receiver = Receiver::start(server, plans).await;
        let tls = authority.as_ref().map(|authority| {
            let client = authority.sign("client", &["sender"]);
            devo::Tls {
                identity: Some(devo::ClientIdentity { cert: client.cert, key: client.key }),
                chain: Some(authority.chain()),
                check_hostname: true,
            }
        });
        let mut config = config(receiver.port, tls, after);
        config.gzip = kind.gzip.then_some(Gzip { threshold: Some(-1.0), level: Some(1), ..Gzip::default() });
        config.connections = kind.connections;
        Self { config, receiver, _authority: authority }
    }
}

/// A configuration for a receiver on loopback.
pub(crate) fn config(port: u16, tls: Option<devo::Tls>, after: Option<Duration>) -> devo::Devo {
    devo::Devo {
        kind: "devo_platform",
        address: "127.0.0.1".to_owned(),
        port,
        tls,
        hostname: Some("collector".to_owned()),
        date: devo::DateForm::Iso,
        confirm: after.map_or(devo::Confirm::Closed, |after| devo::Confirm::Acked { after }),
        connect_timeout: Duration::from_secs(30),
        initial_wait: Duration::from_secs(2),
        max_wait: Duration::from_secs(60),
        idle: Duration::from_secs(25),
        gzip: None,
        connections: 1,
    }
}

#[async_trait]
impl Subject for StreamSubject {
    fn build(&self, memory: Option<&str>) -> Box<dyn Output> {
        build(&OutputConfig::Devo(self.config.clone()), memory).expect("valid")
    }

    fn received(&self) -> Vec<Event> {
        self.receiver.received()
    }

    fn is_quiet(&self) -> bool {
        self.receiver.is_quiet()
    }

    fn exactly_once(&self) -> bool {
        false
    }

    fn confirmed_means_read(&self) -> bool {
        self.config.confirm == devo::Confirm::Closed
    }
}
