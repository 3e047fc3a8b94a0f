use super::*;
use crate::config::{AlertConfig, GraphConfig, SimConfig};

fn world(config: AlertConfig) -> (World, SimClock) {
    let clock = SimClock::manual("2026-11-24T00:00:00Z".parse().unwrap());
    (
        World::new(
            Recipe { seed: 5, tenant_id: "t".to_owned(), config, graph: GraphConfig::default() },
            Plan::of(&SimConfig::default()),
            clock.clone(),
        ),
        clock,
    )
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_same_seed_gives_the_same_octets_and_another_seed_does_not() {
    let octets = |seed| {
        let clock = SimClock::manual(at("2026-11-24T00:00:00Z"));
        let world = World::new(
            Recipe { seed, tenant_id: "t".to_owned(), config: AlertConfig::default(), graph: GraphConfig::default() },
            Plan::of(&SimConfig::default()),
            clock,
        );
        let mut out = Vec::new();
        for version in world.select(Ticks(0)..=Ticks(i64::MAX)) {
            world.recipe().write(&version, true, &mut out);
        }
        out
    };
    assert_eq!(octets(9), octets(9));
    assert_ne!(octets(9), octets(10));
}

#[test]
fn alerts_lie_in_the_span_and_ids_are_unique() {
    let (world, _) = world(AlertConfig { count: 5_000, ..AlertConfig::default() });
    let versions = world.versions();
    let ids: BTreeSet<_> = versions.iter().map(|version| &version.id).collect();
    assert_eq!(ids.len(), 5_000);
    assert_eq!(
        world.select(Ticks::of(at("2026-11-17T00:00:00Z"))..=Ticks::of(at("2026-11-24T00:00:00Z"))).len(),
        5_000
    );
}

#[test]
fn tied_alerts_share_their_update_time() {
    let times = |tied, count| {
        let (world, _) = world(AlertConfig { count, tied, ..AlertConfig::default() });
        let times: BTreeSet<_> = world.versions().into_iter().map(|version| version.last_update_time).collect();
        times.len()
    };
    assert_eq!(times(10, 100), 10);
    assert_eq!(times(usize::MAX, 100), 1);
    assert_eq!(times(1, 100), 100);
}

#[test]
fn an_update_replaces_the_version() {
    let (world, _) = world(AlertConfig { count: 3, ..AlertConfig::default() });
    let before = world.versions().remove(0);
    world.update_alert(&before.id, at("2026-11-24T00:00:01.5Z")).unwrap();
    let after: Vec<_> = world.versions().into_iter().filter(|version| version.id == before.id).collect();
    assert_eq!(after.len(), 1, "the old version is gone");
    assert_eq!(after[0].last_update_time, "2026-11-24T00:00:01.5Z");
    assert_eq!(after[0].evidence, before.evidence + 1);
    assert_eq!(world.update_alert(&before.id, at("2026-11-24T00:00:01.5Z")), Err(WorldError::NotLater));
    assert_eq!(world.update_alert("da1_1", at("2026-11-24T00:00:01.5Z")), Err(WorldError::UnknownAlert));
}

#[test]
fn a_late_version_appears_with_its_old_time_and_only_then() {
    let (world, clock) = world(AlertConfig { count: 1, ..AlertConfig::default() });
    let known = world.versions().remove(0);
    let id = world.add_alert_late(at("2026-11-24T00:00:00Z"), Duration::from_secs(120));
    world.update_alert_late(&known.id, at("2026-11-24T00:00:10Z"), Duration::from_secs(60)).unwrap();
    assert_eq!(world.versions(), std::slice::from_ref(&known));
    clock.advance(Duration::from_secs(70));
    assert_eq!(world.versions()[0].last_update_time, "2026-11-24T00:00:10Z");
    clock.advance(Duration::from_secs(50));
    let late = world.versions().into_iter().find(|version| version.id == id).unwrap();
    assert_eq!(late.last_update_time, "2026-11-24T00:00:00Z");
}

#[test]
fn a_late_update_is_never_seen_once_a_later_one_is_visible() {
    let (world, clock) = world(AlertConfig { count: 1, ..AlertConfig::default() });
    let id = world.versions().remove(0).id;
    world.update_alert_late(&id, at("2026-11-24T00:00:10Z"), Duration::from_secs(60)).unwrap();
    world.update_alert(&id, at("2026-11-24T00:00:20Z")).unwrap();
    clock.advance(Duration::from_secs(100));
    assert_eq!(world.versions()[0].last_update_time, "2026-11-24T00:00:20Z");
    assert_eq!(world.versions().len(), 1);
}

#[test]
fn a_living_world_follows_the_clock_however_it_is_read() {
    let config = AlertConfig { count: 10, new_per_minute: 6.0, updates_per_minute: 30.0, ..AlertConfig::default() };
    let (looked_at, clock) = world(config.clone());
    for _ in 0..600 {
        clock.advance(Duration::from_secs(1));
        looked_at.alert_count();
    }
    let (asleep, clock) = world(config);
    clock.advance(Duration::from_secs(600));
    assert_eq!(looked_at.alert_count(), 10 + 60);
    assert_eq!(looked_at.versions(), asleep.versions());
    assert!(asleep.versions().iter().all(|version| version.last_update_time.as_str() <= "2026-11-24T00:10:00Z"));
}
