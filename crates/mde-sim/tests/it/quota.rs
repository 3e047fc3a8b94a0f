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

#[tokio::test]
async fn every_family_of_the_documented_table_is_counted_alone() {
    let sim = sim(1).await;
    let token = token(&sim).await;
    let machine = sim.world().machine_id(0);
    let buckets = [
        (100, Family::Alerts, vec!["/api/alerts?$top=1".to_owned(), "/api/alerts/da1_1/files".to_owned()]),
        (100, Family::Machines, vec!["/api/machines?$top=1".to_owned(), format!("/api/machines/{machine}/logonusers")]),
        (50, Family::MachineVulnerabilities, vec![format!("/api/machines/{machine}/vulnerabilities")]),
        (100, Family::Investigations, vec!["/api/investigations?$top=1".to_owned()]),
        (
            50,
            Family::VulnerabilityManagement,
            vec![
                "/api/vulnerabilities?$top=1".to_owned(),
                "/api/Software?$top=1".to_owned(),
                format!("/api/machines/{machine}/recommendations"),
                "/api/recommendations?$top=1".to_owned(),
            ],
        ),
    ];
    for (limit, family, targets) in buckets {
        for (_, target) in (0..limit).zip(targets.iter().cycle()) {
            assert_ne!(get_as(&sim, target, &token).await.status, 429, "{family:?}");
        }
        for target in &targets {
            assert_eq!(get_as(&sim, target, &token).await.status, 429, "{family:?}: {target}");
        }
        assert_eq!(family.documented(), Limits { per_minute: limit, per_hour: 1_500 });
        assert_eq!(sim.ledger().peak(family).minute, limit as usize + targets.len());
        assert_eq!(sim.ledger().family_count(family), u64::from(limit) + targets.len() as u64);
    }
    assert_eq!(sim.ledger().throttled(), 9 + 1);
}
