//! Machine × software × vulnerability, row by row.

use super::numbered::append;
use super::schema;
use crate::estate::{Exposure, View, cve, kb, product_name, version_text, vulnerability_sort};
use crate::ledger::Rows;
use crate::odata::{Arrangement, Collection, RowIter, Schema};
use crate::ticks::Ticks;
use crate::world::names;
use serde::Serialize;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// The list at one moment.
pub(crate) struct Exposures {
    /// The estate at that moment.
    view: View,
}

/// A row: a machine and something wrong on it.
pub(crate) type MachineExposure = (u32, Exposure);

/// A row in the API's order. Source: example on the vendor's page, and a public tool's recorded answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    cve_id: String,
    machine_id: String,
    fixing_kb_id: Option<String>,
    product_name: Cow<'static, str>,
    product_vendor: Cow<'static, str>,
    product_version: String,
    severity: &'static str,
}

impl Exposures {
    /// The list as the estate is.
    pub(crate) fn of(view: View) -> Self {
        Self { view }
    }

    /// A row's parts.
    fn row(&self, (machine, exposure): MachineExposure) -> Row {
        let Exposure { product, version, vulnerability } = exposure;
        let (seed, catalog) = (self.view.estate.seed, &self.view.estate.catalog);
        let machine_id = names::machine_id(seed, machine);
        let cve_id = cve(seed, vulnerability);
        let (vendor, name) = product_name(product);
        let version = version_text(product, version);
        let kb = kb(product, catalog.fixed_in(vulnerability, product)).map(|kb| kb.to_string());
        Row {
            id: format!("{machine_id}-_-{cve_id}-_-{vendor}-_-{name}-_-{version}-_-{}", kb.as_deref().unwrap_or("")),
            cve_id,
            machine_id,
            fixing_kb_id: kb,
            product_name: name,
            product_vendor: vendor,
            product_version: version,
            severity: &vulnerability_sort(vulnerability).severity,
        }
    }
}

/// Rows of machines one by one. It jumps over whole machines, so that a page far behind costs no more than their number.
pub(crate) struct ByMachine<'a, M> {
    /// The estate.
    view: &'a View,
    /// Machines to come.
    machines: M,
    /// The machine whose rows are given, and how many of them were.
    current: Option<(u32, usize)>,
}

impl View {
    /// What is wrong on these machines.
    pub(crate) fn exposures<M: Iterator<Item = u32>>(&self, machines: M) -> ByMachine<'_, M> {
        ByMachine { view: self, machines, current: None }
    }

    /// What is wrong on one machine.
    fn exposures_on(&self, machine: u32) -> &[Exposure] {
        self.estate.catalog.exposures(self.estate.profile_of(machine))
    }
}

impl<M: Iterator<Item = u32>> Iterator for ByMachine<'_, M> {
    type Item = MachineExposure;

    fn next(&mut self) -> Option<MachineExposure> {
        self.nth(0)
    }

    fn nth(&mut self, mut skipped: usize) -> Option<MachineExposure> {
        loop {
            let (machine, given) = match self.current.take() {
                Some(current) => current,
                None => (self.machines.next()?, 0),
            };
            let rows = self.view.exposures_on(machine);
            match rows.get(given.saturating_add(skipped)) {
                Some(exposure) => {
                    self.current = Some((machine, given + skipped + 1));
                    return Some((machine, *exposure));
                }
                None => skipped -= rows.len() - given,
            }
        }
    }
}

impl Collection for Exposures {
    type Row = MachineExposure;

    fn schema(&self) -> &'static Schema {
        &schema::MACHINES_VULNERABILITIES
    }

    fn rows(&self, _: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, MachineExposure> {
        Box::new(self.view.exposures(self.view.estate.machines.numbers(arrangement)))
    }

    fn write(&self, row: &MachineExposure, _: bool, out: &mut Vec<u8>) {
        append(&self.row(*row), out);
    }

    fn id(&self, row: &MachineExposure) -> String {
        self.row(*row).id
    }

    fn served(&self, rows: &[MachineExposure], _: bool) -> Rows {
        Rows::Other(rows.len() as u64)
    }
}
