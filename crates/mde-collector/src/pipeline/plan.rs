//! `plan`: how large a tenant's lists are, by cheap calls, and what its configuration will call.

use super::ask::priority;
use super::clock::Clock;
use super::retry::PipelineError;
use super::rights;
use super::run::{RunError, asked};
use super::setup::{Clients, Tenant};
use super::source::Source;
use crate::config::{Backend, Config, Input, ServiceConfig};
use crate::plan::{Listed, Plan, Size, Sizes, plan as sum};
use crate::pull::forecast::{Still, forecast};
use crate::quota::Quotas;
use crate::record::{RawObject, ms};
use crate::service::{Answer, Api, Bulk, Method, Pull, Read, permitted};
use crate::store::StreamState;
use mde_client::budget::Priority;
use mde_client::hunting::{Hunt, Hunter};
use mde_client::limits::Family;
use mde_client::query::{Filter, Query};
use mde_client::{Client, Error, ErrorKind, Get, kql};
use std::collections::HashSet;
use std::sync::Arc;

/// The column of a counted query.
const ROWS: &str = "Rows";
/// Days whose rows are counted to know how many come in one.
const COUNTED_DAYS: i64 = 7;
/// Unit: milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;
/// A length that has to be found by trying is known well enough at one part in so many.
const EXACTNESS: u64 = 32;

/// Rows of an export from which its length is estimated: those of about a hundred machines.
const SAMPLED_ROWS: usize = 20_000;

