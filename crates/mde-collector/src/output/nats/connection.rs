//! One connection to a NATS server. When it is lost it is over: another one is made by [`Connection::open`] alone, so that
//! no message of a later frame can overtake one that was lost with it.

use crate::config::outputs::nats::{Login, Nats};
use crate::output::OutputError;
use crate::output::tls::{self, tls_error};
use crate::output::witness::Witness;
use crate::record::ErrorClass;
use async_nats::connection::State;
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event};
use async_nats::{ReconnectToServer, Server, ServerAddr, ServerInfo};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Time to connect to one address, handshake included.
const CONNECT: Duration = Duration::from_secs(15);
/// A server that does not answer two of these is gone. A ping keeps balancers from cutting a resting connection, too.
const PING: Duration = Duration::from_secs(20);

/// A connection, and what has gone wrong with it.
pub(super) struct Connection {
    /// Publishes.
    pub context: jetstream::Context,
    /// Its handle; the connection ends when the last one is dropped.
    client: Client,
    /// The first trouble that the server or the network has told.
    trouble: watch::Receiver<Option<Trouble>>,
    /// Dropped with the connection: what still waits to make another one ends then.
    _alive: watch::Sender<()>,
}

/// Why a connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct Trouble {
    /// What happens next.
    class: ErrorClass,
    /// What was said.
    text: String,
}

impl Connection {
    /// Connects, logs in, and waits for the server's first answer.
    pub(super) async fn open(config: &Nats, witness: &Witness) -> Result<Self, OutputError> {
        let target = target(config);
        let prepare = prepare(config);
        let addresses: Result<Vec<ServerAddr>, _> = config.servers.iter().map(|server| server.parse()).collect();
        let addresses = addresses.map_err(|cause| OutputError::new(ErrorClass::Denied, &*prepare, cause))?;
        let tls = tls::client(&config.tls, witness.clone()).await;
        let tls = tls.map_err(|cause| OutputError::new(ErrorClass::Denied, &*prepare, cause))?;
        let (told, trouble) = watch::channel(None);
        let (alive, watched) = watch::channel(());
        let options = login(&config.login).await;
        let options = options.map_err(|cause| OutputError::new(ErrorClass::Denied, &*prepare, cause))?;
        let options = options
            .name("mde-collector")
            .tls_client_config(tls)
            .require_tls(config.tls_required)
            .connection_timeout(CONNECT)
            .ping_interval(PING)
            .no_echo()
            .ignore_discovered_servers()
            // One round for the connection, and one for the attempt that ends it.
            .max_reconnects(addresses.len())
            .reconnect_to_server_callback(once(watched))
            .event_callback(listener(told));
        let patience = CONNECT.saturating_mul(u32::try_from(addresses.len()).unwrap_or(u32::MAX));
        let client = match timeout(patience, options.connect(addresses)).await {
            Ok(Ok(client)) => client,
            Ok(Err(cause)) => return Err(refused(config, cause)),
            Err(elapsed) => {
                return Err(OutputError::new(ErrorClass::Transient, format!("connect to {target}"), elapsed));
            }
        };
        let context = ContextBuilder::new()
            .timeout(config.ack_timeout)
            .ack_timeout(config.ack_timeout)
            .max_ack_inflight(config.in_flight)
            .build(client.clone());
        Ok(Self { context, client, trouble, _alive: alive })
    }

    /// What has gone wrong since, without waiting.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let told = self.trouble.borrow().clone();
        // The state is changed before the event is told.
        let lost = self.client.connection_state() != State::Connected;
        told.or_else(|| lost.then(Trouble::lost))
    }

    /// Waits until something goes wrong.
    pub(super) async fn until_trouble(&self) -> Trouble {
        let mut trouble = self.trouble.clone();
        let told = trouble.wait_for(Option::is_some).await;
        told.ok().and_then(|told| told.clone()).unwrap_or_else(Trouble::lost)
    }
}

