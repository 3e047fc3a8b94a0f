//! Assessment exports: the rows of all machines in large pages of JSON, or as files behind links that expire.
//!
//! Both show the tenant as it was when exports were built last. A page or a file is a stretch of segments (machines, or changes
//! of machines); its rows are written while it is sent.

pub(crate) mod files;
mod json;
mod row;

pub(crate) use json::answer;

use crate::estate::{View, profile_count};
use crate::sim::Core;
use crate::ticks::Ticks;
use crate::world::names;
use row::{Device, Line, Stamp};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// Machine × software × vulnerability.
    Vulnerabilities,
    /// What came and went of those.
    VulnerabilityChanges,
    /// Machine × software with a CPE.
    Inventory,
    /// Machine × software without one.
    InventoryWithoutCpe,
    /// Machine × setting.
    Configurations,
}

impl Export {
    /// Type of its rows in `@odata.context`.
    fn context(self) -> &'static str {
        match self {
            Self::Vulnerabilities => "AssetVulnerability",
            Self::VulnerabilityChanges => "DeltaAssetVulnerability",
            Self::Inventory => "AssetSoftware",
            Self::InventoryWithoutCpe => "AssetNonCpeSoftware",
            Self::Configurations => "AssetConfiguration",
        }
    }

    /// The rows of a machine with this profile, without what is the machine's own.
    fn lines(self, view: &View, profile: u32) -> Vec<Line> {
        let catalog = &view.estate.catalog;
        let software = |with_cpe: bool| {
            let found = catalog.software_on(profile).filter(move |(product, _)| catalog.has_cpe(*product) == with_cpe);
            found.map(|(product, version)| Line::Product { product, version })
        };
        match self {
            Self::Inventory => software(true).collect(),
            Self::InventoryWithoutCpe => software(false).collect(),
            Self::Configurations => catalog
                .settings()
                .map(|setting| Line::Setting { setting, compliance: catalog.compliance(setting, profile) })
                .collect(),
            Self::VulnerabilityChanges => catalog.exposures(profile).iter().map(Line::of).collect(),
            Self::Vulnerabilities => {
                let exposures = catalog.exposures(profile);
                let mut lines: Vec<_> = exposures.iter().map(Line::of).collect();
                // Products with nothing known to be wrong have a row without a CVE.
                let sound = catalog.software_on(profile).filter(|(product, _)| {
                    catalog.has_cpe(*product) && !exposures.iter().any(|found| found.product == *product)
                });
                lines.extend(sound.map(|(product, version)| Line::Weakness { product, version, vulnerability: None }));
                lines
            }
        }
    }
}

/// A place in an export: a segment, and rows of it that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The segment.
    segment: u32,
    /// Rows of it before this place.
    given: usize,
}

/// The rows of an export.
#[derive(Clone)]
struct Rows {
    /// The tenant as it was when exports were built.
    view: View,
    /// What is exported.
    export: Export,
    /// The rows of a machine of each profile: as many as the catalogue needs, however many machines there are.
    lines: Arc<Vec<Vec<Line>>>,
    /// The segments of an export of changes; others have one for each machine.
    changes: Option<Arc<Vec<Change>>>,
}

/// Rows that came or went together.
struct Change {
    /// The machine.
    machine: u32,
    /// What and when.
    stamp: Stamp,
    /// The rows.
    lines: Vec<Line>,
}

impl Rows {
    /// All rows of an export; of changes those since then.
    fn new(view: View, export: Export, since: Option<Ticks>) -> Self {
        let lines = Arc::new((0..profile_count()).map(|profile| export.lines(&view, profile)).collect::<Vec<_>>());
        let changes = since.map(|since| Arc::new(changes(&view, &lines, since)));
        Self { view, export, lines, changes }
    }

    /// Segments that there are.
    fn segments(&self) -> u32 {
        match &self.changes {
            Some(changes) => changes.len() as u32,
            None => self.view.estate.machines.total(),
        }
    }

