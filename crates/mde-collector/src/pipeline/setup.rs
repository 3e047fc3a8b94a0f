//! A tenant's client, as its configuration says.

use super::clock::Clock;
use super::rotate::Rotation;
use super::run::RunError;
use crate::config::{Backend, Credentials, Input, OutputEntry, Proof, ServiceConfig};
use crate::output::{self, Output, OutputError};
use crate::quota::TenantBudget;
use crate::service::Api;
use crate::telemetry::pull::answered;
use async_trait::async_trait;
use mde_client::auth::{Certificate, ClientSecret, FederatedToken, ManagedHost, ManagedIdentity, Secret, SecretSource};
use mde_client::auth::{TokenEndpoint, Tokens};
use mde_client::budget::Budget;
use mde_client::{
    Client, Error, HttpRequest, HttpResponse, ReqwestTransport, Transport, TransportConfig, TransportError,
};
use std::fmt::Display;
use std::sync::Arc;
use url::Url;

/// What the services of one tenant share: connections, tokens, quota.
pub struct Tenant {
    clients: Clients,
    budget: TenantBudget,
    rotation: Rotation,
}

/// The tenant's two APIs.
#[derive(Clone)]
pub struct Clients {
    /// Defender for Endpoint.
    pub defender: Client,
    /// Microsoft Graph; its token is asked for at its first use.
    pub graph: Client,
}

impl Clients {
    /// The one of an API; tables are asked by either, see [`Clients::hunting`].
    pub const fn of(&self, api: Api) -> &Client {
        match api {
            Api::Mde => &self.defender,
            Api::Graph | Api::Hunting => &self.graph,
        }
    }

    /// The two by which queries may be run.
    pub fn hunting(&self, backend: Backend) -> (Option<&Client>, Option<&Client>) {
        let (defender, graph) = (Some(&self.defender), Some(&self.graph));
        (defender.filter(|_| backend != Backend::Graph), graph.filter(|_| backend != Backend::Mde))
    }
}

impl Tenant {
    /// Sets it up over that budget and real sockets; asks nobody.
    pub fn new(input: &Input, budget: TenantBudget, clock: &Arc<dyn Clock>) -> Result<Self, RunError> {
        Self::over(&sockets, input, budget, clock)
    }

    /// The same over what `wire` says.
    pub fn over(
        wire: &dyn Wire,
        input: &Input,
        budget: TenantBudget,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, RunError> {
        let api = |error: Error| setup(input, &error);
        let transport = wire.transport(input)?;
        let client = |base: &Url, scope: &str| {
            let tokens = Arc::new(tokens(input, scope, Arc::clone(&transport), clock)?);
            let seam = Arc::new(Counted { inner: Arc::clone(&transport), tenant: input.id.clone() });
            let source = Arc::<Tokens>::clone(&tokens);
            Client::new(base.clone(), seam, source, Arc::new(budget.clone())).map(|client| (client, tokens))
        };
        let endpoints = &input.endpoints;
        let (defender, defender_tokens) = client(&endpoints.api, &endpoints.scope).map_err(api)?;
        let (graph, graph_tokens) = client(&endpoints.graph, &endpoints.graph_scope).map_err(api)?;
        let rotation = Rotation::new(input.name.clone(), vec![defender_tokens, graph_tokens]);
        Ok(Self { clients: Clients { defender, graph }, budget, rotation })
    }

    /// Its credential, as it changes.
    pub const fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// The clients that all services share, inside the tenant's limits.
    pub fn shared(&self) -> &Clients {
        &self.clients
    }

    /// The clients of one service, inside the service's own limits as well.
    pub fn clients(&self, service: &ServiceConfig) -> Clients {
        let Clients { defender, graph } = self.clients.clone();
        let budget: Arc<dyn Budget> = Arc::new(self.budget.of_service(service));
        Clients { defender: defender.with_budget(Arc::clone(&budget)), graph: graph.with_budget(budget) }
    }
}

/// Counts what the API answers.
struct Counted {
    /// Sends.
    inner: Arc<dyn Transport>,
    /// `id` of the input.
    tenant: String,
}

#[async_trait]
impl Transport for Counted {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let answer = self.inner.send(request).await;
        answered(&self.tenant, answer.as_ref().map_or(0, |answer| answer.status));
        answer
    }
}

