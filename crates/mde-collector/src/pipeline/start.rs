//! Whether a run that begins can get anywhere: one whose every stream is refused ends, so that whoever started it is told at once.
//!
//! Later refusals are another thing: what has once worked is tried again for as long as the process lives.

use tokio::sync::watch;

/// What one stream of a run says at its start, and hears of all. Clones speak for further streams.
#[derive(Debug, Clone)]
pub struct Start {
    /// What is known of all of them.
    known: watch::Sender<Known>,
    /// What this one has said, unless it asks again.
    refused: Option<bool>,
}

/// How far it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// Streams of which nothing is known yet, or that ask again.
    open: usize,
    /// Whether one of them was not refused.
    admitted: bool,
}

/// Every stream is refused, and none asks again.
const HOPELESS: Known = Known { open: 0, admitted: false };

impl Start {
    /// Of so many streams, each with a clone of its own.
    pub fn of(streams: usize) -> Self {
        Self { known: watch::Sender::new(Known { open: streams, admitted: false }), refused: None }
    }

    /// Of a run that goes on where another one was: it is no start.
    pub fn past() -> Self {
        Self { known: watch::Sender::new(Known { open: 0, admitted: true }), refused: None }
    }

    /// This stream knows whether it is refused. Further words mean nothing until it asks again.
    pub fn tell(&mut self, refused: bool) {
        if self.refused.is_some() {
            return;
        }
        self.refused = Some(refused);
        self.known.send_modify(|known| {
            known.open = known.open.saturating_sub(1);
            known.admitted |= !refused;
        });
    }

    /// This stream asks again. `false`: it need not, since every other one is refused as well and they all end. Who asks while
    /// another one ends would go on without it.
    pub fn asks_again(&mut self) -> bool {
        if self.refused != Some(true) {
            return true;
        }
        let asks = self.known.send_if_modified(|known| {
            let asks = *known != HOPELESS;
            known.open += usize::from(asks);
            asks
        });
        self.refused = Some(true).filter(|_| !asks);
        asks
    }

    /// Waits until every stream is known to be refused; for ever where one is not.
    pub async fn hopeless(&self) {
        let mut known = self.known.subscribe();
        let hopeless = known.wait_for(|known| *known == HOPELESS).await;
        hopeless.expect("the sender lives as long as this does");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn only_when_every_stream_is_refused_nothing_can_come_of_it() {
        let mut one = Start::of(2);
        let mut other = one.clone();
        one.tell(true);
        one.tell(true);
        assert!(one.hopeless().now_or_never().is_none(), "the other one may still work");
        other.tell(true);
        assert!(one.hopeless().now_or_never().is_some());
        let mut one = Start::of(2);
        let mut other = one.clone();
        one.tell(false);
        other.tell(true);
        assert!(other.hopeless().now_or_never().is_none());
        assert!(Start::past().hopeless().now_or_never().is_none());
    }

    #[test]
    fn nobody_ends_while_another_one_asks_again_and_then_works() {
        let mut one = Start::of(2);
        let mut other = one.clone();
        one.tell(true);
        assert!(one.asks_again());
        other.tell(true);
        assert!(other.hopeless().now_or_never().is_none(), "the first one is asking");
        one.tell(false);
        assert!(other.hopeless().now_or_never().is_none() && other.asks_again());
        let mut one = Start::of(2);
        let mut other = one.clone();
        one.tell(true);
        other.tell(true);
        assert!(!one.asks_again() && !other.asks_again(), "both end, whoever was about to ask");
    }
}
