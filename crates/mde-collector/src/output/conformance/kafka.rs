//! The Kafka output over the library's mock cluster, and what lies in it.

use super::Subject;
use super::ship::{Event, events_of};
use crate::config::OutputConfig;
use crate::config::outputs::kafka::{Compression, Kafka, RecordKey};
use crate::output::{Output, build};
use async_trait::async_trait;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::mpsc;
use std::time::Duration;

/// Topic of the events of the suite.
const TOPIC: &str = "mde.alerts";
/// Its partitions.
const PARTITIONS: i32 = 4;

/// A record as it lies in a topic.
pub(crate) struct Record {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub body: Vec<u8>,
}

/// A configuration for brokers at these addresses.
pub(crate) fn config(brokers: &str) -> Kafka {
    Kafka {
        brokers: vec![brokers.to_owned()],
        topic: "mde.{service}".to_owned(),
        record_key: RecordKey::Entity,
        tls: None,
        sasl: None,
        compression: Compression::Lz4,
        in_flight: 2_000,
        delivery_timeout: Duration::from_secs(30),
        max_message_bytes: 1_000_000,
    }
}

/// All records of a topic, each partition in its own order.
pub(crate) fn records(brokers: &str, topic: &str, partitions: i32) -> Vec<Record> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("group.id", "test").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = settings.create().expect("valid");
    let mut records = Vec::new();
    for partition in 0..partitions {
        let (_, end) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(60)).expect("it answers");
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset(topic, partition, Offset::Beginning).expect("sound");
        consumer.assign(&wanted).expect("sound");
        let mut next = 0;
        while next < end {
            let message = consumer.poll(Duration::from_secs(60)).expect("it is there").expect("a record");
            next = message.offset() + 1;
            let body = message.payload().expect("a body").to_vec();
            records.push(Record { partition, key: message.key().map(<[u8]>::to_vec), body });
        }
    }
    records
}

/// A topic of a cluster of its own. The cluster lives on a thread of its own: its handle must not be shared.
pub(crate) struct KafkaSubject {
    brokers: String,
    /// The cluster ends when it is dropped.
    _lives: mpsc::Sender<()>,
}

impl KafkaSubject {
    pub fn new() -> Self {
        let (told, brokers) = mpsc::channel();
        let (lives, ends) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let cluster = MockCluster::new(3).expect("a mock cluster");
            cluster.create_topic(TOPIC, PARTITIONS, 3).expect("a topic");
            told.send(cluster.bootstrap_servers()).expect("somebody waits");
            // Nothing is sent: this ends when the subject does.
            let _ = ends.recv();
        });
        Self { brokers: brokers.recv().expect("a cluster"), _lives: lives }
    }
}

#[async_trait]
impl Subject for KafkaSubject {
    fn build(&self, memory: Option<&str>) -> Box<dyn Output> {
        let config = Kafka { record_key: RecordKey::Stream, ..config(&self.brokers) };
        build(&OutputConfig::Kafka(config), memory).expect("valid")
    }

    fn received(&self) -> Vec<Event> {
        let records = records(&self.brokers, TOPIC, PARTITIONS);
        records.iter().flat_map(|record| events_of(&[&record.body[..], b"\n"].concat())).collect()
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn exactly_once(&self) -> bool {
        false
    }

    fn confirmed_means_read(&self) -> bool {
        // It is so, and looking at every step would read the whole topic each time.
        false
    }
}
