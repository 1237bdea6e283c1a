//! Which requests and messages fail, by a seed.

use std::time::Duration;

use rowproof_local::faults::{Class, Faults, Rates};

/// Chance of each fault of a request, and of one of a message, in parts of 10,000.
const REQUESTS: u64 = 150;

const MESSAGES: u64 = 500;

/// Nothing is later than this: a person waits.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_millis(800);

/// The plan of faults of a seed.
pub(crate) fn plan_of(seed: u64) -> Faults {
    let mut rates = Rates::all(REQUESTS);
    for class in [Class::MessageTwice, Class::MessageLate, Class::MessageLost] {
        rates = rates.with(class, MESSAGES);
    }
    Faults::with_delays(seed, rates, LONGEST_DELAY)
}

/// How often each class of faults happened in these runs: in all, and in the run with the fewest.
pub(crate) fn table(runs: &[&Faults]) -> String {
    let mut text = format!("{:<28} {:>8} {:>9}", "fault", "in all", "at least");
    for class in Class::ALL {
        let counts = runs.iter().map(|faults| faults.tally().of(class));
        let least = counts.clone().min().unwrap_or(0);
        text.push_str(&format!("\n{class:<28} {:>8} {least:>9}", counts.sum::<u64>()));
    }
    text
}
