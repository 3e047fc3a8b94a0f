//! What an application may read, as far as its tokens tell: the one judgement of roles, for those who pull and those who check.

use super::setup::Clients;
use crate::config::ServiceConfig;
use crate::service::{Api, Elsewhere, permitted};
use mde_client::hunting::Hunter;
use mde_client::{Error, ErrorKind};

/// Whether the application may read a service there; tables may be asked by either API.
///
/// # Errors
/// No token could be had.
pub async fn granted(
    service: &ServiceConfig,
    elsewhere: Option<&'static Elsewhere>,
    clients: &Clients,
) -> Result<bool, Error> {
    let endpoint = service.def.endpoint_at(elsewhere);
    if endpoint.api == Api::Hunting {
        let (defender, graph) = clients.hunting(service.backend);
        return match Hunter::choose(defender, graph).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Forbidden { .. }) => Ok(false),
            Err(error) => Err(error),
        };
    }
    let token = clients.of(endpoint.api).tokens().token().await?;
    Ok(permitted(endpoint.roles, token.roles().as_deref()))
}
