//! Credentials in files: another content is used at once, also by streams that were refused with the one of before.
//!
//! A file is read for each token request anyway. What is missing is the occasion, and that is given here.

use crate::telemetry::credentials as events;
use mde_client::auth::Tokens;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Time between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The tokens of one tenant, and who is told that it is worth trying again. Clones share them.
#[derive(Clone)]
pub struct Rotation {
    /// Name of the input, for the log.
    tenant: String,
    /// One for each API.
    tokens: Vec<Arc<Tokens>>,
    /// Grows with each reason to try again.
    reasons: Arc<watch::Sender<u64>>,
}

/// Where a stream hears that it is worth trying again.
pub struct Reasons(watch::Receiver<u64>);

impl Rotation {
    /// Of an input. Looks at nothing yet.
    pub fn new(tenant: String, tokens: Vec<Arc<Tokens>>) -> Self {
        Self { tenant, tokens, reasons: Arc::new(watch::Sender::new(0)) }
    }

    /// From now on.
    pub fn reasons(&self) -> Reasons {
        Reasons(self.reasons.subscribe())
    }

    /// Looks at the files for as long as it is polled.
    pub async fn keep_watch(self) {
        loop {
            sleep(LOOK_EVERY).await;
            let mut changed = false;
            for tokens in &self.tokens {
                if tokens.credential_changed() {
                    self.renew(tokens, !changed).await;
                    changed = true;
                }
            }
            if changed {
                self.reasons.send_modify(|count| *count += 1);
            }
        }
    }

    /// Asks for new tokens whatever the files say: a role may have been granted since the last one.
    pub async fn ask_again(&self) {
        for tokens in &self.tokens {
            // What is refused or unreachable is told by the streams that need it.
            tokens.renew().await.ok();
        }
        self.reasons.send_modify(|count| *count += 1);
    }

    /// Reads the credential again by asking for a token; `tell`: it has not been told for another API of the tenant.
    async fn renew(&self, tokens: &Tokens, tell: bool) {
        let renewed = tokens.renew().await;
        match (tokens.complaint(), renewed) {
            (Some(why), _) if tell => events::kept(&self.tenant, &why),
            (None, Ok(())) if tell => events::read_again(&self.tenant),
            (None, Err(error)) => events::refused(&self.tenant, &error, error.advice()),
            _ => {}
        }
    }
}

impl Reasons {
    /// What was heard until now is old.
    pub fn forget(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits for the next reason; for ever where nobody is left to give one.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
