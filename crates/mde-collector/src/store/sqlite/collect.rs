//! Taking frames out again: those that every output has passed, and those that nobody will ever see.
//! Always in transactions of a bounded size, so that a writer never waits long, and never synced by themselves: what comes
//! back after a power failure is taken out once more.

use super::connection::{Connections, Durable};
use super::fault::Fault;
use super::{batch, position, unsigned};
use crate::record::Position;
use crate::store::BatchId;
use sqlx::SqliteConnection;

/// Frames in one transaction: about 8 MB of compressed bodies.
const GROUP: i64 = 64;

/// Batches looked at in one transaction.
const BATCH_GROUP: i64 = 64;

/// Free pages that stay in the file for the next frames. Unit: pages (16 MiB).
const KEPT_FREE: i64 = 2048;

/// One step of giving pages back to the file system (4 MiB), and how many steps one call makes.
const SHRINK: &str = "PRAGMA incremental_vacuum(512)";
/// A backlog of gigabytes is given back over several calls.
const SHRINK_STEPS: usize = 32;

/// Removes what all outputs have passed, also those that are no longer configured. Returns the octets freed.
///
/// While no output is known nothing is removed: nobody has said that he needs nothing.
pub(super) async fn free(connections: &Connections) -> Result<u64, Fault> {
    let streams: Vec<i64> = sqlx::query_scalar("SELECT id FROM stream WHERE EXISTS (SELECT 1 FROM output) ORDER BY id")
        .fetch_all(&mut *connections.read().await?)
        .await?;
    let mut freed = 0;
    for stream in streams {
        loop {
            let mut transaction = connections.write_durably(Durable::WithTheNext).await?;
            let result = step(&mut transaction, stream).await;
            let step = transaction.end(result).await?;
            freed += step.octets;
            if step.finished {
                break;
            }
        }
    }
    if freed > 0 {
        shrink(connections).await?;
    }
    Ok(freed)
}

/// What one transaction achieved.
struct Step {
    octets: u64,
    finished: bool,
}

/// One group of one stream's frames. The outputs' positions are read in the same transaction, so that one which is
/// attached meanwhile is either seen here or begins behind what is gone.
async fn step(connection: &mut SqliteConnection, stream: i64) -> Result<Step, Fault> {
    let batches: Vec<(i64, i64)> =
        sqlx::query_as("SELECT id, number FROM batch WHERE stream = $1 AND number > 0 ORDER BY number LIMIT $2")
            .bind(stream)
            .bind(BATCH_GROUP)
            .fetch_all(&mut *connection)
            .await?;
    let slowest: Option<(i64, i64)> = sqlx::query_as(
        "SELECT batch, frame FROM position WHERE stream = $1 AND let_go = 0 ORDER BY batch, frame LIMIT 1",
    )
    .bind(stream)
    .fetch_optional(&mut *connection)
    .await?;
    // A stream that no output takes is of no use to anybody.
    let passed = slowest.map_or(Position::after_batch(u64::MAX), position::decode);
    let (mut room, mut octets, mut removed_batches) = (GROUP, 0, 0);
    for (id, number) in &batches {
        let through = match unsigned(*number).cmp(&passed.batch) {
            std::cmp::Ordering::Less => i64::MAX,
            std::cmp::Ordering::Equal => i64::from(passed.frame),
            std::cmp::Ordering::Greater => break,
        };
        let removed = remove_frames(connection, *id, through, room).await?;
        room -= removed.frames;
        octets += removed.octets;
        if removed.left > 0 {
            break;
        }
        sqlx::query("DELETE FROM batch WHERE id = $1").bind(id).execute(&mut *connection).await?;
        removed_batches += 1;
    }
    if octets > 0 {
        batch::count_octets(connection, -octets).await?;
    }
    // Short of a full group, whatever is left is left because somebody still needs it.
    Ok(Step { octets: unsigned(octets), finished: room > 0 && removed_batches < BATCH_GROUP })
}

