//! Where each record came from and went to: appended with the commit that stores it, taken away in the same order.

use super::fault::Fault;
use super::many::{self, QUESTION_CHUNK};
use super::{signed, stream, unsigned};
use crate::record::VersionKey;
use crate::store::{HISTORY_KEPT, Trace, Traced};
use sqlx::SqliteConnection;
use std::fmt::Write;

/// Rows that one commit looks at for pruning, at least; twice as many as it adds, so that a backlog of old ones shrinks.
const PRUNE_STEPS: usize = 1_000;

/// Adds the traces of a commit, and takes some old ones away. `batch`: the number that it has given, if any.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    batch: Option<u64>,
    traces: &[Trace],
    now_ms: i64,
) -> Result<(), Fault> {
    prune(connection, traces.len(), now_ms).await?;
    for chunk in traces.chunks(QUESTION_CHUNK) {
        // Text: 32 hex digits of the key, 20 places of the time, 20 of the events, 20 of where the id ends, 20 of where the
        // request ends, hex of the id, of the request, of the version.
        sqlx::query(
            "INSERT INTO trace (stored_ms, stream, batch, key, time_ms, events, id, request, version)
             SELECT $1, $2, $3, unhex(substr(value, 1, 32)), CAST(substr(value, 33, 20) AS INTEGER),
                    CAST(substr(value, 53, 20) AS INTEGER),
                    CAST(unhex(substr(value, 113, id)) AS TEXT),
                    CAST(unhex(substr(value, 113 + id, request - id)) AS TEXT),
                    CAST(unhex(substr(value, 113 + request)) AS TEXT)
             FROM (SELECT value, CAST(substr(value, 73, 20) AS INTEGER) AS id,
                          CAST(substr(value, 93, 20) AS INTEGER) AS request FROM json_each($4))",
        )
        .bind(now_ms)
        .bind(row.id)
        .bind(batch.map(signed))
        .bind(many::json_array(chunk, |text, trace| {
            many::hex(text, &trace.key.0);
            let id = 2 * trace.id.len();
            let request = id + 2 * trace.request_id.len();
            write!(text, "{:+020}{:020}{id:020}{request:020}", trace.time_ms, signed(trace.events))
                .expect("a String takes everything");
            many::hex(text, trace.id.as_bytes());
            many::hex(text, trace.request_id.as_bytes());
            many::hex(text, trace.version.as_bytes());
        }))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Takes away the oldest rows whose time is over. A row from the far future is one of a wrong clock, and goes as well: it
/// would keep those behind it.
async fn prune(connection: &mut SqliteConnection, added: usize, now_ms: i64) -> Result<(), Fault> {
    let kept_ms = i64::try_from(HISTORY_KEPT.as_millis()).unwrap_or(i64::MAX);
    let kept = now_ms.saturating_sub(kept_ms)..=now_ms.saturating_add(kept_ms);
    let oldest: Option<i64> =
        sqlx::query_scalar("SELECT stored_ms FROM trace ORDER BY row LIMIT 1").fetch_optional(&mut *connection).await?;
    if oldest.is_none_or(|stored_ms| kept.contains(&stored_ms)) {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM trace WHERE row IN
             (SELECT row FROM (SELECT row, stored_ms FROM trace ORDER BY row LIMIT $3)
              WHERE stored_ms NOT BETWEEN $1 AND $2)",
    )
    .bind(*kept.start())
    .bind(*kept.end())
    .bind(signed(PRUNE_STEPS.max(2 * added) as u64))
    .execute(connection)
    .await?;
    Ok(())
}

/// A row, with its stream's name.
#[derive(sqlx::FromRow)]
struct Row {
    tenant: String,
    service: String,
    query: String,
    stored_ms: i64,
    batch: Option<i64>,
    id: String,
    key: Vec<u8>,
    time_ms: i64,
    request: String,
    version: String,
    events: i64,
}

/// The newest traces of an id. Reads the table from its end until it has so many.
pub(super) async fn find(connection: &mut SqliteConnection, id: &str, limit: u32) -> Result<Vec<Traced>, Fault> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT stream.tenant, stream.service, stream.query, trace.* FROM trace CROSS JOIN stream ON stream.id = trace.stream
         WHERE trace.id = $1 ORDER BY trace.row DESC LIMIT $2",
    )
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let key = row.key.try_into().map_err(|_| Fault::Torn("a trace's key is too long or short".to_owned()))?;
            Ok(Traced {
                stream: stream::named(row.tenant, row.service, row.query),
                stored_ms: row.stored_ms,
                batch: row.batch.map(unsigned),
                trace: Trace {
                    id: row.id,
                    key: VersionKey(key),
                    time_ms: row.time_ms,
                    request_id: row.request,
                    version: row.version,
                    events: unsigned(row.events),
                },
            })
        })
        .collect()
}
