//! One connection from accept to end.

use super::decode::Decoder;
use super::syslog::{Event, parse};
use super::{After, Arrived, Behaviour, End, Record, Shared, Unreadable};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Octets read at a time.
const READ: usize = 64 * 1024;

/// Lines that are no events and are kept when memory must stay constant.
const KEPT_UNREADABLE: usize = 100;

/// A socket with or without TLS.
trait Channel: AsyncRead + AsyncWrite + Unpin {
    /// The socket itself.
    fn socket(&self) -> &TcpStream;
}

impl Channel for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Channel for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Holds a connection to its end and writes down how it ended.
pub(super) async fn hold(socket: TcpStream, peer: SocketAddr, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let (number, behaviour) = shared.change(|state| {
        let number = state.connections.len();
        state.connections.push(Arrived {
            number,
            peer,
            octets: 0,
            raw: Vec::new(),
            events: 0,
            client_certificate: false,
            torn: false,
            end: End::Open,
        });
        (number, state.script.pop_front().unwrap_or_else(|| state.behaviour.clone()))
    });
    let conversation = Conversation {
        shared: &shared,
        number,
        behaviour,
        decoder: Decoder::default(),
        octets: 0,
        events: 0,
        closed: false,
    };
    let end = match acceptor {
        None => conversation.run(socket).await,
        Some(acceptor) => match acceptor.accept(socket).await {
            Err(error) => End::Handshake(error.to_string()),
            Ok(channel) => {
                let shown =
                    channel.get_ref().1.peer_certificates().is_some_and(|certificates| !certificates.is_empty());
                shared.change(|state| state.connections[number].client_certificate = shown);
                conversation.run(channel).await
            }
        },
    };
    shared.change(|state| state.connections[number].end = end);
}

/// A connection being held.
struct Conversation<'a> {
    /// Where it is written down.
    shared: &'a Shared,
    /// Its number.
    number: usize,
    /// How it behaves.
    behaviour: Behaviour,
    /// Its octets as lines.
    decoder: Decoder,
    /// Octets read, forgotten ones included.
    octets: u64,
    /// Events read, forgotten ones included.
    events: u64,
    /// Whether our FIN is out.
    closed: bool,
}

impl Conversation<'_> {
    /// Reads to the end.
    async fn run(mut self, mut channel: impl Channel) -> End {
        let mut buffer = vec![0; READ];
        let mut stalled = self.shared.stalled.subscribe();
        loop {
            if self.behaviour.reset_after.is_some_and(|place| self.reached(place)) {
                // Without linger, closing throws away what is unread and sends RST.
                return channel
                    .socket()
                    .set_zero_linger()
                    .map_or_else(|error| End::Failed(error.kind()), |()| End::Reset);
            }
            if !self.closed && self.behaviour.close_after.is_some_and(|place| self.reached(place)) {
                self.closed = true;
                if let Err(error) = channel.shutdown().await {
                    return End::Failed(error.kind());
                }
            }
            if let Some((_, pause)) =
                self.behaviour.stall.take_if(|(place, _)| reached(*place, self.octets, self.events))
            {
                tokio::time::sleep(pause).await;
            }
            // The sender of the flag lives as long as we do.
            let _ = stalled.wait_for(|stalled| !stalled).await;
            let room = self.room().min(READ);
            let read = tokio::select! {
                biased;
                _ = stalled.changed() => continue,
                () = idle(self.behaviour.idle_cut) => return End::Idle,
                read = channel.read(&mut buffer[..room]) => read,
            };
            match read {
                // A sender that ends with FIN alone, without TLS's own farewell, is what Devo's SDK does.
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    self.torn();
                    return End::Failed(error.kind());
                }
                Ok(0) | Err(_) => return self.farewell(channel).await,
                Ok(length) => {
                    if !self.take(&buffer[..length]) {
                        return End::Damaged;
                    }
                }
            }
        }
    }

    /// The other side is done: all was read, so closing now confirms it.
    async fn farewell(self, mut channel: impl Channel) -> End {
        self.torn();
        if let Some(delay) = self.behaviour.fin_delay {
            tokio::time::sleep(delay).await;
        }
        if !self.closed {
            // The other side may be gone altogether; then there is nobody to tell.
            let _ = channel.shutdown().await;
        }
        End::Fin
    }

    /// Keeps what was read; false when a member is damaged.
    fn take(&mut self, octets: &[u8]) -> bool {
        let kept = !self.behaviour.forget_after.is_some_and(|place| self.reached(place));
        let Self { shared, number, behaviour, decoder, events, .. } = self;
        let (number, record) = (*number, shared.record);
        let sound = shared.change(|state| {
            if kept {
                let connection = &mut state.connections[number];
                connection.octets += octets.len() as u64;
                if record == Record::Bodies {
                    connection.raw.extend_from_slice(octets);
                }
            }
            let fed = decoder.feed(octets, &mut |line, gzip| {
                let over = |place: Option<After>| matches!(place, Some(After::Events(limit)) if *events >= limit);
                // Behind the last event before a reset nothing counts, even when it came in the same read.
                if !kept || over(behaviour.reset_after) || over(behaviour.forget_after) {
                    *events += 1;
                    return;
                }
                *events += 1;
                match parse(line) {
                    Ok(parts) => {
                        state.connections[number].events += 1;
                        state.digest.add(parts.tag, parts.message);
                        if record == Record::Bodies {
                            state.events.push(Event {
                                connection: number,
                                gzip,
                                pri: parts.pri,
                                date: parts.date.to_owned(),
                                date_form: parts.date_form,
                                host: parts.host.to_owned(),
                                tag: parts.tag.to_owned(),
                                message: parts.message.to_owned(),
                            });
                        }
                    }
                    Err(reason) => {
                        let line = if record == Record::Bodies { line.to_vec() } else { Vec::new() };
                        if record == Record::Bodies || state.unreadable.len() < KEPT_UNREADABLE {
                            state.unreadable.push(Unreadable { connection: number, line, reason });
                        }
                    }
                }
            });
            fed.is_ok()
        });
        self.octets += octets.len() as u64;
        sound
    }

    /// Writes down whether the stream ended inside an event.
    fn torn(&self) {
        let torn = !self.decoder.at_boundary();
        self.shared.change(|state| state.connections[self.number].torn = torn);
    }

    /// Whether the connection has come to this place.
    fn reached(&self, place: After) -> bool {
        reached(place, self.octets, self.events)
    }

    /// Octets that may be read before something is to happen, so that it happens at exactly that octet.
    fn room(&self) -> usize {
        let Behaviour { reset_after, close_after, forget_after, stall, .. } = &self.behaviour;
        let places = [*reset_after, *close_after, *forget_after, stall.map(|(place, _)| place)];
        let rooms = places.into_iter().flatten().filter_map(|place| match place {
            After::Octets(limit) => limit.checked_sub(self.octets).filter(|room| *room > 0),
            After::Events(_) => None,
        });
        rooms.min().map_or(usize::MAX, |room| usize::try_from(room).unwrap_or(usize::MAX))
    }
}

/// Whether so many octets and events are at or behind the place.
fn reached(place: After, octets: u64, events: u64) -> bool {
    match place {
        After::Octets(limit) => octets >= limit,
        After::Events(limit) => events >= limit,
    }
}

/// Ends after the time, or never.
async fn idle(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
