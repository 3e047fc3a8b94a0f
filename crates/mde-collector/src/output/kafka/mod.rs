//! Kafka, by librdkafka: one event a record, by an idempotent producer, confirmed once all replicas in sync have it.
//!
//! A frame is sent record by record, a bounded number ahead of the delivery reports, and is written when all of them have
//! come; so what is written is confirmed, and the next frame begins behind it. Within the life of a producer the broker
//! drops doubles and keeps the order; what is handed again to a new producer, after an error or a kill, may come twice, and
//! `@event_id` tells.

mod look;
mod producer;
#[cfg(test)]
mod tests;

use super::event::{Event, events, push_word};
use super::expiry::Expiry;
use super::template::Template;
use super::{Confirmed, Offset, Output, OutputError, Refused, Written, tls};
use crate::config::outputs::kafka as config;
use crate::config::outputs::kafka::RecordKey;
use crate::record::{BatchHead, ErrorClass, StoredFrame};
use async_trait::async_trait;
use producer::{Producer, Trouble, needs_a_person};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureRecord};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Topics of a Kafka cluster.
pub(super) struct Kafka {
    /// What was configured.
    config: config::Kafka,
    /// The topic of each record.
    topic: Template,
    /// The producer, where there is one.
    producer: Option<Producer>,
    /// What the last check saw of certificates.
    expiries: Vec<Expiry>,
    /// Everything written, which is everything confirmed.
    written: Offset,
}

impl Kafka {
    /// An output without a producer.
    pub(super) fn new(config: config::Kafka) -> Result<Self, OutputError> {
        let topic = Template::parse(&config.topic)
            .map_err(|cause| OutputError::new(ErrorClass::Fatal, "read the topic", cause))?;
        Ok(Self { config, topic, producer: None, expiries: Vec::new(), written: Offset(0) })
    }

    /// Makes a producer.
    async fn open(&self) -> Result<Producer, OutputError> {
        let config = self.config.clone();
        spawn_blocking(move || Producer::new(&config))
            .await
            .map_err(|cause| OutputError::new(ErrorClass::Transient, "set up the Kafka producer", cause))?
    }

    /// Ends the producer, if there is one, and what it has under way.
    async fn end(&mut self) {
        if let Some(producer) = self.producer.take() {
            // A thread that breaks leaves nothing to be done.
            let _ = spawn_blocking(|| producer.end()).await;
        }
    }
}

/// One frame being sent.
struct Sender<'p> {
    /// Where to.
    producer: &'p Producer,
    /// The topic of its records.
    topic: String,
    /// What decides on the partition.
    key: RecordKey,
    /// What its events have in common.
    head: &'p BatchHead,
    /// Records under way at most.
    in_flight: usize,
    /// What is under way, in the order of sending.
    under_way: VecDeque<(Event<'p>, DeliveryFuture)>,
    /// What the broker finds too large; a whole batch of records is told so for the sake of one of them.
    large: Vec<Event<'p>>,
    /// What is refused for good.
    refused: Vec<Refused>,
}

impl<'p> Sender<'p> {
    /// Sends every event and waits for all delivery reports.
    async fn send(mut self, frame: &'p StoredFrame) -> Result<Vec<Refused>, OutputError> {
        for event in events(frame) {
            if self.under_way.len() >= self.in_flight {
                self.settle_first().await?;
            }
            self.enqueue(event)?;
        }
        self.settle().await?;
        // Alone in its batch, each of them is judged by its own size.
        for event in std::mem::take(&mut self.large) {
            self.enqueue(event)?;
            self.settle().await?;
            if self.large.pop().is_some() {
                self.refuse(event, "it is larger than the topic's max.message.bytes");
            }
        }
        Ok(self.refused)
    }

