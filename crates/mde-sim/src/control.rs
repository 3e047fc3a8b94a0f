//! `/_sim`: the script, the world and the ledger for tests outside this process. README.md documents it.

use crate::kind::{RequestKind, Service};
use crate::quota::Family;
use crate::scenario::{Fault, Retirement};
use crate::sim::Core;
use crate::ticks::Ticks;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use bytes::Bytes;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What a control call gives: a document, or a status and a reason.
type Reply = Result<Json<Value>, (StatusCode, String)>;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<Core>> {
    Router::new()
        .route("/ledger", get(ledger))
        .route("/inputs", get(|State(core): State<Arc<Core>>| async move { core.inputs_yaml() }))
        .route("/alerts", get(alerts).post(add_alerts))
        .route("/alerts/{id}", post(update_alert))
        .route("/estate/{service}", post(add_entities))
        .route("/estate/{service}/{number}", post(change_entity).delete(remove_entity))
        .route("/hunt", post(hunt))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/secret", post(rotate_secret))
        .route("/tokens", axum::routing::delete(revoke_tokens))
        .route("/clock", post(set_clock))
        .route("/graph/alerts", get(graph_alerts))
        .route("/graph/incidents", get(incidents))
        .route("/graph/incidents/{id}", post(merge_incidents))
        .route("/retirement", post(retire).delete(revive))
}

/// Options of [`ledger`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    /// Whether all versions are listed. Default true.
    #[serde(default = "yes")]
    versions: bool,
}

/// The default of [`LedgerQuery`].
fn yes() -> bool {
    true
}

/// `GET /_sim/ledger[?versions=false]`
async fn ledger(State(core): State<Arc<Core>>, Query(query): Query<LedgerQuery>) -> Reply {
    let mut document = serde_json::to_value(core.ledger.summary(query.versions)).map_err(internal)?;
    let used = Family::ALL.iter().map(|family| {
        let (minute, hour) = core.quota_used(*family);
        (family.name().to_owned(), json!({"minute": minute, "hour": hour}))
    });
    document["quota_used"] = Value::Object(used.collect());
    document["alerts"] = core.world.alert_count().into();
    document["machines"] = core.world.machine_count().into();
    Ok(Json(document))
}

/// `GET /_sim/alerts`: the versions that the API shows now.
async fn alerts(State(core): State<Arc<Core>>) -> Reply {
    Ok(Json(serde_json::to_value(core.world.versions()).map_err(internal)?))
}

/// Body of [`add_alerts`] and [`update_alert`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    /// `lastUpdateTime`; default: now.
    at: Option<Ticks>,
    /// How much later it becomes visible. Unit: seconds.
    visible_after_s: Option<u64>,
    /// How many alerts are added; default 1.
    count: Option<usize>,
}

/// `POST /_sim/alerts`
async fn add_alerts(State(core): State<Arc<Core>>, body: Bytes) -> Reply {
    let change: Change = read(&body)?;
    let at = change.at.map_or_else(|| core.clock.now(), Ticks::timestamp);
    let ids = (0..change.count.unwrap_or(1)).map(|_| match change.visible_after_s {
        Some(seconds) => core.world.add_alert_late(at, Duration::from_secs(seconds)),
        None => core.world.add_alert(at),
    });
    Ok(Json(json!({"ids": ids.collect::<Vec<_>>()})))
}

/// `POST /_sim/alerts/{id}`
async fn update_alert(State(core): State<Arc<Core>>, Path(id): Path<String>, body: Bytes) -> Reply {
    let change: Change = read(&body)?;
    let at = change.at.map_or_else(|| core.clock.now(), Ticks::timestamp);
    let updated = match change.visible_after_s {
        Some(seconds) => core.world.update_alert_late(&id, at, Duration::from_secs(seconds)),
        None => core.world.update_alert(&id, at),
    };
    updated.map_err(|error| (StatusCode::CONFLICT, format!("failed to {error}\n")))?;
    Ok(Json(json!({"id": id})))
}

/// Body of [`add_entities`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Addition {
    /// How many are added; default 1.
    count: Option<u32>,
}

/// `POST /_sim/estate/{service}`: machines, software, vulnerabilities, recommendations.
async fn add_entities(State(core): State<Arc<Core>>, Path(service): Path<Service>, body: Bytes) -> Reply {
    let addition: Addition = read(&body)?;
    let numbers = core.world.add(service, addition.count.unwrap_or(1));
    Ok(Json(json!({"numbers": numbers.collect::<Vec<_>>()})))
}

/// Body of [`change_entity`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mending {
    /// Whether a machine is brought up to date, instead of only reporting.
    patched: bool,
}

/// `POST /_sim/estate/{service}/{number}`
async fn change_entity(
    State(core): State<Arc<Core>>,
    Path((service, number)): Path<(Service, u32)>,
    body: Bytes,
) -> Reply {
    let mending: Mending = read(&body)?;
    let changed = match (service, mending.patched) {
        (Service::Machines, true) => core.world.patch_machine(number),
        _ => core.world.touch(service, number),
    };
    done(changed)
}

/// `DELETE /_sim/estate/{service}/{number}`
async fn remove_entity(State(core): State<Arc<Core>>, Path((service, number)): Path<(Service, u32)>) -> Reply {
    done(core.world.remove(service, number))
}

