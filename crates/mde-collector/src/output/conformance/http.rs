//! Receivers over HTTP under the suite: each preset, with a receiver that takes it.

use super::Subject;
use super::ship::Event;
use crate::config::OutputConfig;
use crate::config::Secret;
use crate::config::outputs::devo::Tls;
use crate::config::outputs::http::{Auth, Compress, Http, Method, Preset, Sending, Token};
use crate::output::{Output, build};
use async_trait::async_trait;
use mde_sim::receiver::{HttpConfig, HttpReceiver};
use std::time::Duration;

/// Told to the receiver, and looked for where it must not be.
pub(crate) const TOKEN: &str = "telltale-http-token";

/// A receiver over HTTP and the output that is set up for it.
pub(crate) struct HttpSubject {
    /// The far side.
    pub receiver: HttpReceiver,
    /// Set up for it.
    pub config: Http,
}

impl HttpSubject {
    /// A preset with a receiver that demands the token in the preset's way.
    pub async fn new(preset: Preset) -> Self {
        let scheme = if matches!(preset, Preset::SplunkHec { .. }) { "Splunk" } else { "Bearer" };
        let is_devo = matches!(preset, Preset::Devo { .. });
        let demands = HttpConfig {
            authorization: (!is_devo).then(|| format!("{scheme} {TOKEN}")),
            devo_token: is_devo.then(|| TOKEN.to_owned()),
            acknowledges: matches!(preset, Preset::SplunkHec { ack: Some(_), .. }),
            ..HttpConfig::default()
        };
        let receiver = HttpReceiver::start(demands).await.expect("loopback has a free port");
        let place = if matches!(preset, Preset::Ndjson | Preset::JsonArray) { "/in/{tenant}/{service}" } else { "" };
        let config = Http {
            url: receiver.url() + place,
            auth: match preset {
                Preset::Devo { .. } => Auth::None,
                _ => Auth::Token { scheme: None, token: Token::Fixed(Secret::new(TOKEN)) },
            },
            preset,
            method: Method::Post,
            headers: Vec::new(),
            sending: Sending {
                max_events: 1_000,
                max_bytes: 1 << 20,
                compress: Compress::None,
                timeout: Duration::from_secs(30),
                tls: Tls { identity: None, chain: None, check_hostname: true },
                proxy: None,
            },
        };
        Self { receiver, config }
    }

    /// The same with other settings for requests.
    pub fn sending(mut self, change: impl FnOnce(&mut Sending)) -> Self {
        change(&mut self.config.sending);
        self
    }
}

/// Splunk's collector, with acknowledgement or without.
pub(crate) fn splunk(ack: Option<Duration>) -> Preset {
    let (source, sourcetype) = ("mde:{service}".to_owned(), "_json".to_owned());
    Preset::SplunkHec { index: None, source, sourcetype, hostname: Some("box".to_owned()), ack }
}

/// Elasticsearch.
pub(crate) fn elasticsearch() -> Preset {
    Preset::Elasticsearch { index: "mde-{service}".to_owned() }
}

/// Devo's endpoint.
pub(crate) fn devo() -> Preset {
    Preset::Devo { domain: "my domain".to_owned(), token: Secret::new(TOKEN), hostname: Some("box".to_owned()) }
}

#[async_trait]
impl Subject for HttpSubject {
    fn build(&self, memory: Option<&str>) -> Box<dyn Output> {
        build(&OutputConfig::Http(self.config.clone()), memory).expect("valid")
    }

    fn received(&self) -> Vec<Event> {
        let event = |text: &str| serde_json::from_str(text).expect("an event of the suite");
        self.receiver.events().iter().map(|arrived| event(&arrived.event)).collect()
    }

    fn is_quiet(&self) -> bool {
        self.receiver.is_quiet()
    }

    fn exactly_once(&self) -> bool {
        false
    }

    fn confirmed_means_read(&self) -> bool {
        true
    }
}
