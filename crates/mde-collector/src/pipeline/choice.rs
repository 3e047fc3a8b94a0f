//! Among several APIs that have a source: which one is read now, and when it is left for another.
//!
//! The source's own API comes first while it answers and its role is granted. It is left at once where it says that it is gone or
//! that we may not, and after a while where it does nothing but fail; it is asked again each hour whether it answers.

use super::ask;
use super::drive::Puller;
use super::retry::PipelineError;
use super::rights;
use super::standing::Standing;
use crate::pull::Ask;
use crate::record::ErrorClass;
use crate::service::{Api, Elsewhere};
use crate::store::{Commit, Lease, Progress, StreamState};
use crate::telemetry::pull as events;
use mde_client::limits::DEFENDER_END_MS;
use std::time::Duration;
use tokio::time::Instant;

/// For so long the first API may fail before another one is read. Snapshots wait for it: another API's have other contents.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Time between two questions whether the first API answers again.
const ASK_AGAIN: Duration = Duration::from_secs(3_600);
/// So long before the classic API ends its users are told. Unit: milliseconds (180 days).
pub const TOLD_MS: i64 = 180 * 24 * 3_600_000;
/// What is gone for good. Source: RFC 9110, "410 Gone".
const GONE: u16 = 410;

/// What a running process knows of the APIs among which a stream may choose.
#[derive(Debug, Default)]
pub struct Choice {
    /// Since when the first has done nothing but fail.
    failing: Option<Instant>,
    /// Before this the first is not asked whether it answers again.
    not_before: Option<Instant>,
    /// It has said that it is gone.
    gone: bool,
}

impl Choice {
    /// A pull has reached its end.
    pub fn worked(&mut self) {
        self.failing = None;
    }

    /// Whether the first API is to be asked whether it answers again.
    fn may_ask(&self) -> bool {
        !self.gone && self.not_before.is_none_or(|not_before| Instant::now() >= not_before)
    }

    /// It has failed in this way; whether it is left for another API. `patience`: for so long it may fail.
    fn fails(&mut self, gone: bool, denied: bool, patience: Duration) -> bool {
        self.gone |= gone;
        let since = *self.failing.get_or_insert_with(Instant::now);
        gone || denied || since.elapsed() >= patience
    }

    /// Another API is read from now on.
    fn left(&mut self) {
        self.failing = None;
        self.not_before = Some(Instant::now() + ASK_AGAIN);
    }
}

/// Whether an error says that what was asked is gone for good.
fn is_gone(error: &PipelineError) -> bool {
    matches!(error, PipelineError::Api(error) if error.status() == Some(GONE))
}

