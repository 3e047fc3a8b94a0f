//! The Defender API: who may call, how often, and what is answered.

pub(crate) mod alerts;
mod error;
mod list;

pub(crate) use error::throttled;

use crate::connection::{Break, Connection};
use crate::delivery::{Answer, deliver, lose};
use crate::entra::Caller;
use crate::ledger::RequestKind;
use crate::odata::Collection;
use crate::quota::Family;
use crate::scenario::{ErrorBody, Fault, Server};
use crate::sim::Core;
use alerts::Alerts;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use bytes::Bytes;
use std::sync::Arc;

/// What a path leads to.
enum Route {
    /// The alert list.
    Alerts,
    /// One alert.
    Alert(String),
    /// Nothing we know.
    Unknown,
}

/// Roles of which one is needed for alerts. Source: vendor pages "List alerts" and "Get alert by id".
const ALERT_ROLES: [&str; 2] = ["Alert.Read.All", "Alert.ReadWrite.All"];

impl Route {
    /// Reads a path. Segments count without case, ids as they are; a version in the path changes nothing.
    fn of(path: &str) -> Self {
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
        let rest = match segments.as_slice() {
            [api, version, rest @ ..] if is(api, "api") && is(version, "v1.0") => rest,
            [api, rest @ ..] if is(api, "api") => rest,
            _ => return Self::Unknown,
        };
        match rest {
            [alerts] if is(alerts, "alerts") => Self::Alerts,
            [alerts, id] if is(alerts, "alerts") => Self::Alert(decoded(id)),
            _ => Self::Unknown,
        }
    }

    /// What the ledger calls it.
    fn kind(&self) -> RequestKind {
        match self {
            Self::Alerts => RequestKind::Alerts,
            Self::Alert(_) => RequestKind::Alert,
            Self::Unknown => RequestKind::Other,
        }
    }

    /// The bucket it is counted in.
    fn family(&self) -> Option<Family> {
        match self {
            Self::Alerts | Self::Alert(_) => Some(Family::Alerts),
            Self::Unknown => None,
        }
    }
}

/// A path segment with its percent signs undone. `+` is itself in a path.
fn decoded(segment: &str) -> String {
    let pair = segment.replace('+', "%2B");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// Answers one call.
pub(crate) async fn handle(State(core): State<Arc<Core>>, request: Request) -> Response<Body> {
    let route = Route::of(request.uri().path());
    let connection = request.extensions().get::<Connection>().cloned();
    let query = request.uri().query().unwrap_or_default();
    let entry = core.ledger.open(route.kind(), route.family(), request.uri().path(), query);
    let fault = core.scenario.take(route.kind());
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset { after: None }) => lose(connection, Break::Reset).await,
        _ => {
            let answer = answer(&core, &route, &request, fault.as_ref()).unwrap_or_else(|refusal| refusal);
            let answer = core.dated(answer, Server::Api);
            deliver(answer, fault.as_ref(), entry, connection, request.headers()).await
        }
    }
}

/// The answer, or the refusal that stands in its way: token, role, quota, script, in this order.
fn answer(core: &Core, route: &Route, request: &Request, fault: Option<&Fault>) -> Result<Answer, Answer> {
    let Some(family) = route.family() else { return Err(error::not_found("The requested resource does not exist.")) };
    let caller = bearer(core, request).ok_or_else(error::unauthorized)?;
    if !caller.roles.iter().any(|role| ALERT_ROLES.contains(&role.as_str())) {
        return Err(error::missing_roles(&ALERT_ROLES, &caller.roles));
    }
    core.take_quota(&caller.tenant_id, &caller.client_id, family)
        .map_err(|exceeded| error::quota_exceeded(exceeded, &caller.tenant_id))?;
    if let Some(refusal) = fault.and_then(|fault| scripted(core, fault, &caller)) {
        return Err(refusal);
    }
    if request.method() != Method::GET {
        return Err(error::error(StatusCode::METHOD_NOT_ALLOWED, "BadRequest", "The method is not supported here."));
    }
    let alerts = Alerts(core.world.clone());
    match route {
        Route::Alerts => list::answer(core, route.kind(), request, alerts, fault),
        Route::Alert(id) => single(core, &alerts, id),
        Route::Unknown => unreachable!("has no family"),
    }
}

/// One alert with its evidence.
fn single(core: &Core, alerts: &Alerts, id: &str) -> Result<Answer, Answer> {
    let version = alerts.0.find(id).ok_or_else(|| error::not_found(&format!("Alert {id} was not found")))?;
    core.scenario.answered(RequestKind::Alert, 0, &core.world);
    if core.scenario.is_poisoned(std::iter::once(id.to_owned())) {
        return Err(error::internal());
    }
    let mut body = Vec::new();
    alerts.write(&version, true, &mut body);
    Ok(Answer::whole(StatusCode::OK, "application/json; odata.metadata=minimal; charset=utf-8", body.into()))
}

/// Who calls: the bearer of a valid token of ours.
fn bearer(core: &Core, request: &Request) -> Option<Caller> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    core.entra.caller(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
}

/// The refusal that the script wants, when its fault is one.
fn scripted(core: &Core, fault: &Fault, caller: &Caller) -> Option<Answer> {
    Some(match fault {
        Fault::Throttle { told, seconds } => {
            error::throttled(*told, *seconds, &caller.tenant_id, core.date(Server::Api))
        }
        Fault::Status { status, body } => status_answer(*status, *body),
        Fault::Unauthorized => error::unauthorized(),
        Fault::NoLicence => error::no_licence(),
        Fault::Forbidden => error::missing_roles(&ALERT_ROLES, &[]),
        Fault::Html => html(),
        _ => return None,
    })
}

/// A gateway's page with status 200.
pub(crate) fn html() -> Answer {
    Answer::whole(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(error::HTML))
}

/// A status with the body of an error that the script wants. A status that is none becomes 500.
pub(crate) fn status_answer(status: u16, body: ErrorBody) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        ErrorBody::Json => error::error(status, "InternalServerError", "An unexpected error has occurred."),
        ErrorBody::NoMessage => error::error(status, "InternalServerError", ""),
        ErrorBody::Html => Answer::whole(status, "text/html; charset=utf-8", Bytes::from_static(error::HTML)),
        ErrorBody::Empty => Answer { status, headers: Vec::new(), body: crate::delivery::Content::Whole(Bytes::new()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_count_without_case_and_with_or_without_a_version() {
        for path in ["/api/alerts", "/api/v1.0/alerts", "/API/Alerts", "/api/V1.0/ALERTS/"] {
            assert_eq!(Route::of(path).kind(), RequestKind::Alerts, "{path}");
        }
        assert!(matches!(Route::of("/api/alerts/da63_-1%2F2"), Route::Alert(id) if id == "da63_-1/2"));
        for path in ["/alerts", "/api", "/api/alerts/1/2", "/api/v2.0/alerts"] {
            assert!(matches!(Route::of(path), Route::Unknown), "{path}");
        }
    }
}
