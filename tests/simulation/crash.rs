//! A crash at every place where one makes a difference: before a request is applied, after it is applied
//! and before its answer, and after the answer.

use rowproof_io::settings::read_env;

use crate::plan::{Action, Plan, packed};
use crate::sim::run;
use crate::support::orders::Orders;
use crate::support::sabotage::Sabotage;

/// Without `ROWPROOF_SIM_CRASH`: single crashes in all. Pairs are a fourth of that.
const SMOKE: u64 = 16;
/// So many scenarios, the smallest, are crashed twice in a run.
const PAIRED: usize = 3;

fn upload(key: &str, rows: usize, first_id: usize, flaw_every: usize) -> Action {
    let orders = Orders { rows, first_id, flaw_every, ..Orders::clean(0) };
    Action::Upload { key: key.into(), bytes: packed(key, orders.csv().0) }
}

/// Scenarios by name.
fn scenarios() -> Vec<(&'static str, Plan)> {
    let one = |rows: usize, chunk_rows: u64| {
        let plan = Plan { chunk_rows, ..Plan::calm(1) };
        plan.with(0, upload("incoming/a.csv", rows, 1, 9))
    };
    let packed = |rows: usize, chunk_rows: u64| {
        let plan = Plan { chunk_rows, ..Plan::calm(1) };
        plan.with(0, upload("incoming/a.csv.gz", rows, 1, 9))
    };
    let replaced = |at: u64| one(30, 20).with(at, upload("incoming/a.csv", 20, 500, 0));
    let held = |plan: Plan, decision: Action| Plan { hold: true, ..plan }.with(20_000, decision);
    vec![
        ("one chunk", one(8, 100)),
        ("an empty file", one(0, 100)),
        ("three chunks", one(30, 12)),
        ("three chunks, inline", Plan { inline_chunks: 4, ..one(30, 12) }),
        ("packed, one chunk", packed(10, 100)),
        ("packed, a chain of three", packed(30, 12)),
        ("overwritten at once", replaced(150)),
        ("overwritten while it is processed", replaced(500)),
        ("overwritten when it is loaded", replaced(30_000)),
        ("run again", one(20, 12).with(20_000, Action::Rerun { key: "incoming/a.csv".into() })),
        ("held and approved", held(one(20, 12), Action::Approve)),
        ("held and discarded", held(one(20, 12), Action::Discard)),
    ]
}

fn crash(name: &str, plan: &Plan, at: Vec<u64>) {
    let report = run(&Plan { crash_at: at.clone(), ..plan.clone() });
    assert!(
        report.violations.is_empty(),
        "{name}, crashed at {at:?}:\n{}",
        report.violations.join("\n")
    );
}

#[test]
fn no_crash_at_any_boundary_loses_or_doubles_a_row() {
    let singles = match read_env("ROWPROOF_SIM_CRASH").as_deref() {
        Some("all") => u64::MAX,
        Some(count) => count.parse().unwrap(),
        None => SMOKE,
    };
    let scenarios = scenarios();
    let points: Vec<u64> = scenarios.iter().map(|(_, plan)| run(plan).boundaries).collect();
    let total: u64 = points.iter().sum();
    let every = total.div_ceil(singles);
    let mut next = 1;
    let (mut crashed, mut before) = (0, 0);
    for ((name, plan), count) in scenarios.iter().zip(&points) {
        println!("{name}: {count} crash points");
        while next <= before + count {
            crash(name, plan, vec![next - before]);
            crashed += 1;
            next += every;
        }
        before += count;
    }
    println!("K = {total} crash points, {crashed} crashed at one at a time");

    let mut smallest: Vec<_> = points.into_iter().zip(&scenarios).collect();
    smallest.sort_by_key(|(count, _)| *count);
    smallest.truncate(PAIRED);
    let total: u64 = smallest.iter().map(|(count, _)| count * count).sum();
    let every = total.div_ceil((singles / 4).max(1));
    let mut crashed = 0;
    for (count, (name, plan)) in smallest {
        let pairs = count * count;
        for pair in (0..pairs).step_by(usize::try_from(every).unwrap()) {
            // Counted on from the first: the run goes another way behind it.
            let first = 1 + pair / count;
            crash(name, plan, vec![first, first + 1 + pair % count]);
            crashed += 1;
        }
        println!("{name}: {pairs} pairs");
    }
    println!("{total} pairs of crash points, {crashed} crashed at");
}

/// The layer's control: without a guard that a crash needs, it goes red.
#[test]
fn a_missing_guard_is_found_by_crashes() {
    let scenarios = scenarios();
    let (_, plan) = scenarios
        .iter()
        .find(|(name, _)| *name == "overwritten while it is processed")
        .expect("the scenario is there");
    let found = (60..200).step_by(4).find_map(|at| {
        let sabotage = Some(Sabotage::SupersedeAnyState);
        let report = run(&Plan { crash_at: vec![at], sabotage, ..plan.clone() });
        report.violations.first().map(|violation| (at, violation.clone()))
    });
    println!("T12 without its states: {found:?}");
    assert!(found.is_some(), "supersede without its states is not noticed");
}
