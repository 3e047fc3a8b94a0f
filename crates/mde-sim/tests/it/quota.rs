use crate::http::{config, get_as, sim, start, token};
use mde_sim::{Family, Limits, Peak, SimConfig};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test]
async fn the_hundred_and_first_call_of_a_minute_is_refused_and_told_when() {
    let sim = sim(0).await;
    let token = token(&sim).await;
    for _ in 0..100 {
        assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
        sim.clock().advance(Duration::from_millis(100));
    }
    let refused = get_as(&sim, "/api/alerts/da1_1", &token).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("50")));
    let message = "API calls quota exceeded! Maximum allowed 100 per 00:01:00 for the key Destination+TenantID+AppID. You can send requests again in 50 seconds.";
    assert_eq!(refused.error_text(), ("429".into(), message.into()));
    assert_eq!(sim.ledger().throttled(), 1);
    sim.clock().advance(Duration::from_secs(50));
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
    assert_eq!(sim.ledger().peak(Family::Alerts), Peak { minute: 101, hour: 102 });
}

#[tokio::test]
async fn the_hour_is_counted_beside_the_minute() {
    let quota = BTreeMap::from([(Family::Alerts, Limits { per_minute: 100, per_hour: 5 })]);
    let sim = start(SimConfig { quota, token_lifetime: Duration::from_secs(86_400), ..config() }).await;
    let token = token(&sim).await;
    for _ in 0..5 {
        assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
        sim.clock().advance(Duration::from_secs(120));
    }
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.header("retry-after"), Some("3000"));
    sim.set_quota(Family::Alerts, None);
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
}

#[tokio::test]
async fn applications_do_not_share_a_bucket() {
    let quota = BTreeMap::from([(Family::Alerts, Limits { per_minute: 1, per_hour: 10 })]);
    let sim = start(SimConfig { quota, ..config() }).await;
    let first = token(&sim).await;
    assert_eq!(get_as(&sim, "/api/alerts", &first).await.status, 200);
    assert_eq!(get_as(&sim, "/api/alerts", &first).await.status, 429);
    let other = sim.entra().add_application(vec!["Alert.Read.All".into()]);
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https://api.security.microsoft.com/.default",
        other.client_id, other.client_secret
    );
    let reply = crate::http::ask_token(&sim, &other.tenant_id, &form).await;
    let second = reply.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get_as(&sim, "/api/alerts", &second).await.status, 200);
}
