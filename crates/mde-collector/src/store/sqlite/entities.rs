//! Entities of streams that read snapshots: one row each, however many snapshots there were.

use super::fault::Fault;
use super::many::{self, QUESTION_CHUNK, WRITE_CHUNK};
use super::{signed, stream, unsigned};
use crate::record::{EntityKey, StreamKey};
use crate::store::{LastSeen, Seen};
use sqlx::SqliteConnection;
use std::fmt::Write;

/// Removes some rows of epochs that are over.
const SWEEP: &str = "DELETE FROM entity WHERE (stream, epoch, place) IN
     (SELECT stream, epoch, place FROM entity WHERE stream = $1 AND epoch < $2 LIMIT $3)";

/// Forgets what is gone and notes what was seen, as one commit does it. What stands in both lists was seen.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    seen: &[Seen],
    gone: &[EntityKey],
) -> Result<(), Fault> {
    many::sweep_old_epochs(connection, row, SWEEP).await?;
    forget(connection, row, gone).await?;
    if seen.is_empty() {
        return Ok(());
    }
    let last_place: i64 =
        sqlx::query_scalar("SELECT coalesce(max(place), 0) FROM entity WHERE stream = $1 AND epoch = $2")
            .bind(row.id)
            .bind(row.epoch)
            .fetch_one(&mut *connection)
            .await?;
    for chunk in in_order_of_keys(seen).chunks(WRITE_CHUNK) {
        // Text: 32 hex digits of the key, 32 of the content, 19 digits of the snapshot, 19 of the place, hex of the id.
        sqlx::query(
            "INSERT INTO entity (stream, epoch, key, content, snapshot, place, id)
             SELECT $1, $2, unhex(substr(value, 1, 32)), unhex(substr(value, 33, 32)),
                    CAST(substr(value, 65, 19) AS INTEGER), CAST(substr(value, 84, 19) AS INTEGER),
                    CAST(unhex(substr(value, 103)) AS TEXT)
             FROM json_each($3) WHERE true
             ON CONFLICT (stream, epoch, key) DO UPDATE SET
                 id = excluded.id, snapshot = excluded.snapshot, content = excluded.content
             WHERE excluded.snapshot >= entity.snapshot",
        )
        .bind(row.id)
        .bind(row.epoch)
        .bind(many::json_array(chunk, |text, (index, seen)| {
            many::hex(text, &seen.key.0);
            many::hex(text, &seen.content);
            let place = last_place.saturating_add(1 + signed(*index as u64));
            write!(text, "{:019}{place:019}", signed(seen.snapshot)).expect("a String takes everything");
            many::hex(text, seen.id.as_bytes());
        }))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// One for each key, sorted by it: of several the last one of the newest snapshot. With where it stood in the list.
fn in_order_of_keys(seen: &[Seen]) -> Vec<(usize, &Seen)> {
    let mut sorted: Vec<(usize, &Seen)> = seen.iter().enumerate().collect();
    sorted.sort_unstable_by_key(|(index, seen)| std::cmp::Reverse((seen.key, seen.snapshot, *index)));
    sorted.dedup_by_key(|(_, seen)| seen.key);
    sorted
}

/// Removes these; one that is not there is passed over.
async fn forget(connection: &mut SqliteConnection, row: &stream::Row, gone: &[EntityKey]) -> Result<(), Fault> {
    for chunk in gone.chunks(WRITE_CHUNK) {
        sqlx::query(
            // The planner, left alone, would look at every entity of the stream.
            "DELETE FROM entity WHERE (stream, epoch, place) IN
                 (SELECT stored.stream, stored.epoch, stored.place FROM json_each($3) AS asked CROSS JOIN entity AS stored
                  WHERE stored.stream = $1 AND stored.epoch = $2 AND stored.key = unhex(asked.value))",
        )
        .bind(row.id)
        .bind(row.epoch)
        .bind(many::json_array(chunk, |text, key| many::hex(text, &key.0)))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// For each key, what is known of its entity in the stream's present epoch.
pub(super) async fn last_seen(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    keys: &[EntityKey],
) -> Result<Vec<Option<LastSeen>>, Fault> {
    let mut answer = vec![None; keys.len()];
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(answer);
    };
    // In their own order neighbours are found in the same page.
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|index| keys[*index]);
    for part in order.chunks(QUESTION_CHUNK) {
        // One row for all: a row costs more on its way from the driver's thread than an entity does in the file.
        let found: String = sqlx::query_scalar(
            "SELECT json_group_array(json_array(asked.key, stored.snapshot, hex(stored.content)))
             FROM json_each($1) AS asked CROSS JOIN entity AS stored
             WHERE stored.stream = $2 AND stored.epoch = $3 AND stored.key = unhex(asked.value)",
        )
        .bind(many::json_array(part, |text, index| many::hex(text, &keys[*index].0)))
        .bind(row.id)
        .bind(row.epoch)
        .fetch_one(&mut *connection)
        .await?;
        let found: Vec<(usize, i64, String)> =
            serde_json::from_str(&found).map_err(|cause| sqlx::Error::Decode(cause.into()))?;
        for (place, snapshot, content) in found {
            let index = *part.get(place).expect("the answer is an index of the question");
            let content = u128::from_str_radix(&content, 16)
                .map_err(|_| Fault::Torn(format!("an entity of stream {stream} has an impossible hash")))?;
            answer[index] = Some(LastSeen { snapshot: unsigned(snapshot), content: content.to_be_bytes() });
        }
    }
    Ok(answer)
}

/// How many were not seen since that snapshot, and how many there are. Reads the stream's rows from end to end.
pub(super) async fn count_absent(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    since: u64,
) -> Result<(u64, u64), Fault> {
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok((0, 0));
    };
    let (absent, all): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE snapshot < $3), count(*) FROM entity WHERE stream = $1 AND epoch = $2",
    )
    .bind(row.id)
    .bind(row.epoch)
    .bind(signed(since))
    .fetch_one(connection)
    .await?;
    Ok((unsigned(absent), unsigned(all)))
}

