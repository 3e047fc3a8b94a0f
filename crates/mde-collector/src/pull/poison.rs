//! What cannot be read, so that it never stops the rest.

use serde::{Deserialize, Serialize};

/// How much may be given up anew in an hour; more of it is an outage and not a bad part.
const NEW_PER_HOUR: usize = 8;
/// Unit: milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// What was given up within the last hour, by the moment of each. At most [`NEW_PER_HOUR`] moments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ration(Vec<i64>);

impl Ration {
    /// Takes one of this hour's share; `false`: it is spent.
    pub fn take(&mut self, now_ms: i64) -> bool {
        // A moment that lies in the future was noted by a clock that has been corrected since.
        self.0.retain(|&then_ms| now_ms.abs_diff(then_ms) < HOUR_MS.unsigned_abs());
        let left = self.0.len() < NEW_PER_HOUR;
        if left {
            self.0.push(now_ms);
        }
        left
    }
}
