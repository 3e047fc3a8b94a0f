//! mde-sim
pub mod clock;
pub mod config;
pub mod quota;
mod ticks;
pub mod world;
