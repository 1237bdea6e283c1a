//! Runs with one trouble each, and what exactly must come of it.

use std::collections::BTreeMap;

use rowproof_local::faults::Rates;

use crate::plan::{Action, Plan, packed};
use crate::sim::{Report, run};
use crate::support::orders::Orders;

const MINUTE_MS: u64 = 60_000;

fn upload(key: &str, rows: usize) -> Action {
    let orders = Orders { flaw_every: 9, ..Orders::clean(rows) };
    Action::Upload { key: key.into(), bytes: packed(key, orders.csv().0) }
}

/// The sweeper once a minute, as the template has it.
fn swept(mut plan: Plan, minutes: u64) -> Plan {
    for minute in 1..=minutes {
        plan = plan.with(minute * MINUTE_MS, Action::Sweep);
    }
    plan
}

fn committed(report: &Report) {
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    let states: BTreeMap<_, _> = report.states.iter().map(|state| (state.as_str(), ())).collect();
    assert_eq!(states.into_keys().collect::<Vec<_>>(), ["COMMITTED"]);
}

#[test]
fn a_record_that_kills_its_workers_is_archived_alone() {
    let Action::Upload { key, bytes } = upload("incoming/a.csv", 30) else { unreachable!() };
    // Somewhere in the third record.
    let lines: Vec<usize> =
        bytes.iter().enumerate().filter(|b| *b.1 == b'\n').map(|b| b.0).collect();
    let byte = lines[2] as u64 + 5;
    let plan = Plan { poison: Some((key.clone(), byte)), ..Plan::calm(1) };
    let report = run(&swept(plan.with(0, Action::Upload { key, bytes }), 60));
    committed(&report);
    assert_eq!(report.poison, 1, "{report:#?}");
    // Five for the chunk, one for each of its halves, quarters and so on, two more for the record.
    assert!((5..=14).contains(&report.crashes), "{report:#?}");
}

#[test]
fn a_sink_that_hangs_for_twenty_minutes_charges_nobody() {
    let outage = Some(2_000..2_000 + 20 * MINUTE_MS);
    let mut plan = Plan { outage, chunk_rows: 6, ..Plan::calm(2) };
    for at in 0..3 {
        plan = plan.with(at * 2_000, upload(&format!("incoming/{at}.csv"), 40));
    }
    let report = run(&swept(plan, 45));
    committed(&report);
    assert_eq!((report.poison, report.outages_told), (0, 1), "{report:#?}");
    assert!(report.attempts <= 1, "{report:#?}");
    assert!(report.ended_by_itself, "{report:#?}");
}

#[test]
fn messages_that_are_all_deleted_cost_time_only() {
    let mut plan = Plan { chunk_rows: 3, ..Plan::calm(3) }.with(0, upload("incoming/a.csv", 60));
    for at in 1..30 {
        plan = plan.with(at * 40, Action::Purge);
    }
    let report = run(&swept(plan, 40));
    committed(&report);
    assert!(report.ended_by_itself, "{report:#?}");
}

#[test]
fn a_clock_that_is_wrong_by_a_day_costs_time_only() {
    for skew in [-86_400_000, 86_400_000] {
        let plan = Plan { skews_ms: vec![skew, 0, 0], crash_parts: 60, ..Plan::of_seed(4) };
        committed_or_superseded(&run(&Plan { hold: false, ..plan }));
    }
}

fn committed_or_superseded(report: &Report) {
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    let over = |state: &String| ["COMMITTED", "SUPERSEDED"].contains(&state.as_str());
    assert!(report.states.iter().all(over), "{report:#?}");
}

#[test]
fn a_replay_lands_each_row_once_however_often_and_whoever_dies() {
    for seed in 1..=3 {
        let orders = Orders { flaw_every: 4, ..Orders::clean(120) };
        let key = "incoming/a.csv".to_owned();
        let upload = Action::Upload { key: key.clone(), bytes: orders.csv().0 };
        let mut plan = Plan { patched: true, chunk_rows: 30, ..Plan::calm(seed) }.with(0, upload);
        // Everything happens while rows are replayed: the file is loaded by then.
        plan.rates = Rates::all(60);
        plan.crash_parts = 40;
        for at in [60_000, 60_200, 61_000, 75_000, 400_000] {
            plan = plan.with(at, Action::Replay { key: key.clone() });
        }
        // The last one finds whatever crashes left of the ones before it.
        let report = run(&swept(plan, 12).with(800_000, Action::Replay { key }));
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
    }
}
