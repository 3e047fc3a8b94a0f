//! Hunting queries: one posted, its rows back as a stream; the Defender endpoint and the Graph one behind one call.

mod refusal;
mod sidecars;

use crate::answer::Success;
use crate::budget::Priority;
use crate::client::{Call, Client};
use crate::error::{Context, Error, ErrorKind, ServerDate};
use crate::limits::{self, Family};
use crate::query::Query;
use crate::rows::Rows;
use crate::rows::layout::Layout;
use crate::time::write_time;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

pub use crate::rows::layout::Column;
pub(crate) use refusal::kind as refused_as;

/// How much longer than the vendor lets a query run we wait for the head of its answer.
const GRACE: Duration = Duration::from_secs(30);

/// The two endpoints that run hunting queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Of the Defender API. It stops answering at [`limits::DEFENDER_HUNTING_END_MS`].
    Defender,
    /// Of Microsoft Graph.
    Graph,
}

impl Endpoint {
    /// Where it lies, below the base of its API.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Defender => "/api/advancedqueries/run",
            Self::Graph => "/v1.0/security/runHuntingQuery",
        }
    }

    /// The application role that it asks for.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Defender => "AdvancedQuery.Read.All",
            Self::Graph => "ThreatHunting.Read.All",
        }
    }

    /// The budget that its calls spend from.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Defender => Family::Hunting,
            Self::Graph => Family::GraphHunting,
        }
    }

    /// Whether a token with those roles (see [`Token::roles`](crate::auth::Token::roles)) may call it.
    #[must_use]
    pub fn permitted(self, roles: Option<&[String]>) -> Permitted {
        match roles {
            None => Permitted::Perhaps,
            Some(roles) if roles.iter().any(|role| role == self.role()) => Permitted::Yes,
            Some(_) => Permitted::No,
        }
    }

    /// The endpoint to use: one that is surely permitted before one that is perhaps, and of equals Graph, since the
    /// other is being retired. `None`: neither is permitted.
    #[must_use]
    pub fn preferred(defender: Permitted, graph: Permitted) -> Option<Self> {
        match (defender, graph) {
            (_, Permitted::Yes) => Some(Self::Graph),
            (Permitted::Yes, _) => Some(Self::Defender),
            (_, Permitted::Perhaps) => Some(Self::Graph),
            (Permitted::Perhaps, _) => Some(Self::Defender),
            (Permitted::No, Permitted::No) => None,
        }
    }
}

/// Whether an application may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permitted {
    /// Its token has the role.
    Yes,
    /// Its token cannot be read.
    Perhaps,
    /// Its token lacks the role, or there is none.
    No,
}

/// A hunting query.
#[derive(Clone)]
pub struct Hunt {
    /// The KQL, as it is sent.
    query: String,
    /// From and to. Unit: milliseconds since 1970, UTC.
    timespan: Option<(i64, i64)>,
    /// Who waits longer when the budget is short.
    priority: Priority,
}

impl Hunt {
    /// That query over all the days that the service keeps.
    #[must_use]
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), timespan: None, priority: Priority::Hunting }
    }

    /// The same, and the service need look at no other time. Only Graph can be told so; a query whose meaning depends
    /// on its time has to say it itself. Unit: milliseconds since 1970, UTC.
    #[must_use]
    pub fn within(self, from_ms: i64, to_ms: i64) -> Self {
        Self { timespan: Some((from_ms, to_ms)), ..self }
    }

    /// The same with another urgency than [`Priority::Hunting`].
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// What is posted. Fails on a time that four digits of a year cannot hold.
    fn body(&self, endpoint: Endpoint) -> Result<Vec<u8>, Error> {
        /// The body of either endpoint; its keys are read with case.
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Body<'a> {
            query: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            timespan: Option<String>,
        }
        let time = |ms| {
            let time = write_time(ms).filter(|time| !time.starts_with('-'));
            time.ok_or_else(|| Error::config("build a hunting query", "a time is outside the years 0 to 9999"))
        };
        let timespan = match (endpoint, self.timespan) {
            (Endpoint::Graph, Some((from, to))) => Some(format!("{}/{}", time(from)?, time(to)?)),
            _ => None,
        };
        Ok(serde_json::to_vec(&Body { query: &self.query, timespan }).expect("strings are always JSON"))
    }
}

impl fmt::Debug for Hunt {
    /// Its length: a query can hold customer data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hunt({} bytes, {:?})", self.query.len(), self.priority)
    }
}

/// Runs queries at one endpoint.
#[derive(Debug, Clone)]
pub struct Hunter {
    /// A client of the API to which the endpoint belongs.
    client: Client,
    /// The endpoint.
    endpoint: Endpoint,
}

impl Hunter {
    /// A hunter at that endpoint; the client is one of the endpoint's API.
    #[must_use]
    pub fn new(client: Client, endpoint: Endpoint) -> Self {
        Self { client, endpoint }
    }

