//! A ship loop of the size of a test, and the events that it ships.

use super::PATIENCE;
use crate::output::{Confirmed, Offset, Output, OutputError};
use crate::record::{BatchHead, Position, StoredFrame};
use rand::distr::Alphanumeric;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeSet, VecDeque};
use std::io::Read;
use std::sync::Arc;

/// Names an event: its stream, and its number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub(crate) struct Event {
    pub stream: u32,
    pub number: u32,
}

/// Frames of several streams, mixed; `padding` octets, which compression hardly makes fewer, make an event longer.
pub(crate) fn frames(streams: u32, per_stream: u32, events: u32, padding: usize) -> Vec<StoredFrame> {
    let mut random = SmallRng::seed_from_u64(padding as u64);
    let mut frames = Vec::new();
    for frame in 0..per_stream {
        for stream in 0..streams {
            let head = BatchHead {
                input: format!("tenant{stream}"),
                service: "alerts".to_owned(),
                tag: "edr.microsoft_defender.endpoint.alerts".to_owned(),
                pulled_ms: 1_795_489_200_007,
            };
            let line = |number: u32| {
                let padding: String = (0..padding).map(|_| char::from(random.sample(Alphanumeric))).collect();
                format!("{{\"stream\":{stream},\"number\":{number},\"padding\":\"{padding}\"}}\n")
            };
            frames.push(StoredFrame {
                position: Position { batch: 1, frame },
                head: Arc::new(head),
                events,
                body: (frame * events..(frame + 1) * events).map(line).collect::<String>().into_bytes(),
            });
        }
    }
    frames
}

/// Frames whose events carry ids, as the pipeline's do.
pub(crate) fn with_ids(frames: Vec<StoredFrame>) -> Vec<StoredFrame> {
    let mut number = 0_u32;
    let with_id = |body: Vec<u8>, number: &mut u32| {
        let text = String::from_utf8(body).expect("text");
        let line = |line: &str| {
            *number += 1;
            format!("{},\"@event_id\":\"{number:032x}\"}}\n", line.strip_suffix('}').expect("an object"))
        };
        text.lines().map(line).collect::<String>().into_bytes()
    };
    frames.into_iter().map(|frame| StoredFrame { body: with_id(frame.body.clone(), &mut number), ..frame }).collect()
}

/// Takes compressed members off; they may stand wherever an event may begin. Of a member that is cut off, what can be
/// read of it.
fn unpacked(mut octets: &[u8]) -> Vec<u8> {
    let mut events = Vec::new();
    while !octets.is_empty() {
        let whole = if octets.starts_with(&[0x1f, 0x8b]) {
            let mut member = flate2::bufread::GzDecoder::new(octets);
            let read = member.read_to_end(&mut events);
            octets = member.into_inner();
            read.is_ok()
        } else if octets.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut frame = zstd::Decoder::with_buffer(octets).expect("memory").single_frame();
            let read = frame.read_to_end(&mut events);
            octets = frame.finish();
            read.is_ok()
        } else {
            let end = octets.iter().position(|&octet| octet == b'\n').map_or(octets.len(), |end| end + 1);
            events.extend_from_slice(&octets[..end]);
            octets = &octets[end..];
            true
        };
        if !whole {
            break;
        }
    }
    events
}

/// The events of whole lines, compressed or not; what is behind the last line feed is no event.
pub(crate) fn events_of(octets: &[u8]) -> Vec<Event> {
    let octets = unpacked(octets);
    let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |last| last + 1);
    let text = std::str::from_utf8(&octets[..whole]).expect("text");
    text.lines()
        .map(|line| {
            let start = line.find('{').unwrap_or_else(|| panic!("a line without an event: {line:?}"));
            serde_json::from_str(&line[start..]).unwrap_or_else(|error| panic!("{error} in {line:?}"))
        })
        .collect()
}

