//! Version keys: which versions a stream has stored in its present epoch.
//!
//! *Forgotten* is a matter of the stream's horizon: a key of a time before it, and in no span that is kept, is unknown
//! from that commit on. Taking the rows out of the file is a matter of space only and is done by a hand that moves around the keys in their own order,
//! a few steps with each commit: the rows it removes lie side by side, and no index by time has to be kept.

use super::fault::Fault;
use super::many::{self, QUESTION_CHUNK, WRITE_CHUNK};
use super::stream;
use crate::record::{StoredKey, StreamKey, VersionKey};
use crate::store::Progress;
use sqlx::SqliteConnection;
use std::fmt::Write;

/// Removes some rows of epochs that are over.
pub(super) const SWEEP: &str = "DELETE FROM version_key WHERE (stream, epoch, key) IN
     (SELECT stream, epoch, key FROM version_key WHERE stream = $1 AND epoch < $2 LIMIT $3)";

/// The condition for a key that lies in a span that is kept.
macro_rules! kept {
    () => {
        "EXISTS (SELECT 1 FROM kept_span AS kept WHERE kept.stream = version_key.stream
                 AND version_key.time_ms >= kept.from_ms AND version_key.time_ms < kept.to_ms)"
    };
}

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
        let found: String = sqlx::query_scalar(concat!(
            "SELECT json_group_array(asked.key) FROM json_each($1) AS asked CROSS JOIN version_key
             WHERE version_key.stream = $2 AND version_key.epoch = $3 AND version_key.key = unhex(asked.value)
               AND (version_key.time_ms >= $4 OR ",
            kept!(),
            ")",
        ))
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
/// Keys that are forgotten already leave first where the new horizon, or a new span, would remember some of them: they
/// must not come back, and the commit's own keys of that time must stay.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    stream: &StreamKey,
    keys: &[StoredKey],
    progress: &Progress,
) -> Result<(), Fault> {
    let old_spans = spans(connection, row.id).await?;
    if let (Some(new), Some(old)) = (progress.forget_before_ms, row.horizon_ms) {
        let is_new = |span: &(i64, i64)| span.0 < old && !old_spans.contains(span);
        if new < old || progress.keep.iter().any(is_new) {
            // Rare (the clocks were wrong, something is set aside late), so all at once.
            sqlx::query(concat!(
                "DELETE FROM version_key WHERE stream = $1 AND epoch = $2 AND time_ms < $3 AND NOT ",
                kept!(),
            ))
            .bind(row.id)
            .bind(row.epoch)
            .bind(old)
            .execute(&mut *connection)
            .await?;
        }
    }
    if !keys.is_empty() {
        insert(connection, row, stream, keys).await?;
    }
    if let Some(before_ms) = progress.forget_before_ms {
        if old_spans != progress.keep {
            keep(connection, row.id, &progress.keep).await?;
        }
        forget(connection, row, before_ms, keys.len()).await?;
    }
    Ok(())
}

/// The spans of a stream that are kept, in their order.
async fn spans(connection: &mut SqliteConnection, stream: i64) -> Result<Vec<(i64, i64)>, Fault> {
    let spans = sqlx::query_as("SELECT from_ms, to_ms FROM kept_span WHERE stream = $1 ORDER BY from_ms, to_ms");
    Ok(spans.bind(stream).fetch_all(connection).await?)
}

/// These spans of a stream are kept, and no others.
pub(super) async fn keep(connection: &mut SqliteConnection, stream: i64, spans: &[(i64, i64)]) -> Result<(), Fault> {
    sqlx::query("DELETE FROM kept_span WHERE stream = $1").bind(stream).execute(&mut *connection).await?;
    for (from_ms, to_ms) in spans {
        sqlx::query("INSERT INTO kept_span (stream, from_ms, to_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(stream)
            .bind(from_ms)
            .bind(to_ms)
            .execute(&mut *connection)
            .await?;
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
        let stored = sqlx::query(concat!(
            "INSERT INTO version_key (stream, epoch, key, time_ms)
             SELECT $1, $2, unhex(substr(value, 1, 32)), CAST(substr(value, 33) AS INTEGER) FROM json_each($3)
             WHERE true
             ON CONFLICT (stream, epoch, key) DO UPDATE SET time_ms = excluded.time_ms
             WHERE version_key.time_ms < $4 AND NOT ",
            kept!(),
        ))
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
    sqlx::query(concat!(
        "DELETE FROM version_key
         WHERE stream = $1 AND epoch = $2 AND key > $3 AND ($4 IS NULL OR key <= $4) AND time_ms < $5 AND NOT ",
        kept!(),
    ))
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
