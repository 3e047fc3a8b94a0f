//! One connection to a receiver: writes frames, ends politely, and says what arrived.
//!
//! It is driven by polling only, inside the calls of the output; there is no task of its own, no lock and no channel.
//! Every step drains the read side, where session tickets, alerts and the peer's end come in. Writing goes on whatever
//! is confirmed or not: a frame that the kernel does not take at once waits in the connection's own buffer, and every
//! step pushes it on, so that several connections travel at the same time.
//!
//! What counts: octets acknowledged by the peer's kernel long enough ago, while the connection is sound *now*; and the
//! peer's FIN after ours. A FIN that comes before ours confirms nothing: the peer may have closed without reading.

use super::ledger::Ledger;
use super::socket::{ReadSide, Socket};
use crate::output::Offset;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

/// A frame of which no octet moves for this long has failed: the receiver stands still or is gone.
pub(super) const STALL: Duration = Duration::from_secs(120);

/// How long a half-closed connection may go without an acknowledgement before the peer's end is given up.
pub(super) const LINGER: Duration = Duration::from_secs(60);

/// Reads in one step. A peer that talks without end must not keep us from writing.
const READS: usize = 16;

/// With or without TLS.
pub(super) enum Channel {
    /// Plain TCP.
    Plain(Socket),
    /// TLS over TCP.
    Tls(Box<TlsStream<Socket>>),
}

/// Both directions of a channel.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Channel {
    /// The socket at the bottom.
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// The layer that takes and gives plain octets.
    fn io(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Plain(socket) => Pin::new(socket),
            Self::Tls(tls) => Pin::new(&mut **tls),
        }
    }
}

/// Where a connection stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Takes frames.
    Open,
    /// Our end is on its way: TLS notice, then FIN.
    Ending,
    /// Our FIN is with the kernel; the peer's is awaited.
    Ended,
    /// The peer's FIN came after ours and everything was acknowledged.
    Done,
    /// Nothing more comes of it.
    Failed,
}

/// A connection and the book of what was written to it.
pub(super) struct Connection {
    /// The octets' way.
    channel: Channel,
    /// The frame on its way to the kernel: its octets; kept for its capacity.
    octets: Vec<u8>,
    /// How many of them the channel has taken.
    taken: usize,
    /// Where that frame ends in the output's count; `None` while the kernel has all that was begun.
    under_way: Option<Offset>,
    /// What was written and what counts.
    ledger: Ledger,
    /// Where it stands.
    life: Life,
    /// Why it failed, until somebody asks.
    failure: Option<io::Error>,
    /// At the last look nothing was wrong and nothing was unread.
    sound: bool,
    /// At the last look the kernel held octets that we had not read.
    unread: bool,
    /// The peer said its end, in TLS or with a FIN.
    peer_ended: bool,
    /// Octets acknowledged at the last look.
    acknowledged: u64,
    /// When it was made.
    pub(super) opened: Instant,
    /// When a frame was last begun or written; at first, when it was made.
    pub(super) last_write: Instant,
    /// When something last moved: octets to our kernel, or acknowledgements back.
    last_progress: Instant,
}

impl Connection {
    /// Takes a channel that is ready for frames. Acknowledgements count after `after`.
    pub(super) fn new(channel: Channel, after: Duration) -> Self {
        let now = Instant::now();
        Self {
            channel,
            octets: Vec::new(),
            taken: 0,
            under_way: None,
            ledger: Ledger::new(after),
            life: Life::Open,
            failure: None,
            sound: false,
            unread: false,
            peer_ended: false,
            acknowledged: 0,
            opened: now,
            last_write: now,
            last_progress: now,
        }
    }

    /// Begins a frame that ends at `end` in the output's count; `fill` puts its octets into an empty buffer. The steps
    /// that follow push it on; the frame before must be with the kernel ([`Connection::is_free`]).
    pub(super) fn begin(&mut self, end: Offset, fill: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(self.is_free(), "one frame at a time");
        self.octets.clear();
        fill(&mut self.octets);
        (self.taken, self.under_way) = (0, Some(end));
        self.last_write = Instant::now();
        self.last_progress = self.last_write;
    }

    /// Whether the kernel has all that was begun.
    pub(super) fn is_free(&self) -> bool {
        self.under_way.is_none()
    }

    /// Pushes the frame on as far as the kernel takes it.
    fn push(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(end) = self.under_way else { return Ok(()) };
        let before = self.channel.socket().written();
        let pushed = self.poll_push(cx);
        let written = self.channel.socket().written();
        if written > before {
            self.last_progress = Instant::now();
        }
        match pushed {
            Poll::Ready(Ok(())) => {
                self.under_way = None;
                self.last_write = Instant::now();
                self.ledger.mark(written, end);
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(self.reason(cx, error)),
            Poll::Pending if self.last_progress.elapsed() >= STALL => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the receiver takes nothing"))
            }
            Poll::Pending => Ok(()),
        }
    }

    /// Ready when the kernel has every octet.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.octets.len() {
            match ready!(self.channel.io().poll_write(cx, &self.octets[self.taken..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.taken += count,
            }
        }
        self.channel.io().poll_flush(cx)
    }

