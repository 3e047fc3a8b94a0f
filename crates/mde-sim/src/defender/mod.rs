//! The Defender API: who may call, how often, and what is answered.

mod alert;
pub(crate) mod alerts;
pub(crate) mod error;
mod estate;
mod exposures;
pub(crate) mod list;
pub(crate) mod numbered;
mod routes;
mod schema;

pub(crate) use error::throttled;
pub(crate) use list::{Envelope, ODATA, link};

use crate::connection::{Break, Connection};
use crate::delivery::{Answer, deliver, lose};
use crate::entra::Caller;
use crate::graph;
use crate::kind::RequestKind;
use crate::scenario::{ErrorBody, Fault, Retirement, Server};
use crate::sim::Core;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use bytes::Bytes;
use routes::Endpoint;
use std::sync::Arc;

/// Largest body of a request. Unit: octets.
const BODY_LIMIT: usize = 1024 * 1024;

/// A call under way.
pub(crate) struct Call<'a> {
    /// The simulator.
    pub(crate) core: &'a Core,
    /// What is called.
    pub(crate) endpoint: &'static Endpoint,
    /// Path and query.
    pub(crate) uri: &'a Uri,
    /// Headers.
    pub(crate) headers: &'a HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// The id in the path.
    pub(crate) id: String,
    /// What the script has for it.
    pub(crate) fault: Option<&'a Fault>,
}

/// Answers one call.
pub(crate) async fn handle(State(core): State<Arc<Core>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let found = routes::find(parts.uri.path());
    let (kind, family) = match &found {
        Some((endpoint, _)) => (endpoint.kind, Some(endpoint.family)),
        None => (RequestKind::Other, None),
    };
    let connection = parts.extensions.get::<Connection>().cloned();
    let entry = core.ledger.open(kind, family, parts.uri.path(), parts.uri.query().unwrap_or_default());
    let on_graph = routes::is_on_graph(parts.uri.path());
    let retired = if on_graph { None } else { core.scenario.retired(core.clock.now()) };
    let fault = if retired.is_some() { None } else { core.scenario.take(kind) };
    match fault {
        _ if retired == Some(Retirement::Reset) => lose(connection, Break::Reset).await,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset { after: None }) => lose(connection, Break::Reset).await,
        _ => {
            // A body that is too long or breaks off is like none: what it should say is missing.
            let body = axum::body::to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
            let answer = match found {
                _ if retired.is_some() => error::gone(),
                None if on_graph => graph::no_segment(parts.uri.path()),
                None => error::not_found("The requested resource does not exist."),
                Some((endpoint, _)) if parts.method != endpoint.method => error::method_not_allowed(),
                Some((endpoint, id)) => {
                    let (uri, headers) = (&parts.uri, &parts.headers);
                    let call = Call { core: &core, endpoint, uri, headers, body, id, fault: fault.as_ref() };
                    answer(&call).unwrap_or_else(|refusal| refusal)
                }
            };
            let answer = if on_graph { graph::dressed(answer, &core, &parts.headers, entry.number()) } else { answer };
            deliver(core.dated(answer, Server::Api), fault.as_ref(), entry, connection, &parts.headers).await
        }
    }
}

/// The answer, or the refusal that stands in its way: token, role, quota, script, in this order.
fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let Call { core, endpoint, .. } = call;
    let caller = bearer(core, call.headers)
        .filter(|caller| caller.on_graph == endpoint.on_graph)
        .ok_or_else(|| error::unauthorized(endpoint.on_graph))?;
    if !caller.roles.iter().any(|role| endpoint.roles.contains(&role.as_str())) {
        return Err(error::missing_roles(endpoint.roles, &caller.roles, endpoint.on_graph));
    }
    core.take_quota(&caller.tenant_id, &caller.client_id, endpoint.family)
        .map_err(|exceeded| error::quota_exceeded(exceeded, &caller.tenant_id))?;
    if let Some(refusal) = call.fault.and_then(|fault| scripted(call, fault, &caller)) {
        return Err(refusal);
    }
    (endpoint.serve)(call)
}

/// Who calls: the bearer of a valid token of ours.
fn bearer(core: &Core, headers: &HeaderMap) -> Option<Caller> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    core.entra.caller(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
}

/// The refusal that the script wants, when its fault is one.
fn scripted(call: &Call<'_>, fault: &Fault, caller: &Caller) -> Option<Answer> {
    Some(match fault {
        Fault::Throttle { told, seconds } => {
            error::throttled(*told, *seconds, &caller.tenant_id, call.core.date(Server::Api))
        }
        Fault::Status { status, body } => status_answer(*status, *body),
        Fault::Unauthorized => error::unauthorized(call.endpoint.on_graph),
        Fault::NoLicence => error::no_licence(),
        Fault::Forbidden => error::missing_roles(call.endpoint.roles, &[], call.endpoint.on_graph),
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
