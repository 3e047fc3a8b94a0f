//! The store as rows and back, each way in one transaction.

use super::connection::Held;
use super::fault::Fault;
use super::{batch, frame, position, signed, stream, unsigned};
use crate::record::{Frame, StreamKey, hex};
use crate::store::portable::{Head, Octets, Row, Rows, Sink, StreamName, unhex};
use crate::store::{BatchId, StoreError};
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqliteConnection};
use std::collections::HashMap;

/// A part of a store: how its rows are read, and what each is.
struct Part {
    /// One row of the table each, with its stream's name where it has one.
    sql: &'static str,
    /// The row as it travels.
    row: fn(&SqliteRow) -> Result<Row, Fault>,
}

/// Columns of a stream's name.
macro_rules! named {
    ($columns:literal, $rest:literal) => {
        concat!("SELECT stream.tenant, stream.service AS stream_service, stream.query, ", $columns, " FROM ", $rest)
    };
}

/// Before the frames.
static BEFORE: &[Part] = &[
    Part {
        sql: named!("stream.*", "stream ORDER BY id"),
        row: |row| {
            Ok(Row::Stream {
                stream: name(row)?,
                epoch: count(row, "epoch")?,
                checkpoint_ms: row.try_get("checkpoint_ms")?,
                memory: row.try_get("memory")?,
                last_batch: count(row, "last_batch")?,
                horizon_ms: row.try_get("horizon_ms")?,
            })
        },
    },
    Part {
        sql: named!("kept_span.*", "kept_span CROSS JOIN stream ON stream.id = kept_span.stream"),
        row: |row| Ok(Row::Kept { stream: name(row)?, from_ms: row.try_get("from_ms")?, to_ms: row.try_get("to_ms")? }),
    },
    Part {
        sql: named!(
            "version_key.*",
            "stream CROSS JOIN version_key ON version_key.stream = stream.id AND version_key.epoch = stream.epoch
             WHERE version_key.time_ms >= coalesce(stream.horizon_ms, version_key.time_ms)
                OR EXISTS (SELECT 1 FROM kept_span WHERE kept_span.stream = stream.id
                           AND version_key.time_ms >= kept_span.from_ms AND version_key.time_ms < kept_span.to_ms)"
        ),
        row: |row| Ok(Row::Key { stream: name(row)?, key: digits(row, "key")?, time_ms: row.try_get("time_ms")? }),
    },
    Part {
        sql: named!(
            "entity.*",
            "stream CROSS JOIN entity ON entity.stream = stream.id AND entity.epoch = stream.epoch
             ORDER BY stream.id, entity.place"
        ),
        row: |row| {
            Ok(Row::Entity {
                stream: name(row)?,
                key: digits(row, "key")?,
                id: row.try_get("id")?,
                snapshot: count(row, "snapshot")?,
                content: digits(row, "content")?,
            })
        },
    },
];

/// A visible batch by its row.
const BATCH: &str = named!("batch.*", "batch CROSS JOIN stream ON stream.id = batch.stream WHERE batch.id = $1");

/// As it travels.
fn batch_row(row: &SqliteRow) -> Result<Row, Fault> {
    Ok(Row::Batch {
        stream: name(row)?,
        number: count(row, "number")?,
        epoch: count(row, "epoch")?,
        head: head(row)?,
        stored_ms: row.try_get("stored_ms")?,
    })
}

