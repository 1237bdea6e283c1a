//! One retry pause for all: exponential with full jitter.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tracing::info;

use crate::app::App;
use crate::clock::{Clock, Deadline};
use crate::error::StepError;

/// Longest pause after the first failure, in milliseconds; it doubles with every further one.
const BASE_MS: u64 = 50;
/// Longest pause of all.
const MAX_MS: u64 = 5_000;

/// Tries of one message within an invocation.
const TRIES: u32 = 5;

/// Does a step again while its faults pass by themselves and the invocation has time for it.
pub(crate) async fn retrying<'a, T>(
    app: &App,
    deadline: Deadline,
    step: impl Fn() -> BoxFuture<'a, Result<T, StepError>>,
) -> Result<T, StepError> {
    let mut attempt = 0;
    loop {
        let error = match step().await {
            Err(error) if error.passes() => error,
            other => return other,
        };
        attempt += 1;
        let spare_ms = app.settings.deadline_margin_ms.saturating_add(MAX_MS);
        if attempt >= TRIES || deadline.is_near(spare_ms) {
            return Err(error);
        }
        info!(%error, attempt, "it is tried again");
        crate::telemetry::count("none", "RetryCount", 1);
        pause(app.clock, attempt + 1).await;
    }
}

/// Waits a random time up to the limit for this attempt, counted from 0.
pub(crate) async fn pause(clock: Clock, attempt: u32) {
    let limit = BASE_MS.saturating_mul(1 << attempt.min(16)).min(MAX_MS);
    clock.sleep(Duration::from_millis(fastrand::u64(0..=limit))).await;
}
