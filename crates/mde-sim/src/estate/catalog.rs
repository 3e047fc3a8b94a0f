//! Which software is where, and what is wrong with it. Machines of one profile are alike, so that every count is a sum over profiles.
//!
//! A profile is an image (a line of `fixtures/machines.ndjson`) at one of three patch levels. A product is installed on some images;
//! the level decides its version. A vulnerability affects one or two products below the version that fixes it.

use super::fixture::{IMAGES, PRODUCTS};
use super::roster::Roster;
use crate::world::dice::mix;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// Versions of a product, from 0 (oldest) on.
pub(crate) const VERSIONS: usize = 4;
/// Patch levels of an image: 0 is up to date.
pub(crate) const LEVELS: u32 = 3;

/// A set of profiles: one bit each.
pub(crate) type Profiles = u64;

/// What the catalogue is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CatalogPlan {
    /// Everything made up follows from it.
    pub(crate) seed: u64,
    /// Products.
    pub(crate) software: usize,
    /// Products on one machine, on average.
    pub(crate) installed: usize,
    /// Products that have no CPE. They are the last ones.
    pub(crate) without_cpe: usize,
    /// Vulnerabilities.
    pub(crate) vulnerabilities: usize,
    /// Recommendations.
    pub(crate) recommendations: usize,
}

/// Products, vulnerabilities and recommendations.
#[derive(Clone)]
pub(crate) struct Catalog {
    /// What it is made from.
    plan: CatalogPlan,
    /// Products.
    pub(crate) software: Roster,
    /// Vulnerabilities.
    pub(crate) vulnerabilities: Roster,
    /// Recommendations.
    pub(crate) recommendations: Roster,
    /// Products that vulnerabilities are dealt to in turn: the first ones.
    vulnerable: u32,
    /// Recommendations that are updates of products: the first ones, each of the product with its number.
    updates: u32,
    /// For each product and version the profiles that have it.
    installed: Vec<[Profiles; VERSIONS]>,
    /// What each profile is exposed to, found when it is first asked for.
    exposures: Exposures,
}

/// Something wrong on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// The product.
    pub(crate) product: u32,
    /// Its version.
    pub(crate) version: u32,
    /// What is wrong with it.
    pub(crate) vulnerability: u32,
}

/// Exposures by profile.
struct Exposures(Vec<OnceLock<Vec<Exposure>>>);

impl Exposures {
    /// Nothing is known yet.
    fn unknown() -> Self {
        Self((0..profile_count()).map(|_| OnceLock::new()).collect())
    }
}

impl Clone for Exposures {
    /// A copy of a catalogue is made to be changed: what was found does not hold for it.
    fn clone(&self) -> Self {
        Self::unknown()
    }
}

/// What a recommendation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Update this product.
    Update(u32),
    /// Change this setting.
    Configure(u32),
}

/// What a setting is on a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compliance {
    /// Whether it has a meaning there.
    pub(crate) applicable: bool,
    /// Whether it is as it should be.
    pub(crate) compliant: bool,
}

/// Streams of chance; each is a seed of its own.
mod stream {
    pub(super) const IMAGE: u64 = 0x11;
    pub(super) const LEVEL: u64 = 0x12;
    pub(super) const INSTALLED: u64 = 0x13;
    pub(super) const VERSION: u64 = 0x14;
    pub(super) const SPANS: u64 = 0x15;
    pub(super) const FIXED: u64 = 0x16;
    pub(super) const SETTING: u64 = 0x17;
}

/// Profiles that there are.
pub(crate) fn profile_count() -> u32 {
    let count = IMAGES.len() as u32 * LEVELS;
    assert!(count <= Profiles::BITS, "a set of profiles has 64 bits");
    count
}

/// The image and the level of a profile.
pub(crate) fn parts(profile: u32) -> (usize, u32) {
    ((profile / LEVELS) as usize, profile % LEVELS)
}

/// The profiles of a set.
pub(crate) fn members(profiles: Profiles) -> impl Iterator<Item = u32> {
    (0..Profiles::BITS).filter(move |profile| profiles >> profile & 1 == 1)
}

/// The profile of a machine as it was first seen.
pub(crate) fn first_profile(seed: u64, machine: u32) -> u32 {
    let draw = |stream| mix(seed ^ stream, u64::from(machine));
    let image = draw(stream::IMAGE) % IMAGES.len() as u64;
    let level = [0, 0, 0, 0, 1, 1, 1, 2][(draw(stream::LEVEL) % 8) as usize];
    image as u32 * LEVELS + level
}

