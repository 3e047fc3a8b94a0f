//! The producer of librdkafka as this output wants it: idempotent, acknowledged by all replicas, and plain about trouble.

use crate::config::outputs::kafka::Kafka;
use crate::output::OutputError;
use crate::record::ErrorClass;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer as _, PurgeConfig};
use std::time::Duration;
use tokio::sync::watch;

/// Time for a broker's answer to a check.
const METADATA: Duration = Duration::from_secs(15);

/// A producer, and what has gone wrong with it.
pub(super) struct Producer {
    /// Sends.
    pub inner: FutureProducer<Listener>,
    /// The first trouble that the library has told.
    trouble: watch::Receiver<Option<Trouble>>,
}

/// Why a producer is of no more use.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(super) struct Trouble {
    /// What happens next.
    pub class: ErrorClass,
    /// What was said.
    text: String,
}

/// Hears what the library says beside its answers.
pub(super) struct Listener(watch::Sender<Option<Trouble>>);

impl ClientContext for Listener {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka says");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(class) = error.rdkafka_error_code().and_then(class_of_client) else {
            tracing::debug!(%error, reason, "librdkafka goes on");
            return;
        };
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(Trouble { class, text: reason.to_owned() });
            is_first
        });
    }
}

impl Producer {
    /// Makes a producer; it connects when it has something to send. Reads the certificates, so it blocks.
    pub(super) fn new(config: &Kafka) -> Result<Self, OutputError> {
        let (told, trouble) = watch::channel(None);
        let inner = settings(config).create_with_context(Listener(told)).map_err(|error| {
            let said = match error {
                // The value may be a password.
                KafkaError::ClientConfig(_, said, key, _) => format!("{key}: {said}"),
                other => other.to_string(),
            };
            OutputError::new(ErrorClass::Denied, "set up the Kafka producer", said)
        })?;
        Ok(Self { inner, trouble })
    }

    /// What has gone wrong, without waiting.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    /// Waits until something goes wrong.
    pub(super) async fn until_trouble(&self) -> Trouble {
        let mut trouble = self.trouble.clone();
        let told = trouble.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        told.unwrap_or_else(|| Trouble { class: ErrorClass::Transient, text: "the producer has ended".to_owned() })
    }

    /// Asks a broker for what it knows; blocks.
    pub(super) fn ask(&self) -> Result<(), KafkaError> {
        self.inner.client().fetch_metadata(None, METADATA).map(drop)
    }

    /// Forgets what was not acknowledged and ends; blocks until the library's threads have ended.
    pub(super) fn end(self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}

/// What the library is told.
fn settings(config: &Kafka) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("client.id", "mde-collector")
        .set("bootstrap.servers", config.brokers.join(","))
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", config.delivery_timeout.as_millis().to_string())
        .set("message.max.bytes", config.max_message_bytes.to_string())
        .set("compression.type", config.compression.word());
    let protocol = match (&config.tls, &config.sasl) {
        (None, None) => "plaintext",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), None) => "ssl",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    settings.set("security.protocol", protocol);
    if let Some(tls) = &config.tls {
        settings.set("ssl.endpoint.identification.algorithm", if tls.check_hostname { "https" } else { "none" });
        if let Some(chain) = &tls.chain {
            settings.set("ssl.ca.location", chain.to_string_lossy());
        }
        if let Some(identity) = &tls.identity {
            settings.set("ssl.certificate.location", identity.cert.to_string_lossy());
            settings.set("ssl.key.location", identity.key.to_string_lossy());
        }
    }
    if let Some(sasl) = &config.sasl {
        settings.set("sasl.mechanism", sasl.mechanism).set("sasl.username", &sasl.user);
        settings.set("sasl.password", sasl.password.expose());
    }
    settings
}

/// What an error of the client as a whole means; none where the library goes on by itself.
fn class_of_client(code: RDKafkaErrorCode) -> Option<ErrorClass> {
    match code {
        RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Fatal => Some(ErrorClass::Transient),
        code if needs_a_person(code) => Some(ErrorClass::Denied),
        _ => None,
    }
}

/// Credentials, certificates, rights, and topics that are not there.
pub(super) fn needs_a_person(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SSL
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::InvalidTopic
    )
}