/// Hands frames to an output and keeps what the store would keep.
pub(crate) struct Shipper {
    /// Everything to ship.
    pub frames: Vec<StoredFrame>,
    /// Stored: frames confirmed, counted from the first.
    pub confirmed: usize,
    /// Stored: what the output remembers.
    pub memory: Option<String>,
    /// Where the last frame handed ends.
    pub handed: Offset,
    /// Errors met.
    pub errors: Vec<OutputError>,
    /// The next frame to hand.
    next: usize,
    /// Handed and not confirmed: where each ends.
    under_way: VecDeque<Offset>,
    /// Confirmed by the output as it is now.
    through: Offset,
}

impl Shipper {
    pub fn new(frames: Vec<StoredFrame>) -> Self {
        Self {
            frames,
            confirmed: 0,
            memory: None,
            handed: Offset(0),
            errors: Vec::new(),
            next: 0,
            under_way: VecDeque::new(),
            through: Offset(0),
        }
    }

    /// Names of everything to ship.
    pub fn events(&self) -> BTreeSet<Event> {
        self.frames.iter().flat_map(|frame| events_of(&frame.body)).collect()
    }

    /// Names of what is confirmed.
    pub fn confirmed_events(&self) -> BTreeSet<Event> {
        self.frames[..self.confirmed].iter().flat_map(|frame| events_of(&frame.body)).collect()
    }

    /// Hands the next frame, if there is one. The memory is stored before the write begins.
    pub async fn write_next(&mut self, output: &mut dyn Output) -> Result<bool, OutputError> {
        let Some(frame) = self.frames.get(self.next) else { return Ok(false) };
        if let Some(memory) = output.announce(frame)? {
            self.memory = Some(memory);
        }
        let written = output.write(frame).await?;
        assert!(written.refused.is_empty());
        assert!(written.end > self.handed, "offsets grow");
        self.handed = written.end;
        self.under_way.push_back(written.end);
        self.next += 1;
        Ok(true)
    }

    /// Asks once what is confirmed, and stores it.
    pub async fn confirm(&mut self, output: &mut dyn Output) -> Result<(), OutputError> {
        let confirmed = output.confirmed().await?;
        self.take(confirmed);
        Ok(())
    }

    /// Stores what was confirmed.
    pub fn take(&mut self, confirmed: Confirmed) {
        assert!(confirmed.through >= self.through, "confirmed goes forward");
        assert!(confirmed.through <= self.handed, "confirmed more than was written");
        self.through = confirmed.through;
        while self.under_way.pop_front_if(|end| *end <= confirmed.through).is_some() {
            self.confirmed += 1;
        }
        self.memory = confirmed.memory.or(self.memory.take());
    }

    /// What a caller does after an error.
    pub async fn recover(&mut self, output: &mut dyn Output) {
        output.reset().await;
        self.under_way.clear();
        self.next = self.confirmed;
    }

    /// What a start after a kill finds: the next output counts from zero.
    pub fn restart(&mut self) {
        self.under_way.clear();
        self.next = self.confirmed;
        (self.handed, self.through) = (Offset(0), Offset(0));
    }

    /// Ships everything, handing again after errors, until all of it is confirmed. `look` is called after each answer.
    pub async fn ship(&mut self, output: &mut dyn Output, look: impl Fn(&Self)) {
        while self.confirmed < self.frames.len() {
            assert!(self.errors.len() < 50, "no end of errors: {:?}", self.errors.last());
            if let Err(error) = self.try_ship(output, &look).await {
                self.errors.push(error);
                self.recover(output).await;
            }
        }
    }

    /// Ships until an error, or to the end.
    async fn try_ship(&mut self, output: &mut dyn Output, look: &impl Fn(&Self)) -> Result<(), OutputError> {
        while self.write_next(output).await? {
            if self.next.is_multiple_of(4) {
                self.confirm(output).await?;
                look(self);
            }
        }
        output.flush().await?;
        let confirmed = output.close(PATIENCE).await?;
        self.take(confirmed);
        look(self);
        Ok(())
    }
}
