//! The only place that reads the clock and waits. A clock is a value, so that a simulation can run on
//! a time of its own.

mod timeline;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rowproof_core::time::EpochSeconds;

pub use self::timeline::Timeline;

/// Where a worker takes its time from, and what it waits on.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    source: Source,
    skew_ms: i64,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    System,
    Simulated(&'static Timeline),
}

impl Clock {
    /// The system's.
    pub fn system() -> Clock {
        Clock { source: Source::System, skew_ms: 0 }
    }

    /// The time that a simulation says it is.
    pub fn simulated(timeline: &'static Timeline) -> Clock {
        Clock { source: Source::Simulated(timeline), skew_ms: 0 }
    }

    /// The same clock, but wrong by so many milliseconds.
    #[must_use]
    pub fn skewed(self, skew_ms: i64) -> Clock {
        Clock { skew_ms, ..self }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now_ms(self) -> u64 {
        let now = match self.source {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Simulated(timeline) => timeline.now_ms(),
        };
        now.saturating_add_signed(self.skew_ms)
    }

    /// Waits so long.
    pub async fn sleep(self, duration: Duration) {
        match self.source {
            Source::System => tokio::time::sleep(duration).await,
            Source::Simulated(timeline) => timeline.sleep(duration).await,
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
#[derive(Debug, Clone, Copy)]
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

    #[test]
    fn a_deadline_keeps_the_clock_it_was_made_from() {
        let right = Clock::simulated(Timeline::new(86_400_000));
        let wrong = right.skewed(3_600_000);
        assert_eq!((right.now(), wrong.now()), (EpochSeconds(86_400), EpochSeconds(90_000)));
        let deadline = wrong.deadline_in(60);
        assert!(deadline.is_near(60_001) && !deadline.is_near(50_000));
        assert_eq!(wrong.deadline_at(1).remaining_ms(), 0);
    }
}
