//! Error documents in the service's words. Source: vendor page "Common error codes" and answers seen in public issues.

use crate::delivery::Answer;
use crate::odata::QueryError;
use crate::quota::Exceeded;
use crate::scenario::RetryAfter;
use axum::http::{StatusCode, header};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// What a gateway shows instead of JSON.
pub(crate) const HTML: &[u8] = b"<!DOCTYPE html>\n<html><head><title>Service unavailable</title></head><body><h1>The service is unavailable.</h1></body></html>\n";

/// Value of `target`, the correlation id: support would ask for it, here it is always the same.
const TARGET: &str = "00000000-5157-4d00-8000-000000000001";

/// The documented error document.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    document(status, code, message, TARGET)
}

/// The same with a target of its own.
fn document(status: StatusCode, code: &str, message: &str, target: &str) -> Answer {
    Answer::json(status, &json!({"error": {"code": code, "message": message, "target": target}}))
}

/// The token is missing, not ours, expired, revoked, or for the other API.
pub(crate) fn unauthorized(on_graph: bool) -> Answer {
    let (code, message) = match on_graph {
        true => ("InvalidAuthenticationToken", "Access token validation failure. Invalid audience or expired token."),
        false => ("Unauthorized", "Unauthorized (invalid or expired authorization header)."),
    };
    either(on_graph, StatusCode::UNAUTHORIZED, code, message)
        .with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
}

/// The tenant has no licence; a new token does not help.
pub(crate) fn no_licence() -> Answer {
    error(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized request - reason of failure: No Tvm license")
}

/// The application lacks a role.
pub(crate) fn missing_roles(required: &[&str], granted: &[String], on_graph: bool) -> Answer {
    let message = format!(
        "Missing application roles. API required roles: {}, application roles: {}.",
        required.join(if on_graph { "," } else { ", " }),
        granted.join(",")
    );
    either(on_graph, StatusCode::FORBIDDEN, "Forbidden", &message)
}

/// The endpoint has another method.
pub(crate) fn method_not_allowed() -> Answer {
    error(StatusCode::METHOD_NOT_ALLOWED, "BadRequest", "The method is not supported here.")
}

/// A parameter is not there.
pub(crate) fn missing_parameter(name: &str) -> Answer {
    error(StatusCode::BAD_REQUEST, "MissingRequiredParameter", &format!("The required parameter {name} is missing."))
}

/// A parameter says something that cannot be.
pub(crate) fn invalid_input(message: &str) -> Answer {
    error(StatusCode::BAD_REQUEST, "InvalidInput", message)
}

/// There is no such entity.
pub(crate) fn not_found(message: &str) -> Answer {
    error(StatusCode::NOT_FOUND, "ResourceNotFound", message)
}

/// The query is not understood.
pub(crate) fn bad_query(refusal: &QueryError) -> Answer {
    error(StatusCode::BAD_REQUEST, "ODataError", &refusal.to_string())
}

/// The link is not taken back.
pub(crate) fn bad_link() -> Answer {
    error(StatusCode::BAD_REQUEST, "BadRequest", "The continuation is not valid or no longer valid.")
}

/// The body of a hunting request is not what it must be.
pub(crate) fn bad_body(on_graph: bool) -> Answer {
    either(on_graph, StatusCode::BAD_REQUEST, "InvalidRequestBody", "Request body is incorrect")
}

/// A hunting query is not understood.
pub(crate) fn bad_kql(message: &str, on_graph: bool) -> Answer {
    either(on_graph, StatusCode::BAD_REQUEST, "BadRequest", message)
}

/// A hunting query has too many octets of rows.
pub(crate) fn result_too_large(on_graph: bool) -> Answer {
    let message = "Query execution has exceeded the allowed result size. Optimize your query by limiting the number of results and try again";
    either(on_graph, StatusCode::BAD_REQUEST, "BadRequest", message)
}

/// A hunting query would use more computing time than is left. The wait is told as the text does it, and on the Defender API
/// in the header too.
pub(crate) fn compute_exhausted(seconds: u64, on_graph: bool) -> Answer {
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let message = format!(
        "Your request was throttled: the CPU resources allotted to your tenant are used up. You can run queries again in {hours:02}:{minutes:02}:{rest:02}."
    );
    let answer = either(on_graph, StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", &message);
    if on_graph { answer } else { answer.with(header::RETRY_AFTER, &seconds.to_string()) }
}

/// An error in the form of the endpoint's own API.
pub(crate) fn either(on_graph: bool, status: StatusCode, code: &str, message: &str) -> Answer {
    if !on_graph {
        return error(status, code, message);
    }
    // What names the request is added on its way out.
    Answer::json(status, &json!({"error": {"code": code, "message": message, "innerError": {}}}))
}

/// The API has ended.
pub(crate) fn gone() -> Answer {
    error(StatusCode::GONE, "Gone", "This API has been retired. Use the security API of Microsoft Graph.")
}

/// The service broke.
pub(crate) fn internal() -> Answer {
    error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "An unexpected error has occurred.")
}

/// A window of the quota is full.
pub(crate) fn quota_exceeded(exceeded: Exceeded, tenant_id: &str) -> Answer {
    let Exceeded { allowed, window, retry_after } = exceeded;
    let message = format!(
        "API calls quota exceeded! Maximum allowed {allowed} per {window} for the key Destination+TenantID+AppID. You can send requests again in {retry_after} seconds."
    );
    document(StatusCode::TOO_MANY_REQUESTS, "429", &message, tenant_id)
        .with(header::RETRY_AFTER, &retry_after.to_string())
}

/// 429 as the script wants it. `now` is what the `Date` header says.
pub(crate) fn throttled(told: RetryAfter, seconds: u64, tenant_id: &str, now: SystemTime) -> Answer {
    let silent = || {
        error(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Response represents reaching quota limit either by number of requests or by CPU.",
        )
    };
    let spoken = quota_exceeded(Exceeded { allowed: 100, window: "00:01:00", retry_after: seconds }, tenant_id);
    match told {
        RetryAfter::Seconds => spoken,
        RetryAfter::HttpDate => {
            silent().with(header::RETRY_AFTER, &httpdate::fmt_http_date(now + Duration::from_secs(seconds)))
        }
        RetryAfter::Text => Answer { headers: silent().headers, ..spoken },
        RetryAfter::Nowhere => silent(),
    }
}
