//! Receivers over HTTP: JSON lines, a JSON array, Splunk's event collector, bulk requests, Devo's endpoint. They understand a
//! request by its address and its type, refuse and fail as they are told, and remember what really arrived.
//!
//! HTTP is read here octet by octet, so that a request can be cut at any place.

use flate2::read::MultiGzDecoder;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What a receiver over HTTP demands.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// `Authorization` of every request, but one whose address holds the token; nothing is demanded where there is none.
    pub authorization: Option<String>,
    /// The token of Devo's address.
    pub devo_token: Option<String>,
    /// A longer body is answered with 413. Unit: octets, decompressed.
    pub max_bytes: Option<usize>,
    /// An event with this text in it is refused.
    pub refuses: Option<String>,
    /// A Splunk answer has a number, of which is said at the second question that its events are stored.
    pub acknowledges: bool,
}

/// What goes wrong with one request that has events in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// The connection is reset when so many octets of the request have come.
    Reset(usize),
    /// The request is taken, and the connection is reset instead of an answer.
    LoseAnswer,
    /// No answer ever comes, and nothing is taken.
    Stall,
    /// This status and nothing else; seconds of `Retry-After` where there are some.
    Status(u16, Option<u64>),
    /// Every second event of a bulk request gets this status; the others are taken.
    EverySecond(u16),
    /// What Splunk says is stored is never said of this request.
    NeverStored,
}

/// An event that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpEvent {
    /// Path of its request.
    pub path: String,
    /// The event as JSON.
    pub event: String,
    /// What stood around it: Splunk's object without the event, a bulk request's line, else nothing.
    pub around: String,
}

/// A listening receiver. Dropped, it is gone with all its connections.
#[derive(Debug)]
pub struct HttpReceiver {
    /// Where it listens.
    addr: SocketAddr,
    /// What it knows.
    shared: Arc<Shared>,
    /// The task that listens.
    listening: AbortHandle,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    /// What is demanded.
    config: Mutex<HttpConfig>,
    /// What arrived, and what comes next.
    state: Mutex<State>,
    /// Number of events that arrived, for those who wait.
    count: watch::Sender<usize>,
}

/// What arrived, and what comes next.
#[derive(Debug, Default)]
struct State {
    /// Faults of the next requests with events.
    faults: VecDeque<HttpFault>,
    /// Events in order of arrival.
    events: Vec<HttpEvent>,
    /// Ids that bulk requests have created: an index of events by their ids.
    created: HashSet<String>,
    /// Numbers given out on each Splunk channel: how often was asked for each, and whether it is ever stored.
    numbers: HashMap<String, Vec<(u32, bool)>>,
    /// Requests that are being read or answered.
    busy: usize,
    /// Method and path of every whole request.
    requests: Vec<(String, String)>,
}

/// A request.
struct Request {
    /// Verb.
    method: String,
    /// Path with its query.
    path: String,
    /// Names in lower case, values.
    headers: HashMap<String, String>,
    /// Decompressed.
    body: Vec<u8>,
}

/// An answer: status, further headers, body.
type Reply = (u16, String, String);

impl HttpReceiver {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(config: HttpConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared =
            Arc::new(Shared { config: Mutex::new(config), state: Mutex::default(), count: watch::channel(0).0 });
        let state = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let shared = Arc::clone(&state);
                connections.spawn(async move {
                    // A connection that fails is the sender's matter.
                    let _ = serve(socket, &shared).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { addr, shared, listening: listening.abort_handle() })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Demands something else from now on.
    pub fn demand(&self, change: impl FnOnce(&mut HttpConfig)) {
        change(&mut locked(&self.shared.config));
    }

    /// Faults of the next requests with events, one each.
    pub fn script(&self, faults: impl IntoIterator<Item = HttpFault>) {
        locked(&self.shared.state).faults.extend(faults);
    }

    /// Whether every scripted fault has taken place.
    #[must_use]
    pub fn is_scripted_out(&self) -> bool {
        locked(&self.shared.state).faults.is_empty()
    }

    /// What arrived, in order of arrival.
    #[must_use]
    pub fn events(&self) -> Vec<HttpEvent> {
        locked(&self.shared.state).events.clone()
    }

    /// Method and path of every whole request.
    #[must_use]
    pub fn requests(&self) -> Vec<(String, String)> {
        locked(&self.shared.state).requests.clone()
    }

    /// Whether no request is being read or answered.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        locked(&self.shared.state).busy == 0
    }

    /// Waits until so many events have arrived.
    pub async fn wait_events(&self, count: usize) {
        let mut news = self.shared.count.subscribe();
        // The sender lives as long as we do.
        let _ = news.wait_for(|arrived| *arrived >= count).await;
    }
}

impl Drop for HttpReceiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A lock, whoever panicked with it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection, request after request, until its end.
async fn serve(mut socket: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let Some(head) = head(&mut socket, &mut read).await? else { return Ok(()) };
        locked(&shared.state).busy += 1;
        let served = one(&mut socket, shared, head, &mut read).await;
        locked(&shared.state).busy -= 1;
        if !served? {
            socket.set_zero_linger()?;
            return Ok(());
        }
    }
}

