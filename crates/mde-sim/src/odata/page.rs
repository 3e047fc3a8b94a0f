//! One page of a list: which rows, in which order, and what comes after them.

use super::filter::Filter;
use super::options::Options;
use super::{Collection, Value};
use crate::config::{Order, PageConfig};
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

/// The page that a call gets. With `$top` there is never a link, as the service behaves.
pub(crate) fn page<C: Collection>(collection: &C, options: &Options, config: &PageConfig) -> Page<C::Row> {
    let mut rows = Filter::select(options.filter.as_ref(), collection);
    arrange(collection, &mut rows, options, config.order);
    let all = rows.len();
    let first = options.skip.min(all);
    let hidden_after = config.hidden_after.unwrap_or(usize::MAX);
    let size = options.top.unwrap_or(config.size.min(hidden_after));
    let last = first.saturating_add(size).min(all);
    let more = last < all && hidden_after == usize::MAX;
    let trailing = config.trailing_link && last == all && first < all;
    let next_skip = (options.top.is_none() && (more || trailing)).then_some(last);
    rows.truncate(last);
    rows.drain(..first);
    Page { rows, count: options.count.then_some(all), next_skip }
}

/// Puts rows, which come oldest first, in the order asked for or the service's own.
fn arrange<C: Collection>(collection: &C, rows: &mut [C::Row], options: &Options, order: Order) {
    if !options.order_by.is_empty() {
        return rows.sort_by(|left, right| {
            let orders = options.order_by.iter().map(|(field, down)| {
                let order = null_first(&collection.value(left, field.name), &collection.value(right, field.name));
                if *down { order.reverse() } else { order }
            });
            orders.fold(Ordering::Equal, Ordering::then)
        });
    }
    match order {
        Order::OldestFirst => {}
        Order::NewestFirst => rows.reverse(),
        Order::Shuffled => rows.sort_by_cached_key(|row| collection.lot(row)),
    }
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
