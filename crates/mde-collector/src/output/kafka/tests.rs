//! What only Kafka can show, over the library's own mock cluster: brokers in this process that speak the protocol.

use super::*;
use crate::config::outputs::kafka::Compression;
use crate::output::conformance::kafka::{config, records};
use crate::record::Position;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A frame of these lines.
fn frame(lines: &[String]) -> StoredFrame {
    let head = BatchHead {
        input: "acme".to_owned(),
        service: "alerts".to_owned(),
        tag: "edr.microsoft_defender.endpoint.alerts".to_owned(),
        pulled_ms: 0,
    };
    let body = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    StoredFrame { position: Position::START, head: Arc::new(head), events: lines.len() as u32, body }
}

/// A cluster with this topic of eight partitions.
fn cluster(topic: &str) -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
    let cluster = MockCluster::new(3).expect("a mock cluster");
    cluster.create_topic(topic, 8, 3).expect("a topic");
    cluster
}

#[tokio::test]
async fn the_history_of_an_entity_stays_in_one_partition_and_in_order() {
    let cluster = cluster("mde.alerts");
    let mut output = Kafka::new(config(&cluster.bootstrap_servers())).expect("valid");
    let lines: Vec<_> = (0..600).map(|n| format!("{{\"id\":\"entity-{}\",\"number\":{n}}}", n % 50)).collect();
    let written = output.write(&frame(&lines)).await.expect("written");
    assert!(written.refused.is_empty());
    assert_eq!(output.confirmed().await.expect("sound").through, written.end);
    let mut partitions: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in records(&cluster.bootstrap_servers(), "mde.alerts", 8) {
        let event: serde_json::Value = serde_json::from_slice(&record.body).expect("JSON");
        let id = event["id"].as_str().expect("a text").to_owned();
        assert_eq!(record.key.as_deref(), Some(id.as_bytes()));
        partitions.entry(id.clone()).or_default().insert(record.partition);
        numbers.entry(id).or_default().push(event["number"].as_u64().expect("a number"));
    }
    assert_eq!(numbers.len(), 50);
    assert!(partitions.values().all(|found| found.len() == 1), "one partition for each entity");
    assert!(partitions.values().flatten().collect::<BTreeSet<_>>().len() > 1, "and several for all");
    assert!(numbers.values().all(|numbers| numbers.len() == 12 && numbers.is_sorted()), "each once, in order");
}

#[tokio::test]
async fn an_event_without_an_entity_is_keyed_by_its_own_id() {
    let cluster = cluster("mde.alerts");
    let mut output = Kafka::new(config(&cluster.bootstrap_servers())).expect("valid");
    let id = "00112233445566778899aabbccddeeff";
    output.write(&frame(&[format!("{{\"a\":1,\"@event_id\":\"{id}\"}}"), "{}".to_owned()])).await.expect("written");
    let mut keys: Vec<_> = records(&cluster.bootstrap_servers(), "mde.alerts", 8).into_iter().map(|r| r.key).collect();
    keys.sort();
    assert_eq!(keys, [None, Some(id.as_bytes().to_vec())]);
}

#[tokio::test]
async fn faults_that_pass_are_outlived_without_a_double_and_in_order() {
    use RDKafkaRespErr as Fault;
    let cluster = cluster("mde.alerts");
    let faults = [
        Fault::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Fault::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Fault::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &faults);
    let mut output =
        Kafka::new(config::Kafka { record_key: RecordKey::Stream, ..config(&cluster.bootstrap_servers()) })
            .expect("valid");
    for part in 0..5 {
        let lines: Vec<_> = (0..200).map(|n| format!("{{\"number\":{}}}", part * 200 + n)).collect();
        output.write(&frame(&lines)).await.expect("written");
    }
    let bodies: Vec<_> = records(&cluster.bootstrap_servers(), "mde.alerts", 8).into_iter().map(|r| r.body).collect();
    let wanted: Vec<_> = (0..1_000).map(|n| format!("{{\"number\":{n}}}").into_bytes()).collect();
    assert!(bodies == wanted, "{} records", bodies.len());
}

#[tokio::test]
async fn an_event_over_the_bound_is_refused_alone_and_the_rest_arrives() {
    let cluster = cluster("mde.alerts");
    let config = config::Kafka {
        max_message_bytes: 2_000,
        compression: Compression::None,
        ..config(&cluster.bootstrap_servers())
    };
    let mut output = Kafka::new(config).expect("valid");
    let lines = ["{\"a\":1}".to_owned(), format!("{{\"a\":\"{}\"}}", "x".repeat(3_000)), "{\"a\":2}".to_owned()];
    let written = output.write(&frame(&lines)).await.expect("written");
    assert_eq!(written.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [1]);
    assert_eq!(records(&cluster.bootstrap_servers(), "mde.alerts", 8).len(), 2);
}

#[tokio::test]
async fn what_the_broker_finds_too_large_is_refused_alone_and_the_rest_arrives() {
    use RDKafkaRespErr as Fault;
    let cluster = cluster("mde.alerts");
    // The batch, then one event of it alone.
    let faults = [Fault::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2];
    cluster.request_errors(RDKafkaApiKey::Produce, &faults);
    let config = config::Kafka { record_key: RecordKey::Stream, ..config(&cluster.bootstrap_servers()) };
    let mut output = Kafka::new(config).expect("valid");
    let lines: Vec<_> = (0..3).map(|n| format!("{{\"number\":{n}}}")).collect();
    let written = output.write(&frame(&lines)).await.expect("written");
    assert_eq!(written.refused.len(), 1);
    assert_eq!(records(&cluster.bootstrap_servers(), "mde.alerts", 8).len(), 2);
}

#[tokio::test]
async fn a_right_that_is_missing_needs_a_person() {
    let cluster = cluster("mde.alerts");
    let faults = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    cluster.request_errors(RDKafkaApiKey::Produce, &faults);
    let mut output = Kafka::new(config(&cluster.bootstrap_servers())).expect("valid");
    let lines = ["{\"a\":1}".to_owned()];
    let error = output.write(&frame(&lines)).await.expect_err("refused");
    assert_eq!(error.class, ErrorClass::Denied);
    // And it goes on once the right is there.
    output.reset().await;
    output.write(&frame(&lines)).await.expect("written");
}

#[tokio::test]
async fn brokers_that_are_gone_are_told_and_pass() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    drop(taken);
    let mut output = Kafka::new(config(&address)).expect("valid");
    let error = output.write(&frame(&["{}".to_owned()])).await.expect_err("nobody is there");
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.to_string().starts_with("send to the topic"), "{error}");
    let error = output.check().await.expect_err("nobody is there");
    assert_eq!(error.class, ErrorClass::Transient);
}

#[tokio::test]
async fn a_password_never_shows_in_an_error() {
    let sasl =
        config::Sasl { mechanism: "PLAIN", user: "u".to_owned(), password: crate::config::Secret::new("hunter2\0") };
    let config = config::Kafka { sasl: Some(sasl), ..config("127.0.0.1:1") };
    let Err(error) = Kafka::new(config).expect("valid").open().await else { return };
    let mut told = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        told += &inner.to_string();
        cause = inner.source();
    }
    assert!(!told.contains("hunter2"), "{told}");
}