/// The head of the next request, with the octets behind it left in `read`; none at the end of the connection.
async fn head(socket: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some(at) = read.windows(4).position(|part| part == b"\r\n\r\n") {
            let rest = read.split_off(at + 4);
            let head = std::mem::replace(read, rest);
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if socket.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads the rest of a request and answers it; `false`: the connection is to be reset.
async fn one(socket: &mut TcpStream, shared: &Shared, head: String, read: &mut Vec<u8>) -> io::Result<bool> {
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let header =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let headers: HashMap<String, String> = lines.filter_map(header).collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    let has_events = length > 0 && !path.contains("/services/collector/ack");
    let fault = if has_events { locked(&shared.state).faults.pop_front() } else { None };
    let wanted = match fault {
        Some(HttpFault::Reset(octets)) => octets.saturating_sub(head.len()).min(length),
        _ => length,
    };
    while read.len() < wanted {
        if socket.read_buf(read).await? == 0 {
            return Ok(true);
        }
    }
    if let Some(HttpFault::Reset(_)) = fault {
        return Ok(false);
    }
    let rest = read.split_off(length);
    let body = std::mem::replace(read, rest);
    let body = match headers.get("content-encoding").map(String::as_str) {
        Some(encoding) => decompressed(encoding, &body)?,
        None => body,
    };
    locked(&shared.state).requests.push((method.clone(), path.clone()));
    let request = Request { method, path, headers, body };
    let (status, headers, body) = match fault {
        Some(HttpFault::Stall) => {
            // For longer than any sender waits.
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            return Ok(false);
        }
        Some(HttpFault::Status(status, after)) => {
            let headers = after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
            (status, headers, String::new())
        }
        _ => reply(shared, &request, fault),
    };
    if fault == Some(HttpFault::LoseAnswer) {
        return Ok(false);
    }
    let body_of_answer = if request.method == "HEAD" { "" } else { &body };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {length}\r\n\r\n{body_of_answer}");
    socket.write_all(answer.as_bytes()).await?;
    Ok(true)
}

/// A body without its compression.
fn decompressed(encoding: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match encoding {
        "gzip" => MultiGzDecoder::new(body).read_to_end(&mut plain)?,
        "zstd" => zstd::Decoder::new(body)?.read_to_end(&mut plain)?,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    Ok(plain)
}

/// Takes a request's events, or refuses them.
fn reply(shared: &Shared, request: &Request, fault: Option<HttpFault>) -> Reply {
    let plain = |status: u16, body: &str| (status, String::new(), body.to_owned());
    let config = locked(&shared.config).clone();
    let path = request.path.split('?').next().unwrap_or_default();
    let devo = path.strip_prefix("/stream/");
    let let_in = match (&config.devo_token, devo) {
        (Some(token), Some(rest)) => rest.split('/').nth(1) == Some(&format!("token!{token}")),
        _ => config.authorization.as_ref().is_none_or(|wanted| request.headers.get("authorization") == Some(wanted)),
    };
    if !let_in && path != "/services/collector/health" {
        return plain(403, "{\"text\":\"Invalid token\",\"code\":4}");
    }
    if config.max_bytes.is_some_and(|most| request.body.len() > most) {
        return plain(413, "");
    }
    match (request.method.as_str(), path) {
        ("POST", "/services/collector/event") => splunk(shared, &config, request, fault),
        ("POST", "/services/collector/ack") => stored(shared, request),
        ("POST", path) if path.ends_with("/_bulk") => bulk(shared, &config, request, fault),
        ("POST" | "PUT", _) if !request.body.is_empty() => plain_events(shared, &config, request),
        ("GET" | "HEAD", "/" | "/services/collector/health") => plain(200, "{}"),
        _ => plain(405, ""),
    }
}

/// Lines or an array.
fn plain_events(shared: &Shared, config: &HttpConfig, request: &Request) -> Reply {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let events: Option<Vec<String>> =
        if request.headers.get("content-type").is_some_and(|kind| kind == "application/json") {
            let elements: Result<Vec<&serde_json::value::RawValue>, _> = serde_json::from_str(&text);
            elements.ok().map(|elements| elements.iter().map(|element| element.get().to_owned()).collect())
        } else {
            text.ends_with('\n').then(|| text.lines().map(str::to_owned).collect())
        };
    let sound = |event: &String| is_good(config, event);
    match events.filter(|events| events.iter().all(sound)) {
        Some(events) => {
            keep(shared, request, events.into_iter().map(|event| (event, String::new())));
            (200, String::new(), String::new())
        }
        None => (400, String::new(), String::new()),
    }
}

/// Whether an event is JSON and not one that is refused.
fn is_good(config: &HttpConfig, event: &str) -> bool {
    let refused = config.refuses.as_ref().is_some_and(|text| event.contains(text));
    !refused && serde_json::from_str::<serde_json::Value>(event).is_ok_and(|event| event.is_object())
}

/// Splunk's event collector: it takes the events before one that it refuses.
fn splunk(shared: &Shared, config: &HttpConfig, request: &Request, fault: Option<HttpFault>) -> Reply {
    let channel = request.headers.get("x-splunk-request-channel");
    if config.acknowledges && channel.is_none() {
        return (400, String::new(), "{\"text\":\"Data channel is missing\",\"code\":10}".to_owned());
    }
    let mut good = Vec::new();
    let mut bad = None;
    for line in String::from_utf8_lossy(&request.body).lines() {
        match raw_event(line) {
            Some((event, around)) if is_good(config, &event) => good.push((event, around)),
            _ => {
                bad = Some(good.len());
                break;
            }
        }
    }
    keep(shared, request, good.into_iter());
    if let Some(number) = bad {
        let body = format!("{{\"text\":\"Invalid data format\",\"code\":6,\"invalid-event-number\":{number}}}");
        return (400, String::new(), body);
    }
    let Some(channel) = channel.filter(|_| config.acknowledges) else {
        return (200, String::new(), "{\"text\":\"Success\",\"code\":0}".to_owned());
    };
    let mut state = locked(&shared.state);
    let numbers = state.numbers.entry(channel.clone()).or_default();
    numbers.push((0, fault != Some(HttpFault::NeverStored)));
    let number = numbers.len() - 1;
    (200, String::new(), format!("{{\"text\":\"Success\",\"code\":0,\"ackId\":{number}}}"))
}

/// The event of one of Splunk's objects, octet for octet, and the object without it.
fn raw_event(line: &str) -> Option<(String, String)> {
    let members: HashMap<String, &serde_json::value::RawValue> = serde_json::from_str(line).ok()?;
    let mut around: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    around.remove("event");
    Some((members.get("event")?.get().to_owned(), serde_json::Value::Object(around).to_string()))
}

/// What Splunk says of numbers: stored at the second question, and then forgotten.
fn stored(shared: &Shared, request: &Request) -> Reply {
    /// The question.
    #[derive(serde::Deserialize)]
    struct Question {
        /// Numbers.
        acks: Vec<usize>,
    }
    let Ok(Question { acks }) = serde_json::from_slice(&request.body) else {
        return (400, String::new(), String::new());
    };
    let channel = request.headers.get("x-splunk-request-channel").cloned().unwrap_or_default();
    let mut state = locked(&shared.state);
    let numbers = state.numbers.entry(channel).or_default();
    let mut told = serde_json::Map::new();
    for number in acks {
        let is_stored = numbers.get_mut(number).is_some_and(|(asked, ever)| {
            *asked += 1;
            *ever && *asked == 2
        });
        told.insert(number.to_string(), is_stored.into());
    }
    (200, String::new(), serde_json::json!({ "acks": told }).to_string())
}

/// A bulk request that creates.
fn bulk(shared: &Shared, config: &HttpConfig, request: &Request, fault: Option<HttpFault>) -> Reply {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    if !text.ends_with('\n') || !lines.len().is_multiple_of(2) {
        return (400, String::new(), String::new());
    }
    let (mut errors, mut items, mut taken) = (false, Vec::new(), Vec::new());
    for (number, pair) in lines.chunks(2).enumerate() {
        let action: serde_json::Value = serde_json::from_str(pair[0]).unwrap_or_default();
        let id = action["create"]["_id"].as_str().map(str::to_owned);
        let status = match fault {
            Some(HttpFault::EverySecond(status)) if number % 2 == 1 => status,
            _ if !is_good(config, pair[1]) => 400,
            _ if id.as_ref().is_some_and(|id| !locked(&shared.state).created.insert(id.clone())) => 409,
            _ => 201,
        };
        if status == 201 {
            taken.push((pair[1].to_owned(), pair[0].to_owned()));
        }
        errors |= status != 201;
        let error = if status == 201 { String::new() } else { ",\"error\":{\"type\":\"some_exception\"}".to_owned() };
        items.push(format!("{{\"create\":{{\"status\":{status}{error}}}}}"));
    }
    keep(shared, request, taken.into_iter());
    (200, String::new(), format!("{{\"errors\":{errors},\"items\":[{}]}}", items.join(",")))
}

/// Remembers events.
fn keep(shared: &Shared, request: &Request, events: impl Iterator<Item = (String, String)>) {
    let mut state = locked(&shared.state);
    let path = request.path.split('?').next().unwrap_or_default();
    state.events.extend(events.map(|(event, around)| HttpEvent { path: path.to_owned(), event, around }));
    let count = state.events.len();
    drop(state);
    shared.count.send_replace(count);
}
