//! The collector: config → client → pull → flatten → outbox → output.
//!
//! See `ARCHITECTURE.md` for the rooms and what each may use.

pub mod cli;
pub mod config;
pub mod enrich;
pub mod flatten;
pub mod obfuscate;
pub mod output;
pub mod pipeline;
pub mod plan;
pub mod pull;
pub mod quota;
pub mod record;
pub mod service;
pub mod shape;
#[cfg(test)]
mod simulation;
pub mod status;
pub mod store;
pub mod telemetry;
pub mod web;
