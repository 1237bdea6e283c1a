//! The only place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use rowproof_core::time::EpochSeconds;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970-01-01T00:00:00Z.
pub fn now() -> EpochSeconds {
    EpochSeconds(i64::try_from(now_ms() / 1000).unwrap_or(i64::MAX))
}

/// The time as RFC 3339 in UTC, with milliseconds.
pub fn now_rfc3339() -> String {
    let ms = now_ms();
    let seconds = EpochSeconds(i64::try_from(ms / 1000).unwrap_or(i64::MAX)).rfc3339();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms % 1000)
}

/// When an invocation will be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    epoch_ms: u64,
}

impl Deadline {
    /// At this time, in milliseconds since 1970.
    pub fn at_epoch_ms(epoch_ms: u64) -> Deadline {
        Deadline { epoch_ms }
    }

    /// So many seconds from now.
    pub fn in_seconds(seconds: u64) -> Deadline {
        Deadline { epoch_ms: now_ms().saturating_add(seconds.saturating_mul(1000)) }
    }

    /// Milliseconds left.
    pub fn remaining_ms(self) -> u64 {
        self.epoch_ms.saturating_sub(now_ms())
    }

    /// Whether less than `margin_ms` is left.
    pub fn is_near(self, margin_ms: u64) -> bool {
        self.remaining_ms() < margin_ms
    }
}
