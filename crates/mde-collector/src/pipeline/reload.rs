//! Run after run in one process, over one store and under one lock: each with the configuration as it is then.
//!
//! A configuration is read again when somebody asks (SIGHUP) or a text that it took in changes (`${file:…}`, `ca_file`). One
//! that cannot be used changes nothing. One that has changed ends the run in order and begins the next.

use super::clock::Clock;
use super::rotate::Rotation;
use super::run::{self, Ended, Options, RunError};
use super::setup::sockets;
use crate::config::{Config, Loaded, Persistence, TextDigest};
use crate::quota::Quotas;
use crate::status::Board;
use crate::store::Store;
use crate::telemetry::reload as events;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// Time between two looks at texts that the configuration took in.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What happens outside while configurations run.
pub struct Outside<'a> {
    /// Set once: everything ends.
    pub stop: watch::Receiver<bool>,
    /// Told each time somebody asks for the configuration to be read again.
    pub again: &'a Notify,
    /// Reads it; all that is wrong with it where it cannot be used.
    pub read: &'a (dyn Fn() -> Result<Loaded, Vec<String>> + Send + Sync),
    /// Told what is in use each time that another configuration begins.
    pub in_use: &'a watch::Sender<InUse>,
}

/// What a run works with.
#[derive(Clone)]
pub struct InUse {
    /// The configuration.
    pub config: Arc<Config>,
    /// Its budgets.
    pub quotas: Arc<Quotas>,
}

/// Files as they were read.
pub type Texts = BTreeMap<PathBuf, TextDigest>;

/// A configuration that can be run, and what it is made of.
struct Ready {
    in_use: InUse,
    /// Its own files as they were when it was read: looked at only when somebody asks, for they may be half written.
    own: BTreeMap<PathBuf, TextDigest>,
    /// Files that are watched, as they were: what stands in it by `${file:…}`, and authorities of inputs.
    watched: BTreeMap<PathBuf, Option<TextDigest>>,
}

impl Ready {
    /// From what was read.
    fn new(config: Arc<Config>, quotas: Arc<Quotas>, (own, references): (Texts, Texts)) -> Self {
        let mut watched: BTreeMap<_, _> = references.into_iter().map(|(path, digest)| (path, Some(digest))).collect();
        for path in config.inputs.iter().filter_map(|input| input.ca_file.clone()) {
            // Read by whoever builds connections a little later: what changes in between is noticed once more.
            watched.entry(path).or_insert_with_key(|path| TextDigest::read(path));
        }
        Self { in_use: InUse { config, quotas }, own, watched }
    }

    /// Whether the other one was made of the same.
    fn is_like(&self, other: &Self) -> bool {
        (&self.own, &self.watched) == (&other.own, &other.watched)
    }
}

/// Waits until one of the files holds something else than was seen.
async fn changed(seen: &mut BTreeMap<PathBuf, Option<TextDigest>>) {
    loop {
        sleep(LOOK_EVERY).await;
        let mut changed = false;
        for (path, digest) in seen.iter_mut() {
            let now = TextDigest::read(path);
            changed |= std::mem::replace(digest, now) != now;
        }
        if changed {
            return;
        }
    }
}

/// Runs until everything was pulled once, or until the stop; `texts`: the configuration's own files, and those that it took in.
///
/// # Errors
/// As [`run::run`]; a later configuration that cannot be used is none.
pub async fn run(
    (in_use, texts): (InUse, (Texts, Texts)),
    options: &Options,
    (store, board, persistence): (Arc<dyn Store>, Board, &Persistence),
    clock: Arc<dyn Clock>,
    mut outside: Outside<'_>,
) -> Result<Ended, RunError> {
    let mut ready = Ready::new(in_use.config, in_use.quotas, texts);
    let owner = run::owner();
    loop {
        let (told, stopped) = watch::channel(false);
        let (tenants, rotations) = watch::channel(Vec::new());
        let InUse { config, quotas } = ready.in_use.clone();
        let seam = (Arc::clone(&store), &*quotas, board.clone());
        let turn = run::turn(&sockets, &config, options, (&owner, seam), Arc::clone(&clock), (stopped, tenants));
        let mut turn = Box::pin(turn);
        let next = async {
            let mut seen = ready.watched.clone();
            loop {
                let asked = tokio::select! { () = outside.again.notified() => true, () = changed(&mut seen) => false };
                if options.once {
                    events::not_now();
                } else if let Some(next) = again(&ready, (asked, &rotations), persistence, &clock, outside.read).await {
                    return next;
                }
            }
        };
        let next = tokio::select! {
            ended = &mut turn => return ended,
            next = next => Some(next),
            // Whoever could set it is gone only when the process ends.
            _ = outside.stop.wait_for(|stop| *stop) => None,
        };
        told.send_replace(true);
        let ended = turn.as_mut().await?;
        drop(turn);
        match next {
            Some(next) => ready = next,
            None => return Ok(ended),
        }
        outside.in_use.send_replace(ready.in_use.clone());
    }
}

/// The configuration as it is now, if it is another one and can be used. Says what became of it.
async fn again(
    ready: &Ready,
    (asked, rotations): (bool, &watch::Receiver<Vec<Rotation>>),
    persistence: &Persistence,
    clock: &Arc<dyn Clock>,
    read: &(dyn Fn() -> Result<Loaded, Vec<String>> + Send + Sync),
) -> Option<Ready> {
    let loaded = match read() {
        Ok(loaded) => loaded,
        Err(problems) => {
            problems.iter().for_each(|problem| events::refused(problem));
            return None;
        }
    };
    loaded.warnings.iter().for_each(|warning| events::warned(warning));
    let now = Arc::clone(clock);
    let wall: mde_client::WallClock = Arc::new(move || now.wall_ms());
    let quotas = match Quotas::after(&ready.in_use.quotas, &loaded.config, persistence, wall).await {
        Ok(quotas) => quotas,
        Err(error) => {
            events::refused(&error);
            return None;
        }
    };
    let Loaded { config, own, references, .. } = loaded;
    let next = Ready::new(Arc::new(config), Arc::new(quotas), (own, references));
    if next.is_like(ready) {
        if asked {
            events::unchanged();
            let rotations = rotations.borrow().clone();
            for rotation in rotations {
                rotation.ask_again().await;
            }
        }
        return None;
    }
    let problems = run::try_out(&next.in_use.config, &next.in_use.quotas, clock);
    if !problems.is_empty() {
        problems.iter().for_each(|problem| events::refused(problem));
        return None;
    }
    if next.in_use.config.globals.persistence != ready.in_use.config.globals.persistence {
        events::another_place();
    }
    events::begins();
    Some(next)
}