/// Behind the frames.
static BEHIND: &[Part] = &[
    Part {
        sql: "SELECT output.*, (SELECT count(*) FROM stream WHERE stream.id <= output.newest_stream) AS streams_before
              FROM output ORDER BY name",
        row: |row| {
            Ok(Row::Output {
                name: row.try_get("name")?,
                memory: row.try_get("memory")?,
                streams_before: count(row, "streams_before")?,
                used_ms: row.try_get("used_ms")?,
                removed_ms: row.try_get("removed_ms")?,
                heir_of: row.try_get("heir_of")?,
                lost_events: count(row, "lost_events")?,
            })
        },
    },
    Part {
        sql: named!("position.*", "position CROSS JOIN stream ON stream.id = position.stream"),
        row: |row| {
            let place = position::decode((row.try_get("batch")?, row.try_get("frame")?));
            let (batch, frame) = (place.batch, place.frame);
            Ok(Row::Position {
                output: row.try_get("output")?,
                stream: name(row)?,
                batch,
                frame,
                removed_ms: row.try_get("removed_ms")?,
                let_go: row.try_get("let_go")?,
            })
        },
    },
    Part {
        sql: named!(
            "dead_letter.*",
            "dead_letter CROSS JOIN stream ON stream.id = dead_letter.stream ORDER BY dead_letter.id"
        ),
        row: |row| {
            let place = position::decode((row.try_get("batch")?, row.try_get("frame")?));
            Ok(Row::Letter {
                output: row.try_get("output")?,
                stream: name(row)?,
                batch: place.batch,
                frame: place.frame,
                line: row.try_get::<i64, _>("line")?.try_into().map_err(|_| torn("line"))?,
                reason: row.try_get("reason")?,
                refused_ms: row.try_get("refused_ms")?,
                head: head(row)?,
                record: Octets::from(row.try_get::<Vec<u8>, _>("record")?),
            })
        },
    },
    Part {
        sql: named!("trace.*", "trace CROSS JOIN stream ON stream.id = trace.stream ORDER BY trace.row"),
        row: |row| {
            Ok(Row::Trace {
                stream: name(row)?,
                stored_ms: row.try_get("stored_ms")?,
                batch: row.try_get::<Option<i64>, _>("batch")?.map(unsigned),
                id: row.try_get("id")?,
                key: digits(row, "key")?,
                time_ms: row.try_get("time_ms")?,
                request: row.try_get("request")?,
                version: row.try_get("version")?,
                events: count(row, "events")?,
            })
        },
    },
    Part {
        sql: named!("passage.*", "passage CROSS JOIN stream ON stream.id = passage.stream ORDER BY passage.row"),
        row: |row| {
            let place = position::decode((row.try_get("batch")?, row.try_get("frame")?));
            Ok(Row::Passage {
                output: row.try_get("output")?,
                stream: name(row)?,
                batch: place.batch,
                frame: place.frame,
                passed_ms: row.try_get("passed_ms")?,
                how: row.try_get::<i64, _>("how")?.try_into().map_err(|_| torn("way"))?,
            })
        },
    },
    Part {
        sql: named!("count_kind.*", "count_kind CROSS JOIN stream ON stream.id = count_kind.stream ORDER BY count_kind.id"),
        row: |row| {
            Ok(Row::CountKind {
                stream: name(row)?,
                name: row.try_get("name")?,
                method: row.try_get("method")?,
                reason: row.try_get("reason")?,
                passed_ms: row.try_get("passed_ms")?,
                trouble: row.try_get("trouble")?,
            })
        },
    },
    Part {
        sql: named!(
            "count.*, count_kind.name",
            "count_kind CROSS JOIN stream ON stream.id = count_kind.stream CROSS JOIN count ON count.kind = count_kind.id
             ORDER BY count_kind.id, count.key"
        ),
        row: |row| {
            Ok(Row::Count {
                stream: name(row)?,
                name: row.try_get("name")?,
                key: digits(row, "key")?,
                id: row.try_get("id")?,
                wanted_ms: row.try_get("wanted_ms")?,
                tried_ms: row.try_get("tried_ms")?,
                value: row.try_get::<Option<i64>, _>("value")?.map(unsigned),
                taken_ms: row.try_get("taken_ms")?,
                trouble: row.try_get("trouble")?,
            })
        },
    },
    Part {
        sql: "SELECT name, fence FROM lease ORDER BY name",
        row: |row| Ok(Row::Fence { name: row.try_get("name")?, fence: count(row, "fence")? }),
    },
];

/// The name of the stream in a row.
fn name(row: &SqliteRow) -> Result<StreamName, Fault> {
    Ok(stream::named(row.try_get("tenant")?, row.try_get("stream_service")?, row.try_get("query")?).into())
}

/// What the events of a batch have in common.
fn head(row: &SqliteRow) -> Result<Head, Fault> {
    Ok(Head {
        input: row.try_get("input")?,
        service: row.try_get("service")?,
        tag: row.try_get("tag")?,
        pulled_ms: row.try_get("pulled_ms")?,
    })
}

