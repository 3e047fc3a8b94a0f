//! Alerts and what belongs to one alert.

use super::alerts::Alerts;
use super::numbered::append;
use super::{Call, error, list, schema};
use crate::delivery::Answer;
use crate::ledger::Rows;
use crate::odata::{Arrangement, Collection, RowIter, Schema};
use crate::ticks::Ticks;
use crate::world::{Evidence, Version};
use serde_json::json;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// `GET /api/alerts`
pub(super) fn list(call: &Call<'_>) -> Result<Answer, Answer> {
    list::answer(call, Alerts::of(call.core.world.clone()))
}

/// `GET /api/alerts/{id}`
pub(super) fn single(call: &Call<'_>) -> Result<Answer, Answer> {
    let version = found(call)?;
    call.core.scenario.answered(call.endpoint.kind, 0, &call.core.world);
    if call.core.scenario.is_poisoned(std::iter::once(call.id.clone()), true) {
        return Err(error::internal());
    }
    let mut body = Vec::new();
    Alerts::of(call.core.world.clone()).write(&version, true, &mut body);
    Ok(Answer::odata(body))
}

/// `GET /api/alerts/{id}/domains`
pub(super) fn domains(call: &Call<'_>) -> Result<Answer, Answer> {
    let hosts: BTreeSet<_> = evidence(call)?.iter().filter_map(|row| host(row.url.as_deref()?)).collect();
    list::answer(call, Ready::new(&schema::DOMAINS, hosts.iter().map(|host| json!({"host": host}))))
}

/// `GET /api/alerts/{id}/files`
pub(super) fn files(call: &Call<'_>) -> Result<Answer, Answer> {
    let mut seen = BTreeSet::new();
    let evidence = evidence(call)?;
    let files = evidence.iter().filter(|row| row.sha1.as_ref().is_some_and(|hash| seen.insert(hash.clone())));
    let files: Vec<_> = files.map(file).collect();
    list::answer(call, Ready::new(&schema::FILES, files.into_iter()))
}

/// `GET /api/alerts/{id}/ips`
pub(super) fn ips(call: &Call<'_>) -> Result<Answer, Answer> {
    let addresses: BTreeSet<_> = evidence(call)?.into_iter().filter_map(|row| row.ip_address).collect();
    list::answer(call, Ready::new(&schema::IPS, addresses.iter().map(|address| json!({"id": address}))))
}

/// `GET /api/alerts/{id}/machine`: 404 also when the machine is gone, or was never one of this product's.
pub(super) fn machine(call: &Call<'_>) -> Result<Answer, Answer> {
    let alert = call.core.world.recipe().alert(&found(call)?);
    let view = call.core.world.view();
    let id = alert.machine_id.unwrap_or_default();
    let number = view.find_machine(&id).ok_or_else(|| error::not_found(&format!("Machine {id} was not found")))?;
    Ok(Answer::json(axum::http::StatusCode::OK, &view.machine(number)))
}

/// `GET /api/alerts/{id}/user`: 404 also when the alert is about nobody.
pub(super) fn user(call: &Call<'_>) -> Result<Answer, Answer> {
    let alert = call.core.world.recipe().alert(&found(call)?);
    let user = alert.user.ok_or_else(|| error::not_found("User was not found"))?;
    Ok(Answer::json(axum::http::StatusCode::OK, &call.core.world.view().alert_user(user, alert.machine_id)))
}

/// The alert that the path names.
fn found(call: &Call<'_>) -> Result<Version, Answer> {
    let found = call.core.world.find(&call.id);
    found.ok_or_else(|| error::not_found(&format!("Alert {} was not found", call.id)))
}

/// The evidence of the alert that the path names.
fn evidence(call: &Call<'_>) -> Result<Vec<Evidence>, Answer> {
    let version = found(call)?;
    let recipe = call.core.world.recipe();
    Ok(recipe.evidence(&version, &recipe.alert(&version)))
}

/// The host in an address that may be whole or bare.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// The profile of a file. Source: property table of the vendor's file page.
fn file(row: &Evidence) -> serde_json::Value {
    json!({"sha1": row.sha1, "sha256": row.sha256, "globalPrevalence": 29, "globalFirstObserved": "2026-01-23T23:54:06.0135204Z",
        "globalLastObserved": row.evidence_creation_time, "size": 113_984, "fileType": null, "isPeFile": true,
        "filePublisher": null, "fileProductName": row.file_name, "signer": null, "issuer": null, "signerHash": null,
        "isValidCertificate": null, "determinationType": "Unknown", "determinationValue": null})
}

/// A short list whose rows are there.
struct Ready {
    /// What it is called.
    schema: &'static Schema,
    /// Its rows as JSON.
    rows: Vec<Vec<u8>>,
}

impl Ready {
    /// A list of these documents.
    fn new(schema: &'static Schema, documents: impl Iterator<Item = serde_json::Value>) -> Self {
        let row = |document| {
            let mut json = Vec::new();
            append(&document, &mut json);
            json
        };
        Self { schema, rows: documents.map(row).collect() }
    }
}

impl Collection for Ready {
    type Row = usize;

    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn rows(&self, _: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, usize> {
        Box::new(arrangement.of_all((0..self.rows.len()).collect(), |row| *row as u64))
    }

    fn write(&self, row: &usize, _: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rows[*row]);
    }

    fn id(&self, _: &usize) -> String {
        String::new()
    }

    fn served(&self, rows: &[usize], _: bool) -> Rows {
        Rows::Other(rows.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_every_spelling_of_an_address() {
        for (url, found) in [
            ("https://Evil.Example/a?b=http://x", Some("evil.example")),
            ("evil.example", Some("evil.example")),
            ("http://user@evil.example:8080/x", Some("evil.example")),
            ("", None),
        ] {
            assert_eq!(host(url).as_deref(), found, "{url}");
        }
    }
}
