//! Devo's syslog channel, over TLS or plain TCP: the platform itself, a relay, or any receiver of syslog.
//!
//! The channel has no acknowledgement of its own. What counts as delivered is said in [`connection`]; what does not is
//! reported as one error when a connection ends, and handed again by the caller.
//!
//! Frames go to one connection, the *current* one. It is half-closed when it has rested too long, since balancers cut
//! resting connections without a word, and every [`HANDOVER`] where only the peer's FIN counts. Then it is *ending*: it
//! is watched beside its successor until the peer's FIN. Confirmation walks the connections oldest first, so what is
//! confirmed is always a prefix of what was written.

mod connection;
mod header;
mod ledger;
mod socket;

use super::tls::{self, tls_error};
use super::{Confirmed, Offset, Output, OutputError, Written};
use crate::config::outputs::devo as config;
use crate::config::outputs::devo::Confirm;
use crate::record::{ErrorClass, StoredFrame};
use async_trait::async_trait;
use connection::{Channel, Connection};
use rustls::AlertDescription;
use socket::Socket;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

/// Age at which a connection hands over to a new one, where only the peer's FIN counts. Source: design, "Delivery".
const HANDOVER: Duration = Duration::from_secs(60);

/// Connections that may be ending at once; while there are so many no other one is ended, which bounds memory and
/// sockets towards a receiver that does not end its side.
const MAX_ENDING: usize = 4;

/// How long `check` listens for a refusal: under TLS 1.3 a client certificate is judged after our handshake is over.
const VERDICT: Duration = Duration::from_millis(500);

/// Time between two looks at acknowledgements and time while `close` waits; they wake nobody.
const TICK: Duration = Duration::from_millis(50);

/// A syslog receiver.
pub(super) struct Devo {
    /// What was configured.
    config: config::Devo,
    /// HOST of the header.
    host: String,
    /// The frame in the form of the wire; kept for its capacity.
    wire: Vec<u8>,
    /// Everything written.
    handed: Offset,
    /// Everything confirmed.
    through: Offset,
    /// Takes the frames.
    current: Option<Connection>,
    /// Half-closed, oldest first.
    ending: VecDeque<Connection>,
    /// A write was cancelled or failed in the middle of a frame.
    torn: bool,
    /// Acknowledgements count; else only the peer's FIN does.
    by_acknowledgement: bool,
    /// Age at which an acknowledgement counts.
    after: Duration,
}

impl Devo {
    /// An output without a connection.
    pub(super) fn new(config: config::Devo) -> Self {
        let (by_acknowledgement, after) = match config.confirm {
            Confirm::Acked { after } => (true, after),
            Confirm::Closed => (false, Duration::ZERO),
        };
        Self {
            host: header::host(config.hostname.as_deref()),
            config,
            wire: Vec::new(),
            handed: Offset(0),
            through: Offset(0),
            current: None,
            ending: VecDeque::new(),
            torn: false,
            by_acknowledgement,
            after,
        }
    }

    /// `kind address:port`, for messages.
    fn target(&self) -> String {
        format!("{} {}:{}", self.config.kind, self.config.address, self.config.port)
    }

    /// A new connection, handshake included, within the time configured.
    async fn connect(&self) -> Result<Connection, OutputError> {
        let started = Instant::now();
        match timeout(self.config.connect_timeout, self.connect_unhurried(started)).await {
            Ok(connected) => connected,
            Err(elapsed) => {
                Err(OutputError::new(ErrorClass::Transient, format!("connect to {}", self.target()), elapsed))
            }
        }
    }

