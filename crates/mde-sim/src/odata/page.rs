//! One page of a list: which rows, in which order, and what comes after them.

use super::filter::Filter;
use super::options::Options;
use super::{Arrangement, Collection, RowIter, Value};
use crate::config::PageConfig;
use std::cmp::Ordering;

/// One page.
#[derive(Debug)]
pub(crate) struct Page<R> {
    /// Its rows.
    pub(crate) rows: Vec<R>,
    /// All matching rows, when asked for.
    pub(crate) count: Option<usize>,
    /// `$skip` of the page behind it, when a link is due.
    pub(crate) next_skip: Option<usize>,
}

/// The page that a call gets. On the Defender API there is never a link with `$top`, as the service behaves.
pub(crate) fn page<C: Collection>(collection: &C, options: &Options, config: &PageConfig) -> Page<C::Row> {
    let arrangement = Arrangement { order: config.order, shuffle: config.shuffle };
    let matching = || Filter::select(options.filter.as_ref(), collection, arrangement);
    let mut rows = matching();
    if !options.order_by.is_empty() {
        rows = sorted(collection, rows.collect(), options);
    }
    let hidden_after = config.hidden_after.unwrap_or(usize::MAX);
    let size = options.top.unwrap_or(config.size.min(collection.schema().top_limit).min(hidden_after));
    let again = config.repeated.min(options.skip);
    // A list is not read from its beginning where it can jump: `nth` is the collection's own.
    if let Some(before) = (options.skip - again).checked_sub(1) {
        rows.nth(before);
    }
    let page: Vec<_> = rows.by_ref().take(size.saturating_add(again)).collect();
    let more = rows.next().is_some() && hidden_after == usize::MAX;
    let trailing = config.trailing_link && !more && page.len() > again;
    let links = options.top.is_none() || collection.schema().manner.links_with_top;
    let end = options.skip + page.len().saturating_sub(again);
    Page {
        next_skip: (links && (more || trailing)).then_some(end),
        count: options.count.then(|| matching().count()),
        rows: page,
    }
}

/// Rows in the order asked for. This is the only order for which all of them must be there.
fn sorted<'a, C: Collection>(collection: &C, mut rows: Vec<C::Row>, options: &Options) -> RowIter<'a, C::Row> {
    rows.sort_by(|left, right| {
        let orders = options.order_by.iter().map(|(field, down)| {
            let order = null_first(&collection.value(left, field.name), &collection.value(right, field.name));
            if *down { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
    Box::new(rows.into_iter())
}

/// Order of values with null before all others, as OData has it.
fn null_first(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => left.order(right).unwrap_or(Ordering::Equal),
    }
}
