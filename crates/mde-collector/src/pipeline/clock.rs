//! The wall clock behind a seam, and what the servers' clocks say beside it.

use crate::pull::clock::{Clocks, Reading, Sample};
use mde_client::ServerDate;
use std::time::UNIX_EPOCH;
use tokio::time::Instant;

/// The time on the wall. Unit: milliseconds since 1970, UTC.
pub trait Clock: Send + Sync {
    /// Now.
    fn wall_ms(&self) -> i64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn wall_ms(&self) -> i64 {
        let since_1970 = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The median of ours and the servers' clocks, now.
pub fn read(ours: &dyn Clock, api: Option<ServerDate>, token: Option<ServerDate>) -> Reading {
    let now = Instant::now();
    let sample = |date: ServerDate| Sample {
        server_ms: date.unix_ms,
        monotonic_ms: -i64::try_from(now.duration_since(date.read_at).as_millis()).unwrap_or(i64::MAX),
    };
    Clocks { api: api.map(sample), token: token.map(sample) }.read(ours.wall_ms(), 0)
}
