//! `check`: whether a configuration would work, by asking everybody that it names and sending no event.

mod backends;

use self::backends::{Grant, Judged, Place, judge, last_day, portal};
use super::clock::{self, Clock};
use super::rights::granted;
use super::run::{RunError, asked};
use super::setup::{Clients, Tenant};
use crate::config::{Config, Input, OutputEntry, Proof, ServiceConfig};
use crate::output::{self, expiry};
use crate::pull::clock::SPREAD_WARNING_MS;
use crate::quota::{Quotas, TenantBudget};
use crate::record::{ErrorClass, RawObject};
use crate::service::{Api, Elsewhere, Pull};
use crate::telemetry;
use futures_util::future::{join, join_all};
use mde_client::budget::Priority;
use mde_client::hunting::{Endpoint, Hunter};
use mde_client::limits::DEFENDER_HUNTING_END_MS;
use mde_client::query::{Filter, Query};
use mde_client::{Client, Error, ErrorKind, Get, write_time};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Unit: milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;
/// What is younger may not be shown by both APIs yet. Unit: milliseconds (15 min).
const FRESH_MS: i64 = 15 * 60_000;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works.
    Pass,
    /// It works, and a person should know something.
    Warn,
    /// It does not work, for want of a right: a role, or credentials.
    Denied,
    /// It does not work.
    Fail,
}

/// What was looked at, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `credentials`, `clock`, `service`, `quota`, `output` or `state`.
    pub kind: &'static str,
    /// The name of the input; none for outputs.
    pub tenant: Option<String>,
    /// The name of the service or output; none for what concerns a whole tenant.
    pub name: Option<String>,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do.
    pub fix: Option<String>,
}

impl Finding {
    /// Something that works.
    fn pass(kind: &'static str, found: impl Into<String>) -> Self {
        Self { kind, tenant: None, name: None, verdict: Verdict::Pass, found: found.into(), fix: None }
    }

    /// Another verdict, with what to do.
    fn but(self, verdict: Verdict, fix: impl Into<String>) -> Self {
        Self { verdict, fix: Some(fix.into()), ..self }
    }

    /// What it is about.
    fn of(self, tenant: Option<&Input>, name: Option<&str>) -> Self {
        Self { tenant: tenant.map(|input| input.name.clone()), name: name.map(str::to_owned), ..self }
    }
}

/// Looks at everything, tenants and outputs at once; in the order of the configuration.
///
/// # Errors
/// What cannot even be set up.
pub async fn check(
    config: &Config,
    tenants: &[String],
    quotas: &Quotas,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Finding>, RunError> {
    let mut set_up = Vec::new();
    for input in config.inputs.iter().filter(|input| asked(tenants, &input.name)) {
        let budget = quotas.of(input);
        set_up.push((input, Tenant::new(input, budget.clone(), clock)?, budget));
    }
    let inputs = set_up.iter().map(|(input, tenant, budget)| async {
        let mut findings = tenant_findings(input, tenant, &**clock).await;
        findings.push(quota_finding(budget).await.of(Some(input), None));
        findings
    });
    let outputs = config.outputs.iter().map(|entry| output_finding(entry, clock.wall_ms()));
    let (inputs, outputs) = join(join_all(inputs), join_all(outputs)).await;
    Ok(inputs.into_iter().flatten().chain(outputs).collect())
}

/// Credentials, clocks and services of one tenant.
async fn tenant_findings(input: &Input, tenant: &Tenant, clock: &dyn Clock) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Whether anything is read from the classic API alone.
    let graph_alone =
        input.services.iter().all(|service| service.endpoint().api != Api::Mde || service.places().count() > 1);
    let tokens = tenant.shared().defender.tokens();
    match tokens.token().await {
        Ok(token) => {
            let found = match token.roles() {
                Some(roles) => format!("token granted, with {} roles", roles.len()),
                None => "token granted; its roles cannot be read".to_owned(),
            };
            findings.push(lasting(found, input, clock.wall_ms()).of(Some(input), None));
        }
        // What Graph has too can do without this API's token.
        Err(error) if !graph_alone || tenant.shared().graph.tokens().token().await.is_err() => {
            findings.push(failed("credentials", &error).of(Some(input), None));
            return findings;
        }
        Err(_) => {}
    }
    for service in &input.services {
        let clients = tenant.clients(service);
        let finding = match service.queries.is_empty() {
            true => list_finding(service, input, &clients, clock.wall_ms()).await,
            false => hunting_finding(service, input, &clients).await,
        };
        findings.push(finding.of(Some(input), Some(service.def.name)));
    }
    let reading = clock::read(clock, None, tokens.date());
    if reading.spread_ms > SPREAD_WARNING_MS {
        let found = format!("this machine's clock and Microsoft's differ by {} s", reading.spread_ms / 1_000);
        let finding = Finding::pass("clock", found).but(Verdict::Warn, "let a time service set this machine's clock");
        findings.insert(1.min(findings.len()), finding.of(Some(input), None));
    }
    findings
}

