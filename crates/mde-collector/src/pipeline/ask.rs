//! A machine's words as a request of the client.

use super::source::Source;
use crate::pull::{Ask, Condition};
use crate::record::Mistake;
use crate::service::{Api, JOINT, Take};
use mde_client::budget::Priority;
use mde_client::limits::Family;
use mde_client::query::{Filter, Literal, Op, Query, segment};
use mde_client::{Error, Get, kql};

/// The field by which a condition names entities.
const ID: &str = "id";

/// A request for rows of the service's list.
pub fn list(source: &Source, ask: &Ask) -> Result<Get, Error> {
    let endpoint = source.endpoint();
    let mut filters = Vec::new();
    for condition in &ask.conditions {
        match condition {
            Condition::Time { field, from_ms, to_ms } if Mistake::StrictlyAfter.is_made() => {
                filters.push(Filter::compare(field, Op::Gt, Literal::Time(*from_ms))?);
                filters.push(Filter::compare(field, Op::Lt, Literal::Time(*to_ms))?);
            }
            Condition::Time { field, from_ms, to_ms } => filters.push(Filter::window(field, *from_ms, *to_ms)?),
            Condition::Is(field, value) => filters.push(Filter::compare(field, Op::Eq, Literal::Text(value))?),
            Condition::IsNone(field, values) => {
                for value in *values {
                    filters.push(Filter::compare(field, Op::Ne, Literal::Text(value))?);
                }
            }
            // Not by Graph, whose lists cannot be filtered by it: their rows come with all the others then.
            Condition::NotOneOf(_) if endpoint.api == Api::Graph => {}
            Condition::NotOneOf(ids) => {
                for id in ids {
                    filters.push(Filter::compare(ID, Op::Ne, Literal::Text(id))?);
                }
            }
        }
    }
    let service = &source.service;
    let scope = source.elsewhere.and_then(|other| other.scope).filter(|_| !service.all_products);
    if let Some((property, value)) = scope {
        filters.push(Filter::compare(property, Op::Eq, Literal::Text(value))?);
    }
    if let Some(own) = if endpoint.api == Api::Graph { &service.graph_filter } else { &service.filter } {
        filters.push(Filter::bracketed(own)?);
    }
    let mut query = Query::new();
    if let Some(filter) = filters.into_iter().reduce(|all, next| all.and(&next)) {
        query = query.filter(&filter);
    }
    if let (true, Some(expand)) = (ask.whole, endpoint.expand) {
        query = query.expand(expand);
    }
    if let Some(top) = ask.top {
        query = query.top(usize::try_from(top).unwrap_or(usize::MAX));
    }
    if ask.counted {
        query = query.with("$count", "true");
    }
    if let Some(skip) = ask.skip {
        query = query.skip(usize::try_from(skip).unwrap_or(usize::MAX));
    }
    Ok(Get::new(endpoint.path, endpoint.family, priority(source, ask.newest)).query(query))
}

/// A request for one entity of the list, with all that the list's `$expand` would bring.
pub fn one(source: &Source, id: &str) -> Get {
    let endpoint = source.endpoint();
    let query = endpoint.expand.map_or_else(Query::new, |expand| Query::new().expand(expand));
    let path = format!("{}/{}", endpoint.path, segment(id));
    Get::new(path, endpoint.family, priority(source, false)).query(query)
}

/// A query for the row of one entity, where the source is a table; `None`: no row can have such an id.
pub fn row(source: &Source, id: &str) -> Option<String> {
    let (columns, parts): (_, Vec<&str>) = match &source.shape()?.iter().find(|field| field.name == ID)?.take {
        Take::Any(columns) => (*columns, vec![id]),
        Take::Joined(columns) => (*columns, id.split(JOINT).collect()),
        _ => return None,
    };
    if columns.len() != parts.len() {
        return None;
    }
    let equals: Vec<(&str, &str)> = columns.iter().copied().zip(parts).collect();
    Some(kql::equal(source.kql()?, &equals))
}

/// Who comes first when the quota is short.
pub fn priority(source: &Source, newest: bool) -> Priority {
    match (source.endpoint().family, newest) {
        (Family::Alerts | Family::GraphAlerts, true) => Priority::NewestAlerts,
        (Family::Alerts | Family::GraphAlerts, false) => Priority::Alerts,
        (Family::Hunting | Family::GraphHunting, _) => Priority::Hunting,
        _ => Priority::Lists,
    }
}
