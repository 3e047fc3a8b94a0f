//! A receiver of syslog that reads, resets, stands still or hangs up as it is told, and remembers every octet.

use super::ship::{Event, events_of};
use rustls::ServerConfig;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What the receiver does with one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Reads to the end, then ends as well.
    Read,
    /// Reads a little at a time.
    Slow,
    /// Resets as soon as it has read so many octets from the socket.
    ResetAfter(u64),
    /// Reads nothing until it is told to.
    Stall,
    /// Ends its own side at once and reads on.
    EndFirst,
    /// Talks all the time while it reads.
    Talk,
    /// Reads to the end and keeps nothing.
    Discard,
    /// The same, a small window in each round trip.
    Far,
}

/// A listening receiver. Dropped, it is gone with all its connections.
pub(crate) struct Receiver {
    pub port: u16,
    shared: Arc<Shared>,
    listening: AbortHandle,
    reading: watch::Sender<bool>,
    hang_up: watch::Sender<Farewell>,
}

/// How the receiver lets go of what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// Politely, when everything that has come is read.
    End,
    /// By a reset, read or not.
    Reset,
}

#[derive(Default)]
struct Shared {
    plans: Mutex<VecDeque<Plan>>,
    connections: Mutex<Vec<Taken>>,
}

/// What came over one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    /// Plain octets.
    pub octets: Vec<u8>,
    /// The sender's end was read.
    pub ended: bool,
    /// [`Plan::EndFirst`] has ended its own side.
    pub said_end: bool,
    /// The receiver has let go of it.
    pub over: bool,
    /// [`Plan::Stall`] has begun.
    pub standing: bool,
    /// Octets that the kernel held at the last look of [`Plan::Stall`].
    pub held: u64,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Receiver {
    /// Listens on loopback. Connections follow `plans` one by one; those after them are read.
    pub async fn start(tls: Option<Arc<ServerConfig>>, plans: impl IntoIterator<Item = Plan>) -> Self {
        Self::start_with_buffer(tls, plans, None).await
    }

    /// The same with a receive buffer of about that many octets.
    pub async fn start_with_buffer(
        tls: Option<Arc<ServerConfig>>,
        plans: impl IntoIterator<Item = Plan>,
        buffer: Option<u32>,
    ) -> Self {
        let socket = TcpSocket::new_v4().expect("socket");
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer).expect("buffer");
        }
        socket.bind(([127, 0, 0, 1], 0).into()).expect("bound");
        let listener = socket.listen(64).expect("listening");
        let port = listener.local_addr().expect("address").port();
        let shared = Arc::new(Shared { plans: Mutex::new(plans.into_iter().collect()), ..Shared::default() });
        let (reading, may_read) = watch::channel(false);
        let (hang_up, told) = watch::channel(Farewell::End);
        let accepting = accept(listener, tls.map(TlsAcceptor::from), Arc::clone(&shared), may_read, told);
        Self { port, shared, listening: tokio::spawn(accepting).abort_handle(), reading, hang_up }
    }

    /// What came, connection by connection.
    pub fn connections(&self) -> Vec<Taken> {
        locked(&self.shared.connections).clone()
    }

    /// What the kernel held of the first connection at the last look of [`Plan::Stall`].
    pub fn held(&self) -> u64 {
        locked(&self.shared.connections).first().map_or(0, |taken| taken.held)
    }

    /// Whole events, connections in order of arrival.
    pub fn received(&self) -> Vec<Event> {
        locked(&self.shared.connections).iter().flat_map(|taken| events_of(&taken.octets)).collect()
    }

    /// Whether it has let go of every connection.
    pub fn is_quiet(&self) -> bool {
        locked(&self.shared.connections).iter().all(|taken| taken.over)
    }

    /// Connections that stand still are read from now on.
    pub fn read_on(&self) {
        self.reading.send_replace(true);
    }

    /// Every connection is closed politely; everything that has come before is read.
    pub fn hang_up(&self) {
        self.hang_up.send_replace(Farewell::End);
    }

    /// Every connection is reset, whatever has been read.
    pub fn reset_all(&self) {
        self.hang_up.send_replace(Farewell::Reset);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds it")
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    may_read: watch::Receiver<bool>,
    told: watch::Receiver<Farewell>,
) {
    let mut serving = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let plan = locked(&shared.plans).pop_front().unwrap_or(Plan::Read);
        let number = {
            let mut connections = locked(&shared.connections);
            connections.push(Taken::default());
            connections.len() - 1
        };
        let mut told = told.clone();
        told.mark_unchanged();
        let (tls, shared, may_read) = (tls.clone(), Arc::clone(&shared), may_read.clone());
        serving.spawn(async move {
            let mut connection = Serving { shared: &shared, number, plan, may_read, told };
            // A connection that breaks is part of the plan or the sender's doing; what came before counts.
            let _ = connection.serve(tcp, tls).await;
            connection.taken(|taken| taken.over = true);
        });
    }
}

