//! The servers' clock: they stamp what they store with it, as AWS does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the servers take their time from. The default is the system's clock.
#[derive(Clone, Default, Debug)]
pub struct Clock(Arc<Inner>);

type Source = Box<dyn Fn() -> u64 + Send + Sync>;

struct Inner {
    source: Option<Source>,
    began: Instant,
    last: AtomicU64,
}

impl Default for Inner {
    fn default() -> Self {
        Self { source: None, began: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.source.is_some() { "told" } else { "system" })
    }
}

impl Clock {
    /// The time that `now_ms` tells, in milliseconds since 1970; a simulation's.
    #[must_use]
    pub fn told_by(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { source: Some(Box::new(now_ms)), ..Inner::default() }))
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.source.as_ref().map_or_else(system_ms, |source| source())
    }

    /// Milliseconds since some time, which go on evenly when the system's clock is set.
    pub(crate) fn steady_ms(&self) -> u64 {
        let since = || u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.source.as_ref().map_or_else(since, |source| source())
    }

    /// A number that grows with every call and, as it starts at the clock, across restarts as well.
    pub(crate) fn next_sequence(&self) -> u64 {
        let now = self.now_ms() << 12;
        let last = self
            .0
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)))
            .unwrap_or(0);
        now.max(last + 1)
    }
}

/// The system's clock, in milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "a server has no caller to take the time from")]
pub(crate) fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-01-02T03:04:05.678Z` of a time in milliseconds since 1970.
pub(crate) fn iso8601(ms: u64) -> String {
    let (days, of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day number since 1970, in the proleptic Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_aws_writes_them() {
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
    }

    #[test]
    fn every_sequence_number_is_greater_than_the_last() {
        let clock = Clock::default();
        let numbers: Vec<u64> = (0..1000).map(|_| clock.next_sequence()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
