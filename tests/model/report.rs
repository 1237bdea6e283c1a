//! Runs the cases and says what was found.

use std::time::Duration;

use stateright::{Checker, Model};

use crate::machine::Machine;
use crate::models::{Case, Size};
use crate::search::search;

/// States after which a case that is searched for liveness is too big.
const STATES_MAX: usize = 2_000_000;

/// What a case came to.
#[derive(Debug)]
pub(crate) struct Row {
    case: Case,
    states: usize,
    depth: usize,
    time: Duration,
    /// The first property that was broken, and the way there.
    broken: Option<(&'static str, Vec<String>)>,
    /// States from which no settled state can be reached; `None` where that was not asked.
    stuck: Option<usize>,
    way_to_stuck: Vec<String>,
}

/// Explores a case: by this model's own search, which also asks for liveness, and by Stateright.
pub(crate) fn check(case: &Case) -> Row {
    let begun = std::time::Instant::now();
    let mut row = Row {
        case: *case,
        states: 0,
        depth: 0,
        time: Duration::ZERO,
        broken: None,
        stuck: None,
        way_to_stuck: vec![],
    };
    if case.size == Size::Full {
        explore(&mut row);
    } else {
        let found = search(&Machine::new(case.bounds, None), STATES_MAX);
        row.states = found.states;
        row.depth = found.depth;
        row.stuck = Some(found.stuck);
        row.broken = found.broken;
        row.way_to_stuck = found.way_to_stuck;
    }
    row.time = begun.elapsed();
    row
}

/// A world's numbers are given in the order in which things turn up, so one thread explores it; other
/// threads have other cases.
fn explore(row: &mut Row) {
    let checker = Machine::new(row.case.bounds, None).checker().threads(1).spawn_bfs().join();
    row.states = checker.unique_state_count();
    row.depth = checker.max_depth();
    row.broken = checker.discoveries().into_iter().next().map(|(name, path)| {
        let told = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
        (name, told)
    });
}

/// Prints a table of what was found, and the sums.
pub(crate) fn print(rows: &[Row]) {
    println!("{:<36} {:>10} {:>6} {:>9}  violations, stuck", "model", "states", "depth", "seconds");
    for row in rows {
        let violations = usize::from(row.broken.is_some());
        let stuck = row.stuck.map_or("-".to_owned(), |stuck| stuck.to_string());
        let (name, seconds) = (row.case.name, row.time.as_secs_f32());
        let open = row.case.open.map_or(String::new(), |open| format!("  open: {open}"));
        println!(
            "{name:<36} {:>10} {:>6} {seconds:>9.1}  {violations}, {stuck}{open}",
            row.states, row.depth
        );
    }
    let closed = || rows.iter().filter(|row| row.case.open.is_none());
    let states: usize = rows.iter().map(|row| row.states).sum();
    let violations = closed().filter(|row| row.broken.is_some()).count();
    let stuck: usize = closed().filter_map(|row| row.stuck).sum();
    println!("{states} states in {} models, {violations} violations, stuck {stuck}", rows.len());
}

/// Nothing is broken and nothing is stuck, but for what is known and not mended yet.
pub(crate) fn assert_as_expected(rows: &[Row]) {
    for row in rows {
        let is_wrong = row.broken.is_some() || row.stuck.is_some_and(|stuck| stuck > 0);
        match row.case.open {
            None => assert!(!is_wrong, "{row:#?}"),
            Some(open) => assert!(is_wrong, "{}: {open}: mended, close it", row.case.name),
        }
    }
}
