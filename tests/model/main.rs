//! The model of the protocol.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails"
)]

mod bounds;
mod chunk;
mod commit;
mod deeds;
mod fixed;
mod hash;
mod hunt;
mod machine;
mod models;
mod mutants;
mod observe;
mod parsed;
mod programs;
mod properties;
mod outage;
mod redrive;
mod replay;
mod rules;
mod search;
mod state;
mod world;


use machine::Machine;
use models::{CASES, Size};
use search::{Found, search};

fn show(found: &Found, name: &str) {
    println!("{name}: {} states, depth {}, {:.1?}, stuck {}", found.states, found.depth, found.time, found.stuck);
    if let Some((n, t)) = &found.broken { println!("BROKEN {n}"); for l in t { println!("  {l}"); } }
    for l in &found.way_to_stuck { println!("  {l}"); }
}

#[test]
fn sizes() {
    let only = std::env::var("ONLY").unwrap_or_default();
    for case in CASES.iter().filter(|c| c.size == Size::Small && c.name.contains(&only)) {
        let machine = Machine::new(case.bounds, None);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| search(&machine, 400_000))) {
            Ok(f) => show(&f, case.name), Err(_) => println!("{}: TOO MANY", case.name) }
    }
}

#[test]
fn hunts() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let cases: Vec<_> = CASES.iter().filter(|c| c.size == Size::Small && c.name.contains(&only) && !["redrive", "redrive: a fault", "outage: a fault"].contains(&c.name)).collect();
    let report = hunt::hunt(&cases, |_| true);
    println!("killed {} of {}", report.iter().filter(|h| h.killed_by.is_some()).count(), report.len());
    for h in &report {
        match &h.killed_by { Some((c, w)) => println!("  killed  {} | {c}: {w}", h.mutant), None => println!("  SURVIVES {} | {:?}", h.mutant, h.tried) }
    }
}
