//! An HTTP/1.1 client that shows what arrived, whole or not.

use mde_sim::{AlertConfig, Sim, SimClock, SimConfig};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back on one connection.
#[derive(Debug)]
pub struct Reply {
    /// Status of the head; 0 when none came.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without the frames of a chunked transfer.
    pub body: Vec<u8>,
    /// Whether the transfer ended as HTTP wants it.
    pub whole: bool,
    /// How the connection ended, when not by FIN.
    pub error: Option<io::ErrorKind>,
}

impl Reply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The ids in `value`.
    pub fn ids(&self) -> Vec<String> {
        self.json()["value"].as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
    }

    /// `error.code` and `error.message`.
    pub fn error_text(&self) -> (String, String) {
        let error = &self.json()["error"];
        (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    }

    /// Path and query of the next page.
    pub fn next(&self) -> Option<String> {
        self.json()["@odata.nextLink"].as_str().map(|link| {
            let (_, rest) = link.split_once("://").unwrap();
            rest[rest.find('/').unwrap()..].to_owned()
        })
    }
}

/// A simulator with a manual clock and so many alerts.
pub async fn sim(count: usize) -> Sim {
    start(SimConfig { alerts: AlertConfig { count, ..AlertConfig::default() }, ..config() }).await
}

/// A configuration with a manual clock.
pub fn config() -> SimConfig {
    SimConfig { clock: SimClock::manual("2026-11-24T12:00:00Z".parse().unwrap()), ..SimConfig::default() }
}

/// A running simulator.
pub async fn start(config: SimConfig) -> Sim {
    Sim::start(config).await.unwrap()
}

/// Sends one request and reads to the end.
pub async fn send(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    socket.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    let mut octets = Vec::new();
    let error = socket.read_to_end(&mut octets).await.err().map(|error| error.kind());
    read(&octets, error)
}

/// A call with a fresh token.
pub async fn get(sim: &Sim, target: &str) -> Reply {
    let token = token(sim).await;
    get_as(sim, target, &token).await
}

/// A call with this token.
pub async fn get_as(sim: &Sim, target: &str, token: &str) -> Reply {
    send(sim.addr(), "GET", target, &[("Authorization", &format!("Bearer {token}"))], "").await
}

/// A token request of the v2 form.
pub async fn ask_token(sim: &Sim, tenant: &str, form: &str) -> Reply {
    let target = format!("/{tenant}/oauth2/v2.0/token");
    send(sim.addr(), "POST", &target, &[("Content-Type", "application/x-www-form-urlencoded")], form).await
}

/// The form that is accepted.
pub fn good_form(sim: &Sim) -> String {
    let credentials = sim.credentials();
    format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default",
        credentials.client_id, credentials.client_secret
    )
}

/// A fresh token for Microsoft Graph.
pub async fn graph_token(sim: &Sim) -> String {
    let form = good_form(sim).replace("api.securitycenter.microsoft.com", "graph.microsoft.com");
    let reply = ask_token(sim, &sim.credentials().tenant_id, &form).await;
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

/// A fresh token.
pub async fn token(sim: &Sim) -> String {
    let reply = ask_token(sim, &sim.credentials().tenant_id, &good_form(sim)).await;
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

/// Takes an answer apart.
fn read(octets: &[u8], error: Option<io::ErrorKind>) -> Reply {
    let Some(end) = octets.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Reply { status: 0, headers: Vec::new(), body: octets.to_vec(), whole: false, error };
    };
    let head = String::from_utf8(octets[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: octets[end + 4..].to_vec(), whole: false, error };
    if reply.header("transfer-encoding") == Some("chunked") {
        (reply.body, reply.whole) = unchunk(&reply.body);
    } else {
        reply.whole = reply.header("content-length").and_then(|length| length.parse().ok()) == Some(reply.body.len());
    }
    reply
}

/// The content of a chunked body, and whether its last chunk came.
fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if length == 0 {
            return (body, true);
        }
        let there = length.min(rest.len());
        body.extend_from_slice(&rest[..there]);
        rest = rest.get(length + 2..).unwrap_or_default();
    }
    (body, false)
}