    /// A hunter at the endpoint that [`Endpoint::preferred`] names, for clients of the APIs that are configured. Asks
    /// for their tokens.
    ///
    /// Where neither is permitted it fails with the reason why an API gave no token, else with `Forbidden` and the
    /// roles of which one is needed.
    pub async fn choose(defender: Option<&Client>, graph: Option<&Client>) -> Result<Self, Error> {
        let mut failure = None;
        let mut permitted = [Permitted::No; 2];
        let candidates = [(Endpoint::Defender, defender), (Endpoint::Graph, graph)];
        for (permitted, (endpoint, client)) in permitted.iter_mut().zip(candidates) {
            let Some(client) = client else { continue };
            match client.tokens().token().await {
                Ok(token) => *permitted = endpoint.permitted(token.roles().as_deref()),
                Err(error) => failure = Some(error),
            }
        }
        let chosen = Endpoint::preferred(permitted[0], permitted[1]);
        let client = match chosen {
            Some(Endpoint::Defender) => defender,
            Some(Endpoint::Graph) => graph,
            None => None,
        };
        match (chosen, client) {
            (Some(endpoint), Some(client)) => Ok(Self::new(client.clone(), endpoint)),
            _ => Err(failure.unwrap_or_else(|| {
                let missing = [Endpoint::Graph, Endpoint::Defender].map(|endpoint| endpoint.role().to_owned()).into();
                let context = Context { action: "choose an endpoint for hunting".into(), ..Context::default() };
                Error::new(ErrorKind::Forbidden { missing }, context)
            })),
        }
    }

    /// The endpoint.
    #[must_use]
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Runs a query: a 200 whose rows are still arriving, or an error.
    ///
    /// The kinds that belong to queries: `ResultTooLarge` (ask for less, for example half the time), `QueryRefused`,
    /// `UnknownColumn`, `UnknownTable`.
    pub async fn run(&self, hunt: &Hunt) -> Result<Hunted, Error> {
        let endpoint = self.endpoint;
        let call = Call {
            path: endpoint.path(),
            query: &Query::new(),
            posted: Some(hunt.body(endpoint)?.into()),
            family: endpoint.family(),
            priority: hunt.priority,
            patience: Duration::from_secs(limits::HUNTING_SECONDS_CAP) + GRACE,
            context: Context {
                action: format!("run a query at {}", endpoint.path()),
                family: Some(endpoint.family()),
                ..Context::default()
            },
        };
        let Success { context, body, .. } = self.client.call(call).await?;
        let rows = Rows::new(body, Layout::Hunting, self.client.options().entity_cap);
        let (date, request_id) = (context.date, context.request_id);
        Ok(Hunted { date, request_id, rows, sidecars: endpoint == Endpoint::Graph, stripped: Vec::new() })
    }
}

/// The rows of a query that are still arriving. They are a success only once [`Hunted::next`] has answered `None`.
#[derive(Debug)]
pub struct Hunted {
    /// `Date` of the answer.
    pub date: Option<ServerDate>,
    /// The vendor's id of this request.
    pub request_id: Option<String>,
    /// The rows as they come.
    rows: Rows,
    /// Whether rows come with keys that describe others.
    sidecars: bool,
    /// The last row without such keys; its room is kept from row to row.
    stripped: Vec<u8>,
}

impl Hunted {
    /// The next row; `None` once the answer has been read whole. A row is byte for byte as it came, but for Graph's
    /// sidecar keys (`Column@odata.type`), which are left out.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        let Self { rows, sidecars, stripped, .. } = self;
        Ok(match rows.next().await? {
            Some(row) if *sidecars => Some(sidecars::strip(row, stripped)),
            row => row,
        })
    }

    /// The columns, as soon as they have been read, which both endpoints write before the rows; `None` where the answer
    /// does not name them.
    #[must_use]
    pub fn columns(&self) -> Option<&[Column]> {
        self.rows.annotations().columns.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_is_preferred_and_a_known_role_goes_before_an_unknown_one() {
        use Permitted::{No, Perhaps, Yes};
        for (defender, graph, endpoint) in [
            (Yes, Yes, Some(Endpoint::Graph)),
            (Yes, No, Some(Endpoint::Defender)),
            (Yes, Perhaps, Some(Endpoint::Defender)),
            (Perhaps, Yes, Some(Endpoint::Graph)),
            (Perhaps, Perhaps, Some(Endpoint::Graph)),
            (Perhaps, No, Some(Endpoint::Defender)),
            (No, Perhaps, Some(Endpoint::Graph)),
            (No, No, None),
        ] {
            assert_eq!(Endpoint::preferred(defender, graph), endpoint, "{defender:?} {graph:?}");
        }
        let roles = ["AdvancedQuery.Read.All".to_owned()];
        assert_eq!(Endpoint::Defender.permitted(Some(&roles)), Yes);
        assert_eq!(Endpoint::Graph.permitted(Some(&roles)), No);
        assert_eq!(Endpoint::Graph.permitted(None), Perhaps);
    }

    #[test]
    fn only_graph_is_told_the_time_and_any_query_arrives_whole() {
        let query = "T | where x == \"ä\\\u{1F511}\"\n// end";
        let hunt = Hunt::new(query).within(0, 86_400_000);
        for (endpoint, timespan) in
            [(Endpoint::Defender, None), (Endpoint::Graph, Some("1970-01-01T00:00:00.000Z/1970-01-02T00:00:00.000Z"))]
        {
            let body: serde_json::Value =
                serde_json::from_slice(&hunt.body(endpoint).expect("in range")).expect("JSON");
            assert_eq!((body["Query"].as_str(), body["Timespan"].as_str()), (Some(query), timespan));
            assert_eq!(body.as_object().map(serde_json::Map::len), Some(1 + usize::from(timespan.is_some())));
        }
        assert!(hunt.within(i64::MIN, 0).body(Endpoint::Graph).is_err());
        assert!(!format!("{:?}", Hunt::new("tell-tale")).contains("tell"));
    }
}
