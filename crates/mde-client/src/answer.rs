//! What the head of an answer tells, and what an answer that is no success means.

use crate::auth::Token;
use crate::body::Body;
use crate::budget::Throttle;
use crate::error::{Context, Error, ErrorKind, ServerDate};
use crate::page::Page;
use crate::retry;
use crate::transport::HttpResponse;
use crate::wording;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

/// Most of an error's body that is read. Unit: bytes.
pub(crate) const ERROR_CAP: usize = 64 * 1024;

/// The headers that can hold the vendor's id of a request, best first.
const REQUEST_ID: [&str; 4] = ["request-id", "x-ms-request-id", "x-request-id", "x-correlation-id"];

/// A success whose body is still arriving.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status: 200.
    pub status: u16,
    /// `Date` of the answer.
    pub date: Option<ServerDate>,
    /// The vendor's id of this request.
    pub request_id: Option<String>,
    /// The entities.
    pub page: Page,
}

impl Answer {
    /// The body as one JSON object, for calls that answer a single entity. It has been parsed, so it is whole.
    pub async fn entity(self) -> Result<Vec<u8>, Error> {
        self.page.into_entity().await
    }
}

/// An error's body. What is missing or of another type is as good as not there.
#[derive(Deserialize)]
struct ErrorBody {
    /// The one member that an error has.
    error: ErrorFields,
}

/// See [`ErrorBody`].
#[derive(Deserialize)]
struct ErrorFields {
    /// A word, or the status as text; empty on Graph at times.
    code: Option<String>,
    /// Free text.
    message: Option<String>,
    /// The vendor's id of the request.
    target: Option<String>,
}

/// Adds what the head tells to what is known about a call.
pub(crate) fn head(response: &HttpResponse, context: Context) -> Context {
    let named = |name: &&str| response.headers.get(*name)?.to_str().ok().and_then(wording::word);
    Context {
        status: Some(response.status),
        date: date(&response.headers),
        request_id: REQUEST_ID.iter().find_map(named),
        ..context
    }
}

/// The `Date` header, read now.
pub(crate) fn date(headers: &HeaderMap) -> Option<ServerDate> {
    let unix_ms = http_date_ms(headers.get(DATE)?.to_str().ok()?)?;
    Some(ServerDate { unix_ms, read_at: Instant::now() })
}

/// An HTTP date. Unit: milliseconds since 1970, UTC; earlier ones are no date that a server has.
pub(crate) fn http_date_ms(text: &str) -> Option<i64> {
    let since_1970 = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_millis()).ok()
}

/// An answer that is no success as an error, and for a 429 what it teaches the budget.
pub(crate) async fn failure(
    response: HttpResponse,
    silence: Duration,
    context: Context,
    token: &Token,
) -> (Error, Option<Throttle>) {
    let status = response.status;
    let mut context = head(&response, context);
    let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Body::new(response.body, silence, context.clone()).beginning(ERROR_CAP).await;
    let ErrorFields { code, message, target } = serde_json::from_slice::<ErrorBody>(&body)
        .map_or(ErrorFields { code: None, message: None, target: None }, |body| body.error);
    let message = message.unwrap_or_default();
    let answered_ms = context.date.map(|date| date.unix_ms);
    let after = retry::wait(retry_after.as_deref(), answered_ms, &message);
    let throttle = (status == 429).then(|| Throttle { after, allowed: retry::allowed_in_text(&message) });
    let kind = match status {
        429 => ErrorKind::Throttled { after },
        401 if wording::licence_refusal(&message) => ErrorKind::NotLicensed,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden { missing: wording::missing_roles(&message) },
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        400 if wording::result_too_large(&message) => ErrorKind::ResultTooLarge,
        400..500 => ErrorKind::BadRequest,
        500.. => ErrorKind::Server { status, after },
        _ => ErrorKind::Unexpected { status },
    };
    context.code = code.as_deref().and_then(wording::word);
    context.message = wording::shortened(&message, token.expose());
    context.request_id = context.request_id.or_else(|| target.as_deref().and_then(wording::word));
    (Error::new(kind, context), throttle)
}
