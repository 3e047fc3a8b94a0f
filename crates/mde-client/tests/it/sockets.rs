//! Real sockets: compression, cuts, redirects, proxies, certificates.

use crate::script::{Numbered, alerts};
use futures_util::TryStreamExt;
use http_body_util::Full;
use hyper::Response;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mde_client::budget::InMemoryBudget;
use mde_client::header::HeaderMap;
use mde_client::{
    Bytes, Client, ClientOptions, Error, ErrorKind, HttpRequest, Method, ReqwestTransport, Transport, TransportConfig,
    TransportError, Url,
};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server that answers every request with the same octets, then closes, or falls silent.
struct Server {
    port: u16,
    /// The heads of the requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>, silent: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let (asked, answer) = (Arc::new(Mutex::new(Vec::new())), answer.into());
        tokio::spawn({
            let asked = Arc::clone(&asked);
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(answer_once(socket, answer.clone(), silent, Arc::clone(&asked)));
                }
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}", self.port)).expect("an address")
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

/// Reads one head and writes the answer.
async fn answer_once<S>(mut socket: S, answer: Vec<u8>, silent: bool, asked: Arc<Mutex<Vec<String>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    asked.lock().expect("nobody panics with it").push(String::from_utf8_lossy(&head).into_owned());
    let _ = socket.write_all(&answer).await;
    let _ = socket.flush().await;
    if silent {
        // Until the other side gives up.
        let _ = socket.read_u8().await;
    }
    let _ = socket.shutdown().await;
}

fn client(base: Url, transport: ReqwestTransport) -> Client {
    let budget = Arc::new(InMemoryBudget::new(1.0, Vec::new()));
    Client::new(base, Arc::new(transport), Arc::new(Numbered::default()), budget).expect("a good base")
}

/// The rows of one call that is answered with these octets.
async fn rows(answer: impl Into<Vec<u8>>) -> Result<u64, Error> {
    let server = Server::start(answer, false).await;
    let transport = ReqwestTransport::new(&TransportConfig::default()).expect("sockets");
    Ok(client(server.url(), transport).get(&alerts()).await?.page.rest().await?.rows)
}

/// An HTTP answer whose length is the given body's, of which only the first octets are sent.
fn http(headers: &str, body: &[u8], sent: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body[..sent]].concat()
}

/// A gzip member with one stored block.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut crc = !0_u32;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (0_u32.wrapping_sub(crc & 1)));
        }
    }
    let length = u16::try_from(content.len()).expect("a short test body");
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    member.extend(length.to_le_bytes());
    member.extend((!length).to_le_bytes());
    member.extend(content);
    member.extend((!crc).to_le_bytes());
    member.extend(u32::from(length).to_le_bytes());
    member
}

const PAGE: &[u8] = br#"{"value":[{"a":1},{"a":2}]}"#;