impl Catalog {
    /// Makes everything that does not depend on machines.
    pub(crate) fn new(plan: CatalogPlan) -> Self {
        let software = Roster::new(plan.software);
        let with_cpe = plan.software.saturating_sub(plan.without_cpe) as u32;
        // A quarter of the products has nothing wrong with it.
        let vulnerable = with_cpe - with_cpe / 4;
        let updates = vulnerable.min((plan.recommendations - plan.recommendations / 5) as u32);
        let installed = (0..software.total()).map(|product| installed(&plan, product)).collect();
        Self {
            software,
            vulnerabilities: Roster::new(plan.vulnerabilities),
            recommendations: Roster::new(plan.recommendations),
            vulnerable,
            updates,
            installed,
            exposures: Exposures::unknown(),
            plan,
        }
    }

    /// Adds products; they are installed like the others and nothing is wrong with them.
    pub(crate) fn add_software(&mut self, count: u32, at: crate::ticks::Ticks) -> u32 {
        let first = self.software.add(count, at);
        self.installed.extend((first..first + count).map(|product| installed(&self.plan, product)));
        first
    }

    /// Whether a product is known by a CPE. Only those are in inventories and have vulnerabilities.
    pub(crate) fn has_cpe(&self, product: u32) -> bool {
        let known = self.plan.software.saturating_sub(self.plan.without_cpe) as u32;
        product < known || product >= self.plan.software as u32
    }

    /// The profiles that have a product in one of these versions.
    fn with_versions(&self, product: u32, below: usize) -> Profiles {
        if !self.software.has(product) {
            return 0;
        }
        self.installed[product as usize][..below].iter().fold(0, |all, profiles| all | profiles)
    }

    /// The profiles that have a product.
    pub(crate) fn installed(&self, product: u32) -> Profiles {
        self.with_versions(product, VERSIONS)
    }

    /// The profiles that have a product in this version.
    pub(crate) fn installed_as(&self, product: u32, version: u32) -> Profiles {
        if self.software.has(product) { self.installed[product as usize][version as usize] } else { 0 }
    }

    /// The version of a product on a profile.
    pub(crate) fn version_on(&self, product: u32, profile: u32) -> Option<u32> {
        (0..VERSIONS as u32).find(|version| self.installed_as(product, *version) >> profile & 1 == 1)
    }

