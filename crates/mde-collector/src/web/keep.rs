//! Keeps the history: each pull that ends, and each minute how everything stands.

use super::history::{History, Sample};
use super::picture::{Picture, Viewer};
use crate::status::{PullEnd, of_output, of_stream};
use crate::telemetry::web as events;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Pulls that have ended are written together, so often.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Written at once, at most.
const WRITE_MOST: usize = 1_024;
/// The series of the outbox as a whole.
pub const OUTBOX: &str = "outbox";

/// Keeps it, for as long as it is polled.
pub async fn keep(viewer: Arc<Viewer>, history: Arc<History>, mut ends: mpsc::Receiver<PullEnd>) {
    let mut ticks = interval(WRITE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut last) = (false, minute(viewer.now_ms()));
    loop {
        ticks.tick().await;
        let mut written = Ok(());
        let mut waiting = Vec::new();
        while let Ok(end) = ends.try_recv() {
            waiting.push(end);
            if waiting.len() == WRITE_MOST {
                break;
            }
        }
        if !waiting.is_empty() {
            written = history.ended(&waiting).await;
        }
        let now = minute(viewer.now_ms());
        if now != last
            && let Some(picture) = viewer.look().await
        {
            last = now;
            written = written.and(history.sample(now, &samples(&picture, &viewer.take_flow())).await);
        }
        // Once is enough: it is only a drawing.
        if let Err(error) = written
            && !std::mem::replace(&mut told, true)
        {
            events::forgetful(&error);
        }
    }
}

/// Minutes since 1970.
pub const fn minute(ms: i64) -> i64 {
    ms.div_euclid(60_000)
}

/// A sample of everything.
fn samples(picture: &Picture, flow: &BTreeMap<String, u64>) -> Vec<Sample> {
    let sample = |name: String, level: Option<u64>| {
        let flow = flow.get(&name).copied().unwrap_or(0);
        Sample { name, level: level.map(|level| level.cast_signed()), flow: flow.cast_signed() }
    };
    let status = &picture.status;
    let streams = status.streams.iter().map(|row| sample(of_stream(&row.stream), row.lag_s));
    let outputs = status.outputs.iter().map(|row| sample(of_output(&row.name), Some(row.depth_bytes)));
    streams.chain(outputs).chain([sample(OUTBOX.to_owned(), Some(status.outbox.bytes))]).collect()
}
