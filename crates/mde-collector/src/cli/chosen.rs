//! `--service` and `--tenant`: a part of what the configuration names.

use super::{Format, Source, USAGE, say};
use crate::config::Config;
use crate::service;
use clap::Args;

/// A part of what the configuration names; everything where none is given.
#[derive(Debug, Clone, Default, Args)]
pub struct Chosen {
    /// Only this service; may be given several times.
    #[arg(long = "service", value_name = "NAME")]
    pub services: Vec<String>,
    /// Only this input; may be given several times.
    #[arg(long = "tenant", value_name = "NAME")]
    pub tenants: Vec<String>,
}

impl Chosen {
    /// The same with canonical names, or what is wrong with one of them.
    pub fn resolve(self, config: &Config) -> Result<Self, u8> {
        let mut services = Vec::new();
        for name in &self.services {
            let Some(found) = service::find(name) else {
                let known: Vec<&str> = service::SERVICES.iter().map(|def| def.name).collect();
                say(format_args!("--service {name}: there is no such service; there is {}", known.join(", ")));
                return Err(USAGE);
            };
            services.push(found.name.to_owned());
        }
        super::known_tenants(&config.inputs, &self.tenants)?;
        Ok(Self { services, tenants: self.tenants })
    }
}

/// What a command needs that only looks: a configuration, a part of it, and the form of the answer.
#[derive(Debug, Args)]
pub struct Look {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub chosen: Chosen,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}
