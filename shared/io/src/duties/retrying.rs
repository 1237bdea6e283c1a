//! A message's step again, within its invocation, while its faults pass by themselves.

use futures_util::future::BoxFuture;
use tracing::info;

use crate::app::App;
use crate::aws::retry::{MAX_MS, pause};
use crate::clock::Deadline;
use crate::error::StepError;

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
