use super::super::tables::Row;
use super::*;
use crate::config::SimConfig;
use crate::estate::{Plan, View};
use crate::odata::Value;
use crate::odata::filter::EVER;
use crate::ticks::Ticks;
use crate::world::{Recipe, World};
use crate::{AlertConfig, HuntingConfig, SimClock};

/// A small tenant at one moment.
fn view() -> View {
    let clock = SimClock::manual("2026-11-24T12:00:00Z".parse().unwrap());
    let config = AlertConfig { count: 0, ..AlertConfig::default() };
    let recipe = Recipe { seed: 3, tenant_id: "t".to_owned(), config, graph: crate::config::GraphConfig::default() };
    World::new(recipe, Plan::of(&SimConfig { seed: 3, ..SimConfig::default() }), clock).view()
}

/// The rows of a query.
fn found(view: &View, query: &str) -> Vec<Row> {
    let query = parse(query, view.now).unwrap_or_else(|error| panic!("{query}: {error}"));
    run(&query, Moment { view, config: &HuntingConfig::default(), within: &EVER }).collect()
}

/// How many rows a query has.
fn count(query: &str) -> usize {
    found(&view(), query).len()
}

/// A time column's value.
fn time(row: &Row) -> Ticks {
    match row[0] {
        Value::Time(at) => at,
        _ => panic!("{row:?} has no time"),
    }
}

#[test]
fn a_slice_has_exactly_the_rows_between_its_ends() {
    let view = view();
    let all = found(&view, "DeviceLogonEvents");
    assert!(all.len() > 2_500, "two days at one a minute: {}", all.len());
    let at = |text: &str| Ticks::of(text.parse().unwrap());
    let (from, to) = (at("2026-11-23T06:00:00Z"), at("2026-11-23T07:30:00Z"));
    let slice = found(
        &view,
        "DeviceLogonEvents | where Timestamp >= datetime(2026-11-23T06:00:00Z) and Timestamp < datetime(2026-11-23 07:30)",
    );
    let expected: Vec<_> = all.into_iter().filter(|row| from <= time(row) && time(row) < to).collect();
    assert_eq!(slice, expected);
    assert!((80..=100).contains(&slice.len()), "{}", slice.len());
}

#[test]
fn some_rows_are_equal_in_every_column() {
    let rows = found(&view(), "DeviceProcessEvents");
    let twins = rows.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!((40..100).contains(&twins), "{twins}");
}

#[test]
fn hashing_the_packed_row_parts_a_table_without_a_rest() {
    let view = view();
    let all = found(&view, "DeviceTvmSoftwareVulnerabilities");
    let mut parts = Vec::new();
    for part in 0..3 {
        let query = format!("DeviceTvmSoftwareVulnerabilities\n| where hash(tostring(pack_all()), 3) == {part}");
        let rows = found(&view, &query);
        assert!(rows.len() * 5 > all.len(), "parts are about even");
        parts.extend(rows);
    }
    let names = |rows: &[Row]| {
        let mut names: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&parts), names(&all));
}

#[test]
fn comparisons_mean_what_they_mean() {
    let base = count("DeviceLogonEvents | where ActionType == 'LogonFailed'");
    assert!(base > 100);
    for same in [
        "DeviceLogonEvents | where ActionType =~ 'logonFAILED'",
        "DeviceLogonEvents | where ActionType contains 'failed'",
        "DeviceLogonEvents | where ActionType endswith \"Failed\"",
        "DeviceLogonEvents | where ActionType in ('LogonFailed', 'Other')",
        "DeviceLogonEvents | where ActionType in~ ('logonfailed')",
        "DeviceLogonEvents | where ActionType !in ('LogonSuccess')",
        "DeviceLogonEvents | where ActionType != 'LogonSuccess'",
        "DeviceLogonEvents | where not(ActionType == 'LogonSuccess')",
        "DeviceLogonEvents | where isnotempty(RemoteIP)",
        "DeviceLogonEvents | where RemoteIP startswith '198.51.100.'",
        "DeviceLogonEvents | where FailureReason has 'InvalidUserNameOrPassword' // the reason\n;",
        "let wanted = 'LogonFailed'; DeviceLogonEvents | filter ActionType == wanted",
        "DeviceLogonEvents | extend Failed = ActionType == 'LogonFailed' | where Failed == 1",
        "DeviceLogonEvents | where ActionType == 'LogonFailed' or (LogonId < 0 and ReportId >= 0)",
    ] {
        assert_eq!(count(same), base, "{same}");
    }
    assert_eq!(count("DeviceLogonEvents | where ActionType == 'logonfailed'"), 0, "`==` counts with case");
}

