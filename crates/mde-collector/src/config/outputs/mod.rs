//! What each output can be told. One file per output; a variant here is its registration.

pub mod console;
pub mod devo;
pub mod file;

/// An output of the configuration.
#[derive(Debug, Clone)]
pub enum OutputConfig {
    /// `console`, `stdout`.
    Console(console::Console),
    /// `file`.
    File(file::File),
    /// `devo_platform`, `relay`, `syslog`, `in_house_relay`, `sidecar`.
    Devo(devo::Devo),
}
