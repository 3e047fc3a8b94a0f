//! `related_*` counts: for each stream and count one row an entity, with the newest value.

use super::fault::Fault;
use super::many::{self, QUESTION_CHUNK, WRITE_CHUNK};
use super::{signed, stream, unsigned};
use crate::record::{EntityKey, StreamKey};
use crate::store::{CountKind, CountState, Known, Told, Wanted};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The numbers of these counts, in their order; `None` for one that nobody has named yet.
async fn kinds(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    names: &[&str],
) -> Result<Vec<Option<i64>>, Fault> {
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(vec![None; names.len()]);
    };
    let known: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, id FROM count_kind WHERE stream = $1").bind(row.id).fetch_all(connection).await?;
    let known: BTreeMap<String, i64> = known.into_iter().collect();
    Ok(names.iter().map(|name| known.get(*name).copied()).collect())
}

/// The number of a count, made if it is new.
async fn kind(connection: &mut SqliteConnection, stream: &StreamKey, name: &str) -> Result<i64, Fault> {
    if let [Some(kind)] = *kinds(connection, stream, &[name]).await? {
        return Ok(kind);
    }
    let row = stream::meet(connection, stream).await?;
    Ok(sqlx::query_scalar("INSERT INTO count_kind (stream, name, method, reason) VALUES ($1, $2, '', '') RETURNING id")
        .bind(row.id)
        .bind(name)
        .fetch_one(connection)
        .await?)
}

/// What is known, for each key in the order of the names.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    names: &[&str],
    keys: &[EntityKey],
) -> Result<Vec<Vec<Option<Known>>>, Fault> {
    let mut answer = vec![vec![None; names.len()]; keys.len()];
    let kinds = kinds(connection, stream, names).await?;
    // In their own order neighbours are found in the same page.
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|index| keys[*index]);
    for (column, kind) in kinds.iter().enumerate().filter_map(|(column, kind)| Some((column, (*kind)?))) {
        for part in order.chunks(QUESTION_CHUNK) {
            // One row for all: a row costs more on its way from the driver's thread than a count does in the file.
            let found: String = sqlx::query_scalar(
                "SELECT json_group_array(json_array(asked.key, stored.value, stored.tried_ms > 0,
                                                    stored.wanted_ms IS NOT NULL))
                 FROM json_each($1) AS asked CROSS JOIN count AS stored
                 WHERE stored.kind = $2 AND stored.key = unhex(asked.value)",
            )
            .bind(many::json_array(part, |text, index| many::hex(text, &keys[*index].0)))
            .bind(kind)
            .fetch_one(&mut *connection)
            .await?;
            let found: Vec<(usize, Option<i64>, i64, i64)> =
                serde_json::from_str(&found).map_err(|cause| sqlx::Error::Decode(cause.into()))?;
            for (place, value, tried, wanted) in found {
                let index = *part.get(place).expect("the answer is an index of the question");
                answer[index][column] =
                    Some(Known { value: value.map(unsigned), tried: tried != 0, wanted: wanted != 0 });
            }
        }
    }
    Ok(answer)
}

