//! A load server: HTTPS, a token for whoever asks, and one page of alerts, packed before the clock runs. It does nothing else, so
//! that nothing else is measured.

use flate2::Compression;
use flate2::write::GzEncoder;
use mde_sim::receiver::TestPki;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Its alerts lie from this moment on, a second apart. The pull begins here.
const START: &str = "2026-10-01T00:00:00Z";

/// What the filter of the first window holds, and no other one.
const FIRST_HOUR: &str = "2026-10-01T00";

/// A server that runs as long as the runtime does.
pub struct Load {
    /// Where it listens.
    address: SocketAddr,
    /// The page as it is sent. Unit: octets.
    pub packed_octets: u64,
    /// The page unpacked. Unit: octets.
    pub octets: u64,
}

impl Load {
    /// Packs the page and serves. Fewer alerts than a page holds fit one answer, so nothing is read twice; a multiple of a hundred
    /// would be doubted.
    pub async fn start(pki: &TestPki, alerts: usize, evidence: usize) -> Result<Self, Box<dyn Error>> {
        let page = page(alerts, evidence);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(page.as_bytes())?;
        let packed: Arc<[u8]> = encoder.finish()?.into();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let started =
            Self { address: listener.local_addr()?, packed_octets: packed.len() as u64, octets: page.len() as u64 };
        let acceptor = acceptor(pki)?;
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, packed) = (acceptor.clone(), Arc::clone(&packed));
                // A client that leaves ends its conversation, and that is all.
                tokio::spawn(async move { talk(socket, &acceptor, &packed).await.ok() });
            }
        });
        Ok(started)
    }

    /// The `inputs` block that reads from it.
    pub fn inputs(&self, authority: &Path) -> String {
        let base = format!("https://localhost:{}", self.address.port());
        format!(
            "inputs:\n  load:\n    id: load\n    credentials: {{tenant_id: t, client_id: c, client_secret: s}}\n    \
             override_api_base_url: {base}\n    override_token_url: {base}\n    ca_file: {}\n    services:\n      \
             alerts: {{historical_poll_datetime: \"{START}\"}}\n",
            authority.display()
        )
    }
}

/// TLS as the server speaks it.
fn acceptor(pki: &TestPki) -> Result<TlsAcceptor, Box<dyn Error>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let certificates = CertificateDer::pem_slice_iter(pki.server.cert_pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(pki.server.key_pem.as_bytes())?;
    let config = builder.with_no_client_auth().with_single_cert(certificates, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Answers the requests of one connection.
async fn talk(socket: TcpStream, acceptor: &TlsAcceptor, packed: &[u8]) -> io::Result<()> {
    let mut stream = BufReader::new(acceptor.accept(socket).await?);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (posted, first) = (line.starts_with("POST"), line.contains(FIRST_HOUR));
        let mut length = 0;
        while line.trim_end() != "" {
            line.clear();
            stream.read_line(&mut line).await?;
            if let Some(("content-length", value)) = line.to_ascii_lowercase().split_once(':') {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        let (encoding, body): (&str, &[u8]) = if posted {
            ("", br#"{"token_type":"Bearer","expires_in":3599,"access_token":"opaque"}"#)
        } else if first {
            ("content-encoding: gzip\r\n", packed)
        } else {
            // The windows behind the page, up to now.
            ("", br#"{"value":[]}"#)
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{encoding}content-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        stream.flush().await?;
    }
}

/// A page of alerts whose hashes, numbers and names differ, so that it packs about as well as a real one.
fn page(alerts: usize, evidence: usize) -> String {
    let mut page = String::from(r#"{"@odata.context":"https://localhost/api/$metadata#Alerts","value":["#);
    let mut drawn = 1_u64;
    for number in 0..alerts {
        let comma = if number == 0 { "" } else { "," };
        let (day, hour, minute, second) = (number / 86_400 + 1, number / 3_600 % 24, number / 60 % 60, number % 60);
        let time = format!("2026-10-{day:02}T{hour:02}:{minute:02}:{second:02}.5Z");
        let machine = hex(&mut drawn, 40);
        write!(page, r#"{comma}{{"id":"da{number:020}_1","incidentId":{number},"severity":"Low","status":"New","classification":null,"determination":null,"investigationState":"Queued","detectionSource":"WindowsDefenderAtp","detectorId":"17e10bbc-3a68-474a-8aad-faef14d43952","category":"Execution","threatFamilyName":null,"title":"Signed program ran code of low reputation","description":"A signed program loaded a library that few machines have, and what it did then may hide in the trusted process.","alertCreationTime":"{time}","firstEventTime":"{time}","lastEventTime":"{time}","lastUpdateTime":"{time}","resolvedTime":null,"machineId":"{machine}","computerDnsName":"host-{number}.example.com","rbacGroupName":"A","aadTenantId":"a839b112-1253-6432-9bf6-94542403f21c","threatName":null,"mitreTechniques":["T1064","T1085","T1220"],"relatedUser":{{"userName":"user{number}","domainName":"EXAMPLE"}},"loggedOnUsers":[],"comments":[],"evidence":["#).expect("a String takes everything");
        for piece in 0..evidence {
            let comma = if piece == 0 { "" } else { "," };
            let (sha1, sha256, process) = (hex(&mut drawn, 40), hex(&mut drawn, 64), drawn % 30_000);
            write!(page, r#"{comma}{{"entityType":"Process","evidenceCreationTime":"{time}","sha1":"{sha1}","sha256":"{sha256}","fileName":"rundll32.exe","filePath":"C:\\Windows\\SysWOW64","processId":{process},"processCommandLine":"rundll32.exe  c:\\temp\\{machine}.dll,Run","processCreationTime":"{time}","parentProcessId":8420,"parentProcessCreationTime":"{time}","parentProcessFileName":"rundll32.exe","parentProcessFilePath":"C:\\Windows\\System32","ipAddress":null,"url":null,"registryKey":null,"registryHive":null,"registryValueType":null,"registryValue":null,"accountName":null,"domainName":null,"userSid":null,"aadUserId":null,"userPrincipalName":null,"detectionStatus":"Detected"}}"#).expect("a String takes everything");
        }
        page.push_str("]}");
    }
    page.push_str("]}");
    page
}

/// So many hex digits, the same ones in every run.
fn hex(drawn: &mut u64, digits: usize) -> String {
    let mut text = String::with_capacity(digits + 16);
    while text.len() < digits {
        *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write!(text, "{:08x}", *drawn >> 32).expect("a String takes everything");
    }
    text.truncate(digits);
    text
}
