//! The alert list of Microsoft Graph as a collection: our own alerts, and those of other products.

use super::{companion, evidence, schema, words};
use crate::config::Order;
use crate::estate::View;
use crate::ledger::{Listing, Rows};
use crate::odata::filter::EVER;
use crate::odata::{Arrangement, Collection, RowIter, Schema, Value as Held};
use crate::ticks::Ticks;
use crate::world::{Incident, Recipe, Version, VersionKey, World};
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

/// One alert at one version.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The version; a companion's times are its own.
    version: Version,
    /// The line of the fixture when it is another product's.
    companion: Option<usize>,
}

/// The alerts that Graph shows, all or those of one incident.
#[derive(Clone)]
pub(super) struct Alerts {
    /// The world.
    world: World,
    /// Its machines, all seen at one moment.
    view: View,
    /// Whether newer words are shown.
    newer_words: bool,
    /// The alerts of one incident.
    only: Option<Vec<Row>>,
}

impl Alerts {
    /// All alerts of a world.
    pub(super) fn all(world: &World, newer_words: bool) -> Self {
        Self { world: world.clone(), view: world.view(), newer_words, only: None }
    }

    /// The alerts of one incident.
    pub(super) fn of_incident(world: &World, newer_words: bool, incident: &Incident) -> Self {
        let rows = Row::with_companions(world.recipe(), &incident.members).collect();
        Self { only: Some(rows), ..Self::all(world, newer_words) }
    }

    /// The alert with this id.
    pub(super) fn find(&self, id: &str) -> Option<Row> {
        let recipe = self.world.recipe();
        let numbers = [recipe.number(id), companion::number(recipe, id)];
        let versions: Vec<_> =
            numbers.into_iter().flatten().filter_map(|number| self.world.find_on_graph(number)).collect();
        Row::with_companions(recipe, &versions).find(|row| self.id(row) == id)
    }

    /// An alert as it is written.
    pub(super) fn json(&self, row: &Row) -> Value {
        let recipe = self.world.recipe();
        let mut alert = self.head(row);
        let evidence = match row.companion {
            Some(line) => companion::evidence(line, &row.version),
            None => {
                let facts = recipe.alert(&row.version);
                let rows = recipe.evidence(&row.version, &facts);
                evidence::all(&self.view, &row.version, &facts, &rows, recipe.config.machines)
            }
        };
        alert.insert("evidence".to_owned(), Value::Array(evidence));
        let mut alert = Value::Object(alert);
        if !self.newer_words {
            words::fold(&mut alert);
        }
        alert
    }

    /// All of them as one array.
    pub(super) fn everything(&self) -> Value {
        let arrangement = Arrangement { order: Order::OldestFirst, shuffle: 0 };
        self.rows(EVER, arrangement).map(|row| self.json(&row)).collect()
    }

    /// Everything about an alert but its evidence.
    fn head(&self, row: &Row) -> Map<String, Value> {
        let Row { version, companion } = row;
        let recipe = self.world.recipe();
        let facts = recipe.alert(version);
        let (tenant, id, incident) = (&recipe.tenant_id, self.id(row), facts.incident_id);
        let page = |sort: &str, id: &str| format!("https://security.microsoft.com/{sort}/{id}?tid={tenant}");
        let comments = facts.comments.iter().map(|comment| {
            json!({"comment": comment.comment, "createdByDisplayName": comment.created_by,
                "createdDateTime": comment.created_time})
        });
        let mut head = match companion {
            Some(line) => companion::head(*line),
            None => Self::own(&facts),
        };
        for (property, value) in [
            ("id", json!(id)),
            ("providerAlertId", json!(id[if companion.is_some() { 2 } else { 0 }..])),
            ("incidentId", json!(incident.to_string())),
            ("status", json!(words::camel(facts.status))),
            ("classification", json!(facts.classification.map(words::camel))),
            ("determination", json!(facts.determination.map(words::camel))),
            ("assignedTo", json!(facts.assigned_to)),
            ("createdDateTime", json!(version.created)),
            ("lastUpdateDateTime", json!(version.updated)),
            ("firstActivityDateTime", json!(facts.first_event_time)),
            ("lastActivityDateTime", json!(facts.last_event_time)),
            ("resolvedDateTime", json!(facts.resolved_time)),
            ("tenantId", json!(tenant)),
            ("alertWebUrl", json!(page("alerts", &id))),
            ("incidentWebUrl", json!(page("incidents", &incident.to_string()))),
            ("comments", comments.collect()),
        ] {
            head.insert(property.to_owned(), value);
        }
        head
    }

