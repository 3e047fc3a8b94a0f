//! Hunting: what is posted, and rows of both APIs.

use crate::script::{Reply, Script, client, spent};
use mde_client::ErrorKind;
use mde_client::hunting::HuntingApi;
use mde_client::limits::Family;

const QUERY: &str = "DeviceLogonEvents\n| where AccountName == \"a\\\\b\" // \u{e9}";

#[tokio::test]
async fn a_query_is_posted_as_it_is_and_spends_from_the_hunting_budget() {
    let answer = r#"{"Stats":{"cpu":9},"Schema":[{"Name":"Timestamp","Type":"DateTime"},{"Name":"N","Type":"Int64"}],
        "Results":[{"Timestamp":"2026-11-24T00:00:00Z","N":1}, {"N":2}]}"#;
    let script = Script::new([Reply::new(200, answer).in_pieces(7)]);
    let (client, budget) = client(&script);
    let mut answer = client.hunt(HuntingApi::Defender, QUERY).await.expect("200");
    let mut rows = Vec::new();
    while let Some(row) = answer.page.next().await.expect("rows") {
        rows.push(String::from_utf8(row.to_vec()).expect("text"));
    }
    assert_eq!(rows, [r#"{"Timestamp":"2026-11-24T00:00:00Z","N":1}"#, r#"{"N":2}"#]);
    let end = answer.page.rest().await.expect("the end");
    assert_eq!(end.columns, Some(vec!["Timestamp".to_owned(), "N".to_owned()]));
    let asked = script.asked().pop().expect("one request");
    assert_eq!((asked.method.as_str(), asked.url.path()), ("POST", "/prefix/api/advancedqueries/run"));
    assert_eq!(asked.headers["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_slice(&asked.body.expect("a body")).expect("JSON");
    assert_eq!(body, serde_json::json!({ "Query": QUERY }));
    assert_eq!(budget.snapshot()[Family::Hunting as usize].windows[1].used, 1);
    assert_eq!(spent(&budget), 0);
}

#[tokio::test]
async fn graph_answers_in_another_case_and_means_the_same() {
    let answer = r#"{"@odata.context":"c","schema":[{"name":"A","type":"String"}],"results":[{"A":"x"}]}"#;
    let script = Script::new([Reply::new(200, answer)]);
    let mut answer = client(&script).0.hunt(HuntingApi::Graph, QUERY).await.expect("200");
    let end = answer.page.rest().await.expect("the end");
    assert_eq!((end.rows, end.columns), (1, Some(vec!["A".to_owned()])));
    assert_eq!(script.asked()[0].url.path(), "/prefix/v1.0/security/runHuntingQuery");
}

#[tokio::test]
async fn a_refused_query_says_whether_it_gives_too_much_or_is_wrong() {
    for (message, kind) in [
        ("Query execution has exceeded the allowed result size. Optimize your query", ErrorKind::ResultTooLarge),
        ("'where' operator: Failed to resolve column or scalar expression named 'X'", ErrorKind::BadRequest),
    ] {
        let body = format!(r#"{{"error":{{"code":"BadRequest","message":"{message}","target":"t-1"}}}}"#);
        let script = Script::new([Reply::new(400, body)]);
        let error = client(&script).0.hunt(HuntingApi::Defender, QUERY).await.expect_err("400");
        assert_eq!(error.kind(), &kind, "{message}");
        assert!(error.message().is_some(), "what the API says is kept: {error:?}");
    }
}
