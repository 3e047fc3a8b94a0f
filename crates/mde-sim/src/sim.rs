//! The simulator as one thing: its parts, its address, its life.

use crate::clock::SimClock;
use crate::config::{GraphConfig, PageConfig, SimConfig};
use crate::connection::{Break, Connection, ConnectionLost};
use crate::control;
use crate::defender;
use crate::delivery::{Answer, deliver, lose};
use crate::entra::{Credentials, Entra, Protocol};
use crate::estate::Plan;
use crate::export::{self, Builds};
use crate::kind::{RequestKind, Service};
use crate::ledger::Ledger;
use crate::quota::{Exceeded, Family, Limits, Quota};
use crate::scenario::{Fault, Scenario, Server};
use crate::server;
use crate::world::{Recipe, World};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Response, header};
use axum::routing::{get, post};
use jiff::Timestamp;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// Largest body of a token request. Unit: octets.
const FORM_LIMIT: usize = 64 * 1024;

/// A running simulator. It ends when it is dropped or shut down.
pub struct Sim {
    /// Its parts.
    core: Arc<Core>,
    /// Ends the server when dropped.
    stop: oneshot::Sender<()>,
    /// The server.
    server: JoinHandle<()>,
}

/// The parts, shared by the server, the router and the handle.
pub(crate) struct Core {
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// Seed of the world.
    pub(crate) seed: u64,
    /// The clock of the simulated servers.
    pub(crate) clock: SimClock,
    /// The tenant's data.
    pub(crate) world: World,
    /// Faults to come.
    pub(crate) scenario: Scenario,
    /// What was asked and handed over.
    pub(crate) ledger: Ledger,
    /// The token endpoint.
    pub(crate) entra: Entra,
    /// Calls allowed.
    quota: Mutex<Quota>,
    /// How pages are cut.
    pub(crate) page: PageConfig,
    /// Builds of exports that are still read.
    pub(crate) builds: Builds,
    /// Files of a file export.
    pub(crate) export_files: usize,
    /// Services that the configuration block asks for.
    services: Vec<Service>,
    /// Whether an empty machine list is a 404.
    pub(crate) empty_is_404: bool,
    /// What Microsoft Graph shows differently.
    pub(crate) graph: GraphConfig,
}

impl Sim {
    /// Makes the world and begins to listen. Fails when the address cannot be had.
    pub async fn start(config: SimConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let core = Arc::new(Core::new(config, listener.local_addr()?));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server::serve(listener, router(Arc::clone(&core)), stopped));
        Ok(Self { core, stop, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.core.address
    }

    /// The address as a URL without a path: API and authority alike.
    pub fn base_url(&self) -> String {
        self.core.base_url()
    }

    /// The only credentials it accepts (further applications aside). They change when the secret is rotated.
    pub fn credentials(&self) -> Credentials {
        self.core.entra.credentials()
    }

    /// An `inputs` block of the collector's configuration that reads `SimConfig::services` from here. It contains the secret.
    pub fn inputs_yaml(&self) -> String {
        self.core.inputs_yaml()
    }

    /// The tenant's data.
    pub fn world(&self) -> &World {
        &self.core.world
    }

    /// Faults to come.
    pub fn scenario(&self) -> &Scenario {
        &self.core.scenario
    }

    /// What was asked and handed over.
    pub fn ledger(&self) -> &Ledger {
        &self.core.ledger
    }

    /// The token endpoint.
    pub fn entra(&self) -> &Entra {
        &self.core.entra
    }

    /// The clock of the simulated servers.
    pub fn clock(&self) -> &SimClock {
        &self.core.clock
    }

    /// Changes the calls allowed for a family; `None`: no limit.
    pub fn set_quota(&self, family: Family, limits: Option<Limits>) {
        self.core.quota.lock().unwrap_or_else(PoisonError::into_inner).set(family, limits);
    }

    /// Calls of a family accepted in the last minute and the last hour.
    pub fn quota_used(&self, family: Family) -> (usize, usize) {
        self.core.quota_used(family)
    }

    /// The router over the same state, for calls in process. Where a socket would be broken before an answer, the response
    /// carries [`ConnectionLost`] as an extension; where it would be broken in the middle, the body ends with an error.
    pub fn router(&self) -> Router {
        router(Arc::clone(&self.core))
    }

    /// Calls the router in process, with lost connections as errors.
    pub async fn call(&self, request: Request) -> Result<Response<Body>, ConnectionLost> {
        let response = match self.router().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        match response.extensions().get::<ConnectionLost>() {
            Some(lost) => Err(*lost),
            None => Ok(response),
        }
    }

    /// Stops listening, aborts open connections and waits until both is done. World, ledger and clock stay usable by their clones.
    pub async fn shutdown(self) {
        drop(self.stop);
        // The server task cannot fail but by a panic, which it has already reported.
        let _ = self.server.await;
    }
}

impl Core {
    /// The parts of a simulator that listens at `address`.
    fn new(config: SimConfig, address: SocketAddr) -> Self {
        let plan = Plan::of(&config);
        let SimConfig {
            seed,
            clock,
            mut alerts,
            machines,
            exports,
            graph,
            services,
            page,
            quota,
            token_lifetime,
            roles,
            ..
        } = config;
        if machines.count > 0 {
            alerts.machines = u32::try_from(machines.count).unwrap_or(u32::MAX);
        }
        let entra = Entra::new(seed, clock.clone(), roles, token_lifetime);
        let recipe = Recipe { seed, tenant_id: entra.credentials().tenant_id, config: alerts, graph: graph.clone() };
        Self {
            address,
            seed,
            world: World::new(recipe, plan, clock.clone()),
            scenario: Scenario::default(),
            ledger: Ledger::new(clock.clone()),
            entra,
            quota: Mutex::new(Quota::new(quota)),
            page,
            builds: Builds::default(),
            export_files: exports.files,
            services,
            empty_is_404: machines.empty_is_404,
            graph,
            clock,
        }
    }