    /// What only our own product says.
    fn own(facts: &crate::world::Alert) -> Map<String, Value> {
        let fixture = facts.fixture;
        let own = json!({"severity": words::severity(facts.severity), "serviceSource": words::ENDPOINT,
            "detectionSource": words::detection_source(&fixture.detection_source),
            "productName": "Microsoft Defender for Endpoint", "detectorId": fixture.detector_id,
            "title": fixture.title, "description": fixture.description,
            "recommendedActions": "1. Look at the device's timeline\n2. Collect an investigation package\n\t\u{fffd} when it is still there",
            "category": fixture.category, "actorDisplayName": null, "threatDisplayName": fixture.threat_name,
            "threatFamilyName": fixture.threat_family_name, "mitreTechniques": fixture.mitre_techniques,
            "investigationState": words::camel(facts.investigation_state), "systemTags": [], "alertPolicyId": null,
            "additionalData": null, "customDetails": {}});
        match own {
            Value::Object(own) => own,
            _ => unreachable!("it is made as an object above"),
        }
    }

    /// What names the version of a row.
    fn key(&self, row: &Row) -> VersionKey {
        let recipe = self.world.recipe();
        let evidence = match row.companion {
            Some(line) => companion::evidence_count(line, &row.version),
            None => {
                let facts = recipe.alert(&row.version);
                let devices = evidence::devices(&self.view, &row.version, &facts, recipe.config.machines);
                facts.evidence_count + devices.len() as u32
            }
        };
        VersionKey { id: self.id(row), last_update_time: row.version.updated.to_string(), evidence }
    }
}

impl Row {
    /// Alerts and their companions.
    fn with_companions<'a>(recipe: &'a Recipe, versions: &'a [Version]) -> impl Iterator<Item = Self> + 'a {
        versions.iter().flat_map(|version| {
            let companion = companion::of(recipe, version);
            let companion = companion.map(|(line, version)| Self { version, companion: Some(line) });
            [Self { version: *version, companion: None }].into_iter().chain(companion)
        })
    }
}

impl Collection for Alerts {
    type Row = Row;

    fn schema(&self) -> &'static Schema {
        if self.only.is_some() { &schema::INCIDENT_ALERTS } else { &schema::ALERTS }
    }

    fn rows(&self, range: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, Row> {
        let recipe = self.world.recipe();
        let mut rows = match &self.only {
            Some(rows) => rows.clone(),
            None => {
                // Companions are older than their alerts: those of later ones may lie in the range too.
                let wider = *range.start()..=range.end().plus(companion::LONGEST_LEAD);
                Row::with_companions(recipe, &self.world.select_on_graph(wider)).collect()
            }
        };
        rows.retain(|row| range.contains(&row.version.updated));
        rows.sort_by_key(|row| (row.version.updated, row.version.number, row.companion));
        let lot = |row: &Row| recipe.lot(row.version.number).wrapping_add(row.companion.is_some().into());
        Box::new(arrangement.of_all(rows, lot))
    }

    fn value(&self, row: &Row, field: &'static str) -> Held<'static> {
        // Windows over times are what a list is mostly asked for: no need to make up the rest.
        match field {
            "lastUpdateDateTime" => Held::Time(row.version.updated),
            "createdDateTime" => Held::Time(row.version.created),
            _ => {
                let time = field.ends_with("DateTime");
                Held::of(self.head(row).remove(field).unwrap_or_default(), time)
            }
        }
    }

    fn write(&self, row: &Row, _: bool, out: &mut Vec<u8>) {
        serde_json::to_writer(out, &self.json(row)).expect("writing to memory cannot fail");
    }

    fn id(&self, row: &Row) -> String {
        let recipe = self.world.recipe();
        match row.companion {
            Some(line) => companion::id(recipe, line, &row.version),
            None => recipe.id(&row.version),
        }
    }

    fn served(&self, rows: &[Row], _: bool) -> Rows {
        match self.only {
            None => Rows::Versions(Listing::GraphAlerts, rows.iter().map(|row| self.key(row)).collect()),
            // These belong to the incident: they say nothing about what the alert list has given.
            Some(_) => Rows::Other(rows.len() as u64),
        }
    }
}

impl World {
    /// Every version that Microsoft Graph's alert list shows now, by update time; those of other products are among them.
    pub fn graph_versions(&self) -> Vec<VersionKey> {
        let alerts = Alerts::all(self, true);
        let arrangement = Arrangement { order: Order::OldestFirst, shuffle: 0 };
        alerts.rows(EVER, arrangement).map(|row| alerts.key(&row)).collect()
    }

    /// The alert as Microsoft Graph gives it, with the newer words of enumerations.
    pub fn graph_alert_json(&self, id: &str) -> Option<String> {
        let alerts = Alerts::all(self, true);
        alerts.find(id).map(|row| alerts.json(&row).to_string())
    }
}