    /// A new connection, handshake included.
    async fn connect_unhurried(&self, started: Instant) -> Result<Connection, OutputError> {
        let unreachable =
            |cause| OutputError::new(ErrorClass::Transient, format!("connect to {}", self.target()), cause);
        let unprepared =
            |cause| OutputError::new(ErrorClass::Denied, format!("prepare TLS for {}", self.target()), cause);
        let address = self.config.address.trim_start_matches('[').trim_end_matches(']');
        let Some(tls) = &self.config.tls else {
            let socket = open(address, self.config.port, started + self.config.connect_timeout).await;
            return Ok(Connection::new(Channel::Plain(socket.map_err(unreachable)?), self.after));
        };
        let name = tls::server_name(address).map_err(unprepared)?;
        let connector = tls::connector(tls).await.map_err(unprepared)?;
        let socket =
            open(address, self.config.port, started + self.config.connect_timeout).await.map_err(unreachable)?;
        match connector.connect(name, socket).await {
            Ok(stream) => Ok(Connection::new(Channel::Tls(Box::new(stream)), self.after)),
            Err(cause) => {
                let class = if tls_error(&cause).is_some() { ErrorClass::Denied } else { ErrorClass::Transient };
                Err(OutputError::new(class, format!("agree on TLS with {}", self.target()), cause))
            }
        }
    }

    /// Moves every connection on, as far as goes without waiting, and confirms what counts.
    fn step(&mut self, cx: &mut Context<'_>) {
        for connection in self.ending.iter_mut().chain(&mut self.current) {
            connection.step(cx);
        }
        for connection in self.ending.iter_mut().chain(&mut self.current) {
            if let Some(end) = connection.confirm(self.by_acknowledgement) {
                self.through = end;
            }
            if !connection.is_settled() {
                break;
            }
        }
        self.ending.retain(|connection| !(connection.is_settled() && connection.is_over()));
        // Cut while nothing was under way on it: the next write makes a new one, and nobody needs to know.
        self.current.take_if(|connection| connection.is_settled() && connection.is_over());
    }

