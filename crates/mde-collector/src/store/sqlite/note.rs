//! What a running process says of itself, for those who look at the store from outside.

use super::fault::Fault;
use crate::store::Note;
use sqlx::SqliteConnection;

/// Writes notes; each replaces the one of its name.
pub(super) async fn put(connection: &mut SqliteConnection, notes: &[Note], now_ms: i64) -> Result<(), Fault> {
    for note in notes {
        sqlx::query(
            "INSERT INTO note (name, noted_ms, text) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET noted_ms = excluded.noted_ms, text = excluded.text",
        )
        .bind(&note.name)
        .bind(now_ms)
        .bind(&note.text)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// All of them, in the order of their names.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Note>, Fault> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, text FROM note ORDER BY name").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(name, text)| Note { name, text }).collect())
}