/// A column that never is negative.
fn count(row: &SqliteRow, column: &str) -> Result<u64, Fault> {
    Ok(unsigned(row.try_get(column)?))
}

/// A column of octets as hex digits.
fn digits(row: &SqliteRow, column: &str) -> Result<String, Fault> {
    Ok(hex(&row.try_get::<Vec<u8>, _>(column)?))
}

/// A number that cannot have been written by us.
fn torn(what: &str) -> Fault {
    Fault::Torn(format!("a row has an impossible {what}"))
}

/// Gives all rows to `sink`, as they are at one moment.
pub(super) async fn export(connection: &mut Held<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
    sqlx::query("BEGIN").execute(&mut **connection).await?;
    let given = give(connection, sink).await;
    // Nothing was written, so nothing depends on how it ends.
    sqlx::query("ROLLBACK").execute(&mut **connection).await.ok();
    given
}

/// The rows within that moment.
async fn give(connection: &mut SqliteConnection, sink: &mut Sink<'_>) -> Result<(), Fault> {
    for part in BEFORE {
        each(connection, part, sink).await?;
    }
    // Ids first, so that no second question is asked while an answer is read.
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM batch WHERE number > 0 ORDER BY stream, number")
        .fetch_all(&mut *connection)
        .await?;
    for id in ids {
        sink(batch_row(&sqlx::query(BATCH).bind(id).fetch_one(&mut *connection).await?)?)?;
        let mut frames =
            sqlx::query("SELECT * FROM frame WHERE batch = $1 ORDER BY seq").bind(id).fetch(&mut *connection);
        while let Some(row) = frames.try_next().await? {
            let stored = frame::Row::from_row(&row)?;
            let body = Octets::from(stored.unpack()?);
            let frame = stored.seq.try_into().map_err(|_| torn("frame number"))?;
            let events = stored.events.try_into().map_err(|_| torn("event count"))?;
            sink(Row::Frame { frame, events, body })?;
        }
    }
    for part in BEHIND {
        each(connection, part, sink).await?;
    }
    Ok(())
}

/// All rows of a part.
async fn each(connection: &mut SqliteConnection, part: &Part, sink: &mut Sink<'_>) -> Result<(), Fault> {
    let mut rows = sqlx::query(part.sql).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        sink((part.row)(&row)?)?;
    }
    Ok(())
}

/// What a row's way into the tables needs to know of the rows before it.
#[derive(Default)]
struct Arrived {
    /// Row and epoch of each stream.
    streams: HashMap<StreamKey, (i64, i64)>,
    /// Entities of each stream so far.
    places: HashMap<i64, i64>,
    /// The batch whose frames come now.
    batch: Option<BatchId>,
}

impl Arrived {
    /// A stream that came before.
    fn stream(&self, name: StreamName) -> Result<(i64, i64), Fault> {
        let key = StreamKey::from(name);
        self.streams.get(&key).copied().ok_or_else(|| Fault::broken(&key, "it is spoken of before it was told"))
    }
}

/// Takes all rows. The store must be new.
pub(super) async fn import(connection: &mut SqliteConnection, rows: &mut Rows<'_>) -> Result<u64, Fault> {
    let begun: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM stream) OR EXISTS (SELECT 1 FROM output)")
        .fetch_one(&mut *connection)
        .await?;
    if begun {
        return Err(StoreError::NotEmpty.into());
    }
    let (mut arrived, mut taken) = (Arrived::default(), 0);
    while let Some(row) = rows()? {
        take(connection, &mut arrived, row).await?;
        taken += 1;
    }
    // What is counted beside the letters.
    sqlx::query(
        "UPDATE output SET (dead_letters, dead_octets) =
             (SELECT count(*), coalesce(sum(octets), 0) FROM dead_letter WHERE output = output.name)",
    )
    .execute(connection)
    .await?;
    Ok(taken)
}

