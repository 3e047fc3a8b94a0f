//! Exports in pages of JSON. A page's link names the build, so that all pages of one run show one moment.

use super::{Export, Place, Rows};
use crate::defender::{Call, Envelope, error, link};
use crate::delivery::{Answer, Chunk, Content};
use crate::ledger;
use crate::odata::QueryError;
use crate::odata::options::{limited, without};
use crate::scenario::Fault;
use crate::ticks::Ticks;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// Rows of a page when nothing is asked for. Source: vendor pages "Export … assessment".
const PAGE_SIZE: usize = 50_000;
/// Rows of a page at most.
const PAGE_LIMIT: usize = 200_000;
/// How far back changes go. Unit: days.
const CHANGES_DAYS: i64 = 14;
/// Rows written at a time.
const ROWS_PER_CHUNK: usize = 200;

/// What a link's token says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    /// Number of the build.
    build: u64,
    /// Segment where the page begins.
    segment: u32,
    /// Rows of it that were given.
    given: usize,
}

/// What is asked for.
#[derive(Default)]
struct Asked {
    /// Rows of a page.
    page_size: Option<usize>,
    /// Rows at all: no link follows.
    top: Option<usize>,
    /// Where to go on.
    token: Option<Token>,
    /// Since when changes are wanted.
    since: Option<Ticks>,
}

impl Asked {
    /// Reads a raw query string.
    fn parse(query: &str) -> Result<Self, QueryError> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.to_ascii_lowercase().as_str() {
                "pagesize" => asked.page_size = Some(limited("$pageSize", &value, PAGE_LIMIT)?),
                "$top" => asked.top = Some(limited(&name, &value, PAGE_LIMIT)?),
                "$skiptoken" => {
                    let text = URL_SAFE_NO_PAD.decode(value.as_bytes()).ok();
                    let token = text.and_then(|text| serde_json::from_slice(&text).ok());
                    asked.token = Some(token.ok_or_else(|| QueryError("The skip token is not valid.".to_owned()))?);
                }
                "sincetime" => {
                    let since: jiff::Timestamp = value
                        .parse()
                        .map_err(|_| QueryError(format!("Invalid value '{value}' for sinceTime found.")))?;
                    asked.since = Some(Ticks::of(since));
                }
                _ if name.starts_with('$') => {
                    return Err(QueryError(format!("The query parameter '{name}' is not supported.")));
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// Answers a page of an export.
pub(crate) fn answer(call: &Call<'_>, export: Export) -> Result<Answer, Answer> {
    let core = call.core;
    let query = call.uri.query().unwrap_or_default();
    let asked = Asked::parse(query).map_err(|refusal| error::bad_query(&refusal))?;
    if asked.token.is_some() && call.fault == Some(&Fault::LinkRefused) {
        return Err(error::bad_link());
    }
    let (build, view) = match &asked.token {
        Some(token) => (token.build, core.builds.find(token.build).ok_or_else(error::bad_link)?),
        None => core.builds.newest(core),
    };
    let since = match (export, asked.since) {
        (Export::VulnerabilityChanges, None) => return Err(error::missing_parameter("sinceTime")),
        (Export::VulnerabilityChanges, Some(since)) => {
            let earliest = Ticks::of(core.clock.now()).plus(-CHANGES_DAYS * 86_400 * Ticks::PER_SECOND);
            if since < earliest {
                return Err(error::invalid_input("sinceTime must not be more than 14 days back."));
            }
            Some(since)
        }
        _ => None,
    };
    let rows = Rows::new(view, export, since);
    let from = asked
        .token
        .as_ref()
        .map_or(Place { segment: 0, given: 0 }, |token| Place { segment: token.segment, given: token.given });
    let size = asked.top.or(asked.page_size).unwrap_or(PAGE_SIZE).max(1);
    let behind = rows.behind(from, size);
    let to = behind.unwrap_or_else(|| rows.end());
    let base = core.page.link_base.clone().unwrap_or_else(|| core.base_of(call.headers));
    let next = behind.filter(|_| asked.top.is_none()).map(|place| {
        let token = Token { build, segment: place.segment, given: place.given };
        let token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).expect("numbers are JSON"));
        let rest = without(&without(&without(query, "$skiptoken"), "pageSize"), "pagesize");
        let rest = if rest.is_empty() { String::new() } else { format!("{rest}&") };
        link(&base, call.uri.path(), &format!("{rest}pagesize={size}&$skiptoken={token}"))
    });
    let envelope = Envelope {
        context: format!(
            "{}/api/$metadata#Collection(microsoft.windowsDefenderATP.api.{})",
            base.trim_end_matches('/'),
            export.context()
        ),
        count: None,
        next,
        link_first: core.page.link_first,
    };
    core.scenario.answered(call.endpoint.kind, size as u64, &core.world);
    let (before, after) = envelope.texts();
    let frame = |text: String| stream::iter([Chunk::bare(Bytes::from(text))]);
    let chunks = stream::unfold((rows, from, true), move |(rows, place, first)| async move {
        let mut bytes = Vec::with_capacity(ROWS_PER_CHUNK * 1_200);
        let (mut count, mut first) = (0, first);
        let place = rows.write(place, to, ROWS_PER_CHUNK, |row| {
            if !std::mem::take(&mut first) {
                bytes.push(b',');
            }
            row.json(&mut bytes);
            count += 1;
        });
        (count > 0).then(|| (Chunk { bytes: bytes.into(), rows: ledger::Rows::Other(count) }, (rows, place, first)))
    });
    let body = Content::Stream(frame(before).chain(chunks).chain(frame(after)).boxed());
    Ok(Answer { status: StatusCode::OK, headers: vec![crate::defender::ODATA], body })
}
