//! Hunting queries through the client: both endpoints, every refusal, the quota of computing time.

use crate::script::{End, Reply, SECRET, Script, client, jwt, tokens};
use mde_client::budget::{Budget, InMemoryBudget};
use mde_client::hunting::{Column, Endpoint, Hunt, Hunter};
use mde_client::limits::Family;
use mde_client::retry::Retry;
use mde_client::{Client, Error, ErrorKind, Transport, Url};
use std::sync::Arc;
use std::time::Duration;

/// A Defender answer: capitals, statistics, no sidecars.
const DEFENDER: &str = r#"{"Stats":{"cpu":99},"Schema":[{"Name":"Time","Type":"DateTime"},{"Name":"Flag","Type":"SByte"}],
 "Results":[{"Time":"2026-11-24T09:00:00.1Z","Flag":1},{"Time":null,"Flag":0}]}"#;

/// The same rows as Graph gives them.
const GRAPH: &str = r##"{"@odata.context":"c","schema":[{"name":"Time","type":"DateTime"},{"name":"Flag","type":"SByte"}],
 "results":[{"Time":"2026-11-24T09:00:00.1Z","Flag@odata.type":"#SByte","Flag":1},{"Time":null,"Flag@odata.type":"#SByte","Flag":0}]}"##;

/// Runs a query that is answered so: its rows and its columns.
async fn hunt(endpoint: Endpoint, reply: Reply) -> Result<(Vec<String>, Option<Vec<Column>>), Error> {
    let (client, _) = client(&Script::new([reply]));
    let mut hunted = Hunter::new(client, endpoint).run(&Hunt::new("DeviceEvents")).await?;
    let mut rows = Vec::new();
    while let Some(row) = hunted.next().await? {
        rows.push(String::from_utf8(row.to_vec()).expect("test text"));
    }
    Ok((rows, hunted.columns().map(<[Column]>::to_vec)))
}

fn refused(status: u16, message: &str) -> Reply {
    let body = serde_json::json!({"error": {"code": "BadRequest", "message": message, "target": "8f1d"}});
    Reply::new(status, body.to_string())
}

