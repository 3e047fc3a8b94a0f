//! One call: what is sent, what each answer means, what is spent.

use crate::script::{End, Numbered, Reply, Script, alerts, client, spent, tokens};
use mde_client::auth::{Token, TokenSource};
use mde_client::budget::{Budget, InMemoryBudget, Permit, Priority, Throttle, Window};
use mde_client::limits::Family;
use mde_client::query::{Filter, Query};
use mde_client::retry::Retry;
use mde_client::{Client, Error, ErrorKind, ServerDate, Transport, Url};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The error of one call that is answered so.
async fn failed(reply: Reply) -> Error {
    let (client, _) = client(&Script::new([reply.clone(), reply]));
    client.get(&alerts()).await.expect_err("no success")
}

fn error_body(code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"{message}","target":"8f1d2c3b-0000"}}}}"#)
}

#[tokio::test]
async fn a_call_sends_the_token_and_the_options_below_the_base() {
    let reply = Reply::new(200, r#"{"value":[]}"#)
        .header("date", "Tue, 24 Nov 2026 09:00:00 GMT")
        .header("x-ms-request-id", "abc-1");
    let script = Script::new([reply]);
    let (client, budget) = client(&script);
    let filter = Filter::window("lastUpdateTime", 0, 1).expect("in range");
    let get = alerts().query(Query::new().filter(&filter).expand("evidence"));
    let mut answer = client.get(&get).await.expect("200");
    assert_eq!((answer.status, answer.request_id.as_deref()), (200, Some("abc-1")));
    assert_eq!(answer.date.map(|date| date.unix_ms), Some(1_795_510_800_000));
    assert_eq!(answer.page.rest().await.expect("a page").rows, 0);

    let request = script.asked().pop().expect("one request");
    assert_eq!(
        request.url.as_str(),
        "https://api.example/prefix/api/alerts?$filter=lastUpdateTime%20ge%201970-01-01T00:00:00.000Z\
         %20and%20lastUpdateTime%20lt%201970-01-01T00:00:00.001Z&$expand=evidence"
    );
    assert_eq!(script.tokens(), ["Bearer token-0"]);
    assert_eq!(spent(&budget), 1);
}

#[tokio::test]
async fn each_answer_has_its_kind() {
    let roles =
        "Missing application roles. API required roles: Software.Read.All, application roles: Machine.Read.All.";
    for (status, body, kind, retry) in [
        (400, error_body("InvalidRequestBody", "Request body is incorrect"), ErrorKind::BadRequest, Retry::Never),
        (400, error_body("", ""), ErrorKind::BadRequest, Retry::Never),
        (401, error_body("Unauthorized", "Unauthorized (invalid header)."), ErrorKind::Unauthorized, Retry::Never),
        (401, error_body("Unauthorized", "reason of failure: No Tvm license"), ErrorKind::NotLicensed, Retry::Never),
        (
            403,
            error_body("Forbidden", roles),
            ErrorKind::Forbidden { missing: vec!["Software.Read.All".into()] },
            Retry::Never,
        ),
        (404, error_body("ResourceNotFound", "Machine 1 was not found"), ErrorKind::NotFound, Retry::Never),
        (408, String::new(), ErrorKind::Timeout, Retry::Backoff),
        (500, error_body("InternalServerError", ""), ErrorKind::Server { status: 500, after: None }, Retry::Backoff),
        (502, "<html>Bad gateway</html>".into(), ErrorKind::Server { status: 502, after: None }, Retry::Backoff),
        (503, String::new(), ErrorKind::Server { status: 503, after: None }, Retry::Backoff),
        (302, String::new(), ErrorKind::Unexpected { status: 302 }, Retry::Never),
        (204, String::new(), ErrorKind::Unexpected { status: 204 }, Retry::Never),
    ] {
        let error = failed(Reply::new(status, body.clone())).await;
        assert_eq!(error.kind(), &kind, "{status} {body}");
        assert_eq!(error.retry(), retry, "{status} {body}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.request_id(), body.contains("8f1d").then_some("8f1d2c3b-0000"));
    }
}

#[tokio::test]
async fn an_error_tells_code_text_date_and_request() {
    let reply = Reply::new(404, error_body("ResourceNotFound", "Machine 1 was not found"))
        .header("date", "Tue, 24 Nov 2026 09:00:00 GMT");
    let error = failed(reply).await;
    assert_eq!(error.date().map(|date| date.unix_ms), Some(1_795_510_800_000));
    assert_eq!(
        error.to_string(),
        "read /api/alerts: not found (status 404, code ResourceNotFound, request 8f1d2c3b-0000): Machine 1 was not found"
    );
}

#[tokio::test(start_paused = true)]
async fn a_429_tells_its_wait_and_blocks_the_family() {
    let seen = "API calls quota exceeded! Maximum allowed 30 per 00:01:00 for the key K. \
                You can send requests again in 8 seconds.";
    let script = Script::new([
        Reply::new(429, error_body("429", seen)),
        Reply::new(429, error_body("TooManyRequests", seen)).header("retry-after", "21"),
        Reply::new(429, ""),
    ]);
    let (client, budget) = client(&script);
    for (wait, retry) in [
        (Some(8), Retry::After(Duration::from_secs(8))),
        (Some(21), Retry::After(Duration::from_secs(21))),
        (None, Retry::Backoff),
    ] {
        let error = client.get(&alerts()).await.expect_err("throttled");
        assert_eq!(error.kind(), &ErrorKind::Throttled { after: wait.map(Duration::from_secs) });
        assert_eq!(error.retry(), retry);
        let row = &budget.snapshot()[0];
        assert_eq!(row.blocked_for.as_secs(), wait.unwrap_or(1));
        assert!(row.windows[0].limit <= 30, "the limit in the text is believed");
    }
    assert_eq!(budget.snapshot()[0].throttled, 3);
}

#[tokio::test]
async fn a_401_is_met_with_a_new_token_exactly_once() {
    let refused = || Reply::new(401, error_body("Unauthorized", "expired"));
    let script = Script::new([refused(), Reply::new(200, r#"{"value":[]}"#), refused(), refused()]);
    let (client, budget) = client(&script);
    client.get(&alerts()).await.expect("the second token is good");
    assert_eq!(script.tokens(), ["Bearer token-0", "Bearer token-1"]);
    let error = client.get(&alerts()).await.expect_err("no token is good");
    assert_eq!(error.kind(), &ErrorKind::Unauthorized);
    assert_eq!(script.tokens()[2..], ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(spent(&budget), 4, "each of them is a call");
}

#[tokio::test]
async fn a_licence_refusal_renews_no_token() {
    let script = Script::new([Reply::new(401, error_body("Unauthorized", "Account mode is inactive"))]);
    let (client, _) = client(&script);
    assert_eq!(client.get(&alerts()).await.expect_err("no licence").kind(), &ErrorKind::NotLicensed);
    assert_eq!(script.tokens(), ["Bearer token-0"]);
}

#[tokio::test]
async fn a_refused_identity_spends_no_quota() {
    let script = Script::new([Reply::new(401, r#"{"error":"invalid_client","error_codes":[7000215]}"#)]);
    let budget = InMemoryBudget::new(1.0, Vec::new());
    let shared: Arc<dyn Budget> = Arc::new(budget.clone());
    let base = Url::parse("https://api.example").expect("an address");
    let client = Client::new(base, Arc::clone(&script) as Arc<dyn Transport>, tokens(&script), shared);
    let error = client.expect("a good base").get(&alerts()).await.expect_err("no token");
    assert!(matches!(error.kind(), ErrorKind::Token(refusal) if !refusal.transient), "{error}");
    assert_eq!((spent(&budget), error.family()), (0, None));
}

#[tokio::test]
async fn an_errors_body_is_read_to_its_limit_only() {
    let error = failed(Reply::new(500, vec![b'x'; 10_000]).end(End::Endless)).await;
    assert_eq!(error.kind(), &ErrorKind::Server { status: 500, after: None });
}

#[tokio::test(start_paused = true)]
async fn an_errors_body_that_never_ends_does_not_hide_its_status() {
    let error = failed(Reply::new(503, r#"{"error":"#).end(End::Silence)).await;
    assert_eq!(error.kind(), &ErrorKind::Server { status: 503, after: None });
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_a_timeout_and_frees_its_slot() {
    let script = Script::new([Reply::new(200, "").after(Duration::from_secs(100_000)), Reply::unreachable()]);
    let (client, budget) = client(&script);
    assert_eq!(client.get(&alerts()).await.expect_err("too late").kind(), &ErrorKind::Timeout);
    assert_eq!(client.get(&alerts()).await.expect_err("nobody there").kind(), &ErrorKind::Transport);
    assert_eq!(spent(&budget), 2);
    tokio::time::sleep(Duration::from_secs(3_601)).await;
    assert_eq!(spent(&budget), 0, "an hour after they ended nothing counts any more");
}

#[tokio::test]
async fn no_error_shows_a_token_a_filter_or_a_record() {
    let filter = Filter::bracketed("assignedTo eq 'tell-tale-user'").expect("balanced");
    let get = alerts().query(Query::new().filter(&filter));
    let echo = "you sent Bearer token-0 and $filter=assignedTo eq 'tell-tale-user' to https://a/api?tell-tale=1";
    let replies = [
        Reply::new(400, error_body("tell-tale code", echo)),
        Reply::new(500, error_body("x", "in 'tell-tale' or \\\"tell-tale\\\"")),
        Reply::new(403, error_body("Forbidden", "see https://a/api?tell-tale=1")),
        Reply::new(200, r#"{"value":[{"tell-tale":1"#),
        Reply::unreachable(),
    ];
    let script = Script::new(replies);
    let (client, _) = client(&script);
    for _ in 0..5 {
        let error = match client.get(&get).await {
            Ok(mut answer) => answer.page.rest().await.expect_err("it is cut"),
            Err(error) => error,
        };
        let shown = format!("{error} {error:?} {:?} {client:?} {get:?}", error.message());
        assert!(!shown.contains("tell-tale") && !shown.contains("token-0"), "{shown}");
    }
    assert!(!format!("{:?}", script.asked()).contains("tell-tale"));
}

#[tokio::test]
async fn plain_http_to_another_machine_is_refused_before_anything_is_sent() {
    let script = Script::new([]);
    let transport = Arc::clone(&script) as Arc<dyn Transport>;
    let budget = Arc::new(InMemoryBudget::new(1.0, Vec::new()));
    let base = Url::parse("http://api.example").expect("an address");
    let error = Client::new(base, transport, tokens(&script), budget).expect_err("the token would be readable");
    assert!(matches!(error.kind(), ErrorKind::Config(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_holds_its_slot_until_a_minute_after_its_answer() {
    let page = || Reply::new(200, r#"{"value":[]}"#);
    let script = Script::new([page().after(Duration::from_secs(30)), page()]);
    let (client, _) = client(&script);
    let one_a_minute = Window { period: Duration::from_secs(60), limit: 1 };
    let client = client.with_budget(Arc::new(InMemoryBudget::new(1.0, vec![one_a_minute])));
    let start = tokio::time::Instant::now();
    client.get(&alerts()).await.expect("200");
    client.get(&alerts()).await.expect("200");
    assert_eq!(start.elapsed().as_secs(), 90, "thirty seconds on the way, and a minute");
}

#[tokio::test]
async fn a_failing_server_that_names_a_wait_is_given_it() {
    let error = failed(Reply::new(503, "").header("retry-after", "120")).await;
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(120)));
}

/// A budget whose first permit is good for five seconds only.
struct Hasty(AtomicU32);

#[async_trait::async_trait]
impl Budget for Hasty {
    async fn acquire(&self, _: Family, _: Priority) -> Permit {
        let good = if self.0.fetch_add(1, Ordering::Relaxed) == 0 { 5 } else { 3_600 };
        Permit::new(|| ()).until(tokio::time::Instant::now() + Duration::from_secs(good))
    }

    fn throttled(&self, _: Family, _: &Throttle) {}
}

/// A source whose second token takes its time.
#[derive(Default)]
struct Slow(Numbered, AtomicU32);

#[async_trait::async_trait]
impl TokenSource for Slow {
    async fn token(&self) -> Result<Token, Error> {
        if self.1.fetch_add(1, Ordering::Relaxed) == 1 {
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        self.0.token().await
    }

    fn refused(&self, _: &Token) {}

    fn date(&self) -> Option<ServerDate> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_a_slow_token_outlasts_is_not_used() {
    let script = Script::new([Reply::new(200, r#"{"value":[]}"#)]);
    let budget = Arc::new(Hasty(AtomicU32::new(0)));
    let base = Url::parse("https://api.example").expect("an address");
    let transport = Arc::clone(&script) as Arc<dyn Transport>;
    let client = Client::new(base, transport, Arc::new(Slow::default()), Arc::clone(&budget) as Arc<dyn Budget>);
    client.expect("a good base").get(&alerts()).await.expect("200");
    assert_eq!((budget.0.load(Ordering::Relaxed), script.asked().len()), (2, 1));
}
