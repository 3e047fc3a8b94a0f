//! The rows of one answer while its body arrives. What an answer says beside its rows is for those who know its kind.

pub(crate) mod layout;
pub(crate) mod scanner;
mod splitter;

use crate::body::Body;
use crate::error::{Error, ErrorKind};
use layout::{Annotations, Layout};
use splitter::{Splitter, Step};
use std::fmt;

pub(crate) use splitter::Fault;

/// Rows that are being read. They are a success only once [`Rows::next`] has answered `None`.
pub(crate) struct Rows {
    /// The bytes, as they arrive.
    body: Body,
    /// Finds the rows in them.
    splitter: Splitter,
    /// Largest row. Unit: bytes.
    cap: usize,
    /// How far we are.
    state: State,
}

/// How far a body is.
enum State {
    /// It is still arriving.
    Reading,
    /// It has ended and was whole; so many rows there were.
    Whole(u64),
    /// The failure is told again to whoever asks again.
    Failed(Error),
}

impl Rows {
    /// Rows whose body has yet to arrive.
    pub fn new(body: Body, layout: Layout, cap: usize) -> Self {
        Self { body, splitter: Splitter::new(layout, cap), cap, state: State::Reading }
    }

    /// The next row, byte for byte as it came; `None` once the body has been read whole.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            match &self.state {
                State::Reading => {}
                State::Whole(_) => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
            }
            match self.splitter.step() {
                Ok(Step::Row) => return Ok(Some(self.splitter.row())),
                Ok(Step::Hungry) => match self.body.chunk().await {
                    Ok(Some(chunk)) => self.splitter.feed(chunk),
                    Ok(None) => match self.splitter.end() {
                        Ok(rows) => self.state = State::Whole(rows),
                        Err(fault) => self.fail(fault),
                    },
                    Err(error) => self.state = State::Failed(error),
                },
                Err(fault) => self.fail(fault),
            }
        }
    }

    /// How many rows there were; `None` until [`Rows::next`] has answered `None`.
    pub fn end(&self) -> Option<u64> {
        match self.state {
            State::Whole(rows) => Some(rows),
            State::Reading | State::Failed(_) => None,
        }
    }

    /// What has been read beside the rows so far.
    pub fn annotations(&self) -> &Annotations {
        self.splitter.annotations()
    }

    /// The body and the cap, for an answer that has no rows.
    pub fn into_body(self) -> (Body, usize) {
        (self.body, self.cap)
    }

    /// The body is not what was asked for, and stays so.
    fn fail(&mut self, fault: Fault) {
        self.state = State::Failed(fault.error(&self.body, self.cap));
    }
}

impl Fault {
    /// A fault of a body as an error of its call.
    pub fn error(self, body: &Body, limit: usize) -> Error {
        let kind = match self {
            Self::Cut => ErrorKind::BodyCut,
            Self::NotAPage => ErrorKind::NotJson,
            Self::TooLarge => ErrorKind::EntityTooLarge { limit },
        };
        Error::new(kind, body.context().clone())
    }
}

impl fmt::Debug for Rows {
    /// How far it is; never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Reading => "reading",
            State::Whole(_) => "whole",
            State::Failed(_) => "failed",
        })
    }
}
