//! Bulk answers are equal to the faithful ones wherever the tenant holds still.

use super::*;
use crate::service::{Answer, Bulk, Silence};
use mde_sim::RequestKind;
use mde_sim::{
    AlertConfig, ExportConfig, MachineConfig, PageConfig, RecommendationConfig, Service, SoftwareConfig,
    VulnerabilityConfig,
};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Worlds of all sizes: empty, one machine, machines that have all, machines that left or were patched.
async fn world(seed: u64) -> Bench {
    let at = |sizes: &[usize]| sizes[seed as usize % sizes.len()];
    let bench = Bench::new(SimConfig {
        seed,
        machines: MachineConfig {
            count: at(&[0, 1, 3, 9, 14]),
            software: at(&[4, 25, 12]),
            ..MachineConfig::default()
        },
        software: SoftwareConfig { count: at(&[25, 18]), undocumented: true, ..SoftwareConfig::default() },
        vulnerabilities: VulnerabilityConfig { count: at(&[45, 0, 120]), ..VulnerabilityConfig::default() },
        recommendations: RecommendationConfig { count: at(&[24, 1, 40]) },
        page: PageConfig { size: 7, ..PageConfig::default() },
        exports: ExportConfig { rebuilt_every: Duration::ZERO, files: 2 },
        alerts: AlertConfig { count: at(&[12, 0, 30]), ..AlertConfig::default() },
        ..SimConfig::default()
    })
    .await;
    if seed % 4 == 3 {
        bench.sim.world().remove_machine(0);
        bench.sim.world().add_machines(2);
        for number in 0..5 {
            bench.sim.world().patch_machine(number);
        }
        bench.sim.world().remove(Service::Software, 3);
        bench.sim.world().remove(Service::Vulnerabilities, 5);
        bench.sim.world().add(Service::Vulnerabilities, 3);
    }
    bench
}

/// Whether two answers are known to differ, and only so: an entity that an export does not have, of which the call for it says 0;
/// an alert whose machine has left, which only the call for it tells.
fn may_differ(count: &Count, each: Option<u64>, bulk: Option<u64>, machine_left: bool) -> bool {
    let exported = matches!(count.bulk.first(), Some(Bulk::Grouped(grouped)) if grouped.silence == Silence::Unknown);
    match (each, bulk) {
        (Some(0), None) => exported,
        (Some(0), Some(1)) => machine_left && count.bulk.first() == Some(&Bulk::Present("machineId")),
        _ => false,
    }
}

#[tokio::test]
async fn bulk_answers_are_those_of_a_call_for_each_entity_on_fifty_worlds() {
    let mut compared: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..50 {
        let bench = world(seed).await;
        let machines: BTreeSet<_> =
            bench.sim.world().picture().entities(Service::Machines).map(|entity| entity.id).collect();
        for def in service::SERVICES.iter().filter(|def| !def.counts.is_empty()) {
            let each = bench.counts(def, &bench.enricher(def, Method::PerEntity)).await;
            let bulk = bench.counts(def, &bench.enricher(def, Method::Bulk)).await;
            assert_eq!(each.len(), bulk.len());
            let left: BTreeSet<String> = bench
                .rows(def)
                .await
                .iter()
                .map(|row| RawObject::parse(row).expect("JSON"))
                .filter(|row| row.text("machineId").is_some_and(|machine| !machines.contains(&*machine)))
                .filter_map(|row| row.text("id").map(Cow::into_owned))
                .collect();
            for (id, each) in &each {
                for (index, count) in def.counts.iter().enumerate() {
                    let (each, bulk) = (each[index], bulk[id][index]);
                    let same = each == bulk && each.is_some();
                    let told = format!("seed {seed}, {} of {id}: {each:?} and {bulk:?}", count.option);
                    assert!(same || may_differ(count, each, bulk, left.contains(id)), "{told}");
                    *compared.entry(count.option).or_default() += u64::from(same && each > Some(0));
                }
            }
        }
    }
    let all: Vec<_> = service::SERVICES.iter().flat_map(|def| def.counts).map(|count| count.option).collect();
    assert!(all.iter().all(|option| compared.get(option).is_some_and(|times| *times > 20)), "too little: {compared:?}");
}

#[tokio::test]
async fn fall_backs_give_the_numbers_of_the_first_answers() {
    for seed in [2, 3, 7, 12, 19] {
        let bench = world(seed).await;
        for def in service::SERVICES {
            for count in def.counts.iter().filter(|count| count.bulk.len() > 1) {
                let first = bench.counts(def, &bench.enricher_of(def, vec![count], Method::Bulk)).await;
                // What a count is had by is remembered, so the second one is another tenant to the store.
                let enricher = bench.enricher_of(def, vec![count], Method::Auto);
                enricher.deny(count.per_entity.path);
                enricher.deny(Answer::Bulk(&count.bulk[0]).name());
                let second = bench.counts(def, &enricher).await;
                for (id, first) in first {
                    let second = &second[&id];
                    let zero = |counts: &[Option<u64>]| counts[0].unwrap_or(0) == 0;
                    assert!(
                        first == *second || (zero(&first) && zero(second)),
                        "seed {seed}, {} of {id}: {first:?} and {second:?}",
                        count.option
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn files_of_an_export_give_the_numbers_of_its_pages() {
    for seed in [3, 4, 14] {
        let bench = world(seed).await;
        for name in ["machines", "software"] {
            let def = service::find(name).expect("a service");
            let pages = bench.counts(def, &bench.enricher(def, Method::Bulk)).await;
            let in_files = bench.enricher(def, Method::Auto);
            in_files.count_in_files();
            for count in def.counts {
                in_files.deny(count.per_entity.path);
            }
            let files = bench.counts(def, &in_files).await;
            let links =
                bench.sim.ledger().requests().iter().any(|request| request.kind == RequestKind::ExportInventoryFiles);
            assert!(links, "files were read");
            for (index, count) in def.counts.iter().enumerate().filter(|(_, count)| !count.bulk.is_empty()) {
                for (id, pages) in &pages {
                    assert_eq!(files[id][index], pages[index], "seed {seed}, {} of {id}", count.option);
                }
            }
        }
    }
}
