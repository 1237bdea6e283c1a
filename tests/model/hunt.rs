//! Runs every mutant against the small cases until one of them tells it from the protocol.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::machine::Machine;
use crate::models::Case;
use crate::mutants::Mutant;
use crate::search::{Found, search};

/// States after which a small case is too big.
pub(crate) const SMALL_STATES: usize = 2_000_000;

/// States up to which a case is run for every mutant.
const HUNT_STATES: usize = 70_000;

/// What became of a mutant.
#[derive(Debug)]
pub(crate) struct Hunted {
    pub(crate) mutant: Mutant,
    /// The case that killed it, and how.
    pub(crate) killed_by: Option<(&'static str, String)>,
    /// The cases in which the clause occurs and that it survived.
    pub(crate) tried: Vec<&'static str>,
}

/// A case as it is without a mutant: its states, and the clauses that occur in it.
struct Baseline<'a> {
    case: &'a Case,
    states: usize,
    clauses: Vec<Mutant>,
}

fn baseline(case: &Case) -> Baseline<'_> {
    let machine = Machine::new(case.bounds, None);
    let found = search(&machine, SMALL_STATES);
    assert!(!found.is_wrong(), "{}: {found:#?}", case.name);
    Baseline { case, states: found.states, clauses: machine.world.clauses() }
}

/// Makes every mutant that the cases have clauses for and that is wanted, and hunts it.
pub(crate) fn hunt(cases: &[&Case], wanted: impl Fn(&Mutant) -> bool) -> Vec<Hunted> {
    let mut baselines = in_parallel(cases, |case| baseline(case));
    baselines.retain(|baseline| baseline.states <= HUNT_STATES);
    baselines.sort_by_key(|baseline| baseline.states);
    let mut mutants: BTreeMap<&Mutant, Vec<&Baseline<'_>>> = BTreeMap::new();
    for baseline in &baselines {
        for clause in &baseline.clauses {
            mutants.entry(clause).or_default().push(baseline);
        }
    }
    mutants.retain(|mutant, _| wanted(mutant));
    let mutants: Vec<_> = mutants.into_iter().collect();
    in_parallel(&mutants, |(mutant, cases)| hunt_one(mutant, cases))
}

fn hunt_one(mutant: &Mutant, cases: &[&Baseline<'_>]) -> Hunted {
    let mut tried = vec![];
    for baseline in cases {
        let machine = Machine::new(baseline.case.bounds, Some(mutant.clone()));
        let found = search(&machine, SMALL_STATES);
        if let Some(how) = verdict(&found) {
            let killed_by = Some((baseline.case.name, how));
            return Hunted { mutant: mutant.clone(), killed_by, tried };
        }
        tried.push(baseline.case.name);
    }
    Hunted { mutant: mutant.clone(), killed_by: None, tried }
}

fn verdict(found: &Found) -> Option<String> {
    match &found.broken {
        Some((name, _)) => Some(format!("not: {name}")),
        None if found.stuck > 0 => Some(format!("{} states are stuck", found.stuck)),
        None => None,
    }
}

/// Does something for each of the things on two threads; the results are in order.
pub(crate) fn in_parallel<T: Sync, R: Send>(things: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = {
                        let mut next = next.lock().unwrap();
                        *next += 1;
                        *next - 1
                    };
                    let Some(thing) = things.get(at) else { return };
                    let result = each(thing);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
