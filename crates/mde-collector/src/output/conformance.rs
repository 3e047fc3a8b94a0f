//! The suite that every output must pass: one list of claims, run for each output over its far side.
//!
//! A new output brings one [`Subject`] and one line in `conformance!` below. What only one output can show stands in
//! that output's own tests.

pub(super) mod certificates;
pub(super) mod http;
#[cfg(feature = "kafka")]
pub(super) mod kafka;
pub(super) mod nats;
pub(super) mod receiver;
pub(super) mod ship;
pub(super) mod subjects;
pub(super) mod wire;

use super::Output;
use crate::config::outputs::file::Compress;
use crate::config::outputs::http as http_config;
use crate::config::outputs::http::Preset;
use crate::output::Offset;
use async_trait::async_trait;
use futures_util::FutureExt;
use http::HttpSubject;
use nats::NatsSubject;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use ship::{Event, Shipper, frames};
use std::collections::BTreeSet;
use std::time::Duration;
use subjects::{ConsoleSubject, FileSubject, GZIP, PLAIN, StreamSubject, THREE, TLS};

/// Time that a test gives to what must happen; it is never used up unless the test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// An output under test and its far side.
#[async_trait]
pub(super) trait Subject: Sync {
    /// Makes the output, as after a start.
    fn build(&self, memory: Option<&str>) -> Box<dyn Output>;

    /// Drops the output as a kill does: whatever it has begun is over, one way or the other.
    async fn kill(&self, output: Box<dyn Output>) {
        drop(output);
    }

    /// Whole events at the far side: connections in order of arrival, each in its own order.
    fn received(&self) -> Vec<Event>;

    /// Whether nothing that was handed to the channel is still under way.
    fn is_quiet(&self) -> bool;

    /// Whether a repetition after a kill or a reset leaves no double.
    fn exactly_once(&self) -> bool;

    /// Whether what is confirmed has been read by the far side, not only taken by its kernel.
    fn confirmed_means_read(&self) -> bool;
}

/// Waits until something holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Every event of these frames is at the far side; doubles only where they are allowed.
async fn assert_arrived(subject: &impl Subject, shipper: &Shipper, doubles_allowed: bool) {
    until("the far side is quiet", || subject.is_quiet()).await;
    let received = subject.received();
    let distinct: BTreeSet<_> = received.iter().copied().collect();
    assert_eq!(distinct, shipper.events(), "lost or invented events");
    if !doubles_allowed {
        assert_eq!(received.len(), distinct.len(), "doubled events");
        assert_in_order(&received);
    }
}

/// Events of each stream come in order.
fn assert_in_order(received: &[Event]) {
    for stream in received.iter().map(|event| event.stream).collect::<BTreeSet<_>>() {
        let numbers: Vec<_> =
            received.iter().filter(|event| event.stream == stream).map(|event| event.number).collect();
        assert!(numbers.is_sorted(), "stream {stream} out of order");
    }
}

/// What is confirmed now is at the far side now.
fn assert_read(subject: &impl Subject, shipper: &Shipper) {
    if subject.confirmed_means_read() {
        let received: BTreeSet<_> = subject.received().into_iter().collect();
        assert!(shipper.confirmed_events().is_subset(&received), "confirmed before it was read");
    }
}

async fn clean_run_delivers_each_event_once_in_order(subject: &impl Subject) {
    let mut shipper = Shipper::new(frames(3, 20, 5, 40));
    let mut output = subject.build(None);
    shipper.ship(&mut *output, |shipper| assert_read(subject, shipper)).await;
    assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
    assert_arrived(subject, &shipper, false).await;
}

async fn close_confirms_everything(subject: &impl Subject) {
    let mut shipper = Shipper::new(frames(2, 30, 4, 3_000));
    let mut output = subject.build(None);
    let mut end = Offset(0);
    while shipper.write_next(&mut *output).await.expect("written") {
        assert!(shipper.handed > end, "offsets grow");
        end = shipper.handed;
    }
    let confirmed = output.close(PATIENCE).await.expect("closed");
    assert_eq!(confirmed.through, end);
    shipper.take(confirmed);
    assert_read(subject, &shipper);
    assert_arrived(subject, &shipper, false).await;
}

async fn what_was_reset_is_written_again(subject: &impl Subject) {
    let mut shipper = Shipper::new(frames(2, 20, 5, 500));
    let mut output = subject.build(None);
    for _ in 0..3 {
        for _ in 0..10 {
            shipper.write_next(&mut *output).await.expect("written");
        }
        shipper.recover(&mut *output).await;
    }
    let before = shipper.handed;
    shipper.ship(&mut *output, |shipper| assert_read(subject, shipper)).await;
    assert!(shipper.handed > before, "offsets go on over a reset");
    assert_arrived(subject, &shipper, !subject.exactly_once()).await;
}

async fn a_cancelled_write_counts_as_an_error_and_loses_nothing(subject: &impl Subject) {
    // Longer than any socket buffer, so that a stream's write can be caught in the middle.
    let mut shipper = Shipper::new(frames(2, 3, 2_000, 1_000));
    let mut output = subject.build(None);
    for round in 0..3 {
        // The first poll of the first write connects; only a write on a ready channel can be torn.
        shipper.write_next(&mut *output).await.expect("written");
        for _ in 0..=round {
            // Whether the write ended within one poll or not, its answer is gone.
            let _ = shipper.write_next(&mut *output).now_or_never();
        }
        shipper.recover(&mut *output).await;
    }
    shipper.ship(&mut *output, |shipper| assert_read(subject, shipper)).await;
    assert_arrived(subject, &shipper, !subject.exactly_once()).await;
}

