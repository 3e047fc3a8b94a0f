//! What the machines' tests share: how a server gives its rows, and keys for them.

use super::More;
use crate::record::VersionKey;

/// How a server pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// Without `$top` so many rows and a link to more.
    Link(u64),
    /// Without `$top` so many rows and no link: the rest is hidden.
    Hidden(u64),
}

impl Paging {
    /// The rows of an answer, and what it says about more.
    pub fn page<T>(self, rows: Vec<T>, top: Option<u64>, skip: u64) -> (Vec<T>, More) {
        let all = rows.len() as u64;
        let (page, link) = match (top, self) {
            (Some(top), _) => (top, false),
            (None, Self::Link(page)) => (page, all > skip + page),
            (None, Self::Hidden(page)) => (page, false),
        };
        let rows = rows.into_iter().skip(skip as usize).take(page as usize).collect();
        (rows, if link { More::Link } else { More::Nothing })
    }
}

/// A key for each number.
pub fn key(number: u64) -> VersionKey {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    VersionKey(bytes)
}
