//! One answer's body as a stream of raw entities, then what the page says about itself.

mod scanner;
mod splitter;

use crate::base::Base;
use crate::body::Body;
use crate::error::{Error, ErrorKind};
use crate::link::Link;
use serde_json::value::RawValue;
use splitter::{Fault, Splitter, Step};
use std::fmt;
use url::Url;

/// Member of an OData answer that holds the rows.
pub(crate) const VALUE: &str = "value";

/// A page that is being read. It is a success only once [`Page::next`] has answered `None`: before that, nothing of
/// it may be committed, since the body can still turn out to be cut.
pub struct Page {
    /// The bytes, as they arrive.
    body: Body,
    /// Finds the entities in them.
    splitter: Splitter,
    /// Largest entity. Unit: bytes.
    cap: usize,
    /// Where links are placed.
    base: Base,
    /// The address that was asked, for links without a host.
    asked: Url,
    /// How far we are.
    state: State,
}

/// How far a page is.
enum State {
    /// The body is still arriving.
    Reading,
    /// The body has ended and is a page.
    Whole(PageEnd),
    /// The failure is told again to whoever asks again.
    Failed(Error),
}

/// What a page says once it has been read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// Elements of `value`.
    pub rows: u64,
    /// Where the next page is.
    pub next_link: Option<Link>,
    /// `@odata.count`: rows that match on the server, where it says so.
    pub count: Option<u64>,
    /// `@odata.context`.
    pub context: Option<String>,
    /// Names of the columns, where the answer tells them: those of a hunting query do.
    pub columns: Option<Vec<String>>,
    /// A hash of the elements in their order, the same in every run.
    pub digest: u64,
}

impl Page {
    /// A page whose body has yet to arrive.
    pub(crate) fn new(body: Body, (rows, cap): (&'static str, usize), base: Base, asked: Url) -> Self {
        Self { body, splitter: Splitter::new(rows, cap), cap, base, asked, state: State::Reading }
    }

    /// The next element of `value`, byte for byte as it came; `None` once the page has been read whole.
    ///
    /// Elements are cut out, not parsed: that one is valid UTF-8 and valid JSON is for its reader to check.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            match &self.state {
                State::Reading => {}
                State::Whole(_) => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
            }
            match self.splitter.step() {
                Ok(Step::Entity) => return Ok(Some(self.splitter.entity())),
                Ok(Step::Hungry) => match self.body.chunk().await {
                    Ok(Some(chunk)) => self.splitter.feed(chunk),
                    Ok(None) => self.finish(),
                    Err(error) => self.state = State::Failed(error),
                },
                Err(fault) => self.fail(fault),
            }
        }
    }

    /// What the page says about itself; `None` until [`Page::next`] has answered `None`.
    #[must_use]
    pub fn end(&self) -> Option<&PageEnd> {
        match &self.state {
            State::Whole(end) => Some(end),
            State::Reading | State::Failed(_) => None,
        }
    }

    /// Reads the rest of the page, passing over its elements.
    pub async fn rest(&mut self) -> Result<PageEnd, Error> {
        while self.next().await?.is_some() {}
        Ok(self.end().cloned().expect("a page that has no next element has been read whole"))
    }

    /// Reads the body as one entity instead, as calls for a single entity answer it.
    pub(crate) async fn into_entity(mut self) -> Result<Vec<u8>, Error> {
        let Some(bytes) = self.body.whole(self.cap).await? else {
            return Err(self.error(Fault::TooLarge));
        };
        match serde_json::from_slice::<&RawValue>(&bytes) {
            Ok(value) if value.get().starts_with('{') => Ok(bytes),
            Err(error) if error.is_eof() => Err(self.error(Fault::Cut)),
            _ => Err(self.error(Fault::NotAPage)),
        }
    }

    /// The body has ended: the page is whole, or it is not.
    fn finish(&mut self) {
        match self.splitter.end() {
            Ok((rows, digest, annotations)) => {
                let next_link = annotations.next_link.map(|link| self.base.place(&link, &self.asked));
                let (count, context, columns) = (annotations.count, annotations.context, annotations.columns);
                self.state = State::Whole(PageEnd { rows, next_link, count, context, columns, digest });
            }
            Err(fault) => self.fail(fault),
        }
    }

    /// The page is no page, and stays so.
    fn fail(&mut self, fault: Fault) {
        self.state = State::Failed(self.error(fault));
    }

    /// A fault of the body as an error of this call.
    fn error(&self, fault: Fault) -> Error {
        let kind = match fault {
            Fault::Cut => ErrorKind::BodyCut,
            Fault::NotAPage => ErrorKind::NotJson,
            Fault::TooLarge => ErrorKind::EntityTooLarge { limit: self.cap },
        };
        Error::new(kind, self.body.context().clone())
    }
}

impl fmt::Debug for Page {
    /// How far it is; never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Reading => "Page(reading)",
            State::Whole(_) => "Page(whole)",
            State::Failed(_) => "Page(failed)",
        })
    }
}
