//! Which API a stream is read from, as the store remembers it: beside the machine's own memory, in one text with it.
//!
//! A stream that has only ever been read where its source itself is keeps the machine's memory bare, as it always was.

use crate::service::Api;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a stream is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The API.
    pub api: Api,
    /// The one that was left for it, and where everything before had been read there. Unit: milliseconds since 1970, UTC.
    pub left: Option<(Api, i64)>,
    /// The machine's memory in its own words; empty at first.
    pub memory: String,
}

/// The text in which both are stored.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    /// Name of the API.
    backend: String,
    /// What was left.
    #[serde(default)]
    left: Option<Left>,
    /// The machine's memory; `None` at first.
    #[serde(borrow)]
    machine: Option<&'a RawValue>,
}

/// An API that was left.
#[derive(Serialize, Deserialize)]
struct Left {
    /// Its name.
    backend: String,
    /// Everything before was read there. Unit: milliseconds since 1970, UTC.
    checkpoint_ms: i64,
}

impl Standing {
    /// Out of what the store has; `own`: the API of the source itself. What is in no such form is the machine's memory alone.
    #[must_use]
    pub fn read(text: &str, own: Api) -> Self {
        let bare = || Self { api: own, left: None, memory: text.to_owned() };
        let Ok(Stored { backend, left, machine }) = serde_json::from_str(text) else { return bare() };
        let Some(api) = Api::named(&backend) else { return bare() };
        let left = left.and_then(|left| Some((Api::named(&left.backend)?, left.checkpoint_ms)));
        Self { api, left, memory: machine.map_or_else(String::new, |memory| memory.get().to_owned()) }
    }

    /// For the store, with that memory of the machine.
    #[must_use]
    pub fn text(&self, memory: &str, own: Api) -> String {
        if self.api == own && self.left.is_none() {
            return memory.to_owned();
        }
        let left = self.left.map(|(api, checkpoint_ms)| Left { backend: api.name().to_owned(), checkpoint_ms });
        let machine = (!memory.is_empty()).then(|| serde_json::from_str(memory).expect("machines write JSON"));
        let stored = Stored { backend: self.api.name().to_owned(), left, machine };
        serde_json::to_string(&stored).expect("names and numbers have a JSON form")
    }

    /// The same stream read from another API, everything before that moment having been read from this one.
    #[must_use]
    pub fn moved(self, api: Api, checkpoint_ms: Option<i64>) -> Self {
        let left = checkpoint_ms.map(|checkpoint_ms| (self.api, checkpoint_ms)).or(self.left);
        Self { api, left: left.filter(|(left, _)| *left != api), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: &str = r#"{"historical_ms":null,"width_ms":60000}"#;

    #[test]
    fn a_stream_that_was_never_moved_keeps_the_bare_memory() {
        for memory in ["", MEMORY] {
            let standing = Standing::read(memory, Api::Mde);
            assert_eq!(standing, Standing { api: Api::Mde, left: None, memory: memory.to_owned() });
            assert_eq!(standing.text(memory, Api::Mde), memory);
        }
    }

    #[test]
    fn what_was_moved_is_found_again_with_what_it_left() {
        let standing = Standing::read(MEMORY, Api::Mde).moved(Api::Graph, Some(1_800_000_000_000));
        let found = Standing::read(&standing.text(MEMORY, Api::Mde), Api::Mde);
        assert_eq!(found, standing);
        assert_eq!((found.api, found.left), (Api::Graph, Some((Api::Mde, 1_800_000_000_000))));
        let back = found.moved(Api::Mde, Some(1_800_000_060_000));
        assert_eq!(back.left, Some((Api::Graph, 1_800_000_060_000)));
        assert_eq!(Standing::read(&back.text(MEMORY, Api::Mde), Api::Mde), back, "what was left is not forgotten");
        let first = Standing::read("", Api::Mde).moved(Api::Hunting, None);
        assert_eq!(Standing::read(&first.text("", Api::Mde), Api::Mde), first);
    }
}
