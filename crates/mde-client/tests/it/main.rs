//! The client against scripted answers in process, and against real sockets where sockets matter.

mod auth;
mod client;
mod export;
mod graph;
mod hunting;
mod page;
mod script;
mod sockets;
mod week;
