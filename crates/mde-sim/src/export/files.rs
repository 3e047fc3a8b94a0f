//! Exports in files: links that carry their own permission and expire, and the files behind them.

use super::{Export, Place, Rows};
use crate::connection::{Break, Connection};
use crate::defender::{self, Call, error};
use crate::delivery::{Answer, Chunk, Content, deliver, lose};
use crate::kind::RequestKind;
use crate::ledger;
use crate::odata::QueryError;
use crate::odata::options::limited;
use crate::scenario::{Fault, Server};
use crate::sim::Core;
use crate::ticks::Ticks;
use crate::world::dice::mix;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use url::form_urlencoded;

/// First segment of the files' paths.
pub(crate) const FOLDER: &str = "tvm-export";

/// Rows in one gzip member.
const ROWS_PER_MEMBER: usize = 500;

/// Exports that come in files: the word in their paths, hours for which links are valid and at most can be.
const EXPORTS: [(Export, &str, i64, usize); 4] = [
    (Export::Vulnerabilities, "VaExport", 1, 6),
    (Export::Inventory, "SoftwareInventory", 1, 6),
    (Export::InventoryWithoutCpe, "NonCpeSoftwareInventory", 3, 24),
    (Export::Configurations, "ScaExport", 1, 6),
];

/// Answers the links of a file export.
pub(crate) fn answer(call: &Call<'_>, export: Export) -> Result<Answer, Answer> {
    let core = call.core;
    let (_, word, hours, limit) =
        *EXPORTS.iter().find(|(known, ..)| *known == export).expect("only exports of the table have files");
    let pairs: BTreeMap<_, _> =
        form_urlencoded::parse(call.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case("sasValidHours"));
    let hours = match asked.map(|(_, value)| limited("$sasValidHours", value, limit)) {
        None => hours,
        Some(Ok(asked)) if asked > 0 => i64::try_from(asked).unwrap_or(hours),
        Some(Ok(_)) => return Err(error::bad_query(&QueryError("sasValidHours must be positive.".to_owned()))),
        Some(Err(refusal)) => return Err(error::bad_query(&refusal)),
    };
    let (build, view) = core.builds.newest(core);
    let base = core.base_of(call.headers);
    let ends = Ticks::of(core.clock.now()).plus(hours * 3_600 * Ticks::PER_SECOND).0 / Ticks::PER_SECOND;
    let tenant = core.entra.credentials().tenant_id;
    let links = (0..core.export_files).map(|part| {
        let path = format!("{FOLDER}/{build}/{word}/json/OrgId={tenant}/_RbacGroupId=0/part-{part:05}.c000.json.gz");
        let signature = signature(core.seed, &path, ends);
        format!("{base}/{path}?sv=2024-05-04&se={ends}&sr=b&sp=r&sig={signature}")
    });
    core.scenario.answered(call.endpoint.kind, 0, &core.world);
    Ok(Answer::json(
        StatusCode::OK,
        &json!({
            "@odata.context": format!("{base}/api/$metadata#microsoft.windowsDefenderATP.api.ExportFilesResponse"),
            "exportFiles": links.collect::<Vec<_>>(),
            "generatedTime": view.now,
        }),
    ))
}

/// Answers one file. The link is the permission: a token beside it is refused, as the storage service does.
pub(crate) async fn blob(State(core): State<Arc<Core>>, request: Request) -> Response<Body> {
    let connection = request.extensions().get::<Connection>().cloned();
    // The signature in the query is a credential: the books keep the path alone.
    let entry = core.ledger.open(RequestKind::Blob, None, request.uri().path(), "");
    let fault = core.scenario.take(RequestKind::Blob);
    match &fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset { after: None }) => return lose(connection, Break::Reset).await,
        _ => {}
    }
    let answer = match &fault {
        Some(Fault::Status { status, body }) => defender::status_answer(*status, *body),
        Some(Fault::Html) => defender::html(),
        Some(Fault::Forbidden | Fault::Unauthorized) => refusal(StatusCode::FORBIDDEN, "AuthenticationFailed"),
        _ => file(&core, &request).unwrap_or_else(|refusal| refusal),
    };
    deliver(core.dated(answer, Server::Api), fault.as_ref(), entry, connection, request.headers()).await
}

/// A file, or the storage service's refusal.
fn file(core: &Core, request: &Request) -> Result<Answer, Answer> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Err(refusal(StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo"));
    }
    let path = request.uri().path().trim_start_matches('/');
    let query = request.uri().query().unwrap_or_default();
    let pairs: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let ends = pairs.get("se").and_then(|ends| ends.parse::<i64>().ok());
    let signed = ends.filter(|ends| pairs.get("sig") == Some(&signature(core.seed, path, *ends)));
    if signed.is_none_or(|ends| Ticks::of(core.clock.now()).0 / Ticks::PER_SECOND >= ends) {
        return Err(refusal(StatusCode::FORBIDDEN, "AuthenticationFailed"));
    }
    // The signature covers the path, so it is one that we made.
    let segments: Vec<_> = path.split('/').collect();
    let gone = || refusal(StatusCode::NOT_FOUND, "BlobNotFound");
    let (build, word) = (segments.get(1).copied().unwrap_or_default(), segments.get(2).copied().unwrap_or_default());
    let (export, ..) = *EXPORTS.iter().find(|(_, known, ..)| *known == word).ok_or_else(gone)?;
    let view = build.parse().ok().and_then(|build| core.builds.find(build)).ok_or_else(gone)?;
    let part = segments.last().and_then(|name| name.get(5..10)).and_then(|part| part.parse::<u64>().ok());
    let part = part.filter(|part| *part < core.export_files as u64).ok_or_else(gone)?;
    let rows = Rows::new(view, export, None);
    let border = |part: u64| Place {
        segment: (u64::from(rows.segments()) * part / core.export_files.max(1) as u64) as u32,
        given: 0,
    };
    let (from, to) = (border(part), border(part + 1));
    let members = stream::unfold((rows, from), move |(rows, place)| async move {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let (mut line, mut count) = (Vec::new(), 0);
        let place = rows.write(place, to, ROWS_PER_MEMBER, |row| {
            line.clear();
            row.line(&mut line);
            encoder.write_all(&line).expect("writing to memory cannot fail");
            count += 1;
        });
        let bytes = Bytes::from(encoder.finish().expect("writing to memory cannot fail"));
        (count > 0).then(|| (Chunk { bytes, rows: ledger::Rows::Other(count) }, (rows, place)))
    });
    let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    Ok(Answer { status: StatusCode::OK, headers, body: Content::Packed(members.boxed()) })
}

/// What makes a link a permission. A tell-tale, so that leaks can be searched for.
fn signature(seed: u64, path: &str, ends: i64) -> String {
    let digest = path.bytes().fold(mix(seed, ends as u64), |digest, octet| mix(digest, u64::from(octet)));
    format!("telltale-sas-{digest:016x}")
}

/// The storage service's error document.
fn refusal(status: StatusCode, code: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>The request is not answered.</Message></Error>"
    );
    Answer::whole(status, "application/xml", text.into())
}
