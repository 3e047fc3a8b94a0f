//! Any receiver over HTTP: one engine, and what distinguishes receivers as values ([`protocol`]).
//!
//! A frame is sent in one or more requests, one after the other, so that a stream stays in order; a 2xx confirms them, with
//! Splunk's acknowledgement its later word does. A request that is refused as a whole is divided until the event that is
//! to blame stands alone.
//!
//! What was taken is remembered over a reset ([`taken`]): a caller that hands a frame again after an error sends only what
//! no answer came for. So errors in the middle of a frame, or between frames, double nothing at a receiver that answered.

mod answer;
mod client;
mod envelope;
mod protocol;
mod taken;

use super::expiry::Expiry;
use super::template::Template;
use super::{Confirmed, Offset, Output, OutputError, Refused, Written, tls};
use crate::config::outputs::http as config;
use crate::config::outputs::http::Preset;
use crate::record::{BatchHead, ErrorClass, StoredFrame, lines};
use answer::{Verdict, judge};
use async_trait::async_trait;
use client::{Client, Content};
use envelope::{Envelope, Fields, compressed, fields};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::{HEC_ACK, Protocol};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use taken::{FrameId, Taken};
use tokio::time::{Instant, sleep};
use url::Url;

/// What stays as it is in a part of an address.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Requests that may wait for their acknowledgement at once; writing waits while there are more, which bounds what is sent
/// again when a word never comes.
const MOST_WAITING: usize = 500;

/// Time between two questions for acknowledgements while something waits for one; a question is one small request.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A receiver over HTTP.
pub(super) struct Http {
    /// How it is spoken to.
    protocol: &'static Protocol,
    /// Where events go.
    address: Template,
    /// Where everything else is asked: the configured address without what stands behind it. Ends in `/`.
    root: Template,
    /// What is said of each event.
    fields: Fields,
    /// Verb of a request with events.
    method: Method,
    /// What was configured.
    config: Arc<config::Http>,
    /// Sends requests.
    client: Client,
    /// Type and origin, for messages.
    target: String,
    /// Splunk's acknowledgement, where it counts.
    acks: Option<Acks>,
    /// Everything handed.
    handed: Offset,
    /// Everything confirmed.
    through: Offset,
    /// Handed since the last reset and not confirmed: each frame with its end.
    under_way: VecDeque<(FrameId, Offset)>,
    /// What the receiver has of frames that are not confirmed.
    taken: Taken,
    /// What the last check saw of certificates.
    expiries: Vec<Expiry>,
}

/// Splunk's acknowledgement.
struct Acks {
    /// Names our numbers; every request carries it.
    channel: HeaderValue,
    /// How long the word may take.
    patience: Duration,
    /// When was asked last.
    asked: Option<Instant>,
}

impl Http {
    /// An output without a connection. Fails on an address or a placeholder that cannot be used.
    pub(super) fn new(config: config::Http) -> Result<Self, OutputError> {
        let protocol = Protocol::of(&config.preset);
        let kind = if matches!(config.preset, Preset::Devo { .. }) { "devo_http" } else { "http" };
        let machine = gethostname::gethostname().to_string_lossy().into_owned();
        let target = format!("{kind} {}", origin(&config.url));
        let unusable = |cause| OutputError::new(ErrorClass::Fatal, format!("use the address of {target}"), cause);
        let (root, address) = addresses(&config, protocol, &machine);
        let (root, address) = (Template::parse(&root).map_err(unusable)?, Template::parse(&address).map_err(unusable)?);
        let fields = fields(&config.preset, &machine).map_err(unusable)?;
        let acks = match config.preset {
            Preset::SplunkHec { ack: Some(patience), .. } => Some(Acks { channel: channel(), patience, asked: None }),
            _ => None,
        };
        let method = match config.method {
            config::Method::Post => Method::POST,
            config::Method::Put => Method::PUT,
        };
        let config = Arc::new(config);
        Ok(Self {
            protocol,
            address,
            root,
            fields,
            method,
            client: Client::new(Arc::clone(&config), protocol.scheme, target.clone()),
            config,
            target,
            acks,
            handed: Offset(0),
            through: Offset(0),
            under_way: VecDeque::new(),
            taken: Taken::default(),
            expiries: Vec::new(),
        })
    }

    /// The address for this batch, below the root or that for events.
    fn url(&self, template: &Template, head: &BatchHead, path: &str) -> Result<Url, OutputError> {
        let text = template.fill(head, |text, value| text.extend(utf8_percent_encode(value, PART))) + path;
        // The text is left out: it may hold a token.
        Url::parse(&text).map_err(|cause| {
            OutputError::new(ErrorClass::Denied, format!("make an address for {}", self.target), cause)
        })
    }

    /// Headers that only some requests have.
    fn channel_header(&self) -> Vec<(HeaderName, HeaderValue)> {
        const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");
        self.acks.iter().map(|acks| (CHANNEL, acks.channel.clone())).collect()
    }

