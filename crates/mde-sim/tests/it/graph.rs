//! Alerts and incidents of Microsoft Graph.

use crate::http::{Reply, ask_token, config, get_as, good_form, graph_token, send, sim, start, token};
use mde_sim::{
    AlertConfig, Family, Fault, GraphConfig, Limits, Listing, MachineConfig, RequestKind, Retirement, RetryAfter, Sim,
    SimConfig, VersionKey,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The alert list.
const ALERTS: &str = "/v1.0/security/alerts_v2";
/// The incident list.
const INCIDENTS: &str = "/v1.0/security/incidents";

/// A call with the preference for newer words.
async fn prefer(sim: &Sim, target: &str, token: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Prefer", "include-unknown-enum-members")];
    send(sim.addr(), "GET", target, &headers, "").await
}

/// All rows of a list, by links.
async fn rows(sim: &Sim, target: &str) -> Vec<Value> {
    let token = graph_token(sim).await;
    let (mut rows, mut next) = (Vec::new(), Some(target.replace(' ', "%20").replace('\'', "%27")));
    while let Some(now) = next {
        let reply = prefer(sim, &now, &token).await;
        assert_eq!(reply.status, 200, "{now} {reply:?}");
        next = reply.next();
        rows.append(reply.json()["value"].as_array_mut().unwrap());
    }
    rows
}

/// A simulator without quotas.
async fn free(config: SimConfig) -> Sim {
    start(SimConfig { quota: BTreeMap::new(), ..config }).await
}

/// A property as text.
fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("{name} in {row}"))
}

#[tokio::test]
async fn the_same_world_has_the_same_alerts_on_both_apis_but_for_tuned_ones_and_other_products() {
    let sim = free(SimConfig {
        alerts: AlertConfig { count: 700, ..Default::default() },
        graph: GraphConfig { tuned_one_in: 10, ..Default::default() },
        ..config()
    })
    .await;
    let classic = get_as(&sim, "/api/alerts?$expand=evidence", &token(&sim).await).await.json();
    let classic: BTreeMap<_, _> =
        classic["value"].as_array().unwrap().iter().map(|row| (text(row, "id"), row)).collect();
    let all = rows(&sim, ALERTS).await;
    let own = rows(&sim, &format!("{ALERTS}?$filter=serviceSource eq 'microsoftDefenderForEndpoint'")).await;
    assert!(all.len() > own.len() + 50, "other products are there without a filter: {} {}", all.len(), own.len());
    assert!((580..680).contains(&own.len()), "some are tuned away: {}", own.len());
    let camel = |word: &Value| word.as_str().map(|word| word[..1].to_lowercase() + &word[1..]);
    for row in &own {
        let old = classic[text(row, "id")];
        assert_eq!(row["providerAlertId"], row["id"]);
        assert_eq!(text(row, "incidentId"), old["incidentId"].to_string());
        for (graph, classic) in [
            ("createdDateTime", "alertCreationTime"),
            ("lastUpdateDateTime", "lastUpdateTime"),
            ("firstActivityDateTime", "firstEventTime"),
            ("lastActivityDateTime", "lastEventTime"),
            ("resolvedDateTime", "resolvedTime"),
            ("title", "title"),
            ("description", "description"),
            ("category", "category"),
            ("detectorId", "detectorId"),
            ("threatDisplayName", "threatName"),
            ("threatFamilyName", "threatFamilyName"),
            ("mitreTechniques", "mitreTechniques"),
            ("assignedTo", "assignedTo"),
            ("tenantId", "aadTenantId"),
        ] {
            assert_eq!(row[graph], old[classic], "{graph}");
        }
        for word in ["status", "classification", "determination", "investigationState"] {
            assert_eq!(row[word].as_str().map(str::to_owned), camel(&old[word]), "{word}");
        }
        let evidence = row["evidence"].as_array().unwrap();
        let is_device = |row: &&Value| row["@odata.type"] == "#microsoft.graph.security.deviceEvidence";
        let primary: Vec<_> =
            evidence.iter().filter(is_device).filter(|device| device["detailedRoles"][0] == "PrimaryDevice").collect();
        assert_eq!(
            primary.first().map(|device| &device["mdeDeviceId"]),
            Some(&old["machineId"]).filter(|id| !id.is_null())
        );
        assert_eq!(
            primary.first().map(|device| &device["rbacGroupName"]),
            primary.first().map(|_| &old["rbacGroupName"])
        );
        let others: Vec<_> = evidence.iter().filter(|row| !is_device(row)).collect();
        assert_eq!(others.len(), old["evidence"].as_array().unwrap().len());
        for (new, old) in others.iter().zip(old["evidence"].as_array().unwrap()) {
            compare_evidence(new, old);
        }
    }
    let seconds = own
        .iter()
        .filter(|row| row["evidence"][1]["mdeDeviceId"].is_string() && row["evidence"][1]["deviceDnsName"].is_string());
    assert!(seconds.count() > 10, "some alerts name two devices");
    // The world says the same without a call.
    let shown: BTreeSet<_> = sim.world().graph_versions().into_iter().collect();
    let served: BTreeSet<_> = sim.ledger().versions_served_by(Listing::GraphAlerts).into_keys().collect();
    assert_eq!(shown, served);
    assert_eq!(shown.len(), all.len());
}

