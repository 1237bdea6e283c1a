//! The classes of faults, and how often each happened.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A class of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// No connection; nothing was applied.
    Refuse,
    /// An error answer of the server; nothing was applied.
    Unavailable,
    /// Applied, but the answer was lost.
    Lose,
    /// The answer was lost first, and only later was the request applied.
    Late,
    /// Applied twice; the second answer came back.
    Twice,
    /// Refused because of too many requests; nothing was applied.
    Throttle,
    /// A download that broke off.
    Truncate,
    /// A conditional PUT that met another one: neither yes nor no.
    Conflict,
    /// An answer that took seconds.
    Slow,
    /// A message that was delivered twice.
    MessageTwice,
    /// A message that was delayed, and so overtaken by later ones.
    MessageLate,
    /// A message that never came.
    MessageLost,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 12] = [
        Class::Refuse,
        Class::Unavailable,
        Class::Lose,
        Class::Late,
        Class::Twice,
        Class::Throttle,
        Class::Truncate,
        Class::Conflict,
        Class::Slow,
        Class::MessageTwice,
        Class::MessageLate,
        Class::MessageLost,
    ];

    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Refuse => "connection refused",
            Class::Unavailable => "error answer, not applied",
            Class::Lose => "applied, answer lost",
            Class::Late => "answer lost, applied later",
            Class::Twice => "applied twice",
            Class::Throttle => "throttled",
            Class::Truncate => "download broken off",
            Class::Conflict => "409 on a conditional PUT",
            Class::Slow => "slow answer",
            Class::MessageTwice => "message delivered twice",
            Class::MessageLate => "message late, out of order",
            Class::MessageLost => "message lost",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// How often each class happened.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; Class::ALL.len()]);

impl Tally {
    pub(super) fn add(&self, class: Class) {
        if let Some(count) = self.count(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often this class happened.
    #[must_use]
    pub fn of(&self, class: Class) -> u64 {
        self.count(class).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// All faults together.
    #[must_use]
    pub fn total(&self) -> u64 {
        Class::ALL.iter().map(|class| self.of(*class)).sum()
    }

    fn count(&self, class: Class) -> Option<&AtomicU64> {
        let index = Class::ALL.iter().position(|known| *known == class)?;
        self.0.get(index)
    }
}
