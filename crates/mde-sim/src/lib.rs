#![doc = include_str!("../README.md")]

mod clock;
mod config;
mod connection;
mod control;
mod defender;
mod delivery;
mod entra;
mod estate;
mod export;
mod graph;
mod hunting;
mod kind;
mod ledger;
mod odata;
mod quota;
pub mod receiver;
mod scenario;
mod server;
mod sim;
mod ticks;
mod world;

pub use clock::SimClock;
pub use config::{
    ALL_ROLES, AlertConfig, ExportConfig, GraphConfig, HuntingConfig, InvestigationConfig, MachineConfig, Order,
    PageConfig, RecommendationConfig, SimConfig, SoftwareConfig, VulnerabilityConfig,
};
pub use connection::ConnectionLost;
pub use entra::{Credentials, Entra};
pub use estate::{Entity, Picture};
pub use kind::{RequestKind, Service};
pub use ledger::{Ledger, Listing, Outcome, Peak, Request};
pub use quota::{Family, Limits};
pub use scenario::{CutEnd, ErrorBody, Fault, Retirement, RetryAfter, Scenario, Server, StandingId};
pub use sim::Sim;
pub use world::{VersionKey, World, WorldError};
