//! `plan`: before anything runs, what a configuration will call and whether it fits.

use super::table::{Side, Table};
use super::{DONE, Format, PARTLY, Source, give, known_tenants, quotas, say};
use crate::config::Options;
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pipeline::plan::plan;
use crate::plan::{self, Row, Size, Sizes, path_of, told};
use clap::Args;
use std::sync::Arc;

/// Say how many calls a configuration makes, per service and enrichment, and what does not fit the quota.
#[derive(Debug, Args)]
#[command(
    after_help = "Sizes that are not given are asked for with one or two small calls each; with all of them given nobody is asked.\n\nExit codes: 0 planned, whether it fits or not; 1 the API cannot be asked; 2 the configuration is wrong.\n\nExamples:\n  mde-collector plan --config config.yaml\n  mde-collector plan --config config.yaml --machines 50000 --alerts-per-day 2000\n  mde-collector plan --config config.yaml --format json"
)]
pub struct Plan {
    #[command(flatten)]
    source: Source,
    /// Only this input; may be given several times.
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,
    #[command(flatten)]
    sizes: Given,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Sizes that are known.
#[derive(Debug, Args)]
struct Given {
    /// Machines of the tenant.
    #[arg(long, value_name = "N")]
    machines: Option<u64>,
    /// Software products.
    #[arg(long, value_name = "N")]
    software: Option<u64>,
    /// Vulnerabilities that affect the tenant.
    #[arg(long, value_name = "N")]
    vulnerabilities: Option<u64>,
    /// Security recommendations.
    #[arg(long, value_name = "N")]
    recommendations: Option<u64>,
    /// Alerts that are new or change in a day.
    #[arg(long, value_name = "N")]
    alerts_per_day: Option<u64>,
    /// Automated investigations that begin in a day.
    #[arg(long, value_name = "N")]
    investigations_per_day: Option<u64>,
}

impl Given {
    /// By the lists that they are the sizes of.
    #[expect(clippy::cast_precision_loss, reason = "a number of alerts")]
    fn sizes(&self) -> Sizes {
        let mut sizes = Sizes::default();
        let whole = |rows: u64| Size { rows, per_day: 0.0 };
        let daily = |per_day: u64| Size::daily(per_day as f64);
        for (service, size) in [
            ("machines", self.machines.map(whole)),
            ("software", self.software.map(whole)),
            ("vulnerabilities", self.vulnerabilities.map(whole)),
            ("recommendations", self.recommendations.map(whole)),
            ("alerts", self.alerts_per_day.map(daily)),
            ("investigations", self.investigations_per_day.map(daily)),
        ] {
            if let (Some(path), Some(size)) = (path_of(service), size) {
                sizes.set(path, size);
            }
        }
        sizes
    }
}

impl Plan {
    /// Plans, and gives the exit code.
    pub async fn run(self) -> u8 {
        let loaded = match self.source.load_or_say(Options::default()) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let config = loaded.config;
        if let Err(told) = known_tenants(&config.inputs, &self.tenants) {
            return told;
        }
        let quotas = match quotas(&config, &config.globals.persistence).await {
            Ok(quotas) => quotas,
            Err(told) => return told,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        match plan(&config, &quotas, &self.tenants, &self.sizes.sizes(), &clock).await {
            Ok(plans) => {
                match self.format {
                    Format::Json => give(serde_json::to_string_pretty(&plans).expect("a plan is plain data")),
                    Format::Table => plans.iter().for_each(|plan| give(table(plan).trim_end())),
                }
                DONE
            }
            Err(error) => {
                say(format_args!("failed to {error}"));
                PARTLY
            }
        }
    }
}

/// The columns: words to the left, numbers to the right.
const COLUMNS: [(&str, Side); 9] = [
    ("service", Side::Left),
    ("had by", Side::Left),
    ("first calls", Side::Right),
    ("lasts", Side::Right),
    ("then calls", Side::Right),
    ("every", Side::Right),
    ("lasts", Side::Right),
    ("of minute", Side::Right),
    ("of hour", Side::Right),
];

/// One input's plan for a person.
fn table(plan: &plan::Plan) -> String {
    // As wide as it must be: a name that was cut could not be looked up in the configuration.
    let mut table = Table::new(&COLUMNS, usize::MAX);
    plan.rows.iter().for_each(|row| table.row(cells(row)));
    let mut text = format!("{}\n", plan.tenant);
    for line in table.text().lines() {
        text += &format!("  {line}\n");
    }
    text.push('\n');
    for row in plan.rows.iter().filter(|row| row.part.is_some() && !row.reason.is_empty()) {
        text += &format!("  {}: {}, {}\n", name(row), row.method, row.reason);
    }
    match &plan.conflict {
        Some(conflict) => text += &format!("\n  does not fit: {conflict}\n"),
        None => text += "\n  everything fits\n",
    }
    for advice in &plan.advice {
        text += &format!("  advice: {advice}\n");
    }
    text + "\n"
}

/// The cells of a row.
fn cells(row: &Row) -> [String; 9] {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    [
        name(row),
        row.method.to_owned(),
        row.first_calls.to_string(),
        told(row.first_s),
        row.calls.to_string(),
        told(row.period_s),
        told(row.duration_s),
        percent(row.minute_share),
        percent(row.hour_share),
    ]
}

/// A row's service and part.
fn name(row: &Row) -> String {
    row.part.as_ref().map_or_else(|| row.service.to_owned(), |part| format!("{} {part}", row.service))
}
