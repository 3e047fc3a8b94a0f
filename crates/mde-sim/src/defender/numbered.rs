//! Lists of entities that are told by a number: the lists of the estate, and the lists that belong to one entity.

use super::schema;
use crate::estate::{Profiles, View, cve, investigation_id, product_id};
use crate::kind::Service;
use crate::ledger::{Rows, mark};
use crate::odata::{Arrangement, Collection, RowIter, Schema, Value};
use crate::ticks::Ticks;
use crate::world::dice::mix;
use crate::world::names;
use serde::Serialize;
use std::ops::RangeInclusive;

/// A list at one moment.
pub(crate) struct Numbered {
    /// The estate at that moment.
    view: View,
    /// What its rows are.
    sort: Sort,
    /// Which rows there are.
    source: Source,
}

/// What rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Machines.
    Machine,
    /// Products.
    Software,
    /// Vulnerabilities.
    Vulnerability,
    /// Recommendations.
    Recommendation,
    /// Investigations.
    Investigation,
    /// Machines, in short.
    MachineReference,
    /// Users.
    User,
    /// Updates.
    Kb,
    /// Versions of this product.
    Distribution(u32),
}

/// Which rows there are.
pub(crate) enum Source {
    /// All of a service.
    All(Service),
    /// The machines of these profiles.
    Profiles(Profiles),
    /// These numbers: few, however many machines there are.
    These(Vec<u32>),
}

impl Sort {
    /// What a service lists.
    pub(crate) fn of(service: Service) -> Option<Self> {
        match service {
            Service::Machines => Some(Self::Machine),
            Service::Software => Some(Self::Software),
            Service::Vulnerabilities => Some(Self::Vulnerability),
            Service::Recommendations => Some(Self::Recommendation),
            Service::Investigations => Some(Self::Investigation),
            Service::Alerts | Service::AdvancedHunting | Service::Incidents => None,
        }
    }
}

impl Numbered {
    /// The list of a service; none of those that have no numbered list.
    pub(crate) fn list(view: View, service: Service) -> Option<Self> {
        Some(Self { sort: Sort::of(service)?, source: Source::All(service), view })
    }

    /// A list that belongs to one entity.
    pub(crate) fn related(view: View, sort: Sort, source: Source) -> Self {
        Self { view, sort, source }
    }

    /// A row as JSON.
    fn json(&self, number: u32, out: &mut Vec<u8>) {
        let view = &self.view;
        match self.sort {
            Sort::Machine => append(&view.machine(number), out),
            Sort::Software => append(&view.software(number), out),
            Sort::Vulnerability => append(&view.vulnerability(number), out),
            Sort::Recommendation => append(&view.recommendation(number), out),
            Sort::Investigation => append(&view.investigation(number), out),
            Sort::MachineReference => append(&view.machine_reference(number), out),
            Sort::User => append(&view.logon_user(number), out),
            Sort::Kb => append(&view.kb(number), out),
            Sort::Distribution(product) => append(&view.distribution(product, number), out),
        }
    }
}

/// Appends an entity as JSON.
pub(crate) fn append(entity: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, entity).expect("writing to memory cannot fail");
}

impl View {
    /// The numbers of a service's entities, oldest first.
    pub(crate) fn numbers(&self, service: Service) -> RowIter<'_, u32> {
        self.arranged(service, Arrangement { order: crate::config::Order::OldestFirst, shuffle: 0 })
    }

    /// The numbers of a service's entities in an order.
    fn arranged(&self, service: Service, arrangement: Arrangement) -> RowIter<'_, u32> {
        let catalog = &self.estate.catalog;
        match service {
            Service::Machines => Box::new(self.estate.machines.numbers(arrangement)),
            Service::Software => Box::new(catalog.software.numbers(arrangement)),
            Service::Vulnerabilities => Box::new(catalog.vulnerabilities.numbers(arrangement)),
            Service::Recommendations => Box::new(catalog.recommendations.numbers(arrangement)),
            Service::Investigations => {
                let numbers = (0..self.estate.investigations.len() as u32).collect();
                Box::new(arrangement.of_all(numbers, |number| u64::from(*number)))
            }
            Service::Alerts | Service::AdvancedHunting | Service::Incidents => Box::new(std::iter::empty()),
        }
    }
}

impl Collection for Numbered {
    type Row = u32;

    fn schema(&self) -> &'static Schema {
        match (self.sort, &self.source) {
            (Sort::Machine, _) => &schema::MACHINES,
            (Sort::Software, Source::All(_)) => &schema::SOFTWARE,
            (Sort::Software, _) => &schema::MACHINE_SOFTWARE,
            (Sort::Vulnerability, Source::All(_)) => &schema::VULNERABILITIES,
            (Sort::Vulnerability, _) => &schema::RELATED_VULNERABILITIES,
            (Sort::Recommendation, Source::All(_)) => &schema::RECOMMENDATIONS,
            (Sort::Recommendation, _) => &schema::MACHINE_RECOMMENDATIONS,
            (Sort::Investigation, _) => &schema::INVESTIGATIONS,
            (Sort::MachineReference, _) => &schema::MACHINE_REFERENCES,
            (Sort::User, _) => &schema::USERS,
            (Sort::Kb, _) => &schema::KBS,
            (Sort::Distribution(_), _) => &schema::DISTRIBUTIONS,
        }
    }

    fn rows(&self, _: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, u32> {
        match &self.source {
            Source::All(service) => self.view.arranged(*service, arrangement),
            Source::Profiles(profiles) => {
                let profiles = *profiles;
                let machines = self.view.estate.machines.numbers(arrangement);
                Box::new(machines.filter(move |machine| profiles >> self.view.estate.profile_of(*machine) & 1 == 1))
            }
            Source::These(numbers) => {
                Box::new(arrangement.of_all(numbers.clone(), |number| mix(0, u64::from(*number))))
            }
        }
    }

    fn value(&self, row: &u32, field: &'static str) -> Value<'static> {
        // Windows over start times need not make up the rest.
        match (self.sort, field) {
            (Sort::Investigation, "startTime") => {
                self.view.estate.investigations[*row as usize].start.map_or(Value::Null, Value::Time)
            }
            (Sort::Machine, "lastSeen") => Value::Time(self.view.last_seen(*row)),
            _ => {
                let mut json = Vec::new();
                self.json(*row, &mut json);
                Value::in_json(&json, field, self.schema())
            }
        }
    }

    fn write(&self, row: &u32, _: bool, out: &mut Vec<u8>) {
        self.json(*row, out);
    }

    fn id(&self, row: &u32) -> String {
        let seed = self.view.estate.seed;
        match self.sort {
            Sort::Machine | Sort::MachineReference => names::machine_id(seed, *row),
            Sort::Software => product_id(*row),
            Sort::Vulnerability => cve(seed, *row),
            Sort::Recommendation => crate::estate::advice_id(self.view.estate.catalog.advice(*row)),
            Sort::Investigation => investigation_id(*row),
            Sort::Kb => row.to_string(),
            Sort::User | Sort::Distribution(_) => String::new(),
        }
    }

    fn served(&self, rows: &[u32], _: bool) -> Rows {
        match self.source {
            Source::All(service) => {
                Rows::Entities(service, rows.iter().map(|row| mark(self.id(row).as_bytes())).collect())
            }
            _ => Rows::Other(rows.len() as u64),
        }
    }
}
