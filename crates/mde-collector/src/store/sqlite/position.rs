//! Where outputs stand in each stream, and what they want to find again.

use super::fault::Fault;
use super::{passage, signed, stream, unsigned};
use crate::record::{Position, StreamKey};
use crate::store::{Attached, Passing, StartAt};
use sqlx::SqliteConnection;

/// Makes an output known for a stream, on their first meeting as `start` says, and tells where it stands.
///
/// A stream that was made after the output starts at its oldest frame whatever `start` says: all its events are newer
/// than the output, and "now" was when the output was made.
pub(super) async fn attach(
    connection: &mut SqliteConnection,
    output: &str,
    stream: &StreamKey,
    start: &StartAt,
    now_ms: i64,
) -> Result<Attached, Fault> {
    // The output comes first: with a stream that is made by this very call it shall count as the older one.
    let newest_stream = meet(connection, output, start, now_ms).await?;
    let row = stream::meet(connection, stream).await?;
    if let Some(position) = find(connection, output, row.id).await? {
        take_again(connection, output, row.id).await?;
        return Ok(Attached { stream: stream.clone(), position });
    }
    let position = match start {
        // A renaming takes over where the other stands; what the other never met, it has never sent.
        StartAt::Output(other) => inherit(connection, output, other, row.id).await?.unwrap_or(Position::START),
        StartAt::Now if row.id <= newest_stream => Position::after_batch(unsigned(row.last_batch)),
        StartAt::Now | StartAt::Oldest => Position::START,
    };
    place(connection, output, row.id, position).await?;
    if position != Position::START {
        passage::note(connection, output, row.id, position, (Passing::Began, now_ms)).await?;
    }
    Ok(Attached { stream: stream.clone(), position })
}

/// The output takes a stream that it may have left; it goes on where it stood.
async fn take_again(connection: &mut SqliteConnection, output: &str, stream: i64) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE position SET removed_ms = NULL, let_go = 0 WHERE output = $1 AND stream = $2 AND removed_ms IS NOT NULL",
    )
    .bind(output)
    .bind(stream)
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts an output that is known into a stream, unless it is there already.
pub(super) async fn place(
    connection: &mut SqliteConnection,
    output: &str,
    stream: i64,
    position: Position,
) -> Result<(), Fault> {
    sqlx::query("INSERT INTO position (output, stream, batch, frame) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(output)
        .bind(stream)
        .bind(signed(position.batch))
        .bind(i64::from(position.frame))
        .execute(connection)
        .await?;
    Ok(())
}

/// The output's row, made if it is new, and in use from now on: the newest stream of the moment in which it was made. A
/// renamed output keeps its memory.
async fn meet(connection: &mut SqliteConnection, output: &str, start: &StartAt, now_ms: i64) -> Result<i64, Fault> {
    let before = match start {
        StartAt::Output(other) => Some(other.as_str()),
        StartAt::Now | StartAt::Oldest => None,
    };
    Ok(sqlx::query_scalar(
        "INSERT INTO output (name, memory, newest_stream, used_ms)
         VALUES ($1, (SELECT memory FROM output WHERE name = $2), (SELECT coalesce(max(id), 0) FROM stream), $3)
         ON CONFLICT (name) DO UPDATE SET used_ms = excluded.used_ms, removed_ms = NULL
         RETURNING newest_stream",
    )
    .bind(output)
    .bind(before)
    .bind(now_ms)
    .fetch_one(connection)
    .await?)
}

/// Where the other output stands, and a note about it: once that one is no longer configured, this one has replaced it.
async fn inherit(
    connection: &mut SqliteConnection,
    output: &str,
    other: &str,
    stream: i64,
) -> Result<Option<Position>, Fault> {
    let position = find(connection, other, stream).await?;
    if position.is_some() {
        sqlx::query("UPDATE output SET heir_of = $2 WHERE name = $1")
            .bind(output)
            .bind(other)
            .execute(connection)
            .await?;
    }
    Ok(position)
}

/// Where the output stands in a stream; `None` before they have met.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    output: &str,
    stream: i64,
) -> Result<Option<Position>, Fault> {
    let position: Option<(i64, i64)> =
        sqlx::query_as("SELECT batch, frame FROM position WHERE output = $1 AND stream = $2")
            .bind(output)
            .bind(stream)
            .fetch_optional(connection)
            .await?;
    Ok(position.map(decode))
}

/// A position from its two columns.
pub(super) fn decode((batch, frame): (i64, i64)) -> Position {
    Position { batch: unsigned(batch), frame: u32::try_from(frame).unwrap_or(u32::MAX) }
}

/// Moves positions forward. One that lies behind the stored one is passed over: it was confirmed long ago. One behind
/// what the stream has shown is refused: it would skip events that are still to come.
pub(super) async fn advance(
    connection: &mut SqliteConnection,
    output: &str,
    positions: &[(StreamKey, Position)],
    memory: Option<&str>,
    now_ms: i64,
) -> Result<(), Fault> {
    for (stream, new) in positions {
        let row = stream::find(connection, stream).await?;
        let Some(row) = row else {
            return Err(Fault::broken(stream, "the stream is not known"));
        };
        let Some(old) = find(connection, output, row.id).await? else {
            return Err(not_attached(stream, output));
        };
        if new.batch > unsigned(row.last_batch) {
            let what = format!("output {output} would pass batch {}, the newest is {}", new.batch, row.last_batch);
            return Err(Fault::broken(stream, what));
        }
        if *new <= old {
            continue;
        }
        sqlx::query("UPDATE position SET batch = $3, frame = $4 WHERE output = $1 AND stream = $2")
            .bind(output)
            .bind(row.id)
            .bind(signed(new.batch))
            .bind(i64::from(new.frame))
            .execute(&mut *connection)
            .await?;
        passage::note(connection, output, row.id, *new, (Passing::Delivered, now_ms)).await?;
    }
    let kept = sqlx::query("UPDATE output SET memory = coalesce($2, memory), used_ms = $3 WHERE name = $1")
        .bind(output)
        .bind(memory)
        .bind(now_ms)
        .execute(connection)
        .await?;
    if kept.rows_affected() == 0 && memory.is_some() {
        return Err(Fault::broken(format!("output {output}"), "it has not been attached to any stream"));
    }
    Ok(())
}

/// What the output committed last.
pub(super) async fn memory(connection: &mut SqliteConnection, output: &str) -> Result<Option<String>, Fault> {
    let memory: Option<Option<String>> =
        sqlx::query_scalar("SELECT memory FROM output WHERE name = $1").bind(output).fetch_optional(connection).await?;
    Ok(memory.flatten())
}

/// The error for an output that has no place in a stream.
pub(super) fn not_attached(stream: &StreamKey, output: &str) -> Fault {
    Fault::broken(stream, format!("output {output} is not attached"))
}
