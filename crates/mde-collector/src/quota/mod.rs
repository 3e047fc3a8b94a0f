//! Microsoft's quota, shared by all that call as one application in one tenant: inputs, commands and processes.
//!
//! What is spent is written into a small file of its own beside the store, so that neither a restart nor a kill nor a
//! second command makes a window overflow. It knows limits and calls, never what is asked.

mod journal;

use crate::config::{CallLimit, Config, Input, Persistence, ServiceConfig};
use crate::record::Mistake;
use crate::telemetry::quota as events;
use journal::Unshared;
use mde_client::WallClock;
use mde_client::budget::{BucketUse, Budget, InMemoryBudget, Journal, JournaledBudget, Permit, Priority, Throttle};
use mde_client::budget::{Window, WindowUse};
use mde_client::limits::Family;
use mde_client::retry::Allowed;
use std::sync::Arc;
use std::time::Duration;

pub use journal::{Owner, QuotaError, QuotaFile, is_begun};

/// The shorter of the vendor's windows.
const MINUTE: Duration = Duration::from_secs(60);

/// The budgets of a configuration: one for each application in a tenant.
pub struct Quotas {
    /// Each under who spends from it.
    budgets: Vec<(Spender, Terms, JournaledBudget)>,
}

/// What an application's budget was made from: another one is another budget.
#[derive(Debug, Clone, PartialEq)]
struct Terms {
    /// Smallest of its inputs' shares.
    share: f64,
    /// All of their further limits.
    limits: Vec<Window>,
}

/// An application in a tenant, as the vendor counts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spender {
    /// Entra tenant. A GUID and a domain of the same tenant are not known to be the same.
    tenant_id: String,
    /// Application (client) id.
    client_id: String,
}

impl Spender {
    /// Whose quota an input spends. Case does not tell GUIDs or domains apart.
    fn of(input: &Input) -> Self {
        let credentials = &input.credentials;
        Self {
            tenant_id: credentials.tenant_id.to_ascii_lowercase(),
            client_id: credentials.client_id.to_ascii_lowercase(),
        }
    }
}

impl Quotas {
    /// The budgets of all inputs, written down where the state lies; `Memory`: not at all.
    ///
    /// Where inputs share an application, the smallest of their shares and all of their further limits hold for all of
    /// them together.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub async fn open(config: &Config, persistence: &Persistence, now: WallClock) -> Result<Self, QuotaError> {
        Self::after(&Self { budgets: Vec::new() }, config, persistence, now).await
    }

    /// The same for a configuration that follows another: a budget on the same terms goes on with what it has counted.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn after(
        before: &Self,
        config: &Config,
        persistence: &Persistence,
        now: WallClock,
    ) -> Result<Self, QuotaError> {
        let file = match persistence {
            Persistence::Memory => None,
            Persistence::Filesystem { directory } => Some(Arc::new(QuotaFile::open(directory).await?)),
        };
        let journal = |tenant_id: &str, client_id: &str| -> Arc<dyn Journal> {
            match &file {
                Some(file) => Arc::new(Owner::new(Arc::clone(file), tenant_id, client_id)),
                None => Arc::new(Unshared),
            }
        };
        Ok(Self::following(before, config, journal, now))
    }

    /// The same, written down wherever `journal` says for a tenant and an application.
    pub fn over(config: &Config, journal: impl Fn(&str, &str) -> Arc<dyn Journal>, now: WallClock) -> Self {
        Self::following(&Self { budgets: Vec::new() }, config, journal, now)
    }

    fn following(
        before: &Self,
        config: &Config,
        journal: impl Fn(&str, &str) -> Arc<dyn Journal>,
        now: WallClock,
    ) -> Self {
        let mut budgets: Vec<(Spender, Terms, JournaledBudget)> = Vec::new();
        for input in &config.inputs {
            let spender = Spender::of(input);
            if budgets.iter().any(|(known, ..)| *known == spender) {
                continue;
            }
            let inputs = || config.inputs.iter().filter(|other| Spender::of(other) == spender);
            let share = inputs().map(|input| input.quota_share).fold(1.0, f64::min);
            let limits: Vec<Window> = inputs().flat_map(|input| &input.limits).map(window).collect();
            let terms = Terms { share, limits };
            let goes_on = before.budgets.iter().find(|(known, were, _)| (known, were) == (&spender, &terms));
            if let Some((.., budget)) = goes_on {
                budgets.push((spender, terms, budget.clone()));
                continue;
            }
            let journal = journal(&spender.tenant_id, &spender.client_id);
            let budget = InMemoryBudget::new(terms.share, terms.limits.clone());
            budgets.push((spender, terms, JournaledBudget::new(budget, journal, Arc::clone(&now))));
        }
        Self { budgets }
    }

    /// The budget that an input spends from.
    #[must_use]
    pub fn of(&self, input: &Input) -> TenantBudget {
        let spender = Spender::of(input);
        let found = self.budgets.iter().find(|(known, ..)| *known == spender);
        let (.., budget) = found.expect("every input of the configuration has its budget");
        TenantBudget { tenant: input.name.clone(), budget: budget.clone() }
    }
}