/// At most `limit` of those not seen since that snapshot, in the order in which the stream met them.
pub(super) async fn absent(
    connection: &mut SqliteConnection,
    stream: &StreamKey,
    since: u64,
    limit: u32,
) -> Result<Vec<(EntityKey, String)>, Fault> {
    let Some(row) = stream::find(connection, stream).await? else {
        return Ok(Vec::new());
    };
    let rows: Vec<(Vec<u8>, String)> = sqlx::query_as(
        "SELECT key, id FROM entity WHERE stream = $1 AND epoch = $2 AND snapshot < $3 ORDER BY place LIMIT $4",
    )
    .bind(row.id)
    .bind(row.epoch)
    .bind(signed(since))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let key = |key: Vec<u8>| key.try_into().map(EntityKey);
    rows.into_iter()
        .map(|(octets, id)| {
            Ok((key(octets).map_err(|_| Fault::Torn("an entity's key is too long or short".to_owned()))?, id))
        })
        .collect()
}

/// An entity with its stream's name: tenant, service, query, key, snapshot, content.
type Named = (String, String, String, Vec<u8>, i64, Vec<u8>);

/// The entities of an id in the present epochs of all streams. Reads the table from end to end.
pub(super) async fn of_id(connection: &mut SqliteConnection, id: &str) -> Result<Vec<(StreamKey, Seen)>, Fault> {
    let rows: Vec<Named> = sqlx::query_as(
        "SELECT stream.tenant, stream.service, stream.query, entity.key, entity.snapshot, entity.content
         FROM stream CROSS JOIN entity ON entity.stream = stream.id AND entity.epoch = stream.epoch
         WHERE entity.id = $1 ORDER BY stream.id, entity.place",
    )
    .bind(id)
    .fetch_all(connection)
    .await?;
    let torn = |_| Fault::Torn("an entity's key or hash is too long or short".to_owned());
    rows.into_iter()
        .map(|(tenant, service, query, key, snapshot, content)| {
            let key = EntityKey(key.try_into().map_err(torn)?);
            let content = content.try_into().map_err(torn)?;
            let seen = Seen { key, id: id.to_owned(), snapshot: unsigned(snapshot), content };
            Ok((stream::named(tenant, service, query), seen))
        })
        .collect()
}