/// Tells that something was done, or that there was nothing to do it to.
fn done(done: bool) -> Reply {
    if done { Ok(Json(json!({}))) } else { Err((StatusCode::CONFLICT, "failed to find the entity\n".to_owned())) }
}

/// `POST /_sim/hunt` with a query as the body: its rows, without limits.
async fn hunt(State(core): State<Arc<Core>>, query: String) -> Reply {
    let rows = core.world.hunt(&query).map_err(|refusal| (StatusCode::BAD_REQUEST, format!("{refusal}\n")))?;
    let rows = rows.iter().map(|row| serde_json::from_str(row)).collect::<Result<Vec<Value>, _>>().map_err(internal)?;
    Ok(Json(Value::Array(rows)))
}

/// Body of [`add_fault`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    /// Requests that it is for; default: any.
    #[serde(default)]
    on: Option<RequestKind>,
    /// How many requests meet it; default 1.
    #[serde(default)]
    times: Option<usize>,
    /// Whether it stays.
    #[serde(default)]
    always: bool,
    /// The fault.
    fault: Fault,
}

/// `POST /_sim/faults`
async fn add_fault(State(core): State<Arc<Core>>, body: Bytes) -> Reply {
    let new: NewFault = serde_json::from_slice(&body).map_err(unreadable)?;
    if new.always {
        core.scenario.always(new.on, new.fault);
    } else {
        core.scenario.times(new.on, new.times.unwrap_or(1), new.fault);
    }
    Ok(Json(json!({"pending": core.scenario.pending()})))
}

/// `DELETE /_sim/faults`
async fn clear_faults(State(core): State<Arc<Core>>) -> Reply {
    core.scenario.clear();
    Ok(Json(json!({"pending": 0})))
}

/// `POST /_sim/secret`
async fn rotate_secret(State(core): State<Arc<Core>>) -> Reply {
    Ok(Json(json!({"client_secret": core.entra.rotate_secret()})))
}

/// `DELETE /_sim/tokens`
async fn revoke_tokens(State(core): State<Arc<Core>>) -> Reply {
    core.entra.revoke_tokens();
    Ok(Json(json!({})))
}

/// Body of [`set_clock`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    /// How far the servers' clock is off. Unit: seconds; positive: ahead.
    offset_s: i64,
}

/// `POST /_sim/clock`
async fn set_clock(State(core): State<Arc<Core>>, body: Bytes) -> Reply {
    let clock: Clock = serde_json::from_slice(&body).map_err(unreadable)?;
    core.clock.set_offset(SignedDuration::from_secs(clock.offset_s));
    Ok(Json(json!({"now": core.clock.now().to_string()})))
}

/// `GET /_sim/graph/alerts`: the versions that Microsoft Graph shows now.
async fn graph_alerts(State(core): State<Arc<Core>>) -> Reply {
    Ok(Json(serde_json::to_value(core.world.graph_versions()).map_err(internal)?))
}

/// `GET /_sim/graph/incidents`: the versions of incidents, each with the number of its alerts.
async fn incidents(State(core): State<Arc<Core>>) -> Reply {
    Ok(Json(serde_json::to_value(core.world.incident_versions()).map_err(internal)?))
}

/// Body of [`merge_incidents`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    /// The incident that the alerts are moved to.
    into: String,
    /// When; default: now.
    #[serde(default)]
    at: Option<Ticks>,
}

/// `POST /_sim/graph/incidents/{id}`: moves its alerts to another one.
async fn merge_incidents(State(core): State<Arc<Core>>, Path(id): Path<String>, body: Bytes) -> Reply {
    let merge: Merge = serde_json::from_slice(&body).map_err(unreadable)?;
    let at = merge.at.map_or_else(|| core.clock.now(), Ticks::timestamp);
    let merged = core.world.merge_incidents(&id, &merge.into, at);
    merged.map_err(|error| (StatusCode::CONFLICT, format!("failed to {error}\n")))?;
    Ok(Json(json!({"id": merge.into})))
}

/// Body of [`retire`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// When the classic API ends; default: now.
    #[serde(default)]
    at: Option<Ticks>,
    /// How that looks.
    how: Retirement,
}

/// `POST /_sim/retirement`
async fn retire(State(core): State<Arc<Core>>, body: Bytes) -> Reply {
    let end: End = serde_json::from_slice(&body).map_err(unreadable)?;
    let at = end.at.map_or_else(|| core.clock.now(), Ticks::timestamp);
    core.scenario.retire_classic(at, end.how);
    Ok(Json(json!({"at": at.to_string()})))
}

/// `DELETE /_sim/retirement`
async fn revive(State(core): State<Arc<Core>>) -> Reply {
    core.scenario.revive_classic();
    Ok(Json(json!({})))
}

/// A body that may be missing.
fn read<T: Default + for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    if body.is_empty() { Ok(T::default()) } else { serde_json::from_slice(body).map_err(unreadable) }
}

/// The body is not what the call takes.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err by name")]
fn unreadable(error: serde_json::Error) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, format!("failed to read the body: {error}\n"))
}

/// Our own document could not be written.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err by name")]
fn internal(error: serde_json::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to write the document: {error}\n"))
}