#[tokio::test]
async fn a_plain_and_a_compressed_body_are_the_same_page() {
    assert_eq!(rows(http("", PAGE, PAGE.len())).await.expect("a page"), 2);
    let packed = gzip(PAGE);
    assert_eq!(rows(http("content-encoding: gzip\r\n", &packed, packed.len())).await.expect("a page"), 2);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_cut_in_every_framing() {
    let packed = gzip(PAGE);
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1b\r\n{body}");
    let closed = |headers: &str, body: &[u8]| {
        [format!("HTTP/1.1 200 OK\r\n{headers}connection: close\r\n\r\n").as_bytes(), body].concat()
    };
    let page = std::str::from_utf8(PAGE).expect("plain text");
    for (name, answer) in [
        ("length", http("", PAGE, 15)),
        // All of the page is there, and the framing says that more was meant to come.
        ("length, whole page", http("", &[PAGE, b"  "].concat(), PAGE.len())),
        ("chunk", chunked(&page[..15]).into_bytes()),
        ("no last chunk", chunked(&format!("{page}\r\n")).into_bytes()),
        ("close", closed("", &PAGE[..15])),
        ("gzip", http("content-encoding: gzip\r\n", &packed, packed.len() - 9)),
        ("gzip, close", closed("content-encoding: gzip\r\n", &packed[..packed.len() - 9])),
        ("gzip without its end", closed("content-encoding: gzip\r\n", &packed[..packed.len() - 4])),
    ] {
        let error = rows(answer).await.expect_err(name);
        assert_eq!(error.kind(), &ErrorKind::BodyCut, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_body_that_falls_silent_is_a_timeout() {
    let server = Server::start(http("", PAGE, 15), true).await;
    let transport = ReqwestTransport::new(&TransportConfig::default()).expect("sockets");
    let options = ClientOptions { silence_timeout: Duration::from_millis(50), ..ClientOptions::default() };
    let client = client(server.url(), transport).with_options(options);
    let mut page = client.get(&alerts()).await.expect("a head").page;
    assert_eq!(page.rest().await.expect_err("silence").kind(), &ErrorKind::Timeout);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(http("", PAGE, PAGE.len()), false).await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let server = Server::start(answer, false).await;
    let transport = ReqwestTransport::new(&TransportConfig::default()).expect("sockets");
    let error = client(server.url(), transport).get(&alerts()).await.expect_err("a redirect");
    assert_eq!(error.kind(), &ErrorKind::Unexpected { status: 302 });
    assert_eq!((server.asked().len(), elsewhere.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_call_names_its_program_and_takes_compressed_answers() {
    let server = Server::start(http("", PAGE, PAGE.len()), false).await;
    let config = TransportConfig { user_agent: "MdatpPartner-Test-It/1".into(), ..TransportConfig::default() };
    let transport = ReqwestTransport::new(&config).expect("sockets");
    client(server.url(), transport).get(&alerts()).await.expect("200");
    let asked = server.asked().remove(0).to_ascii_lowercase();
    for line in ["get /api/alerts http/1.1", "user-agent: mdatppartner-test-it/1", "accept-encoding: gzip"] {
        assert!(asked.contains(line), "{line} in {asked}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_connection_and_its_error_shows_no_query() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = Url::parse(&format!("http://{}", listener.local_addr().expect("bound"))).expect("an address");
    drop(listener);
    let transport = ReqwestTransport::new(&TransportConfig::default()).expect("sockets");
    let get = alerts().query(mde_client::query::Query::new().with("$filter", "tell-tale"));
    let error = client(base, transport).get(&get).await.expect_err("nobody listens");
    assert_eq!(error.kind(), &ErrorKind::Transport);
    assert!(!format!("{error:?}").contains("tell-tale"), "{error:?}");
}

/// One GET without a client, which would refuse plain HTTP.
async fn fetch(transport: &ReqwestTransport, url: &str) -> Result<u16, TransportError> {
    let url = Url::parse(url).expect("an address");
    let request = HttpRequest { method: Method::GET, url, headers: HeaderMap::new(), body: None };
    let response = transport.send(request).await?;
    let status = response.status;
    response.body.try_for_each(|_| async { Ok(()) }).await?;
    Ok(status)
}

#[tokio::test]
async fn a_proxy_gets_its_credentials_decoded_and_loopback_never_goes_through_it() {
    let proxy = Server::start(http("", PAGE, PAGE.len()), false).await;
    let direct = Server::start(http("", PAGE, PAGE.len()), false).await;
    let mut url = proxy.url();
    url.set_username("us%40er").expect("an http address");
    url.set_password(Some("p%3Aass%2F")).expect("an http address");
    let config = TransportConfig { proxy: Some(url), ..TransportConfig::default() };
    assert!(!format!("{config:?}").contains("ass"));
    let transport = ReqwestTransport::new(&config).expect("sockets");

    assert_eq!(fetch(&transport, "http://defender.invalid/x").await.expect("by the proxy"), 200);
    let asked = proxy.asked().remove(0);
    assert!(asked.starts_with("GET http://defender.invalid/x HTTP/1.1"), "{asked}");
    // "us@er:p:ass/" in base64.
    assert!(asked.contains("Basic dXNAZXI6cDphc3Mv"), "{asked}");

    fetch(&transport, direct.url().as_str()).await.expect("without the proxy");
    assert_eq!((proxy.asked().len(), direct.asked().len()), (1, 1));
}

/// The names of the variables through which the test below speaks to its other process.
const CHILD: &str = "MDE_CLIENT_TEST_CALL";

#[tokio::test]
async fn the_environments_proxy_and_its_exceptions_are_honoured() {
    if let Ok(url) = std::env::var(CHILD) {
        let transport = ReqwestTransport::new(&TransportConfig::default()).expect("sockets");
        let _ = fetch(&transport, &url).await;
        return;
    }
    let proxy = Server::start(http("", PAGE, PAGE.len()), false).await;
    let me = std::env::current_exe().expect("this test's program");
    for (target, exceptions, through_it) in [
        ("http://defender.invalid/", "", 1),
        ("http://defender.invalid/", "defender.invalid", 1),
        ("http://127.0.0.1:9/", "", 1),
    ] {
        let mut child = std::process::Command::new(&me);
        child.args(["--exact", "sockets::the_environments_proxy_and_its_exceptions_are_honoured"]);
        child.env("HTTP_PROXY", proxy.url().as_str()).env("NO_PROXY", exceptions).env(CHILD, target);
        child.env_remove("http_proxy").env_remove("no_proxy").env_remove("REQUEST_METHOD");
        let done = tokio::task::spawn_blocking(move || child.output()).await.expect("the task ends");
        assert!(done.expect("the child runs").status.success());
        assert_eq!(proxy.asked().len(), through_it, "{target} with NO_PROXY={exceptions}");
    }
}

/// A server's certificate for `localhost`, and what accepts connections with it.
fn certified(protocols: &[&[u8]]) -> (Vec<u8>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .expect("a server's settings");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (made.cert.pem().into_bytes(), TlsAcceptor::from(Arc::new(config)))
}

/// A free port, and the address of a TLS server on it.
async fn tls_listener() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("a bound address").port();
    (listener, Url::parse(&format!("https://localhost:{port}")).expect("an address"))
}

/// Sockets that trust this certificate.
fn trusting(ca: Vec<u8>) -> ReqwestTransport {
    let config = TransportConfig { ca_pem: vec![ca], ..TransportConfig::default() };
    ReqwestTransport::new(&config).expect("sockets")
}

#[tokio::test]
async fn a_configured_ca_is_trusted_and_an_unknown_one_is_not() {
    let (ca, acceptor) = certified(&[]);
    let (listener, base) = tls_listener().await;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(socket) = acceptor.accept(socket).await {
                answer_once(socket, http("", PAGE, PAGE.len()), false, Arc::default()).await;
            }
        }
    });
    let stranger = ReqwestTransport::new(&TransportConfig::default()).expect("sockets");
    let error = client(base.clone(), stranger).get(&alerts()).await.expect_err("nobody vouches for it");
    assert_eq!(error.kind(), &ErrorKind::Transport, "{error:?}");
    let end = client(base, trusting(ca)).get(&alerts()).await.expect("it is trusted").page.rest().await;
    assert_eq!(end.expect("a page").rows, 2);
}

#[tokio::test]
async fn pages_that_nobody_reads_do_not_hold_up_another_on_their_connection() {
    let (ca, acceptor) = certified(&[b"h2"]);
    let (listener, base) = tls_listener().await;
    let connections = Arc::new(Mutex::new(0));
    tokio::spawn({
        let connections = Arc::clone(&connections);
        async move {
            // Two megabytes: far more than a stream may send ahead.
            let page = Bytes::from(format!(r#"{{"value":["{}"]}}"#, "x".repeat(2_000_000)));
            while let Ok((socket, _)) = listener.accept().await {
                *connections.lock().expect("nobody panics with it") += 1;
                let Ok(socket) = acceptor.accept(socket).await else { continue };
                let page = page.clone();
                let answer = service_fn(move |_| {
                    let answer = Response::new(Full::new(page.clone()));
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), answer));
            }
        }
    });
    let client = client(base, trusting(ca));
    let mut unread = Vec::new();
    for _ in 0..6 {
        unread.push(client.get(&alerts()).await.expect("a head"));
    }
    let mut answer = client.get(&alerts()).await.expect("a head");
    assert_eq!(answer.page.rest().await.expect("a page").rows, 1);
    for mut answer in unread {
        assert_eq!(answer.page.rest().await.expect("a page").rows, 1, "those wait and are whole in the end");
    }
    assert_eq!(*connections.lock().expect("nobody panics with it"), 1, "all of them share one");
}
