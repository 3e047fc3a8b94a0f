//! How far back a re-read may go, and so which version keys must be kept.

use super::window::Rules;

/// Kept beyond what any re-read needs, for clocks that are corrected. Unit: milliseconds.
const MARGIN_MS: i64 = 3_600_000;

/// The new horizon: min(checkpoint, newest stored time) − max(overlap, back + every) − 1 h, never before where it was.
///
/// Without a stored record it stays: a checkpoint that a wrong clock carried far ahead must be able to come back.
#[must_use]
pub fn advance(horizon_ms: i64, checkpoint_ms: i64, newest_ms: Option<i64>, rules: &Rules) -> i64 {
    let Some(newest_ms) = newest_ms else { return horizon_ms };
    let reach = rules.overlap_ms.max(rules.sweep_reach_ms());
    checkpoint_ms.min(newest_ms).saturating_sub(reach).saturating_sub(MARGIN_MS).max(horizon_ms)
}
