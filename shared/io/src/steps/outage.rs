//! A sink that does not answer. It is no fault of the rows: chunks wait without being charged, one
//! notification is sent, and work goes on by itself.

use rowproof_core::ledger::{self, Outage};
use rowproof_core::message::{Message, Task};
use tracing::warn;

use crate::app::App;
use crate::error::StepError;

/// Seconds until the next look, when somebody else has just written down when that is.
const LOOK_AGAIN_SECONDS: i64 = 15;

/// Seconds until the pipeline's sink may be tried; `None` when it may be now.
pub(crate) fn wait_seconds(app: &App, outage: Option<&Outage>) -> Option<i64> {
    let left = outage?.retry_at.0 - app.clock.now().0;
    (left > 0).then_some(left)
}

/// The sink did not answer: writes that down, tells the operators when nobody did, and says in how
/// many seconds to try again. `outage` is what was stored before the try.
pub(crate) async fn note(
    app: &App,
    pipeline: &str,
    outage: Option<&Outage>,
    error: &StepError,
) -> Result<i64, StepError> {
    let now = app.clock.now();
    match outage {
        Some(outage) => {
            app.ledger.perform(&ledger::extend_outage(pipeline, outage, now)).await?;
        }
        None => {
            let mark = uuid::Uuid::new_v4().to_string();
            let write = ledger::mark_unavailable(pipeline, &mark, now);
            if app.ledger.perform(&write).await?.stands() {
                warn!(pipeline, %error, "the sink does not answer");
                crate::telemetry::count(pipeline, "SinkUnavailable", 1);
                let cause = error.to_string();
                let task = Task::SinkUnavailable { pipeline: pipeline.to_owned(), cause };
                app.queue.send(&app.settings.failed_queue_url, &Message::new(task), 0).await?;
            }
        }
    }
    let stored = app.ledger.outage(pipeline).await?;
    Ok(wait_seconds(app, stored.as_ref()).unwrap_or(LOOK_AGAIN_SECONDS))
}

/// The sink answered: the outage, if there was one, is over.
pub(crate) async fn end(
    app: &App,
    pipeline: &str,
    outage: Option<&Outage>,
) -> Result<(), StepError> {
    if let Some(outage) = outage {
        app.ledger.perform(&ledger::end_outage(pipeline, outage)).await?;
    }
    Ok(())
}
