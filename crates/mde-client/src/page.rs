//! One answer's body as a stream of raw entities, then what the page says about itself.

use crate::base::Base;
use crate::body::Body;
use crate::error::Error;
use crate::link::Link;
use crate::rows::layout::Layout;
use crate::rows::{Fault, Rows};
use serde_json::value::RawValue;
use std::collections::HashMap;
use url::Url;

/// A page that is being read. It is a success only once [`Page::next`] has answered `None`: before that, nothing of
/// it may be committed, since the body can still turn out to be cut.
#[derive(Debug)]
pub struct Page {
    /// The entities.
    rows: Rows,
    /// Where links are placed.
    base: Base,
    /// The address that was asked, for links without a host.
    asked: Address,
}

/// An address that shows no query in a `Debug` output.
struct Address(Url);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.path())
    }
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
}

impl Page {
    /// A page whose body has yet to arrive.
    pub(crate) fn new(body: Body, cap: usize, base: Base, asked: Url) -> Self {
        Self { rows: Rows::new(body, Layout::Collection, cap), base, asked: Address(asked) }
    }

    /// The next element of `value`, byte for byte as it came; `None` once the page has been read whole.
    ///
    /// Elements are cut out, not parsed: that one is valid UTF-8 and valid JSON is for its reader to check.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        self.rows.next().await
    }

    /// What the page says about itself; `None` until [`Page::next`] has answered `None`.
    #[must_use]
    pub fn end(&self) -> Option<PageEnd> {
        let (rows, said) = (self.rows.end()?, self.rows.annotations());
        Some(PageEnd {
            rows,
            next_link: said.next_link.as_ref().map(|link| self.base.place(link, &self.asked.0)),
            count: said.count,
            context: said.context.clone(),
        })
    }

    /// Reads the rest of the page, passing over its elements.
    pub async fn rest(&mut self) -> Result<PageEnd, Error> {
        while self.next().await?.is_some() {}
        Ok(self.end().expect("a page that has no next element has been read whole"))
    }

    /// Reads the body as one entity instead, as calls for a single entity answer it. A list is refused.
    pub(crate) async fn into_entity(self) -> Result<Vec<u8>, Error> {
        let (mut body, cap) = self.rows.into_body();
        let Some(bytes) = body.whole(cap).await? else {
            return Err(Fault::TooLarge.error(&body, cap));
        };
        match serde_json::from_slice::<HashMap<String, &RawValue>>(&bytes) {
            Ok(members) if !is_collection(&members) => Ok(bytes),
            Err(error) if error.is_eof() => Err(Fault::Cut.error(&body, cap)),
            _ => Err(Fault::NotAPage.error(&body, cap)),
        }
    }
}

/// Whether an object is a list of entities: an array named `value`, and nothing of its own beside it.
fn is_collection(members: &HashMap<String, &RawValue>) -> bool {
    let list = members.get("value").is_some_and(|value| value.get().starts_with('['));
    list && members.keys().all(|key| key == "value" || key.starts_with("@odata."))
}