/// Plans each input that is asked for. `given`: sizes that nobody needs to be asked for.
///
/// # Errors
/// What cannot be set up, or an API that cannot be asked.
pub async fn plan(
    config: &Config,
    quotas: &Quotas,
    tenants: &[String],
    given: &Sizes,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Plan>, RunError> {
    let mut plans = Vec::new();
    for input in config.inputs.iter().filter(|input| asked(tenants, &input.name)) {
        let tenant = Tenant::new(input, quotas.of(input), clock)?;
        let failed = |error: Error| RunError::Setup(format!("plan input {}: {error}", input.name));
        let now_ms = clock.wall_ms();
        let mut sizes = given.clone();
        let mut roles = None;
        let input =
            &if wanted(input, given).is_empty() { input.clone() } else { permitted_places(input, &tenant).await };
        let wanted = wanted(input, given);
        if !wanted.is_empty() {
            let classic = wanted.iter().any(|list| !list.family.is_graph());
            let asked = tenant.shared().defender.tokens().token().await;
            // Whoever reads Graph alone need not be known to the classic API.
            roles = match asked {
                Ok(token) => token.roles(),
                Err(error) if classic => return Err(failed(error)),
                Err(_) => Some(Vec::new()),
            };
        }
        for list in wanted {
            if let Some(size) = size(tenant.shared(), &list, &sizes, now_ms).await.map_err(failed)? {
                sizes.set(list.path, size);
            }
        }
        let mut listed = Vec::new();
        for service in &input.services {
            let own = own_size(&sizes, service).unwrap_or_default();
            for source in Source::of(input, service) {
                listed.push(
                    foretold(service, &source, own, now_ms)
                        .map_err(|error| RunError::Setup(format!("plan {}: {error}", source.stream)))?,
                );
            }
        }
        plans.push(sum(input, &listed, &sizes, |answer: Answer| permitted(answer.roles(), roles.as_deref())));
    }
    Ok(plans)
}

/// The input with every service read where the application may read it: in the order of its section, as a run does.
async fn permitted_places(input: &Input, tenant: &Tenant) -> Input {
    let mut input = input.clone();
    for service in input.services.iter_mut().filter(|service| service.queries.is_empty()) {
        for place in service.places() {
            // Without any token it stays as it is, and whoever asks for sizes tells why.
            if matches!(rights::granted(service, place, tenant.shared()).await, Ok(true)) {
                service.backend = if place.is_some() { Backend::Graph } else { service.backend };
                break;
            }
        }
    }
    input
}

/// Rows of a table's query; `None` where the application may not run it.
async fn queried(clients: &Clients, query: &str) -> Result<Option<Size>, Error> {
    let (defender, graph) = clients.hunting(Backend::Auto);
    let asked = async {
        let hunter = Hunter::choose(defender, graph).await?;
        let mut answer = hunter.run(&Hunt::new(kql::counted(query, ROWS))).await?;
        let row = answer.next().await?.unwrap_or_default();
        Ok::<_, Error>(RawObject::parse(row).ok().and_then(|row| row.get(ROWS)?.parse().ok()).unwrap_or(0))
    };
    match asked.await {
        Ok(rows) => Ok(Some(Size { rows, per_day: 0.0 })),
        Err(error) if matches!(error.kind(), ErrorKind::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How large a service's list is, where it is known: by the API that is read, else by the source itself.
fn own_size(sizes: &Sizes, service: &ServiceConfig) -> Option<Size> {
    sizes.get(service.endpoint().path).or_else(|| sizes.get(service.def.endpoint.path))
}

/// What a stream's own machine calls, over a list of that size that holds still.
fn foretold<'a>(
    service: &'a ServiceConfig,
    source: &Source,
    size: Size,
    now_ms: i64,
) -> Result<Listed<'a>, PipelineError> {
    let new = StreamState { epoch: 1, checkpoint_ms: None, memory: String::new(), last_batch: 0 };
    let mut machine = source.machine(&new, false)?;
    let still = Still { rows: size.rows, per_day: size.per_day, cap: service.endpoint().page_cap as u64 };
    let period_ms = ms(source.period);
    Ok(Listed {
        service,
        query: source.query.as_ref().map(|query| query.name.clone()),
        pull: source.pull,
        period: source.period,
        forecast: forecast(&mut *machine, &still, now_ms, period_ms)?,
        priority: priority(source, false),
    })
}

/// A list whose length matters.
struct List {
    path: &'static str,
    family: Family,
    /// How its length is found.
    length: Length,
}

/// How the length of a list is found.
#[derive(Clone, Copy)]
enum Length {
    /// By its end.
    Whole,
    /// The same, and that of a week by this time.
    ByTime(&'static str),
    /// It cannot be told but by reading all: by the rows of its first machines, which this property names.
    Sampled(&'static str),
    /// By this query, whose rows are counted where they lie.
    Queried(&'static str),
}

/// The list of machines.
const MACHINES: (&str, Family) = ("/api/machines", Family::Machines);

/// The lists whose length matters and is not given: those that are read, and those in which counts are.
fn wanted(input: &Input, given: &Sizes) -> Vec<List> {
    let mut lists: Vec<List> = Vec::new();
    for service in input.services.iter().filter(|service| service.queries.is_empty()) {
        let endpoint = service.endpoint();
        let other = service.places().next().flatten();
        let (pull, query) = other.map_or((service.pull, None), |other| (&other.pull, other.query));
        let length = match *pull {
            Pull::Window { time, .. } | Pull::Open { start: time, .. } => Length::ByTime(time),
            Pull::Snapshot { .. } | Pull::Slices => query.map_or(Length::Whole, Length::Queried),
        };
        // All tables have one path: their sizes are known by the lists for which they stand.
        let path = if query.is_some() { service.def.endpoint.path } else { endpoint.path };
        if own_size(given, service).is_none() {
            lists.push(List { path, family: endpoint.family, length });
        }
    }
    // Whoever gives the sizes of all services wants nobody to be asked.
    if lists.is_empty() {
        return lists;
    }
    let mut add = |list: List| {
        if given.get(list.path).is_none() && lists.iter().all(|known| known.path != list.path) {
            lists.push(list);
        }
    };
    let in_bulk = input.services.iter().filter(|service| service.enrichment.method != Method::PerEntity);
    // Further answers are for tenants that cannot give the first one.
    for bulk in in_bulk.flat_map(|service| &service.counts).filter_map(|count| count.bulk.first()) {
        let Bulk::Grouped(grouped) = bulk else { continue };
        match grouped.pass.read {
            Read::List { path, family } | Read::Each { path, family, .. } => {
                add(List { path, family, length: Length::Whole });
            }
            Read::Export { pages, machine, .. } => {
                add(List { path: MACHINES.0, family: MACHINES.1, length: Length::Whole });
                add(List { path: pages, family: Family::ExportJson, length: Length::Sampled(machine) });
            }
        }
    }
    lists
}

/// How large a list is; `None` where the application may not read it. `known`: those that were looked at before.
async fn size(clients: &Clients, list: &List, known: &Sizes, now_ms: i64) -> Result<Option<Size>, Error> {
    let client = clients.of(if list.family.is_graph() { Api::Graph } else { Api::Mde });
    let all = Get::new(list.path, list.family, Priority::Lists);
    let whole = |rows| Size { rows, per_day: 0.0 };
    let time = match list.length {
        Length::Whole => return Ok(count(client, &all, Query::new()).await?.map(whole)),
        Length::Sampled(machine) => {
            let machines = known.get(MACHINES.0).map_or(0, |size| size.rows);
            return Ok(sampled(client, &all, machine, machines).await?.map(whole));
        }
        Length::ByTime(time) => time,
        Length::Queried(query) => return queried(clients, query).await,
    };
    let Some(rows) = count(client, &all, Query::new()).await? else { return Ok(None) };
    let week = Query::new().filter(&Filter::window(time, now_ms - COUNTED_DAYS * DAY_MS, now_ms + DAY_MS)?);
    let week = count(client, &all, week).await?.unwrap_or(0);
    Ok(Some(Size { rows, per_day: week as f64 / COUNTED_DAYS as f64 }))
}

/// Rows of a list, by one small answer where the server counts; else by looking for its end. `None`: it may not be read.
pub(super) async fn count(client: &Client, list: &Get, query: Query) -> Result<Option<u64>, Error> {
    let counted = list.clone().query(query.clone().top(1).with("$count", "true"));
    match ends(client, &counted).await {
        Ok((_, Some(count))) => return Ok(Some(count)),
        // The option is not documented for any list.
        Ok(_) => {}
        Err(error) => match error.kind() {
            ErrorKind::NotFound => return Ok(Some(0)),
            ErrorKind::Forbidden { .. } | ErrorKind::NotLicensed => return Ok(None),
            ErrorKind::BadRequest => {}
            _ => return Err(error),
        },
    }
    let is_there = async |place: u64| {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        ends(client, &list.clone().query(query.clone().top(1).skip(place))).await.map(|(rows, _)| rows > 0)
    };
    let (mut rows, mut beyond) = (0, 1);
    while is_there(beyond - 1).await? {
        (rows, beyond) = (beyond, beyond.saturating_mul(4));
    }
    while beyond - rows > (rows / EXACTNESS).max(1) {
        let middle = rows + (beyond - rows) / 2;
        if is_there(middle - 1).await? { rows = middle } else { beyond = middle }
    }
    Ok(Some(rows))
}

/// Rows of an export for so many machines, by those of its first ones; `None`: it may not be read.
async fn sampled(client: &Client, export: &Get, machine: &str, machines: u64) -> Result<Option<u64>, Error> {
    let first = export.clone().query(Query::verbatim(format!("pageSize={SAMPLED_ROWS}")));
    let mut page = match client.get(&first).await {
        Ok(answer) => answer.page,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::Forbidden { .. } | ErrorKind::NotLicensed => return Ok(None),
            _ => return Err(error),
        },
    };
    let (mut seen, mut newest, mut of_newest) = (HashSet::new(), String::new(), 0);
    while let Some(row) = page.next().await? {
        // A row that cannot be read is one all the same.
        let id = RawObject::parse(row).ok().and_then(|row| Some(row.text(machine)?.into_owned())).unwrap_or_default();
        if id != newest {
            seen.insert(id.clone());
            (newest, of_newest) = (id, 0);
        }
        of_newest += 1;
    }
    let end = page.rest().await?;
    // The last machine may go on behind the page.
    let whole = (seen.len() as u64).saturating_sub(1);
    Ok(Some(match end.next_link {
        None => end.rows,
        Some(_) if whole == 0 => end.rows.saturating_mul(machines),
        Some(_) => (end.rows - of_newest).saturating_mul(machines) / whole,
    }))
}

/// Rows of an answer, and how many there are on the server where it says so.
async fn ends(client: &Client, get: &Get) -> Result<(u64, Option<u64>), Error> {
    let end = client.get(get).await?.page.rest().await?;
    Ok((end.rows, end.count))
}