/// A credential that works, with how long it will, as far as that can be known.
fn lasting(found: String, input: &Input, now_ms: i64) -> Finding {
    let place = "Entra admin center > App registrations > the application > Certificates & secrets";
    match &input.credentials.proof {
        Proof::Secret(_) | Proof::SecretFile(_) => {
            Finding::pass("credentials", format!("{found}; when the secret expires is told only in {place}"))
        }
        Proof::Certificate { certificate, .. } => {
            let pem = std::fs::read(certificate).ok();
            let first = pem.and_then(|pem| CertificateDer::pem_slice_iter(&pem).next()?.ok());
            let Some(end) = first.and_then(|der| expiry::of(&certificate.display().to_string(), &der)) else {
                return Finding::pass("credentials", found);
            };
            match end.note(now_ms) {
                None => Finding::pass("credentials", format!("{found}; the certificate is good until {}", end.day())),
                Some(note) => Finding::pass("credentials", format!("{found}; {note}")).but(
                    Verdict::Warn,
                    format!("{place} > Certificates > Upload certificate, then put the new one and its key in the files' place"),
                ),
            }
        }
        Proof::Managed | Proof::Federated(_) => Finding::pass("credentials", found),
    }
}

/// A service that is read as a list: from which API it would be, with which role, and one row of it.
async fn list_finding(service: &ServiceConfig, input: &Input, clients: &Clients, now_ms: i64) -> Finding {
    let def = service.def;
    let (mut places, mut refused) = (Vec::new(), None);
    for elsewhere in service.places() {
        let granted = granted(service, elsewhere, clients).await;
        places.push(Place { elsewhere, granted: matches!(granted, Ok(true)) });
        refused = granted.err().or(refused);
    }
    let judged = judge(def, &places, now_ms);
    let Some(chosen) = judged.chosen else {
        return match refused {
            Some(error) => failed("service", &error),
            None => told(judged, input),
        };
    };
    let endpoint = def.endpoint_at(places[chosen].elsewhere);
    if endpoint.api == Api::Hunting {
        return told(judged, input);
    }
    let ask = Get::new(endpoint.path, endpoint.family, Priority::Lists).query(Query::new().top(1));
    let read = async { clients.of(endpoint.api).get(&ask).await?.page.rest().await };
    match read.await {
        Ok(_) => {
            let other = places[chosen..].iter().find(|place| place.granted && place.elsewhere.is_some());
            let missing = match (places[chosen].elsewhere, other.and_then(|place| place.elsewhere)) {
                (None, Some(other)) if other.core.is_some() => missing_there(service, other, clients, now_ms).await,
                _ => None,
            };
            let judged = Judged { found: judged.found + &missing.unwrap_or_default(), ..judged };
            told(judged, input)
        }
        Err(error) => match error.kind() {
            ErrorKind::Forbidden { missing } if !missing.is_empty() => {
                let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
                lacking(input, portal(endpoint.api), &missing)
            }
            _ => failed("service", &error),
        },
    }
}

/// How many of the entities that changed in the last day the other API does not show: what a switch would leave out. Nothing where
/// one answer of each does not tell.
async fn missing_there(
    service: &ServiceConfig,
    other: &'static Elsewhere,
    clients: &Clients,
    now_ms: i64,
) -> Option<String> {
    let (Pull::Window { time, .. }, Pull::Window { time: there, .. }) = (service.pull, &other.pull) else {
        return None;
    };
    let day = |field| Filter::window(field, now_ms - DAY_MS, now_ms - FRESH_MS).ok();
    let own = Get::new(service.def.endpoint.path, service.def.endpoint.family, Priority::Lists);
    let own = ids(clients.of(Api::Mde), own.query(Query::new().filter(&day(time)?))).await?;
    let endpoint = &other.endpoint;
    // Wider, because an update may be told a little later there.
    let query = Query::new().filter(&Filter::window(there, now_ms - DAY_MS - FRESH_MS, now_ms).ok()?);
    let query = query.top(endpoint.page_cap).with("$count", "true");
    let shown = ids(clients.of(endpoint.api), Get::new(endpoint.path, endpoint.family, Priority::Lists).query(query));
    let shown = shown.await?;
    let missing = own.iter().filter(|id| !shown.contains(*id)).count();
    Some(format!("; of {} that changed in the last day {missing} are not there", own.len()))
}

/// The ids of a list, where one answer holds it.
async fn ids(client: &Client, get: Get) -> Option<BTreeSet<String>> {
    let mut page = client.get(&get).await.ok()?.page;
    let mut ids = BTreeSet::new();
    while let Some(row) = page.next().await.ok()? {
        ids.insert(RawObject::parse(row).ok()?.text("id")?.into_owned());
    }
    let end = page.end()?;
    (end.next_link.is_none() && end.count.is_none_or(|count| count == end.rows)).then_some(ids)
}