async fn a_kill_at_any_time_loses_nothing(subject: &impl Subject) {
    let mut random = SmallRng::seed_from_u64(7);
    let mut shipper = Shipper::new(frames(3, 30, 5, 200));
    for _ in 0..30 {
        let mut output = subject.build(shipper.memory.as_deref());
        for _ in 0..random.random_range(0..12) {
            step(&mut shipper, &mut *output, &mut random).await;
            assert_read(subject, &shipper);
        }
        if random.random_bool(0.3) {
            let _ = shipper.write_next(&mut *output).now_or_never();
        }
        subject.kill(output).await;
        shipper.restart();
    }
    let mut output = subject.build(shipper.memory.as_deref());
    shipper.ship(&mut *output, |shipper| assert_read(subject, shipper)).await;
    assert_arrived(subject, &shipper, !subject.exactly_once()).await;
}

/// One thing that a caller may do at that time.
async fn step(shipper: &mut Shipper, output: &mut dyn Output, random: &mut impl Rng) {
    match random.random_range(0..6) {
        0 => shipper.recover(output).await,
        1 => shipper.confirm(output).await.expect("sound"),
        _ => drop(shipper.write_next(output).await.expect("written")),
    }
}

async fn a_check_delivers_nothing(subject: &impl Subject) {
    let mut output = subject.build(None);
    output.check().await.expect("reachable");
    assert_eq!(output.confirmed().await.expect("nothing wrong").through, Offset(0));
    until("the far side is quiet", || subject.is_quiet()).await;
    assert_eq!(subject.received(), []);
    // And it disturbs nothing that is under way.
    let mut shipper = Shipper::new(frames(1, 4, 3, 40));
    shipper.write_next(&mut *output).await.expect("written");
    output.check().await.expect("reachable");
    shipper.ship(&mut *output, |shipper| assert_read(subject, shipper)).await;
    assert_eq!(shipper.errors.len(), 0, "{:?}", shipper.errors);
    assert_arrived(subject, &shipper, false).await;
}

/// Runs every claim for every subject.
macro_rules! conformance {
    ($($name:ident: $subject:expr;)*) => {
        $(mod $name {
            use super::*;
            conformance!(@ $subject;
                clean_run_delivers_each_event_once_in_order,
                close_confirms_everything,
                what_was_reset_is_written_again,
                a_cancelled_write_counts_as_an_error_and_loses_nothing,
                a_kill_at_any_time_loses_nothing,
                a_check_delivers_nothing,
            );
        })*
    };
    (@ $subject:expr; $claim:ident, $($more:ident,)*) => {
        #[tokio::test]
        async fn $claim() {
            super::$claim(&$subject).await;
        }
        conformance!(@ $subject; $($more,)*);
    };
    (@ $subject:expr;) => {};
}

conformance! {
    console: ConsoleSubject::new();
    file: FileSubject::new(None, Compress::None);
    file_gzip: FileSubject::new(None, Compress::Gzip);
    file_rotated: FileSubject::new(Some(2_000), Compress::None);
    file_rotated_zstd: FileSubject::new(Some(2_000), Compress::Zstd);
    tcp_acked: StreamSubject::new(PLAIN, Some(Duration::ZERO)).await;
    tcp_acked_late: StreamSubject::new(PLAIN, Some(Duration::from_secs(3600))).await;
    tcp_closed: StreamSubject::new(PLAIN, None).await;
    tls_acked: StreamSubject::new(TLS, Some(Duration::ZERO)).await;
    tls_acked_late: StreamSubject::new(TLS, Some(Duration::from_secs(3600))).await;
    tls_closed: StreamSubject::new(TLS, None).await;
    gzip_acked: StreamSubject::new(GZIP, Some(Duration::ZERO)).await;
    gzip_acked_late: StreamSubject::new(GZIP, Some(Duration::from_secs(3600))).await;
    gzip_closed: StreamSubject::new(GZIP, None).await;
    three_connections_acked: StreamSubject::new(THREE, Some(Duration::ZERO)).await;
    three_connections_closed: StreamSubject::new(THREE, None).await;
    nats_stream: NatsSubject::new().await;
    http_lines: HttpSubject::new(Preset::Ndjson).await;
    http_array_zstd: HttpSubject::new(Preset::JsonArray).await.sending(|sending| sending.compress = http_config::Compress::Zstd);
    http_splunk: HttpSubject::new(http::splunk(None)).await;
    http_splunk_acked: HttpSubject::new(http::splunk(Some(PATIENCE))).await;
    http_elasticsearch: HttpSubject::new(http::elasticsearch()).await;
    http_devo_gzip: HttpSubject::new(http::devo()).await.sending(|sending| sending.compress = http_config::Compress::Gzip);
}

/// The mock cluster keeps 5 MiB of a partition, so the claim about writes that are longer than any buffer is left out; a
/// write that is cancelled is a part of the kills.
#[cfg(feature = "kafka")]
mod kafka_topic {
    use super::*;
    conformance!(@ kafka::KafkaSubject::new();
        clean_run_delivers_each_event_once_in_order,
        close_confirms_everything,
        what_was_reset_is_written_again,
        a_kill_at_any_time_loses_nothing,
        a_check_delivers_nothing,
    );
}
