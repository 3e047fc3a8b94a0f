//! `state export` and `import`: the whole store as a file of JSON lines.
//!
//! The first line names form and version, each further one is a [`Row`], the last one counts them and has a CRC-32 over all
//! lines before: a file that was cut or changed is never taken for whole.

use super::super::{USAGE, give, place, say};
use super::change::ended;
use super::{Moving, configuration};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::store::portable::{Portable, Row, VERSION};
use crate::store::sqlite;
use crate::store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    /// Version of the form.
    mde_collector_state: u32,
    /// When it was written. Unit: milliseconds since 1970, UTC.
    exported_ms: i64,
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    /// What the file holds.
    end: End,
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// Lines between the first and the last one.
    rows: u64,
    /// CRC-32 of all lines before, with their ends.
    crc32: u32,
}

/// Writes it.
pub(super) async fn export(Moving { file, source }: Moving) -> Result<(), u8> {
    let config = configuration(&source)?;
    if !sqlite::is_begun(place::folder(&config)?) {
        say(format_args!("{}: there is no state yet", place::folder(&config)?.display()));
        return Err(USAGE);
    }
    let store = place::look(&config).await?;
    let created = File::options().write(true).create_new(true).mode(0o600).open(&file);
    let target = created.map_err(|error| {
        say(format_args!("failed to make {}: {error}", file.display()));
        USAGE
    })?;
    let written = async {
        let mut writer = Writer::new(BufWriter::new(target), SystemClock.wall_ms())?;
        store.export(&mut |row| writer.row(&row)).await?;
        writer.end()
    };
    match written.await {
        Ok(rows) => {
            give(format_args!("{}: {rows} rows", file.display()));
            Ok(())
        }
        Err(error) => {
            // Half of a state is of no use to anybody.
            fs::remove_file(&file).ok();
            Err(place::unusable(&error))
        }
    }
}

/// Reads it.
pub(super) async fn import(Moving { file, source }: Moving) -> Result<(), u8> {
    let config = configuration(&source)?;
    let opened = File::open(&file).map_err(|error| {
        say(format_args!("failed to open {}: {error}", file.display()));
        USAGE
    })?;
    let mut reader = Reader::new(BufReader::new(opened)).map_err(|error| not_taken(&error))?;
    let store = place::open(&config).await?;
    let taken = store.import(&mut || reader.next()).await;
    ended(store.close().await)?;
    let rows = taken.map_err(|error| not_taken(&error))?;
    give(format_args!("{}: {rows} rows taken", file.display()));
    Ok(())
}

/// Says why a file is not taken.
fn not_taken(error: &StoreError) -> u8 {
    match error {
        StoreError::Carrier(_) => {
            say(format_args!("failed to {error}; nothing was taken"));
            USAGE
        }
        StoreError::NotEmpty => {
            say(format_args!("failed to {error}; name an empty `directory_name`"));
            USAGE
        }
        _ => place::unusable(error),
    }
}

/// What the file system says.
fn carrier(error: io::Error) -> StoreError {
    StoreError::Carrier(format!("write or read the file: {error}"))
}

/// A file that is not as it was written, or not ours.
fn refused(what: &str) -> StoreError {
    StoreError::Carrier(format!("read the file: {what}"))
}

/// Writes lines.
struct Writer {
    file: BufWriter<File>,
    crc: crc32fast::Hasher,
    rows: u64,
}

impl Writer {
    /// Begins with the first line.
    fn new(file: BufWriter<File>, exported_ms: i64) -> Result<Self, StoreError> {
        let mut writer = Self { file, crc: crc32fast::Hasher::new(), rows: 0 };
        writer.line(&First { mde_collector_state: VERSION, exported_ms })?;
        Ok(writer)
    }

    /// Adds a row.
    fn row(&mut self, row: &Row) -> Result<(), StoreError> {
        self.rows += 1;
        self.line(row)
    }