    /// The address as a URL.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address as the caller spelled it.
    pub(crate) fn base_of(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.map_or_else(|| self.base_url(), |host| format!("http://{host}"))
    }

    /// See [`Sim::inputs_yaml`].
    pub(crate) fn inputs_yaml(&self) -> String {
        let Credentials { tenant_id, client_id, client_secret } = self.entra.credentials();
        let (seed, base) = (self.seed, self.base_url());
        let services: String = self.services.iter().map(|service| service_yaml(*service)).collect();
        format!(
            "inputs:\n  simulated:\n    id: mde-sim-{seed}\n    enabled: true\n    credentials:\n      tenant_id: {tenant_id}\n      client_id: {client_id}\n      \
             client_secret: \"{client_secret}\"\n    override_api_base_url: {base}\n    override_token_url: {base}\n    override_graph_base_url: {base}\n    services:\n{services}"
        )
    }

    /// Counts a call, or tells why it is refused.
    pub(crate) fn take_quota(&self, tenant_id: &str, client_id: &str, family: Family) -> Result<(), Exceeded> {
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = quota.take(tenant_id, client_id, family, self.clock.elapsed());
        drop(quota);
        if taken.is_err() {
            self.ledger.count_throttled();
        }
        taken
    }

    /// Calls of a family accepted in the last minute and the last hour.
    pub(crate) fn quota_used(&self, family: Family) -> (usize, usize) {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner).used(family, self.clock.elapsed())
    }

    /// What the `Date` header of this server says.
    pub(crate) fn date(&self, server: Server) -> SystemTime {
        let now = self.clock.now();
        let shown = now.saturating_add(self.scenario.date_skew(server)).unwrap_or(now);
        // HTTP dates begin in 1970; a clock that is wrong beyond that says nothing useful anyway.
        SystemTime::UNIX_EPOCH + Duration::try_from(shown.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
    }

    /// The answer with its `Date` header.
    pub(crate) fn dated(&self, answer: Answer, server: Server) -> Answer {
        answer.with(header::DATE, &httpdate::fmt_http_date(self.date(server)))
    }
}

/// A service's lines in the configuration block. Hunting needs a query to be anything.
fn service_yaml(service: Service) -> String {
    match service {
        Service::AdvancedHunting => {
            "      advanced_hunting:\n        queries:\n          - {name: logons, query: DeviceLogonEvents, \
             devo_tag: my.app.defender.logons, timestamp_column: Timestamp}\n"
                .to_owned()
        }
        named => format!("      {}:\n", named.name()),
    }
}

/// All that is served: token endpoints, control, and the API for the rest.
fn router(core: Arc<Core>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(|core, tenant, request| token(core, tenant, Protocol::V2, request)))
        .route("/{tenant}/oauth2/token", post(|core, tenant, request| token(core, tenant, Protocol::V1, request)))
        .route("/msi/token", get(managed_token))
        .route(&format!("/{}/{{*path}}", export::files::FOLDER), get(export::files::blob))
        .nest("/_sim", control::routes())
        .fallback(defender::handle)
        .with_state(core)
}

/// Answers whoever runs on this machine and asks for its identity.
async fn managed_token(State(core): State<Arc<Core>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    // What identifies the caller stands in a header; the query may be kept.
    let entry = core.ledger.open(RequestKind::Token, None, parts.uri.path(), query);
    let answer = core.entra.answer_managed(&parts.headers, query);
    let connection = parts.extensions.get::<Connection>().cloned();
    deliver(core.dated(answer, Server::Token), None, entry, connection, &parts.headers).await
}

/// Answers one token request.
async fn token(
    State(core): State<Arc<Core>>,
    Path(tenant): Path<String>,
    protocol: Protocol,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let connection = parts.extensions.get::<Connection>().cloned();
    let entry = core.ledger.open(RequestKind::Token, None, parts.uri.path(), parts.uri.query().unwrap_or_default());
    let fault = core.scenario.take(RequestKind::Token);
    let answer = match &fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset { after: None }) => return lose(connection, Break::Reset).await,
        Some(Fault::Status { status, body }) => defender::status_answer(*status, *body),
        Some(Fault::TokenRefused { status, error, code }) => {
            core.entra.refuse(*status, error, *code, "The script refuses.")
        }
        Some(Fault::Unauthorized) => {
            core.entra.refuse(401, "invalid_client", 7_000_222, "The provided client secret keys for app are expired.")
        }
        Some(Fault::Throttle { told, seconds }) => {
            defender::throttled(*told, *seconds, &tenant, core.date(Server::Token))
        }
        Some(Fault::Html) => defender::html(),
        _ => {
            // A form that is too long or breaks off is like none: its parameters are missing.
            let form = axum::body::to_bytes(body, FORM_LIMIT).await.unwrap_or_default();
            core.entra.answer(&tenant, protocol, &parts.headers, &form)
        }
    };
    deliver(core.dated(answer, Server::Token), fault.as_ref(), entry, connection, &parts.headers).await
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sim")
            .field("address", &self.core.address)
            .field("ledger", &self.core.ledger)
            .finish_non_exhaustive()
    }
}
