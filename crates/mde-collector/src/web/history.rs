//! What the page draws over time: a sample of each series a minute for a day, and the last pulls of each stream.
//!
//! It lies in a small file of its own beside the store, so that drawing never holds up a commit, and nothing depends on it:
//! a file that cannot be used is told once, and the history is kept in memory then.

use crate::status::{LastPull, PullEnd, of_stream};
use crate::telemetry::web as events;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, FromRow, SqliteConnection};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;

/// The file. The name begins like the store's, whose room leaves alone only what is not ours.
const FILE: &str = "mde-collector.history.db";
/// What the file carries in its header, so that a foreign one is told apart.
const APPLICATION_ID: i64 = 1_296_319_813;
/// How far back samples go. Unit: minutes.
pub const DAY: i64 = 24 * 60;
/// Pulls of one stream that are kept.
pub const PULLS: i64 = 100;

/// The tables. Samples lie in the order of time, so that adding and pruning touch the two ends alone; pulls of a stream are
/// a ring of [`PULLS`] places.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS sample (
    minute INTEGER NOT NULL,
    series INTEGER NOT NULL,
    level INTEGER,
    flow INTEGER NOT NULL,
    PRIMARY KEY (minute, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pull (
    series INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    number INTEGER NOT NULL,
    began_ms INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    requests INTEGER,
    fetched INTEGER,
    events INTEGER,
    repeated INTEGER,
    error TEXT,
    PRIMARY KEY (series, slot)
) STRICT, WITHOUT ROWID;";

/// One series at one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The series: the name of a stream's or output's note, or `outbox`.
    pub name: String,
    /// Lag of a stream (seconds), what waits for an output (octets).
    pub level: Option<i64>,
    /// Events in that minute: stored by a stream, delivered by an output.
    pub flow: i64,
}

/// A point of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Minutes since 1970.
    pub minute: i64,
    /// As the sample's.
    pub level: Option<i64>,
    /// As the sample's.
    pub flow: i64,
}

/// A pull that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// When it began. Unit: milliseconds since 1970, UTC.
    pub began_ms: i64,
    /// How long it took. Unit: milliseconds.
    pub took_ms: u64,
    /// What it came to; not known of one that ended early.
    pub came_to: Option<LastPull>,
    /// What ended it early.
    pub error: Option<String>,
}

/// The file, or its like in memory.
pub struct History {
    connection: Mutex<SqliteConnection>,
}

impl History {
    /// Opens the file of a folder; in memory without one, and where it cannot be used.
    pub async fn open(directory: Option<&Path>) -> Self {
        let opened = match directory {
            Some(directory) => connect(SqliteConnectOptions::new().filename(directory.join(FILE))).await,
            None => connect(SqliteConnectOptions::new()).await,
        };
        let connection = match opened {
            Ok(connection) => connection,
            Err(error) => {
                events::forgetful(&error);
                connect(SqliteConnectOptions::new()).await.expect("a database in memory opens")
            }
        };
        Self { connection: Mutex::new(connection) }
    }

