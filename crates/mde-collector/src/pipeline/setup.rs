//! A tenant's client, as its configuration says.

use super::run::RunError;
use crate::config::{Input, Proof, ServiceConfig};
use crate::quota::TenantBudget;
use mde_client::auth::{ClientSecret, Secret, SecretSource, TokenEndpoint, Tokens};
use mde_client::budget::Budget;
use mde_client::{Client, Error, ReqwestTransport, TransportConfig};
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
    pub fn new(input: &Input, budget: TenantBudget) -> Result<Self, RunError> {
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
            let tokens = Arc::new(Tokens::new(identity(input, scope)?, Arc::<ReqwestTransport>::clone(&transport)));
            Client::new(base.clone(), Arc::<ReqwestTransport>::clone(&transport), tokens, Arc::new(budget.clone()))
        };
        let endpoints = &input.endpoints;
        let clients = Clients {
            defender: client(&endpoints.api, &endpoints.scope).map_err(api)?,
            graph: client(&endpoints.graph, &endpoints.graph_scope).map_err(api)?,
        };
        Ok(Self { clients, budget })
    }

    /// Defender for Endpoint, inside no service's own limits.
    pub fn defender(&self) -> Client {
        self.clients.defender.clone()
    }

    /// The clients of one service, inside the service's own limits as well.
    pub fn clients(&self, service: &ServiceConfig) -> Clients {
        let Clients { defender, graph } = self.clients.clone();
        let budget: Arc<dyn Budget> = Arc::new(self.budget.of_service(service));
        Clients { defender: defender.with_budget(Arc::clone(&budget)), graph: graph.with_budget(budget) }
    }
}

/// Who asks for tokens of that scope.
fn identity(input: &Input, scope: &str) -> Result<ClientSecret, Error> {
    let credentials = &input.credentials;
    Ok(ClientSecret {
        endpoint: TokenEndpoint::new(&input.endpoints.token, &credentials.tenant_id)?,
        client_id: credentials.client_id.clone(),
        secret: match &credentials.proof {
            Proof::Secret(secret) => SecretSource::Fixed(Secret::new(secret.expose())),
            Proof::SecretFile(path) => SecretSource::file(path),
        },
        scope: scope.to_owned(),
    })
}
