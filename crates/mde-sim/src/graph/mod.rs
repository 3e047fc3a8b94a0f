//! The security part of Microsoft Graph: the same tenant in other words, with the alerts of other products and incidents.

mod alert;
mod companion;
mod evidence;
mod form;
mod incident;
mod schema;
mod words;

pub(crate) use form::{dressed, no_segment};

use crate::defender::{Call, error, list};
use crate::delivery::{Answer, Content};
use crate::odata::Collection;
use crate::odata::options::Options;
use alert::Alerts;
use axum::http::{HeaderName, StatusCode};
use bytes::Bytes;
use incident::Incidents;

/// The header that says which preferences were followed (RFC 7240).
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The preference for words that are newer than the interface.
const NEWER_WORDS: &str = "include-unknown-enum-members";

/// `GET /v1.0/security/alerts_v2`
pub(crate) fn alerts(call: &Call<'_>) -> Result<Answer, Answer> {
    let alerts = Alerts::all(&call.core.world, wants_newer_words(call));
    list::answer(call, alerts).map(|answer| applied(call, answer))
}

/// `GET /v1.0/security/alerts_v2/{id}`
pub(crate) fn alert(call: &Call<'_>) -> Result<Answer, Answer> {
    let alerts = Alerts::all(&call.core.world, wants_newer_words(call));
    let row = alerts.find(&call.id).ok_or_else(|| error::not_found(&format!("Alert {} was not found", call.id)))?;
    single(call, &alerts, &row, "security/alerts_v2/$entity", false)
}

/// `GET /v1.0/security/incidents`
pub(crate) fn incidents(call: &Call<'_>) -> Result<Answer, Answer> {
    let incidents = Incidents::all(&call.core.world, wants_newer_words(call));
    refuse_heavy(call)?;
    list::answer(call, incidents).map(|answer| applied(call, answer))
}

/// `GET /v1.0/security/incidents/{id}`
pub(crate) fn incident(call: &Call<'_>) -> Result<Answer, Answer> {
    let incidents = Incidents::all(&call.core.world, wants_newer_words(call));
    let row = found(call, &incidents)?;
    let query = call.uri.query().unwrap_or_default();
    let options = Options::parse(query, &schema::INCIDENTS).map_err(|refusal| error::bad_query(&refusal))?;
    single(call, &incidents, &row, "security/incidents/$entity", options.expand)
}

/// `GET /v1.0/security/incidents/{id}/alerts`
pub(crate) fn incident_alerts(call: &Call<'_>) -> Result<Answer, Answer> {
    let known = wants_newer_words(call);
    let row = found(call, &Incidents::all(&call.core.world, known))?;
    list::answer(call, Alerts::of_incident(&call.core.world, known, &row)).map(|answer| applied(call, answer))
}

/// The incident that the path names.
fn found(call: &Call<'_>, incidents: &Incidents) -> Result<crate::world::Incident, Answer> {
    incidents.find(&call.id).ok_or_else(|| error::not_found(&format!("Incident {} was not found", call.id)))
}

/// One entity with its context in front.
fn single<C: Collection>(
    call: &Call<'_>,
    collection: &C,
    row: &C::Row,
    context: &str,
    expanded: bool,
) -> Result<Answer, Answer> {
    call.core.scenario.answered(call.endpoint.kind, 0, &call.core.world);
    if call.core.scenario.is_poisoned(std::iter::once(collection.id(row)), true) {
        return Err(error::internal());
    }
    let base = call.core.base_of(call.headers);
    let mut body = format!("{{\"@odata.context\":\"{base}/v1.0/$metadata#{context}\",").into_bytes();
    let start = body.len();
    collection.write(row, expanded, &mut body);
    // The entity's own bracket gives way to the one before the context.
    body.remove(start);
    let answer = Answer { body: Content::Whole(Bytes::from(body)), ..Answer::odata(Vec::new()) };
    Ok(applied(call, answer))
}

/// Incidents with all their alerts are more than the service can do for a large tenant.
fn refuse_heavy(call: &Call<'_>) -> Result<(), Answer> {
    let query = call.uri.query().unwrap_or_default();
    let expanded = Options::parse(query, &schema::INCIDENTS).is_ok_and(|options| options.expand);
    if expanded && call.core.world.alert_count() > call.core.graph.expand_limit {
        let message = "An internal server error has occurred.";
        return Err(error::either(true, StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message));
    }
    Ok(())
}

/// Whether the caller takes words that are newer than the interface.
fn wants_newer_words(call: &Call<'_>) -> bool {
    let values = call.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split([',', ';'])).any(|word| word.trim().eq_ignore_ascii_case(NEWER_WORDS))
}

/// The answer, which says that the preference was followed.
fn applied(call: &Call<'_>, answer: Answer) -> Answer {
    if wants_newer_words(call) { answer.with(APPLIED, NEWER_WORDS) } else { answer }
}
