//! One output's ship half: read frames, hand them over, and move positions once the far side has them.

use crate::output::{Confirmed, Offset, Output, OutputError};
use crate::record::{Position, StreamKey};
use crate::store::{Lease, StartAt, Store, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Read at once per stream. Unit: octets.
const READ_BYTES: usize = 2 * 1024 * 1024;
/// Positions are moved at most this often while there is work.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// How long an output's lease lasts.
const LEASE: Duration = Duration::from_secs(30);

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
    output: Box<dyn Output>,
    name: String,
    owner: String,
    others: Vec<String>,
    confirmed: BTreeMap<StreamKey, Position>,
    written: BTreeMap<StreamKey, Position>,
    flying: VecDeque<(Offset, StreamKey, Position)>,
    waits: (Duration, Duration),
}

impl Shipper {
    /// Attaches the output to its streams. `others`: all outputs, which a frame must have passed before it goes.
    pub async fn attach(
        store: Arc<dyn Store>,
        output: Box<dyn Output>,
        (name, owner): (String, String),
        (streams, start): (&[StreamKey], &StartAt),
        others: Vec<String>,
        waits: (Duration, Duration),
    ) -> Result<Self, StoreError> {
        let mut confirmed = BTreeMap::new();
        for stream in streams {
            let attached = store.attach(&name, stream, start).await?;
            confirmed.insert(attached.stream, attached.position);
        }
        let (written, flying) = (confirmed.clone(), VecDeque::new());
        Ok(Self { store, output, name, owner, others, confirmed, written, flying, waits })
    }

    async fn lease(&mut self) -> Result<Lease, ShipError> {
        let lease = self.store.acquire(&format!("output {}", self.name), &self.owner, LEASE).await?;
        lease.ok_or_else(|| ShipError::Held(self.name.clone()))
    }

    /// Ships until told to drain, then until everything is confirmed or the time is over.
    pub async fn run(
        mut self,
        mut order: watch::Receiver<Order>,
        mut news: watch::Receiver<u64>,
    ) -> Result<(), ShipError> {
        let mut failures = 0_u32;
        loop {
            let deadline = match *order.borrow_and_update() {
                Order::Run => None,
                Order::Drain(at) => Some(at),
            };
            let lease = self.lease().await?;
            news.mark_unchanged();
            match self.round(&lease, &mut order).await {
                Ok(idle) => {
                    failures = 0;
                    match deadline {
                        Some(at) if idle => return self.finish(&lease, at).await,
                        Some(at) if Instant::now() >= at => return self.finish(&lease, at).await,
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
                Err(ShipError::Output(error)) => {
                    self.again().await;
                    failures += 1;
                    let wait =
                        self.waits.0.saturating_mul(2_u32.saturating_pow(failures.min(16) - 1)).min(self.waits.1);
                    let wait = wait / 2 + wait.mul_f64(rand::random::<f64>() / 2.0);
                    tracing::warn!(output = %self.name, %error, cause = error.cause.as_deref().map(tracing::field::display),
                        wait_ms = wait.as_millis() as u64, "the output failed; unconfirmed events are sent again");
                    if deadline.is_some_and(|at| Instant::now() + wait >= at) {
                        return self.left(Some(error)).await;
                    }
                    tokio::select! { _ = order.changed() => {} () = sleep(wait) => {} }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands over what there is; `true` when nothing was left to hand over.
    async fn round(&mut self, lease: &Lease, order: &mut watch::Receiver<Order>) -> Result<bool, ShipError> {
        let mut idle = true;
        let mut last = Instant::now();
        for stream in self.written.keys().cloned().collect::<Vec<_>>() {
            loop {
                let frames = self.store.read(&stream, self.written[&stream], READ_BYTES).await?;
                if frames.is_empty() {
                    break;
                }
                idle = false;
                for frame in frames {
                    if let Some(memory) = self.output.announce(&frame)? {
                        self.store.advance(lease, &self.name, &[], Some(&memory)).await?;
                    }
                    let written = timeout(Duration::from_secs(60), self.output.write(&frame)).await;
                    let written = written.map_err(|_| OutputError {
                        class: crate::record::ErrorClass::Transient,
                        action: "write for a minute: the receiver takes nothing".to_owned(),
                        cause: None,
                    })??;
                    self.written.insert(stream.clone(), frame.position);
                    self.flying.push_back((written.end, stream.clone(), frame.position));
                    if last.elapsed() >= CONFIRM_EVERY {
                        last = Instant::now();
                        self.confirm(lease).await?;
                        self.lease().await?;
                    }
                }
                if order.has_changed().unwrap_or(true) {
                    return Ok(false);
                }
            }
        }
        self.confirm(lease).await?;
        Ok(idle)
    }

    async fn confirm(&mut self, lease: &Lease) -> Result<(), ShipError> {
        let confirmed = self.output.confirmed().await?;
        self.advance(lease, confirmed).await
    }

    async fn advance(&mut self, lease: &Lease, confirmed: Confirmed) -> Result<(), ShipError> {
        let mut moved = BTreeMap::new();
        while self.flying.front().is_some_and(|(end, ..)| *end <= confirmed.through) {
            let Some((_, stream, position)) = self.flying.pop_front() else { break };
            moved.insert(stream, position);
        }
        if moved.is_empty() {
            return Ok(());
        }
        let positions: Vec<_> = moved.into_iter().collect();
        self.store.advance(lease, &self.name, &positions, confirmed.memory.as_deref()).await?;
        self.confirmed.extend(positions);
        self.store.collect(&self.others).await?;
        Ok(())
    }

    /// Everything unconfirmed will be handed over again.
    async fn again(&mut self) {
        self.output.reset().await;
        self.flying.clear();
        self.written = self.confirmed.clone();
    }

    async fn finish(mut self, lease: &Lease, at: Instant) -> Result<(), ShipError> {
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
