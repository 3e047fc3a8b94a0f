//! What is kept for outputs that are no longer configured, and for those that take a stream no more; and its end.

use super::connection::Connections;
use super::fault::Fault;
use super::{collect, outputs, read, signed, stream};
use crate::record::{StreamKey, ms};
use crate::store::{REMOVED_KEPT, Removed};
use sqlx::SqliteConnection;

/// Everything that is removed and not let go yet, the next to go first: outputs as a whole, and places of an output in one
/// stream.
const ALL: &str = "
    SELECT name AS output, NULL AS stream, removed_ms, used_ms FROM output WHERE removed_ms IS NOT NULL
    UNION ALL
    SELECT position.output, position.stream, position.removed_ms, output.used_ms
    FROM position JOIN output ON output.name = position.output
    WHERE position.removed_ms IS NOT NULL AND position.let_go = 0
    ORDER BY removed_ms, used_ms, output, stream";

/// An output, or its place in a stream.
#[derive(sqlx::FromRow)]
struct Row {
    output: String,
    stream: Option<i64>,
    removed_ms: i64,
}

impl Row {
    /// What other rooms are told of it.
    async fn told(&self, connection: &mut SqliteConnection) -> Result<Removed, Fault> {
        let stream = match self.stream {
            Some(id) => Some(stream::named_by(connection, id).await?),
            None => None,
        };
        let depth = match self.stream {
            Some(id) => read::depth_in(connection, &self.output, id).await?,
            None => read::depth(connection, &self.output).await?,
        };
        Ok(Removed { output: self.output.clone(), stream, depth, removed_ms: self.removed_ms })
    }
}

/// The output takes these streams no more; where it has left one before, or has no place, nothing changes.
pub(super) async fn leave(
    connection: &mut SqliteConnection,
    output: &str,
    streams: &[StreamKey],
    now_ms: i64,
) -> Result<(), Fault> {
    for stream in streams {
        let Some(row) = stream::find(connection, stream).await? else { continue };
        sqlx::query("UPDATE position SET removed_ms = $3 WHERE output = $1 AND stream = $2 AND removed_ms IS NULL")
            .bind(output)
            .bind(row.id)
            .bind(now_ms)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// All of it.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Removed>, Fault> {
    let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(&mut *connection).await?;
    let mut removed = Vec::with_capacity(rows.len());
    for row in rows {
        removed.push(row.told(connection).await?);
    }
    Ok(removed)
}

/// Lets go of what has been kept long enough, and of the oldest for as long as all of it holds more than that.
pub(super) async fn let_go(connections: &Connections, now_ms: i64, max_octets: u64) -> Result<Vec<Removed>, Fault> {
    let mut gone = Vec::new();
    loop {
        collect::free(connections).await?;
        let mut transaction = connections.write().await?;
        let result = let_one_go(&mut transaction, now_ms, max_octets).await;
        match transaction.end(result).await? {
            Some(removed) => gone.push(removed),
            None => return Ok(gone),
        }
    }
}

/// The next one that has to go, if there is one.
async fn let_one_go(connection: &mut SqliteConnection, now_ms: i64, max_octets: u64) -> Result<Option<Removed>, Fault> {
    let oldest: Option<Row> = sqlx::query_as(ALL).fetch_optional(&mut *connection).await?;
    let Some(row) = oldest else {
        return Ok(None);
    };
    let kept_ms = now_ms.saturating_sub(row.removed_ms);
    if kept_ms < ms(REMOVED_KEPT) && outputs::passed_octets(connection).await? <= signed(max_octets) {
        return Ok(None);
    }
    let removed = row.told(connection).await?;
    match row.stream {
        None => drop(outputs::drop_one(connection, &row.output).await?),
        Some(stream) => {
            sqlx::query("UPDATE position SET let_go = 1 WHERE output = $1 AND stream = $2")
                .bind(&row.output)
                .bind(stream)
                .execute(connection)
                .await?;
        }
    }
    Ok(Some(removed))
}
