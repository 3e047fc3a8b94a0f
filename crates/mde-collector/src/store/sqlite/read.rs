//! What the ship half sees: visible frames behind a position, and how much there is.

use super::fault::Fault;
use super::{frame, signed, unsigned};
use crate::record::{BatchHead, Position, StoredFrame, StreamKey};
use crate::store::Depth;
use futures_util::TryStreamExt;
use sqlx::{FromRow, Row, SqliteConnection};
use std::sync::Arc;

/// Oldest first. The order is that of the two indexes, so bodies are fetched one by one and never sorted. (Without the
/// batch's id SQLite would sort within a batch: a column that can be NULL may repeat a number, for all it knows.)
pub(super) const FRAMES: &str = "
    SELECT batch.number, batch.input, batch.service AS head_service, batch.tag, batch.pulled_ms,
           frame.batch, frame.seq, frame.events, frame.raw_octets, frame.checksum, frame.body
    FROM stream CROSS JOIN batch ON batch.stream = stream.id CROSS JOIN frame ON frame.batch = batch.id
    WHERE stream.tenant = $1 AND stream.service = $2 AND stream.query = $3
      AND batch.number >= $4 AND (batch.number > $4 OR frame.seq > $5)
    ORDER BY batch.number, batch.id, frame.seq";

/// At least one frame if there is any, then as many as fit into `max_octets` of uncompressed bodies.
pub(super) async fn frames(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    after: Position,
    max_octets: usize,
) -> Result<Vec<StoredFrame>, Fault> {
    let mut rows = sqlx::query(FRAMES)
        .bind(&stream.tenant)
        .bind(&stream.service)
        .bind(stream.query.as_deref().unwrap_or_default())
        .bind(signed(after.batch))
        .bind(i64::from(after.frame))
        .fetch(connection);
    let mut frames: Vec<StoredFrame> = Vec::new();
    let mut octets = 0;
    while let Some(row) = rows.try_next().await? {
        let stored = frame::Row::from_row(&row)?;
        octets += unsigned(stored.raw_octets);
        if !frames.is_empty() && octets > max_octets as u64 {
            break;
        }
        let body = stored.unpack()?;
        let batch = unsigned(row.try_get("number")?);
        let head = match frames.last().filter(|last| last.position.batch == batch) {
            Some(last) => Arc::clone(&last.head),
            None => Arc::new(BatchHead {
                input: row.try_get("input")?,
                service: row.try_get("head_service")?,
                tag: row.try_get("tag")?,
                pulled_ms: row.try_get("pulled_ms")?,
            }),
        };
        frames.push(StoredFrame {
            position: Position { batch, frame: narrow(stored.seq, "frame number")? },
            head,
            events: narrow(stored.events, "event count")?,
            body,
        });
    }
    Ok(frames)
}

/// What waits for an output, in the streams that it takes.
pub(super) async fn depth(connection: &mut SqliteConnection, output: &str) -> Result<Depth, Fault> {
    waiting(connection, output, None).await
}

/// What waits for an output in one stream, which it may have left.
pub(super) async fn depth_in(connection: &mut SqliteConnection, output: &str, stream: i64) -> Result<Depth, Fault> {
    waiting(connection, output, Some(stream)).await
}

/// Whole batches behind the output's positions, and the rest of those it stands in.
async fn waiting(connection: &mut SqliteConnection, output: &str, stream: Option<i64>) -> Result<Depth, Fault> {
    let parts: Vec<(i64, i64, Option<i64>)> = sqlx::query_as(
        "WITH place AS (SELECT stream, batch, frame FROM position
                        WHERE output = $1 AND CASE WHEN $2 IS NULL THEN removed_ms IS NULL ELSE stream = $2 END)
         SELECT coalesce(sum(batch.events), 0), coalesce(sum(batch.octets), 0), min(batch.stored_ms)
         FROM place JOIN batch ON batch.stream = place.stream AND batch.number > place.batch
         WHERE batch.frames > 0
         UNION ALL
         SELECT coalesce(sum(frame.events), 0), coalesce(sum(length(frame.body)), 0), min(batch.stored_ms)
         FROM place JOIN batch ON batch.stream = place.stream AND batch.number = place.batch
         JOIN frame ON frame.batch = batch.id AND frame.seq > place.frame",
    )
    .bind(output)
    .bind(stream)
    .fetch_all(connection)
    .await?;
    Ok(parts.into_iter().fold(Depth::default(), |depth, (events, octets, oldest_ms)| Depth {
        events: depth.events + unsigned(events),
        bytes: depth.bytes + unsigned(octets),
        oldest_ms: [depth.oldest_ms, oldest_ms].into_iter().flatten().min(),
    }))
}

/// Octets of frames on disk, visible or not.
pub(super) async fn octets(connection: &mut SqliteConnection) -> Result<u64, Fault> {
    Ok(unsigned(sqlx::query_scalar("SELECT octets FROM store").fetch_one(connection).await?))
}

/// A number that was a `u32` when it was stored.
fn narrow(value: i64, what: &str) -> Result<u32, Fault> {
    u32::try_from(value).map_err(|_| Fault::Torn(format!("a frame has an impossible {what}")))
}
