//! One way to a receiver: the connection that takes frames, and those before it that are ending.
//!
//! The *current* connection is half-closed when it has rested too long, since balancers cut resting connections without
//! a word, and every [`HANDOVER`] where only the peer's FIN counts. Then it is *ending*: it is watched beside its
//! successor until the peer's FIN. Confirmation walks the connections oldest first, so what is confirmed is always a
//! prefix of what was written to this lane.

use super::connection::Connection;
use crate::output::Offset;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

/// Age at which a connection hands over to a new one, where only the peer's FIN counts. Source: design, "Delivery".
const HANDOVER: Duration = Duration::from_secs(60);

/// Connections that may be ending at once; while there are so many no other one is ended, which bounds memory and
/// sockets towards a receiver that does not end its side.
const MAX_ENDING: usize = 4;

/// A current connection and its predecessors.
#[derive(Default)]
pub(super) struct Lane {
    /// Takes the frames.
    pub(super) current: Option<Connection>,
    /// Half-closed, oldest first.
    ending: VecDeque<Connection>,
    /// The end, in the output's count, of the last frame of this lane that is confirmed.
    pub(super) through: Offset,
}

impl Lane {
    /// All its connections, oldest first.
    fn connections(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.ending.iter_mut().chain(&mut self.current)
    }

    /// Moves every connection on, as far as goes without waiting, and confirms what counts.
    pub(super) fn step(&mut self, cx: &mut Context<'_>, by_acknowledgement: bool) {
        for connection in self.connections() {
            connection.step(cx);
        }
        let mut through = self.through;
        for connection in self.connections() {
            if let Some(end) = connection.confirm(by_acknowledgement) {
                through = end;
            }
            if !connection.is_settled() {
                break;
            }
        }
        self.through = through;
        self.ending.retain(|connection| !(connection.is_settled() && connection.is_over()));
        // Cut while nothing was under way on it: the next write makes a new one, and nobody needs to know.
        self.current.take_if(|connection| connection.is_settled() && connection.is_over());
    }

    /// Whether another frame can be begun: the kernel has the one before, or it never will.
    pub(super) fn is_free(&self) -> bool {
        self.current.as_ref().is_none_or(|current| current.is_free() || current.is_over())
    }

    /// Steps until the current connection has nothing unread: a receiver's last word is heard before the next write.
    pub(super) async fn step_until_heard(&mut self, by_acknowledgement: bool) {
        /// A receiver that talks without end is not waited for.
        const PATIENCE: usize = 16;
        for _ in 0..PATIENCE {
            poll_fn(|cx| {
                self.step(cx, by_acknowledgement);
                Poll::Ready(())
            })
            .await;
            match &self.current {
                Some(connection) if connection.has_unread() => {
                    // An error is seen by the next step as well.
                    let _ = connection.readable().await;
                }
                _ => break,
            }
        }
    }

    /// Half-closes the current connection when it has rested for `idle`, or lived long enough where `only_fin` counts.
    pub(super) fn retire(&mut self, idle: Duration, only_fin: bool) {
        let due = self.current.as_ref().is_some_and(|current| {
            let rested = current.last_write.elapsed() >= idle;
            let old = only_fin && !current.is_settled() && current.opened.elapsed() >= HANDOVER;
            current.is_free() && (rested || old)
        });
        if due && self.ending.len() < MAX_ENDING {
            self.end_current();
        }
    }

    /// Half-closes the current connection.
    pub(super) fn end_current(&mut self) {
        if let Some(mut connection) = self.current.take() {
            connection.end();
            self.ending.push_back(connection);
        }
    }

    /// Whether nothing more is to be waited for of those that are ending.
    pub(super) fn has_ended(&self) -> bool {
        self.ending.iter().all(|connection| connection.is_settled() || connection.is_over())
    }

    /// Why a connection failed with frames unconfirmed, once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.connections().find_map(Connection::take_failure)
    }

    /// Drops what was not confirmed. A connection in the middle of a frame is reset, so that the receiver does not take
    /// half a line for a whole one; the others end politely, since confirmed events may still wait to be read there.
    pub(super) fn drop_connections(&mut self) {
        for connection in self.ending.drain(..).chain(self.current.take()) {
            if !connection.is_free() {
                connection.abort();
            }
        }
    }
}
