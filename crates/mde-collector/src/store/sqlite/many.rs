//! Many values in one parameter, so that a statement is always the same text however many there are.

use super::fault::Fault;
use super::stream;
use sqlx::SqliteConnection;

/// Rows that one statement writes: as many pages may have to be kept in memory for taking it back.
pub(super) const WRITE_CHUNK: usize = 250;

/// Values in one question.
pub(super) const QUESTION_CHUNK: usize = 1_000;

/// Rows of ended epochs that one commit removes from a table.
const OLD_EPOCH_STEPS: i64 = 20_000;

/// Removes some rows of epochs that are over. `$1` of the statement is the stream, `$2` its epoch, `$3` how many rows.
pub(super) async fn sweep_old_epochs(
    connection: &mut SqliteConnection,
    row: &stream::Row,
    statement: &'static str,
) -> Result<(), Fault> {
    if row.epoch == 1 {
        return Ok(());
    }
    sqlx::query(statement).bind(row.id).bind(row.epoch).bind(OLD_EPOCH_STEPS).execute(connection).await?;
    Ok(())
}

/// A JSON array of texts for `json_each`. What `write` adds must need no escapes: digits, hex digits.
pub(super) fn json_array<T>(items: &[T], mut write: impl FnMut(&mut String, &T)) -> String {
    let mut text = String::with_capacity(items.len() * 52 + 2);
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        text.push_str(if index == 0 { "\"" } else { ",\"" });
        write(&mut text, item);
        text.push('"');
    }
    text.push(']');
    text
}

/// Two digits for each octet, as `unhex` reads them.
pub(super) fn hex(text: &mut String, octets: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for octet in octets {
        text.push(char::from(DIGITS[usize::from(octet >> 4)]));
        text.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
}
