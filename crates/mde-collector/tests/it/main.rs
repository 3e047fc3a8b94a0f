//! The collector as its users meet it: the real binary, real sockets, the simulator as tenant and oracle.

mod architecture;
mod check;
mod config;
mod demo;
mod devo;
mod enrich;
mod exits;
mod faults;
mod harness;
mod http;
mod hunting;
mod identities;
mod keeping;
mod kills;
mod letters;
mod plan;
mod poison;
mod pulls;
mod quota;
mod services;
mod signals;
mod simulate;
mod snapshots;
mod state;
mod table;
mod wire;