/// Asserts that a piece of evidence says what the classic row says.
fn compare_evidence(new: &Value, old: &Value) {
    let kind = text(new, "@odata.type").rsplit_once('.').unwrap().1;
    assert!(kind.eq_ignore_ascii_case(&format!("{}evidence", text(old, "entityType"))), "{kind}");
    assert_eq!(new["createdDateTime"], old["evidenceCreationTime"]);
    let pairs: &[(&str, &str)] = match kind {
        "fileEvidence" => &[
            ("/fileDetails/sha1", "sha1"),
            ("/fileDetails/sha256", "sha256"),
            ("/fileDetails/fileName", "fileName"),
            ("/fileDetails/filePath", "filePath"),
        ],
        "processEvidence" => &[
            ("/imageFile/sha256", "sha256"),
            ("/imageFile/filePath", "filePath"),
            ("/processId", "processId"),
            ("/processCommandLine", "processCommandLine"),
            ("/processCreationDateTime", "processCreationTime"),
            ("/parentProcessId", "parentProcessId"),
            ("/parentProcessCreationDateTime", "parentProcessCreationTime"),
            ("/parentProcessImageFile/fileName", "parentProcessFileName"),
            ("/parentProcessImageFile/filePath", "parentProcessFilePath"),
        ],
        "userEvidence" => &[
            ("/userAccount/accountName", "accountName"),
            ("/userAccount/domainName", "domainName"),
            ("/userAccount/userSid", "userSid"),
            ("/userAccount/azureAdUserId", "aadUserId"),
            ("/userAccount/userPrincipalName", "userPrincipalName"),
        ],
        "ipEvidence" => &[("/ipAddress", "ipAddress")],
        "urlEvidence" => &[("/url", "url")],
        "registryValueEvidence" => &[
            ("/registryHive", "registryHive"),
            ("/registryKey", "registryKey"),
            ("/registryValue", "registryValue"),
            ("/registryValueType", "registryValueType"),
        ],
        other => panic!("{other} is not in the fixtures"),
    };
    for (pointer, classic) in pairs {
        assert_eq!(new.pointer(pointer).unwrap_or(&Value::Null), &old[classic], "{kind} {pointer}");
    }
}

