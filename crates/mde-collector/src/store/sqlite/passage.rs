//! When outputs came past which place, for whoever asks later what became of an event: one row each time a position moves,
//! bounded in time and number.

use super::fault::Fault;
use super::{position, signed, stream};
use crate::record::{Position, StreamKey, ms};
use crate::store::{HISTORY_KEPT, MAX_PASSAGES, Passage, Passing, Place};
use sqlx::SqliteConnection;

/// Rows that one move takes away at most; it adds one.
const PRUNE_STEPS: i64 = 8;

/// How an output came there, as the row holds it.
const fn code(how: Passing) -> i64 {
    match how {
        Passing::Delivered => 0,
        Passing::Jumped => 1,
        Passing::Began => 2,
    }
}

/// Notes that an output has come to a position, and takes some old rows away.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    output: &str,
    stream: i64,
    position: Position,
    (how, now_ms): (Passing, i64),
) -> Result<(), Fault> {
    let row: i64 = sqlx::query_scalar(
        "INSERT INTO passage (output, stream, batch, frame, passed_ms, how) VALUES ($1, $2, $3, $4, $5, $6) RETURNING row",
    )
    .bind(output)
    .bind(stream)
    .bind(signed(position.batch))
    .bind(i64::from(position.frame))
    .bind(now_ms)
    .bind(code(how))
    .fetch_one(&mut *connection)
    .await?;
    let kept_ms = ms(HISTORY_KEPT);
    // A row from the far future is one of a wrong clock, and goes as well.
    sqlx::query(
        "DELETE FROM passage WHERE row IN
             (SELECT row FROM (SELECT row, passed_ms FROM passage ORDER BY row LIMIT $4)
              WHERE row <= $1 OR passed_ms NOT BETWEEN $2 AND $3)",
    )
    .bind(row - signed(MAX_PASSAGES))
    .bind(now_ms.saturating_sub(kept_ms))
    .bind(now_ms.saturating_add(kept_ms))
    .bind(PRUNE_STEPS)
    .execute(connection)
    .await?;
    Ok(())
}

/// How an output first came to a position or past it. Reads the table from its beginning.
pub(super) async fn first(
    connection: &mut SqliteConnection,
    output: &str,
    stream: &StreamKey,
    place: Position,
) -> Result<Option<Passage>, Fault> {
    let Some(row) = stream::find(connection, stream).await? else { return Ok(None) };
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT passed_ms, how FROM passage
         WHERE output = $1 AND stream = $2 AND (batch > $3 OR (batch = $3 AND frame >= $4)) ORDER BY row LIMIT 1",
    )
    .bind(output)
    .bind(row.id)
    .bind(signed(place.batch))
    .bind(i64::from(place.frame))
    .fetch_optional(connection)
    .await?;
    found.map_or(Ok(None), |(passed_ms, how)| {
        let ways = [Passing::Delivered, Passing::Jumped, Passing::Began];
        let how = ways.into_iter().find(|way| code(*way) == how);
        let how = how.ok_or_else(|| Fault::Torn("a passage of an unknown kind".to_owned()))?;
        Ok(Some(Passage { passed_ms, how }))
    })
}

/// The passages of an output that has got another name are its own still.
pub(super) async fn hand_over(connection: &mut SqliteConnection, heir: &str, old: &str) -> Result<(), Fault> {
    sqlx::query("UPDATE passage SET output = $1 WHERE output = $2").bind(heir).bind(old).execute(connection).await?;
    Ok(())
}

/// Removes those of an output that is about to be forgotten.
pub(super) async fn forget(connection: &mut SqliteConnection, output: &str) -> Result<(), Fault> {
    sqlx::query("DELETE FROM passage WHERE output = $1").bind(output).execute(connection).await?;
    Ok(())
}

/// A position with the names that belong to it: output, tenant, service, query, batch, frame.
type Named = (String, String, String, String, i64, i64);

/// Where all outputs stand, but for streams that they take no more and that hold nothing for them.
pub(super) async fn places(connection: &mut SqliteConnection) -> Result<Vec<Place>, Fault> {
    let rows: Vec<Named> = sqlx::query_as(
        "SELECT position.output, stream.tenant, stream.service, stream.query, position.batch, position.frame
         FROM position JOIN stream ON stream.id = position.stream
         WHERE position.let_go = 0 ORDER BY position.output, stream.id",
    )
    .fetch_all(connection)
    .await?;
    let place = |(output, tenant, service, query, batch, frame): Named| Place {
        output,
        stream: stream::named(tenant, service, query),
        position: position::decode((batch, frame)),
    };
    Ok(rows.into_iter().map(place).collect())
}
