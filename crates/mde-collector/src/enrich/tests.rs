//! The room against the simulator, called in process: every way of every count, on worlds of all sizes.

mod equal;
mod trouble;

use super::*;
use crate::record::{EntityKey, Identity, RawObject, StreamKey};
use crate::service::{self, Count, Method, ServiceDef};
use crate::simulation::InProcess;
use crate::store::{Counts, sqlite};
use async_trait::async_trait;
use mde_client::auth::{ClientSecret, Secret, SecretSource, TokenEndpoint, Tokens};
use mde_client::budget::{Budget, Permit, Priority, Throttle};
use mde_client::limits::Family;
use mde_client::query::Query;
use mde_client::{Client, Get, Url};
use mde_sim::{Sim, SimConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a test's entities have: id, then each count in the order of the table.
type Table = BTreeMap<String, Vec<Option<u64>>>;

/// A budget without limits: what is asked is what counts here.
struct Plenty;

#[async_trait]
impl Budget for Plenty {
    async fn acquire(&self, _: Family, priority: Priority) -> Permit {
        assert_eq!(priority, Priority::Enrichment, "counts come behind everything else");
        Permit::new(|| ())
    }

    fn throttled(&self, _: Family, _: &Throttle) {}
}

/// A budget of so many calls.
struct Few(Semaphore);

impl Few {
    fn new(calls: usize) -> Self {
        Self(Semaphore::new(calls))
    }
}

#[async_trait]
impl Budget for Few {
    async fn acquire(&self, _: Family, _: Priority) -> Permit {
        self.0.acquire().await.expect("it is never closed").forget();
        Permit::new(|| ())
    }

    fn throttled(&self, _: Family, _: &Throttle) {}
}

/// A tenant, and a store for its counts.
#[derive(Clone)]
struct Bench {
    sim: Arc<Sim>,
    client: Client,
    store: Arc<dyn Counts>,
}

impl Bench {
    async fn new(config: SimConfig) -> Self {
        let sim = Arc::new(Sim::start(SimConfig { quota: BTreeMap::new(), ..config }).await.expect("loopback"));
        let transport = Arc::new(InProcess(Arc::clone(&sim)));
        let credentials = sim.credentials();
        let base = Url::parse(&sim.base_url()).expect("an address");
        let identity = ClientSecret {
            endpoint: TokenEndpoint::new(&base, &credentials.tenant_id).expect("an address"),
            client_id: credentials.client_id,
            secret: SecretSource::Fixed(Secret::new(&credentials.client_secret)),
            scope: "https://api.securitycenter.microsoft.com/.default".to_owned(),
        };
        let tokens = Arc::new(Tokens::new(identity, Arc::<InProcess>::clone(&transport)));
        let client = Client::new(base, transport, tokens, Arc::new(Plenty)).expect("loopback");
        let store = Arc::new(sqlite::open_memory(Arc::new(now_ms)).await.expect("a store"));
        Self { sim, client, store }
    }

    /// A reader of all counts of a service in that way.
    fn enricher(&self, def: &'static ServiceDef, method: Method) -> Arc<Enricher> {
        self.enricher_of(def, def.counts.iter().collect(), method)
    }

    fn enricher_of(&self, def: &'static ServiceDef, counts: Vec<&'static Count>, method: Method) -> Arc<Enricher> {
        let stream = StreamKey { tenant: format!("{method:?}"), service: def.name.to_owned(), query: None };
        let streams = vec![(stream.clone(), counts.clone())];
        let seam = (Arc::clone(&self.store), Arc::new(now_ms) as _);
        let shared = Shared::new(seam, std::env::temp_dir(), streams);
        let rules = Rules { method, max_age: Duration::from_secs(6 * 3_600), share: 0.8, alone: false };
        Arc::new(Enricher::new(shared, self.client.clone(), stream, counts, rules))
    }

    /// Readers of two services of one tenant.
    fn pair(
        &self,
        one: (&'static ServiceDef, Vec<&'static Count>),
        other: (&'static ServiceDef, Vec<&'static Count>),
        method: Method,
    ) -> (Enricher, Enricher) {
        let stream =
            |def: &ServiceDef| StreamKey { tenant: "one".to_owned(), service: def.name.to_owned(), query: None };
        let streams = [&one, &other].map(|(def, counts)| (stream(def), counts.clone()));
        let seam = (Arc::clone(&self.store), Arc::new(now_ms) as _);
        let shared = Shared::new(seam, std::env::temp_dir(), streams.into());
        let rules = Rules { method, max_age: Duration::from_secs(6 * 3_600), share: 0.8, alone: false };
        let enricher =
            |(def, counts)| Enricher::new(Arc::clone(&shared), self.client.clone(), stream(def), counts, rules);
        (enricher(one), enricher(other))
    }

    /// The rows of a service's list.
    async fn rows(&self, def: &'static ServiceDef) -> Vec<Vec<u8>> {
        let query = def.endpoint.expand.map_or_else(Query::new, |expand| Query::new().expand(expand));
        let get = Get::new(def.endpoint.path, def.endpoint.family, Priority::Enrichment).query(query);
        let mut rows = Vec::new();
        let mut keep = |row: &[u8]| {
            rows.push(row.to_vec());
            Ok(())
        };
        list::List::new(&self.client, get, None).all(&mut keep).await.expect("a list");
        rows
    }

    /// All counts of a service, as events would have them.
    async fn counts(&self, def: &'static ServiceDef, enricher: &Enricher) -> Table {
        let snapshot = matches!(def.pull[0], service::Pull::Snapshot { .. });
        let entities = match snapshot {
            true => {
                let get = Get::new(def.endpoint.path, def.endpoint.family, Priority::Enrichment);
                Some(enricher.census(get, def.endpoint.page_cap).await.expect("a list"))
            }
            false => None,
        };
        assert!(enricher.prepare(entities, true, None).await.expect("it works"));
        let rows = self.rows(def).await;
        let first = self.look(enricher, &rows).await;
        if first.1 == 0 {
            return first.0;
        }
        assert!(enricher.settle(false, None).await.expect("it works"));
        let second = self.look(enricher, &rows).await;
        assert_eq!(second.1, 0, "nothing is left to wait for");
        second.0
    }

    /// Counts as they are known, and how many rows wait for some.
    async fn look(&self, enricher: &Enricher, rows: &[Vec<u8>]) -> (Table, usize) {
        let records: Vec<_> = rows.iter().map(|row| RawObject::parse(row).expect("JSON")).collect();
        let ids: Vec<_> = records.iter().map(|record| record.text("id").expect("a text").into_owned()).collect();
        let named: Vec<_> =
            ids.iter().zip(&records).map(|(id, record)| (enricher.key(id), id.as_str(), record)).collect();
        let counted = enricher.counts(&named, false).await.expect("a store");
        (ids.into_iter().zip(counted.values).collect(), counted.pending.len())
    }
}

impl Enricher {
    /// That is refused, as if a role for it were missing.
    fn deny(&self, what: &'static str) {
        self.shared().deny(what);
    }

    /// Exports are read as of a tenant so large that files are advised.
    fn count_in_files(&self) {
        self.shared().has(u64::MAX);
    }

    /// Names an entity of the stream.
    fn key(&self, id: &str) -> EntityKey {
        let stream = self.stream();
        EntityKey(Identity::new(&stream.tenant, &stream.service, [id]).key().0)
    }
}

/// The time that never passes here. Unit: milliseconds since 1970, UTC.
fn now_ms() -> i64 {
    1_800_000_000_000
}
