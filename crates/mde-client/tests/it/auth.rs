//! Tokens: one request however many ask, renewed ahead, refused for good or for now.

use crate::script::{End, Reply, SECRET, Script, jwt, tokens};
use mde_client::auth::{
    FederatedToken, Identity, ManagedHost, ManagedIdentity, Token, TokenEndpoint, TokenSource, Tokens,
};
use mde_client::{ErrorKind, Transport, Url};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(token: &Token) -> String {
    token.header().to_str().expect("plain text").to_owned()
}

async fn token(tokens: &Arc<Tokens>) -> String {
    text(&tokens.token().await.expect("a token"))
}

fn unavailable() -> Reply {
    Reply::new(503, r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#)
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_one_request_is_made() {
    let script = Script::new([Reply::token("one", 3_599).after(s(2))]);
    let tokens = tokens(&script);
    let asking: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let tokens = Arc::clone(&tokens);
                async move { token(&tokens).await }
            })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.expect("the task ends"), "Bearer one");
    }
    let asked = script.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].url.as_str(), "https://login.example/tenant/oauth2/v2.0/token");
    let form = asked[0].body.clone().expect("a form");
    assert!(form.starts_with(b"grant_type=client_credentials&client_id=application&client_secret="));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_some_minutes_before_its_end() {
    let script = Script::new([Reply::token("one", 3_599), Reply::token("two", 3_599)]);
    let tokens = tokens(&script);
    assert_eq!(token(&tokens).await, "Bearer one");
    sleep(s(3_298)).await;
    assert_eq!(token(&tokens).await, "Bearer one");
    sleep(s(1)).await;
    assert_eq!(token(&tokens).await, "Bearer two");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_three_seconds_is_used_and_renewed() {
    let script = Script::new((0..10).map(|number| Reply::token(&format!("t{number}"), 3)));
    let tokens = tokens(&script);
    for tenth in 0..200 {
        let held = token(&tokens).await;
        assert_eq!(held, format!("Bearer t{}", tenth / 24), "renewed after 2.4 s, at {tenth}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_is_renewed_the_old_one_is_given() {
    let script = Script::new([Reply::token("one", 1_000), Reply::token("two", 1_000).after(s(20))]);
    let tokens = tokens(&script);
    assert_eq!(token(&tokens).await, "Bearer one");
    sleep(s(900)).await;
    let renewing = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { token(&tokens).await }
    });
    sleep(s(1)).await;
    assert_eq!(token(&tokens).await, "Bearer one", "nobody waits for a renewal that is early");
    assert_eq!(renewing.await.expect("the task ends"), "Bearer two");
    assert_eq!(token(&tokens).await, "Bearer two");
}

#[tokio::test(start_paused = true)]
async fn a_failing_renewal_is_hidden_while_the_old_token_is_good_and_does_not_hammer() {
    let script = Script::new([Reply::token("one", 1_000)]);
    (0..100).for_each(|_| script.add(unavailable()));
    let tokens = tokens(&script);
    assert_eq!(token(&tokens).await, "Bearer one");
    sleep(s(800)).await;
    for _ in 0..1_990 {
        assert_eq!(token(&tokens).await, "Bearer one");
        sleep(Duration::from_millis(100)).await;
    }
    let renewals = script.asked().len() - 1;
    assert!((5..=12).contains(&renewals), "with growing pauses, not at each call: {renewals}");
    sleep(s(1)).await;
    assert!(tokens.token().await.is_err(), "its end has come");
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_share_the_failure_of_the_one_request() {
    let script = Script::new([unavailable().after(s(1)), Reply::token("one", 3_599)]);
    let tokens = tokens(&script);
    let asking: Vec<_> = (0..10)
        .map(|_| {
            tokio::spawn({
                let tokens = Arc::clone(&tokens);
                async move { tokens.token().await }
            })
        })
        .collect();
    for asked in asking {
        let error = asked.await.expect("the task ends").expect_err("unavailable");
        assert!(matches!(error.kind(), ErrorKind::Token(refusal) if refusal.transient), "{error}");
    }
    assert_eq!(script.asked().len(), 1);
    assert_eq!(token(&tokens).await, "Bearer one", "who asks later asks again");
}

#[tokio::test(start_paused = true)]
async fn an_asker_who_leaves_does_not_keep_the_others_waiting() {
    let script = Script::new([Reply::token("one", 3_599).after(s(10)), Reply::token("two", 3_599)]);
    let tokens = tokens(&script);
    let first = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { token(&tokens).await }
    });
    sleep(s(1)).await;
    let second = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { token(&tokens).await }
    });
    sleep(s(1)).await;
    first.abort();
    assert_eq!(second.await.expect("the task ends"), "Bearer two");
}

