//! How things stand, taken when somebody asks, and seldom enough that a thousand tenants cost little.

use crate::config::Config;
use crate::pipeline::certificates::{self, CertificateEnd};
use crate::pipeline::explain::{Explained, explain};
use crate::pipeline::survey::{self, Only, survey};
use crate::quota::Quotas;
use crate::status::{Board, Status};
use crate::store::{Store, WallClock};
use crate::telemetry::web as events;
use axum::body::Bytes;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

/// A picture that is younger is as good as a new one.
const FRESH: Duration = Duration::from_secs(1);
/// Looking takes at most this part of the time: the rest goes by without.
const PART: u32 = 10;
/// How long an answer waits for a newer picture.
const WAIT: Duration = Duration::from_millis(100);
/// How long it waits for the first one.
const WAIT_FIRST: Duration = Duration::from_secs(30);
/// Certificates are read again after this time.
const CERTIFICATES: Duration = Duration::from_secs(60);
/// So often one is taken although nobody asks, for the history.
const UNASKED: Duration = Duration::from_secs(60);

/// How things stood at a moment.
#[derive(Clone)]
pub struct Picture {
    /// Everything that is told.
    pub status: Status,
    /// The same as `/api/status` gives it.
    pub json: Bytes,
    /// Until when certificates of ours are good.
    pub certificates: Arc<Vec<CertificateEnd>>,
    /// When. Unit: milliseconds since 1970, UTC.
    pub taken_ms: i64,
    /// When, by the clock that never goes back.
    taken: Instant,
    /// Whether it could not be renewed when that was tried last.
    pub failed: bool,
}

/// Takes pictures.
pub struct Viewer {
    config: Arc<Config>,
    store: Arc<dyn Store>,
    quotas: Arc<Quotas>,
    board: Board,
    now: WallClock,
    asked: Notify,
    newest: watch::Sender<Option<Arc<Picture>>>,
    /// What certificates were found, and when.
    certificates: Mutex<Option<(Instant, Arc<Vec<CertificateEnd>>)>>,
}

impl Viewer {
    /// Has taken none yet.
    pub fn new(config: Arc<Config>, store: Arc<dyn Store>, quotas: Arc<Quotas>, board: Board, now: WallClock) -> Self {
        let (asked, newest, certificates) = (Notify::new(), watch::Sender::new(None), Mutex::default());
        Self { config, store, quotas, board, now, asked, newest, certificates }
    }

    /// Wall time. Unit: milliseconds since 1970, UTC.
    pub fn now_ms(&self) -> i64 {
        (self.now)()
    }

    /// Events since this was last asked, by the names of notes.
    pub fn take_flow(&self) -> std::collections::BTreeMap<String, u64> {
        self.board.take_flow()
    }

    /// Takes a picture whenever one is asked for, for as long as it is polled.
    pub async fn watch(&self) {
        loop {
            let begun = Instant::now();
            match self.take().await {
                Ok(picture) => {
                    self.newest.send_replace(Some(Arc::new(picture)));
                }
                Err(error) => {
                    events::blind(&error);
                    self.newest.send_modify(|newest| {
                        if let Some(old) = newest {
                            *newest = Some(Arc::new(Picture { failed: true, ..(**old).clone() }));
                        }
                    });
                }
            }
            let pause = FRESH.max(begun.elapsed() * PART);
            sleep(pause).await;
            timeout(UNASKED.saturating_sub(pause), self.asked.notified()).await.ok();
        }
    }

    async fn take(&self) -> Result<Picture, Box<dyn Error + Send + Sync>> {
        let quota = survey::quota(&self.config, &self.quotas).await?;
        let (now_ms, notes) = (self.now_ms(), self.board.notes());
        let status = survey(&self.config, Only::default(), &*self.store, &notes, quota, now_ms).await?;
        let json = serde_json::to_vec(&status)?.into();
        let certificates = self.certificates().await;
        Ok(Picture { status, json, certificates, taken_ms: now_ms, taken: Instant::now(), failed: false })
    }

    /// The ends of certificates, read anew now and then.
    async fn certificates(&self) -> Arc<Vec<CertificateEnd>> {
        let mut read = self.certificates.lock().await;
        match &*read {
            Some((when, ends)) if when.elapsed() < CERTIFICATES => Arc::clone(ends),
            _ => {
                let config = Arc::clone(&self.config);
                let ends = spawn_blocking(move || certificates::ends(&config)).await;
                let ends = Arc::new(ends.unwrap_or_default());
                *read = Some((Instant::now(), Arc::clone(&ends)));
                ends
            }
        }
    }

    /// The newest picture; a newer one where it comes soon. `None`: there is none at all.
    pub async fn look(&self) -> Option<Arc<Picture>> {
        let mut newest = self.newest.subscribe();
        let age = newest.borrow_and_update().as_ref().map(|picture| picture.taken.elapsed());
        if age.is_none_or(|age| age >= FRESH) {
            self.asked.notify_one();
            let wait = if age.is_some() { WAIT } else { WAIT_FIRST };
            timeout(wait, newest.changed()).await.ok();
        }
        newest.borrow().clone()
    }

    /// Returns once there is another picture than the newest one. It is asked for, so it comes.
    pub async fn another(&self) {
        let mut newest = self.newest.subscribe();
        newest.mark_unchanged();
        self.asked.notify_one();
        newest.changed().await.ok();
    }

    /// Where one record is.
    pub async fn explain(&self, id: &str) -> Result<Explained, Box<dyn Error + Send + Sync>> {
        Ok(explain(&self.config, Only::default(), &*self.store, id).await?)
    }
}