    /// Hands one record to the library.
    fn enqueue(&mut self, event: Event<'p>) -> Result<(), OutputError> {
        let key = match self.key {
            RecordKey::Stream => Some(format!("{}/{}", self.head.input, self.head.service)),
            RecordKey::Entity => event.entity().or_else(|| event.id().map(str::to_owned)),
        };
        let record = FutureRecord { key: key.as_ref(), ..FutureRecord::to(&self.topic).payload(event.body) };
        match self.producer.inner.send_result(record) {
            Ok(report) => self.under_way.push_back((event, report)),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                self.refuse(event, "it is larger than max_message_bytes");
            }
            Err((error, _)) => return Err(self.failed(&error)),
        }
        Ok(())
    }

    /// Waits for all delivery reports.
    async fn settle(&mut self) -> Result<(), OutputError> {
        while !self.under_way.is_empty() {
            self.settle_first().await?;
        }
        Ok(())
    }

    /// Waits for the oldest delivery report.
    async fn settle_first(&mut self) -> Result<(), OutputError> {
        let Some((event, report)) = self.under_way.pop_front() else { return Ok(()) };
        let report = tokio::select! {
            biased;
            report = report => report,
            trouble = self.producer.until_trouble() => return Err(self.troubled(trouble)),
        };
        match report {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _))) => {
                self.large.push(event);
                Ok(())
            }
            Ok(Err((error, _))) => Err(self.failed(&error)),
            Err(_) => Err(self.failed(&KafkaError::Canceled)),
        }
    }

    /// Notes an event that is refused for good.
    fn refuse(&mut self, event: Event<'_>, reason: &str) {
        self.refused.push(Refused { line: event.line, reason: reason.to_owned() });
    }

    /// The error of a record; what the library has said of the whole tells more.
    fn failed(&self, error: &KafkaError) -> OutputError {
        if let Some(trouble) = self.producer.trouble() {
            return self.troubled(trouble);
        }
        let denied = error.rdkafka_error_code().is_some_and(needs_a_person);
        let class = if denied { ErrorClass::Denied } else { ErrorClass::Transient };
        OutputError::new(class, self.action(), error.clone())
    }

    /// The error of the whole.
    fn troubled(&self, trouble: Trouble) -> OutputError {
        OutputError::new(trouble.class, self.action(), trouble)
    }

    /// What is being done, for messages.
    fn action(&self) -> String {
        format!("send to the topic {}", self.topic)
    }
}

#[async_trait]
impl Output for Kafka {
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.open().await?,
        };
        // Kept also where the write is cancelled, so that `reset` can end it.
        let producer = self.producer.insert(producer);
        let sender = Sender {
            producer,
            topic: self.topic.fill(&frame.head, push_word),
            key: self.config.record_key,
            head: &frame.head,
            in_flight: self.config.in_flight,
            under_way: VecDeque::new(),
            large: Vec::new(),
            refused: Vec::new(),
        };
        let refused = sender.send(frame).await?;
        self.written.0 += frame.body.len() as u64;
        Ok(Written { end: self.written, refused })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        // Nothing is under way between two frames, so a producer that has failed meanwhile is nobody's loss.
        if self.producer.as_ref().is_some_and(|producer| producer.trouble().is_some()) {
            self.end().await;
        }
        Ok(Confirmed { through: self.written, memory: None })
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        let producer = self.open().await?;
        let asked = spawn_blocking(move || {
            let answer = producer.ask();
            let trouble = producer.trouble();
            producer.end();
            (answer, trouble)
        });
        let action = || format!("reach {}", look::target(&self.config.brokers));
        match asked.await {
            Ok((Ok(()), _)) => {}
            Ok((Err(_), Some(trouble))) => return Err(OutputError::new(trouble.class, action(), trouble)),
            Ok((Err(error), None)) => return Err(OutputError::new(ErrorClass::Transient, action(), error)),
            Err(cause) => return Err(OutputError::new(ErrorClass::Transient, action(), cause)),
        }
        self.expiries = match &self.config.tls {
            Some(tls) => look::certificates(&self.config.brokers, tls).await?,
            None => Vec::new(),
        };
        Ok(())
    }

    fn notes(&self, now_ms: i64) -> Vec<String> {
        tls::notes(&self.expiries, self.config.tls.as_ref(), &look::target(&self.config.brokers), now_ms)
    }

    async fn close(&mut self, _within: Duration) -> Result<Confirmed, OutputError> {
        self.end().await;
        Ok(Confirmed { through: self.written, memory: None })
    }

    async fn reset(&mut self) {
        self.end().await;
    }
}
