//! The wall clock behind a seam, and what the servers' clocks say beside it.

use crate::pull::clock::{Clocks, Reading, Sample};
use crate::record::ms;
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
        ms(since_1970)
    }
}

/// The median of ours and the servers' clocks, now.
pub fn read(ours: &dyn Clock, api: Option<ServerDate>, token: Option<ServerDate>) -> Reading {
    let now = Instant::now();
    let sample =
        |date: ServerDate| Sample { server_ms: date.unix_ms, monotonic_ms: -ms(now.duration_since(date.read_at)) };
    Clocks { api: api.map(sample), token: token.map(sample) }.read(ours.wall_ms(), 0)
}
