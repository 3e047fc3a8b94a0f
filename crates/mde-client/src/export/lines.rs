//! The rows of one file: one JSON object a line.

use super::inflate::{Inflate, STEP};
use crate::body::Body;
use crate::error::{Error, ErrorKind, ServerDate};
use crate::rows::Fault;
use bytes::Bytes;
use std::fmt;
use std::io;

/// A file that is being read. It is a success only once [`Lines::next`] has answered `None`: before that, the file can
/// still turn out to be cut.
pub struct Lines {
    /// `Date` of the answer.
    pub date: Option<ServerDate>,
    /// The bytes, as they arrive.
    body: Body,
    /// What of the last chunk has not been unpacked.
    chunk: Bytes,
    /// Unpacks them.
    inflate: Inflate,
    /// What has been unpacked, from the last row on.
    text: Vec<u8>,
    /// Where in it the next row begins.
    from: usize,
    /// How far it has been searched for a line's end.
    searched: usize,
    /// Largest row. Unit: bytes.
    cap: usize,
    /// Rows so far.
    rows: u64,
    /// How far we are.
    state: State,
}

/// How far a file is.
enum State {
    /// It is still arriving.
    Reading,
    /// All of it has been unpacked; rows may be left.
    Ended,
    /// The failure is told again to whoever asks again.
    Failed(Error),
}

impl Lines {
    /// The rows of a body that has yet to arrive.
    pub(super) fn new(body: Body, cap: usize, date: Option<ServerDate>) -> Self {
        Self {
            date,
            body,
            chunk: Bytes::new(),
            inflate: Inflate::default(),
            text: Vec::new(),
            from: 0,
            searched: 0,
            cap,
            rows: 0,
            state: State::Reading,
        }
    }

    /// The next row, byte for byte, without its line's end; `None` once the file has been read whole.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            if let State::Failed(error) = &self.state {
                return Err(error.clone());
            }
            let ended = matches!(self.state, State::Ended);
            match self.line(ended) {
                Ok(Some((from, to))) => return Ok(Some(&self.text[from..to])),
                Ok(None) if ended => return Ok(None),
                Ok(None) => self.more().await,
                Err(fault) => self.state = State::Failed(fault.error(&self.body, self.cap)),
            }
        }
    }

    /// Rows so far; all of the file's once [`Lines::next`] has answered `None`.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Where the next row lies that has been unpacked whole; lines without one are passed over.
    fn line(&mut self, ended: bool) -> Result<Option<(usize, usize)>, Fault> {
        loop {
            let newline = self.text[self.searched..].iter().position(|byte| *byte == b'\n');
            let end = match newline {
                Some(offset) => self.searched + offset,
                None if ended && self.from < self.text.len() => self.text.len(),
                None => {
                    self.searched = self.text.len();
                    let held = self.text.len() - self.from;
                    return if held > self.cap { Err(Fault::TooLarge) } else { Ok(None) };
                }
            };
            let line = &self.text[self.from..end];
            let row = line.trim_ascii();
            let from = self.from + (line.len() - line.trim_ascii_start().len());
            let found = (from, from + row.len());
            self.from = (end + 1).min(self.text.len());
            self.searched = self.from;
            if found.0 == found.1 {
                continue;
            }
            let row = &self.text[found.0..found.1];
            if row.len() > self.cap {
                return Err(Fault::TooLarge);
            }
            if let Some(fault) = Fault::of_row(row) {
                return Err(fault);
            }
            self.rows += 1;
            return Ok(Some(found));
        }
    }

    /// Unpacks a little more, waiting for it if need be.
    async fn more(&mut self) {
        if self.chunk.is_empty() {
            match self.body.chunk().await {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => {
                    let ended = self.inflate.end(&mut self.text);
                    self.state = State::Ended;
                    self.unpacked(ended);
                    return;
                }
                Err(error) => {
                    self.state = State::Failed(error);
                    return;
                }
            }
        }
        self.text.drain(..self.from);
        self.searched -= self.from;
        self.from = 0;
        let packed = self.chunk.split_to(self.chunk.len().min(STEP));
        let stepped = self.inflate.step(&packed, &mut self.text);
        self.unpacked(stepped);
    }

    /// Notes whether it could be unpacked; what cannot is as bad as a cut.
    fn unpacked(&mut self, outcome: io::Result<()>) {
        if outcome.is_err() {
            self.state = State::Failed(Error::new(ErrorKind::BodyCut, self.body.context().clone()));
        }
    }
}

impl fmt::Debug for Lines {
    /// How far it is; never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({} rows so far)", self.rows)
    }
}
