//! What the head of an answer tells, and what an answer that is no success means.

use crate::auth::Token;
use crate::body::Body;
use crate::budget::Throttle;
use crate::error::{Context, Error, ErrorKind, ServerDate};
use crate::hunting;
use crate::limits::Family;
use crate::page::Page;
use crate::retry;
use crate::transport::HttpResponse;
use crate::wording;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER, WARNING};
use serde::Deserialize;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;
use url::Url;

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

/// A success whose body has not been looked at.
pub(crate) struct Success {
    /// The address that was asked.
    pub url: Url,
    /// What the head tells.
    pub context: Context,
    /// What has yet to arrive.
    pub body: Body,
}

/// An error's body. What is missing or of another type is as good as not there.
#[derive(Deserialize)]
struct ErrorBody {
    /// The one member that an error has.
    error: ErrorFields,
}

/// See [`ErrorBody`].
#[derive(Deserialize, Default)]
struct ErrorFields {
    /// A word, or the status as text; empty on Graph at times.
    code: Option<String>,
    /// Free text.
    message: Option<String>,
    /// The vendor's id of the request, as the Defender API gives it.
    target: Option<String>,
    /// Where Graph gives it.
    #[serde(rename = "innerError", alias = "innererror")]
    inner: Option<InnerError>,
}

/// See [`ErrorFields`].
#[derive(Deserialize)]
struct InnerError {
    /// The vendor's id of the request.
    #[serde(rename = "request-id")]
    request_id: Option<String>,
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
    // Its text stands in quotes, which would hide it: it names products, no record.
    let warned = response.headers.get(WARNING).and_then(|value| value.to_str().ok()).map(|text| text.replace('"', ""));
    let body = Body::new(response.body, silence, context.clone()).beginning(ERROR_CAP).await;
    let ErrorFields { code, message, target, inner } =
        serde_json::from_slice::<ErrorBody>(&body).map_or_else(|_| ErrorFields::default(), |body| body.error);
    // An incomplete answer names what is missing in its head.
    let missing = warned.filter(|_| status == 206);
    let message = message.or(missing).unwrap_or_default();
    let answered_ms = context.date.map(|date| date.unix_ms);
    let hunting = context.family.is_some_and(Family::is_hunting);
    let computing = hunting && status == 429 && wording::computing_refusal(&message);
    let after = retry::wait(retry_after.as_deref(), answered_ms, &message)
        .or_else(|| computing.then(|| retry::until_next_quarter(answered_ms)));
    let allowed = retry::allowed_in_text(&message);
    let throttle = (status == 429).then_some(Throttle { after, allowed, computing });
    let kind = match status {
        206 => ErrorKind::Incomplete,
        429 => ErrorKind::Throttled { after },
        401 if wording::licence_refusal(&message) => ErrorKind::NotLicensed,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden { missing: wording::missing_roles(&message) },
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        400 if hunting => hunting::refused_as(&message),
        400..500 => ErrorKind::BadRequest,
        500.. => ErrorKind::Server { status, after },
        _ => ErrorKind::Unexpected { status },
    };
    context.code = code.as_deref().and_then(wording::word);
    context.message = wording::shortened(&message, token.expose());
    context.request_id = context.request_id.or_else(|| {
        let inner = inner.and_then(|inner| inner.request_id);
        [target, inner].into_iter().flatten().find_map(|id| wording::word(&id))
    });
    (Error::new(kind, context), throttle)
}