/// One row into its table.
async fn take(connection: &mut SqliteConnection, arrived: &mut Arrived, row: Row) -> Result<(), Fault> {
    let broken = |what: &str| Fault::broken("the imported store", what);
    let key =
        |digits: &str| unhex(digits).filter(|key| key.len() == 16).ok_or_else(|| broken("a name is no 32 hex digits"));
    let (mut sql, mut values) = ("", Values::default());
    match row {
        Row::Stream { stream, epoch, checkpoint_ms, memory, last_batch, horizon_ms } => {
            let id: i64 = sqlx::query_scalar(
                "INSERT INTO stream (tenant, service, query, epoch, checkpoint_ms, memory, last_batch, horizon_ms, hand)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, x'') RETURNING id",
            )
            .bind(&stream.tenant)
            .bind(&stream.service)
            .bind(stream.query.as_deref().unwrap_or_default())
            .bind(signed(epoch))
            .bind(checkpoint_ms)
            .bind(memory)
            .bind(signed(last_batch))
            .bind(horizon_ms)
            .fetch_one(&mut *connection)
            .await?;
            arrived.streams.insert(stream.into(), (id, signed(epoch)));
        }
        Row::Kept { stream, from_ms, to_ms } => {
            sql = "INSERT INTO kept_span (stream, from_ms, to_ms) VALUES ($1, $2, $3)";
            values.number(arrived.stream(stream)?.0).number(from_ms).number(to_ms);
        }
        Row::Key { stream, key: digits, time_ms } => {
            let (id, epoch) = arrived.stream(stream)?;
            sql = "INSERT INTO version_key (stream, epoch, key, time_ms) VALUES ($1, $2, $3, $4)";
            values.number(id).number(epoch).octets(key(&digits)?).number(time_ms);
        }
        Row::Entity { stream, key: digits, id, snapshot, content } => {
            let (stream, epoch) = arrived.stream(stream)?;
            let place = arrived.places.entry(stream).or_default();
            *place += 1;
            sql = "INSERT INTO entity (stream, epoch, place, key, id, snapshot, content) VALUES ($1, $2, $3, $4, $5, $6, $7)";
            values.number(stream).number(epoch).number(*place).octets(key(&digits)?).text(id);
            values.number(signed(snapshot)).octets(key(&content)?);
        }
        Row::Batch { stream, number, epoch, head, stored_ms } => {
            let (stream, _) = arrived.stream(stream)?;
            let id = sqlx::query_scalar(
                "INSERT INTO batch (stream, epoch, lease, fence, input, service, tag, pulled_ms, frames, events, raw_octets,
                                    octets)
                 VALUES ($1, $2, '', 0, $3, $4, $5, $6, 0, 0, 0, 0) RETURNING id",
            )
            .bind(stream)
            .bind(signed(epoch))
            .bind(head.input)
            .bind(head.service)
            .bind(head.tag)
            .bind(head.pulled_ms)
            .fetch_one(&mut *connection)
            .await?;
            // It is shown at once: the transaction is what hides it until all of it is there.
            arrived.batch = Some(BatchId(id));
            sql = "UPDATE batch SET number = $2, stored_ms = $3 WHERE id = $1";
            values.number(id).number(signed(number)).maybe(stored_ms);
        }
        Row::Frame { frame, events, body } => {
            let batch = arrived.batch.ok_or_else(|| broken("a frame comes before its batch"))?;
            let body = body.octets().ok_or_else(|| broken("a frame is no hex digits"))?;
            batch::restore(connection, batch, frame, frame::pack(&Frame { events, body })).await?;
        }
        Row::Output { name, memory, streams_before, used_ms, removed_ms, heir_of, lost_events } => {
            sql = "INSERT INTO output (name, memory, newest_stream, used_ms, removed_ms, heir_of, lost_events)
                   VALUES ($1, $2, coalesce((SELECT id FROM stream ORDER BY id LIMIT 1 OFFSET $3 - 1), 0) * ($3 > 0),
                           $4, $5, $6, $7)";
            values.text(name).maybe_text(memory).number(signed(streams_before)).maybe(used_ms).maybe(removed_ms);
            values.maybe_text(heir_of).number(signed(lost_events));
        }
        Row::Position { output, stream, batch, frame, removed_ms, let_go } => {
            sql = "INSERT INTO position (output, stream, batch, frame, removed_ms, let_go) VALUES ($1, $2, $3, $4, $5, $6)";
            values.text(output).number(arrived.stream(stream)?.0).number(signed(batch)).number(i64::from(frame));
            values.maybe(removed_ms).number(i64::from(let_go));
        }
        Row::Letter { output, stream, batch, frame, line, reason, refused_ms, head, record } => {
            let record = record.octets().ok_or_else(|| broken("a dead letter is no hex digits"))?;
            sql =
                "INSERT INTO dead_letter (output, stream, batch, frame, line, reason, refused_ms, input, service, tag,
                                            pulled_ms, octets, record)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, length($12), $12)";
            values.text(output).number(arrived.stream(stream)?.0).number(signed(batch)).number(i64::from(frame));
            values.number(i64::from(line)).text(reason).number(refused_ms);
            values.text(head.input).text(head.service).text(head.tag).number(head.pulled_ms).octets(record);
        }
        Row::Trace { stream, stored_ms, batch, id, key: digits, time_ms, request, version, events } => {
            sql = "INSERT INTO trace (stored_ms, stream, batch, id, key, time_ms, request, version, events)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            values.number(stored_ms).number(arrived.stream(stream)?.0).maybe(batch.map(signed)).text(id);
            values.octets(key(&digits)?).number(time_ms).text(request).text(version).number(signed(events));
        }
        Row::Passage { output, stream, batch, frame, passed_ms, how } => {
            sql = "INSERT INTO passage (output, stream, batch, frame, passed_ms, how) VALUES ($1, $2, $3, $4, $5, $6)";
            values.text(output).number(arrived.stream(stream)?.0).number(signed(batch)).number(i64::from(frame));
            values.number(passed_ms).number(i64::from(how));
        }
        Row::CountKind { stream, name, method, reason, passed_ms, trouble } => {
            sql = "INSERT INTO count_kind (stream, name, method, reason, passed_ms, trouble) VALUES ($1, $2, $3, $4, $5, $6)";
            values.number(arrived.stream(stream)?.0).text(name).text(method).text(reason).maybe(passed_ms);
            values.maybe_text(trouble);
        }
        Row::Count { stream, name, key: digits, id, wanted_ms, tried_ms, value, taken_ms, trouble } => {
            sql = "INSERT INTO count (kind, key, id, wanted_ms, tried_ms, value, taken_ms, trouble)
                   VALUES ((SELECT id FROM count_kind WHERE stream = $1 AND name = $2), $3, $4, $5, $6, $7, $8, $9)";
            values.number(arrived.stream(stream)?.0).text(name).octets(key(&digits)?).text(id).maybe(wanted_ms);
            values.number(tried_ms).maybe(value.map(signed)).maybe(taken_ms).maybe_text(trouble);
        }
        Row::Fence { name, fence } => {
            sql = "INSERT INTO lease (name, owner, fence, until_ms) VALUES ($1, NULL, $2, 0)";
            values.text(name).number(signed(fence));
        }
    }
    values.run(connection, sql).await
}

/// Values of one statement, in their order.
#[derive(Default)]
struct Values(Vec<Value>);

/// One of them.
enum Value {
    Number(Option<i64>),
    Text(Option<String>),
    Octets(Vec<u8>),
}

impl Values {
    fn number(&mut self, value: i64) -> &mut Self {
        self.maybe(Some(value))
    }

    fn maybe(&mut self, value: Option<i64>) -> &mut Self {
        self.0.push(Value::Number(value));
        self
    }

    fn text(&mut self, value: String) -> &mut Self {
        self.maybe_text(Some(value))
    }

    fn maybe_text(&mut self, value: Option<String>) -> &mut Self {
        self.0.push(Value::Text(value));
        self
    }

    fn octets(&mut self, value: Vec<u8>) -> &mut Self {
        self.0.push(Value::Octets(value));
        self
    }

    /// Runs a statement with them; none where there is none.
    async fn run(self, connection: &mut SqliteConnection, sql: &'static str) -> Result<(), Fault> {
        if sql.is_empty() {
            return Ok(());
        }
        let mut query = sqlx::query(sql);
        for value in self.0 {
            query = match value {
                Value::Number(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::Octets(octets) => query.bind(octets),
            };
        }
        query.execute(connection).await?;
        Ok(())
    }
}