/// What was taken out of a batch, and how many frames it still has.
struct Removed {
    frames: i64,
    octets: i64,
    left: i64,
}

/// Takes a batch's first frames out: up to the given one, and at most `limit`. The outbox's sum is the caller's.
async fn remove_frames(
    connection: &mut SqliteConnection,
    batch: i64,
    through: i64,
    limit: i64,
) -> Result<Removed, Fault> {
    let (frames, events, raw_octets, octets, last): (i64, i64, i64, i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(events), 0), coalesce(sum(raw_octets), 0), coalesce(sum(octets), 0), max(seq)
         FROM (SELECT seq, events, raw_octets, length(body) AS octets FROM frame
               WHERE batch = $1 AND seq <= $2 ORDER BY seq LIMIT $3)",
    )
    .bind(batch)
    .bind(through)
    .bind(limit)
    .fetch_one(&mut *connection)
    .await?;
    if let Some(last) = last {
        sqlx::query("DELETE FROM frame WHERE batch = $1 AND seq <= $2")
            .bind(batch)
            .bind(last)
            .execute(&mut *connection)
            .await?;
    }
    let left = sqlx::query_scalar(
        "UPDATE batch SET frames = frames - $2, events = events - $3, raw_octets = raw_octets - $4, octets = octets - $5
         WHERE id = $1 RETURNING frames",
    )
    .bind(batch)
    .bind(frames)
    .bind(events)
    .bind(raw_octets)
    .bind(octets)
    .fetch_one(connection)
    .await?;
    Ok(Removed { frames, octets, left })
}

/// Throws an invisible batch away. One that is gone already is no error; one that was shown is.
pub(super) async fn discard(connections: &Connections, batch: BatchId) -> Result<(), Fault> {
    loop {
        let mut transaction = connections.write_durably(Durable::WithTheNext).await?;
        let result = discard_step(&mut transaction, batch).await;
        if transaction.end(result).await? {
            return Ok(());
        }
    }
}

/// One group of an invisible batch; true when nothing is left of it. Half of a batch can never be shown: its counts
/// are no longer those of its writer.
pub(super) async fn discard_step(connection: &mut SqliteConnection, batch: BatchId) -> Result<bool, Fault> {
    let number: Option<Option<i64>> = sqlx::query_scalar("SELECT number FROM batch WHERE id = $1")
        .bind(batch.0)
        .fetch_optional(&mut *connection)
        .await?;
    match number {
        None => return Ok(true),
        Some(Some(_)) => return Err(batch::not_open(batch)),
        Some(None) => {}
    }
    let removed = remove_frames(connection, batch.0, i64::MAX, GROUP).await?;
    batch::count_octets(connection, -removed.octets).await?;
    if removed.left > 0 {
        return Ok(false);
    }
    sqlx::query("DELETE FROM batch WHERE id = $1").bind(batch.0).execute(connection).await?;
    Ok(true)
}

/// Batches that nobody sees. At start all of them are a dead writer's.
pub(super) async fn invisible(connection: &mut SqliteConnection) -> Result<Vec<BatchId>, Fault> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM batch WHERE number IS NULL ORDER BY id").fetch_all(connection).await?;
    Ok(ids.into_iter().map(BatchId).collect())
}

/// Gives free pages back to the file system, but for a reserve.
async fn shrink(connections: &Connections) -> Result<(), Fault> {
    for _ in 0..SHRINK_STEPS {
        let mut transaction = connections.write_durably(Durable::WithTheNext).await?;
        let result = shrink_step(&mut transaction).await;
        if transaction.end(result).await? {
            break;
        }
    }
    Ok(())
}

/// One step; true when there is nothing more to give back.
async fn shrink_step(connection: &mut SqliteConnection) -> Result<bool, Fault> {
    let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *connection).await?;
    if free <= KEPT_FREE {
        return Ok(true);
    }
    sqlx::query(SHRINK).execute(connection).await?;
    Ok(false)
}