impl Puller {
    /// Chooses where this pull reads.
    ///
    /// # Errors
    /// The first API's, where none is permitted; the store's.
    pub(super) async fn choose(&mut self) -> Result<(), PipelineError> {
        let state = self.store.stream(&self.source.stream).await?;
        let stands = self.source.standing(&state).elsewhere;
        let places: Vec<_> = self.source.service.places().collect();
        let at = places.iter().position(|place| same(*place, stands));
        let place = match (at, places.as_slice()) {
            (_, []) => None,
            (_, [only]) => *only,
            (None | Some(0), [first, others @ ..]) => match self.permitted(*first).await {
                Ok(()) => *first,
                Err(error) if error.is_denied() => match self.first_permitted(others).await {
                    Some(other) => {
                        self.choice.left();
                        other
                    }
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            },
            (Some(at), [first, ..]) => match self.choice.may_ask() && self.answers(*first).await {
                true => *first,
                false => places[at],
            },
        };
        let before = self.source.api().name();
        if self.go(place) {
            events::reads(&self.source.stream, before, self.source.api().name());
        }
        self.tell();
        Ok(())
    }

    /// Whether the stream leaves for another API after a pull that ended so; it has then.
    pub(super) async fn leaves(&mut self, error: &PipelineError) -> bool {
        if matches!(error, PipelineError::Store(_) | PipelineError::Held(_) | PipelineError::Memory(_)) {
            return false;
        }
        let places: Vec<_> = self.source.service.places().collect();
        let Some((first, others)) = places.split_first().filter(|(_, others)| !others.is_empty()) else { return false };
        if !same(*first, self.source.elsewhere) {
            if error.class() == ErrorClass::Denied || is_gone(error) {
                // Better to know soon whether the first one answers than to stand before a closed door.
                self.choice.not_before = None;
            }
            return false;
        }
        let patience = match (self.now().ms >= DEFENDER_END_MS, self.source.is_snapshot()) {
            (true, _) => Duration::ZERO,
            (false, true) => Duration::MAX,
            (false, false) => PATIENCE,
        };
        if !self.choice.fails(is_gone(error), error.is_denied(), patience) {
            return false;
        }
        let Some(other) = self.first_permitted(others).await else { return false };
        self.choice.left();
        let before = self.source.api().name();
        if self.go(other) {
            events::left(&self.source.stream, before, self.source.api().name(), error);
        }
        true
    }

    /// Reads there from now on; whether that is another API than before.
    fn go(&mut self, place: Option<&'static Elsewhere>) -> bool {
        let other = !same(place, self.source.elsewhere);
        if other {
            self.source = self.source.clone().at(place);
            self.equip();
        }
        other
    }

    /// The first of these that the application may read.
    async fn first_permitted(&self, places: &[Option<&'static Elsewhere>]) -> Option<Option<&'static Elsewhere>> {
        for place in places {
            if self.permitted(*place).await.is_ok() {
                return Some(*place);
            }
        }
        None
    }

    /// Fails where the application may not read there, as far as its token tells.
    async fn permitted(&self, place: Option<&'static Elsewhere>) -> Result<(), PipelineError> {
        let service = &self.source.service;
        match rights::granted(service, place, &self.clients).await? {
            true => Ok(()),
            false => {
                Err(PipelineError::Lacks { service: service.def.name, role: service.def.endpoint_at(place).roles[0] })
            }
        }
    }

    /// Chooses where the next pull reads, and fails where the application may not; for who has time until then.
    ///
    /// # Errors
    /// As [`choose`](Self::choose), or that a right is missing.
    pub(super) async fn look_ahead(&mut self) -> Result<(), PipelineError> {
        self.choose().await?;
        self.permitted(self.source.elsewhere).await
    }

    /// Whether the first API answers again; if not, it is asked no sooner than in an hour.
    async fn answers(&mut self, place: Option<&'static Elsewhere>) -> bool {
        let source = self.source.clone().at(place);
        let asked = async {
            self.permitted(place).await?;
            let get = ask::list(&source, &Ask { top: Some(1), ..Ask::default() })?;
            self.clients.of(source.api()).get(&get).await?.page.rest().await?;
            Ok::<_, PipelineError>(())
        };
        let asked = asked.await;
        if let Err(error) = &asked {
            self.choice.gone |= is_gone(error);
            self.choice.left();
        }
        asked.is_ok()
    }

    /// Takes the stand that was chosen, where the store has another: a snapshot is compared with none of another API, so it begins
    /// anew; windows go on where the other API stood, and remember where that was.
    pub(super) async fn take_stand(&mut self, lease: &Lease, state: &mut StreamState) -> Result<(), PipelineError> {
        let (stream, own) = (self.source.stream.clone(), self.source.service.def.endpoint.api);
        let found = Standing::read(&state.memory, own);
        let api = self.source.api();
        if found.api == api {
            self.standing = found;
        } else if self.source.is_snapshot() {
            self.standing = Standing { api, left: None, memory: String::new() };
            *state = self.store.start_again(lease, &stream, &self.standing.text("", own)).await?;
        } else {
            self.standing = found.moved(api, state.checkpoint_ms);
            state.memory = self.standing.text(&self.standing.memory, own);
            let progress = Progress { memory: Some(state.memory.clone()), ..Progress::default() };
            let commit = Commit { epoch: state.epoch, progress, ..Commit::default() };
            self.store.commit(lease, &stream, &commit).await?;
        }
        self.equip();
        Ok(())
    }

    /// A token for what the stream is read from; tables can be asked by either API.
    pub(super) async fn token(&self) -> Result<(), PipelineError> {
        let asked = self.clients.of(self.source.api()).tokens().token().await;
        match asked {
            Err(error) if self.source.api() == Api::Hunting => {
                self.clients.defender.tokens().token().await.map_err(|_| error)?;
            }
            asked => drop(asked?),
        }
        Ok(())
    }

    /// Tells, once for all streams of the tenant, that the classic API ends.
    fn tell(&self) {
        let soon = self.now().ms >= DEFENDER_END_MS - TOLD_MS;
        if self.source.api() == Api::Mde && soon && self.clients.is_first_to_tell() {
            events::classic_ends(&self.source.input);
        }
    }
}

/// Whether two places are one.
fn same(one: Option<&'static Elsewhere>, other: Option<&'static Elsewhere>) -> bool {
    one.map(|place| place.endpoint.api) == other.map(|place| place.endpoint.api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_only_fails_is_left_after_a_while_and_what_is_gone_or_closed_at_once() {
        let mut choice = Choice::default();
        assert!(!choice.fails(false, false, PATIENCE));
        tokio::time::advance(PATIENCE - Duration::from_secs(1)).await;
        assert!(!choice.fails(false, false, PATIENCE));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(choice.fails(false, false, PATIENCE));
        choice.worked();
        assert!(!choice.fails(false, false, PATIENCE), "one good pull begins the time anew");
        assert!(choice.fails(false, true, PATIENCE));
        assert!(Choice::default().fails(true, false, Duration::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_asked_at_start_then_hourly_and_never_once_it_is_gone() {
        let mut choice = Choice::default();
        assert!(choice.may_ask(), "a restart looks at once");
        choice.left();
        assert!(!choice.may_ask());
        tokio::time::advance(ASK_AGAIN).await;
        assert!(choice.may_ask());
        choice.fails(true, false, PATIENCE);
        assert!(!choice.may_ask());
    }
}
