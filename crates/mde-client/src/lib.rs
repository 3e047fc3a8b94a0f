#![doc = include_str!("../README.md")]

mod answer;
pub mod auth;
mod base;
mod body;
pub mod budget;
mod client;
mod error;
pub mod hunting;
pub mod limits;
mod link;
mod page;
pub mod query;
pub mod retry;
mod time;
mod transport;
mod wording;

pub use answer::Answer;
pub use client::{Client, ClientOptions, Get};
pub use error::{Error, ErrorKind, ServerDate};
pub use link::{Link, LinkGuard, NextLink};
pub use page::{Page, PageEnd};
pub use time::{Time100ns, parse_time, write_time};
pub use transport::{Cause, HttpRequest, HttpResponse, ReqwestTransport, Transport, TransportConfig, TransportError};

// The types of others that stand in our signatures.
pub use bytes::Bytes;
pub use reqwest::{Method, header};
pub use url::Url;
