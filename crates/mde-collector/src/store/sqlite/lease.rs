//! Leases: who may work on what, and the number by which a late commit is recognised.

use super::fault::Fault;
use super::{signed, unsigned};
use crate::store::{Lease, StoreError};
use sqlx::SqliteConnection;

/// Renews for its owner with the same fence; takes over what has ended or was given back with the next one.
pub(super) async fn acquire(
    connection: &mut SqliteConnection,
    name: &str,
    owner: &str,
    now_ms: i64,
    until_ms: i64,
) -> Result<Option<Lease>, Fault> {
    let fence: Option<i64> = sqlx::query_scalar(
        "INSERT INTO lease (name, owner, fence, until_ms) VALUES ($1, $2, 1, $3)
         ON CONFLICT (name) DO UPDATE SET
             fence = CASE WHEN lease.owner = excluded.owner THEN lease.fence ELSE lease.fence + 1 END,
             owner = excluded.owner,
             until_ms = excluded.until_ms
         WHERE lease.owner IS NULL OR lease.owner = excluded.owner OR lease.until_ms < $4
         RETURNING fence",
    )
    .bind(name)
    .bind(owner)
    .bind(until_ms)
    .bind(now_ms)
    .fetch_optional(connection)
    .await?;
    Ok(fence.map(|fence| Lease { name: name.to_owned(), owner: owner.to_owned(), fence: unsigned(fence) }))
}

/// Gives the lease back. One that is somebody else's by now is left to him.
pub(super) async fn release(connection: &mut SqliteConnection, lease: &Lease) -> Result<(), Fault> {
    sqlx::query("UPDATE lease SET owner = NULL, until_ms = 0 WHERE name = $1 AND owner = $2 AND fence = $3")
        .bind(&lease.name)
        .bind(&lease.owner)
        .bind(signed(lease.fence))
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether one of them is held now.
pub(super) async fn held(connection: &mut SqliteConnection, now_ms: i64) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM lease WHERE owner IS NOT NULL AND until_ms >= $1)")
        .bind(now_ms)
        .fetch_one(connection)
        .await?)
}

/// Refuses a lease that is not the newest of its name. That its time has run out does no harm while nobody took it.
pub(super) async fn require(connection: &mut SqliteConnection, lease: &Lease) -> Result<(), Fault> {
    let held: Option<i64> = sqlx::query_scalar("SELECT 1 FROM lease WHERE name = $1 AND owner = $2 AND fence = $3")
        .bind(&lease.name)
        .bind(&lease.owner)
        .bind(signed(lease.fence))
        .fetch_optional(connection)
        .await?;
    match held {
        Some(_) => Ok(()),
        None if crate::record::Mistake::NoFence.is_made() => Ok(()),
        None => Err(lost(lease).into()),
    }
}

/// The error for a lease that is somebody else's.
pub(super) fn lost(lease: &Lease) -> StoreError {
    StoreError::LeaseLost { name: lease.name.clone(), fence: lease.fence }
}

/// Ends all leases. Only under the file lock, which proves that their owners are gone. Fences go on growing.
pub(super) async fn end_all(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query("UPDATE lease SET owner = NULL, until_ms = 0").execute(connection).await?;
    Ok(())
}
