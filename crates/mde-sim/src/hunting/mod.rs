//! Advanced hunting on both endpoints: a query in, rows out, with the limits that the service has.

mod columns;
mod events;
mod json;
mod kql;
mod tables;
mod timespan;

use crate::defender::{Call, ODATA, error};
use crate::delivery::{Answer, Chunk, Content};
use crate::estate::View;
use crate::kind::Service;
use crate::ledger::{Rows, mark};
use crate::odata::filter::EVER;
use crate::scenario::Fault;
use crate::ticks::Ticks;
use crate::world::World;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use kql::{Moment, Query};
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tables::{Row, TABLES, Table};

/// Rows written at a time.
const ROWS_PER_CHUNK: usize = 200;

/// Body of a request. Names count with case; others are left alone.
#[derive(Deserialize)]
struct Asked {
    /// The query.
    #[serde(rename = "Query")]
    query: String,
    /// The span of time that rows must lie in. Only Microsoft Graph knows it.
    #[serde(rename = "Timespan")]
    timespan: Option<String>,
}

/// A query at one moment.
struct Hunt {
    /// What is asked.
    query: Query,
    /// The tenant at that moment.
    view: View,
    /// The span of time that rows must lie in.
    within: RangeInclusive<Ticks>,
    /// Rows at most.
    row_cap: usize,
}

impl Hunt {
    /// The rows, made one by one from a place on.
    fn rows(&self) -> impl Iterator<Item = Row> + Send {
        let config = &self.view.estate.plan.hunting;
        let moment = Moment { view: &self.view, config, within: &self.within };
        kql::run(&self.query, moment).take(self.row_cap)
    }
}

/// `POST /api/advancedqueries/run` and `POST /v1.0/security/runHuntingQuery`
pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Answer> {
    let on_graph = call.endpoint.on_graph;
    match call.fault {
        Some(Fault::ComputeExhausted { seconds }) => return Err(error::compute_exhausted(*seconds, on_graph)),
        Some(Fault::ResultTooLarge) => return Err(error::result_too_large(on_graph)),
        _ => {}
    }
    let asked: Asked = serde_json::from_slice(&call.body).map_err(|_| error::bad_body(on_graph))?;
    let view = call.core.world.view();
    let within = match asked.timespan.filter(|_| on_graph) {
        None => EVER,
        Some(text) => timespan::parse(&text, view.now).ok_or_else(|| error::bad_body(on_graph))?,
    };
    let query = kql::parse(&asked.query, view.now).map_err(|refusal| error::bad_kql(&refusal.0, on_graph))?;
    let limits = &view.estate.plan.hunting;
    let (row_cap, max_bytes) = (limits.row_cap, if on_graph { limits.graph_max_bytes } else { limits.max_bytes });
    let hunt = Hunt { query, within, row_cap, view };
    // The size is known before the first octet leaves: a first run counts, a second one writes.
    let (mut count, mut bytes, mut line) = (0_u64, 0, Vec::new());
    for row in hunt.rows() {
        line.clear();
        json::row(&hunt.query.columns, &row, on_graph, &mut line);
        count += 1;
        bytes += line.len() + 1;
        if bytes > max_bytes {
            return Err(error::result_too_large(on_graph));
        }
    }
    call.core.scenario.answered(call.endpoint.kind, count, &call.core.world);
    let base = call.core.base_of(call.headers);
    let (before, after) = frame(&hunt.query, on_graph, count, &base);
    let frame = |text: String| stream::iter([Chunk::bare(Bytes::from(text))]);
    let body = frame(before).chain(rows(hunt, on_graph)).chain(frame(after)).boxed();
    Ok(Answer { status: StatusCode::OK, headers: vec![ODATA], body: Content::Stream(body) })
}

/// The rows in chunks. A task of its own runs the query, one chunk ahead of whoever takes them, since rows borrow the tenant.
fn rows(hunt: Hunt, on_graph: bool) -> impl futures_util::Stream<Item = Chunk> + Send + 'static {
    let (send, receive) = tokio::sync::mpsc::channel::<Chunk>(1);
    let hunt = Arc::new(hunt);
    tokio::spawn(async move {
        let mut found = hunt.rows();
        let mut first = true;
        loop {
            let mut bytes = Vec::with_capacity(ROWS_PER_CHUNK * 1_000);
            let mut marks = Vec::with_capacity(ROWS_PER_CHUNK);
            for row in found.by_ref().take(ROWS_PER_CHUNK) {
                if !std::mem::take(&mut first) {
                    bytes.push(b',');
                }
                let start = bytes.len();
                json::row(&hunt.query.columns, &row, false, &mut bytes);
                marks.push(mark(&bytes[start..]));
                if on_graph {
                    bytes.truncate(start);
                    json::row(&hunt.query.columns, &row, true, &mut bytes);
                }
            }
            let last = marks.is_empty();
            let chunk = Chunk { bytes: bytes.into(), rows: Rows::Entities(Service::AdvancedHunting, marks) };
            // The other side may have left: then nobody wants the rest.
            if last || send.send(chunk).await.is_err() {
                return;
            }
        }
    });
    stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) })
}

/// What stands before the rows and what behind them.
fn frame(query: &Query, on_graph: bool, count: u64, base: &str) -> (String, String) {
    let (name, of) = if on_graph { ("name", "type") } else { ("Name", "Type") };
    let columns = query.columns.iter().map(|column| {
        let mut quoted = Vec::new();
        json::quoted(&column.name, &mut quoted);
        let quoted = String::from_utf8(quoted).expect("JSON is UTF-8");
        format!("{{\"{name}\":{quoted},\"{of}\":\"{}\"}}", json::type_name(column.of, on_graph))
    });
    let schema = columns.collect::<Vec<_>>().join(",");
    let before = if on_graph {
        format!(
            "{{\"@odata.context\":\"{base}/v1.0/$metadata#microsoft.graph.security.huntingQueryResults\",\"schema\":[{schema}],\"results\":["
        )
    } else {
        format!(
            "{{\"Stats\":{{\"ExecutionTime\":0.0156,\"dataset_statistics\":[{{\"table_row_count\":{count}}}]}},\"Schema\":[{schema}],\"Results\":["
        )
    };
    (before, "]}".to_owned())
}

impl World {
    /// The rows that a hunting query would find now, as JSON of the Defender API's form; the error is the service's text. Neither
    /// the row cap nor the limit on octets counts here: it is the oracle for what a collector must have found in parts.
    pub fn hunt(&self, query: &str) -> Result<Vec<String>, String> {
        let view = self.view();
        let query = kql::parse(query, view.now).map_err(|refusal| refusal.0)?;
        let text = |row: Row| {
            let mut out = Vec::new();
            json::row(&query.columns, &row, false, &mut out);
            String::from_utf8(out).expect("JSON is UTF-8")
        };
        let moment = Moment { view: &view, config: &view.estate.plan.hunting, within: &EVER };
        Ok(kql::run(&query, moment).map(text).collect())
    }

    /// Names of the hunting tables.
    pub fn hunting_tables(&self) -> impl Iterator<Item = &'static str> {
        TABLES.iter().map(|table: &Table| table.name)
    }
}