    /// Sends what the receiver has not taken of a frame yet, and keeps what it has taken, request by request.
    async fn deliver(&mut self, id: FrameId, frame: &StoredFrame) -> Result<(), OutputError> {
        let url = self.url(&self.address, &frame.head, "")?;
        let envelope = Envelope::new(self.protocol.framing, &self.fields, &frame.head);
        let events = lines(&frame.body).map(|line| line.strip_suffix(b"\n").unwrap_or(line));
        let events: Vec<&[u8]> = events.filter(|event| !event.is_empty()).collect();
        let whole = self.taken.done(id)..events.len();
        let mut left = vec![whole];
        while let Some(range) = left.pop() {
            if range.is_empty() {
                continue;
            }
            let now = range.start..range.start + self.fitting(&events[range.clone()]);
            left.push(now.end..range.end);
            let verdict = self.request(&url, &envelope, &events[now.clone()]).await?;
            match verdict {
                Verdict::Taken { ack, refused } => {
                    let refused = refused.into_iter().map(|(place, reason)| refusal(now.start + place, reason));
                    self.taken.progress(id, now.end, ack, refused.collect());
                }
                Verdict::Divide { reason, .. } if now.len() == 1 => {
                    self.taken.progress(id, now.end, None, vec![refusal(now.start, reason)]);
                }
                Verdict::Divide { at, .. } => left.extend(divided(now, at)),
            }
        }
        self.taken.complete(id);
        Ok(())
    }

    /// How many of these events go into one request, at least one.
    fn fitting(&self, events: &[&[u8]]) -> usize {
        let mut octets = 0;
        let fitting = events.iter().take(self.config.sending.max_events).take_while(|event| {
            octets += event.len() + 1;
            octets <= self.config.sending.max_bytes
        });
        fitting.count().max(1)
    }

    /// Sends one request and judges its answer.
    async fn request(&mut self, url: &Url, envelope: &Envelope, events: &[&[u8]]) -> Result<Verdict, OutputError> {
        let body = envelope.body(events.iter().copied());
        let (body, encoding) = compressed(body, self.config.sending.compress)
            .map_err(|cause| OutputError::new(ErrorClass::Fatal, "compress a body", cause))?;
        let content = Content { body, kind: self.protocol.content_type, encoding };
        let channel = self.channel_header();
        let answer = self.client.send(self.method.clone(), url.clone(), &channel, Some(content)).await?;
        judge(self.protocol.reading, &answer, (events.len(), self.acks.is_some()), &self.target)
    }

    /// Asks for acknowledgements, unless it was asked just now.
    async fn ask(&mut self) -> Result<(), OutputError> {
        let numbers = self.taken.waiting();
        let Some(acks) = &mut self.acks else { return Ok(()) };
        if numbers.is_empty() || acks.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return Ok(());
        }
        acks.asked = Some(Instant::now());
        let patience = acks.patience;
        let url = self.url(&self.root, &nowhere(), HEC_ACK)?;
        let body = serde_json::json!({ "acks": numbers }).to_string().into_bytes();
        let content = Content { body, kind: "application/json", encoding: None };
        let channel = self.channel_header();
        let answer = self.client.send(Method::POST, url, &channel, Some(content)).await?;
        if !(200..300).contains(&answer.status) {
            return Err(answer::failure(answer.status, answer.retry_after, &self.target));
        }
        let stored = answer::acknowledged(&answer.body).ok_or_else(|| {
            OutputError::found(ErrorClass::Transient, format!("understand what {} says is stored", self.target))
        })?;
        self.taken.acknowledge(&stored);
        if self.taken.oldest().is_some_and(|since| since.elapsed() >= patience) {
            // Splunk forgets a number once it was told, and with a restart: what no word came for is sent again.
            self.taken.forget_waiting();
            let action = format!("hear from {} that events are stored: they are sent again", self.target);
            return Err(OutputError::found(ErrorClass::Transient, action));
        }
        Ok(())
    }

    /// Confirms what is settled, oldest first.
    fn settle(&mut self) -> Confirmed {
        while let Some((id, end)) = self.under_way.pop_front_if(|(id, _)| self.taken.is_settled(*id)) {
            self.taken.remove(id);
            self.through = end;
        }
        Confirmed { through: self.through, memory: None }
    }
}