    /// Adds the samples of a minute, and takes away what is older than a day. A minute that has its samples keeps them.
    pub async fn sample(&self, minute: i64, samples: &[Sample]) -> Result<(), sqlx::Error> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin().await?;
        let series = "INSERT INTO series (name) SELECT value FROM json_each($1) WHERE true ON CONFLICT DO NOTHING";
        let names: Vec<&str> = samples.iter().map(|sample| &*sample.name).collect();
        sqlx::query(series).bind(json(&names)).execute(&mut *transaction).await?;
        let rows: Vec<_> = samples.iter().map(|sample| (&sample.name, sample.level, sample.flow)).collect();
        sqlx::query(
            "INSERT INTO sample (minute, series, level, flow)
             SELECT $1, series.id, json_extract(value, '$[1]'), json_extract(value, '$[2]')
             FROM json_each($2) JOIN series ON series.name = json_extract(value, '$[0]') WHERE true ON CONFLICT DO NOTHING",
        )
        .bind(minute)
        .bind(json(&rows))
        .execute(&mut *transaction)
        .await?;
        // One from the far future is one of a wrong clock, and goes as well.
        sqlx::query("DELETE FROM sample WHERE minute < $1 OR minute > $2")
            .bind(minute - DAY)
            .bind(minute + DAY)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Adds pulls that have ended; of each stream the newest are kept.
    pub async fn ended(&self, ends: &[PullEnd]) -> Result<(), sqlx::Error> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin().await?;
        for PullEnd { stream, began_ms, took_ms, came_to, error } in ends {
            let name = of_stream(stream);
            let series = "INSERT INTO series (name) VALUES ($1) ON CONFLICT DO NOTHING";
            sqlx::query(series).bind(&name).execute(&mut *transaction).await?;
            let told = |number: fn(&LastPull) -> u64| came_to.as_ref().map(|pull| signed(number(pull)));
            sqlx::query(
                "INSERT OR REPLACE INTO pull
                 SELECT id, number % $1, number, $2, $3, $4, $5, $6, $7, $8 FROM
                     (SELECT id, 1 + coalesce((SELECT max(number) FROM pull WHERE series = id), 0) AS number
                      FROM series WHERE name = $9)",
            )
            .bind(PULLS)
            .bind(began_ms)
            .bind(signed(*took_ms))
            .bind(told(|pull| pull.requests))
            .bind(told(|pull| pull.rows))
            .bind(told(|pull| pull.events))
            .bind(told(|pull| pull.repeated))
            .bind(error)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }

    /// The last pulls of a stream, the newest first.
    pub async fn pulls(&self, name: &str) -> Result<Vec<Pull>, sqlx::Error> {
        let mut connection = self.connection.lock().await;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT pull.* FROM pull JOIN series ON series.id = pull.series WHERE series.name = $1 ORDER BY number DESC",
        )
        .bind(name)
        .fetch_all(&mut *connection)
        .await?;
        Ok(rows.into_iter().map(Row::pull).collect())
    }

    /// Points of these series in the day before that minute, one each `step` minutes, in the order of time.
    pub async fn points(
        &self,
        names: &[&str],
        minute: i64,
        step: i64,
    ) -> Result<BTreeMap<String, Vec<Point>>, sqlx::Error> {
        let newest = minute - minute.rem_euclid(step);
        let mut connection = self.connection.lock().await;
        let rows: Vec<(String, i64, Option<i64>, i64)> = sqlx::query_as(
            "WITH RECURSIVE minutes (minute) AS (SELECT $1 UNION ALL SELECT minute + $2 FROM minutes WHERE minute < $3)
             SELECT series.name, sample.minute, sample.level, sample.flow
             FROM json_each($4) AS wanted CROSS JOIN series ON series.name = wanted.value CROSS JOIN minutes
             CROSS JOIN sample ON sample.minute = minutes.minute AND sample.series = series.id",
        )
        .bind(newest - DAY + step)
        .bind(step)
        .bind(newest)
        .bind(json(&names))
        .fetch_all(&mut *connection)
        .await?;
        let mut found: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for (name, minute, level, flow) in rows {
            found.entry(name).or_default().push(Point { minute, level, flow });
        }
        Ok(found)
    }
}

/// A row of `pull`.
#[derive(FromRow)]
struct Row {
    began_ms: i64,
    took_ms: i64,
    requests: Option<i64>,
    fetched: Option<i64>,
    events: Option<i64>,
    repeated: Option<i64>,
    error: Option<String>,
}

impl Row {
    fn pull(self) -> Pull {
        let numbers = (self.requests, self.fetched, self.events, self.repeated);
        let came_to = match numbers {
            (Some(requests), Some(rows), Some(events), Some(repeated)) => {
                let [requests, rows, events, repeated] = [requests, rows, events, repeated].map(unsigned);
                Some(LastPull { requests, rows, events, repeated })
            }
            _ => None,
        };
        Pull { began_ms: self.began_ms, took_ms: unsigned(self.took_ms), came_to, error: self.error }
    }
}