impl Trouble {
    /// The connection has ended.
    fn lost() -> Self {
        Self { class: ErrorClass::Transient, text: "the connection is lost".to_owned() }
    }

    /// As the error of an action.
    pub(super) fn during(self, action: impl Into<String>) -> OutputError {
        OutputError::new(self.class, action, self)
    }
}

/// The server's addresses, for messages.
pub(super) fn target(config: &Nats) -> String {
    format!("nats {}", config.servers.join(", "))
}

/// What is done before a connection is made.
pub(super) fn prepare(config: &Nats) -> String {
    format!("prepare the connection to {}", target(config))
}

/// Options with what proves who we are. The error names a file and what is wrong with it, never what is in it.
async fn login(login: &Login) -> std::io::Result<ConnectOptions> {
    let options = ConnectOptions::new();
    Ok(match login {
        Login::None => options,
        Login::Token(token) => options.token(token.expose().to_owned()),
        Login::Password { user, password } => options.user_and_password(user.clone(), password.expose().to_owned()),
        Login::Nkey(seed) => options.nkey(seed.expose().to_owned()),
        Login::CredentialsFile(path) => {
            let wrong = |kind| std::io::Error::new(kind, format!("{} holds no usable credentials", path.display()));
            options.credentials_file(path).await.map_err(|error| wrong(error.kind()))?
        }
    })
}

/// Which server comes next, once it may; none: as the client thinks best.
type Choice = Pin<Box<dyn Future<Output = Option<ReconnectToServer>> + Send + Sync>>;

/// Lets the first connection be made, and holds back every later one until ours is dropped.
fn once(watched: watch::Receiver<()>) -> impl Fn(Vec<Server>, ServerInfo) -> Choice + Send + Sync + 'static {
    let made = Arc::new(AtomicBool::new(false));
    move |_, _| {
        let again = made.swap(true, Ordering::Relaxed);
        let mut watched = watched.clone();
        Box::pin(async move {
            if again {
                // Nothing is ever sent: this ends when the sender is dropped.
                let _ = watched.changed().await;
            }
            None
        })
    }
}

/// Keeps the first trouble.
fn listener(told: watch::Sender<Option<Trouble>>) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync + 'static {
    let told = Mutex::new(told);
    move |event| {
        let trouble = match event {
            Event::ServerError(error) => {
                let text = error.to_string();
                Some(Trouble { class: class_of(&text), text })
            }
            Event::Disconnected | Event::Closed => Some(Trouble::lost()),
            _ => None,
        };
        if let (Some(trouble), Ok(told)) = (trouble, told.lock()) {
            told.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(trouble);
                is_first
            });
        }
        std::future::ready(())
    }
}

/// A server speaks of rights and logins in words.
fn class_of(text: &str) -> ErrorClass {
    let text = text.to_lowercase();
    let person = ["permission", "authorization", "authentication", "account", "credential", "revoked"];
    if person.iter().any(|word| text.contains(word)) { ErrorClass::Denied } else { ErrorClass::Transient }
}

/// The error of a connection that could not be made.
fn refused(config: &Nats, cause: ConnectError) -> OutputError {
    let (action, class) = match cause.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            ("log in to", ErrorClass::Denied)
        }
        ConnectErrorKind::Tls => ("agree on TLS with", ErrorClass::Denied),
        _ if tls_error(&cause).is_some() => ("agree on TLS with", ErrorClass::Denied),
        _ => ("connect to", class_of(&cause.to_string())),
    };
    OutputError::new(class, format!("{action} {}", target(config)), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_rights_needs_a_person_and_the_rest_passes() {
        for text in
            ["Permissions Violation for Publish to \"a\"", "authorization violation", "User Authentication Expired"]
        {
            assert_eq!(class_of(text), ErrorClass::Denied, "{text}");
        }
        for text in ["Stale Connection", "maximum connections exceeded"] {
            assert_eq!(class_of(text), ErrorClass::Transient, "{text}");
        }
    }
}
