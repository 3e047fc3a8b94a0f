//! The collector as its users meet it: the real binary, real sockets, the simulator as tenant and oracle.

mod architecture;
mod devo;
mod end_to_end;
mod harness;
