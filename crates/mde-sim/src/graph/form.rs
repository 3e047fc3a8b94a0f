//! The form of Graph's answers: error documents, and headers that name the request.

use crate::defender::error;
use crate::delivery::{Answer, Content};
use crate::sim::Core;
use crate::world::dice::Dice;
use crate::world::names;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Map, Value, json};

/// Names the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The caller's own name for it.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
/// Where it was answered.
const DIAGNOSTIC: HeaderName = HeaderName::from_static("x-ms-ags-diagnostic");
/// What a limit is for.
const THROTTLE_SCOPE: HeaderName = HeaderName::from_static("x-ms-throttle-scope");
/// Which limit it is.
const THROTTLE_INFORMATION: HeaderName = HeaderName::from_static("x-ms-throttle-information");

/// Codes that Graph spells in another way than the classic API. An unknown option of a list has no code at all.
const CODES: [(&str, &str); 5] = [
    ("ODataError", ""),
    ("429", "TooManyRequests"),
    ("Unauthorized", "InvalidAuthenticationToken"),
    ("InternalServerError", "UnknownError"),
    ("ResourceNotFound", "NotFound"),
];

/// There is nothing at this path.
pub(crate) fn no_segment(path: &str) -> Answer {
    let segment = path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let message = format!("Resource not found for the segment '{segment}'.");
    error::either(true, StatusCode::BAD_REQUEST, "BadRequest", &message)
}

/// An answer in Graph's form. `number` is the request's.
pub(crate) fn dressed(answer: Answer, core: &Core, asked: &HeaderMap, number: u64) -> Answer {
    let request_id = Dice::new(core.seed, names::REQUEST_STREAM + number).guid();
    let own = asked.get(&CLIENT_REQUEST_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let client_request_id = own.unwrap_or_else(|| request_id.clone());
    let answer = answer.with(REQUEST_ID, &request_id).with(CLIENT_REQUEST_ID, &client_request_id).with(
        DIAGNOSTIC,
        r#"{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"1","ScaleUnit":"001","RoleInstance":"SIM0001"}}"#,
    );
    let Some(error) = error_of(&answer) else { return answer };
    let date = core.clock.now().to_string();
    let date = date.split(['.', 'Z']).next().unwrap_or_default();
    let told = answer.headers.iter().any(|(name, _)| name == header::RETRY_AFTER);
    let mut inner = json!({"date": date, "request-id": request_id, "client-request-id": client_request_id});
    let document = document(&error, answer.status, told, &mut inner);
    let throttled = answer.status == StatusCode::TOO_MANY_REQUESTS;
    let answer = Answer { body: Answer::json(answer.status, &document).body, ..answer };
    match throttled {
        true => answer.with(THROTTLE_SCOPE, "Tenant_Application").with(THROTTLE_INFORMATION, "RequestLimitExceeded"),
        false => answer,
    }
}

/// The error in an answer's body, when it is one of ours.
fn error_of(answer: &Answer) -> Option<Map<String, Value>> {
    let Content::Whole(body) = &answer.body else { return None };
    let Value::Object(mut document) = serde_json::from_slice(body).ok().filter(|_| answer.status.as_u16() >= 400)?
    else {
        return None;
    };
    match document.remove("error")? {
        Value::Object(error) => Some(error),
        _ => None,
    }
}

/// The document for an error. `told`: a header tells the wait.
fn document(error: &Map<String, Value>, status: StatusCode, told: bool, inner: &mut Value) -> Value {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let (code, message) = (text("code"), text("message"));
    // What already has Graph's form keeps its words.
    if error.contains_key("innerError") {
        return json!({"error": {"code": code, "message": message, "innerError": inner}});
    }
    let code = CODES.iter().find(|(classic, _)| *classic == code).map_or(code, |(_, graph)| graph);
    match (code, status) {
        ("", _) => {
            let message = format!("The query specified in the URI is not valid. {message}");
            json!({"error": {"code": code, "message": message, "details": [], "innerError": inner}})
        }
        (_, StatusCode::TOO_MANY_REQUESTS) => {
            inner["code"] = "429".into();
            inner["status"] = "429".into();
            inner["message"] = "Please retry after".into();
            let message = if told { "Please retry again later." } else { message };
            json!({"error": {"code": code, "message": message, "innerError": inner}})
        }
        ("UnknownError", _) => json!({"error": {"code": code, "message": "", "innerError": inner}}),
        _ => json!({"error": {"code": code, "message": message, "innerError": inner}}),
    }
}
