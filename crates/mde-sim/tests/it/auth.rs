use crate::http::{ask_token, config, get_as, good_form, send, sim, start, token};
use base64::Engine;
use mde_sim::{RequestKind, Sim, SimConfig};
use serde_json::Value;
use std::time::Duration;

/// `error` and the AADSTS number of a refusal.
async fn refusal(sim: &Sim, tenant: &str, form: &str) -> (u16, String, u64) {
    let reply = ask_token(sim, tenant, form).await;
    let body = reply.json();
    let code = body["error_codes"][0].as_u64().unwrap();
    assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{code}: ")));
    (reply.status, body["error"].as_str().unwrap().to_owned(), code)
}

/// The claims of a token.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_says_who_for_what_and_how_long() {
    let sim = sim(1).await;
    let token = token(&sim).await;
    let claims = claims(&token);
    assert_eq!(claims["aud"], "https://api.securitycenter.microsoft.com");
    assert_eq!(claims["tid"], sim.credentials().tenant_id);
    assert_eq!(claims["appid"], sim.credentials().client_id);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_599);
    assert!(claims["roles"].as_array().unwrap().contains(&"Alert.Read.All".into()));
    assert!(token.contains("telltale-token-"));
    assert_eq!(sim.ledger().request_count(RequestKind::Token), 1);
}

#[tokio::test]
async fn the_older_endpoint_takes_a_resource_and_answers_numbers_as_texts() {
    let sim = sim(1).await;
    let credentials = sim.credentials();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&resource=https://api.securitycenter.microsoft.com/",
        credentials.client_id, credentials.client_secret
    );
    let reply = send(sim.addr(), "POST", &format!("/{}/oauth2/token", credentials.tenant_id), &[], &form).await;
    assert_eq!((reply.status, &reply.json()["expires_in"]), (200, &Value::from("3599")));
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
}

#[tokio::test]
async fn http_basic_is_accepted() {
    let sim = sim(1).await;
    let credentials = sim.credentials();
    let pair = format!("{}:{}", credentials.client_id, credentials.client_secret.replace('~', "%7E"));
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let target = format!("/{}/oauth2/v2.0/token", credentials.tenant_id);
    let form = "grant_type=client_credentials&scope=https://api.securitycenter.microsoft.com//.default";
    let reply = send(sim.addr(), "POST", &target, &[("Authorization", &basic)], form).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn each_mistake_has_its_documented_number() {
    let sim = sim(1).await;
    let (tenant, good) = (sim.credentials().tenant_id, good_form(&sim));
    let secret = sim.credentials().client_secret;
    let cases = [
        (refusal(&sim, "contoso.example", &good).await, (400, "invalid_request", 90002)),
        (refusal(&sim, &tenant, "").await, (400, "invalid_request", 900144)),
        (
            refusal(&sim, &tenant, &good.replace("client_credentials", "password")).await,
            (400, "unsupported_grant_type", 70003),
        ),
        (
            refusal(&sim, &tenant, &good.replace("client_id=", "client_id=x")).await,
            (400, "unauthorized_client", 700016),
        ),
        (refusal(&sim, &tenant, &good.replace(&secret, "wrong")).await, (401, "invalid_client", 7000215)),
        (refusal(&sim, &tenant, &good.replace("client_secret=", "other=")).await, (401, "invalid_client", 7000218)),
        (refusal(&sim, &tenant, &good.replace("%2F.default", "")).await, (400, "invalid_scope", 1002012)),
        (refusal(&sim, &tenant, &good.replace("https%3A%2F%2F", "")).await, (400, "invalid_scope", 70011)),
        (
            refusal(&sim, &tenant, &good.replace("api.securitycenter.microsoft.com", "management.azure.com")).await,
            (400, "invalid_resource", 500011),
        ),
        (refusal(&sim, &tenant, &format!("{good}&resource=x")).await, (400, "invalid_request", 901002)),
    ];
    for ((status, error, code), expected) in cases {
        assert_eq!((status, error.as_str(), code), expected);
    }
}

#[tokio::test]
async fn a_token_ends_with_its_lifetime() {
    let sim = sim(1).await;
    let token = token(&sim).await;
    sim.clock().advance(Duration::from_secs(3_598));
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
    sim.clock().advance(Duration::from_secs(1));
    let reply = get_as(&sim, "/api/alerts", &token).await;
    assert_eq!(reply.status, 401);
    assert_eq!(
        reply.error_text(),
        ("Unauthorized".into(), "Unauthorized (invalid or expired authorization header).".into())
    );
}

#[tokio::test]
async fn foreign_missing_and_revoked_tokens_are_refused() {
    let sim = sim(1).await;
    let token = token(&sim).await;
    assert_eq!(get_as(&sim, "/api/alerts", "foreign").await.status, 401);
    assert_eq!(send(sim.addr(), "GET", "/api/alerts", &[], "").await.status, 401);
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
    sim.entra().revoke_tokens();
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 401);
}

#[tokio::test]
async fn a_rotated_secret_replaces_the_old_one() {
    let sim = sim(1).await;
    let old = good_form(&sim);
    let secret = sim.entra().rotate_secret();
    assert!(secret.starts_with("telltale-secret-"));
    let tenant = sim.credentials().tenant_id;
    assert_eq!(ask_token(&sim, &tenant, &old).await.status, 401);
    assert_eq!(ask_token(&sim, &tenant, &good_form(&sim)).await.status, 200);
}

#[tokio::test]
async fn without_the_role_the_answer_is_403_and_names_it() {
    let sim = start(SimConfig { roles: vec!["Machine.Read.All".into()], ..config() }).await;
    let denied = get_as(&sim, "/api/alerts", &token(&sim).await).await;
    assert_eq!(denied.status, 403);
    let message = "Missing application roles. API required roles: Alert.Read.All, Alert.ReadWrite.All, application roles: Machine.Read.All.";
    assert_eq!(denied.error_text(), ("Forbidden".into(), message.into()));
    sim.entra().set_roles(Vec::new());
    let bare = token(&sim).await;
    assert_eq!(claims(&bare).get("roles"), None, "a token without roles lacks the claim");
    assert_eq!(get_as(&sim, "/api/alerts", &bare).await.status, 403);
    sim.entra().set_roles(vec!["Alert.ReadWrite.All".into()]);
    assert_eq!(get_as(&sim, "/api/alerts", &token(&sim).await).await.status, 200);
}

#[tokio::test]
async fn secrets_do_not_show_in_debug_texts() {
    let sim = sim(1).await;
    token(&sim).await;
    let text = format!("{sim:?} {:?} {:?} {:?}", sim.credentials(), sim.entra(), sim.ledger().requests());
    assert!(!text.contains("telltale"), "{text}");
    assert!(sim.inputs_yaml().contains(&sim.credentials().client_secret));
}
