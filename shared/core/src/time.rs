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

    /// Reads RFC 3339 or a date, which means its first second in UTC; `None` for anything else.
    pub fn parse(text: &str) -> Option<EpochSeconds> {
        if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
            return Some(EpochSeconds(time.timestamp()));
        }
        let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(EpochSeconds(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::EpochSeconds;

    #[test]
    fn a_time_is_read_from_rfc_3339_and_from_a_date() {
        let read = |text| EpochSeconds::parse(text).map(EpochSeconds::rfc3339);
        assert_eq!(read("2026-03-01T02:00:00+02:00").as_deref(), Some("2026-03-01T00:00:00Z"));
        assert_eq!(read("2026-03-01").as_deref(), Some("2026-03-01T00:00:00Z"));
        for text in ["", "yesterday", "2026-02-30", "2026-03-01T02:00:00"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
