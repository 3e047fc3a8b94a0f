//! A tenant's client, as its configuration says.

use super::run::RunError;
use crate::config::{CallLimit, Input, Proof, ServiceConfig};
use mde_client::auth::{ClientSecret, Secret, SecretSource, TokenEndpoint, Tokens};
use mde_client::budget::{InMemoryBudget, Window};
use mde_client::{Client, Error, ReqwestTransport, TransportConfig};
use std::fmt::Display;
use std::sync::Arc;

/// What the services of one tenant share: connections, token, quota.
pub struct Tenant {
    client: Client,
    budget: InMemoryBudget,
}

impl Tenant {
    /// Sets it up; asks nobody.
    pub fn new(input: &Input) -> Result<Self, RunError> {
        let setup = |what: &dyn Display| RunError::Setup(format!("set up input {}: {what}", input.name));
        let mut ca_pem = Vec::new();
        if let Some(path) = &input.ca_file {
            ca_pem.push(std::fs::read(path).map_err(|error| setup(&format!("ca_file {}: {error}", path.display())))?);
        }
        // The cause is dropped: it may quote the address with its password.
        let proxy = input.proxy.as_ref().map(|proxy| url::Url::parse(proxy.expose())).transpose();
        let proxy = proxy.map_err(|_| setup(&"proxy: it is no address"))?;
        let api = |error: Error| setup(&error);
        let config = TransportConfig { ca_pem, proxy, ..TransportConfig::default() };
        let transport = Arc::new(ReqwestTransport::new(&config).map_err(api)?);
        let credentials = &input.credentials;
        let secret = match &credentials.proof {
            Proof::Secret(secret) => SecretSource::Fixed(Secret::new(secret.expose())),
            Proof::SecretFile(path) => SecretSource::File(path.clone()),
        };
        let identity = ClientSecret {
            endpoint: TokenEndpoint::new(&input.endpoints.token, &credentials.tenant_id).map_err(api)?,
            client_id: credentials.client_id.clone(),
            secret,
            scope: input.endpoints.scope.clone(),
        };
        let tokens = Arc::new(Tokens::new(identity, Arc::<ReqwestTransport>::clone(&transport)));
        let budget = InMemoryBudget::new(input.quota_share, input.limits.iter().map(window).collect());
        let base = input.endpoints.api.clone();
        let client = Client::new(base, transport, tokens, Arc::new(budget.clone())).map_err(api)?;
        Ok(Self { client, budget })
    }

    /// The client of one service, inside the service's own limits as well.
    pub fn client(&self, service: &ServiceConfig) -> Client {
        let limits: Vec<Window> = service.limits.iter().map(window).collect();
        if limits.is_empty() {
            return self.client.clone();
        }
        self.client.clone().with_budget(Arc::new(self.budget.with_limits(limits)))
    }
}

fn window(limit: &CallLimit) -> Window {
    Window { period: limit.period, limit: u32::try_from(limit.calls).unwrap_or(u32::MAX) }
}
