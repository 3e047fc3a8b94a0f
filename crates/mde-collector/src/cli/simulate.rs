//! `simulate`: a tenant to try things on.

use super::signals::Signals;
use super::{DONE, PARTLY, give, say};
use clap::Args;
use mde_sim::{Service, Sim, SimConfig};
use std::net::SocketAddr;

/// A tenant to try things on, without Microsoft.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mde-collector simulate\n  mde-collector simulate --listen 127.0.0.1:8080 --machines 5000 --seed 7 > inputs.yaml"
)]
pub struct Simulate {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: SocketAddr,
    /// Alerts that exist at the start.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    alerts: usize,
    /// Machines that exist at the start; software, vulnerabilities and recommendations follow from them.
    #[arg(long, default_value_t = 200, value_name = "N")]
    machines: usize,
    /// The same seed gives the same tenant.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Simulate {
    /// Serves until interrupted.
    pub async fn run(self) -> u8 {
        let mut config = SimConfig { seed: self.seed, listen: self.listen, ..SimConfig::default() };
        (config.alerts.count, config.machines.count) = (self.alerts, self.machines);
        config.services = Service::ALL.to_vec();
        let sim = match Sim::start(config).await {
            Ok(sim) => sim,
            Err(error) => {
                say(format_args!("failed to listen on {}: {error}", self.listen));
                return PARTLY;
            }
        };
        let Ok(mut signals) = Signals::new() else { return PARTLY };
        give(sim.inputs_yaml());
        say(format_args!("serving on {} until interrupted", sim.base_url()));
        say(
            "what stands on stdout is an inputs section: write it into config.yaml, add `outputs: {here: {type: console}}`, and in another terminal `mde-collector run --config config.yaml` pulls from here",
        );
        signals.next().await;
        DONE
    }
}
