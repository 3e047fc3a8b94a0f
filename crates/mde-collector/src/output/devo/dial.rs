//! Connects to a receiver, handshake included, and says what it saw of certificates on the way.

use super::connection::{Channel, Connection};
use super::socket::Socket;
use crate::config::outputs::devo as config;
use crate::output::OutputError;
use crate::output::expiry::{self, Expiry};
use crate::output::tls;
use crate::record::ErrorClass;
use rustls::AlertDescription;
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

/// `kind address:port`, for messages.
pub(super) fn target(config: &config::Devo) -> String {
    format!("{} {}:{}", config.kind, config.address, config.port)
}

/// A new connection, handshake included, within the time configured. Acknowledgements count after `after`.
pub(super) async fn connect(config: &config::Devo, after: Duration) -> Result<Connection, OutputError> {
    Ok(Connection::new(within(config, channel(config)).await?, after))
}

/// A new connection, and until when the certificates are good that it stands on.
pub(super) async fn examine(config: &config::Devo) -> Result<(Connection, Vec<Expiry>), OutputError> {
    let unprepared = |cause| OutputError::new(ErrorClass::Denied, prepare(config), cause);
    let mut expiries = Vec::new();
    if let Some(settings) = &config.tls {
        expiries = tls::expiries(settings).await.map_err(unprepared)?;
    }
    let channel = within(config, channel(config)).await?;
    if let Channel::Tls(stream) = &channel {
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        expiries.extend(shown.iter().filter_map(|der| expiry::of(&target(config), der)));
    }
    Ok((Connection::new(channel, Duration::ZERO), expiries))
}

/// Connecting, within the time configured.
async fn within<T>(
    config: &config::Devo,
    connecting: impl Future<Output = Result<T, OutputError>>,
) -> Result<T, OutputError> {
    match timeout(config.connect_timeout, connecting).await {
        Ok(connected) => connected,
        Err(elapsed) => Err(OutputError::new(ErrorClass::Transient, format!("connect to {}", target(config)), elapsed)),
    }
}

/// What is done before a connection is made.
fn prepare(config: &config::Devo) -> String {
    format!("prepare TLS for {}", target(config))
}

/// A channel that is ready for frames.
async fn channel(config: &config::Devo) -> Result<Channel, OutputError> {
    let deadline = Instant::now() + config.connect_timeout;
    let unreachable = |cause| OutputError::new(ErrorClass::Transient, format!("connect to {}", target(config)), cause);
    let unprepared = |cause| OutputError::new(ErrorClass::Denied, prepare(config), cause);
    let address = config.address.trim_start_matches('[').trim_end_matches(']');
    let Some(settings) = &config.tls else {
        return Ok(Channel::Plain(open(address, config.port, deadline).await.map_err(unreachable)?));
    };
    let name = tls::server_name(address).map_err(unprepared)?;
    let connector = tls::connector(settings).await.map_err(unprepared)?;
    let socket = open(address, config.port, deadline).await.map_err(unreachable)?;
    let agreed: io::Result<TlsStream<Socket>> = connector.connect(name, socket).await;
    match agreed {
        Ok(stream) => Ok(Channel::Tls(Box::new(stream))),
        Err(cause) => {
            let class = if tls::tls_error(&cause).is_some() { ErrorClass::Denied } else { ErrorClass::Transient };
            Err(OutputError::new(class, format!("agree on TLS with {}", target(config)), cause))
        }
    }
}

/// Connects to the first address of the name that answers; each gets its share of the time that is left.
async fn open(address: &str, port: u16, deadline: Instant) -> io::Result<Socket> {
    let mut left: Vec<_> = lookup_host((address, port)).await?.collect();
    left.reverse();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(candidate) = left.pop() {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let share = remaining / (left.len() as u32 + 1);
        match timeout(share, TcpStream::connect(candidate)).await {
            Ok(Ok(tcp)) => return Socket::new(tcp),
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}

/// A receiver that refuses our certificate says so in an alert; everything else passes.
pub(super) fn class_of(error: &io::Error) -> ErrorClass {
    use AlertDescription as Alert;
    match tls::tls_error(error) {
        Some(rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure
            | Alert::DecryptError,
        )) => ErrorClass::Denied,
        _ => ErrorClass::Transient,
    }
}
