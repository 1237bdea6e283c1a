//! One retry pause for all: exponential with full jitter.

use std::time::Duration;

use crate::clock::Clock;

/// Longest pause after the first failure, in milliseconds; it doubles with every further one.
const BASE_MS: u64 = 50;
/// Longest pause of all.
pub(crate) const MAX_MS: u64 = 5_000;

/// Waits a random time up to the limit for this attempt, counted from 0.
pub(crate) async fn pause(clock: Clock, attempt: u32) {
    let limit = BASE_MS.saturating_mul(1 << attempt.min(16)).min(MAX_MS);
    clock.sleep(Duration::from_millis(fastrand::u64(0..=limit))).await;
}
