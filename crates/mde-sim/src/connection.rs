//! A server's connection that can be broken on purpose: closed, or reset with RST, behind the octets already written.

use futures_util::task::AtomicWaker;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How a connection is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Break {
    /// FIN.
    Close = 1,
    /// RST, by a linger time of zero.
    Reset = 2,
}

/// Handle of a connection, for whoever answers on it.
#[derive(Clone, Default)]
pub(crate) struct Connection(Arc<Shared>);

/// What handle and socket share.
#[derive(Default)]
struct Shared {
    /// 0: sound; else a `Break`.
    verdict: AtomicU8,
    /// The task that serves the connection.
    waker: AtomicWaker,
}

/// Marks an in-process answer as one that never arrived: the connection would have been broken before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("receive the answer: connection lost")]
pub struct ConnectionLost;

impl Connection {
    /// Breaks the connection as soon as what was written before has left.
    pub(crate) fn end(&self, how: Break) {
        self.0.verdict.store(how as u8, Ordering::Release);
        self.0.waker.wake();
    }

    /// Breaks the connection and waits for the end of the task that serves it, and thereby of the caller.
    pub(crate) async fn end_now<T>(&self, how: Break) -> T {
        self.end(how);
        std::future::pending().await
    }
}

/// The socket, watched: after each flush it looks whether it is to be broken.
pub(crate) struct Watched {
    /// The socket.
    socket: TcpStream,
    /// Its handle.
    connection: Connection,
}

impl Watched {
    /// Watches a socket.
    pub(crate) fn new(socket: TcpStream, connection: Connection) -> Self {
        Self { socket, connection }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.0.waker.register(context.waker());
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        match self.connection.0.verdict.load(Ordering::Acquire) {
            0 => Poll::Ready(Ok(())),
            verdict => {
                if verdict == Break::Reset as u8 {
                    self.socket.set_zero_linger()?;
                }
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
