//! One output's ship half: read frames, hand them over, and move positions once the far side has them.

use super::gate::{Gate, LOOK_EVERY};
use super::lease;
use super::shape::Shape;
use crate::output::{Confirmed, Offset, Output, OutputError};
use crate::record::{ErrorClass, Mistake, Position, StoredFrame, StreamKey};
use crate::status::OutputWord;
use crate::store::{Lease, Refusal, StartAt, Store, StoreError};
use crate::telemetry::ship as events;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Read at once per stream. Unit: octets.
const READ_BYTES: usize = 512 * 1024;
/// Positions are moved at most this often while there is work.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// A receiver that takes nothing for this long counts as dead.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// Why shipping stopped.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The output, after the time to drain was over.
    #[error("{0}")]
    Output(#[from] OutputError),
    /// Somebody else ships to this output.
    #[error("ship to {0}: another node holds it")]
    Held(String),
    /// The time to drain was over and events were left; they stay in the outbox.
    #[error("deliver {events} events to {output} in the time given: they stay in the outbox")]
    Left {
        /// The output.
        output: String,
        /// Events not confirmed.
        events: u64,
    },
}

/// What the ship half is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Run,
    /// Deliver what is stored, until then, and end.
    Drain(Instant),
}

/// One output being shipped to.
pub struct Shipper {
    store: Arc<dyn Store>,
    gate: Gate,
    output: Box<dyn Output>,
    name: String,
    owner: String,
    /// All outputs, which a frame must have passed before it goes.
    others: Vec<String>,
    /// What the store knows to be delivered.
    confirmed: BTreeMap<StreamKey, Position>,
    /// What was handed over.
    written: BTreeMap<StreamKey, Position>,
    /// The form that it wants.
    shape: Shape,
    /// What was handed over and is not confirmed, in its order.
    flying: VecDeque<Flying>,
    /// Confirmed by the far side, and not yet in the store.
    landed: Landed,
    /// First and longest wait after a failure.
    waits: (Duration, Duration),
    /// Whether what was confirmed last had refused events in it.
    refuses: bool,
}

/// A frame that was handed over.
struct Flying {
    /// Where it ends.
    end: Offset,
    /// Its stream.
    stream: StreamKey,
    /// Its place there.
    position: Position,
    /// Events in it.
    events: u64,
    /// Those of them that are not refused.
    taken: u64,
    /// What of it will never be taken.
    refused: Vec<Refusal>,
}

/// What the store is to be told next.
#[derive(Default)]
struct Landed {
    /// How far each stream has come.
    positions: BTreeMap<StreamKey, Position>,
    /// What the output wants to find again there.
    memory: Option<String>,
    /// What was refused up to there.
    refused: Vec<Refusal>,
    /// Events delivered up to there.
    delivered: u64,
}

impl Shipper {
    /// Attaches the output to its streams. `others`: all outputs, which a frame must have passed before it goes.
    pub async fn attach(
        (store, gate): (Arc<dyn Store>, Gate),
        output: Box<dyn Output>,
        (name, owner): (String, String),
        (streams, start): (&[StreamKey], &StartAt),
        others: Vec<String>,
        (waits, shape): ((Duration, Duration), Shape),
    ) -> Result<Self, StoreError> {
        let mut confirmed = BTreeMap::new();
        for stream in streams {
            let attached = store.attach(&name, stream, start).await?;
            confirmed.insert(attached.stream, attached.position);
        }
        let (written, flying, landed) = (confirmed.clone(), VecDeque::new(), Landed::default());
        let refuses = false;
        Ok(Self { store, gate, output, name, owner, others, confirmed, written, shape, flying, landed, waits, refuses })
    }

    /// Ships until told to drain, then until everything is confirmed or the time is over.
    pub async fn run(
        mut self,
        mut order: watch::Receiver<Order>,
        mut news: watch::Receiver<u64>,
    ) -> Result<(), ShipError> {
        let mut failures = 0_u32;
        loop {
            let wait = match self.leased(&mut order, &mut news, &mut failures).await {
                Ok(()) => return Ok(()),
                Err(ShipError::Output(error)) => {
                    self.again().await;
                    self.note(OutputWord::Retrying);
                    failures += 1;
                    let wait = self.pause(error.class, failures);
                    events::failed(&self.name, &error, wait);
                    if deadline(&order).is_some_and(|at| Instant::now() + wait >= at) {
                        return self.left(Some(error)).await;
                    }
                    wait
                }
                Err(ShipError::Store(error)) => self.gate.store_failed(&error).ok_or(error)?,
                Err(ShipError::Held(_)) => LOOK_EVERY,
                Err(error) => return Err(error),
            };
            tokio::select! { _ = order.changed() => {} () = sleep(wait) => {} }
        }
    }