#[tokio::test]
async fn filters_find_what_brute_force_finds_and_refuse_what_the_page_does_not_list() {
    let sim = free(SimConfig { alerts: AlertConfig { count: 300, ..Default::default() }, ..config() }).await;
    let all = rows(&sim, ALERTS).await;
    let mean = text(&all[all.len() / 2], "lastUpdateDateTime").to_owned();
    type Holds<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let time = |row: &Value, name: &str| -> jiff::Timestamp { text(row, name).parse().unwrap() };
    let at: jiff::Timestamp = mean.parse().unwrap();
    let cases: Vec<(String, Holds<'_>)> = vec![
        (format!("lastUpdateDateTime ge {mean}"), Box::new(|row| time(row, "lastUpdateDateTime") >= at)),
        (
            format!("createdDateTime lt {mean} and severity eq 'high'"),
            Box::new(|row| time(row, "createdDateTime") < at && row["severity"] == "high"),
        ),
        (
            "status in ('new','resolved') and not (severity eq 'low')".to_owned(),
            Box::new(|row| row["status"] != "inProgress" && row["status"] != "unknown" && row["severity"] != "low"),
        ),
        ("classification eq null".to_owned(), Box::new(|row| row["classification"].is_null())),
        (
            "determination eq 'malware' or assignedTo eq 'Automation'".to_owned(),
            Box::new(|row| row["determination"] == "malware" || row["assignedTo"] == "Automation"),
        ),
        (
            "serviceSource ne 'microsoftDefenderForEndpoint'".to_owned(),
            Box::new(|row| row["serviceSource"] != "microsoftDefenderForEndpoint"),
        ),
    ];
    for (filter, holds) in cases {
        let found: Vec<_> = rows(&sim, &format!("{ALERTS}?$filter={filter}&$top=7")).await;
        let expected: Vec<_> = all.iter().filter(|row| holds(row)).collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{filter} decides nothing");
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    let token = graph_token(&sim).await;
    for refused in [
        "$filter=investigationState%20eq%20%27queued%27",
        "$filter=severity%20eq%20%27High%27",
        "$filter=lastUpdateTime%20ge%202026-01-01T00:00:00Z",
        "$expand=evidence",
        "$skip=501",
        "$skiptoken=nonsense",
    ] {
        let reply = get_as(&sim, &format!("{ALERTS}?{refused}"), &token).await;
        assert_eq!((reply.status, reply.error_text().0.as_str()), (400, ""), "{refused}");
    }
    let ordered = rows(&sim, &format!("{ALERTS}?$orderby=createdDateTime desc&$top=50")).await;
    assert!(ordered.windows(2).all(|pair| time(&pair[0], "createdDateTime") >= time(&pair[1], "createdDateTime")));
}

#[tokio::test]
async fn pages_are_capped_counted_and_linked_also_with_top() {
    let sim = free(SimConfig { alerts: AlertConfig { count: 2_300, ..Default::default() }, ..config() }).await;
    let total = sim.world().graph_versions().len();
    let token = graph_token(&sim).await;
    for (query, length) in [("", 1_000), ("$top=5000", 1_000), ("$top=10", 10), ("$skip=500&$top=3", 3)] {
        let reply = get_as(&sim, &format!("{ALERTS}?$count=true&{query}"), &token).await;
        let body = reply.json();
        assert_eq!(reply.ids().len(), length, "{query}");
        assert_eq!(body["@odata.count"], total);
        assert!(text(&body, "@odata.nextLink").contains("$skiptoken="), "{query}");
        assert!(text(&body, "@odata.context").ends_with("/v1.0/$metadata#security/alerts_v2"));
    }
    assert_eq!(rows(&sim, ALERTS).await.len(), total);
    // Where links carry $skip the service refuses its own ones.
    let sim = free(SimConfig { graph: GraphConfig { skip_tokens: false, ..Default::default() }, ..config() }).await;
    let token = graph_token(&sim).await;
    let mut next = format!("{ALERTS}?$top=200");
    for page in 0..4 {
        let reply = get_as(&sim, &next, &token).await;
        assert_eq!(reply.status, if page < 3 { 200 } else { 400 }, "{next}");
        next = reply.next().unwrap_or_default();
    }
}

#[tokio::test]
async fn incidents_group_the_alerts_and_change_with_them() {
    let sim = free(SimConfig { alerts: AlertConfig { count: 200, ..Default::default() }, ..config() }).await;
    let alerts = rows(&sim, ALERTS).await;
    let mut groups: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    alerts.iter().for_each(|alert| groups.entry(text(alert, "incidentId")).or_default().push(alert));
    let incidents = rows(&sim, INCIDENTS).await;
    assert_eq!(incidents.iter().map(|row| text(row, "id")).collect::<BTreeSet<_>>(), groups.keys().copied().collect());
    assert!(groups.values().any(|group| group.len() > 3) && groups.values().any(|group| group.len() == 1));
    let expanded = rows(&sim, &format!("{INCIDENTS}?$expand=alerts&$top=20")).await;
    assert_eq!(expanded.len(), incidents.len());
    for incident in &expanded {
        let inside: BTreeSet<_> = incident["alerts"].as_array().unwrap().iter().map(|row| text(row, "id")).collect();
        let group = &groups[text(incident, "id")];
        assert_eq!(inside, group.iter().map(|row| text(row, "id")).collect());
        assert!(text(incident, "createdDateTime") <= text(incident, "lastUpdateDateTime"));
        let resolved = group.iter().all(|alert| alert["status"] == "resolved");
        assert_eq!(incident["status"] == "resolved", resolved);
        let listed = rows(&sim, &format!("{INCIDENTS}/{}/alerts", text(incident, "id"))).await;
        assert_eq!(listed.len(), inside.len());
    }
    // An update of an alert is one of its incident, with a later time.
    let alert = alerts.iter().find(|row| text(row, "id").starts_with("da")).unwrap();
    let target = format!("{INCIDENTS}/{}", text(alert, "incidentId"));
    let token = graph_token(&sim).await;
    let before = prefer(&sim, &target, &token).await.json();
    sim.world().update_alert(text(alert, "id"), sim.clock().now()).unwrap();
    let after = prefer(&sim, &target, &token).await.json();
    assert!(text(&after, "lastUpdateDateTime") > text(&before, "lastUpdateDateTime"));
    assert_eq!(after["lastModifiedBy"], "API-App:API Action");
    assert!(text(&after, "@odata.context").ends_with("#security/incidents/$entity"));
}

#[tokio::test]
async fn merged_incidents_are_redirected_and_their_alerts_move() {
    let sim = free(SimConfig { alerts: AlertConfig { count: 60, ..Default::default() }, ..config() }).await;
    let ids: Vec<_> = rows(&sim, INCIDENTS).await.iter().map(|row| text(row, "id").to_owned()).collect();
    let (from, into) = (&ids[0], &ids[1]);
    let alerts = async |id: &str| rows(&sim, &format!("{INCIDENTS}/{id}/alerts")).await;
    let (moved, stayed) = (alerts(from).await, alerts(into).await);
    let at = sim.clock().now();
    sim.world().merge_incidents(from, into, at).unwrap();
    assert!(alerts(from).await.is_empty());
    assert_eq!(alerts(into).await.len(), moved.len() + stayed.len());
    let merged = prefer(&sim, &format!("{INCIDENTS}/{from}"), &graph_token(&sim).await).await.json();
    assert_eq!((text(&merged, "status"), text(&merged, "redirectIncidentId")), ("redirected", into.as_str()));
    let changed = rows(&sim, &format!("{ALERTS}?$filter=lastUpdateDateTime ge {at}")).await;
    assert!(changed.iter().all(|alert| text(alert, "incidentId") == into.as_str()) && !changed.is_empty());
    assert!(sim.world().merge_incidents(from, into, at).is_err(), "nothing is left to move");
}

#[tokio::test]
async fn incidents_have_their_own_caps_and_no_expansion_in_a_large_tenant() {
    let sim = free(SimConfig { graph: GraphConfig { expand_limit: 900, ..Default::default() }, ..config() }).await;
    let token = graph_token(&sim).await;
    let refused = get_as(&sim, &format!("{INCIDENTS}?$top=100"), &token).await;
    let message = "The query specified in the URI is not valid. The limit of '50' for Top query has been exceeded. The value from the incoming request is '100'.";
    assert_eq!((refused.status, refused.error_text()), (400, (String::new(), message.to_owned())));
    assert_eq!(get_as(&sim, INCIDENTS, &token).await.ids().len(), 50);
    let heavy = get_as(&sim, &format!("{INCIDENTS}?$expand=alerts"), &token).await;
    assert_eq!((heavy.status, heavy.error_text().0.as_str()), (500, "InternalServerError"));
    let versions: BTreeSet<_> = sim.world().incident_versions().into_iter().collect();
    rows(&sim, INCIDENTS).await;
    assert_eq!(sim.ledger().versions_served_by(Listing::Incidents).into_keys().collect::<BTreeSet<_>>(), versions);
}

#[tokio::test]
async fn graph_shows_the_history_of_the_classic_api_after_its_delay() {
    let delay = Duration::from_secs(300);
    let sim = free(SimConfig {
        alerts: AlertConfig { count: 40, new_per_minute: 2.0, updates_per_minute: 6.0, ..Default::default() },
        graph: GraphConfig { delay, tuned_one_in: 0, companion_one_in: 0, ..Default::default() },
        ..config()
    })
    .await;
    let names = |versions: Vec<VersionKey>| -> BTreeSet<_> {
        versions.into_iter().map(|version| (version.id, version.last_update_time)).collect()
    };
    let mut history = Vec::new();
    for step in 0..60_usize {
        history.push(names(sim.world().versions()));
        if let Some(before) = step.checked_sub(10).map(|step| &history[step]) {
            assert_eq!(&names(sim.world().graph_versions()), before, "step {step}");
        }
        sim.clock().advance(Duration::from_secs(30));
    }
    assert!(history[0] != history[30]);
    let incidents: BTreeSet<_> = rows(&sim, INCIDENTS).await.iter().map(|row| text(row, "id").to_owned()).collect();
    let alerts: BTreeSet<_> = rows(&sim, ALERTS).await.iter().map(|row| text(row, "incidentId").to_owned()).collect();
    assert_eq!(incidents, alerts, "incidents follow what Graph shows");
    // One by hand, late on top of the delay.
    let at = sim.clock().now();
    let id = sim.world().add_alert_late(at, Duration::from_secs(60));
    let shown = || (sim.world().alert_json(&id).is_some(), sim.world().graph_alert_json(&id).is_some());
    assert_eq!(shown(), (false, false));
    sim.clock().advance(Duration::from_secs(60));
    assert_eq!(shown(), (true, false));
    sim.clock().advance(delay);
    assert_eq!(shown(), (true, true));
}

#[tokio::test]
async fn newer_words_come_only_when_asked_for() {
    let sim = free(SimConfig {
        alerts: AlertConfig { count: 400, ..Default::default() },
        graph: GraphConfig { companion_one_in: 1, ..Default::default() },
        ..config()
    })
    .await;
    let token = graph_token(&sim).await;
    let (plain, asked) = (get_as(&sim, ALERTS, &token).await, prefer(&sim, ALERTS, &token).await);
    assert_eq!(asked.header("preference-applied"), Some("include-unknown-enum-members"));
    assert_eq!(plain.header("preference-applied"), None);
    assert_eq!(plain.ids(), asked.ids());
    let words = |reply: &Reply, name: &str| -> BTreeSet<_> {
        reply.json()["value"].as_array().unwrap().iter().map(|row| text(row, name).to_owned()).collect()
    };
    let (plain_words, asked_words) = (words(&plain, "serviceSource"), words(&asked, "serviceSource"));
    assert!(asked_words.contains("microsoftSentinel") && !asked_words.contains("unknownFutureValue"));
    assert!(plain_words.contains("unknownFutureValue") && !plain_words.contains("microsoftSentinel"));
    assert!(asked_words.len() > 6, "{asked_words:?}");
    let id = asked.json()["value"][0]["id"].as_str().unwrap().to_owned();
    let single = prefer(&sim, &format!("{ALERTS}/{id}"), &token).await.json();
    assert!(text(&single, "@odata.context").ends_with("#security/alerts_v2/$entity"));
    let mut single = single;
    single.as_object_mut().unwrap().remove("@odata.context");
    assert_eq!(single, asked.json()["value"][0]);
    assert_eq!(get_as(&sim, &format!("{ALERTS}/da1_1"), &token).await.status, 404);
}

#[tokio::test]
async fn tokens_roles_and_buckets_are_graphs_own() {
    let sim = sim(30).await;
    let (mde, graph) = (token(&sim).await, graph_token(&sim).await);
    let refused = get_as(&sim, ALERTS, &mde).await;
    assert_eq!((refused.status, refused.error_text().0.as_str()), (401, "InvalidAuthenticationToken"));
    assert_eq!(get_as(&sim, "/api/alerts", &graph).await.status, 401);
    for (family, target, limit) in [(Family::GraphAlerts, ALERTS, 150), (Family::Incidents, INCIDENTS, 50)] {
        for _ in 0..limit {
            assert_eq!(get_as(&sim, &format!("{target}?$top=1"), &graph).await.status, 200);
        }
        let refused = get_as(&sim, target, &graph).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")), "{refused:?}");
        assert_eq!(refused.header("x-ms-throttle-scope"), Some("Tenant_Application"));
        assert_eq!(refused.error_text(), ("TooManyRequests".into(), "Please retry again later.".into()));
        assert_eq!(refused.json()["error"]["innerError"]["code"], "429");
        // Alerts were asked for once before, with a token for the other API.
        assert_eq!(sim.ledger().peak(family).minute, limit + 1 + usize::from(target == ALERTS));
    }
    sim.set_quota(Family::GraphAlerts, Some(Limits { per_minute: 999, per_hour: 999 }));
    sim.entra().set_roles(vec!["Alert.Read.All".into(), "ThreatHunting.Read.All".into()]);
    let refused = get_as(&sim, ALERTS, &graph_token(&sim).await).await;
    assert_eq!(refused.status, 403);
    let message = "Missing application roles. API required roles: SecurityAlert.Read.All,SecurityAlert.ReadWrite.All,SecurityIncident.Read.All,SecurityIncident.ReadWrite.All, application roles: ThreatHunting.Read.All.";
    assert_eq!(refused.error_text(), ("Forbidden".into(), message.into()));
    sim.entra().set_roles(vec!["SecurityIncident.ReadWrite.All".into()]);
    assert_eq!(get_as(&sim, ALERTS, &graph_token(&sim).await).await.status, 200);
    sim.entra().set_roles(vec!["SecurityAlert.Read.All".into()]);
    sim.set_quota(Family::Incidents, None);
    assert_eq!(get_as(&sim, INCIDENTS, &graph_token(&sim).await).await.status, 403);
    // One simulator stands for every cloud.
    for host in ["graph.microsoft.us", "dod-graph.microsoft.us"] {
        let form = good_form(&sim).replace("api.securitycenter.microsoft.com", host);
        let token = ask_token(&sim, &sim.credentials().tenant_id, &form).await.json();
        assert_eq!(get_as(&sim, ALERTS, text(&token, "access_token")).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn errors_have_graphs_form_and_name_the_request() {
    let sim = sim(30).await;
    let token = graph_token(&sim).await;
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("client-request-id", "mine")];
    let reply = send(sim.addr(), "GET", "/v1.0/security/alertz", &headers, "").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.error_text(), ("BadRequest".into(), "Resource not found for the segment 'alertz'.".into()));
    let inner = reply.json()["error"]["innerError"].clone();
    assert_eq!((text(&inner, "client-request-id"), text(&inner, "date")), ("mine", "2026-11-24T12:00:00"));
    assert_eq!(reply.header("request-id"), inner["request-id"].as_str());
    assert!(reply.header("x-ms-ags-diagnostic").is_some());
    assert_ne!(get_as(&sim, ALERTS, &token).await.header("request-id"), reply.header("request-id"));
    let status = |status| Fault::Status { status, body: mde_sim::ErrorBody::Json };
    sim.scenario().once(RequestKind::GraphAlerts, status(504));
    let broken = get_as(&sim, ALERTS, &token).await;
    assert_eq!((broken.status, broken.error_text()), (504, ("UnknownError".into(), String::new())));
    sim.scenario().once(RequestKind::Incidents, Fault::Throttle { told: RetryAfter::Text, seconds: 9 });
    let told = get_as(&sim, INCIDENTS, &token).await;
    assert_eq!((told.status, told.header("retry-after")), (429, None));
    assert!(told.error_text().1.contains("9 seconds"));
}

#[tokio::test]
async fn a_partial_answer_says_so_and_lacks_rows() {
    let sim = sim(30).await;
    let token = graph_token(&sim).await;
    let whole = get_as(&sim, ALERTS, &token).await.ids();
    sim.scenario().once(RequestKind::GraphAlerts, Fault::Partial { status: 504, ms: 10_000 });
    let partial = get_as(&sim, ALERTS, &token).await;
    assert_eq!((partial.status, partial.header("warning")), (206, Some("199 - \"Microsoft/MDATP/504/10000\"")));
    assert_eq!(partial.ids().len(), whole.len() / 2);
    assert_eq!(get_as(&sim, ALERTS, &token).await.ids(), whole);
    // Evidence is always there, so that poison is always met.
    sim.scenario().poison(&whole[0]);
    assert_eq!(get_as(&sim, ALERTS, &token).await.status, 500);
}

#[tokio::test]
async fn the_classic_api_ends_at_its_time_and_graph_goes_on() {
    let sim = sim(30).await;
    let (mde, graph) = (token(&sim).await, graph_token(&sim).await);
    let end = sim.clock().now().saturating_add(jiff::SignedDuration::from_mins(1)).unwrap();
    sim.scenario().retire_classic(end, Retirement::InTurn);
    assert_eq!(get_as(&sim, "/api/alerts", &mde).await.status, 200);
    sim.clock().advance(Duration::from_secs(60));
    for turn in 0..4 {
        let reply = get_as(&sim, ["/api/alerts", "/api/machines"][turn / 2], &mde).await;
        assert_eq!(reply.status, if turn % 2 == 0 { 410 } else { 0 }, "{reply:?}");
        assert!(turn % 2 == 1 || reply.error_text().0 == "Gone");
    }
    assert_eq!(get_as(&sim, ALERTS, &graph).await.status, 200);
    let hunt = send(sim.addr(), "POST", "/api/advancedqueries/run", &[], "{}").await;
    assert_eq!(hunt.status, 410);
    sim.scenario().revive_classic();
    assert_eq!(get_as(&sim, "/api/alerts", &mde).await.status, 200);
}

#[tokio::test]
async fn devices_in_evidence_are_machines_of_the_estate() {
    let machines = MachineConfig { count: 20, ..MachineConfig::default() };
    let sim = free(SimConfig { machines, ..config() }).await;
    let listed = get_as(&sim, "/api/machines", &token(&sim).await).await.json();
    let machines: BTreeMap<_, _> =
        listed["value"].as_array().unwrap().iter().map(|row| (text(row, "id"), row)).collect();
    let mut seen = BTreeSet::new();
    for alert in rows(&sim, &format!("{ALERTS}?$filter=serviceSource eq 'microsoftDefenderForEndpoint'")).await {
        for device in alert["evidence"].as_array().unwrap().iter().filter(|row| row["deviceDnsName"].is_string()) {
            let machine = machines[text(device, "mdeDeviceId")];
            for (graph, classic) in [
                ("osPlatform", "osPlatform"),
                ("osBuild", "osBuild"),
                ("firstSeenDateTime", "firstSeen"),
                ("azureAdDeviceId", "aadDeviceId"),
            ] {
                assert_eq!(device[graph], machine[classic], "{graph}");
            }
            seen.insert(text(device, "mdeDeviceId").to_owned());
        }
    }
    assert_eq!(seen.len(), 20);
}
