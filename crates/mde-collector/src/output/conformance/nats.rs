//! The NATS output over a real server. What it needs, and how it is started, is the business of the end-to-end tests.

#[path = "../../../tests/it/harness/nats.rs"]
#[expect(dead_code, reason = "restarts are a matter of the end-to-end tests")]
pub(crate) mod server;

use super::Subject;
use super::ship::{Event, events_of};
use crate::config::OutputConfig;
use crate::config::outputs::devo::Tls;
use crate::config::outputs::nats::{Login, Nats};
use crate::output::{Output, build};
use async_trait::async_trait;
use server::{NatsServer, messages_behind};
use std::sync::Mutex;
use std::time::Duration;

/// A stream of a server of its own.
pub(crate) struct NatsSubject {
    server: NatsServer,
    /// Number of the last message seen, and the events up to it.
    seen: Mutex<(u64, Vec<Event>)>,
}

impl NatsSubject {
    pub async fn new() -> Self {
        let server = NatsServer::start("").await;
        server.stream(|_| {}).await;
        Self { server, seen: Mutex::default() }
    }
}

/// A configuration for a server on loopback.
pub(crate) fn config_of(url: String, tls: Tls) -> Nats {
    Nats {
        servers: vec![url],
        subject: "mde.{tenant}.{service}".to_owned(),
        login: Login::None,
        tls,
        tls_required: false,
        in_flight: 256,
        ack_timeout: Duration::from_secs(20),
    }
}

/// What stands there where no TLS is asked for.
pub(crate) fn no_tls() -> Tls {
    Tls { identity: None, chain: None, check_hostname: true }
}

#[async_trait]
impl Subject for NatsSubject {
    fn build(&self, memory: Option<&str>) -> Box<dyn Output> {
        build(&OutputConfig::Nats(config_of(self.server.url(), no_tls())), memory).expect("valid")
    }

    fn received(&self) -> Vec<Event> {
        let mut seen = self.seen.lock().expect("sound");
        let (last, events) = &mut *seen;
        // This thread belongs to the runtime of the test, which must not wait for itself.
        let read = std::thread::scope(|scope| {
            let reading = async { messages_behind(&self.server.stream(|_| {}).await, *last).await };
            let reader = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(reading)
            });
            reader.join().expect("no panic")
        });
        for (number, id, body) in read {
            assert_eq!(id, None, "these events have no id");
            *last = number;
            events.extend(events_of(&[&body[..], b"\n"].concat()));
        }
        events.clone()
    }

    fn is_quiet(&self) -> bool {
        true
    }

    fn exactly_once(&self) -> bool {
        // These events have no `@event_id` by which the server could drop doubles.
        false
    }

    fn confirmed_means_read(&self) -> bool {
        true
    }
}
