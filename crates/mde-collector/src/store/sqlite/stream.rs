//! Streams: epoch, checkpoint, memory, and the number given out last.

use super::fault::Fault;
use super::{keys, many, signed, unsigned};
use crate::record::StreamKey;
use crate::store::{Progress, StreamState};
use sqlx::SqliteConnection;

/// A stream's row.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) id: i64,
    tenant: String,
    service: String,
    query: String,
    pub(super) epoch: i64,
    pub(super) checkpoint_ms: Option<i64>,
    memory: String,
    pub(super) last_batch: i64,
    /// Keys of a time before this count as forgotten.
    pub(super) horizon_ms: Option<i64>,
    /// The last key that the sweep has looked at; empty at the beginning.
    pub(super) hand: Vec<u8>,
}

impl Row {
    /// What the other rooms call it.
    fn key(&self) -> StreamKey {
        named(self.tenant.clone(), self.service.clone(), self.query.clone())
    }

    /// What the pull half sees of it.
    pub(super) fn state(self) -> StreamState {
        StreamState {
            epoch: unsigned(self.epoch),
            checkpoint_ms: self.checkpoint_ms,
            memory: self.memory,
            last_batch: unsigned(self.last_batch),
        }
    }
}

/// A stream's name from its three columns.
pub(super) fn named(tenant: String, service: String, query: String) -> StreamKey {
    StreamKey { tenant, service, query: Some(query).filter(|query| !query.is_empty()) }
}

/// The name of a stream that has a row.
pub(super) async fn named_by(connection: &mut SqliteConnection, id: i64) -> Result<StreamKey, Fault> {
    let (tenant, service, query) = sqlx::query_as("SELECT tenant, service, query FROM stream WHERE id = $1")
        .bind(id)
        .fetch_one(connection)
        .await?;
    Ok(named(tenant, service, query))
}

/// The stream, if the store has met it.
pub(super) async fn find(connection: &mut SqliteConnection, stream: &StreamKey) -> Result<Option<Row>, Fault> {
    Ok(sqlx::query_as("SELECT * FROM stream WHERE tenant = $1 AND service = $2 AND query = $3")
        .bind(&stream.tenant)
        .bind(&stream.service)
        .bind(stream.query.as_deref().unwrap_or_default())
        .fetch_optional(connection)
        .await?)
}

/// The stream, made in epoch 1 if it is new.
pub(super) async fn meet(connection: &mut SqliteConnection, stream: &StreamKey) -> Result<Row, Fault> {
    if let Some(row) = find(connection, stream).await? {
        return Ok(row);
    }
    Ok(sqlx::query_as(
        "INSERT INTO stream (tenant, service, query, epoch, memory, last_batch, hand)
         VALUES ($1, $2, $3, 1, '', 0, $4) RETURNING *",
    )
    .bind(&stream.tenant)
    .bind(&stream.service)
    .bind(stream.query.as_deref().unwrap_or_default())
    .bind(Vec::new())
    .fetch_one(connection)
    .await?)
}

/// All streams in the order in which the store met them, without those of its own making.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<(StreamKey, StreamState)>, Fault> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM stream WHERE tenant <> '' ORDER BY id").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.key(), row.state())).collect())
}

/// Moves checkpoint and memory. A checkpoint that would move backwards without saying so is a bug of the caller.
pub(super) async fn progress(
    connection: &mut SqliteConnection,
    row: &Row,
    stream: &StreamKey,
    progress: &Progress,
) -> Result<(), Fault> {
    if let (Some(new), Some(old)) = (progress.checkpoint_ms, row.checkpoint_ms)
        && new < old
        && !progress.backwards
    {
        return Err(Fault::broken(stream, format!("the checkpoint would move back by {} ms", old.abs_diff(new))));
    }
    if progress.checkpoint_ms.is_none() && progress.memory.is_none() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE stream SET checkpoint_ms = coalesce($2, checkpoint_ms), memory = coalesce($3, memory) WHERE id = $1",
    )
    .bind(row.id)
    .bind(progress.checkpoint_ms)
    .bind(progress.memory.as_deref())
    .execute(connection)
    .await?;
    Ok(())
}

/// Opens the next epoch. The old one's keys are out of sight at once and leave the file with later commits.
pub(super) async fn start_again(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    memory: &str,
) -> Result<StreamState, Fault> {
    let row = meet(connection, stream).await?;
    let row: Row = sqlx::query_as(
        "UPDATE stream SET epoch = epoch + 1, checkpoint_ms = NULL, memory = $2, horizon_ms = NULL, hand = $3
         WHERE id = $1 RETURNING *",
    )
    .bind(row.id)
    .bind(memory)
    .bind(Vec::new())
    .fetch_one(&mut *connection)
    .await?;
    keys::keep(connection, row.id, &[]).await?;
    many::sweep_old_epochs(connection, &row, keys::SWEEP).await?;
    Ok(row.state())
}

/// Notes the newest number of a stream.
pub(super) async fn number(connection: &mut SqliteConnection, id: i64, last_batch: u64) -> Result<(), Fault> {
    sqlx::query("UPDATE stream SET last_batch = $2 WHERE id = $1")
        .bind(id)
        .bind(signed(last_batch))
        .execute(connection)
        .await?;
    Ok(())
}