#[test]
fn now_ago_and_sums_of_times_agree() {
    let day = count("DeviceLogonEvents | where Timestamp > ago(1d)");
    assert!((1_300..1_500).contains(&day), "{day}");
    for same in [
        "DeviceLogonEvents | where Timestamp > now() - 24h",
        "DeviceLogonEvents | where Timestamp > datetime(2026-11-23T11:30:00Z) + 30m",
        "let since = ago(1d); DeviceLogonEvents | where Timestamp > since",
    ] {
        assert_eq!(count(same), day, "{same}");
    }
}

#[test]
fn groups_add_up_and_orders_hold() {
    let view = view();
    let all = found(&view, "DeviceLogonEvents").len() as i64;
    assert_eq!(found(&view, "DeviceLogonEvents | count"), [vec![Value::Integer(all)]]);
    let groups = found(&view, "DeviceLogonEvents | summarize rows = count(), dcount(DeviceId) by ActionType");
    let sum: i64 = groups.iter().map(|row| if let Value::Integer(rows) = row[1] { rows } else { 0 }).sum();
    assert_eq!((groups.len(), sum), (2, all));
    let hours = found(&view, "DeviceLogonEvents | summarize count() by bin(Timestamp, 1h)");
    assert!((48..=49).contains(&hours.len()));
    let machines = found(&view, "DeviceInfo | distinct DeviceId").len();
    assert_eq!(machines, 200);
    let top = found(&view, "DeviceLogonEvents | project Timestamp, ReportId | top 3 by Timestamp");
    let sorted = found(&view, "DeviceLogonEvents | project Timestamp, ReportId | order by Timestamp desc | take 3");
    assert_eq!(top, sorted);
    assert!(time(&top[0]) >= time(&top[2]));
    let oldest = found(&view, "DeviceLogonEvents | sort by Timestamp asc | limit 1");
    assert!(time(&oldest[0]) < time(&top[2]));
    assert_eq!(found(&view, "DeviceInfo | where DeviceId == 'x' | count"), [vec![Value::Integer(0)]]);
}

#[test]
fn what_is_no_query_is_refused_with_the_place() {
    let refusal = |query: &str| parse(query, view().now).unwrap_err().to_string();
    assert!(refusal("DeviceLogonEvents\n| where Timestamp >> 1").contains("on line [2,20]"));
    assert!(refusal("DeviceLogonEvents | where Nothing == 1").contains("named 'Nothing'"));
    assert!(refusal("NoTable | take 1").contains("named 'NoTable'"));
    assert!(refusal("DeviceLogonEvents | project Timestamp | where ActionType == 'x'").contains("named 'ActionType'"));
    let deep = format!("DeviceInfo | where {}1 == 1{}", "(".repeat(5_000), ")".repeat(5_000));
    for query in [
        "",
        "|",
        "DeviceInfo |",
        "DeviceInfo | where",
        "DeviceInfo | take x",
        "DeviceInfo | join DeviceInfo",
        "DeviceInfo | join kind=sideways DeviceInfo on DeviceId",
        "DeviceInfo | join DeviceInfo on CveId",
        "DeviceInfo | summarize arg_max(*) by DeviceId",
        "DeviceInfo | project-sideways DeviceId",
        "DeviceInfo | where DeviceId == 'open",
        "DeviceInfo; DeviceInfo",
        "let x = ; DeviceInfo",
        "DeviceInfo | where nothing(DeviceId)",
        "deviceinfo",
        deep.as_str(),
    ] {
        assert!(parse(query, view().now).is_err(), "{query:.60} was accepted");
    }
}

