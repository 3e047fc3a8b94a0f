//! Receivers that reset, stall, accept and forget, answer late and refuse; and what they have taken, for ever.
//!
//! What a kernel has acknowledged can still be lost with its machine: here it is not, as the delivery's own assumptions
//! say. What was written and not confirmed is lost with the connection, or has been taken, as the dice fall.

use super::plan::{Dice, Trouble};
use crate::output::{Confirmed, Offset, Output, OutputError, Refused, Written};
use crate::record::{ErrorClass, Position, StoredFrame, lines};
use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Where an event lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Its service, which has one stream here.
    pub service: String,
    /// Its frame.
    pub position: Position,
    /// Its line there.
    pub line: u32,
}

/// An event that has arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The event.
    pub text: String,
    /// When it came first.
    pub at: Instant,
    /// How often it came.
    pub times: u64,
}

/// One receiver, which outlives every connection to it.
pub struct Far {
    /// Its name in the configuration.
    pub name: String,
    state: Mutex<State>,
}

/// What it has, and what it will do.
struct State {
    arrived: BTreeMap<Spot, Arrived>,
    refused: BTreeMap<Spot, String>,
    troubles: VecDeque<Trouble>,
    /// What must not have been, in words.
    wrong: Vec<String>,
    dice: Dice,
}

impl Far {
    /// A receiver that has nothing.
    pub fn new(name: &str, seed: u64) -> Arc<Self> {
        let (arrived, refused) = (BTreeMap::new(), BTreeMap::new());
        let (troubles, wrong, dice) = (VecDeque::new(), Vec::new(), Dice::new(seed));
        Arc::new(Self { name: name.to_owned(), state: Mutex::new(State { arrived, refused, troubles, wrong, dice }) })
    }

    /// A frame to come meets trouble.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().troubles.push_back(trouble);
    }

    /// No trouble is left.
    pub fn clear(&self) {
        self.state().troubles.clear();
    }

    /// All that has arrived.
    pub fn arrived(&self) -> BTreeMap<Spot, Arrived> {
        self.state().arrived.clone()
    }

    /// All that was refused for good.
    pub fn refused(&self) -> BTreeMap<Spot, String> {
        self.state().refused.clone()
    }

    /// What must not have been.
    pub fn wrong(&self) -> Vec<String> {
        self.state().wrong.clone()
    }

    /// A connection to it.
    pub fn connect(self: &Arc<Self>) -> Near {
        Near {
            far: Arc::clone(self),
            under_way: VecDeque::new(),
            written: Offset::default(),
            through: Offset::default(),
            last: BTreeMap::new(),
            lost: false,
            eager: self.state().dice.percent(50),
        }
    }

    /// The state, also after a panic elsewhere.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a frame.
    fn take(&self, frame: &StoredFrame, last: &mut BTreeMap<String, Position>) {
        let mut state = self.state();
        let service = &frame.head.service;
        if last.insert(service.clone(), frame.position).is_some_and(|before| before >= frame.position) {
            state.wrong.push(format!("{}: {service} {:?} came out of order", self.name, frame.position));
        }
        for (line, text) in (0..).zip(lines(&frame.body)) {
            let spot = Spot { service: service.clone(), position: frame.position, line };
            if state.refused.contains_key(&spot) {
                continue;
            }
            let text = String::from_utf8_lossy(text).into_owned();
            let new = Arrived { text, at: Instant::now(), times: 0 };
            let arrived = state.arrived.entry(spot).or_insert_with(|| new.clone());
            arrived.times += 1;
            if arrived.text != new.text {
                let wrong = format!("{}: {service} {:?} line {line} came with two contents", self.name, frame.position);
                state.wrong.push(wrong);
            }
        }
    }
}

/// Our end of a connection.
pub struct Near {
    far: Arc<Far>,
    /// Written, not taken: with the time and the place of its end.
    under_way: VecDeque<(StoredFrame, Instant, Offset)>,
    written: Offset,
    through: Offset,
    /// The last frame of each service that was taken on this connection.
    last: BTreeMap<String, Position>,
    /// Whether the other end has forgotten what it accepted.
    lost: bool,
    /// Whether the far side takes what is written at once, and tells it later.
    eager: bool,
}

impl Near {
    /// An end of the connection that nobody wanted.
    fn broken() -> OutputError {
        let action = "write to the receiver: the connection is gone".to_owned();
        OutputError { class: ErrorClass::Transient, action, cause: None }
    }

    /// The far side takes what is under way, up to those written before that moment.
    fn land(&mut self, before: Instant) {
        while let Some((frame, _, end)) = self.under_way.pop_front_if(|(_, at, _)| *at <= before) {
            if !self.eager {
                self.far.take(&frame, &mut self.last);
            }
            self.through = end;
        }
    }
}

#[async_trait]
impl Output for Near {
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        if self.lost {
            return Err(Self::broken());
        }
        let (trouble, way_ms) = {
            let mut state = self.far.state();
            (state.troubles.pop_front(), state.dice.some(400))
        };
        sleep(Duration::from_millis(way_ms)).await;
        let mut refused = Vec::new();
        match trouble {
            Some(Trouble::Reset) => return Err(Self::broken()),
            Some(Trouble::Stall(seconds)) => sleep(Duration::from_secs(seconds)).await,
            Some(Trouble::Forget) => self.lost = true,
            Some(Trouble::Late) => {
                self.land(Instant::now());
                self.far.take(frame, &mut self.last);
                return Err(Self::broken());
            }
            Some(Trouble::Refuse) => {
                let spot = Spot { service: frame.head.service.clone(), position: frame.position, line: 0 };
                let text = String::from_utf8_lossy(lines(&frame.body).next().unwrap_or_default()).into_owned();
                let mut state = self.far.state();
                if !state.arrived.contains_key(&spot) {
                    state.refused.insert(spot, text);
                }
            }
            None => {}
        }
        let (service, position) = (&frame.head.service, frame.position);
        if self.far.state().refused.contains_key(&Spot { service: service.clone(), position, line: 0 }) {
            refused.push(Refused { line: 0, reason: "refused for good".to_owned() });
        }
        self.written.0 += frame.body.len() as u64;
        if !self.lost {
            if self.eager {
                self.far.take(frame, &mut self.last);
            }
            self.under_way.push_back((frame.clone(), Instant::now(), self.written));
        }
        Ok(Written { end: self.written, refused })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        if self.lost {
            return Err(Self::broken());
        }
        if let Some(before) = Instant::now().checked_sub(Duration::from_secs(2)) {
            self.land(before);
        }
        Ok(Confirmed { through: self.through, memory: None })
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    async fn close(&mut self, _within: Duration) -> Result<Confirmed, OutputError> {
        if self.lost {
            return Err(Self::broken());
        }
        self.land(Instant::now());
        Ok(Confirmed { through: self.through, memory: None })
    }

    async fn reset(&mut self) {
        self.under_way.clear();
        self.last.clear();
        self.lost = false;
        self.eager = self.far.state().dice.percent(50);
    }
}
