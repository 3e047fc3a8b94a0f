//! Any list: options in, one page out, rows written while they are sent.

use super::{Call, error};
use crate::config::{Order, PageConfig};
use crate::delivery::{Answer, Chunk, Content};
use crate::odata::options::{Options, moved, without};
use crate::odata::page::page;
use crate::odata::{Collection, QueryError};
use crate::scenario::Fault;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

/// Rows written at a time: about half a megabyte of alerts.
const ROWS_PER_CHUNK: usize = 100;

/// Answers a list call.
pub(crate) fn answer<C: Collection>(call: &Call<'_>, collection: C) -> Result<Answer, Answer> {
    let (core, kind) = (call.core, call.endpoint.kind);
    let query = call.uri.query().unwrap_or_default();
    let mut options =
        Options::parse(query, collection.schema()).map_err(|refusal: QueryError| error::bad_query(&refusal))?;
    let manner = collection.schema().manner;
    let mut config = core.page.clone();
    match call.fault {
        Some(Fault::FilterIgnored) => options.filter = None,
        Some(Fault::HiddenRows { after }) => config.hidden_after = Some(*after),
        Some(Fault::RepeatedRows { rows }) => config.repeated = *rows,
        Some(Fault::Reordered) => {
            config.order = Order::Shuffled;
            config.shuffle = core.scenario.walk(kind, options.skip == 0);
        }
        Some(Fault::LinkRefused) if options.follows_link(manner) => return Err(error::bad_link()),
        Some(Fault::FailedPage { page }) if options.skip / page_size(&options, &config, &collection) + 1 == *page => {
            return Err(error::internal());
        }
        _ => {}
    }
    let mut page = page(&collection, &options, &config);
    match call.fault {
        Some(Fault::EmptyPage) => page.rows.clear(),
        // One of the providers did not answer: its rows are missing, here every second one.
        Some(Fault::Partial { .. }) => {
            let mut keeps = true;
            page.rows.retain(|_| {
                keeps = !keeps;
                keeps
            });
        }
        _ => {}
    }
    core.scenario.answered(kind, page.rows.len() as u64, &core.world);
    let ids = || page.rows.iter().map(|row| collection.id(row));
    if core.scenario.is_poisoned(ids(), options.expand) {
        return Err(error::internal());
    }
    let base = core.page.link_base.clone().unwrap_or_else(|| core.base_of(call.headers));
    let link = |base: &str, query: &str| Some(link(base, call.uri.path(), query));
    let moved = |skip| moved(query, skip, manner.tokens && core.graph.skip_tokens);
    let behind = moved(page.next_skip.unwrap_or(options.skip + page.rows.len()));
    let next = match call.fault {
        Some(Fault::RepeatLink | Fault::EmptyPage) => link(&base, &moved(options.skip)),
        Some(Fault::ForeignLink { base }) => link(base, &behind),
        Some(Fault::LinkWithoutFilter) => link(&base, &without(&behind, "$filter")),
        _ => page.next_skip.and_then(|skip| link(&base, &moved(skip))),
    };
    let envelope = Envelope {
        context: format!("{}{}{}", base.trim_end_matches('/'), manner.context, collection.schema().set),
        count: page.count,
        next,
        link_first: config.link_first,
    };
    let answer = Answer {
        status: StatusCode::OK,
        headers: vec![ODATA],
        body: Content::Stream(body(collection, page.rows, options.expand, &envelope)),
    };
    Ok(match call.fault {
        Some(Fault::Partial { status, ms }) => Answer { status: StatusCode::PARTIAL_CONTENT, ..answer }
            .with(header::WARNING, &format!("199 - \"Microsoft/MDATP/{status}/{ms}\"")),
        _ => answer,
    })
}

/// The type of OData's documents.
pub(crate) const ODATA: (HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json; odata.metadata=minimal; charset=utf-8"));

/// A link to another part of a list.
pub(crate) fn link(base: &str, path: &str, query: &str) -> String {
    format!("{}{path}?{query}", base.trim_end_matches('/'))
}

/// Rows of a page as this request counts them.
fn page_size<C: Collection>(options: &Options, config: &PageConfig, collection: &C) -> usize {
    options.top.unwrap_or(config.size.min(collection.schema().top_limit)).max(1)
}

/// What stands around the rows.
pub(crate) struct Envelope {
    /// `@odata.context`.
    pub(crate) context: String,
    /// `@odata.count`.
    pub(crate) count: Option<usize>,
    /// `@odata.nextLink`.
    pub(crate) next: Option<String>,
    /// Whether the link stands before the rows.
    pub(crate) link_first: bool,
}

impl Envelope {
    /// What stands before the rows and what behind them.
    pub(crate) fn texts(&self) -> (String, String) {
        let quoted = |text: &str| serde_json::to_string(text).expect("texts are JSON");
        let link = self.next.as_ref().map(|next| format!("\"@odata.nextLink\":{}", quoted(next)));
        let mut before = format!("{{\"@odata.context\":{},", quoted(&self.context));
        if let Some(count) = self.count {
            before.push_str(&format!("\"@odata.count\":{count},"));
        }
        let mut after = "]".to_owned();
        match (&link, self.link_first) {
            (Some(link), true) => before.push_str(&format!("{link},")),
            (Some(link), false) => after.push_str(&format!(",{link}")),
            (None, _) => {}
        }
        before.push_str("\"value\":[");
        after.push('}');
        (before, after)
    }
}

/// The body in chunks, each made when it is asked for: a page of 50 MB never lies in memory as one.
fn body<C: Collection>(
    collection: C,
    rows: Vec<C::Row>,
    expanded: bool,
    envelope: &Envelope,
) -> BoxStream<'static, Chunk> {
    let (before, after) = envelope.texts();
    let frame = |text: String| stream::iter([Chunk::bare(Bytes::from(text))]);
    let starts = (0..rows.len()).step_by(ROWS_PER_CHUNK);
    let chunks = stream::iter(starts).map(move |start| {
        let mut bytes = Vec::with_capacity(ROWS_PER_CHUNK * if expanded { 6_000 } else { 1_500 });
        let part = &rows[start..rows.len().min(start + ROWS_PER_CHUNK)];
        for (place, row) in part.iter().enumerate() {
            if start + place > 0 {
                bytes.push(b',');
            }
            collection.write(row, expanded, &mut bytes);
        }
        Chunk { bytes: bytes.into(), rows: collection.served(part, expanded) }
    });
    frame(before).chain(chunks).chain(frame(after)).boxed()
}