    /// Adds the last line, and has the disk take all of it.
    fn end(mut self) -> Result<u64, StoreError> {
        let end = End { rows: self.rows, crc32: self.crc.clone().finalize() };
        self.line(&Last { end })?;
        let file = self.file.into_inner().map_err(|error| carrier(error.into_error()))?;
        file.sync_all().map_err(carrier)?;
        Ok(self.rows)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), StoreError> {
        let mut line = serde_json::to_vec(value).expect("numbers and texts have a JSON form");
        line.push(b'\n');
        self.crc.update(&line);
        self.file.write_all(&line).map_err(carrier)
    }
}

/// Reads lines.
struct Reader<R> {
    file: R,
    crc: crc32fast::Hasher,
    rows: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    fn new(file: R) -> Result<Self, StoreError> {
        let mut reader = Self { file, crc: crc32fast::Hasher::new(), rows: 0, line: Vec::new() };
        reader.read()?;
        let first: First = serde_json::from_slice(&reader.line).map_err(|_| refused("it is no exported state"))?;
        match first.mde_collector_state {
            VERSION => Ok(reader),
            other => Err(refused(&format!("it has form {other}, this version reads {VERSION}"))),
        }
    }

    /// The next row; `None` behind the last, once it is proved that all of them came.
    fn next(&mut self) -> Result<Option<Row>, StoreError> {
        let before = self.crc.clone().finalize();
        self.read()?;
        if let Ok(Last { end }) = serde_json::from_slice(&self.line) {
            let whole =
                end == End { rows: self.rows, crc32: before } && self.file.fill_buf().map_err(carrier)?.is_empty();
            return if whole { Ok(None) } else { Err(refused("it is not as it was written")) };
        }
        self.rows += 1;
        let line = self.rows + 1;
        // Its text may hold events, so only the place is told.
        serde_json::from_slice(&self.line)
            .map(Some)
            .map_err(|_| refused(&format!("line {line} is no row of this form")))
    }

    fn read(&mut self) -> Result<(), StoreError> {
        self.line.clear();
        self.file.read_until(b'\n', &mut self.line).map_err(carrier)?;
        if self.line.pop() != Some(b'\n') {
            return Err(refused("it was cut off"));
        }
        self.crc.update(&self.line);
        self.crc.update(b"\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these rows.
    fn written(rows: &[Row]) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("state.ndjson");
        let mut writer = Writer::new(BufWriter::new(File::create(&path).expect("writable")), 7).expect("first");
        rows.iter().for_each(|row| writer.row(row).expect("row"));
        assert_eq!(writer.end().expect("end"), rows.len() as u64);
        fs::read(&path).expect("readable")
    }

    /// All rows of a file.
    fn read(file: &[u8]) -> Result<Vec<Row>, StoreError> {
        let mut reader = Reader::new(file)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next()? {
            rows.push(row);
        }
        Ok(rows)
    }

    fn rows() -> Vec<Row> {
        ["a", "b"].map(|name| Row::Fence { name: name.to_owned(), fence: 3 }).to_vec()
    }

    #[test]
    fn rows_come_back_as_they_were() {
        assert!(read(&written(&rows())).expect("whole") == rows());
        assert!(read(&written(&[])).expect("whole").is_empty());
    }

    #[test]
    fn a_file_cut_anywhere_or_changed_anywhere_is_refused() {
        let whole = written(&rows());
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "cut at {length}");
        }
        for place in 0..whole.len() {
            let mut other = whole.clone();
            other[place] ^= 1;
            assert!(read(&other).is_err(), "changed at {place}");
        }
        assert!(read(&[&whole[..], b"{}\n"].concat()).is_err(), "something follows");
    }

    #[test]
    fn another_version_of_the_form_is_named() {
        let other = String::from_utf8(written(&rows())).expect("text").replace("_state\":1", "_state\":2");
        let error = read(other.as_bytes()).err().expect("refused");
        assert!(error.to_string().contains("form 2"), "{error}");
    }
}
