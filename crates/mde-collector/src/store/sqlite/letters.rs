//! Dead letters: events that an output refuses for good, kept with the reason until somebody has them sent again.
//!
//! A letter is cut out of the stored frame in the transaction in which the output passes that frame: nobody has to hold
//! the record meanwhile, and it is there exactly once. Sending again is a batch like any other, in a stream that no other
//! output takes; it becomes visible in the transaction that removes the letters.

use super::fault::Fault;
use super::{batch, frame, lease, position, signed, stream, unsigned};
use crate::record::{self, BatchHead, Frame, Position, StreamKey};
use crate::store::{DeadLetter, Lease, MAX_DEAD_LETTER_BYTES, Refusal, replay_stream};
use futures_util::TryStreamExt;
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// Records in one frame on their way back. Unit: octets.
const FRAME_OCTETS: usize = 512 * 1024;

/// Moves positions, and keeps what was refused on the way. Returns how many letters had to go because of the bound.
pub(super) async fn bury(
    connection: &mut SqliteConnection,
    lease: &Lease,
    output: &str,
    (positions, memory): (&[(StreamKey, Position)], Option<&str>),
    refused: &[Refusal],
    now_ms: i64,
) -> Result<u64, Fault> {
    lease::require(connection, lease).await?;
    let mut by_frame: BTreeMap<(&StreamKey, Position), Vec<&Refusal>> = BTreeMap::new();
    for refusal in refused {
        by_frame.entry((&refusal.stream, refusal.position)).or_default().push(refusal);
    }
    let mut letters = Letters::default();
    for ((stream, place), lines) in by_frame {
        if positions.iter().all(|(passed, to)| passed != stream || *to < place) {
            return Err(Fault::broken(stream, format!("output {output} refused events that it does not pass")));
        }
        letters += keep(connection, output, stream, place, &lines, now_ms).await?;
    }
    position::advance(connection, output, positions, memory, now_ms).await?;
    if letters.count == 0 {
        return Ok(0);
    }
    let octets = count(connection, output, letters.count, letters.octets).await?;
    trim(connection, output, octets).await
}

/// How many, and how large.
#[derive(Default)]
struct Letters {
    count: i64,
    octets: i64,
}

impl std::ops::AddAssign for Letters {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.octets += other.octets;
    }
}

/// Cuts lines out of a stored frame. One that the output has passed before was dealt with then.
async fn keep(
    connection: &mut SqliteConnection,
    output: &str,
    stream: &StreamKey,
    place: Position,
    refused: &[&Refusal],
    now_ms: i64,
) -> Result<Letters, Fault> {
    let row =
        stream::find(connection, stream).await?.ok_or_else(|| Fault::broken(stream, "the stream is not known"))?;
    match position::find(connection, output, row.id).await? {
        None => return Err(position::not_attached(stream, output)),
        Some(passed) if place <= passed => return Ok(Letters::default()),
        Some(_) => {}
    }
    let stored: Option<frame::Row> = sqlx::query_as(
        "SELECT frame.* FROM batch CROSS JOIN frame ON frame.batch = batch.id
         WHERE batch.stream = $1 AND batch.number = $2 AND frame.seq = $3",
    )
    .bind(row.id)
    .bind(signed(place.batch))
    .bind(i64::from(place.frame))
    .fetch_optional(&mut *connection)
    .await?;
    let stored = stored.ok_or_else(|| Fault::broken(stream, "the frame of a refused event is not there"))?;
    let body = stored.unpack()?;
    let lines: Vec<&[u8]> = record::lines(&body).collect();
    let mut letters = Letters::default();
    for refusal in refused {
        let line = usize::try_from(refusal.line).ok().and_then(|index| lines.get(index));
        let line = line.ok_or_else(|| Fault::broken(stream, "a refused event is not in its frame"))?;
        let record = line.strip_suffix(b"\n").unwrap_or(line);
        let octets = signed(record.len() as u64);
        let new = sqlx::query(
            "INSERT INTO dead_letter (output, stream, batch, frame, line, reason, refused_ms, input, service, tag, pulled_ms,
                                      octets, record)
             SELECT $1, $2, $3, $4, $5, $6, $7, input, service, tag, pulled_ms, $8, $9 FROM batch WHERE id = $10
             ON CONFLICT (output, stream, batch, frame, line) DO NOTHING",
        )
        .bind(output)
        .bind(row.id)
        .bind(signed(place.batch))
        .bind(i64::from(place.frame))
        .bind(i64::from(refusal.line))
        .bind(&refusal.reason)
        .bind(now_ms)
        .bind(octets)
        .bind(record)
        .bind(stored.batch)
        .execute(&mut *connection)
        .await?;
        let count = signed(new.rows_affected());
        letters += Letters { count, octets: octets * count };
    }
    Ok(letters)
}

