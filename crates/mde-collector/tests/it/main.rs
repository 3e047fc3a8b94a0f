//! The collector as its users meet it: the real binary, real sockets, the simulator as tenant and oracle.

mod architecture;
mod demo;
mod devo;
mod exits;
mod faults;
mod harness;
mod http;
mod hunting;
mod kills;
mod letters;
mod poison;
mod pulls;
mod quota;
mod services;
mod signals;
mod simulate;
mod snapshots;
mod state;
mod table;
