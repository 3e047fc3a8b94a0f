//! An answer on its way out: in chunks, compressed when asked for, cut, slowed or lost when the script says so, and entered in the ledger.

use crate::connection::{Break, Connection, ConnectionLost};
use crate::ledger::{Entry, Outcome, Rows};
use crate::scenario::{CutEnd, Fault};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::io::{self, Write};
use std::time::Duration;

/// A part of a body, with the rows that end in it.
pub(crate) struct Chunk {
    /// Octets.
    pub(crate) bytes: Bytes,
    /// Rows.
    pub(crate) rows: Rows,
}

/// An answer before it is sent.
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// Headers but for those of the body's form.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub(crate) body: Content,
}

/// A body before it is sent.
pub(crate) enum Content {
    /// All of it is there; it is never compressed.
    Whole(Bytes),
    /// It is made while it is sent.
    Stream(BoxStream<'static, Chunk>),
    /// The same, but it is compressed already, as a file is.
    Packed(BoxStream<'static, Chunk>),
}

impl Chunk {
    /// Octets in which no row ends.
    pub(crate) fn bare(bytes: Bytes) -> Self {
        Self { bytes, rows: Rows::Other(0) }
    }
}

impl Answer {
    /// An answer with a JSON document.
    pub(crate) fn json(status: StatusCode, document: &impl serde::Serialize) -> Self {
        let text = serde_json::to_vec(document).expect("our documents have text keys and no failing values");
        Self::whole(status, "application/json; charset=utf-8", text.into())
    }

    /// An answer with one entity.
    pub(crate) fn odata(body: Vec<u8>) -> Self {
        Self::whole(StatusCode::OK, "application/json; odata.metadata=minimal; charset=utf-8", body.into())
    }

    /// An answer whose body is there.
    pub(crate) fn whole(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self { status, headers, body: Content::Whole(body) }
    }

    /// Adds a header. Values that are no header text are left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }
}

/// Sends an answer. `fault` is what the script has for it; kinds that do not touch delivery are done by now and ignored here.
pub(crate) async fn deliver(
    answer: Answer,
    fault: Option<&Fault>,
    mut entry: Entry,
    connection: Option<Connection>,
    asked: &HeaderMap,
) -> Response<Body> {
    entry.answered(answer.status.as_u16());
    if fault == Some(&Fault::Lost) {
        if let Content::Stream(mut chunks) | Content::Packed(mut chunks) = answer.body {
            while let Some(chunk) = chunks.next().await {
                entry.handed_over(chunk.rows);
            }
        }
        entry.close(Outcome::Lost);
        return lose(connection, Break::Close).await;
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let limit = match fault {
        Some(Fault::Cut { after, end }) => Some((*after, Some(*end))),
        Some(Fault::Reset { after: Some(after) }) => Some((*after, None)),
        _ => None,
    };
    let (chunks, length) = match answer.body {
        Content::Whole(bytes) => {
            let length = bytes.len() as u64;
            (stream::iter([Chunk::bare(bytes)]).boxed(), Some(length))
        }
        Content::Stream(chunks) if accepts_gzip(asked) => {
            response = response.header(header::CONTENT_ENCODING, "gzip").header(header::VARY, "Accept-Encoding");
            (gzip(chunks), None)
        }
        Content::Stream(chunks) | Content::Packed(chunks) => (chunks, None),
    };
    // What was promised must be more than what comes, or nobody could notice.
    let length = match limit {
        Some((after, Some(CutEnd::ContentLength))) => Some(after.max(length.unwrap_or(0)) + 4_096),
        Some(_) => None,
        None => length,
    };
    if let Some(length) = length {
        response = response.header(header::CONTENT_LENGTH, length);
    }
    let slow = match fault {
        Some(Fault::Slow { bytes, pause_ms }) => Some(((*bytes).max(1), Duration::from_millis(*pause_ms))),
        _ => None,
    };
    let delivery = Delivery { chunks, rest: Bytes::new(), sent: 0, limit, slow, entry, connection, broken: false };
    let body = Body::from_stream(stream::unfold(delivery, Delivery::next));
    response.body(body).expect("status and headers were checked where they were made")
}

/// Breaks the connection instead of answering. In process there is none: the answer is marked instead.
pub(crate) async fn lose(connection: Option<Connection>, how: Break) -> Response<Body> {
    if let Some(connection) = connection {
        return connection.end_now(how).await;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(ConnectionLost);
    response
}

/// A body being sent.
struct Delivery {
    /// What is still to be made.
    chunks: BoxStream<'static, Chunk>,
    /// What is made and not sent.
    rest: Bytes,
    /// Octets sent.
    sent: u64,
    /// Where it ends early, and how; without a way it is reset.
    limit: Option<(u64, Option<CutEnd>)>,
    /// Octets at a time and the pause before each part.
    slow: Option<(usize, Duration)>,
    /// Its entry in the ledger.
    entry: Entry,
    /// The connection, to be broken; none in process.
    connection: Option<Connection>,
    /// Whether the break has been told in process.
    broken: bool,
}

impl Delivery {
    /// The next part.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        while self.rest.is_empty() && self.room() > 0 {
            match self.chunks.next().await {
                Some(chunk) => {
                    self.entry.handed_over(chunk.rows);
                    self.rest = chunk.bytes;
                }
                None if self.limit.is_none_or(|(_, end)| end == Some(CutEnd::Complete)) => {
                    self.entry.close(Outcome::Whole);
                    return None;
                }
                None => return self.cut().await,
            }
        }
        if self.room() == 0 {
            return self.cut().await;
        }
        let mut length = self.rest.len().min(usize::try_from(self.room()).unwrap_or(usize::MAX));
        if let Some((bytes, pause)) = self.slow {
            length = length.min(bytes);
            tokio::time::sleep(pause).await;
        }
        self.sent += length as u64;
        let part = self.rest.split_to(length);
        Some((Ok(part), self))
    }

    /// Octets that may still be sent.
    fn room(&self) -> u64 {
        self.limit.map_or(u64::MAX, |(after, _)| after.saturating_sub(self.sent))
    }

    /// Ends the body before its time.
    async fn cut(mut self) -> Option<(io::Result<Bytes>, Self)> {
        self.entry.close(Outcome::Cut);
        let how = match self.limit {
            Some((_, Some(CutEnd::Complete))) => return None,
            Some((_, Some(_))) => Break::Close,
            _ => Break::Reset,
        };
        match &self.connection {
            Some(connection) => connection.end_now(how).await,
            None if std::mem::replace(&mut self.broken, true) => None,
            None => Some((Err(io::ErrorKind::ConnectionReset.into()), self)),
        }
    }
}

/// Whether the caller takes gzip.
fn accepts_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
            && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// The chunks as one gzip member, each flushed so that rows leave when they are made.
fn gzip(chunks: BoxStream<'static, Chunk>) -> BoxStream<'static, Chunk> {
    let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    stream::unfold((chunks, encoder), |(mut chunks, encoder)| async move {
        let mut encoder = encoder?;
        match chunks.next().await {
            Some(chunk) => {
                encoder.write_all(&chunk.bytes).and_then(|()| encoder.flush()).expect("writing to memory cannot fail");
                let bytes = std::mem::take(encoder.get_mut()).into();
                Some((Chunk { bytes, rows: chunk.rows }, (chunks, Some(encoder))))
            }
            None => {
                let bytes = encoder.finish().expect("writing to memory cannot fail").into();
                Some((Chunk::bare(bytes), (chunks, None)))
            }
        }
    })
    .boxed()
}