/// Keeps the output's sums. Returns the octets of its letters.
async fn count(connection: &mut SqliteConnection, output: &str, letters: i64, octets: i64) -> Result<i64, Fault> {
    Ok(sqlx::query_scalar(
        "UPDATE output SET dead_letters = dead_letters + $2, dead_octets = dead_octets + $3 WHERE name = $1
         RETURNING dead_octets",
    )
    .bind(output)
    .bind(letters)
    .bind(octets)
    .fetch_one(connection)
    .await?)
}

/// Lets the oldest letters go until the rest is within its bound. They count as lost. Returns how many they are.
async fn trim(connection: &mut SqliteConnection, output: &str, octets: i64) -> Result<u64, Fault> {
    let excess = octets - signed(MAX_DEAD_LETTER_BYTES);
    if excess <= 0 {
        return Ok(0);
    }
    let (mut last, mut gone) = (0, Letters::default());
    {
        let mut rows = sqlx::query_as("SELECT id, octets FROM dead_letter WHERE output = $1 ORDER BY id")
            .bind(output)
            .fetch(&mut *connection);
        while gone.octets < excess {
            let Some((id, octets)): Option<(i64, i64)> = rows.try_next().await? else { break };
            last = id;
            gone += Letters { count: 1, octets };
        }
    }
    remove(connection, output, last, &gone).await?;
    sqlx::query("UPDATE output SET lost_events = lost_events + $2 WHERE name = $1")
        .bind(output)
        .bind(gone.count)
        .execute(connection)
        .await?;
    Ok(unsigned(gone.count))
}

/// Removes an output's letters up to one of them.
async fn remove(connection: &mut SqliteConnection, output: &str, last: i64, gone: &Letters) -> Result<(), Fault> {
    sqlx::query("DELETE FROM dead_letter WHERE output = $1 AND id <= $2")
        .bind(output)
        .bind(last)
        .execute(&mut *connection)
        .await?;
    count(connection, output, -gone.count, -gone.octets).await?;
    Ok(())
}

/// A letter as its row holds it.
#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    tenant: String,
    stream_service: String,
    query: String,
    batch: i64,
    frame: i64,
    line: i64,
    reason: String,
    refused_ms: i64,
    input: String,
    service: String,
    tag: String,
    pulled_ms: i64,
    record: Vec<u8>,
}

impl Row {
    /// As it is told.
    fn letter(self) -> DeadLetter {
        DeadLetter {
            id: unsigned(self.id),
            stream: stream::named(self.tenant, self.stream_service, self.query),
            position: position::decode((self.batch, self.frame)),
            line: u32::try_from(self.line).unwrap_or(u32::MAX),
            reason: self.reason,
            refused_ms: self.refused_ms,
            head: BatchHead { input: self.input, service: self.service, tag: self.tag, pulled_ms: self.pulled_ms },
            record: self.record,
        }
    }
}

