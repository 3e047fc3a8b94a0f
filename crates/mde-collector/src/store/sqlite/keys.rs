//! Version keys: which versions a stream has stored in its present epoch.
//!
//! *Forgotten* is a matter of the stream's horizon: a key of a time before it is unknown from that commit on. Taking the
//! rows out of the file is a matter of space only and is done by a hand that moves around the keys in their own order,
//! a few steps with each commit: the rows it removes lie side by side, and no index by time has to be kept.

use super::fault::Fault;
use super::many::{self, QUESTION_CHUNK, WRITE_CHUNK};
use super::stream;
use crate::record::{StoredKey, StreamKey, VersionKey};
use sqlx::SqliteConnection;
use std::fmt::Write;

/// Removes some rows of epochs that are over.
pub(super) const SWEEP: &str = "DELETE FROM version_key WHERE (stream, epoch, key) IN
     (SELECT stream, epoch, key FROM version_key WHERE stream = $1 AND epoch < $2 LIMIT $3)";

/// Keys that the hand looks at for each key stored: with four, at most a third of those in the file are forgotten ones.
const STEPS_PER_KEY: usize = 4;

/// Bounds on the steps of one commit: it always gets on, and it never takes long.
const STEPS: (usize, usize) = (1_000, 50_000);

/// For each key, whether the stream knows it. The more keys in one call, the fewer pages are read for each.
pub(super) async fn known(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    keys: &[VersionKey],
) -> Result<Vec<bool>, Fault> {
    let mut answer = vec![false; keys.len()];
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(answer);
    };
    // In their own order neighbours are found in the same page.
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|index| keys[*index]);
    for part in order.chunks(QUESTION_CHUNK) {
        // One row for all: a row costs more on its way from the driver's thread than a key does in the file.
        let found: String = sqlx::query_scalar(
            "SELECT json_group_array(asked.key) FROM json_each($1) AS asked CROSS JOIN version_key AS stored
             WHERE stored.stream = $2 AND stored.epoch = $3 AND stored.key = unhex(asked.value)
               AND stored.time_ms >= $4",
        )
        .bind(many::json_array(part, |text, index| many::hex(text, &keys[*index].0)))
        .bind(row.id)
        .bind(row.epoch)
        .bind(row.horizon_ms.unwrap_or(i64::MIN))
        .fetch_one(&mut *connection)
        .await?;
        let found: Vec<usize> = serde_json::from_str(&found).map_err(|cause| sqlx::Error::Decode(cause.into()))?;
        for place in found {
            answer[*part.get(place).expect("the answer is an index of the question")] = true;
        }
    }
    Ok(answer)
}

/// Stores keys and moves the horizon, as one commit does it.
///
/// Keys that are behind the old horizon leave first where the new one lies before it: they must not come back, and the
/// commit's own keys of that time must stay.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    stream: &StreamKey,
    keys: &[StoredKey],
    forget_before_ms: Option<i64>,
) -> Result<(), Fault> {
    if let (Some(new), Some(old)) = (forget_before_ms, row.horizon_ms)
        && new < old
    {
        // Rare (the clocks were wrong), so all at once.
        sqlx::query("DELETE FROM version_key WHERE stream = $1 AND epoch = $2 AND time_ms < $3")
            .bind(row.id)
            .bind(row.epoch)
            .bind(old)
            .execute(&mut *connection)
            .await?;
    }
    if !keys.is_empty() {
        insert(connection, row, stream, keys).await?;
    }
    if let Some(before_ms) = forget_before_ms {
        forget(connection, row, before_ms, keys.len()).await?;
    }
    Ok(())
}

/// One that the stream knows already, or that comes twice, makes the whole commit fail.
async fn insert(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    stream: &StreamKey,
    keys: &[StoredKey],
) -> Result<(), Fault> {
    // In their own order they touch each page once.
    let mut sorted = keys.to_vec();
    sorted.sort_unstable_by_key(|stored| stored.key);
    let mut repeated = sorted.windows(2).filter(|pair| pair[0].key == pair[1].key).count();
    for chunk in sorted.chunks(WRITE_CHUNK) {
        // Text: 32 hex digits of the key, then the time.
        let stored = sqlx::query(
            "INSERT INTO version_key (stream, epoch, key, time_ms)
             SELECT $1, $2, unhex(substr(value, 1, 32)), CAST(substr(value, 33) AS INTEGER) FROM json_each($3)
             WHERE true
             ON CONFLICT (stream, epoch, key) DO UPDATE SET time_ms = excluded.time_ms WHERE version_key.time_ms < $4",
        )
        .bind(row.id)
        .bind(row.epoch)
        .bind(many::json_array(chunk, |text, stored| {
            many::hex(text, &stored.key.0);
            write!(text, "{}", stored.time_ms).expect("a String takes everything");
        }))
        .bind(row.horizon_ms.unwrap_or(i64::MIN))
        .execute(&mut *connection)
        .await?;
        // What conflicts with a remembered key is passed over and so not counted.
        repeated += chunk.len() - usize::try_from(stored.rows_affected()).unwrap_or(chunk.len()).min(chunk.len());
    }
    if repeated > 0 {
        return Err(Fault::broken(stream, format!("{repeated} of {} versions are stored already", keys.len())));
    }
    Ok(())
}

/// Moves the horizon, and the hand a few steps on.
async fn forget(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    before_ms: i64,
    stored: usize,
) -> Result<(), Fault> {
    many::sweep_old_epochs(connection, row, SWEEP).await?;
    let steps = (stored * STEPS_PER_KEY).clamp(STEPS.0, STEPS.1);
    let reached: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT key FROM version_key WHERE stream = $1 AND epoch = $2 AND key > $3 ORDER BY key LIMIT 1 OFFSET $4",
    )
    .bind(row.id)
    .bind(row.epoch)
    .bind(&row.hand)
    .bind(super::signed(steps as u64))
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM version_key
         WHERE stream = $1 AND epoch = $2 AND key > $3 AND ($4 IS NULL OR key <= $4) AND time_ms < $5",
    )
    .bind(row.id)
    .bind(row.epoch)
    .bind(&row.hand)
    .bind(reached.as_deref())
    .bind(before_ms)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE stream SET horizon_ms = $2, hand = $3 WHERE id = $1")
        .bind(row.id)
        .bind(before_ms)
        .bind(reached.unwrap_or_default())
        .execute(connection)
        .await?;
    Ok(())
}
