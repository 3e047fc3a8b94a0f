//! The documented call for one entity.

use super::EnrichError;
use super::list::{List, calm};
use crate::service::{PerEntity, Related};
use mde_client::budget::Priority;
use mde_client::limits::PAGE_CAP;
use mde_client::query::segment;
use mde_client::retry::Tries;
use mde_client::{Client, ErrorKind, Get};

/// What became of one call.
#[derive(Debug)]
pub enum Outcome {
    /// The count.
    Count(u64),
    /// There is none, and asking again at once is of no use; why.
    Refused(String),
    /// The server failed several times: this entity's fault, or an outage.
    Failed(EnrichError),
    /// Nothing can be had by such calls now.
    Over(EnrichError),
}

/// Asks for one count of one entity, all its pages.
pub async fn count(client: &Client, call: &PerEntity, id: &str) -> Outcome {
    let path = call.path.replace("{id}", &segment(id));
    let get = Get::new(path, call.family, Priority::Enrichment);
    let counted = match call.answer {
        Related::List => List::new(client, get, Some(PAGE_CAP)).all(&mut |_| Ok(())).await,
        Related::One => one(client, &get).await,
    };
    match counted {
        Ok(count) => Outcome::Count(count),
        Err(error) if error.is_denied() => Outcome::Over(error),
        Err(EnrichError::Api(error)) => match error.kind() {
            ErrorKind::Server { .. } | ErrorKind::BodyCut | ErrorKind::NotJson | ErrorKind::Timeout => {
                Outcome::Failed(error.into())
            }
            ErrorKind::Transport | ErrorKind::Unauthorized | ErrorKind::Token(_) | ErrorKind::Config(_) => {
                Outcome::Over(error.into())
            }
            _ => Outcome::Refused(error.to_string()),
        },
        Err(error) => Outcome::Over(error),
    }
}

/// The one thing that belongs to an entity: there, or 404.
async fn one(client: &Client, get: &Get) -> Result<u64, EnrichError> {
    let mut tries = Tries::default();
    loop {
        let answer = match client.get(get).await {
            Ok(answer) => answer.entity().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => return Ok(1),
            Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => calm(error, &mut tries).await?,
        }
    }
}