#[tokio::test]
async fn only_the_token_that_was_refused_is_dropped() {
    let script = Script::new([Reply::token("one", 3_599), Reply::token("two", 3_599)]);
    let tokens = tokens(&script);
    let one = tokens.token().await.expect("a token");
    tokens.refused(&one);
    assert_eq!(token(&tokens).await, "Bearer two");
    tokens.refused(&one);
    assert_eq!(token(&tokens).await, "Bearer two", "an old refusal is no news");
}

#[tokio::test]
async fn a_refusal_names_the_code_and_advice_and_nothing_that_was_sent() {
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"AADSTS7000215: {SECRET} is wrong","error_codes":[7000215]}}"#
    );
    let script = Script::new([Reply::new(401, body).header("date", "Tue, 24 Nov 2026 09:00:00 GMT")]);
    let tokens = tokens(&script);
    let error = tokens.token().await.expect_err("refused");
    assert_eq!(
        error.to_string(),
        "get a token from login.example: no token, invalid_client, AADSTS7000215 (status 401)"
    );
    assert!(error.advice().expect("a common code").contains("not its id"));
    assert!(!format!("{error:?} {:?}", script.asked()).contains(SECRET));
    assert_eq!(tokens.date().map(|date| date.unix_ms), Some(1_795_510_800_000), "an error has a date too");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_holds_no_token_is_an_error_of_its_kind() {
    for (reply, kind) in [
        (Reply::new(200, "<html>sign in</html>"), ErrorKind::NotJson),
        (Reply::new(200, r#"{"access_token":""}"#), ErrorKind::NotJson),
        (Reply::new(200, r#"{"access_token":"line\nbreak"}"#), ErrorKind::NotJson),
        (Reply::new(200, vec![b' '; 1_000]).end(End::Endless), ErrorKind::NotJson),
        (Reply::new(200, r#"{"access"#).end(End::Cut), ErrorKind::BodyCut),
        (Reply::new(200, "{").end(End::Silence), ErrorKind::Timeout),
        (Reply::token("late", 3_599).after(s(1_000)), ErrorKind::Timeout),
        (Reply::unreachable(), ErrorKind::Transport),
    ] {
        let error = tokens(&Script::new([reply])).token().await.expect_err("no token");
        assert_eq!((error.kind(), error.family()), (&kind, None));
    }
}

#[tokio::test]
async fn the_numbers_of_a_managed_identity_may_be_strings() {
    let script = Script::new([Reply::new(200, r#"{"access_token":"one","expires_in":"3599","not_before":"1"}"#)]);
    assert_eq!(token(&tokens(&script)).await, "Bearer one");
}

/// Tokens of an identity other than a secret in memory.
fn tokens_of(identity: impl Identity + 'static, script: &Arc<Script>) -> Tokens {
    Tokens::new(identity, Arc::clone(script) as Arc<dyn Transport>)
}

fn endpoint() -> TokenEndpoint {
    TokenEndpoint::new(&Url::parse("https://login.example").expect("an address"), "tenant").expect("a good address")
}

#[tokio::test]
async fn a_federated_token_is_read_for_each_request_and_the_last_good_one_serves_on() {
    let folder = tempfile::tempdir().expect("a writable temporary folder");
    let file = folder.path().join("token");
    let script = Script::new((0..4).map(|_| Reply::token("one", 3_599)));
    let tokens = tokens_of(FederatedToken::new(endpoint(), "app", "https://api.example/.default", &file), &script);
    let error = tokens.token().await.expect_err("no file yet");
    assert!(matches!(error.kind(), ErrorKind::Config(_)) && script.asked().is_empty(), "{error}");
    for (content, sent) in [("first\n", "first"), ("second", "second"), ("", "second"), ("third", "third")] {
        std::fs::write(&file, content).expect("a writable temporary folder");
        assert!(tokens.credential_changed());
        let token = tokens.token().await.expect("a token");
        tokens.refused(&token);
        assert!(!tokens.credential_changed());
        assert_eq!(tokens.complaint().is_some(), content.is_empty());
        let request = script.asked().pop().expect("a request");
        assert_eq!(request.url.as_str(), "https://login.example/tenant/oauth2/v2.0/token");
        let form = String::from_utf8(request.body.expect("a form").to_vec()).expect("text");
        assert!(
            form.ends_with(&format!("&client_assertion={sent}&scope=https%3A%2F%2Fapi.example%2F.default")),
            "{form}"
        );
    }
    assert!(!format!("{:?}", script.asked()).contains("third"));
}

#[tokio::test(start_paused = true)]
async fn a_managed_identity_that_tells_an_end_only_is_renewed_ahead_of_it() {
    let host = ManagedHost::metadata_at(Url::parse("http://127.0.0.1:9/token").expect("an address")).expect("local");
    let reply = |text: &str, end: u64| {
        let body = format!(r#"{{"access_token":"{text}","expires_on":"{end}","token_type":"Bearer"}}"#);
        Reply::new(200, body).header("date", "Tue, 24 Nov 2026 09:00:00 GMT")
    };
    let script = Script::new([reply("one", 1_795_514_400), reply("two", 1_795_514_400)]);
    let identity = ManagedIdentity { host, client_id: None, scope: "https://api.example/.default".into() };
    let tokens = Arc::new(tokens_of(identity, &script));
    assert_eq!(token(&tokens).await, "Bearer one");
    sleep(s(3_299)).await;
    assert_eq!(token(&tokens).await, "Bearer one", "an hour, of which five minutes are kept");
    sleep(s(1)).await;
    assert_eq!(token(&tokens).await, "Bearer two");
    assert_eq!(script.asked()[0].headers["metadata"], "true");
}

#[tokio::test]
async fn metadata_that_is_being_renewed_is_no_refusal_and_an_unknown_identity_is() {
    for (status, transient) in [(404, true), (410, true), (429, true), (503, true), (400, false)] {
        let script = Script::new([Reply::new(status, r#"{"error":"invalid_request"}"#)]);
        let scope = "https://api.example/.default".to_owned();
        let identity = ManagedIdentity { host: ManagedHost::metadata(), client_id: None, scope };
        let error = tokens_of(identity, &script).token().await.expect_err("no token");
        assert!(
            matches!(error.kind(), ErrorKind::Token(refusal) if refusal.transient == transient),
            "{status} {error}"
        );
    }
    let error = tokens(&Script::new([Reply::new(404, "")])).token().await.expect_err("no token");
    assert!(matches!(error.kind(), ErrorKind::Token(refusal) if !refusal.transient), "elsewhere it is final: {error}");
}

#[tokio::test]
async fn the_roles_of_a_token_are_told_and_an_opaque_one_tells_none() {
    let roles =
        async |text: &str| tokens(&Script::new([Reply::token(text, 3_599)])).token().await.expect("a token").roles();
    assert_eq!(roles(&jwt(r#"{"roles":["Alert.Read.All"]}"#)).await, Some(vec!["Alert.Read.All".to_owned()]));
    assert_eq!(roles(&jwt(r#"{"aud":"x"}"#)).await, Some(Vec::new()), "nothing was granted");
    for opaque in ["opaque", "a.b", "e30.%%%.x", &jwt(r#"{"roles":"Alert.Read.All"}"#)] {
        assert_eq!(roles(opaque).await, None, "{opaque}");
    }
}
