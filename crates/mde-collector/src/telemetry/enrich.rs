//! Events of enrichment.

use super::{cause, ms};
use crate::record::StreamKey;
use std::error::Error;
use std::time::Duration;
use tracing::{info, warn};

/// A way has been chosen for a count; empty: it cannot be had.
pub fn chosen(stream: &StreamKey, count: &str, method: &str, reason: &str) {
    if method.is_empty() {
        warn!(%stream, count, reason, "this count cannot be had and is left out of events");
    } else {
        info!(%stream, count, method, reason, "how this count is had");
    }
}

/// A whole source was read for the counts in it.
pub fn source_read(tenant: &str, source: &str, rows: u64, elapsed: Duration) {
    info!(tenant, source, rows, elapsed_ms = ms(elapsed), "a source was read for the counts in it");
}

/// Counts could not be had; events leave with the newest known ones.
pub fn failed(stream: &StreamKey, error: &dyn Error) {
    warn!(%stream, %error, cause = cause(error), "counts could not be had; events leave with the newest known ones");
}

/// One entity's count cannot be had.
pub fn passed_over(stream: &StreamKey, entities: u64, first_reason: &str) {
    warn!(%stream, entities, first_reason, "counts of some entities cannot be had; they are tried again when others are");
}

/// Events leave without some of their counts, because these did not come in time.
pub fn not_waited_for(stream: &StreamKey, waited: Duration) {
    warn!(%stream, waited_ms = ms(waited), "some counts did not come in time; events leave without them");
}
