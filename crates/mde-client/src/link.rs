//! Next links: where they may lead, and when a walk must not go on.
//!
//! Links have been seen to name internal hosts, to lose their parameters and never to end.

use crate::client::Get;
use crate::error::{Context, Error, ErrorKind};
use crate::query::Query;
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// A hash that is the same in every run.
type Fixed = BuildHasherDefault<DefaultHasher>;

/// What became of a next link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It names one of the vendor's hosts, or ours, and was placed on the configured base.
    Follow(NextLink),
    /// It names another host. It is not followed: the caller goes on by `$skip`, or calls the walk incomplete.
    Foreign {
        /// The host; `None` where the link is no address at all.
        host: Option<String>,
    },
}

/// A link on the configured base.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextLink {
    /// Below the base, encoded.
    pub path: String,
    /// As the server wrote it.
    pub query: Query,
}

/// Watches one walk over pages: no link twice, no other filter than the one that was asked for. What pages hold is no
/// matter of its: rows that move may show one page twice.
#[derive(Debug, Clone)]
pub struct LinkGuard {
    /// For the text of errors.
    context: Context,
    /// `$filter` of the first request, blanks normalised.
    filter: Option<String>,
    /// Hashes of requests made and links admitted.
    links: HashSet<u64>,
}

impl LinkGuard {
    /// The guard of a walk that begins with that request.
    #[must_use]
    pub fn new(first: &Get) -> Self {
        let links = HashSet::from([Fixed::default().hash_one((&first.path, &first.query))]);
        Self { context: first.context(), filter: plain_filter(&first.query), links }
    }

    /// Lets a link pass once. Fails with `LinkChangedFilter` or `LinkRepeated`: the walk ends, not as a success.
    pub fn admit(&mut self, link: &NextLink) -> Result<(), Error> {
        if plain_filter(&link.query) != self.filter {
            return Err(Error::new(ErrorKind::LinkChangedFilter, self.context.clone()));
        }
        if !self.links.insert(Fixed::default().hash_one((&link.path, &link.query))) {
            return Err(Error::new(ErrorKind::LinkRepeated, self.context.clone()));
        }
        Ok(())
    }
}

/// The filter with single blanks, so that another spelling of the same filter is no change.
fn plain_filter(query: &Query) -> Option<String> {
    let filter = query.get("$filter")?;
    Some(filter.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Priority;
    use crate::limits::Family;

    fn guard(query: &str) -> LinkGuard {
        let get = Get::new("/api/machines", Family::Machines, Priority::Lists).query(Query::verbatim(query));
        LinkGuard::new(&get)
    }

    fn admitted(guard: &mut LinkGuard, query: &str) -> Option<ErrorKind> {
        let link = NextLink { path: "/api/machines".into(), query: Query::verbatim(query) };
        guard.admit(&link).err().map(|error| error.kind().clone())
    }

    #[test]
    fn a_link_passes_once() {
        let mut guard = guard("");
        assert_eq!(admitted(&mut guard, "$skip=1"), None);
        assert_eq!(admitted(&mut guard, "$skip=2"), None);
        assert_eq!(admitted(&mut guard, "$skip=1"), Some(ErrorKind::LinkRepeated));
    }

    #[test]
    fn a_link_back_to_the_first_request_is_a_repeat() {
        assert_eq!(admitted(&mut guard("pageSize=5"), "pageSize=5"), Some(ErrorKind::LinkRepeated));
    }

    #[test]
    fn another_spelling_of_the_filter_passes_and_another_filter_does_not() {
        let mut guard = guard("$filter=healthStatus%20eq%20%27Active%27");
        assert_eq!(admitted(&mut guard, "$filter=healthStatus+eq+'Active'&$skip=1"), None);
        for query in ["$skip=2", "=healthStatus+eq+'Active'&=2", "$filter=healthStatus+eq+'Inactive'&$skip=2"] {
            assert_eq!(admitted(&mut guard, query), Some(ErrorKind::LinkChangedFilter), "{query}");
        }
        assert_eq!(admitted(&mut super::tests::guard(""), "$filter=a+eq+1"), Some(ErrorKind::LinkChangedFilter));
    }
}