/// Opens a database and makes its tables.
async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(5))
        .pragma("cache_size", "-512")
        .disable_statement_logging();
    let mut connection = options.connect().await?;
    let (id, tables): (i64, i64) =
        sqlx::query_as("SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id")
            .fetch_one(&mut connection)
            .await?;
    if tables > 0 && id != APPLICATION_ID {
        return Err(sqlx::Error::Configuration("the file is somebody else's".into()));
    }
    let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
    sqlx::query(sqlx::AssertSqlSafe(mark)).execute(&mut connection).await?;
    sqlx::raw_sql(TABLES).execute(&mut connection).await?;
    Ok(connection)
}

/// Values for `json_each`.
fn json(values: &impl serde::Serialize) -> String {
    serde_json::to_string(values).expect("texts and numbers have a JSON form")
}

/// Numbers that a column holds.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StreamKey;

    /// A sample of `outbox`.
    fn outbox(level: i64) -> Vec<Sample> {
        vec![Sample { name: "outbox".to_owned(), level: Some(level), flow: 2 * level }]
    }

    /// The levels that are kept, with their minutes.
    async fn levels(history: &History, minute: i64, step: i64) -> Vec<(i64, i64)> {
        let mut points = history.points(&["outbox"], minute, step).await.expect("points");
        let points = points.remove("outbox").unwrap_or_default();
        points.iter().map(|point| (point.minute, point.level.expect("it has one"))).collect()
    }

    #[tokio::test]
    async fn a_day_of_samples_outlives_the_process_and_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = History::open(Some(folder.path())).await;
        for minute in [10, 15, 16, DAY + 15] {
            history.sample(minute, &outbox(minute)).await.expect("sample");
        }
        drop(history);
        let history = History::open(Some(folder.path())).await;
        history.sample(DAY + 15, &outbox(1)).await.expect("the minute has its sample");
        assert_eq!(levels(&history, DAY + 15, 1).await, [(16, 16), (DAY + 15, DAY + 15)]);
        assert_eq!(levels(&history, DAY + 15, 15).await, [(DAY + 15, DAY + 15)]);
    }

    #[tokio::test]
    async fn of_each_stream_the_last_hundred_pulls_are_kept() {
        let history = History::open(None).await;
        let stream = |service: &str| StreamKey { tenant: "t".to_owned(), service: service.to_owned(), query: None };
        let end = |service, began_ms| PullEnd {
            stream: stream(service),
            began_ms,
            took_ms: 5,
            came_to: Some(LastPull { requests: 1, rows: 2, events: 3, repeated: 4 }),
            error: None,
        };
        let failed = PullEnd { came_to: None, error: Some("ask: 503".to_owned()), ..end("alerts", 250) };
        let ends: Vec<_> =
            (0..250).map(|began_ms| end("alerts", began_ms)).chain([failed, end("machines", 1)]).collect();
        history.ended(&ends).await.expect("ended");
        let pulls = history.pulls(&of_stream(&stream("alerts"))).await.expect("pulls");
        assert_eq!(pulls.len(), 100);
        assert_eq!((pulls[0].began_ms, pulls[0].error.as_deref(), pulls[0].came_to), (250, Some("ask: 503"), None));
        assert_eq!((pulls[99].began_ms, pulls[99].came_to), (151, ends[0].came_to));
        assert_eq!(history.pulls(&of_stream(&stream("machines"))).await.expect("pulls").len(), 1);
    }

    #[tokio::test]
    async fn a_file_that_is_not_ours_stays_as_it_is_and_the_history_goes_on_in_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), "a diary").expect("writable");
        let history = History::open(Some(folder.path())).await;
        history.sample(1, &outbox(1)).await.expect("sample");
        assert_eq!(levels(&history, 1, 1).await, [(1, 1)]);
        assert_eq!(std::fs::read(folder.path().join(FILE)).expect("readable"), b"a diary");
    }
}