/// Letters of an output behind the given one, oldest first: at least one if there is any, then as many as fit.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    output: &str,
    after: u64,
    max_octets: usize,
) -> Result<Vec<DeadLetter>, Fault> {
    let mut rows = sqlx::query_as::<_, Row>(
        "SELECT stream.tenant, stream.service AS stream_service, stream.query, dead_letter.*
         FROM dead_letter JOIN stream ON stream.id = dead_letter.stream
         WHERE dead_letter.output = $1 AND dead_letter.id > $2 ORDER BY dead_letter.id",
    )
    .bind(output)
    .bind(signed(after))
    .fetch(connection);
    let (mut letters, mut octets) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        octets += row.record.len();
        if !letters.is_empty() && octets > max_octets {
            break;
        }
        letters.push(row.letter());
    }
    Ok(letters)
}

/// The newest letter of an output, 0 when there is none.
pub(super) async fn newest(connection: &mut SqliteConnection, output: &str) -> Result<u64, Fault> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM dead_letter WHERE output = $1")
        .bind(output)
        .fetch_one(connection)
        .await?;
    Ok(unsigned(newest.unwrap_or_default()))
}

/// Puts the oldest letters back as one batch of one frame for their output. Returns how many; 0 when none is left up to
/// the given one.
pub(super) async fn replay(
    connection: &mut SqliteConnection,
    output: &str,
    through: u64,
    now_ms: i64,
) -> Result<u64, Fault> {
    let mut letters = list(connection, output, 0, FRAME_OCTETS).await?;
    letters.retain(|letter| letter.id <= through);
    let Some(first) = letters.first() else {
        return Ok(0);
    };
    // A batch has one head.
    let head = first.head.clone();
    letters.truncate(letters.iter().take_while(|letter| letter.head == head).count());
    let gone = Letters {
        count: signed(letters.len() as u64),
        octets: letters.iter().map(|letter| signed(letter.record.len() as u64)).sum(),
    };
    let last = letters.last().map_or(0, |letter| signed(letter.id));
    let mut body = Vec::with_capacity(letters.iter().map(|letter| letter.record.len() + 1).sum());
    for letter in &letters {
        body.extend_from_slice(&letter.record);
        body.push(b'\n');
    }
    let frame = Frame { events: u32::try_from(letters.len()).unwrap_or(u32::MAX), body };

    let row = stream::meet(connection, &replay_stream(output)).await?;
    position::place(connection, output, row.id, Position::START).await?;
    // It is shown in the transaction in which it is made, so it needs no lease.
    let nobody = Lease { name: String::new(), owner: String::new(), fence: 0 };
    let id = batch::insert(connection, &row, &nobody, &head).await?;
    batch::append(connection, id, frame::pack(&frame)).await?;
    batch::give_number(connection, &row, id, now_ms).await?;
    remove(connection, output, last, &gone).await?;
    Ok(unsigned(gone.count))
}

/// Hands an output's letters to its heir. One that both have, which cannot be while only one of them ships, is the heir's.
pub(super) async fn hand_over(connection: &mut SqliteConnection, heir: &str, old: &str) -> Result<(), Fault> {
    sqlx::query("UPDATE OR IGNORE dead_letter SET output = $1 WHERE output = $2")
        .bind(heir)
        .bind(old)
        .execute(&mut *connection)
        .await?;
    forget(connection, old).await?;
    for output in [heir, old] {
        sqlx::query(
            "UPDATE output SET (dead_letters, dead_octets) =
                 (SELECT count(*), coalesce(sum(octets), 0) FROM dead_letter WHERE output = $1)
             WHERE name = $1",
        )
        .bind(output)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Removes all letters of an output that is about to be forgotten.
pub(super) async fn forget(connection: &mut SqliteConnection, output: &str) -> Result<(), Fault> {
    sqlx::query("DELETE FROM dead_letter WHERE output = $1").bind(output).execute(connection).await?;
    Ok(())
}
