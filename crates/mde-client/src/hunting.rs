//! Advanced hunting: a query is posted, its rows come back as a stream. Two APIs take the same query; here they look alike.

use crate::answer::Answer;
use crate::budget::Priority;
use crate::client::Client;
use crate::error::{Context, Error};
use crate::limits::Family;
use crate::query::Query;
use bytes::Bytes;
use serde::Serialize;

/// An API that takes hunting queries. The client's base and token must be of the same API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HuntingApi {
    /// Defender for Endpoint: device tables only. It ends on 2027-02-01. Source: "Advanced hunting API".
    Defender,
    /// Microsoft Graph: all tables. Source: "security: runHuntingQuery".
    Graph,
}

impl HuntingApi {
    /// Below the API's base.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Defender => "/api/advancedqueries/run",
            Self::Graph => "/v1.0/security/runHuntingQuery",
        }
    }

    /// Application role that it demands.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Defender => "AdvancedQuery.Read.All",
            Self::Graph => "ThreatHunting.Read.All",
        }
    }
}

/// The body of a request; its key is read with its case.
#[derive(Serialize)]
struct Body<'a> {
    /// KQL.
    #[serde(rename = "Query")]
    query: &'a str,
}

/// Member of an answer that holds the rows; the two APIs differ in its case.
pub(crate) const RESULTS: &str = "results";

impl Client {
    /// Runs a query: a 200 whose rows are still arriving, or an error. [`PageEnd::columns`](crate::PageEnd::columns) tells the
    /// columns, also where no row came.
    ///
    /// `ResultTooLarge` is a result over the API's size; one over its number of rows ends there without a word.
    pub async fn hunt(&self, api: HuntingApi, query: &str) -> Result<Answer, Error> {
        let context =
            Context { action: "run a hunting query".to_owned(), family: Some(Family::Hunting), ..Context::default() };
        let url = self.base().join(api.path(), &Query::new())?;
        let body = Bytes::from(serde_json::to_vec(&Body { query }).expect("a text has a JSON form"));
        self.call((Family::Hunting, Priority::Hunting), url, Some(body), RESULTS, context).await
    }
}