#[async_trait]
impl Output for Http {
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        while self.taken.waiting().len() >= MOST_WAITING {
            self.ask().await?;
            sleep(ASK_EVERY).await;
        }
        let id = FrameId::of(frame, self.under_way.iter().map(|(id, _)| id));
        if !self.taken.is_complete(id) {
            self.deliver(id, frame).await?;
        }
        self.handed.0 += frame.body.len() as u64;
        self.under_way.push_back((id, self.handed));
        Ok(Written { end: self.handed, refused: self.taken.refused(id) })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        let asked = self.ask().await;
        let before = self.through;
        let confirmed = self.settle();
        // Progress first: an error that lasts comes again.
        if confirmed.through == before { asked.map(|()| confirmed) } else { Ok(confirmed) }
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        let probe = &self.protocol.probe;
        let url = match probe.path {
            Some(path) => self.url(&self.root, &nowhere(), path)?,
            None => self.url(&self.address, &nowhere(), "")?,
        };
        let channel = self.channel_header();
        let answer = self.client.send(probe.method.clone(), url, &channel, None).await?;
        match answer.status {
            200..=299 => Ok(()),
            // Whoever does not know the verb says 404, 405 or 501: that is an answer too.
            300..=399 | 401 | 403 | 407 | 429 | 500 | 502.. => Err(()),
            _ if probe.strict => Err(()),
            _ => Ok(()),
        }
        .map_err(|()| answer::failure(answer.status, answer.retry_after, &self.target))?;
        self.expiries = self.client.expiries().await?;
        Ok(())
    }

    fn notes(&self, now_ms: i64) -> Vec<String> {
        let tls = self.config.url.starts_with("https:").then_some(&self.config.sending.tls);
        tls::notes(&self.expiries, tls, &self.target, now_ms)
    }

    fn proof(&self) -> &'static str {
        self.protocol.probe.proof
    }

    async fn close(&mut self, within: Duration) -> Result<Confirmed, OutputError> {
        let deadline = Instant::now() + within;
        loop {
            let confirmed = self.confirmed().await?;
            if self.under_way.is_empty() || Instant::now() >= deadline {
                return Ok(confirmed);
            }
            sleep(ASK_EVERY.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }

    async fn reset(&mut self) {
        self.under_way.clear();
        self.taken.bound();
        self.client.look_again();
    }
}

/// An event of a frame that will never be taken.
fn refusal(line: usize, reason: String) -> Refused {
    Refused { line: u32::try_from(line).unwrap_or(u32::MAX), reason }
}

/// The parts of a request that was refused, the last one first: around the event that the receiver has named, else halves.
fn divided(range: Range<usize>, at: Option<usize>) -> Vec<Range<usize>> {
    match at.map(|at| range.start + at).filter(|at| range.contains(at)) {
        // It is sent alone before it is given up: a place that was misunderstood must not cost a good event.
        Some(at) => vec![at + 1..range.end, at..at + 1, range.start..at],
        None => {
            let middle = range.start + range.len() / 2;
            vec![middle..range.end, range.start..middle]
        }
    }
}

/// The address below which everything is asked, and that for events, both with placeholders.
fn addresses(config: &config::Http, protocol: &Protocol, machine: &str) -> (String, String) {
    let (place, query) = config.url.split_once('?').unwrap_or((&config.url, ""));
    let place = place.trim_end_matches('/');
    if protocol.path.is_empty() {
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        // Nothing is asked below such an address; one without a path gets its slash from the URL itself.
        return (format!("{place}/"), format!("{}{query}", config.url.split('?').next().unwrap_or_default()));
    }
    // Whoever has copied the whole address, or its beginning, from the receiver's pages means the same.
    let segments: Vec<&str> = protocol.path.split('/').collect();
    let given = (1..=segments.len()).rev().map(|count| format!("/{}", segments[..count].join("/")));
    let place = given.fold(None, |found, part| found.or_else(|| place.strip_suffix(part.as_str()))).unwrap_or(place);
    let mut path = protocol.path.to_owned();
    if let Preset::Devo { domain, token, hostname } = &config.preset {
        let host = hostname.as_deref().unwrap_or(machine);
        for (name, value) in [("{domain}", domain.as_str()), ("{token}", token.expose()), ("{host}", host)] {
            path = path.replace(name, &utf8_percent_encode(value, PART).to_string());
        }
    }
    let queries: Vec<&str> = [query, protocol.query].into_iter().filter(|query| !query.is_empty()).collect();
    let query = if queries.is_empty() { String::new() } else { format!("?{}", queries.join("&")) };
    (format!("{place}/"), format!("{place}/{path}{query}"))
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "somewhere".to_owned(), |url| url.origin().ascii_serialization())
}

/// A batch for addresses that are asked without an event.
fn nowhere() -> BatchHead {
    let name = || "check".to_owned();
    BatchHead { input: name(), service: name(), tag: "my.app.check".to_owned(), pulled_ms: 0 }
}

/// A new name for our numbers, in the form of a random UUID, which Splunk demands.
fn channel() -> HeaderValue {
    let random: u128 = rand::random();
    let hex = format!("{random:032x}");
    let text = format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
    HeaderValue::from_str(&text).expect("hex digits and dashes are visible ASCII")
}

#[cfg(test)]
mod tests;
