//! Records in the form that somebody wants: JSON lines as they come, or columns.
//!
//! Columns are known only when the last record is, so that records wait in a file without a name until then; memory holds their
//! names and nothing else.

mod csv;
mod table;

use super::target::Target;
use crate::record::{RawObject, unquoted};
use clap::ValueEnum;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

/// Form of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For a person, within the width of the terminal.
    Table,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header (RFC 4180); what is nested is JSON text.
    Csv,
}

/// Records on their way to a target.
pub struct Sheet {
    target: Target,
    /// Where they wait for their columns; `None` where they need not.
    waiting: Option<Waiting>,
    /// Records taken.
    rows: u64,
}

/// Records that wait.
struct Waiting {
    form: Form,
    spool: BufWriter<File>,
    columns: Columns,
}

impl Sheet {
    /// On that target. Fails where nothing can wait on the disk.
    pub fn new(form: Form, target: Target) -> io::Result<Self> {
        let waiting = match form {
            Form::Ndjson => None,
            Form::Csv | Form::Table => {
                let spool = BufWriter::new(tempfile::tempfile_in(target.folder())?);
                Some(Waiting { form, spool, columns: Columns::default() })
            }
        };
        Ok(Self { target, waiting, rows: 0 })
    }

    /// Takes lines, each one JSON object that ends with LF.
    pub fn take(&mut self, lines: &[u8]) -> io::Result<()> {
        for line in lines.split_inclusive(|octet| *octet == b'\n') {
            self.rows += 1;
            if let Some(waiting) = &mut self.waiting {
                waiting.columns.note(&RawObject::parse(line).map_err(io::Error::other)?);
            }
        }
        match &mut self.waiting {
            Some(waiting) => waiting.spool.write_all(lines),
            None => self.target.write_all(lines),
        }
    }

    /// Records taken so far.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what waits. `declared`: columns that stand first, also where no record has them.
    pub fn finish(mut self, declared: &[String]) -> io::Result<Target> {
        if let Some(Waiting { form, spool, columns }) = self.waiting.take() {
            let mut spool = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
            spool.rewind()?;
            let (columns, rows) = (columns.behind(declared), BufReader::new(spool));
            match form {
                Form::Table => {
                    let width = if self.target.is_terminal() { super::table::width() } else { usize::MAX };
                    table::write(&columns, rows, width, &mut self.target)?;
                }
                Form::Csv | Form::Ndjson => csv::write(&columns, rows, &mut self.target)?,
            }
        }
        self.target.flush()?;
        Ok(self.target)
    }

    /// Gives it up. What waits for a file of columns is written there all the same: it is as good as the lines that need not wait.
    pub fn leave(self) -> Target {
        let Self { mut target, waiting, .. } = self;
        if let Some(Waiting { form: Form::Csv, spool, columns }) = waiting
            && let Ok(mut spool) = spool.into_inner()
            && spool.rewind().is_ok()
        {
            csv::write(&columns, BufReader::new(spool), &mut target).ok();
        }
        target
    }
}

/// The columns of records, in the order of their first appearance. A name that stands twice in one record is two columns.
#[derive(Debug, Default)]
struct Columns {
    /// (name, how many of this name stand before it in a record).
    names: Vec<(String, u32)>,
    places: HashMap<(String, u32), usize>,
    /// Characters of the longest value.
    widths: Vec<usize>,
}

impl Columns {
    /// Notes the columns of a record.
    fn note(&mut self, record: &RawObject<'_>) {
        for (name, number, value) in members(record) {
            let place = self.place(name, number);
            let width = text(value).chars().count();
            self.widths[place] = self.widths[place].max(width);
        }
    }

    /// The place of a column, which is a new one where there is none yet.
    fn place(&mut self, name: Cow<'_, str>, number: u32) -> usize {
        let key = (name.into_owned(), number);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        self.names.push(key.clone());
        self.widths.push(0);
        self.places.insert(key, self.names.len() - 1);
        self.names.len() - 1
    }

    /// The same behind columns that are declared.
    fn behind(self, declared: &[String]) -> Self {
        let mut all = Self::default();
        for name in declared {
            all.place(Cow::Borrowed(name), 0);
        }
        for ((name, number), width) in self.names.into_iter().zip(self.widths) {
            let place = all.place(Cow::Owned(name), number);
            all.widths[place] = all.widths[place].max(width);
        }
        all
    }

    /// What stands above each: its name, and its number from the second of a name on.
    fn titles(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.names.iter().map(|(name, number)| match number {
            0 => Cow::Borrowed(name.as_str()),
            number => Cow::Owned(format!("{name}_{}", number + 1)),
        })
    }

    /// A record's values, each in its column.
    fn cells<'r>(&self, record: &RawObject<'r>) -> Vec<Option<&'r str>> {
        let mut cells = vec![None; self.names.len()];
        for (name, number, value) in members(record) {
            if let Some(place) = self.places.get(&(name.into_owned(), number)) {
                cells[*place] = Some(value);
            }
        }
        cells
    }
}

/// Name, number among equal names, and value of each member.
fn members<'r>(record: &RawObject<'r>) -> impl Iterator<Item = (Cow<'r, str>, u32, &'r str)> {
    let mut met: HashMap<Cow<'r, str>, u32> = HashMap::with_capacity(record.members.len());
    record.members.clone().into_iter().map(move |(key, value)| {
        let name = unquoted(key);
        let number = met.entry(name.clone()).or_default();
        *number += 1;
        (name, *number - 1, value)
    })
}

/// A value as text: what is in a string, nothing for null, JSON for anything else.
fn text(value: &str) -> Cow<'_, str> {
    match value {
        "null" => Cow::Borrowed(""),
        value if value.starts_with('"') => unquoted(value),
        value => Cow::Borrowed(value),
    }
}

/// Every record of a spool.
fn each(mut rows: impl BufRead, mut row: impl FnMut(&RawObject<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut line = Vec::new();
    while rows.read_until(b'\n', &mut line)? > 0 {
        row(&RawObject::parse(&line).map_err(io::Error::other)?)?;
        line.clear();
    }
    Ok(())
}
