//! `simulate`: a tenant to try things on.

use super::signals::Signals;
use super::{DONE, PARTLY, give, say};
use clap::{Args, ValueEnum};
use mde_sim::{Retirement, Service, Sim, SimConfig};
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
    /// From this time on the classic API is retired; Microsoft Graph goes on.
    #[arg(long, value_name = "TIME")]
    retire_at: Option<jiff::Timestamp>,
    /// How the end of the classic API looks: status 410, a connection that is reset, or both in turn.
    #[arg(long, value_enum, default_value_t = RetireAs::Gone, requires = "retire_at", value_name = "HOW")]
    retire_as: RetireAs,
}

/// How the end of the classic API looks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RetireAs {
    /// Status 410.
    Gone,
    /// The connection is reset.
    Reset,
    /// Both in turn.
    InTurn,
}

impl From<RetireAs> for Retirement {
    fn from(how: RetireAs) -> Self {
        match how {
            RetireAs::Gone => Self::Gone,
            RetireAs::Reset => Self::Reset,
            RetireAs::InTurn => Self::InTurn,
        }
    }
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
        if let Some(at) = self.retire_at {
            sim.scenario().retire_classic(at, self.retire_as.into());
        }
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
