//! Time is an argument in this crate.

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z. Every time in the ledger is one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EpochSeconds(pub i64);

impl EpochSeconds {
    /// This many seconds later.
    #[must_use]
    pub fn plus(self, seconds: i64) -> EpochSeconds {
        EpochSeconds(self.0.saturating_add(seconds))
    }

    /// The UTC day, `YYYY-MM-DD`.
    pub fn day(self) -> String {
        match chrono::DateTime::from_timestamp(self.0, 0) {
            Some(time) => time.format("%Y-%m-%d").to_string(),
            None => "1970-01-01".to_owned(),
        }
    }

    /// RFC 3339 in UTC, whole seconds.
    pub fn rfc3339(self) -> String {
        match chrono::DateTime::from_timestamp(self.0, 0) {
            Some(time) => time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            None => self.0.to_string(),
        }
    }
}
