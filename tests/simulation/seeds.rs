//! Many seeds, each a run of its own.

use std::time::Instant;

use rowproof_io::settings::read_env;
use rowproof_local::faults::Class;

use crate::plan::Plan;
use crate::sim::{Report, run};
use crate::support::sabotage::Sabotage;

/// Seeds that once failed.
const KEPT: [u64; 1] = [20_296];
/// How many seeds a plain `cargo test` runs.
const SMOKE: u64 = 12;

fn number(name: &str) -> Option<u64> {
    read_env(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

fn run_seed(seed: u64) -> Report {
    let report = run(&Plan::of_seed(seed));
    assert!(
        report.violations.is_empty(),
        "seed {seed} fails; repeat it by ROWPROOF_SIM_SEED={seed} cargo test --test simulation \
         seeds -- --nocapture\n{}",
        report.violations.join("\n")
    );
    report
}

#[test]
fn whatever_a_seed_brings_nothing_is_lost_doubled_or_torn() {
    if let Some(seed) = number("ROWPROOF_SIM_SEED") {
        let plan = Plan { verbose: true, ..Plan::of_seed(seed) };
        let report = run(&plan);
        println!("{report:#?}");
        assert!(report.violations.is_empty(), "{}", report.violations.join("\n"));
        return;
    }
    let count = number("ROWPROOF_SIM_SEEDS").unwrap_or(SMOKE);
    let first = number("ROWPROOF_SIM_FIRST").unwrap_or(1);
    let began = Instant::now();
    let seeds: Vec<u64> = KEPT.into_iter().chain(first..first + count).collect();
    let reports: Vec<_> = seeds.iter().map(|seed| run_seed(*seed)).collect();
    print(&reports, began.elapsed().as_secs_f64());
}

fn print(reports: &[Report], seconds: f64) {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    println!(
        "{} seeds in {seconds:.1} s: {} requests, {} crashes, {} timeouts, {} cold starts",
        reports.len(),
        sum(|report| report.requests),
        sum(|report| report.crashes),
        sum(|report| report.timeouts),
        sum(|report| report.restarts),
    );
    println!("{:<28} {:>8} {:>8}", "fault", "total", "runs");
    for (at, class) in Class::ALL.iter().enumerate() {
        let counts = reports.iter().map(|report| report.faults[at]);
        let total: u64 = counts.clone().sum();
        println!(
            "{:<28} {total:>8} {:>8}",
            class.name(),
            counts.filter(|count| *count > 0).count()
        );
    }
    let mut states = std::collections::BTreeMap::new();
    for state in reports.iter().flat_map(|report| &report.states) {
        *states.entry(state).or_insert(0) += 1;
    }
    println!("jobs: {states:?}");
}

#[test]
fn a_seed_is_a_run_to_the_last_request() {
    for seed in [2, 5] {
        let runs = [0, 1].map(|_| run(&Plan::of_seed(seed)));
        let told = runs.each_ref().map(|report| (report.log, report.requests, report.seconds));
        assert_eq!(told[0], told[1], "seed {seed} went differently the second time");
    }
}

/// Runs until a seed shows that a guard is missing.
fn found(sabotage: Sabotage, seeds: u64) -> Option<(u64, String)> {
    (1..=seeds).find_map(|seed| {
        let plan = Plan { sabotage: Some(sabotage), ..Plan::contended(seed) };
        let first = run(&plan).violations.into_iter().next()?;
        Some((seed, first))
    })
}

#[test]
fn a_missing_guard_is_found() {
    for sabotage in [Sabotage::ObserveAnyRevision, Sabotage::SupersedeAnyState] {
        let found = found(sabotage, 20);
        println!("{sabotage:?}: {found:?}");
        assert!(found.is_some(), "{sabotage:?} is not noticed");
    }
}