/// What lies outside of a run: sockets, or what a simulation has in their place.
pub trait Wire: Sync {
    /// How an input's requests travel.
    ///
    /// # Errors
    /// A file that cannot be read, or what is no address.
    fn transport(&self, input: &Input) -> Result<Arc<dyn Transport>, RunError>;

    /// What takes the frames of an output, as the configuration describes it; `memory`: what the store kept for it.
    ///
    /// # Errors
    /// A description that cannot be used.
    fn output(&self, entry: &OutputEntry, memory: Option<&str>) -> Result<Box<dyn Output>, OutputError> {
        output::build(&entry.output, memory)
    }
}

impl<F: Fn(&Input) -> Result<Arc<dyn Transport>, RunError> + Sync> Wire for F {
    fn transport(&self, input: &Input) -> Result<Arc<dyn Transport>, RunError> {
        self(input)
    }
}

/// Real sockets, with the input's own roots and proxy.
///
/// # Errors
/// A file that cannot be read, or what is no address.
pub fn sockets(input: &Input) -> Result<Arc<dyn Transport>, RunError> {
    let setup = |what: &dyn Display| setup(input, what);
    let mut ca_pem = Vec::new();
    if let Some(path) = &input.ca_file {
        ca_pem.push(std::fs::read(path).map_err(|error| setup(&format!("ca_file {}: {error}", path.display())))?);
    }
    // The cause is dropped: it may quote the address with its password.
    let proxy = input.proxy.as_ref().map(|proxy| Url::parse(proxy.expose())).transpose();
    let proxy = proxy.map_err(|_| setup(&"proxy: it is no address"))?;
    let config = TransportConfig { ca_pem, proxy, ..TransportConfig::default() };
    Ok(Arc::new(ReqwestTransport::new(&config).map_err(|error| setup(&error))?))
}

/// An input that cannot be set up, and why.
fn setup(input: &Input, what: &dyn Display) -> RunError {
    RunError::Setup(format!("set up input {}: {what}", input.name))
}

/// Who asks for tokens of that scope.
fn tokens(input: &Input, scope: &str, transport: Arc<dyn Transport>, clock: &Arc<dyn Clock>) -> Result<Tokens, Error> {
    let Credentials { tenant_id, client_id, proof } = &input.credentials;
    let endpoint = || TokenEndpoint::new(&input.endpoints.token, tenant_id);
    let secret = |secret| {
        let (client_id, scope) = (client_id.clone(), scope.to_owned());
        Ok(Tokens::new(ClientSecret { endpoint: endpoint()?, client_id, secret, scope }, Arc::clone(&transport)))
    };
    match proof {
        Proof::Secret(fixed) => secret(SecretSource::Fixed(Secret::new(fixed.expose()))),
        Proof::SecretFile(path) => secret(SecretSource::file(path)),
        Proof::Certificate { certificate, key } => {
            let clock = Arc::clone(clock);
            let now = Arc::new(move || clock.wall_ms());
            let identity = Certificate::new(endpoint()?, client_id, scope, certificate, key, now);
            Ok(Tokens::new(identity, transport))
        }
        Proof::Federated(path) => Ok(Tokens::new(FederatedToken::new(endpoint()?, client_id, scope, path), transport)),
        Proof::Managed => {
            let host = ManagedHost::from_environment(|name| std::env::var(name).ok())?;
            let client_id = Some(client_id.clone()).filter(|id| !id.is_empty());
            Ok(Tokens::new(ManagedIdentity { host, client_id, scope: scope.to_owned() }, transport))
        }
    }
}