/// Counts of entities are wanted from now on.
pub(super) async fn want(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    names: &[&str],
    entities: &[(EntityKey, String)],
    now_ms: i64,
) -> Result<(), Fault> {
    for name in names {
        let kind = kind(connection, stream, name).await?;
        for chunk in entities.chunks(WRITE_CHUNK) {
            // Text: 32 hex digits of the key, hex of the id. One that only a reading has shown gets its id now.
            sqlx::query(
                "INSERT INTO count (kind, key, id, wanted_ms, tried_ms)
                 SELECT $1, unhex(substr(value, 1, 32)), CAST(unhex(substr(value, 33)) AS TEXT), $2, 0
                 FROM json_each($3) WHERE true
                 ON CONFLICT (kind, key) DO UPDATE SET id = excluded.id, wanted_ms = excluded.wanted_ms
                 WHERE count.wanted_ms IS NULL",
            )
            .bind(kind)
            .bind(now_ms)
            .bind(many::json_array(chunk, |text, (key, id)| {
                many::hex(text, &key.0);
                many::hex(text, id.as_bytes());
            }))
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

/// What is wanted and was not tried since then, the longest ago first.
pub(super) async fn stale(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    names: &[&str],
    since_ms: i64,
    limit: u32,
) -> Result<Vec<Wanted>, Fault> {
    let kinds = kinds(connection, stream, names).await?;
    let mut stale: Vec<(i64, Vec<u8>, String, &str)> = Vec::new();
    for (name, kind) in names.iter().zip(kinds) {
        let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
            "SELECT tried_ms, key, id FROM count
             WHERE kind = $1 AND (tried_ms < $2 OR tried_ms = 0) AND wanted_ms IS NOT NULL ORDER BY tried_ms LIMIT $3",
        )
        .bind(kind)
        .bind(since_ms)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
        stale.extend(rows.into_iter().map(|(tried_ms, key, id)| (tried_ms, key, id, *name)));
    }
    stale.sort_by_key(|(tried_ms, ..)| *tried_ms);
    stale.truncate(limit as usize);
    let torn = |_| Fault::Torn("a count's key is too long or short".to_owned());
    stale
        .into_iter()
        .map(|(_, key, id, name)| {
            Ok(Wanted { key: EntityKey(key.try_into().map_err(torn)?), id, name: name.to_owned() })
        })
        .collect()
}

/// Keeps what was told of what is wanted.
pub(super) async fn tell(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    taken_ms: i64,
    told: &[Told],
) -> Result<(), Fault> {
    for told in told {
        let [kind] = *kinds(connection, stream, &[&told.name]).await? else { continue };
        let (value, trouble) = match &told.value {
            Ok(value) => (Some(signed(*value)), None),
            Err(trouble) => (None, Some(trouble)),
        };
        // Never 0: that is how one stands that was never tried.
        sqlx::query(
            "UPDATE count SET tried_ms = $3, trouble = $5, value = coalesce($4, value),
                    taken_ms = CASE WHEN $4 IS NULL THEN taken_ms ELSE $3 END
             WHERE kind = $1 AND key = $2 AND tried_ms <= $3",
        )
        .bind(kind)
        .bind(&told.key.0[..])
        .bind(taken_ms.max(1))
        .bind(value)
        .bind(trouble)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Keeps values of a whole reading.
pub(super) async fn tell_read(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    name: &str,
    taken_ms: i64,
    values: &[(EntityKey, u64)],
) -> Result<(), Fault> {
    let kind = kind(connection, stream, name).await?;
    for chunk in values.chunks(WRITE_CHUNK) {
        sqlx::query(
            "INSERT INTO count (kind, key, id, tried_ms, value, taken_ms)
             SELECT $1, unhex(substr(value, 1, 32)), '', $2, CAST(substr(value, 33) AS INTEGER), $2
             FROM json_each($3) WHERE true
             ON CONFLICT (kind, key) DO UPDATE SET
                 tried_ms = excluded.tried_ms, value = excluded.value, taken_ms = excluded.taken_ms, trouble = NULL
             WHERE count.tried_ms <= excluded.tried_ms",
        )
        .bind(kind)
        .bind(taken_ms.max(1))
        .bind(many::json_array(chunk, |text, (key, value)| {
            many::hex(text, &key.0);
            write!(text, "{:019}", signed(*value)).expect("a String takes everything");
        }))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Ends a whole reading: what it did not show and was wanted before is 0, where that is what silence means.
pub(super) async fn read_ended(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    name: &str,
    taken_ms: i64,
    zero: bool,
) -> Result<(), Fault> {
    let kind = kind(connection, stream, name).await?;
    if zero {
        sqlx::query(
            "UPDATE count SET tried_ms = $2, taken_ms = $2, value = 0, trouble = NULL
             WHERE kind = $1 AND tried_ms < $2 AND wanted_ms <= $2",
        )
        .bind(kind)
        .bind(taken_ms.max(1))
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("UPDATE count_kind SET passed_ms = $2, trouble = NULL WHERE id = $1")
        .bind(kind)
        .bind(taken_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes how a count is had.
pub(super) async fn choose(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    name: &str,
    method: &str,
    reason: &str,
) -> Result<(), Fault> {
    let kind = kind(connection, stream, name).await?;
    sqlx::query("UPDATE count_kind SET method = $2, reason = $3 WHERE id = $1")
        .bind(kind)
        .bind(method)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes why a count could not be had as a whole.
pub(super) async fn trouble(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    name: &str,
    trouble: Option<&str>,
) -> Result<(), Fault> {
    let kind = kind(connection, stream, name).await?;
    sqlx::query("UPDATE count_kind SET trouble = $2 WHERE id = $1")
        .bind(kind)
        .bind(trouble)
        .execute(connection)
        .await?;
    Ok(())
}

/// How a count is had.
#[derive(sqlx::FromRow)]
struct Kind {
    name: String,
    method: String,
    reason: String,
    passed_ms: Option<i64>,
    trouble: Option<String>,
}

/// A count and its sums.
#[derive(sqlx::FromRow)]
struct State {
    #[sqlx(flatten)]
    kind: Kind,
    wanted: i64,
    known: i64,
    oldest_ms: Option<i64>,
    failed: i64,
}

impl From<Kind> for CountKind {
    fn from(Kind { name, method, reason, passed_ms, trouble }: Kind) -> Self {
        Self { name, method, reason, passed_ms, trouble }
    }
}

/// How each count of a stream is had.
pub(super) async fn all_kinds(connection: &mut SqliteConnection, stream: &StreamKey) -> Result<Vec<CountKind>, Fault> {
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(Vec::new());
    };
    let rows: Vec<Kind> = sqlx::query_as("SELECT * FROM count_kind WHERE stream = $1 ORDER BY id")
        .bind(row.id)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(CountKind::from).collect())
}

/// How each count of a stream stands. Reads the stream's counts from end to end.
pub(super) async fn states(connection: &mut SqliteConnection, stream: &StreamKey) -> Result<Vec<CountState>, Fault> {
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(Vec::new());
    };
    let rows: Vec<State> = sqlx::query_as(
        "SELECT count_kind.name, method, reason, passed_ms, count_kind.trouble, count(count.wanted_ms) AS wanted,
                count(count.value) FILTER (WHERE count.wanted_ms IS NOT NULL) AS known,
                min(count.taken_ms) FILTER (WHERE count.wanted_ms IS NOT NULL) AS oldest_ms,
                count(count.trouble) AS failed
         FROM count_kind LEFT JOIN count ON count.kind = count_kind.id
         WHERE stream = $1 GROUP BY count_kind.id ORDER BY count_kind.id",
    )
    .bind(row.id)
    .fetch_all(connection)
    .await?;
    let state = |row: State| CountState {
        kind: row.kind.into(),
        wanted: unsigned(row.wanted),
        known: unsigned(row.known),
        oldest_ms: row.oldest_ms,
        failed: unsigned(row.failed),
    };
    Ok(rows.into_iter().map(state).collect())
}

/// Forgets counts of entities that are gone.
pub(super) async fn prune(connection: &mut SqliteConnection, stream: &StreamKey) -> Result<u64, Fault> {
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(0);
    };
    let pruned = sqlx::query(
        "DELETE FROM count WHERE kind IN (SELECT id FROM count_kind WHERE stream = $1) AND NOT EXISTS
             (SELECT 1 FROM entity WHERE entity.stream = $1 AND entity.epoch = $2 AND entity.key = count.key)",
    )
    .bind(row.id)
    .bind(row.epoch)
    .execute(connection)
    .await?;
    Ok(pruned.rows_affected())
}

/// Forgets counts that were wanted long ago.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    before_ms: i64,
) -> Result<u64, Fault> {
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(0);
    };
    let forgotten =
        sqlx::query("DELETE FROM count WHERE kind IN (SELECT id FROM count_kind WHERE stream = $1) AND wanted_ms < $2")
            .bind(row.id)
            .bind(before_ms)
            .execute(connection)
            .await?;
    Ok(forgotten.rows_affected())
}
