//! A simulator of Microsoft Defender for Endpoint and Entra ID, with the receiving ends of a collector beside it.
//!
//! It serves a world that is made up from a seed, over sockets ([`Sim::start`]) or in process ([`Sim::router`]), misbehaves
//! when a [`Scenario`] says so, and keeps a [`Ledger`] of what it handed over: the oracle of end-to-end tests.
//! It shares no code with any client, since shared code would hide shared mistakes, and it never calls anybody.

mod clock;
mod config;
mod connection;
mod control;
mod defender;
mod delivery;
mod entra;
mod ledger;
mod odata;
mod quota;
mod scenario;
mod server;
mod sim;
mod ticks;
mod world;

pub use clock::SimClock;
pub use config::{ALL_ROLES, AlertConfig, Order, PageConfig, SimConfig};
pub use connection::ConnectionLost;
pub use entra::{Credentials, Entra};
pub use ledger::{Ledger, Outcome, Peak, Request, RequestKind};
pub use quota::{Family, Limits};
pub use scenario::{CutEnd, ErrorBody, Fault, RetryAfter, Scenario, Server, StandingId};
pub use sim::Sim;
pub use world::{VersionKey, World, WorldError};
