//! What `check` sees of certificates. The library hands out none, so each broker is asked by a handshake of our own, which
//! also proves its name and its chain by the rules of the other outputs.

use crate::config::outputs::devo::Tls;
use crate::output::expiry::{self, Expiry};
use crate::output::{OutputError, tls};
use crate::record::ErrorClass;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time for one broker's handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// The brokers, for messages.
pub(super) fn target(brokers: &[String]) -> String {
    format!("Kafka at {}", brokers.join(", "))
}

/// Until when the certificates are good of our files and of each broker that can be reached; another one may be down.
pub(super) async fn certificates(brokers: &[String], settings: &Tls) -> Result<Vec<Expiry>, OutputError> {
    let unprepared = |cause| OutputError::new(ErrorClass::Denied, format!("prepare {}", target(brokers)), cause);
    let mut expiries = tls::expiries(settings).await.map_err(unprepared)?;
    let connector = tls::connector(settings).await.map_err(unprepared)?;
    for broker in brokers {
        let place = target(std::slice::from_ref(broker));
        match timeout(PATIENCE, shown(broker, &place, &connector)).await {
            Ok(Ok(shown)) => expiries.extend(shown),
            Ok(Err(cause)) if tls::tls_error(&cause).is_some() => {
                return Err(OutputError::new(ErrorClass::Denied, format!("agree on TLS with {place}"), cause));
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
    Ok(expiries)
}

/// The certificates that one broker shows.
async fn shown(broker: &str, place: &str, connector: &TlsConnector) -> io::Result<Vec<Expiry>> {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
    let name = tls::server_name(host).map_err(io::Error::other)?;
    let stream = connector.connect(name, TcpStream::connect(broker).await?).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(shown.iter().filter_map(|der| expiry::of(place, der)).collect())
}