    /// The wait after so many failures in a row: what the receiver asks for; else doubled each time, half of it drawn; the
    /// longest where a person must act.
    fn pause(&self, class: ErrorClass, failures: u32) -> Duration {
        match class {
            ErrorClass::Throttled { after: Some(after) } => return after,
            ErrorClass::Denied => return self.waits.1,
            _ => {}
        }
        let wait = self.waits.0.saturating_mul(2_u32.saturating_pow(failures.min(16) - 1)).min(self.waits.1);
        wait / 2 + wait.mul_f64(rand::random::<f64>() / 2.0)
    }

    /// Ships under the output's lease until drained.
    async fn leased(
        &mut self,
        order: &mut watch::Receiver<Order>,
        news: &mut watch::Receiver<u64>,
        failures: &mut u32,
    ) -> Result<(), ShipError> {
        let store = Arc::clone(&self.store);
        let held = ShipError::Held(self.name.clone());
        let name = format!("output {}", self.name);
        let Some(lease) = lease::take(&*store, &name, &self.owner).await? else { return Err(held) };
        self.gate.store_works();
        let shipped = async {
            loop {
                let deadline = deadline(order);
                order.mark_unchanged();
                news.mark_unchanged();
                let idle = self.round(&lease, order).await?;
                *failures = 0;
                match deadline {
                    Some(at) if idle || Instant::now() >= at => return self.finish(&lease, at).await,
                    None if idle => {
                        tokio::select! {
                            _ = order.changed() => {}
                            _ = news.changed() => {}
                            () = sleep(CONFIRM_EVERY) => {}
                        }
                    }
                    _ => {}
                }
            }
        };
        lease::during(&*store, &lease, shipped).await.unwrap_or(Err(held))
    }

    /// Hands over what there is; `true` when nothing was left to hand over.
    ///
    /// Streams take turns, some frames each, until none has any: one with much to tell holds up nobody, and the ways that
    /// an output has to its receiver are all in use.
    async fn round(&mut self, lease: &Lease, order: &mut watch::Receiver<Order>) -> Result<bool, ShipError> {
        let mut idle = true;
        let mut last = Instant::now();
        self.output.backlog(self.store.depth(&self.name).await?.bytes);
        let mut turns: VecDeque<_> = self.written.keys().cloned().collect();
        while let Some(stream) = turns.pop_front() {
            let frames = self.store.read(&stream, self.written[&stream], READ_BYTES).await?;
            if frames.is_empty() {
                continue;
            }
            idle = false;
            let dropped = frames.last().map(|frame| frame.position).filter(|_| frames.len() > 1);
            for frame in frames {
                if Mistake::LastFrameDropped.is_made() && dropped == Some(frame.position) {
                    self.written.insert(stream.clone(), frame.position);
                    continue;
                }
                self.hand(lease, order, &stream, frame).await?;
                if last.elapsed() >= CONFIRM_EVERY {
                    last = Instant::now();
                    self.confirm(lease).await?;
                }
            }
            if order.has_changed().unwrap_or(true) {
                return Ok(false);
            }
            turns.push_back(stream);
        }
        within(order, self.output.flush()).await?;
        self.confirm(lease).await?;
        Ok(idle)
    }

    /// Hands over one frame.
    async fn hand(
        &mut self,
        lease: &Lease,
        order: &watch::Receiver<Order>,
        stream: &StreamKey,
        frame: StoredFrame,
    ) -> Result<(), ShipError> {
        let shaped = self.shape.apply(stream, frame);
        let position = shaped.frame.position;
        if let Some(memory) = self.output.announce(&shaped.frame)? {
            // It belongs to the positions that were confirmed last, so those are stored first.
            self.settle(lease).await?;
            self.store.advance(lease, &self.name, &[], Some(&memory)).await?;
        }
        let written = within(order, self.output.write(&shaped.frame)).await?;
        let refused = written.refused.into_iter().map(|refused| Refusal {
            stream: stream.clone(),
            position,
            line: shaped.stored_line(refused.line),
            reason: refused.reason,
        });
        let refused: Vec<_> = refused.collect();
        // What the shape refuses has left the frame already.
        let taken = u64::from(shaped.frame.events).saturating_sub(refused.len() as u64);
        self.written.insert(stream.clone(), position);
        self.flying.push_back(Flying {
            end: written.end,
            stream: stream.clone(),
            position,
            events: u64::from(shaped.frame.events),
            taken,
            refused: [shaped.refused, refused].concat(),
        });
        Ok(())
    }

