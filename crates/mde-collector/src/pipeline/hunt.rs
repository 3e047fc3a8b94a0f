//! One hunting query: posted, its rows handed over while they arrive.

use super::clock::Clock;
use super::export::{ExportError, Sink};
use super::retry::{PipelineError, again};
use super::rows::one_line;
use super::setup::Tenant;
use crate::config::Input;
use crate::pull::parts::Parts;
use crate::quota::Quotas;
use mde_client::hunting::{Endpoint, Hunt, Hunter};
use mde_client::limits;
use mde_client::retry::Tries;
use std::sync::Arc;
use tokio::time::sleep;

/// How a query was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its columns with their types, where the answer names them.
    pub columns: Vec<(String, String)>,
    /// Rows in it.
    pub rows: u64,
    /// Who has answered.
    pub endpoint: Endpoint,
}

impl Answered {
    /// Whether there may be more rows than an answer can hold.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        Parts::all(limits::HUNTING_ROW_CAP as u64).is_cut(self.rows)
    }
}

/// Runs a query, over `within` alone where that is said. Unit: milliseconds since 1970, UTC.
///
/// # Errors
/// What the API says to it. A failure before the first row is tried again where that may help.
pub async fn hunt(
    input: &Input,
    quotas: &Quotas,
    clock: &Arc<dyn Clock>,
    (query, within): (&str, Option<(i64, i64)>),
    sink: &mut dyn Sink,
) -> Result<Answered, ExportError> {
    let tenant = Tenant::new(input, quotas.of(input), clock)?;
    let section = input.services.iter().find(|service| service.def.endpoint.family == limits::Family::Hunting);
    // A query by hand spends what the configured ones may spend.
    let clients = section.map_or_else(|| tenant.shared().clone(), |service| tenant.clients(service));
    let hunter = Hunter::choose(Some(&clients.defender), Some(&clients.graph)).await.map_err(PipelineError::from)?;
    let mut hunt = Hunt::new(query);
    if within.is_some() && hunter.endpoint() == Endpoint::Defender {
        return Err(ExportError::Timespan);
    }
    if let Some((from_ms, to_ms)) = within {
        hunt = hunt.within(from_ms, to_ms);
    }
    let mut tries = Tries::default();
    let mut answer = loop {
        match hunter.run(&hunt).await.map_err(PipelineError::from) {
            Ok(answer) => break answer,
            Err(error) => match again(&error, &mut tries) {
                Some(wait) => sleep(wait).await,
                None => return Err(error.into()),
            },
        }
    };
    let mut rows = 0;
    while let Some(row) = answer.next().await.map_err(PipelineError::from)? {
        sink.take(&one_line(row)).map_err(ExportError::Sink)?;
        rows += 1;
    }
    let columns = answer.columns().unwrap_or_default();
    let columns = columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect();
    Ok(Answered { columns, rows, endpoint: hunter.endpoint() })
}
