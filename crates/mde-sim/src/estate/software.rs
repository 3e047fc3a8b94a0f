//! Products, their versions, and the updates that machines lack.

use super::View;
use super::catalog::{Catalog, Profiles, VERSIONS, members};
use super::fixture::PRODUCTS;
use crate::world::dice::mix;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A product in the API's order. Source: property table of the vendor's software page.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Software {
    id: String,
    pub(crate) name: String,
    vendor: String,
    weaknesses: u64,
    public_exploit: bool,
    active_alert: bool,
    exposed_machines: u64,
    impact_score: f64,
    /// Undocumented; some answers have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    installed_machines: Option<u64>,
    /// Undocumented; some answers have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_normalized: Option<bool>,
}

/// A version of a product and how often it is installed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Distribution {
    version: String,
    installations: u64,
    vulnerabilities: u64,
}

/// An update that is missing somewhere. Source: property table of the vendor's pages "Get missing KBs".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kb {
    id: String,
    name: String,
    products_names: Vec<Cow<'static, str>>,
    url: String,
    machine_missed_on: u64,
    cve_addressed: u64,
}

/// Products whose updates come together in one KB.
const KB_GROUP: u32 = 4;

/// Vendor and name of a product.
pub(crate) fn product_name(product: u32) -> (Cow<'static, str>, Cow<'static, str>) {
    match PRODUCTS.get(product as usize) {
        Some(known) => (known.vendor.as_str().into(), known.name.as_str().into()),
        None => {
            let vendor = ["microsoft", "contoso", "fabrikam_inc", "näkymä"][product as usize % 4];
            (vendor.into(), format!("product_{product}").into())
        }
    }
}

/// Id of a product.
pub(crate) fn product_id(product: u32) -> String {
    let (vendor, name) = product_name(product);
    format!("{vendor}-_-{name}")
}

/// A version as it is spelled; some products tell none.
pub(crate) fn version_text(product: u32, version: u32) -> String {
    match product % 13 {
        12 => String::new(),
        major => format!("{}.{version}.{}", 10 + major, 1_000 + mix(u64::from(product), u64::from(version)) % 9_000),
    }
}

/// The product with this id, if there were as many.
pub(super) fn product_number(id: &str) -> Option<u32> {
    let number = match PRODUCTS.iter().position(|known| known.id == id) {
        Some(place) => u32::try_from(place).ok()?,
        None => id.rsplit_once("product_")?.1.parse().ok()?,
    };
    (product_id(number) == id).then_some(number)
}

/// The update that fixes a vulnerability of a product from this version on. Only one vendor numbers its updates.
pub(crate) fn kb(product: u32, fixed_in: usize) -> Option<u32> {
    let numbered = fixed_in < VERSIONS && product_name(product).0 == "microsoft";
    numbered.then(|| 5_000_000 + product / KB_GROUP * 8 + fixed_in as u32)
}

impl Catalog {
    /// The updates that a profile lacks.
    pub(crate) fn missing_kbs_on(&self, profile: u32) -> BTreeSet<u32> {
        let exposures = self.exposures(profile).iter();
        exposures.filter_map(|found| kb(found.product, self.fixed_in(found.vulnerability, found.product))).collect()
    }

    /// The products whose updates an update brings.
    fn products_in(&self, kb: u32) -> impl Iterator<Item = u32> + use<> {
        let first = (kb - 5_000_000) / 8 * KB_GROUP;
        (first..(first + KB_GROUP).min(self.software.total())).filter(|product| product_name(*product).0 == "microsoft")
    }
}

impl View {
    /// A product as the list gives it.
    pub(crate) fn software(&self, product: u32) -> Software {
        let (estate, catalog) = (&*self.estate, &*self.estate.catalog);
        let (vendor, name) = product_name(product);
        let draw =
            mix(estate.seed ^ 0x31, u64::from(product) << 12 | u64::from(catalog.software.changed(product).times));
        let shown = estate.plan.undocumented;
        Software {
            id: product_id(product),
            name: name.into_owned(),
            vendor: vendor.into_owned(),
            weaknesses: self.discovered(product).count() as u64,
            public_exploit: draw.is_multiple_of(3),
            active_alert: (draw >> 8).is_multiple_of(9),
            exposed_machines: estate.count(catalog.exposed_by(product)),
            impact_score: ((draw >> 16) % 5_000) as f64 / 1_000.0,
            installed_machines: shown.then(|| estate.count(catalog.installed(product))),
            is_normalized: shown.then(|| catalog.has_cpe(product)),
        }
    }

    /// The product with this id.
    pub(crate) fn find_software(&self, id: &str) -> Option<u32> {
        product_number(id).filter(|product| self.estate.catalog.software.has(*product))
    }

    /// The vulnerabilities of a product that a machine is exposed to.
    pub(crate) fn discovered(&self, product: u32) -> impl Iterator<Item = u32> + Send + use<'_> {
        let catalog = &*self.estate.catalog;
        let occupied = self.estate.occupied();
        let found = catalog.vulnerabilities_of(product);
        found.filter(move |found| catalog.exposed_in(*found, product) & occupied != 0)
    }

    /// The versions of a product that are installed somewhere.
    pub(crate) fn versions(&self, product: u32) -> Vec<u32> {
        let installations = |version: &u32| self.estate.count(self.estate.catalog.installed_as(product, *version));
        (0..VERSIONS as u32).filter(|version| installations(version) > 0).collect()
    }

    /// A version of a product.
    pub(crate) fn distribution(&self, product: u32, version: u32) -> Distribution {
        let catalog = &*self.estate.catalog;
        let open = |found: &u32| (version as usize) < catalog.fixed_in(*found, product);
        Distribution {
            version: version_text(product, version),
            installations: self.estate.count(catalog.installed_as(product, version)),
            vulnerabilities: catalog.vulnerabilities_of(product).filter(open).count() as u64,
        }
    }

    /// The updates of a product that a machine lacks.
    pub(crate) fn missing_kbs_of(&self, product: u32) -> BTreeSet<u32> {
        let catalog = &*self.estate.catalog;
        self.discovered(product).filter_map(|found| kb(product, catalog.fixed_in(found, product))).collect()
    }

    /// An update.
    pub(crate) fn kb(&self, number: u32) -> Kb {
        let catalog = &*self.estate.catalog;
        let mut profiles: Profiles = 0;
        let mut addressed = BTreeSet::new();
        let mut products = Vec::new();
        for product in catalog.products_in(number) {
            let before = addressed.len();
            for found in catalog.vulnerabilities_of(product) {
                if kb(product, catalog.fixed_in(found, product)) == Some(number) {
                    profiles |= catalog.exposed_in(found, product);
                    addressed.insert(found);
                }
            }
            products.extend((addressed.len() > before).then(|| product_name(product).1));
        }
        Kb {
            id: number.to_string(),
            name: format!("{} 2026 Security Updates", MONTHS[number as usize % MONTHS.len()]),
            products_names: products,
            url: format!("https://catalog.update.microsoft.com/v7/site/Search.aspx?q=KB{number}"),
            machine_missed_on: self.estate.count(profiles),
            cve_addressed: addressed.len() as u64,
        }
    }
}

impl super::Estate {
    /// The profiles that have a machine.
    pub(crate) fn occupied(&self) -> Profiles {
        members(Profiles::MAX).filter(|profile| self.count(1 << profile) > 0).fold(0, |all, profile| all | 1 << profile)
    }
}

/// Months in which updates came out.
const MONTHS: [&str; 8] = ["March", "April", "May", "June", "July", "August", "September", "October"];