    /// The machine of a segment and its rows; none where a machine has left.
    fn segment(&self, number: u32) -> Option<(u32, &[Line], Option<Stamp>)> {
        match &self.changes {
            Some(changes) => {
                changes.get(number as usize).map(|change| (change.machine, &change.lines[..], Some(change.stamp)))
            }
            None if self.view.estate.machines.has(number) => {
                Some((number, &self.lines[self.view.estate.profile_of(number) as usize][..], None))
            }
            None => None,
        }
    }

    /// The place so many rows behind another; none when there are not so many and one more.
    fn behind(&self, from: Place, mut rows: usize) -> Option<Place> {
        for segment in from.segment..self.segments() {
            let given = if segment == from.segment { from.given } else { 0 };
            let there = self.segment(segment).map_or(0, |(_, lines, _)| lines.len()).saturating_sub(given);
            if rows < there {
                return Some(Place { segment, given: given + rows });
            }
            rows -= there;
        }
        None
    }

    /// Writes up to so many rows from a place on and before another, each by `write`; gives the place behind the last one.
    fn write(&self, from: Place, to: Place, rows: usize, mut write: impl FnMut(&row::Row<'_>)) -> Place {
        let mut left = rows;
        let mut place = from;
        while left > 0 && place != to && place.segment < self.segments() {
            if let Some((machine, lines, stamp)) = self.segment(place.segment) {
                let end = if place.segment == to.segment { to.given } else { lines.len() };
                let part = &lines[place.given.min(end)..end.min(place.given + left)];
                let device = Device::of(&self.view, machine);
                for line in part {
                    write(&row::Row { view: &self.view, export: self.export, device: &device, line: *line, stamp });
                }
                left -= part.len();
                place.given += part.len();
                if place.given < end {
                    break;
                }
            }
            if place.segment == to.segment {
                return to;
            }
            place = Place { segment: place.segment + 1, given: 0 };
        }
        place
    }

    /// The place behind everything.
    fn end(&self) -> Place {
        Place { segment: self.segments(), given: 0 }
    }
}

/// What came and went since then, in the order of machines that came, left, and were brought up to date.
fn changes(view: &View, lines: &[Vec<Line>], since: Ticks) -> Vec<Change> {
    let estate = &*view.estate;
    let all = |machine: u32, word, at| Change {
        machine,
        stamp: Stamp { word, at },
        lines: lines[estate.profile_of(machine) as usize].clone(),
    };
    let came = estate.machines.came_since(since).map(|(machine, at)| all(machine, "New", at));
    let left = estate.machines.left_since(since).map(|(machine, at)| all(machine, "Fixed", at));
    let mended = estate.patched_since(since).flat_map(|(machine, at, before)| {
        let (before, after) = (&lines[before as usize], &lines[estate.profile_of(machine) as usize]);
        let only = |these: &[Line], others: &[Line]| -> Vec<Line> {
            these.iter().filter(|line| !others.contains(line)).copied().collect()
        };
        [
            Change { machine, stamp: Stamp { word: "Fixed", at }, lines: only(before, after) },
            Change { machine, stamp: Stamp { word: "New", at }, lines: only(after, before) },
        ]
    });
    came.chain(left).chain(mended).collect()
}

/// Builds that pages and files under way still refer to.
#[derive(Default)]
pub(crate) struct Builds(Mutex<VecDeque<(u64, View)>>);

/// Builds that are kept: whoever reads one does not lose it to the next one.
const KEPT_BUILDS: usize = 4;

impl Builds {
    /// The newest build and its number.
    fn newest(&self, core: &Core) -> (u64, View) {
        let built = core.world.keeper().built();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.back() {
            Some((number, last)) if last.now == built.now && Arc::ptr_eq(&last.estate, &built.estate) => {
                (*number, built)
            }
            last => {
                let number = last.map_or(1, |(number, _)| number + 1);
                kept.push_back((number, built.clone()));
                if kept.len() > KEPT_BUILDS {
                    kept.pop_front();
                }
                (number, built)
            }
        }
    }

    /// The build with this number, while it is kept.
    fn find(&self, number: u64) -> Option<View> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| *known == number).map(|(_, view)| view.clone())
    }
}

/// The id of a machine in a build.
fn machine_id(view: &View, machine: u32) -> String {
    names::machine_id(view.estate.seed, machine)
}
