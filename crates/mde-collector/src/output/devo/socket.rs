//! A TCP socket that counts what was written to it and knows what the peer's kernel has acknowledged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long the kernel may keep octets that nobody acknowledges, or whose receiver has no room, before it gives the
/// connection up. Unit: milliseconds. Its own limit is about 15 minutes.
#[cfg(target_os = "linux")]
const USER_TIMEOUT_MS: u32 = 120_000;

/// A connected socket below TLS.
pub(super) struct Socket {
    /// The connection.
    tcp: TcpStream,
    /// Octets that our kernel has taken.
    written: u64,
}

/// What the kernel says of the read side, asked directly: the runtime's own view can be older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadSide {
    /// Open, nothing to read.
    Quiet,
    /// Octets wait to be read; what follows them is not known.
    Waiting,
    /// The peer's FIN has come and everything before it was read.
    Ended,
}

impl Socket {
    /// Takes a fresh connection.
    pub(super) fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(&tcp, USER_TIMEOUT_MS)?;
        Ok(Self { tcp, written: 0 })
    }

    /// Octets written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Octets, a FIN counted as one, that the peer's kernel has not acknowledged. `None` where the system cannot say.
    #[cfg(target_os = "linux")]
    pub(super) fn unacknowledged(&self) -> Option<u64> {
        use std::os::fd::AsRawFd;
        let mut octets: libc::c_int = 0;
        // SAFETY: the descriptor is open as long as `self.tcp` lives, and SIOCOUTQ (the number of TIOCOUTQ) writes one
        // `int` to the address given.
        let done = unsafe { libc::ioctl(self.tcp.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
        if done == 0 { u64::try_from(octets).ok() } else { None }
    }

    /// Octets that the peer's kernel has not acknowledged: this system cannot say.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "one signature on every system")]
    pub(super) fn unacknowledged(&self) -> Option<u64> {
        None
    }

    /// Octets that the peer's kernel has acknowledged, at least. `None` where the system cannot say.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        Some(self.written.saturating_sub(self.unacknowledged()?))
    }

    /// Asks the kernel for the read side and for an error of the connection. Reads nothing.
    pub(super) fn look(&self) -> io::Result<ReadSide> {
        use rustix::io::Errno;
        use rustix::net::{RecvFlags, recv};
        let peeked = recv(&self.tcp, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        // A reset behind the peer's FIN shows only here.
        if let Some(error) = self.tcp.take_error()? {
            return Err(error);
        }
        match peeked {
            Ok((_, 0)) => Ok(ReadSide::Ended),
            Ok(_) | Err(Errno::INTR) => Ok(ReadSide::Waiting),
            Err(Errno::AGAIN) => Ok(ReadSide::Quiet),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the runtime knows of something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.tcp.readable().await
    }

    /// From now on dropping the socket resets the connection instead of ending it.
    pub(super) fn reset_on_drop(&self) {
        if let Err(error) = self.tcp.set_zero_linger() {
            tracing::debug!(%error, "connection could not be set to reset; it ends politely");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.tcp).poll_write(cx, octets))?;
        self.written += taken as u64;
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, slices))?;
        self.written += taken as u64;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