    /// Reads what came, pushes on, goes on with ending, takes a sample and looks whether the connection is still sound. Never
    /// waits; what waits registers the waker, but for acknowledgements and time, which have none.
    pub(super) fn step(&mut self, cx: &mut Context<'_>) {
        if matches!(self.life, Life::Done | Life::Failed) {
            return;
        }
        (self.sound, self.unread) = (false, false);
        if let Err(error) = self.try_step(cx) {
            self.life = Life::Failed;
            self.failure = Some(error);
        }
    }

    /// One step; an error is the end of the connection.
    fn try_step(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.drain(cx)?;
        // The sample comes first: what it says holds only if the look that follows finds nothing wrong.
        self.sample();
        let unacknowledged = self.channel.socket().unacknowledged();
        let read_side = self.channel.socket().look()?;
        let ours_first = self.life == Life::Ended;
        if (self.peer_ended || read_side == ReadSide::Ended) && !ours_first {
            return Err(ended_first());
        }
        self.push(cx)?;
        match read_side {
            ReadSide::Waiting => self.unread = true,
            ReadSide::Quiet => {
                self.sound = !self.peer_ended;
                if self.life == Life::Ending && self.is_free() && self.channel.io().poll_shutdown(cx)?.is_ready() {
                    self.life = Life::Ended;
                }
            }
            // Octets that cross the peer's FIN on the way meet a closed socket and are answered by a reset, so the FIN
            // counts only when everything before it, ours included, was acknowledged.
            ReadSide::Ended if unacknowledged.unwrap_or(0) == 0 => self.life = Life::Done,
            ReadSide::Ended => {}
        }
        if matches!(self.life, Life::Ending | Life::Ended) && self.last_progress.elapsed() > LINGER {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the receiver did not end the connection"));
        }
        Ok(())
    }

    /// Reads and drops what the peer says; a TLS alert and a lost connection are errors.
    fn drain(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.peer_ended {
            self.peer_ended = read_off(self.channel.io(), cx)?;
        }
        if self.peer_ended
            && let Channel::Tls(tls) = &mut self.channel
        {
            // Behind the TLS notice only the FIN matters, and TLS does not read on.
            read_off(Pin::new(tls.get_mut().0), cx)?;
        }
        Ok(())
    }

    /// Writes down what is acknowledged now.
    fn sample(&mut self) {
        if let Some(acknowledged) = self.channel.socket().acknowledged() {
            let now = Instant::now();
            self.ledger.sample(now, acknowledged);
            if acknowledged > self.acknowledged {
                self.acknowledged = acknowledged;
                self.last_progress = now;
            }
        }
    }

    /// The better of two reasons: a receiver that refuses says why in an alert, while our write sees only a reset.
    fn reason(&mut self, cx: &mut Context<'_>, error: io::Error) -> io::Error {
        match self.drain(cx) {
            Err(said) if said.kind() == io::ErrorKind::InvalidData => said,
            _ => error,
        }
    }

    /// Begins the end: what was written is flushed, then come the TLS notice and our FIN. `step` carries it out.
    pub(super) fn end(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Ending;
            self.last_progress = Instant::now();
        }
    }

    /// Confirms what counts by now, acknowledgements only if `by_acknowledgement`. Returns where the last frame ends.
    pub(super) fn confirm(&mut self, by_acknowledgement: bool) -> Option<Offset> {
        match self.life {
            Life::Done => self.ledger.confirm_all(),
            _ if by_acknowledgement && self.sound => self.ledger.confirm_aged(),
            _ => None,
        }
    }

    /// Whether every frame begun on it is confirmed.
    pub(super) fn is_settled(&self) -> bool {
        self.is_free() && self.ledger.is_settled()
    }

    /// Whether nothing more comes of it: it ended well, or it failed.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.life, Life::Done | Life::Failed)
    }

    /// Why it failed, once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Whether the system says what the peer's kernel has acknowledged.
    pub(super) fn tells_acknowledgements(&self) -> bool {
        self.channel.socket().unacknowledged().is_some()
    }

    /// Whether the last step found octets that it could not read yet.
    pub(super) fn has_unread(&self) -> bool {
        self.unread
    }

    /// Waits until the next step can read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.channel.socket().readable().await
    }

    /// Ends by a reset: the receiver shall not take half a line for a whole one.
    pub(super) fn abort(self) {
        self.channel.socket().reset_on_drop();
    }
}

/// Reads until nothing is there, at most [`READS`] times. True when the peer has said its end.
fn read_off(mut io: Pin<&mut (impl AsyncRead + ?Sized)>, cx: &mut Context<'_>) -> io::Result<bool> {
    let mut scratch = [MaybeUninit::uninit(); 4096];
    for _ in 0..READS {
        let mut buffer = ReadBuf::uninit(&mut scratch);
        match io.as_mut().poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Ok(true),
            Poll::Ready(Ok(())) => {}
            // TLS says this of a FIN without a notice before it.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
            Poll::Ready(Err(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// The peer closed before we did.
fn ended_first() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the receiver ended the connection")
}
