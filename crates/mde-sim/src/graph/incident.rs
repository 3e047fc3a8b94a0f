//! Incidents as a collection: what they say follows from the alerts in them.

use super::alert::Alerts;
use super::{schema, words};
use crate::ledger::{Listing, Rows};
use crate::odata::{Arrangement, Collection, RowIter, Schema, Value as Held};
use crate::ticks::Ticks;
use crate::world::dice::mix;
use crate::world::{Alert, Incident, VersionKey, World, incident};
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

/// The incidents of a world.
#[derive(Clone)]
pub(super) struct Incidents {
    /// The world.
    world: World,
    /// Whether newer words are shown.
    newer_words: bool,
}

impl Incidents {
    /// All incidents.
    pub(super) fn all(world: &World, newer_words: bool) -> Self {
        Self { world: world.clone(), newer_words }
    }

    /// The incident with this id.
    pub(super) fn find(&self, id: &str) -> Option<Incident> {
        self.world.find_incident(incident::number(id)?)
    }

    /// Everything about an incident but its alerts.
    fn head(&self, row: &Incident) -> Map<String, Value> {
        let recipe = self.world.recipe();
        let (id, tenant) = (incident::id(row.number).to_string(), &recipe.tenant_id);
        let alerts: Vec<_> = row.members.iter().map(|version| recipe.alert(version)).collect();
        let status = status(row, &alerts);
        let verdict = alerts.iter().rev().find(|alert| alert.classification.is_some()).filter(|_| status == "resolved");
        let word = |word: Option<&str>| word.map_or_else(|| "unknown".to_owned(), words::camel);
        let draw = mix(recipe.seed ^ 0x95, u64::from(row.number));
        let comments = alerts.iter().flat_map(|alert| &alert.comments).take(2).map(|comment| {
            json!({"comment": comment.comment, "createdByDisplayName": comment.created_by,
                "createdDateTime": comment.created_time})
        });
        let created = row.members.iter().map(|version| version.created).min().unwrap_or(row.standing.updated);
        let modified = match row.standing.changes {
            0 => "Microsoft 365 Defender-IncidentCreation",
            _ => "API-App:API Action",
        };
        let head = json!({"id": id, "tenantId": tenant, "displayName": name(&alerts),
            "description": (draw.is_multiple_of(3)).then(|| format!("{} alerts – seen together.", alerts.len())),
            "summary": null, "status": status, "severity": severity(&alerts),
            "classification": word(verdict.and_then(|alert| alert.classification)),
            "determination": word(verdict.and_then(|alert| alert.determination)),
            "assignedTo": alerts.iter().rev().find_map(|alert| alert.assigned_to.clone()),
            "createdDateTime": created, "lastUpdateDateTime": row.standing.updated,
            "customTags": if draw.is_multiple_of(4) { json!(["Zürich", "to do"]) } else { json!([]) },
            "systemTags": if draw.is_multiple_of(5) { json!(["Defender Experts"]) } else { json!([]) },
            "comments": comments.collect::<Vec<_>>(), "resolvingComment": null, "lastModifiedBy": modified,
            "redirectIncidentId": row.standing.redirected.map(|into| incident::id(into).to_string()),
            "incidentWebUrl": format!("https://security.microsoft.com/incidents/{id}?tid={tenant}")});
        match head {
            Value::Object(head) => head,
            _ => unreachable!("it is made as an object above"),
        }
    }

    /// What names the version of an incident.
    fn key(row: &Incident) -> VersionKey {
        VersionKey {
            id: incident::id(row.number).to_string(),
            last_update_time: row.standing.updated.to_string(),
            evidence: row.members.len() as u32,
        }
    }
}

/// The status that follows from the alerts. Some wait for an answer from outside, in a word that is newer than the interface.
fn status(row: &Incident, alerts: &[Alert]) -> &'static str {
    let are = |status: &str| alerts.iter().filter(|alert| alert.status == status).count();
    match (are("Resolved"), are("InProgress")) {
        _ if row.standing.redirected.is_some() => "redirected",
        (resolved, _) if resolved == alerts.len() => "resolved",
        (_, 0) => "active",
        _ if row.number % 10 == 3 => "awaitingAction",
        _ => "inProgress",
    }
}

/// The greatest severity of the alerts.
fn severity(alerts: &[Alert]) -> &'static str {
    let place = |alert: &Alert| {
        let word = words::severity(alert.severity);
        words::SEVERITIES.iter().position(|known| *known == word).unwrap_or_default()
    };
    words::SEVERITIES[alerts.iter().map(place).max().unwrap_or_default()]
}

/// A name that tells what the alerts are about.
fn name(alerts: &[Alert]) -> String {
    let title = |alert: &Alert| serde_json::from_str::<String>(alert.fixture.title.get()).unwrap_or_default();
    let place = if alerts.len() > 1 { "several endpoints" } else { "one endpoint" };
    match alerts {
        [] => "Incident without alerts".to_owned(),
        [only] => format!("{} on {place}", title(only)),
        [first, .., last] => {
            format!("Multi-stage incident involving {} & {} on {place}", first.fixture.category, last.fixture.category)
        }
    }
}

impl Collection for Incidents {
    type Row = Incident;

    fn schema(&self) -> &'static Schema {
        &schema::INCIDENTS
    }

    fn rows(&self, range: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, Incident> {
        let lot = |row: &Incident| self.world.recipe().lot(row.number);
        Box::new(arrangement.of_all(self.world.select_incidents(range), lot))
    }

    fn value(&self, row: &Incident, field: &'static str) -> Held<'static> {
        match field {
            "lastUpdateDateTime" => Held::Time(row.standing.updated),
            _ => Held::of(self.head(row).remove(field).unwrap_or_default(), field.ends_with("DateTime")),
        }
    }

    fn write(&self, row: &Incident, expanded: bool, out: &mut Vec<u8>) {
        let mut head = self.head(row);
        if expanded {
            let alerts = Alerts::of_incident(&self.world, true, row);
            head.insert("alerts".to_owned(), alerts.everything());
        }
        let mut incident = Value::Object(head);
        if !self.newer_words {
            words::fold(&mut incident);
        }
        serde_json::to_writer(out, &incident).expect("writing to memory cannot fail");
    }

    fn id(&self, row: &Incident) -> String {
        incident::id(row.number).to_string()
    }

    fn served(&self, rows: &[Incident], _: bool) -> Rows {
        Rows::Versions(Listing::Incidents, rows.iter().map(Self::key).collect())
    }
}

impl World {
    /// Every version that the incident list shows now, by update time; what `evidence` counts is alerts.
    pub fn incident_versions(&self) -> Vec<VersionKey> {
        self.select_incidents(crate::odata::filter::EVER).iter().map(Incidents::key).collect()
    }
}