#[tokio::test]
async fn a_row_is_the_same_from_both_endpoints_in_any_pieces() {
    let expected = [r#"{"Time":"2026-11-24T09:00:00.1Z","Flag":1}"#, r#"{"Time":null,"Flag":0}"#];
    for size in [1, 3, 17, 10_000] {
        let (defender, first) =
            hunt(Endpoint::Defender, Reply::new(200, DEFENDER).in_pieces(size)).await.expect("rows");
        let (graph, second) = hunt(Endpoint::Graph, Reply::new(200, GRAPH).in_pieces(size)).await.expect("rows");
        assert_eq!((&defender[..], &graph[..]), (&expected.map(String::from)[..], &expected.map(String::from)[..]));
        let column = |name: &str, kind: &str| Column { name: name.into(), kind: kind.into() };
        let columns = Some(vec![column("Time", "DateTime"), column("Flag", "SByte")]);
        assert_eq!((&first, &second), (&columns, &columns));
    }
}

#[tokio::test]
async fn the_columns_are_known_with_the_first_row() {
    let (client, _) = client(&Script::new([Reply::new(200, DEFENDER)]));
    let mut hunted = Hunter::new(client, Endpoint::Defender).run(&Hunt::new("T")).await.expect("a head");
    assert_eq!(hunted.columns(), None);
    assert!(hunted.next().await.expect("a row").is_some());
    assert_eq!(hunted.columns().map(<[Column]>::len), Some(2));
}

#[tokio::test]
async fn a_query_is_posted_below_the_base_and_spends_from_its_own_family() {
    for (endpoint, url, family, body) in [
        (
            Endpoint::Defender,
            "https://api.example/prefix/api/advancedqueries/run",
            Family::Hunting,
            r#"{"Query":"T | take 1 // ä"}"#,
        ),
        (
            Endpoint::Graph,
            "https://api.example/prefix/v1.0/security/runHuntingQuery",
            Family::GraphHunting,
            r#"{"Query":"T | take 1 // ä","Timespan":"1970-01-01T00:00:00.000Z/1970-01-01T00:00:01.000Z"}"#,
        ),
    ] {
        let script = Script::new([Reply::new(200, GRAPH)]);
        let (client, budget) = client(&script);
        let query = Hunt::new("T | take 1 // ä").within(0, 1_000);
        let mut hunted = Hunter::new(client, endpoint).run(&query).await.expect("a head");
        while hunted.next().await.expect("rows").is_some() {}
        let request = script.asked().pop().expect("one request");
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", url));
        assert_eq!(request.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(request.body.as_deref(), Some(body.as_bytes()));
        assert_eq!(script.tokens(), ["Bearer token-0"]);
        let spent: Vec<_> = budget.snapshot().into_iter().filter(|bucket| bucket.windows[0].used > 0).collect();
        assert_eq!(spent.iter().map(|bucket| bucket.family).collect::<Vec<_>>(), [Some(family)]);
    }
}

#[tokio::test]
async fn a_query_may_run_as_long_as_the_vendor_lets_it() {
    tokio::time::pause();
    let slow = |seconds| Reply::new(200, DEFENDER).after(Duration::from_secs(seconds));
    assert_eq!(hunt(Endpoint::Defender, slow(200)).await.expect("slow, and in time").0.len(), 2);
    assert_eq!(hunt(Endpoint::Defender, slow(1_000)).await.expect_err("too late").kind(), &ErrorKind::Timeout);
}

#[tokio::test]
async fn each_refusal_of_a_query_has_its_kind_and_is_not_tried_again() {
    let column = |name: &str| ErrorKind::UnknownColumn { name: Some(name.into()) };
    for (message, kind) in [
        ("Query execution has exceeded the allowed result size. Optimize your query.", ErrorKind::ResultTooLarge),
        ("Query exceeded the timeout period.", ErrorKind::ResultTooLarge),
        ("'where' operator: Failed to resolve scalar expression named 'Tiem'. Fix semantic errors.", column("Tiem")),
        ("A recognition error occurred.", ErrorKind::QueryRefused),
        ("Failed to resolve table or column expression named 'T'", ErrorKind::UnknownTable { name: Some("T".into()) }),
        ("Request body is incorrect", ErrorKind::BadRequest),
    ] {
        for endpoint in [Endpoint::Defender, Endpoint::Graph] {
            let error = hunt(endpoint, refused(400, message)).await.expect_err("refused");
            assert_eq!((error.kind(), error.retry()), (&kind, Retry::Never), "{message}");
        }
    }
    let error =
        hunt(Endpoint::Defender, refused(400, "failed to resolve column named 'Tiem'")).await.expect_err("refused");
    let text = error.to_string();
    assert!(
        text.starts_with("run a query at /api/advancedqueries/run: the query names an unknown column, Tiem"),
        "{text}"
    );
}

#[tokio::test]
async fn the_words_of_a_refused_query_mean_nothing_elsewhere() {
    let (client, _) = client(&Script::new([refused(400, "Query exceeded the timeout period.")]));
    let error = client.get(&crate::script::alerts()).await.expect_err("refused");
    assert_eq!(error.kind(), &ErrorKind::BadRequest);
}

#[tokio::test]
async fn every_malformed_ending_of_an_answer_is_a_named_error() {
    for (body, end, kind) in [
        (r#"{"Schema":[],"Results":[{"A":1}"#, End::Whole, ErrorKind::BodyCut),
        (r#"{"Schema":[],"Results":[{"A":1}]"#, End::Whole, ErrorKind::BodyCut),
        (r#"{"Schema":[],"Results":[{"A":1}]}"#, End::Cut, ErrorKind::BodyCut),
        (r#"{"Schema":[],"Results":[{"A":1}]}x"#, End::Whole, ErrorKind::NotJson),
        (r#"{"Schema":[],"Results":[],"results":[]}"#, End::Whole, ErrorKind::NotJson),
        (r#"{"Schema":[]}"#, End::Whole, ErrorKind::NotJson),
        ("<html>", End::Whole, ErrorKind::NotJson),
    ] {
        let error = hunt(Endpoint::Graph, Reply::new(200, body).end(end)).await.expect_err(body);
        assert_eq!(error.kind(), &kind, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_computing_time_is_waited_out_and_takes_nothing_from_the_quota_of_calls() {
    let used_up = "You have exceeded processing resources allocated to this tenant.";
    let dated = |reply: Reply| reply.header("date", "Tue, 24 Nov 2026 09:05:00 GMT");
    for (reply, wait, limit) in [
        (dated(refused(429, &format!("{used_up} You can run queries again in 00:12:30."))), 750, 45),
        (dated(refused(429, used_up).header("retry-after", "9")), 9, 45),
        (dated(refused(429, used_up)), 600, 45),
        (refused(429, used_up), 900, 45),
        // Without a word about computing time it is a quota of calls, as elsewhere.
        (dated(refused(429, "again in 8 seconds")), 8, 36),
    ] {
        let (client, budget) = client(&Script::new([reply]));
        let error = Hunter::new(client, Endpoint::Graph).run(&Hunt::new("T")).await.expect_err("throttled");
        assert_eq!(error.kind(), &ErrorKind::Throttled { after: Some(Duration::from_secs(wait)) });
        let bucket = &budget.snapshot()[Family::GraphHunting as usize];
        assert_eq!((bucket.blocked_for.as_secs(), bucket.windows[0].limit), (wait, limit));
        assert_eq!(bucket.windows[1].limit, 1_500);
    }
}

#[tokio::test]
async fn graphs_errors_name_their_request_although_the_body_hides_it() {
    for key in ["innerError", "innererror"] {
        let body = format!(
            r#"{{"error":{{"code":"","message":"no","details":[],"{key}":{{"date":"x","request-id":"6ae9-1"}}}}}}"#
        );
        let error = hunt(Endpoint::Graph, Reply::new(400, body)).await.expect_err("refused");
        assert_eq!((error.code(), error.request_id()), (None, Some("6ae9-1")));
    }
}

/// A client whose token comes from the script.
fn with_tokens(script: &Arc<Script>) -> Client {
    let budget: Arc<dyn Budget> = Arc::new(InMemoryBudget::new(1.0, Vec::new()));
    let base = Url::parse("https://api.example").expect("an address");
    Client::new(base, Arc::clone(script) as Arc<dyn Transport>, tokens(script), budget).expect("a good base")
}

#[tokio::test]
async fn the_endpoint_is_chosen_by_the_roles_in_the_tokens() {
    let (query, hunting) = (r#"{"roles":["AdvancedQuery.Read.All"]}"#, r#"{"roles":["ThreatHunting.Read.All"]}"#);
    let nothing = r#"{"roles":["Alert.Read.All"]}"#;
    let chosen = async |defender: Reply, graph: Reply| {
        let (defender, graph) = (with_tokens(&Script::new([defender])), with_tokens(&Script::new([graph])));
        Hunter::choose(Some(&defender), Some(&graph)).await.map(|hunter| hunter.endpoint())
    };
    let token = |claims: &str| Reply::token(&jwt(claims), 3_599);
    let none = || Reply::new(401, r#"{"error":"invalid_client","error_codes":[7000215]}"#);
    assert_eq!(chosen(token(query), token(hunting)).await.expect("both"), Endpoint::Graph);
    assert_eq!(chosen(token(query), token(nothing)).await.expect("one"), Endpoint::Defender);
    assert_eq!(chosen(token(query), none()).await.expect("one"), Endpoint::Defender);
    assert_eq!(chosen(token(nothing), Reply::token("opaque", 3_599)).await.expect("perhaps"), Endpoint::Graph);

    let error = chosen(token(nothing), token(nothing)).await.expect_err("neither");
    let missing = vec!["ThreatHunting.Read.All".to_owned(), "AdvancedQuery.Read.All".to_owned()];
    assert_eq!(error.kind(), &ErrorKind::Forbidden { missing });
    let error = chosen(none(), none()).await.expect_err("no token");
    assert!(matches!(error.kind(), ErrorKind::Token(_)), "{error}");

    let only = with_tokens(&Script::new([token(query)]));
    assert_eq!(Hunter::choose(Some(&only), None).await.expect("the one there is").endpoint(), Endpoint::Defender);
}

#[tokio::test]
async fn no_output_shows_a_query_or_a_row() {
    let script = Script::new([refused(400, &format!("Syntax error near '{SECRET}'")), Reply::new(200, GRAPH)]);
    let (client, _) = client(&script);
    let hunter = Hunter::new(client, Endpoint::Graph);
    let hunt = Hunt::new(format!("T | where x == '{SECRET}'"));
    let error = hunter.run(&hunt).await.expect_err("refused");
    let hunted = hunter.run(&hunt).await.expect("a head");
    let shown = format!("{error} {error:?} {hunt:?} {hunter:?} {hunted:?} {:?}", script.asked());
    assert!(!shown.contains(SECRET) && !shown.contains("2026-11-24"), "{shown}");
}
