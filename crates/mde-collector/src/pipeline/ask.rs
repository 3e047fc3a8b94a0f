//! A machine's words as a request of the client.

use crate::config::ServiceConfig;
use crate::pull::{Ask, Condition};
use crate::service::Pull;
use mde_client::budget::Priority;
use mde_client::query::{Filter, Literal, Op, Query, segment};
use mde_client::{Error, Get};

/// The field by which a condition names entities.
const ID: &str = "id";

/// A request for rows of the service's list.
pub fn list(service: &ServiceConfig, ask: &Ask) -> Result<Get, Error> {
    let endpoint = &service.def.endpoint;
    let mut filters = Vec::new();
    for condition in &ask.conditions {
        match condition {
            Condition::Time { field, from_ms, to_ms } => filters.push(Filter::window(field, *from_ms, *to_ms)?),
            Condition::Is(field, value) => filters.push(Filter::compare(field, Op::Eq, Literal::Text(value))?),
            Condition::IsNone(field, values) => {
                for value in *values {
                    filters.push(Filter::compare(field, Op::Ne, Literal::Text(value))?);
                }
            }
            Condition::NotOneOf(ids) => {
                for id in ids {
                    filters.push(Filter::compare(ID, Op::Ne, Literal::Text(id))?);
                }
            }
        }
    }
    if let Some(own) = &service.filter {
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
    if let Some(skip) = ask.skip {
        query = query.skip(usize::try_from(skip).unwrap_or(usize::MAX));
    }
    Ok(Get::new(endpoint.path, endpoint.family, priority(service, ask.newest)).query(query))
}

/// A request for one entity of the list, with all that the list's `$expand` would bring.
pub fn one(service: &ServiceConfig, id: &str) -> Get {
    let endpoint = &service.def.endpoint;
    let query = endpoint.expand.map_or_else(Query::new, |expand| Query::new().expand(expand));
    let path = format!("{}/{}", endpoint.path, segment(id));
    Get::new(path, endpoint.family, priority(service, false)).query(query)
}

/// Who comes first when the quota is short.
fn priority(service: &ServiceConfig, newest: bool) -> Priority {
    match (&service.def.pull[0], newest) {
        (Pull::Window { .. }, true) => Priority::NewestAlerts,
        (Pull::Window { .. }, false) => Priority::Alerts,
        (Pull::Slices, _) => Priority::Hunting,
        (Pull::Snapshot { .. } | Pull::Open { .. }, _) => Priority::Lists,
    }
}