/// One connection being served.
struct Serving<'a> {
    shared: &'a Shared,
    number: usize,
    plan: Plan,
    may_read: watch::Receiver<bool>,
    told: watch::Receiver<Farewell>,
}

impl Serving<'_> {
    fn taken(&self, change: impl FnOnce(&mut Taken)) {
        change(&mut locked(&self.shared.connections)[self.number]);
    }

    async fn serve(&mut self, tcp: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<()> {
        let handle = rustix::io::dup(&tcp)?;
        let left = if let Plan::ResetAfter(octets) = self.plan { octets } else { u64::MAX };
        let socket = Limited { tcp, left };
        match tls {
            None => self.read(socket, &handle).await,
            Some(acceptor) => self.read(acceptor.accept(socket).await?, &handle).await,
        }
    }

    async fn read(
        &mut self,
        mut io: impl AsyncRead + AsyncWrite + Unpin,
        handle: &rustix::fd::OwnedFd,
    ) -> io::Result<()> {
        if self.plan == Plan::EndFirst {
            io.shutdown().await?;
            self.taken(|taken| taken.said_end = true);
        }
        if self.plan == Plan::Stall {
            while !*self.may_read.borrow() {
                let held = rustix::io::ioctl_fionread(handle)?;
                self.taken(|taken| (taken.standing, taken.held) = (true, held));
                tokio::select! {
                    _ = self.may_read.changed() => {}
                    _ = self.told.changed() => return self.let_go(&mut io, handle).await,
                    () = tokio::time::sleep(std::time::Duration::from_millis(1)) => {}
                }
            }
        }
        let mut room = vec![0; if self.plan == Plan::Slow { 700 } else { 65_536 }];
        loop {
            let count = tokio::select! {
                biased;
                count = io.read(&mut room) => count?,
                _ = self.told.changed() => return self.let_go(&mut io, handle).await,
            };
            if count == 0 {
                self.taken(|taken| taken.ended = true);
                return io.shutdown().await;
            }
            if !matches!(self.plan, Plan::Discard | Plan::Far) {
                self.taken(|taken| taken.octets.extend_from_slice(&room[..count]));
            }
            match self.plan {
                Plan::Slow => tokio::task::yield_now().await,
                Plan::Far => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
                Plan::Talk => io.write_all(b"who is there?\n").await?,
                _ => {}
            }
        }
    }
}

impl Serving<'_> {
    async fn let_go(&self, io: &mut (impl AsyncWrite + Unpin), handle: &rustix::fd::OwnedFd) -> io::Result<()> {
        let farewell = *self.told.borrow();
        match farewell {
            Farewell::End => io.shutdown().await,
            Farewell::Reset => Ok(rustix::net::sockopt::set_socket_linger(handle, Some(std::time::Duration::ZERO))?),
        }
    }
}

/// A socket that resets itself when it has given so many octets.
struct Limited {
    tcp: TcpStream,
    left: u64,
}

impl AsyncRead for Limited {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            self.tcp.set_zero_linger()?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let polled = Pin::new(&mut self.tcp).poll_read(cx, &mut part);
        let count = part.filled().len();
        buffer.advance(count);
        self.left -= count as u64;
        polled
    }
}

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
