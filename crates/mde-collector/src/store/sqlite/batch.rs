//! Batches: filled in small transactions that nobody sees, shown in one that carries keys and progress with it.

use super::fault::Fault;
use super::{entities, frame, keys, lease, signed, stream, trace, unsigned};
use crate::record::{BatchHead, StreamKey};
use crate::store::{BatchCount, BatchId, Commit, Lease, StoreError};
use sqlx::SqliteConnection;
use std::cmp::Ordering;

/// Begins a batch in the stream's present epoch.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    lease: &Lease,
    stream: &StreamKey,
    head: &BatchHead,
) -> Result<BatchId, Fault> {
    lease::require(connection, lease).await?;
    let row = stream::meet(connection, stream).await?;
    insert(connection, &row, lease, head).await
}

/// An empty batch of a stream.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    lease: &Lease,
    head: &BatchHead,
) -> Result<BatchId, Fault> {
    let id = sqlx::query_scalar(
        "INSERT INTO batch (stream, epoch, lease, fence, input, service, tag, pulled_ms, frames, events, raw_octets, octets)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0) RETURNING id",
    )
    .bind(row.id)
    .bind(row.epoch)
    .bind(&lease.name)
    .bind(signed(lease.fence))
    .bind(&head.input)
    .bind(&head.service)
    .bind(&head.tag)
    .bind(head.pulled_ms)
    .fetch_one(connection)
    .await?;
    Ok(BatchId(id))
}

/// Adds a frame. The lease is not looked at: the commit will.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    batch: BatchId,
    packed: frame::Packed,
) -> Result<(), Fault> {
    let octets = signed(packed.body.len() as u64);
    let frames: Option<i64> = sqlx::query_scalar(
        "UPDATE batch SET frames = frames + 1, events = events + $2, raw_octets = raw_octets + $3, octets = octets + $4
         WHERE id = $1 AND number IS NULL RETURNING frames",
    )
    .bind(batch.0)
    .bind(packed.events)
    .bind(packed.raw_octets)
    .bind(octets)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(frames) = frames else {
        return Err(not_open(batch));
    };
    place(connection, frame::Row::new(batch.0, frames - 1, packed)).await?;
    count_octets(connection, octets).await
}

/// Puts a frame back to where it was in a batch that is visible already, and counts it.
pub(super) async fn restore(
    connection: &mut SqliteConnection,
    batch: BatchId,
    seq: u32,
    packed: frame::Packed,
) -> Result<(), Fault> {
    let octets = signed(packed.body.len() as u64);
    sqlx::query(
        "UPDATE batch SET frames = frames + 1, events = events + $2, raw_octets = raw_octets + $3, octets = octets + $4
         WHERE id = $1",
    )
    .bind(batch.0)
    .bind(packed.events)
    .bind(packed.raw_octets)
    .bind(octets)
    .execute(&mut *connection)
    .await?;
    place(connection, frame::Row::new(batch.0, i64::from(seq), packed)).await?;
    count_octets(connection, octets).await
}

/// A frame's row into its table.
async fn place(connection: &mut SqliteConnection, row: frame::Row) -> Result<(), Fault> {
    sqlx::query("INSERT INTO frame (batch, seq, events, raw_octets, checksum, body) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(row.batch)
        .bind(row.seq)
        .bind(row.events)
        .bind(row.raw_octets)
        .bind(row.checksum)
        .bind(row.body)
        .execute(connection)
        .await?;
    Ok(())
}

/// Shows the batch, stores its keys and makes progress. Any error takes all of it back.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    lease: &Lease,
    stream: &StreamKey,
    commit: &Commit,
    now_ms: i64,
) -> Result<Option<u64>, Fault> {
    lease::require(connection, lease).await?;
    let row = stream::meet(connection, stream).await?;
    match commit.epoch.cmp(&unsigned(row.epoch)) {
        Ordering::Less => return Err(epoch_over(stream, commit.epoch)),
        Ordering::Greater => return Err(Fault::broken(stream, format!("epoch {} has not begun", commit.epoch))),
        Ordering::Equal => {}
    }
    let number = match &commit.batch {
        Some(count) => Some(show(connection, lease, &row, stream, count, now_ms).await?),
        None => None,
    };
    keys::store(connection, &row, stream, &commit.keys, &commit.progress).await?;
    entities::store(connection, &row, &commit.seen, &commit.gone).await?;
    trace::store(connection, &row, number, &commit.history, now_ms).await?;
    stream::progress(connection, &row, stream, &commit.progress).await?;
    Ok(number)
}

/// What the store has counted of an open batch, and for whom.
#[derive(sqlx::FromRow)]
struct Open {
    stream: i64,
    epoch: i64,
    lease: String,
    fence: i64,
    frames: i64,
    events: i64,
    raw_octets: i64,
}

/// Gives the batch the next number of its stream, once it is proved to be what its writer meant.
async fn show(
    connection: &mut SqliteConnection,
    lease: &Lease,
    row: &stream::Row,
    stream: &StreamKey,
    count: &BatchCount,
    now_ms: i64,
) -> Result<u64, Fault> {
    let open: Option<Open> = sqlx::query_as(
        "SELECT stream, epoch, lease, fence, frames, events, raw_octets FROM batch WHERE id = $1 AND number IS NULL",
    )
    .bind(count.id.0)
    .fetch_optional(&mut *connection)
    .await?;
    let open = open.ok_or_else(|| not_open(count.id))?;
    if open.stream != row.id {
        return Err(Fault::broken(stream, "the batch was begun for another stream"));
    }
    if open.lease != lease.name || unsigned(open.fence) != lease.fence {
        // It was begun before the lease changed hands; what has been stored since then, its writer has not seen.
        return Err(StoreError::LeaseLost { name: open.lease, fence: unsigned(open.fence) }.into());
    }
    if open.epoch != row.epoch {
        return Err(epoch_over(stream, unsigned(open.epoch)));
    }
    let stored = (unsigned(open.frames), unsigned(open.events), unsigned(open.raw_octets));
    let counted = (u64::from(count.frames), count.events, count.bytes);
    if stored != counted {
        let what = format!("the batch holds {stored:?} frames, events and octets, its writer counted {counted:?}");
        return Err(Fault::broken(stream, what));
    }
    give_number(connection, row, count.id, now_ms).await
}

/// Makes a batch visible under the next number of its stream.
pub(super) async fn give_number(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    batch: BatchId,
    now_ms: i64,
) -> Result<u64, Fault> {
    let number = unsigned(row.last_batch) + 1;
    sqlx::query("UPDATE batch SET number = $2, stored_ms = $3 WHERE id = $1")
        .bind(batch.0)
        .bind(signed(number))
        .bind(now_ms)
        .execute(&mut *connection)
        .await?;
    stream::number(connection, row.id, number).await?;
    Ok(number)
}

/// Keeps the outbox's running sum.
pub(super) async fn count_octets(connection: &mut SqliteConnection, change: i64) -> Result<(), Fault> {
    sqlx::query("UPDATE store SET octets = octets + $1").bind(change).execute(connection).await?;
    Ok(())
}

/// The error for a batch that was shown, thrown away or never begun.
pub(super) fn not_open(batch: BatchId) -> Fault {
    Fault::broken(format!("batch row {}", batch.0), "it is not open")
}

/// The error for rows that were read before the stream was started again.
fn epoch_over(stream: &StreamKey, epoch: u64) -> Fault {
    StoreError::EpochOver { stream: stream.to_string(), epoch }.into()
}
