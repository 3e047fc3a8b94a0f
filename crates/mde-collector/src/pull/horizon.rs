//! How far back a re-read may go, and so which version keys must be kept.

/// Kept beyond what any re-read needs, for clocks that are corrected. Unit: milliseconds.
const MARGIN_MS: i64 = 3_600_000;

/// The new horizon: min(checkpoint, newest stored time) − the furthest re-read − 1 h, never before where it was.
///
/// Without a stored record it stays: a checkpoint that a wrong clock carried far ahead must be able to come back.
#[must_use]
pub fn advance(horizon_ms: i64, checkpoint_ms: i64, newest_ms: Option<i64>, reach_ms: i64) -> i64 {
    let Some(newest_ms) = newest_ms else { return horizon_ms };
    checkpoint_ms.min(newest_ms).saturating_sub(reach_ms).saturating_sub(MARGIN_MS).max(horizon_ms)
}
