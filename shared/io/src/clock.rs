//! The only place that reads the clock. A clock is a value, so that a test can run on another one.

use std::time::{SystemTime, UNIX_EPOCH};

use rowproof_core::time::EpochSeconds;
use tokio::time::Instant;

/// Where a worker takes its time from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    System,
    /// The runtime's time, which a test can pause.
    Runtime {
        epoch_ms: u64,
        since: Instant,
        skew_ms: i64,
    },
}

impl Clock {
    /// The system's.
    pub fn system() -> Clock {
        Clock { source: Source::System }
    }

    /// The time of the runtime this is called in: `epoch_ms`, in milliseconds since 1970, is now.
    /// Everything it says is wrong by `skew_ms`.
    pub fn of_runtime(epoch_ms: u64, skew_ms: i64) -> Clock {
        Clock { source: Source::Runtime { epoch_ms, since: Instant::now(), skew_ms } }
    }

    /// The same clock, but wrong by `skew_ms`. The system's clock cannot be set wrong.
    #[must_use]
    pub fn skewed(self, skew_ms: i64) -> Clock {
        match self.source {
            Source::System => self,
            Source::Runtime { epoch_ms, since, .. } => {
                Clock { source: Source::Runtime { epoch_ms, since, skew_ms } }
            }
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now_ms(self) -> u64 {
        match self.source {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Runtime { epoch_ms, since, skew_ms } => {
                let passed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                epoch_ms.saturating_add(passed).saturating_add_signed(skew_ms)
            }
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn now(self) -> EpochSeconds {
        EpochSeconds(i64::try_from(self.now_ms() / 1000).unwrap_or(i64::MAX))
    }

    /// The time as RFC 3339 in UTC, with milliseconds.
    pub fn now_rfc3339(self) -> String {
        let ms = self.now_ms();
        let seconds = EpochSeconds(i64::try_from(ms / 1000).unwrap_or(i64::MAX)).rfc3339();
        format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms % 1000)
    }

    /// The end of an invocation at this time, in milliseconds since 1970.
    pub fn deadline_at(self, epoch_ms: u64) -> Deadline {
        Deadline { epoch_ms, clock: self }
    }

    /// The end of an invocation so many seconds from now.
    pub fn deadline_in(self, seconds: u64) -> Deadline {
        self.deadline_at(self.now_ms().saturating_add(seconds.saturating_mul(1000)))
    }
}

/// When an invocation will be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    epoch_ms: u64,
    clock: Clock,
}

impl Deadline {
    /// Milliseconds left.
    pub fn remaining_ms(self) -> u64 {
        self.epoch_ms.saturating_sub(self.clock.now_ms())
    }

    /// Whether less than `margin_ms` is left.
    pub fn is_near(self, margin_ms: u64) -> bool {
        self.remaining_ms() < margin_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtimes_clock_begins_where_it_is_told_and_may_be_wrong() {
        let clock = Clock::of_runtime(86_400_000, 0);
        assert_eq!(clock.now(), EpochSeconds(86_400));
        assert_eq!(clock.skewed(-86_400_000).now(), EpochSeconds(0));
        let elsewhere = tokio::task::spawn_blocking(move || clock.now()).await.unwrap();
        assert_eq!(elsewhere, EpochSeconds(86_400));
    }

    #[tokio::test]
    async fn a_deadline_keeps_the_clock_it_was_made_from() {
        let clock = Clock::of_runtime(0, 0).skewed(3_600_000);
        let deadline = clock.deadline_in(60);
        assert!(deadline.is_near(60_001) && !deadline.is_near(50_000));
        assert_eq!(clock.deadline_at(1).remaining_ms(), 0);
    }
}