#[test]
fn comments_and_semicolons_change_nothing() {
    let plain = count("DeviceInfo | take 7");
    for same in [
        "DeviceInfo | take 7;",
        "// all machines\nDeviceInfo // really\n| take 7 // seven",
        "let a = 1; let b = 'DeviceInfo'; DeviceInfo | take 7 ; ",
        "DeviceInfo\r\n|\ttake 7\n//",
    ] {
        assert_eq!(count(same), plain, "{same}");
    }
}

#[test]
fn the_newest_row_of_each_machine_is_found_and_partial_ones_can_be_left_out() {
    let view = view();
    let newest = "summarize arg_max(Timestamp, *) by DeviceId";
    let all = found(&view, &format!("DeviceInfo | {newest}"));
    let whole = found(&view, &format!("DeviceInfo | where Timestamp > ago(30d) and isnotempty(OSPlatform) | {newest}"));
    assert_eq!((all.len(), whole.len()), (200, 200));
    let query = parse(&format!("DeviceInfo | {newest}"), view.now).unwrap();
    let names: Vec<_> = query.columns.iter().map(|column| column.name.as_ref()).collect();
    assert_eq!(names[..3], ["DeviceId", "Timestamp", "DeviceName"]);
    assert_eq!(names.len(), query.table.columns.len());
    let platform = names.iter().position(|name| *name == "OSPlatform").unwrap();
    let partial = all.iter().filter(|row| row[platform] == Value::Text("".into())).count();
    assert!(partial > 20, "heartbeats hide the whole rows of {partial} machines");
    assert!(whole.iter().all(|row| row[platform] != Value::Text("".into())));
    // The same in parts, and with fewer columns under names of their own.
    let mut parts = 0;
    for part in 0..4 {
        parts += count(&format!("DeviceInfo | where hash(DeviceId, 4) == {part} | {newest}"));
    }
    assert_eq!(parts, 200);
    let few =
        parse("DeviceInfo | summarize Seen = arg_max(Timestamp, OSPlatform), take_any(PublicIP) by DeviceId", view.now);
    let few = few.unwrap();
    let names: Vec<_> = few.columns.iter().map(|column| column.name.as_ref()).collect();
    assert_eq!(names, ["DeviceId", "Seen", "OSPlatform", "PublicIP"]);
}

#[test]
fn only_groups_that_span_machines_are_held_until_the_end() {
    let held = |query: &str| {
        let query = parse(query, view().now).unwrap();
        let is_held = |step: &Step| matches!(step, Step::Summarize { together: None, .. });
        query.steps.iter().filter(|step| is_held(step)).count()
    };
    assert_eq!(held("DeviceInfo | where OSPlatform != '' | summarize arg_max(Timestamp, *) by DeviceId"), 0);
    assert_eq!(
        held("DeviceTvmSoftwareInventory | distinct DeviceId, SoftwareName | summarize count() by SoftwareName"),
        1
    );
    assert_eq!(held("DeviceTvmSoftwareInventory | distinct SoftwareName"), 1);
    assert_eq!(held("DeviceInfo | order by Timestamp | distinct DeviceId"), 1, "after an order machines are mixed");
    assert_eq!(held("DeviceLogonEvents | distinct DeviceId"), 1, "events of machines are mixed");
    // Both ways find the same groups.
    let view = view();
    let sorted = |query: &str| {
        let mut rows: Vec<_> = found(&view, query).iter().map(|row| format!("{row:?}")).collect();
        rows.sort_unstable();
        rows
    };
    let count = "summarize count(), max(SoftwareVersion) by DeviceId, SoftwareVendor";
    let one_by_one = sorted(&format!("DeviceTvmSoftwareInventory | {count}"));
    assert_eq!(one_by_one, sorted(&format!("DeviceTvmSoftwareInventory | order by SoftwareName | {count}")));
    assert!(one_by_one.len() > 1_000);
}