/// The budget of an input, and of all others that call as the same application. Clones share it.
#[derive(Clone)]
pub struct TenantBudget {
    /// Name of the input, for the log.
    tenant: String,
    /// What is spent.
    budget: JournaledBudget,
}

impl TenantBudget {
    /// The same for one service, whose own limits hold as well.
    #[must_use]
    pub fn of_service(&self, service: &ServiceConfig) -> Self {
        if service.limits.is_empty() {
            return self.clone();
        }
        let limits = service.limits.iter().map(window).collect();
        Self { tenant: self.tenant.clone(), budget: self.budget.with_limits(limits) }
    }

    /// How full every quota is, with what other processes have written down until now.
    ///
    /// # Errors
    /// A file that cannot be read; what this process knows is in [`snapshot`](Self::snapshot) all the same.
    pub async fn current(&self) -> Result<Vec<BucketUse>, QuotaError> {
        self.budget.catch_up().await?;
        Ok(self.budget.snapshot())
    }

    /// How full every quota is, as far as this process knows.
    #[must_use]
    pub fn snapshot(&self) -> Vec<BucketUse> {
        self.budget.snapshot()
    }
}

#[async_trait::async_trait]
impl Budget for TenantBudget {
    async fn acquire(&self, family: Family, priority: Priority) -> Permit {
        let permit = self.budget.acquire(family, priority).await;
        if Mistake::CountedAtSending.is_made() {
            permit.answered();
            return Permit::new(|| ());
        }
        permit
    }

    /// Whoever keeps to the limits is refused only where somebody else spends too, or where the limits are smaller.
    fn throttled(&self, family: Family, throttle: &Throttle) {
        let used = self.budget.snapshot().into_iter().find(|bucket| bucket.family == Some(family));
        let windows: &[WindowUse] = used.as_ref().map_or(&[], |bucket| &bucket.windows);
        events::refused(&self.tenant, family.name(), cause(family, throttle, windows), windows, throttle.after);
        self.budget.throttled(family, throttle);
    }
}

/// The likely cause of a 429, from the server's words and from what we have spent ourselves.
fn cause(family: Family, throttle: &Throttle, ours: &[WindowUse]) -> &'static str {
    let limits = family.limits();
    let documented = |period: Duration| if period <= MINUTE { limits.per_minute } else { limits.per_hour };
    let smaller = |allowed: &Allowed| allowed.calls < documented(allowed.period);
    if throttle.computing {
        "the tenant's computing time for queries is used up"
    } else if throttle.allowed.as_ref().is_some_and(smaller) {
        "Microsoft allows fewer calls than its documentation says; this is kept to from now on"
    } else if ours.iter().all(|window| window.used <= documented(window.period)) {
        "another client uses this application: our own calls alone are within the limit. Give each collector an application of its own, or lower `quota.share`"
    } else {
        "more calls were made than the limit allows"
    }
}

/// A limit of the configuration as a window.
fn window(limit: &CallLimit) -> Window {
    Window { period: limit.period, limit: u32::try_from(limit.calls).unwrap_or(u32::MAX) }
}