    async fn confirm(&mut self, lease: &Lease) -> Result<(), ShipError> {
        self.output.backlog(self.store.depth(&self.name).await?.bytes);
        let confirmed = self.output.confirmed().await?;
        self.advance(lease, confirmed).await
    }

    /// Moves positions to what the far side has confirmed. What the store does not take now is kept for the next time.
    async fn advance(&mut self, lease: &Lease, confirmed: Confirmed) -> Result<(), ShipError> {
        while let Some(flown) = self.flying.pop_front_if(|flying| flying.end <= confirmed.through) {
            self.landed.positions.insert(flown.stream, flown.position);
            self.landed.refused.extend(flown.refused);
            self.landed.delivered += flown.taken;
            self.landed.memory.clone_from(&confirmed.memory);
        }
        self.settle(lease).await
    }

    /// Tells the store what has landed.
    async fn settle(&mut self, lease: &Lease) -> Result<(), ShipError> {
        let Landed { positions, memory, refused, delivered } = &self.landed;
        if positions.is_empty() {
            let word = if self.flying.is_empty() { OutputWord::Idle } else { OutputWord::Connected };
            // That it refuses is worth more than that nothing waits: it is told until something else arrives.
            if !self.refuses {
                self.note(word);
            }
            return Ok(());
        }
        let positions: Vec<_> = positions.iter().map(|(stream, position)| (stream.clone(), *position)).collect();
        let lost = self.store.bury(lease, &self.name, &positions, memory.as_deref(), refused).await?;
        if let Some(first) = refused.first() {
            events::refused(&self.name, refused.len() as u64, &first.reason, lost);
        }
        events::delivered(&self.name, *delivered);
        self.gate.board().delivered(&self.name, *delivered);
        self.refuses = !refused.is_empty();
        self.note(if self.refuses { OutputWord::Refusing } else { OutputWord::Connected });
        self.confirmed.extend(std::mem::take(&mut self.landed).positions);
        self.store.collect(&self.others).await?;
        Ok(())
    }

    /// Notes how it stands.
    fn note(&self, word: OutputWord) {
        let unconfirmed = self.flying.iter().map(|flying| flying.events).sum();
        self.gate.board().output(&self.name, |note| (note.word, note.unconfirmed) = (word, unconfirmed));
    }

    /// Everything unconfirmed will be handed over again.
    async fn again(&mut self) {
        self.output.reset().await;
        self.flying.clear();
        if Mistake::NoPrefix.is_made() {
            return;
        }
        self.written = self.confirmed.clone();
        // The far side has these, whatever became of the connection.
        self.written.extend(self.landed.positions.clone());
    }

    async fn finish(&mut self, lease: &Lease, at: Instant) -> Result<(), ShipError> {
        let within = at.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        let confirmed = self.output.close(within).await;
        match confirmed {
            Ok(confirmed) => self.advance(lease, confirmed).await?,
            Err(error) => return self.left(Some(error)).await,
        }
        self.left(None).await
    }

    async fn left(&mut self, error: Option<OutputError>) -> Result<(), ShipError> {
        let events = self.store.depth(&self.name).await?.events;
        match error {
            _ if events == 0 => Ok(()),
            Some(error) => Err(error.into()),
            None => Err(ShipError::Left { output: self.name.clone(), events }),
        }
    }
}

/// Until when outputs may drain; `None` while the run goes on.
fn deadline(order: &watch::Receiver<Order>) -> Option<Instant> {
    match *order.borrow() {
        Order::Run => None,
        Order::Drain(at) => Some(at),
    }
}

/// A write or a flush, for [`WRITE_PATIENCE`] at most, and never past the time to drain, also when that is told while it
/// waits.
async fn within<T>(
    order: &watch::Receiver<Order>,
    write: impl Future<Output = Result<T, OutputError>>,
) -> Result<T, OutputError> {
    let patience = Instant::now() + WRITE_PATIENCE;
    // A clone: that the order has changed stays news for the caller.
    let mut told = order.clone();
    tokio::pin!(write);
    loop {
        let until = match *told.borrow() {
            Order::Run => patience,
            Order::Drain(at) => at.min(patience),
        };
        tokio::select! {
            written = &mut write => return written,
            () = sleep_until(until) => return Err(OutputError {
                class: ErrorClass::Transient,
                action: "write in the time given: the receiver takes nothing".to_owned(),
                cause: None,
            }),
            Ok(()) = told.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests;