#[test]
fn joins_are_what_nested_loops_would_find() {
    let view = view();
    let (left, right) = (
        "DeviceTvmSoftwareVulnerabilities | where SoftwareVendor == 'microsoft'",
        "DeviceTvmSoftwareVulnerabilitiesKB | where CvssScore >= 7.5",
    );
    let cves = |query: &str| -> Vec<String> {
        let rows = found(&view, &format!("{query} | project CveId"));
        rows.iter().map(|row| super::expression::text(&row[0])).collect()
    };
    let (ours, theirs) = (cves(left), cves(right));
    let with_pair = ours.iter().filter(|cve| theirs.contains(cve)).count();
    let without = ours.len() - with_pair;
    let different: std::collections::BTreeSet<_> = ours.iter().filter(|cve| theirs.contains(cve)).collect();
    assert!(with_pair > 50 && without > 50);
    for (kind, expected) in [
        ("kind=inner", with_pair),
        ("", different.len()),
        ("kind=leftouter", ours.len()),
        ("kind=leftsemi", with_pair),
        ("kind=leftanti hint.strategy=broadcast", without),
    ] {
        assert_eq!(count(&format!("{left} | join {kind} ({right}) on CveId")), expected, "{kind}");
    }
    let query = format!("{left} | join kind=inner ({right}) on $left.CveId == $right.CveId");
    let names: Vec<_> = parse(&query, view.now).unwrap().columns.iter().map(|column| column.name.to_string()).collect();
    assert!(names.contains(&"CveId1".to_owned()) && names.contains(&"VulnerabilitySeverityLevel1".to_owned()));
    let looked_up = parse(&format!("{left} | lookup ({right}) on CveId"), view.now).unwrap();
    assert!(!looked_up.columns.iter().any(|column| column.name == "CveId1"));
    let named = format!("let bad = {right}; let ours = materialize({left}); ours | join kind=inner bad on CveId");
    assert_eq!(count(&named), with_pair);
    // In any order of hash parts too.
    let parts: usize = (0..3).map(|part| count(&format!("{left} | where hash(DeviceId) % 3 == {part}"))).sum();
    assert_eq!(parts, ours.len());
}

#[test]
fn figures_and_functions_give_what_they_say() {
    let view = view();
    let one = |query: &str| found(&view, query).remove(0).remove(0);
    let failed = count("DeviceLogonEvents | where ActionType == 'LogonFailed'") as i64;
    assert_eq!(one("DeviceLogonEvents | summarize countif(ActionType == 'LogonFailed')"), Value::Integer(failed));
    let sum = "DeviceLogonEvents | extend one = iff(ActionType == 'LogonFailed', 1, 0) | summarize sum(one)";
    assert_eq!(one(sum), Value::Integer(failed));
    assert_eq!(
        one("DeviceLogonEvents | summarize make_set(tolower(ActionType))"),
        Value::Text(r#"["logonfailed","logonsuccess"]"#.into())
    );
    assert_eq!(
        one("DeviceInfo | take 1 | project strcat('a', toint('7') * 3 % 4, coalesce('', 'b'))"),
        Value::Text("a1b".into())
    );
    let narrow = "DeviceLogonEvents | where Timestamp between (datetime(2026-11-23T06:00:00Z) .. datetime(2026-11-23T07:00:00Z))";
    assert!((50..=70).contains(&count(narrow)));
    let columns = |query: &str| parse(query, view.now).unwrap().columns.len();
    let all = columns("DeviceInfo");
    assert_eq!(columns("DeviceInfo | project-away DeviceId, DeviceName"), all - 2);
    assert_eq!(columns("DeviceInfo | project-keep DeviceId, DeviceName"), 2);
    assert_eq!(columns("DeviceInfo | project-rename Id = DeviceId | project Id"), 1);
}

proptest::proptest! {
    #[test]
    fn no_text_panics_the_parser(text in "[ -~é\n]{0,40}|(DeviceInfo|[|()=~!,;'\"]|where|take|summarize|by|and|DeviceId|1h|datetime\\(| ){0,20}") {
        let _ = parse(&text, Ticks(0));
    }
}
