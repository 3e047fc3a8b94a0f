//! Outputs that may lose events jump over frames that nobody else needs, so that a full outbox stops nobody.

use super::fault::Fault;
use super::{passage, signed, unsigned};
use crate::record::Position;
use crate::store::{Jump, Passing};
use futures_util::TryStreamExt;
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// Whole batches that at least one of the optional outputs has before it, and each other configured one behind it; the
/// oldest first. A position is one number here: the batch, then 32 bits of the frame.
const CANDIDATES: &str = "
    WITH place AS (
        SELECT position.stream,
               min((position.batch << 32) + position.frame)
                   FILTER (WHERE output.name IN (SELECT value FROM json_each($1))) AS behind,
               coalesce(min((position.batch << 32) + position.frame)
                   FILTER (WHERE output.name NOT IN (SELECT value FROM json_each($1))), 9223372036854775807) AS needed
        FROM position JOIN output ON output.name = position.output AND output.removed_ms IS NULL
        WHERE position.removed_ms IS NULL
        GROUP BY position.stream)
    SELECT batch.stream, batch.number, batch.octets
    FROM place CROSS JOIN batch ON batch.stream = place.stream
        AND batch.number BETWEEN place.behind >> 32 AND place.needed >> 32
    WHERE EXISTS (SELECT 1 FROM frame
                  WHERE frame.batch = batch.id AND (batch.number << 32) + frame.seq > place.behind)
      AND NOT EXISTS (SELECT 1 FROM frame
                      WHERE frame.batch = batch.id AND (batch.number << 32) + frame.seq > place.needed)
    ORDER BY batch.stored_ms, batch.stream, batch.number";

/// Moves the optional outputs over the oldest batches of theirs until so many octets are passed.
pub(super) async fn jump(
    connection: &mut SqliteConnection,
    optional: &[String],
    octets: u64,
    now_ms: i64,
) -> Result<Vec<Jump>, Fault> {
    let names = serde_json::to_string(optional).map_err(|cause| Fault::Sql(sqlx::Error::Encode(cause.into())))?;
    let mut targets: BTreeMap<i64, i64> = BTreeMap::new();
    {
        let mut rows = sqlx::query_as(CANDIDATES).bind(&names).fetch(&mut *connection);
        let mut passed = 0;
        while passed < octets {
            let Some((stream, number, held)): Option<(i64, i64, i64)> = rows.try_next().await? else { break };
            let target = targets.entry(stream).or_default();
            *target = number.max(*target);
            passed += unsigned(held);
        }
    }
    let mut lost: BTreeMap<String, u64> = BTreeMap::new();
    for (stream, number) in targets {
        // Batches are jumped whole, and all below this one are either jumped or were passed before.
        let moved: Vec<(String, i64)> = sqlx::query_as(
            "SELECT position.output,
                    (SELECT coalesce(sum(frame.events), 0) FROM batch CROSS JOIN frame ON frame.batch = batch.id
                     WHERE batch.stream = $2 AND batch.number BETWEEN position.batch AND $3
                       AND (batch.number > position.batch OR frame.seq > position.frame))
             FROM position JOIN output ON output.name = position.output AND output.removed_ms IS NULL
             WHERE position.stream = $2 AND position.removed_ms IS NULL
               AND position.output IN (SELECT value FROM json_each($1))
               AND (position.batch << 32) + position.frame < ($3 << 32) + 4294967295",
        )
        .bind(&names)
        .bind(stream)
        .bind(number)
        .fetch_all(&mut *connection)
        .await?;
        for (output, events) in moved {
            sqlx::query("UPDATE position SET batch = $3, frame = 4294967295 WHERE output = $1 AND stream = $2")
                .bind(&output)
                .bind(stream)
                .bind(number)
                .execute(&mut *connection)
                .await?;
            let place = Position::after_batch(unsigned(number));
            passage::note(connection, &output, stream, place, (Passing::Jumped, now_ms)).await?;
            *lost.entry(output).or_default() += unsigned(events);
        }
    }
    lost.retain(|_, events| *events > 0);
    for (output, events) in &lost {
        sqlx::query("UPDATE output SET lost_events = lost_events + $2 WHERE name = $1")
            .bind(output)
            .bind(signed(*events))
            .execute(&mut *connection)
            .await?;
    }
    Ok(lost.into_iter().map(|(output, events)| Jump { output, events }).collect())
}
