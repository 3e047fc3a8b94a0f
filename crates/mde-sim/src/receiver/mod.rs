//! Receiving ends for what a collector sends, well-behaved or not, that remember what really arrived.

mod conversation;
mod decode;
mod http;
mod pki;
mod syslog;
mod tls;

pub use http::{HttpConfig, HttpEvent, HttpFault, HttpReceiver};
pub use pki::{Identity, PkiFiles, TestPki};
pub use syslog::{DateForm, Event};
pub use tls::ReceiverTls;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// What a receiver is made from.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// Where to listen. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// TLS; default: plain TCP.
    pub tls: Option<ReceiverTls>,
    /// What is kept.
    pub record: Record,
    /// How connections behave for which nothing else was scripted. Default: soundly.
    pub behaviour: Behaviour,
}

/// What is kept of what arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// Every octet and every event.
    #[default]
    Bodies,
    /// Numbers and the digest only: memory stays constant.
    CountOnly,
}

/// How a connection behaves. The default is sound: it reads to the end of the stream, then closes.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Resets the connection (RST); what was read before is kept.
    pub reset_after: Option<After>,
    /// Sends FIN, and reads and keeps what still comes until the other side ends.
    pub close_after: Option<After>,
    /// From there on reads, and acknowledges by that, but keeps nothing: a process that dies after the kernel took the octets.
    pub forget_after: Option<After>,
    /// Stops reading there for a while. Once a connection.
    pub stall: Option<(After, Duration)>,
    /// Closes when nothing came for so long, as a load balancer does.
    pub idle_cut: Option<Duration>,
    /// Waits so long after the other side's FIN before it closes.
    pub fin_delay: Option<Duration>,
}

/// A place in the stream of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Octets, TLS taken off.
    Octets(u64),
    /// Whole events.
    Events(u64),
}

/// One connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Arrived {
    /// Counted from 0.
    pub number: usize,
    /// The other side.
    pub peer: SocketAddr,
    /// Octets read and not forgotten, TLS taken off.
    pub octets: u64,
    /// Those octets, when bodies are recorded.
    pub raw: Vec<u8>,
    /// Whole events among them.
    pub events: u64,
    /// Whether the other side showed a certificate that was accepted.
    pub client_certificate: bool,
    /// Whether it ended in the middle of an event.
    pub torn: bool,
    /// How it ended.
    pub end: End,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Open,
    /// The other side's FIN came, then ours went.
    Fin,
    /// The other side's connection failed.
    Failed(io::ErrorKind),
    /// TLS was not agreed on; the reason in rustls' words.
    Handshake(String),
    /// We reset it, as told.
    Reset,
    /// We closed it for idleness, as told.
    Idle,
    /// A gzip member was damaged; nothing behind it can be read.
    Damaged,
}

/// A line that is no event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unreadable {
    /// Number of the connection it came on.
    pub connection: usize,
    /// The line, when bodies are recorded.
    pub line: Vec<u8>,
    /// What is wrong.
    pub reason: &'static str,
}

/// Number and content of events, whatever their order: equal digests mean equal multisets of (tag, message).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Events.
    pub events: u64,
    /// Octets of their messages.
    pub octets: u64,
    /// Sum of their hashes.
    sum: u128,
}

impl Digest {
    /// Adds an event.
    pub fn add(&mut self, tag: &str, message: &str) {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, tag, message).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        self.events += 1;
        self.octets += message.len() as u64;
        self.sum = self.sum.wrapping_add(half(0) << 64 | half(1));
    }
}

/// A receiver of Devo's syslog channel: plain events and gzip members, mixed at event boundaries. It ends when it is dropped.
pub struct DevoReceiver {
    /// What it remembers.
    shared: Arc<Shared>,
    /// Where it listens.
    address: SocketAddr,
    /// Ends the server when dropped.
    stop: oneshot::Sender<()>,
    /// The server.
    server: JoinHandle<()>,
}

