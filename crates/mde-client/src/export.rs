//! File exports: the list of files, and the rows in each. The links are credentials: they are fetched without our token,
//! and no output shows them.

mod inflate;
mod lines;

pub use lines::Lines;

use crate::answer::{ERROR_CAP, Success, head};
use crate::base::{check_address, is_loopback};
use crate::body::Body;
use crate::client::{Client, Get};
use crate::error::{Context, Error, ErrorKind, ServerDate};
use crate::limits::Family;
use crate::retry;
use crate::rows::layout::Layout;
use crate::rows::{Fault, Rows};
use crate::time::parse_time;
use crate::transport::{HttpRequest, HttpResponse, TransportError};
use crate::wording;
use reqwest::Method;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// What the store of the files calls a link whose time has passed, or whose signature no longer holds.
const EXPIRED: &str = "AuthenticationFailed";

/// The header in which the store of the files names its error.
const STORE_ERROR: &str = "x-ms-error-code";

/// The files of one export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFiles {
    /// `Date` of the answer.
    pub date: Option<ServerDate>,
    /// The vendor's id of this request.
    pub request_id: Option<String>,
    /// The files; together they are the whole export.
    pub files: Vec<ExportFile>,
    /// When the files were made, as the vendor writes it.
    pub generated: Option<String>,
}

/// One file of an export.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportFile {
    /// The address with its signature.
    url: Url,
}

impl ExportFile {
    /// When the link ends, where it says so. Unit: milliseconds since 1970, UTC.
    #[must_use]
    pub fn expires_ms(&self) -> Option<i64> {
        let (_, end) = self.url.query_pairs().find(|(name, _)| name == "se")?;
        parse_time(&end).map(crate::Time100ns::floor_ms)
    }
}

impl fmt::Debug for ExportFile {
    /// The host: the path names the tenant, the query is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExportFile({})", self.url.host_str().unwrap_or_default())
    }
}

impl Client {
    /// Asks for a file export: the list of its files, whole. No build is triggered by it.
    ///
    /// Fails with `LinkRefused` where a file's link is no HTTPS address (plain HTTP is for loopback, by an API on
    /// loopback), and with `EntityTooLarge` where the links together exceed the entity cap.
    pub async fn export_files(&self, get: &Get) -> Result<ExportFiles, Error> {
        let Success { context, body, .. } = self.call(get.call()).await?;
        let cap = self.options().entity_cap;
        let problem = |kind| Error::new(kind, context.clone());
        let mut rows = Rows::new(body, Layout::ExportFiles, cap);
        let (mut files, mut bytes) = (Vec::new(), 0);
        while let Some(link) = rows.next().await? {
            bytes += link.len();
            if bytes > cap {
                return Err(problem(ErrorKind::EntityTooLarge { limit: cap }));
            }
            let link: String = serde_json::from_slice(link).map_err(|_| problem(ErrorKind::NotJson))?;
            let url = Url::parse(&link).ok().filter(|url| self.may_fetch(url));
            files.push(ExportFile { url: url.ok_or_else(|| problem(ErrorKind::LinkRefused))? });
        }
        let generated = rows.annotations().generated.clone();
        Ok(ExportFiles { date: context.date, request_id: context.request_id, files, generated })
    }

    /// Whether a link of an export may be fetched: nobody on the way can read it, and it leads to this machine only if
    /// the API is there as well.
    fn may_fetch(&self, url: &Url) -> bool {
        check_address(url, "").is_ok() && (!is_loopback(url) || is_loopback(self.base_url()))
    }

    /// Fetches one file: its rows, which are still arriving. It spends no quota and sends no token.
    ///
    /// Fails with `LinkExpired` where the link is good no more: a new list has new links.
    pub async fn fetch(&self, file: &ExportFile) -> Result<Lines, Error> {
        let host = file.url.host_str().unwrap_or_default();
        let action = format!("fetch an export file from {host}");
        let context = Context { action, family: Some(Family::ExportFiles), ..Context::default() };
        let request = HttpRequest { method: Method::GET, url: file.url.clone(), headers: HeaderMap::new(), body: None };
        let answer = timeout(self.options().answer_timeout, self.transport().send(request)).await;
        let response = answer
            .unwrap_or(Err(TransportError::Timeout(None)))
            .map_err(|cause| Error::transport(cause, context.clone()))?;
        let silence = self.options().silence_timeout;
        if response.status != 200 {
            return Err(refusal(file, response, silence, context).await);
        }
        let context = head(&response, context);
        let date = context.date;
        Ok(Lines::new(Body::new(response.body, silence, context), self.options().entity_cap, date))
    }
}

/// An answer of the store of the files that is no success, as an error. Its body is XML and is looked at for its code.
async fn refusal(file: &ExportFile, response: HttpResponse, silence: Duration, context: Context) -> Error {
    let status = response.status;
    let header = |name| response.headers.get(name).and_then(|value| value.to_str().ok());
    let mut context = head(&response, context);
    let answered_ms = context.date.map(|date| date.unix_ms);
    let after = header(RETRY_AFTER.as_str()).and_then(|after| retry::wait_in_header(after, answered_ms));
    let named = header(STORE_ERROR).and_then(wording::word);
    let body = Body::new(response.body, silence, context.clone()).beginning(ERROR_CAP).await;
    context.code = named.or_else(|| code_in_xml(&body));
    let past = file.expires_ms().zip(answered_ms).is_some_and(|(end, now)| end <= now);
    let kind = match status {
        401 | 403 if past || context.code.as_deref() == Some(EXPIRED) => ErrorKind::LinkExpired,
        401 | 403 => ErrorKind::Forbidden { missing: Vec::new() },
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        429 => ErrorKind::Throttled { after },
        400..500 => ErrorKind::BadRequest,
        500.. => ErrorKind::Server { status, after },
        _ => ErrorKind::Unexpected { status },
    };
    Error::new(kind, context)
}

/// The code of an error in XML.
fn code_in_xml(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, tail) = text.split_once("<Code>")?;
    wording::word(tail.split_once("</Code>")?.0)
}

impl Fault {
    /// The fault that a row is no JSON object, by its first and last byte: all else is for its reader to check.
    fn of_row(row: &[u8]) -> Option<Self> {
        let object = row.first() == Some(&b'{') && row.last() == Some(&b'}');
        (!object).then_some(Self::NotAPage)
    }
}
