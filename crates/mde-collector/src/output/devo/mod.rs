//! Devo's syslog channel, over TLS or plain TCP: the platform itself, a relay, or any receiver of syslog.
//!
//! The channel has no acknowledgement of its own. What counts as delivered is said in [`connection`]; what does not is
//! reported as one error when a connection ends, and handed again by the caller.
//!
//! Frames go to one or several [`lane`]s, each with one connection at a time. A stream keeps to one lane, so its order
//! is kept. A lane takes one frame beyond what its kernel has room for, and whoever waits for one lane moves all of them
//! on: they travel at the same time, and the memory is that of one frame for each. Each lane
//! confirms a prefix of what was written to it; the output confirms the longest prefix of everything written that all
//! lanes have confirmed. One broken lane is an error of the whole, and everything unconfirmed is handed again.

mod connection;
mod dial;
mod gzip;
mod header;
mod lane;
mod ledger;
mod socket;

use super::expiry::Expiry;
use super::{Confirmed, Offset, Output, OutputError, Written, tls};
use crate::config::outputs::devo as config;
use crate::config::outputs::devo::Confirm;
use crate::record::{BatchHead, StoredFrame};
use async_trait::async_trait;
use connection::STALL;
use dial::class_of;
use gzip::Packer;
use lane::Lane;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long `check` listens for a refusal: under TLS 1.3 a client certificate is judged after our handshake is over.
const VERDICT: Duration = Duration::from_millis(500);

/// Time between two looks at acknowledgements and time while `close` waits; they wake nobody.
const TICK: Duration = Duration::from_millis(50);

/// A syslog receiver.
pub(super) struct Devo {
    /// What was configured.
    config: config::Devo,
    /// HOST of the header.
    host: String,
    /// Compresses frames, or does not.
    packer: Packer,
    /// Everything written.
    handed: Offset,
    /// Everything confirmed.
    through: Offset,
    /// Written and not confirmed in the order of writing: where each frame ends, and its lane.
    under_way: VecDeque<(Offset, usize)>,
    /// The ways to the receiver, at least one.
    lanes: Vec<Lane>,
    /// The lane of each stream: input and service. Queries of one service share a lane, as a frame does not name them.
    assigned: BTreeMap<(String, String), usize>,
    /// Acknowledgements count; else only the peer's FIN does.
    by_acknowledgement: bool,
    /// Age at which an acknowledgement counts.
    after: Duration,
    /// What the last check saw of certificates.
    expiries: Vec<Expiry>,
}

impl Devo {
    /// An output without a connection.
    pub(super) fn new(config: config::Devo) -> Self {
        let (by_acknowledgement, after) = match config.confirm {
            Confirm::Acked { after } => (true, after),
            Confirm::Closed => (false, Duration::ZERO),
        };
        Self {
            host: header::host(config.hostname.as_deref()),
            packer: Packer::new(config.gzip),
            handed: Offset(0),
            through: Offset(0),
            under_way: VecDeque::new(),
            lanes: (0..config.connections.max(1)).map(|_| Lane::default()).collect(),
            assigned: BTreeMap::new(),
            by_acknowledgement,
            after,
            expiries: Vec::new(),
            config,
        }
    }

    /// `kind address:port`, for messages.
    fn target(&self) -> String {
        dial::target(&self.config)
    }

    /// The lane of a stream, always the same; new ones take turns.
    fn lane_of(&mut self, head: &BatchHead) -> usize {
        if self.lanes.len() == 1 {
            return 0;
        }
        let next = self.assigned.len() % self.lanes.len();
        *self.assigned.entry((head.input.clone(), head.service.clone())).or_insert(next)
    }

    /// Moves every lane on, and confirms the prefix that all of them have.
    fn step(&mut self, cx: &mut Context<'_>) {
        for lane in &mut self.lanes {
            lane.step(cx, self.by_acknowledgement);
        }
        while let Some((end, _)) = self.under_way.pop_front_if(|(end, lane)| *end <= self.lanes[*lane].through) {
            self.through = end;
        }
    }

    /// Moves every lane on until all of `lanes` can take another frame, or never will.
    async fn until_free(&mut self, lanes: Range<usize>) {
        let mut free = false;
        while !free {
            let stepped = poll_fn(|cx| {
                self.step(cx);
                free = self.lanes[lanes.clone()].iter().all(Lane::is_free);
                if free { Poll::Ready(()) } else { Poll::Pending }
            });
            // Time alone wakes nobody: a receiver that stands still is found out by a step after it.
            let _ = timeout(STALL, stepped).await;
        }
    }

