//! A tenant's client, as its configuration says.

use super::clock::Clock;
use super::run::RunError;
use crate::config::{Credentials, Input, Proof, ServiceConfig};
use crate::quota::TenantBudget;
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
}

/// The tenant's two APIs.
#[derive(Clone)]
pub struct Clients {
    /// Defender for Endpoint.
    pub defender: Client,
    /// Microsoft Graph; its token is asked for at its first use.
    pub graph: Client,
}

impl Tenant {
    /// Sets it up over that budget; asks nobody.
    pub fn new(input: &Input, budget: TenantBudget, clock: &Arc<dyn Clock>) -> Result<Self, RunError> {
        let setup = |what: &dyn Display| RunError::Setup(format!("set up input {}: {what}", input.name));
        let mut ca_pem = Vec::new();
        if let Some(path) = &input.ca_file {
            ca_pem.push(std::fs::read(path).map_err(|error| setup(&format!("ca_file {}: {error}", path.display())))?);
        }
        // The cause is dropped: it may quote the address with its password.
        let proxy = input.proxy.as_ref().map(|proxy| Url::parse(proxy.expose())).transpose();
        let proxy = proxy.map_err(|_| setup(&"proxy: it is no address"))?;
        let api = |error: Error| setup(&error);
        let config = TransportConfig { ca_pem, proxy, ..TransportConfig::default() };
        let transport = Arc::new(ReqwestTransport::new(&config).map_err(api)?);
        let client = |base: &Url, scope: &str| {
            let tokens = Arc::new(tokens(input, scope, Arc::clone(&transport), clock)?);
            let counted = Arc::new(Counted { inner: Arc::clone(&transport), tenant: input.id.clone() });
            Client::new(base.clone(), counted, tokens, Arc::new(budget.clone()))
        };
        let endpoints = &input.endpoints;
        let clients = Clients {
            defender: client(&endpoints.api, &endpoints.scope).map_err(api)?,
            graph: client(&endpoints.graph, &endpoints.graph_scope).map_err(api)?,
        };
        Ok(Self { clients, budget })
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
    inner: Arc<ReqwestTransport>,
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

/// Who asks for tokens of that scope.
fn tokens(
    input: &Input,
    scope: &str,
    transport: Arc<ReqwestTransport>,
    clock: &Arc<dyn Clock>,
) -> Result<Tokens, Error> {
    let Credentials { tenant_id, client_id, proof } = &input.credentials;
    let endpoint = || TokenEndpoint::new(&input.endpoints.token, tenant_id);
    let secret = |secret| {
        let (client_id, scope) = (client_id.clone(), scope.to_owned());
        Ok(Tokens::new(ClientSecret { endpoint: endpoint()?, client_id, secret, scope }, Arc::clone(&transport) as _))
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
