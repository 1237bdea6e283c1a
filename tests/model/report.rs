//! Runs the cases and says what was found.

use std::time::Duration;

use stateright::{Checker, Model};

use crate::machine::Machine;
use crate::models::{Case, Size};
use crate::search::search;

/// States after which a case that is searched for liveness is too big.
const STATES_MAX: usize = 2_000_000;

/// Steps after which Stateright leaves a case, whose nearest states it has seen then; a `+` says so.
const EXPLORED_MAX: usize = 16_000_000;

/// What a case came to.
#[derive(Debug)]
pub(crate) struct Row {
    case: Case,
    states: usize,
    /// Whether there are more.
    is_cut: bool,
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
        is_cut: false,
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
    row.print();
    row
}

/// A world's numbers are given in the order in which things turn up, so one thread explores it; other
/// threads have other cases.
fn explore(row: &mut Row) {
    let checker = Machine::new(row.case.bounds, None).checker();
    let checker = checker.threads(1).target_state_count(EXPLORED_MAX).spawn_bfs().join();
    row.states = checker.unique_state_count();
    row.is_cut = checker.state_count() >= EXPLORED_MAX;
    row.depth = checker.max_depth();
    row.broken = checker.discoveries().into_iter().next().map(|(name, path)| {
        let told = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
        (name, told)
    });
}

impl Row {
    fn print(&self) {
        let violations = usize::from(self.broken.is_some());
        let stuck = self.stuck.map_or("-".to_owned(), |stuck| stuck.to_string());
        let cut = if self.is_cut { "+" } else { " " };
        let (name, seconds) = (self.case.name, self.time.as_secs_f32());
        println!(
            "{name:<36} {:>9}{cut} {:>5} {seconds:>8.1}  {violations}, {stuck}",
            self.states, self.depth
        );
    }
}

/// The heads of the table whose rows are printed as they come.
pub(crate) fn print_heads() {
    println!("{:<36} {:>9}  {:>5} {:>8}  violations, stuck", "model", "states", "depth", "seconds");
}

/// Prints the sums.
pub(crate) fn print_sums(rows: &[Row]) {
    let states: usize = rows.iter().map(|row| row.states).sum();
    let violations = rows.iter().filter(|row| row.broken.is_some()).count();
    let stuck: usize = rows.iter().filter_map(|row| row.stuck).sum();
    println!("{states} states in {} models, {violations} violations, stuck {stuck}", rows.len());
}

/// Nothing is broken, and nothing is stuck.
pub(crate) fn assert_right(rows: &[Row]) {
    for row in rows {
        let is_wrong = row.broken.is_some() || row.stuck.is_some_and(|stuck| stuck > 0);
        assert!(!is_wrong, "{row:#?}");
    }
}
