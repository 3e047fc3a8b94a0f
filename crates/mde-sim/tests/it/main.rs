//! The simulator seen from outside: over real sockets, with a client written by hand, so that no library hides what is on the wire.

#[cfg(test)]
mod auth;
#[cfg(test)]
mod consistency;
#[cfg(test)]
mod control;
#[cfg(test)]
mod derived;
#[cfg(test)]
mod estate;
#[cfg(test)]
mod export;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod http;
#[cfg(test)]
mod hunting;
#[cfg(test)]
mod in_process;
#[cfg(test)]
mod list;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod receiver;