/// A judgement as a finding.
fn told(judged: Judged, input: &Input) -> Finding {
    let finding = Finding { verdict: judged.verdict, ..Finding::pass("service", judged.found) };
    let Some(Grant { api, role, later }) = judged.grant else { return finding };
    let fix = grant(input, portal(api), &[role]);
    let fix = if later { format!("before {}: {fix}", last_day()) } else { fix };
    Finding { fix: Some(fix), ..finding }
}

/// Hunting: which of its two endpoints the application may use.
async fn hunting_finding(service: &ServiceConfig, input: &Input, clients: &Clients) -> Finding {
    let (defender, graph) = clients.hunting(service.backend);
    match Hunter::choose(defender, graph).await {
        Ok(hunter) if hunter.endpoint() == Endpoint::Defender => {
            let end = write_time(DEFENDER_HUNTING_END_MS).expect("a constant in this century");
            let (day, role) = (&end[..10], Endpoint::Defender.role());
            let found = format!("{role} granted; its endpoint stops answering on {day}");
            let fix = grant(input, "Microsoft Graph", &[Endpoint::Graph.role()]);
            Finding::pass("service", found).but(Verdict::Warn, format!("before that day: {fix}"))
        }
        Ok(_) => Finding::pass("service", format!("{} granted, on Microsoft Graph", Endpoint::Graph.role())),
        Err(error) if matches!(error.kind(), ErrorKind::Forbidden { .. }) => {
            lacking(input, "Microsoft Graph", &[Endpoint::Graph.role()])
        }
        Err(error) => failed("service", &error),
    }
}

/// What of the quota is used now, by this and every other process beside the same state.
async fn quota_finding(budget: &TenantBudget) -> Finding {
    let used = match budget.current().await {
        Ok(used) => used,
        Err(error) => {
            let finding = Finding::pass("quota", format!("failed to {error}"));
            return finding.but(Verdict::Warn, "check the rights of the state folder and the room on its disk");
        }
    };
    let told = used.iter().filter_map(|bucket| {
        let hour = bucket.windows.last().filter(|window| window.used > 0)?;
        Some(format!("{} {} of {} an hour", bucket.family?.name(), hour.used, hour.limit))
    });
    let told: Vec<String> = told.collect();
    let blocked = used.iter().map(|bucket| bucket.blocked_for).max().unwrap_or_default();
    if !blocked.is_zero() {
        let found = format!("Microsoft has asked us to wait {} s more", blocked.as_secs());
        return Finding::pass("quota", found).but(Verdict::Warn, "see who else calls as this application, or wait");
    }
    Finding::pass("quota", if told.is_empty() { "unused".to_owned() } else { format!("used: {}", told.join(", ")) })
}

/// An output, asked as far as it can be without an event.
async fn output_finding(entry: &OutputEntry, now_ms: i64) -> Finding {
    let checked = async {
        let mut output = output::build(&entry.output, None)?;
        output.check().await?;
        Ok::<_, output::OutputError>((output.proof(), output.notes(now_ms)))
    };
    let finding = match checked.await {
        Ok((proof, notes)) if notes.is_empty() => Finding::pass("output", proof),
        Ok((proof, notes)) => Finding::pass("output", format!("{proof}; {}", notes.join("; ")))
            .but(Verdict::Warn, "renew what expires, and switch protection on, before it is needed"),
        Err(error) => {
            let found = with_cause(&error);
            match error.class {
                ErrorClass::Denied => Finding::pass("output", found).but(
                    Verdict::Fail,
                    "check the certificate, its key and the chain, or the credentials, of this output",
                ),
                _ => Finding::pass("output", found)
                    .but(Verdict::Fail, "check address, port and the network between; for a file, its folder's rights"),
            }
        }
    };
    finding.of(None, Some(&entry.name))
}

/// What an error comes to.
fn failed(kind: &'static str, error: &Error) -> Finding {
    let verdict = match error.kind() {
        ErrorKind::Token(refusal) if !refusal.transient => Verdict::Denied,
        ErrorKind::Forbidden { .. } | ErrorKind::Unauthorized | ErrorKind::NotLicensed => Verdict::Denied,
        _ => Verdict::Fail,
    };
    let fix = error.advice().unwrap_or("check the address, the proxy and the network between; then run this again");
    Finding::pass(kind, with_cause(error)).but(verdict, fix)
}

/// An error as a sentence, with what is behind it.
fn with_cause(error: &dyn std::error::Error) -> String {
    let cause = telemetry::cause(error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("failed to {error}{cause}")
}

/// A role that the application lacks.
fn lacking(input: &Input, api: &str, roles: &[&str]) -> Finding {
    let found = format!("the application lacks {}", roles.join(", "));
    Finding::pass("service", found).but(Verdict::Denied, grant(input, api, roles))
}

/// How a role is granted, in the portal's own words.
fn grant(input: &Input, api: &str, roles: &[&str]) -> String {
    let id = &input.credentials.client_id;
    let application = if id.is_empty() { "the managed identity".to_owned() } else { id.clone() };
    format!(
        "Entra admin center > App registrations > {application} > API permissions > Add a permission > {api} > \
         Application permissions > {} > Add permissions, then Grant admin consent",
        roles.join(", ")
    )
}
