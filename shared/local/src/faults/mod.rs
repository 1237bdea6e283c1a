//! What goes wrong, decided by a seed: which requests are refused, lost, applied late or twice, which
//! messages vanish.
//!
//! A decision is a hash of the seed, of what a request asks for, and of how often that was asked
//! before. It never comes from a shared sequence, so that one request more or less leaves the fate of
//! all others as it was.

mod answers;
mod call;
mod front;
mod power;
mod tally;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use self::answers::{conflict, throttled, unavailable};
pub use self::call::{Call, Service};
pub(crate) use self::front::{answer, concerns};
pub use self::power::PowerCut;
pub use self::tally::{Class, Tally};

/// Chances are counted in so many parts.
const PARTS: u64 = 10_000;
/// Longest delay of a slow answer, a late request or a late message, unless another is set.
const LONGEST_DELAY: Duration = Duration::from_secs(20);

/// At the common port, faults happen to requests that are signed with this key, and to no others: an
/// operator looks on undisturbed.
pub const FAULTED_ACCESS_KEY: &str = "rowproof-faulted";

/// How often each class happens to a request or message that it can happen to, in parts of 10,000.
#[derive(Debug, Clone, Default)]
pub struct Rates(HashMap<Class, u64>);

impl Rates {
    /// Every class with the same chance.
    #[must_use]
    pub fn all(parts: u64) -> Self {
        Self(Class::ALL.iter().map(|class| (*class, parts)).collect())
    }

    /// The same with another chance for one class.
    #[must_use]
    pub fn with(mut self, class: Class, parts: u64) -> Self {
        self.0.insert(class, parts);
        self
    }

    fn of(&self, class: Class) -> u64 {
        self.0.get(&class).copied().unwrap_or(0)
    }
}

/// A fault, with a number that its details are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub class: Class,
    /// Chance for the details.
    pub chance: u64,
    /// For what is slow or late: by how much.
    pub delay: Duration,
}

/// A plan of faults. Clones share it, and its counts.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    rates: Rates,
    longest_delay: Duration,
    /// How often each thing was asked for, by its hash.
    seen: Mutex<HashMap<u64, u64>>,
    stopped: AtomicBool,
    tally: Tally,
}

impl Faults {
    /// The plan of a seed.
    #[must_use]
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self::with_delays(seed, rates, LONGEST_DELAY)
    }

    /// The same where nothing is later than this.
    #[must_use]
    pub fn with_delays(seed: u64, rates: Rates, longest_delay: Duration) -> Self {
        Self(Arc::new(Inner {
            seed,
            rates,
            longest_delay,
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
            tally: Tally::default(),
        }))
    }

    /// From now on nothing goes wrong.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
    }

    /// What went wrong so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// What happens to this request; counted.
    #[must_use]
    pub fn of_call(&self, call: &Call) -> Option<Fault> {
        let happens = |class: Class| match class {
            Class::Refuse | Class::Unavailable | Class::Lose | Class::Throttle | Class::Slow => {
                true
            }
            Class::Late | Class::Twice => call.is_write,
            Class::Truncate => call.is_download,
            Class::Conflict => call.is_conditional_put,
            Class::MessageTwice | Class::MessageLate | Class::MessageLost => false,
        };
        self.decide(&call.to_string(), happens)
    }

    /// What happens to a message that is sent to this queue; counted.
    #[must_use]
    pub fn of_message(&self, queue: &str, about: &str) -> Option<Fault> {
        let happens = |class: Class| match class {
            Class::MessageTwice | Class::MessageLate | Class::MessageLost => true,
            Class::Refuse
            | Class::Unavailable
            | Class::Lose
            | Class::Throttle
            | Class::Slow
            | Class::Late
            | Class::Twice
            | Class::Truncate
            | Class::Conflict => false,
        };
        self.decide(&format!("message {queue} {about}"), happens)
    }

    fn decide(&self, name: &str, happens: impl Fn(Class) -> bool) -> Option<Fault> {
        if self.0.stopped.load(Ordering::Acquire) {
            return None;
        }
        let hash = xxh3_64_with_seed(name.as_bytes(), self.0.seed);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(hash).or_insert(0);
        *times += 1;
        let chance = xxh3_64_with_seed(&times.to_le_bytes(), hash);
        let mut roll = chance % PARTS;
        for class in Class::ALL.into_iter().filter(|class| happens(*class)) {
            let parts = self.0.rates.of(class);
            if roll < parts {
                self.0.tally.add(class);
                let chance = chance / PARTS;
                let longest = u64::try_from(self.0.longest_delay.as_millis()).unwrap_or(u64::MAX);
                let delay = Duration::from_millis(1 + chance % longest.max(1));
                return Some(Fault { class, chance, delay });
            }
            roll -= parts;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(key: &str) -> Call {
        let request = hyper::Request::put(format!("http://h/{key}")).header("if-none-match", "*");
        Call::of(&request.body(bytes::Bytes::new()).unwrap())
    }

    #[test]
    fn a_seed_decides_each_request_by_itself() {
        let fates = |seed: u64, keys: &[&str]| -> Vec<Option<Fault>> {
            let faults = Faults::new(seed, Rates::all(1_000));
            keys.iter().map(|key| faults.of_call(&call(key))).collect()
        };
        assert_eq!(fates(1, &["a", "b", "a"]), fates(1, &["a", "b", "a"]));
        // Another request in between changes nothing for the others.
        assert_eq!(fates(1, &["a", "a"]), [0, 2].map(|at| fates(1, &["a", "b", "a"])[at]));
        let keys: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        assert_ne!(fates(1, &keys), fates(2, &keys));
    }

    #[test]
    fn what_happens_is_counted_and_stops_when_told() {
        let faults = Faults::new(7, Rates::default().with(Class::Conflict, PARTS));
        assert_eq!(faults.of_call(&call("a")).unwrap().class, Class::Conflict);
        assert_eq!(faults.tally().of(Class::Conflict), 1);
        faults.stop();
        assert_eq!(faults.of_call(&call("a")), None);
        assert_eq!(faults.of_message("work", "{}"), None);
    }
}