    /// The products on a profile, with their versions.
    pub(crate) fn software_on(&self, profile: u32) -> impl Iterator<Item = (u32, u32)> + Send + use<'_> {
        (0..self.software.total()).filter_map(move |product| Some((product, self.version_on(product, profile)?)))
    }

    /// The products that a vulnerability is in: one, or two.
    pub(crate) fn products_of(&self, vulnerability: u32) -> impl Iterator<Item = u32> + use<> {
        let first = vulnerability.checked_rem(self.vulnerable);
        let second = first
            .filter(|_| self.vulnerable > 1 && self.spans(vulnerability))
            .map(|first| (first + 1) % self.vulnerable);
        first.into_iter().chain(second)
    }

    /// The vulnerabilities of a product, whether or not a machine is exposed.
    pub(crate) fn vulnerabilities_of(&self, product: u32) -> impl Iterator<Item = u32> + Send + use<'_> {
        let step = self.vulnerable.max(1) as usize;
        let end = if product < self.vulnerable { self.vulnerabilities.total() } else { 0 };
        let before = (product + self.vulnerable).saturating_sub(1).checked_rem(self.vulnerable).unwrap_or_default();
        let second = (before..end).step_by(step).filter(|found| self.vulnerable > 1 && self.spans(*found));
        (product..end).step_by(step).chain(second).filter(|found| self.vulnerabilities.has(*found))
    }

    /// Whether a vulnerability is in a second product.
    fn spans(&self, vulnerability: u32) -> bool {
        mix(self.plan.seed ^ stream::SPANS, u64::from(vulnerability)).is_multiple_of(5)
    }

    /// The first version of a product without this vulnerability; [`VERSIONS`]: none yet.
    pub(crate) fn fixed_in(&self, vulnerability: u32, product: u32) -> usize {
        match mix(self.plan.seed ^ stream::FIXED, u64::from(vulnerability) << 32 | u64::from(product)) % 100 {
            0..40 => 1,
            40..70 => 2,
            70..94 => 3,
            _ => VERSIONS,
        }
    }

    /// The profiles on which a product has this vulnerability.
    pub(crate) fn exposed_in(&self, vulnerability: u32, product: u32) -> Profiles {
        if !self.vulnerabilities.has(vulnerability) {
            return 0;
        }
        self.with_versions(product, self.fixed_in(vulnerability, product))
    }

    /// The profiles exposed to a vulnerability.
    pub(crate) fn exposed_to(&self, vulnerability: u32) -> Profiles {
        self.products_of(vulnerability).fold(0, |all, product| all | self.exposed_in(vulnerability, product))
    }

    /// The profiles on which anything is wrong with a product.
    pub(crate) fn exposed_by(&self, product: u32) -> Profiles {
        self.vulnerabilities_of(product).fold(0, |all, found| all | self.exposed_in(found, product))
    }

    /// Everything wrong on a profile, product by product.
    pub(crate) fn exposures(&self, profile: u32) -> &[Exposure] {
        self.exposures.0[profile as usize].get_or_init(|| {
            let of_product = |(product, version): (u32, u32)| {
                let found = self.vulnerabilities_of(product);
                found
                    .filter(move |found| (version as usize) < self.fixed_in(*found, product))
                    .map(move |vulnerability| Exposure { product, version, vulnerability })
            };
            self.software_on(profile).flat_map(of_product).collect()
        })
    }

    /// The different vulnerabilities on a profile: one can be there by two products.
    pub(crate) fn vulnerabilities_on(&self, profile: u32) -> BTreeSet<u32> {
        self.exposures(profile).iter().map(|exposure| exposure.vulnerability).collect()
    }

    /// What a recommendation asks for.
    pub(crate) fn advice(&self, recommendation: u32) -> Advice {
        match recommendation.checked_sub(self.updates) {
            None => Advice::Update(recommendation),
            Some(setting) => Advice::Configure(setting),
        }
    }

    /// The recommendation that asks for this.
    pub(crate) fn recommendation(&self, advice: Advice) -> Option<u32> {
        let number = match advice {
            Advice::Update(product) => Some(product).filter(|product| *product < self.updates)?,
            Advice::Configure(setting) => self.updates.checked_add(setting)?,
        };
        self.recommendations.has(number).then_some(number)
    }

    /// Settings that are assessed: those for which there is a recommendation.
    pub(crate) fn settings(&self) -> impl Iterator<Item = u32> + Send + use<'_> {
        let numbers = self.updates..self.recommendations.total();
        numbers.filter(|number| self.recommendations.has(*number)).map(|number| number - self.updates)
    }

    /// How a setting is on a profile. One in seven is right everywhere.
    pub(crate) fn compliance(&self, setting: u32, profile: u32) -> Compliance {
        let draw = mix(self.plan.seed ^ stream::SETTING, u64::from(setting) << 32 | u64::from(profile));
        let applicable = !draw.is_multiple_of(4);
        Compliance { applicable, compliant: applicable && (setting % 7 == 6 || (draw >> 8) % 3 > 0) }
    }

    /// The profiles to which a piece of advice has something to say, whether or not they follow it.
    pub(crate) fn concerned(&self, advice: Advice) -> Profiles {
        match advice {
            Advice::Update(product) => self.installed(product),
            Advice::Configure(setting) => self.profiles_where(setting, |found| found.applicable),
        }
    }

    /// The profiles that should follow a piece of advice.
    pub(crate) fn exposed_without(&self, advice: Advice) -> Profiles {
        match advice {
            Advice::Update(product) => self.exposed_by(product),
            Advice::Configure(setting) => self.profiles_where(setting, |found| found.applicable && !found.compliant),
        }
    }

    /// The profiles on which a setting is so.
    fn profiles_where(&self, setting: u32, so: impl Fn(Compliance) -> bool) -> Profiles {
        let profiles = (0..profile_count()).filter(|profile| so(self.compliance(setting, *profile)));
        profiles.fold(0, |all, profile| all | 1 << profile)
    }
}

/// The profiles that have each version of a product.
fn installed(plan: &CatalogPlan, product: u32) -> [Profiles; VERSIONS] {
    let mut versions = [0; VERSIONS];
    for profile in 0..profile_count() {
        let (image, level) = parts(profile);
        if is_on(plan, product, image) {
            versions[version(plan, product, level)] |= 1 << profile;
        }
    }
    versions
}

/// Whether a product is on an image. Operating systems are where their name says; the others where chance wants them.
fn is_on(plan: &CatalogPlan, product: u32, image: usize) -> bool {
    let platform = |platform: &str| platform.to_ascii_lowercase();
    let plain = |name: &str| name.replace('_', "");
    if let Some(known) = PRODUCTS.get(product as usize)
        && IMAGES.iter().any(|image| platform(&image.os_platform) == plain(&known.name))
    {
        return platform(&IMAGES[image].os_platform) == plain(&known.name);
    }
    let draw = mix(plan.seed ^ stream::INSTALLED, u64::from(product) << 8 | image as u64);
    draw % (plan.software.max(1) as u64) < plan.installed as u64
}

/// The version of a product at a patch level. One product in thirteen does not tell its version: all are one.
fn version(plan: &CatalogPlan, product: u32, level: u32) -> usize {
    let draw = mix(plan.seed ^ stream::VERSION, u64::from(product) << 8 | u64::from(level));
    match (product % 13, level) {
        (12, _) => 0,
        (_, 0) => [3, 3, 3, 2][(draw % 4) as usize],
        (_, 1) => [2, 1][(draw % 2) as usize],
        _ => [0, 0, 1][(draw % 3) as usize],
    }
}