    /// One step now.
    async fn step_once(&mut self) {
        poll_fn(|cx| {
            self.step(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Steps until the current connection has nothing unread: a receiver's last word is heard before the next write.
    async fn step_until_heard(&mut self) {
        /// A receiver that talks without end is not waited for.
        const PATIENCE: usize = 16;
        for _ in 0..PATIENCE {
            self.step_once().await;
            match &self.current {
                Some(connection) if connection.has_unread() => {
                    // An error is seen by the next step as well.
                    let _ = connection.readable().await;
                }
                _ => break,
            }
        }
    }

    /// Half-closes the current connection when it has rested or lived long enough.
    fn retire(&mut self) {
        let only_fin = !self.by_acknowledgement;
        let due = self.current.as_ref().is_some_and(|current| {
            let rested = current.last_write.elapsed() >= self.config.idle;
            rested || (only_fin && !current.is_settled() && current.opened.elapsed() >= HANDOVER)
        });
        if due && self.ending.len() < MAX_ENDING {
            self.end_current();
        }
    }

    /// Half-closes the current connection.
    fn end_current(&mut self) {
        if let Some(mut connection) = self.current.take() {
            connection.end();
            self.ending.push_back(connection);
        }
    }

    /// The error of a connection that failed with frames unconfirmed. Everything unconfirmed is given up with it.
    fn failure(&mut self) -> Result<(), OutputError> {
        let failed = self.ending.iter_mut().chain(&mut self.current).find_map(Connection::take_failure);
        match failed {
            None => Ok(()),
            Some(cause) => {
                self.drop_connections();
                Err(OutputError::new(class_of(&cause), format!("deliver to {}", self.target()), cause))
            }
        }
    }

    /// Progress if there is any; else the error of a connection that failed; else the old state.
    fn outcome(&mut self, before: Offset) -> Result<Confirmed, OutputError> {
        if self.through == before {
            self.failure()?;
        }
        Ok(Confirmed { through: self.through, memory: None })
    }

    /// Drops what was not confirmed. A connection in the middle of a line is reset, so that the receiver does not take
    /// half a line for a whole one; the others end politely, since confirmed events may still wait to be read there.
    fn drop_connections(&mut self) {
        self.ending.clear();
        if let Some(connection) = self.current.take()
            && self.torn
        {
            connection.abort();
        }
        self.torn = false;
    }

    /// Refuses to go on behind a write that did not end.
    fn whole(&mut self) -> Result<(), OutputError> {
        if self.torn {
            self.drop_connections();
            let action = format!("go on with {} after a write that did not end", self.target());
            return Err(OutputError::found(ErrorClass::Transient, action));
        }
        Ok(())
    }

    /// Where the system does not tell acknowledgements, only the peer's FIN counts.
    fn without_acknowledgements(&mut self) {
        self.by_acknowledgement = false;
        tracing::warn!(
            output = self.target(),
            "this system does not tell what was acknowledged; delivery is confirmed by closing the connection each minute"
        );
    }
}

#[async_trait]
impl Output for Devo {
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        self.whole()?;
        self.step_until_heard().await;
        self.failure()?;
        self.retire();
        if self.current.is_none() {
            let connection = self.connect().await?;
            if self.by_acknowledgement && !connection.tells_acknowledgements() {
                self.without_acknowledgements();
            }
            self.current = Some(connection);
        }
        let connection = self.current.as_mut().expect("a connection was made just now where there was none");
        header::encode(frame, self.config.date, &self.host, &mut self.wire);
        let end = Offset(self.handed.0 + frame.body.len() as u64);
        self.torn = true;
        if let Err(cause) = connection.send(&self.wire, end).await {
            return Err(OutputError::new(class_of(&cause), format!("write to {}", self.target()), cause));
        }
        self.torn = false;
        self.handed = end;
        Ok(Written { end, refused: Vec::new() })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        self.whole()?;
        let before = self.through;
        self.retire();
        self.step_once().await;
        self.outcome(before)
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        let mut connection = self.connect().await?;
        let verdict = poll_fn(|cx| {
            connection.step(cx);
            if connection.is_over() { Poll::Ready(()) } else { Poll::Pending }
        });
        if timeout(VERDICT, verdict).await.is_ok()
            && let Some(cause) = connection.take_failure()
        {
            return Err(OutputError::new(class_of(&cause), format!("be accepted by {}", self.target()), cause));
        }
        connection.end();
        poll_fn(|cx| {
            connection.step(cx);
            Poll::Ready(())
        })
        .await;
        Ok(())
    }

    async fn close(&mut self, within: Duration) -> Result<Confirmed, OutputError> {
        self.whole()?;
        let (before, deadline) = (self.through, Instant::now() + within);
        self.end_current();
        loop {
            let settled = poll_fn(|cx| {
                self.step(cx);
                let over = self.ending.iter().all(|connection| connection.is_settled() || connection.is_over());
                if over { Poll::Ready(()) } else { Poll::Pending }
            });
            let now = Instant::now();
            if timeout_at(deadline.min(now + TICK), settled).await.is_ok() || now >= deadline {
                return self.outcome(before);
            }
        }
    }

    async fn reset(&mut self) {
        self.drop_connections();
    }
}

/// Connects to the first address of the name that answers; each gets its share of the time that is left.
async fn open(address: &str, port: u16, deadline: Instant) -> io::Result<Socket> {
    let mut left: Vec<_> = lookup_host((address, port)).await?.collect();
    left.reverse();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(candidate) = left.pop() {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let share = remaining / (left.len() as u32 + 1);
        match timeout(share, TcpStream::connect(candidate)).await {
            Ok(Ok(tcp)) => return Socket::new(tcp),
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}

/// A receiver that refuses our certificate says so in an alert; everything else passes.
fn class_of(error: &io::Error) -> ErrorClass {
    use AlertDescription as Alert;
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure
            | Alert::DecryptError,
        )) => ErrorClass::Denied,
        _ => ErrorClass::Transient,
    }
}

#[cfg(test)]
mod tests;
