//! The status page, health, metrics and their JSON, over HTTP.
//!
//! It shows what `status` assembled and changes nothing: every route is a GET, nothing is computed here a second time, and
//! the store is only read. Its own file keeps what the page draws over time; nothing depends on it.

mod asset;
mod guard;
mod history;
mod keep;
mod metrics;
mod page;
mod picture;
mod routes;
mod server;

use crate::config::{self, Config};
use crate::quota::Quotas;
use crate::status::Board;
use crate::store::{Store, WallClock};
use crate::telemetry::web as events;
use history::History;
use picture::Viewer;
use server::Identity;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What the page looks at.
pub struct Sight {
    /// What is configured.
    pub config: Arc<Config>,
    /// A store to look into.
    pub store: Arc<dyn Store>,
    /// The budgets.
    pub quotas: Arc<Quotas>,
    /// What this process notes.
    pub board: Board,
    /// Wall time.
    pub now: WallClock,
    /// Where the history is kept; in memory where there is none.
    pub directory: Option<PathBuf>,
}

/// What every route is handed.
struct Web {
    /// How things stand.
    viewer: Arc<Viewer>,
    /// What is drawn over time.
    history: Arc<History>,
    /// `explain` reads much: one at a time.
    explaining: Semaphore,
}

/// Certificate or key of the page that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("set up the status page: {0}")]
pub struct SetupError(String);

/// The page being served; it ends when this is dropped.
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Ends it, and returns once nothing of it is left.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Serves the page. `None`: it cannot be served there, which has been logged; everything else goes on.
///
/// # Errors
/// Certificate or key that cannot be used.
pub async fn serve(settings: &config::Status, sight: Sight) -> Result<Option<Serving>, SetupError> {
    let identity = settings.tls.clone().map(Identity::load).transpose().map_err(SetupError)?;
    let bound = TcpListener::bind(settings.listen).await;
    let (listener, address) = match bound.and_then(|bound| bound.local_addr().map(|address| (bound, address))) {
        Ok(bound) => bound,
        Err(error) => {
            events::not_listening(settings.listen, &error);
            return Ok(None);
        }
    };
    let Sight { config, store, quotas, board, now, directory } = sight;
    let history = Arc::new(History::open(directory.as_deref()).await);
    let (ends, viewer) = (board.ends(), Arc::new(Viewer::new(config, store, quotas, board, now)));
    let web = Web { viewer: Arc::clone(&viewer), history: Arc::clone(&history), explaining: Semaphore::new(1) };
    let router = routes::router(Arc::new(web), settings, address);
    events::listening(address, identity.is_some());
    let mut tasks = JoinSet::new();
    tasks.spawn(keep::keep(Arc::clone(&viewer), history, ends));
    tasks.spawn(async move { viewer.watch().await });
    tasks.spawn(server::serve(listener, identity, router));
    Ok(Some(Serving { address, tasks }))
}