/// What server and handle share.
struct Shared {
    /// What is kept.
    record: Record,
    /// The entries.
    state: Mutex<State>,
    /// Told at each change.
    changed: Notify,
    /// True while nobody reads.
    stalled: watch::Sender<bool>,
}

/// The entries.
struct State {
    /// All connections.
    connections: Vec<Arrived>,
    /// All events, when bodies are recorded.
    events: Vec<Event>,
    /// Lines that are none.
    unreadable: Vec<Unreadable>,
    /// All events in short.
    digest: Digest,
    /// Behaviours of the next connections.
    script: VecDeque<Behaviour>,
    /// Behaviour of the others.
    behaviour: Behaviour,
}

impl DevoReceiver {
    /// Begins to listen. Fails when the address cannot be had or the certificates cannot be used.
    pub async fn start(config: ReceiverConfig) -> io::Result<Self> {
        let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let state = State {
            connections: Vec::new(),
            events: Vec::new(),
            unreadable: Vec::new(),
            digest: Digest::default(),
            script: VecDeque::new(),
            behaviour: config.behaviour,
        };
        let shared = Arc::new(Shared {
            record: config.record,
            state: Mutex::new(state),
            changed: Notify::new(),
            stalled: watch::Sender::new(false),
        });
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, acceptor, Arc::clone(&shared), stopped));
        Ok(Self { shared, address, stop, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Every event so far, when bodies are recorded; in the order of arrival.
    pub fn events(&self) -> Vec<Event> {
        self.shared.state().events.clone()
    }

    /// How many events so far.
    pub fn event_count(&self) -> u64 {
        self.shared.state().digest.events
    }

    /// All events so far in short, whatever is recorded.
    pub fn digest(&self) -> Digest {
        self.shared.state().digest
    }

    /// Lines that are no events.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.shared.state().unreadable.clone()
    }

    /// Every connection so far.
    pub fn connections(&self) -> Vec<Arrived> {
        self.shared.state().connections.clone()
    }

    /// The next connection that has no script of its own yet behaves so; several are used first in, first out.
    pub fn script(&self, behaviour: Behaviour) {
        self.shared.state().script.push_back(behaviour);
    }

    /// Connections to come without a script behave so.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.state().behaviour = behaviour;
    }

    /// Stops reading on all connections until [`DevoReceiver::resume`].
    pub fn stall(&self) {
        self.shared.stalled.send_replace(true);
    }

    /// Reads on.
    pub fn resume(&self) {
        self.shared.stalled.send_replace(false);
    }

    /// Waits until so many events have come.
    pub async fn wait_events(&self, events: u64) {
        self.wait_until(|receiver| receiver.event_count() >= events).await;
    }

    /// Waits until the receiver remembers what is looked for. It is looked at after each change, never by the clock.
    pub async fn wait_until(&self, shows: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            // Enabled before the look, so that a change between look and wait is not missed.
            changed.as_mut().enable();
            if shows(self) {
                return;
            }
            changed.await;
        }
    }

    /// Stops listening, drops open connections and waits until both is done.
    pub async fn shutdown(self) {
        drop(self.stop);
        // The server task cannot fail but by a panic, which it has already reported.
        let _ = self.server.await;
    }
}

impl Shared {
    /// The entries, also after a panic elsewhere: each is complete by itself.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the entries and tells those who wait.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_waiters();
        result
    }
}

/// Accepts until the other end of `stop` is dropped; connections then open are dropped.
async fn serve(
    listener: TcpListener,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    shared: Arc<Shared>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    conversations.spawn(conversation::hold(socket, peer, acceptor.clone(), Arc::clone(&shared)));
                }
                // A passing shortage; the next one is tried when the runtime comes back to it.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = conversations.join_next() => {}
        }
    }
    conversations.shutdown().await;
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            record: Record::default(),
            behaviour: Behaviour::default(),
        }
    }
}

impl std::fmt::Debug for DevoReceiver {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "DevoReceiver({}, {} events)", self.address, self.event_count())
    }
}
