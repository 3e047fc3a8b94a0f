//! Whether a file is ours, of a format that we know, and whole.
//!
//! After an orderly end a look at every table is enough. After any other end everything is read: SQLite's own structure,
//! every frame's checksum, and the sums that are kept beside the frames.

use super::fault::Fault;
use super::frame;
use crate::store::StoreError;
use futures_util::TryStreamExt;
use sqlx::SqliteConnection;
use sqlx::migrate::{MigrateError, Migrator};
use std::path::Path;

/// The steps from nothing to the newest format; each sets `user_version` to its own number.
static MIGRATIONS: Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// What our files carry in their header. The first migration writes it.
const APPLICATION_ID: i64 = 1_296_319_811;

/// The formats that there have been.
pub(super) fn formats() -> impl Iterator<Item = i64> {
    MIGRATIONS.iter().map(|migration| migration.version)
}

/// The newest format that this version reads.
pub(super) fn newest_format() -> i64 {
    formats().max().unwrap_or_default()
}

/// Brings the tables to the newest format.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Fault> {
    migrate_to(connection, newest_format()).await
}

/// Brings the tables to a format, step by step.
pub(super) async fn migrate_to(connection: &mut SqliteConnection, format: i64) -> Result<(), Fault> {
    // `run` would do the same, but makes the future of whoever opens a store one that cannot be spawned.
    MIGRATIONS.run_direct(Some(format), connection, false).await.map_err(|error| match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => Fault::Sql(cause),
        other => Fault::Torn(format!("its format is not one of ours: {other}")),
    })
}

/// Refuses a file that somebody else made, or a newer version of ours, before anything in it is changed.
pub(super) async fn identify(connection: &mut SqliteConnection, path: &Path) -> Result<(), Fault> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await?;
    if pages == 0 {
        return Err(Fault::Torn("the file is empty".to_owned()));
    }
    if id != APPLICATION_ID {
        let what = "it is another program's database".to_owned();
        return Err(StoreError::Foreign { path: path.display().to_string(), what }.into());
    }
    let (found, known) = (sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await?, newest_format());
    if found > known {
        return Err(StoreError::Newer { path: path.display().to_string(), found, known }.into());
    }
    Ok(())
}

/// Refuses a file of an older format, for those who may not bring it to the newest one.
pub(super) async fn require_newest(connection: &mut SqliteConnection, path: &Path) -> Result<(), Fault> {
    let (found, known) = (sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await?, newest_format());
    if found < known {
        return Err(StoreError::Older { path: path.display().to_string(), found, known }.into());
    }
    Ok(())
}

/// Whether the last user of the file closed it.
pub(super) async fn was_closed(connection: &mut SqliteConnection) -> Result<bool, Fault> {
    let clean: Option<i64> = sqlx::query_scalar("SELECT clean FROM store").fetch_optional(connection).await?;
    clean.map(|clean| clean == 1).ok_or_else(|| Fault::Torn("the table store is empty".to_owned()))
}

/// What must hold before anything is written: the file is as long as it says, and after an unclean end every page of it is
/// where it belongs.
pub(super) async fn structure(connection: &mut SqliteConnection, path: &Path, closed: bool) -> Result<(), Fault> {
    let (pages, page_size): (i64, i64) =
        sqlx::query_as("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
            .fetch_one(&mut *connection)
            .await?;
    if closed {
        let length = std::fs::metadata(path).map_err(sqlx::Error::Io)?.len();
        if super::unsigned(pages * page_size) > length {
            return Err(Fault::Torn(format!("{pages} pages do not fit into {length} octets")));
        }
        return Ok(());
    }
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(connection).await?;
    // The verdict names pages and tables.
    if verdict == "ok" { Ok(()) } else { Err(Fault::Torn(verdict)) }
}

/// Every table, its newest rows: finds a file that was written over since it was closed.
pub(super) async fn quick(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query(
        "SELECT (SELECT max(id) FROM stream), (SELECT max(id) FROM batch), (SELECT max(id) FROM frame),
                (SELECT max(stream) FROM version_key), (SELECT max(stream) FROM entity),
                (SELECT max(newest_stream) FROM output), (SELECT max(batch) FROM position),
                 (SELECT max(id) FROM dead_letter), (SELECT max(row) FROM trace), (SELECT max(kind) FROM count),
                 (SELECT max(id) FROM count_kind), (SELECT max(row) FROM passage), (SELECT max(noted_ms) FROM note),
                 (SELECT max(fence) FROM lease), (SELECT octets FROM store)",
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Every frame and every sum, log included.
pub(super) async fn full(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sums(connection).await?;
    let mut frames =
        sqlx::query_as::<_, frame::Row>("SELECT batch, seq, events, raw_octets, checksum, body FROM frame ORDER BY id")
            .fetch(connection);
    while let Some(row) = frames.try_next().await? {
        row.verify()?;
    }
    Ok(())
}

/// What is counted beside the frames must be what is there. Each part yields a row only where it is not.
async fn sums(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let wrong: Option<String> = sqlx::query_scalar(
        "SELECT 'batch row ' || batch.id || ' and its frames differ' FROM batch LEFT JOIN
             (SELECT batch, count(*) AS frames, sum(events) AS events, sum(raw_octets) AS raw_octets,
                     sum(length(body)) AS octets
              FROM frame GROUP BY batch) AS held ON held.batch = batch.id
         WHERE (batch.frames, batch.events, batch.raw_octets, batch.octets) IS NOT
               (coalesce(held.frames, 0), coalesce(held.events, 0), coalesce(held.raw_octets, 0),
                coalesce(held.octets, 0))
         UNION ALL
         SELECT 'frame row ' || frame.id || ' has no batch' FROM frame
         WHERE NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = frame.batch)
         UNION ALL
         SELECT 'the sum of octets is wrong' FROM store
         WHERE octets <> (SELECT coalesce(sum(octets), 0) FROM batch)
         UNION ALL
         SELECT 'the dead letters of output ' || output.name || ' were counted wrongly' FROM output LEFT JOIN
             (SELECT output, count(*) AS letters, sum(octets) AS octets FROM dead_letter GROUP BY output) AS held
             ON held.output = output.name
         WHERE (output.dead_letters, output.dead_octets) IS NOT (coalesce(held.letters, 0), coalesce(held.octets, 0))
         UNION ALL
         SELECT 'a batch of stream ' || stream.id || ' is newer than the stream' FROM stream
         WHERE EXISTS (SELECT 1 FROM batch WHERE batch.stream = stream.id AND batch.number > stream.last_batch)
         UNION ALL
         SELECT 'output ' || position.output || ' is ahead of stream ' || stream.id
         FROM position JOIN stream ON stream.id = position.stream WHERE position.batch > stream.last_batch
         LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    wrong.map_or(Ok(()), |what| Err(Fault::Torn(what)))
}
