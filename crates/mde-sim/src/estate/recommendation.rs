//! Recommendations: updates of products, and settings.

use super::View;
use super::catalog::Advice;
use super::fixture::RECOMMENDATIONS;
use super::software::{product_id, product_name, product_number};
use crate::world::dice::mix;
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// A recommendation in the API's order. Source: property table and examples of the vendor's recommendation pages.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recommendation {
    id: String,
    product_name: String,
    pub(crate) recommendation_name: String,
    weaknesses: u64,
    vendor: String,
    recommended_version: String,
    recommended_program: Option<String>,
    recommended_vendor: Option<String>,
    pub(crate) recommendation_category: String,
    pub(crate) sub_category: String,
    severity_score: Number,
    public_exploit: bool,
    active_alert: bool,
    associated_threats: Vec<String>,
    remediation_type: String,
    status: String,
    pub(crate) config_score_impact: Number,
    exposure_impact: Number,
    total_machine_count: u64,
    exposed_machines_count: u64,
    non_productivity_impacted_assets: u64,
    related_component: String,
    tags: Vec<String>,
    exposed_critical_devices: u64,
}

/// Id of a setting.
pub(crate) fn setting_id(setting: u32) -> String {
    format!("scid-{}", 2_000 + setting)
}

/// Id of a recommendation.
pub(crate) fn advice_id(advice: Advice) -> String {
    match advice {
        Advice::Update(product) => format!("va-_-{}", product_id(product)),
        Advice::Configure(setting) => format!("sca-_-{}", setting_id(setting)),
    }
}

/// The fixture that a piece of advice takes after: the updates come first in the file.
pub(crate) fn sort(advice: Advice) -> &'static Recommendation {
    let updates = RECOMMENDATIONS.iter().take_while(|known| known.id.starts_with("va-")).count();
    let (sorts, number) = match advice {
        Advice::Update(product) => (&RECOMMENDATIONS[..updates], product),
        Advice::Configure(setting) => (&RECOMMENDATIONS[updates..], setting),
    };
    &sorts[number as usize % sorts.len()]
}

impl View {
    /// A recommendation as the list gives it.
    pub(crate) fn recommendation(&self, number: u32) -> Recommendation {
        let (estate, catalog) = (&*self.estate, &*self.estate.catalog);
        let advice = catalog.advice(number);
        let changed = catalog.recommendations.changed(number).times;
        let draw = mix(estate.seed ^ 0x51, u64::from(number) << 12 | u64::from(changed));
        let mut recommendation = sort(advice).clone();
        recommendation.id = advice_id(advice);
        recommendation.weaknesses = 0;
        if let Advice::Update(product) = advice {
            let (vendor, name) = product_name(product);
            recommendation.weaknesses = self.discovered(product).count() as u64;
            recommendation.recommendation_name = format!("Update {name}");
            recommendation.related_component = name.to_string();
            (recommendation.vendor, recommendation.product_name) = (vendor.into_owned(), name.into_owned());
        }
        recommendation.public_exploit = draw.is_multiple_of(4);
        recommendation.active_alert = (draw >> 4).is_multiple_of(11);
        recommendation.exposure_impact =
            Number::from_f64(((draw >> 16) % 10_000) as f64 / 1_000.0).expect("a finite number");
        recommendation.status = if (draw >> 40).is_multiple_of(12) { "Exception" } else { "Active" }.to_owned();
        recommendation.total_machine_count = estate.count(catalog.concerned(advice));
        recommendation.exposed_machines_count = estate.count(catalog.exposed_without(advice));
        recommendation
    }

    /// The recommendation with this id.
    pub(crate) fn find_recommendation(&self, id: &str) -> Option<u32> {
        let advice = match id.strip_prefix("va-_-") {
            Some(product) => Advice::Update(product_number(product)?),
            None => Advice::Configure(id.strip_prefix("sca-_-scid-")?.parse::<u32>().ok()?.checked_sub(2_000)?),
        };
        self.estate.catalog.recommendation(advice).filter(|_| advice_id(advice) == id)
    }

    /// The recommendations for a machine of this profile.
    pub(crate) fn recommendations_on(&self, profile: u32) -> Vec<u32> {
        let catalog = &*self.estate.catalog;
        let numbers = (0..catalog.recommendations.total()).filter(|number| catalog.recommendations.has(*number));
        numbers.filter(|number| catalog.exposed_without(catalog.advice(*number)) >> profile & 1 == 1).collect()
    }
}
