//! `related_*` counts: had by the cheapest way that the quota and the roles allow, kept in the store, put into events.
//!
//! A count is never waited for while a body is read, and one that is not known is left out, never 0. The calls come behind all
//! others of the tenant. What is had is stored at once, so that a kill costs the calls under way and nothing else.

mod choose;
mod list;
mod passes;
mod reading;
mod record;
mod related;
mod stream;
mod tally;

pub use choose::{Choice, Facts, choose};
pub use passes::{Shared, comes_in_files};
pub use stream::{Counted, Enricher, Rules, affordable, by_entity};

use crate::record::JsonError;
use crate::store::StoreError;
use mde_client::{Error, ErrorKind};
use std::io;

/// Why counts could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrichError {
    /// The API or the identity provider.
    #[error("{0}")]
    Api(#[from] Error),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A row that is no JSON object.
    #[error("{0}")]
    Record(#[from] JsonError),
    /// The disk, where values are sorted on it.
    #[error("sort values on disk: {0}")]
    Spill(#[from] io::Error),
    /// An export that goes on at a place that is not the vendor's.
    #[error("read an export: its next link leads to another host")]
    Link,
    /// A list that is too long to ask for something of each entity in it.
    #[error("read what belongs to each of a list: there are more than {limit}")]
    TooMany {
        /// Entities that it may have.
        limit: usize,
    },
    /// The run is over.
    #[error("read counts: the run ends")]
    Over,
}

impl EnrichError {
    /// Whether a role, a licence or the endpoint is missing, so that another way has to be found.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Api(error) if matches!(error.kind(), ErrorKind::Forbidden { .. } | ErrorKind::NotLicensed))
    }
}

#[cfg(test)]
mod tests;
