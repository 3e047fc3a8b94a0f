//! NATS with JetStream: one event a message, acknowledged by the server once its stream has it.
//!
//! A frame is published message by message, a bounded number ahead of the acknowledgements, and is written when all of
//! them have come; so what is written is confirmed, and the next frame begins behind it. `Nats-Msg-Id` is the `@event_id`:
//! what is handed again after an error or a kill is dropped by the server, as long as its stream remembers it.

mod connection;

use super::event::{Event, events, push_word};
use super::expiry::Expiry;
use super::template::Template;
use super::witness::Witness;
use super::{Confirmed, Offset, Output, OutputError, Refused, Written, tls};
use crate::config::outputs::nats as config;
use crate::record::{ErrorClass, StoredFrame};
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::subject::Subject;
use async_trait::async_trait;
use bytes::Bytes;
use connection::Connection;
use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

/// A stream of a NATS server.
pub(super) struct Nats {
    /// What was configured.
    config: config::Nats,
    /// The subject of each message.
    subject: Template,
    /// The connection, where there is one.
    connection: Option<Connection>,
    /// Sees the certificates of servers.
    witness: Witness,
    /// What the last check saw of certificates in our files.
    expiries: Vec<Expiry>,
    /// Everything written, which is everything confirmed.
    written: Offset,
}

impl Nats {
    /// An output without a connection.
    pub(super) fn new(config: config::Nats) -> Result<Self, OutputError> {
        let subject = Template::parse(&config.subject)
            .map_err(|cause| OutputError::new(ErrorClass::Fatal, "read the subject", cause))?;
        let witness = Witness::new(connection::target(&config));
        Ok(Self { config, subject, connection: None, witness, expiries: Vec::new(), written: Offset(0) })
    }

    /// Publishes every event of a frame and waits for all acknowledgements. Gives what is refused for good.
    async fn publish(&mut self, frame: &StoredFrame) -> Result<Vec<Refused>, OutputError> {
        let subject = self.subject.fill(&frame.head, push_word);
        let sound = self.connection.take().filter(|connection| connection.trouble().is_none());
        let connection = match sound {
            Some(connection) => connection,
            None => Connection::open(&self.config, &self.witness).await?,
        };
        let publisher = Publisher {
            connection: &connection,
            subject: Subject::from(subject.as_str()),
            in_flight: self.config.in_flight,
            under_way: VecDeque::new(),
            refused: Vec::new(),
        };
        // A connection with which something is wrong is not put back.
        let refused = publisher.publish(frame).await?;
        self.connection = Some(connection);
        Ok(refused)
    }
}

/// One frame being published.
struct Publisher<'c> {
    /// Where to.
    connection: &'c Connection,
    /// The subject of its messages.
    subject: Subject,
    /// Messages under way at most.
    in_flight: usize,
    /// Line and acknowledgement to come, in the order of sending.
    under_way: VecDeque<(u32, PublishAckFuture)>,
    /// What is refused for good.
    refused: Vec<Refused>,
}

impl Publisher<'_> {
    /// Publishes every event and waits for all acknowledgements.
    async fn publish(mut self, frame: &StoredFrame) -> Result<Vec<Refused>, OutputError> {
        for event in events(frame) {
            if self.under_way.len() >= self.in_flight {
                self.settle_first().await?;
            }
            let sending = self.connection.context.send_publish(self.subject.clone(), message(event));
            match self.unless_trouble(sending).await? {
                Ok(acknowledgement) => self.under_way.push_back((event.line, acknowledgement)),
                Err(error) => self.judge(event.line, &error)?,
            }
        }
        while !self.under_way.is_empty() {
            self.settle_first().await?;
        }
        Ok(self.refused)
    }

    /// Waits for the oldest acknowledgement.
    async fn settle_first(&mut self) -> Result<(), OutputError> {
        let Some((line, acknowledgement)) = self.under_way.pop_front() else { return Ok(()) };
        match self.unless_trouble(acknowledgement.into_future()).await? {
            Ok(_) => Ok(()),
            Err(error) => self.judge(line, &error),
        }
    }

    /// What an action gives, unless the connection fails first.
    async fn unless_trouble<T>(&self, action: impl Future<Output = T>) -> Result<T, OutputError> {
        tokio::select! {
            biased;
            done = action => Ok(done),
            trouble = self.connection.until_trouble() => Err(trouble.during(self.action())),
        }
    }

    /// Notes a message that is refused for good; everything else is an error.
    fn judge(&mut self, line: u32, error: &PublishError) -> Result<(), OutputError> {
        // A server that cuts the connection, or denies the subject, says why on another way.
        if let Some(trouble) = self.connection.trouble() {
            return Err(trouble.during(self.action()));
        }
        match fate(error) {
            Ok(reason) => {
                self.refused.push(Refused { line, reason: reason.to_owned() });
                Ok(())
            }
            Err((class, what)) => Err(OutputError::new(class, format!("{}: {what}", self.action()), error.to_string())),
        }
    }

    /// What is being done, for messages.
    fn action(&self) -> String {
        format!("publish to the subject {}", self.subject)
    }
}

/// A message of an event.
fn message(event: Event<'_>) -> PublishMessage {
    let message = PublishMessage::build().payload(Bytes::copy_from_slice(event.body));
    match event.id() {
        Some(id) => message.message_id(id),
        None => message,
    }
}

/// Why one message will never be taken; else what keeps all of them from it, and what happens next.
fn fate(error: &PublishError) -> Result<&'static str, (ErrorClass, &'static str)> {
    let said = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    match (error.kind(), said.map(jetstream::Error::error_code)) {
        (PublishErrorKind::MaxPayloadExceeded, _) => Ok("it is larger than the server's max_payload"),
        (_, Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)) => Ok("it is larger than the stream's max_msg_size"),
        (PublishErrorKind::StreamNotFound, _) => Err((ErrorClass::Denied, "no JetStream stream takes it")),
        (_, Some(ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT)) => {
            Err((ErrorClass::Denied, "JetStream is switched off there"))
        }
        (PublishErrorKind::TimedOut, _) => Err((ErrorClass::Transient, "no acknowledgement came in time")),
        // A full stream, a disk, a cluster that looks for its leader: it passes, or a person makes room.
        _ => Err((ErrorClass::Transient, "the stream does not take it now")),
    }
}

#[async_trait]
impl Output for Nats {
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        let refused = self.publish(frame).await?;
        self.written.0 += frame.body.len() as u64;
        Ok(Written { end: self.written, refused })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        // Nothing is under way between two frames, so a connection that was lost meanwhile is nobody's loss.
        self.connection.take_if(|connection| connection.trouble().is_some());
        Ok(Confirmed { through: self.written, memory: None })
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        let prepared = tls::expiries(&self.config.tls).await;
        let action = || connection::prepare(&self.config);
        self.expiries = prepared.map_err(|cause| OutputError::new(ErrorClass::Denied, action(), cause))?;
        // Connecting ends with the server's answer to our login.
        Connection::open(&self.config, &self.witness).await.map(drop)
    }

    fn notes(&self, now_ms: i64) -> Vec<String> {
        let shown = self.witness.expiries();
        let tls = (!shown.is_empty()).then_some(&self.config.tls);
        let expiries = [&self.expiries[..], &shown].concat();
        tls::notes(&expiries, tls, &connection::target(&self.config), now_ms)
    }

    async fn close(&mut self, _within: Duration) -> Result<Confirmed, OutputError> {
        self.connection = None;
        Ok(Confirmed { through: self.written, memory: None })
    }

    async fn reset(&mut self) {
        self.connection = None;
    }
}

#[cfg(test)]
mod tests;