    /// One step now.
    async fn step_once(&mut self) {
        poll_fn(|cx| {
            self.step(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Half-closes connections that have rested or lived long enough.
    fn retire(&mut self) {
        for lane in &mut self.lanes {
            lane.retire(self.config.idle, !self.by_acknowledgement);
        }
    }

    /// The error of a connection that failed with frames unconfirmed. Everything unconfirmed is given up with it.
    fn failure(&mut self) -> Result<(), OutputError> {
        match self.lanes.iter_mut().find_map(Lane::take_failure) {
            None => Ok(()),
            Some(cause) => {
                self.drop_connections();
                Err(OutputError::new(class_of(&cause), format!("deliver to {}", self.target()), cause))
            }
        }
    }

    /// Progress if there is any; else the error of a connection that failed; else the old state.
    fn outcome(&mut self, before: Offset) -> Result<Confirmed, OutputError> {
        if self.through == before {
            self.failure()?;
        }
        Ok(Confirmed { through: self.through, memory: None })
    }

    /// Drops what was not confirmed, on all lanes.
    fn drop_connections(&mut self) {
        self.under_way.clear();
        self.lanes.iter_mut().for_each(Lane::drop_connections);
    }

    /// Connects the lane where it has no connection.
    async fn connect(&mut self, lane: usize) -> Result<(), OutputError> {
        if self.lanes[lane].current.is_none() {
            let connection = dial::connect(&self.config, self.after).await?;
            if self.by_acknowledgement && !connection.tells_acknowledgements() {
                self.without_acknowledgements();
            }
            self.lanes[lane].current = Some(connection);
        }
        Ok(())
    }

    /// Where the system does not tell acknowledgements, only the peer's FIN counts.
    fn without_acknowledgements(&mut self) {
        self.by_acknowledgement = false;
        tracing::warn!(
            output = self.target(),
            "this system does not tell what was acknowledged; delivery is confirmed by closing the connection each minute"
        );
    }
}

#[async_trait]
impl Output for Devo {
    fn backlog(&mut self, octets: u64) {
        // What is under way was sent already, and waits only for its confirmation.
        self.packer.backlog(octets.saturating_sub(self.handed.0 - self.through.0));
    }

    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        let number = self.lane_of(&frame.head);
        self.until_free(number..number + 1).await;
        self.lanes[number].step_until_heard(self.by_acknowledgement).await;
        self.failure()?;
        self.retire();
        self.connect(number).await?;
        let end = Offset(self.handed.0 + frame.body.len() as u64);
        let connection = self.lanes[number].current.as_mut().expect("it was connected just now where it was not");
        connection.begin(end, |octets| {
            header::encode(frame, self.config.date, &self.host, octets);
            self.packer.pack(octets);
        });
        // Nothing is awaited from here on: a frame that was begun is one that was handed.
        self.handed = end;
        self.under_way.push_back((end, number));
        self.step_once().await;
        self.failure()?;
        Ok(Written { end, refused: Vec::new() })
    }

    async fn flush(&mut self) -> Result<(), OutputError> {
        self.until_free(0..self.lanes.len()).await;
        self.failure()
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        let before = self.through;
        self.retire();
        self.step_once().await;
        self.outcome(before)
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        let (mut connection, expiries) = dial::examine(&self.config).await?;
        let verdict = poll_fn(|cx| {
            connection.step(cx);
            if connection.is_over() { Poll::Ready(()) } else { Poll::Pending }
        });
        if timeout(VERDICT, verdict).await.is_ok()
            && let Some(cause) = connection.take_failure()
        {
            return Err(OutputError::new(class_of(&cause), format!("be accepted by {}", self.target()), cause));
        }
        connection.end();
        poll_fn(|cx| {
            connection.step(cx);
            Poll::Ready(())
        })
        .await;
        self.expiries = expiries;
        Ok(())
    }

    fn notes(&self, now_ms: i64) -> Vec<String> {
        tls::notes(&self.expiries, self.config.tls.as_ref(), &self.target(), now_ms)
    }

    async fn close(&mut self, within: Duration) -> Result<Confirmed, OutputError> {
        let (before, deadline) = (self.through, Instant::now() + within);
        self.lanes.iter_mut().for_each(Lane::end_current);
        loop {
            let settled = poll_fn(|cx| {
                self.step(cx);
                if self.lanes.iter().all(Lane::has_ended) { Poll::Ready(()) } else { Poll::Pending }
            });
            let now = Instant::now();
            if timeout_at(deadline.min(now + TICK), settled).await.is_ok() || now >= deadline {
                return self.outcome(before);
            }
        }
    }

    async fn reset(&mut self) {
        self.drop_connections();
    }
}

#[cfg(test)]
mod tests;
