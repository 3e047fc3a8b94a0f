//! Outputs as a whole: which are known, which are no longer configured, and what configured ones have passed.

use super::connection::Connections;
use super::fault::Fault;
use super::{letters, passage, read, unsigned};
use crate::store::OutputState;
use sqlx::SqliteConnection;

/// An output's row, as far as it is told.
#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    memory: Option<String>,
    used_ms: Option<i64>,
    removed_ms: Option<i64>,
    lost_events: i64,
    dead_letters: i64,
}

/// All that are known.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<OutputState>, Fault> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM output ORDER BY name").fetch_all(&mut *connection).await?;
    let mut states = Vec::with_capacity(rows.len());
    for row in rows {
        states.push(state(connection, row).await?);
    }
    Ok(states)
}

/// A row, with what waits for it.
async fn state(connection: &mut SqliteConnection, row: Row) -> Result<OutputState, Fault> {
    Ok(OutputState {
        depth: read::depth(connection, &row.name).await?,
        name: row.name,
        memory: row.memory,
        used_ms: row.used_ms,
        removed_ms: row.removed_ms,
        lost_events: unsigned(row.lost_events),
        dead_letters: unsigned(row.dead_letters),
    })
}

/// Notes which outputs are configured now. Writes only when something has changed.
pub(super) async fn mark(connections: &Connections, configured: &[String], now_ms: i64) -> Result<(), Fault> {
    let names = serde_json::to_string(configured).map_err(|cause| Fault::Sql(sqlx::Error::Encode(cause.into())))?;
    let changed: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM output WHERE heir_of IS NOT NULL
                        OR (removed_ms IS NULL) <> (name IN (SELECT value FROM json_each($1))))",
    )
    .bind(&names)
    .fetch_one(&mut *connections.read().await?)
    .await?;
    if !changed {
        return Ok(());
    }
    let mut transaction = connections.write().await?;
    let result = mark_in(&mut transaction, &names, now_ms).await;
    transaction.end(result).await
}

/// The part of `mark` that writes. `names` is a JSON array.
async fn mark_in(connection: &mut SqliteConnection, names: &str, now_ms: i64) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE output SET removed_ms =
             CASE WHEN name IN (SELECT value FROM json_each($1)) THEN NULL ELSE coalesce(removed_ms, $2) END",
    )
    .bind(names)
    .bind(now_ms)
    .execute(&mut *connection)
    .await?;
    let renamed: Vec<(String, String)> = sqlx::query_as(
        "SELECT heir.name, old.name FROM output AS heir JOIN output AS old ON old.name = heir.heir_of
         WHERE old.removed_ms IS NOT NULL AND heir.removed_ms IS NULL ORDER BY heir.name",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (heir, old) in renamed {
        hand_over(connection, &heir, &old).await?;
    }
    // What an output has left to one that began where it stood is that one's affair.
    sqlx::query(
        "DELETE FROM position WHERE removed_ms IS NOT NULL AND EXISTS (
             SELECT 1 FROM output AS heir JOIN position AS taken ON taken.output = heir.name
             WHERE heir.heir_of = position.output AND heir.removed_ms IS NULL
               AND taken.stream = position.stream AND taken.removed_ms IS NULL)",
    )
    .execute(&mut *connection)
    .await?;
    // Of two that stay configured one was copied, not renamed.
    sqlx::query("UPDATE output SET heir_of = NULL").execute(connection).await?;
    Ok(())
}

/// An output that was renamed holds nothing that its heir holds as well: it would keep what the heir has delivered.
async fn hand_over(connection: &mut SqliteConnection, heir: &str, old: &str) -> Result<(), Fault> {
    sqlx::query("DELETE FROM position WHERE output = $2 AND stream IN (SELECT stream FROM position WHERE output = $1)")
        .bind(heir)
        .bind(old)
        .execute(&mut *connection)
        .await?;
    letters::hand_over(connection, heir, old).await?;
    passage::hand_over(connection, heir, old).await?;
    // What is left are streams that the heir does not take.
    let lost_events: Option<i64> = sqlx::query_scalar(
        "DELETE FROM output WHERE name = $1 AND NOT EXISTS (SELECT 1 FROM position WHERE output = $1)
         RETURNING lost_events",
    )
    .bind(old)
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query("UPDATE output SET lost_events = lost_events + $2 WHERE name = $1")
        .bind(heir)
        .bind(lost_events.unwrap_or_default())
        .execute(connection)
        .await?;
    Ok(())
}

/// Octets of frames that configured outputs have passed in the streams that they take. Short of those that every output
/// has passed and nobody has collected yet, they are kept for what is removed alone.
pub(super) async fn passed_octets(connection: &mut SqliteConnection) -> Result<i64, Fault> {
    // A position as one number: the batch, then 32 bits of the frame. Without a configured output all is passed.
    let parts: Vec<i64> = sqlx::query_scalar(
        "WITH place AS (
             SELECT stream.id AS stream, coalesce(min((position.batch << 32) + position.frame), 9223372036854775807) AS passed
             FROM stream LEFT JOIN position ON position.stream = stream.id AND position.removed_ms IS NULL
                 AND position.output IN (SELECT name FROM output WHERE removed_ms IS NULL)
             GROUP BY stream.id)
         SELECT coalesce(sum(batch.octets), 0)
         FROM place CROSS JOIN batch ON batch.stream = place.stream AND batch.number < place.passed >> 32
         UNION ALL
         SELECT coalesce(sum(length(frame.body)), 0)
         FROM place CROSS JOIN batch ON batch.stream = place.stream AND batch.number = place.passed >> 32
         CROSS JOIN frame ON frame.batch = batch.id AND frame.seq <= place.passed & 4294967295",
    )
    .fetch_all(connection)
    .await?;
    Ok(parts.iter().sum())
}

/// Octets of frames that configured outputs still need, and of those that nobody sees yet.
pub(super) async fn live_octets(connection: &mut SqliteConnection) -> Result<u64, Fault> {
    let octets = read::octets(connection).await?;
    Ok(octets.saturating_sub(unsigned(passed_octets(connection).await?)))
}

/// Forgets an output. Returns what it was.
pub(super) async fn drop_one(connection: &mut SqliteConnection, name: &str) -> Result<Option<OutputState>, Fault> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM output WHERE name = $1").bind(name).fetch_optional(&mut *connection).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let state = state(connection, row).await?;
    letters::forget(connection, name).await?;
    passage::forget(connection, name).await?;
    for statement in ["DELETE FROM position WHERE output = $1", "DELETE FROM output WHERE name = $1"] {
        sqlx::query(statement).bind(name).execute(&mut *connection).await?;
    }
    Ok(Some(state))
}
