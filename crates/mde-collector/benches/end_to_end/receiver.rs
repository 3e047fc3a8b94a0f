//! A TLS receiver that asks for a client certificate, and the output block that delivers to it.

use mde_sim::receiver::{DevoReceiver, ReceiverConfig, ReceiverTls, Record, TestPki};
use std::error::Error;
use std::path::Path;

/// Starts one that only counts. Its certificates are written into `folder`.
pub async fn start(folder: &Path) -> Result<(DevoReceiver, String), Box<dyn Error>> {
    let pki = TestPki::new();
    let files = pki.write_to(folder)?;
    let tls = ReceiverTls { identity: pki.server.clone(), client_ca_pem: Some(pki.ca_pem.clone()) };
    let config = ReceiverConfig { tls: Some(tls), record: Record::CountOnly, ..ReceiverConfig::default() };
    let receiver = DevoReceiver::start(config).await?;
    let output = format!(
        "  devo:\n    type: relay\n    config:\n      address: localhost\n      port: {}\n      chain: {}\n      cert: {}\n      key: {}\n",
        receiver.addr().port(),
        files.chain.display(),
        files.client_cert.display(),
        files.client_key.display(),
    );
    Ok((receiver, output))
}
