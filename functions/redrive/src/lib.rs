//! Redrive: what failed for good goes through again, when an operator asks for it.

use rowproof_core::ledger::ChunkId;
use rowproof_core::message::{Message, Task};
use rowproof_io::app::App;
use rowproof_io::batch::{EventFailed, each_message};
use rowproof_io::clock::Deadline;
use rowproof_io::duties::redrive::{Request, give_up_undelivered, redrive};
use rowproof_io::error::StepError;
use serde_json::Value;
use tracing::info;

/// Handles one SQS batch: operators' requests, and what a dead-letter queue holds when it is mapped
/// to this function.
pub async fn handle(app: &App, event: &Value, _deadline: Deadline) -> Result<Value, EventFailed> {
    each_message(event, |body| handle_message(app, body)).await
}

async fn handle_message(app: &App, body: Value) -> Result<(), StepError> {
    let message = Message::from_json(&body);
    let message = message.ok_or_else(|| {
        StepError::Pipeline("the redrive queue holds a message that is not Rowproof's".into())
    })?;
    match message.task {
        Task::Redrive { job, rev, cause, request } => {
            let request = Request { rev, cause: cause.as_deref(), name: &request };
            redrive(app, &job, request).await.map(drop)
        }
        Task::Chunk { job, chunk, part } => {
            give_up_undelivered(app, &ChunkId { job, chunk, part }).await
        }
        // It reads rows and writes files, which this function has no rights to.
        task @ Task::Replay { .. } => {
            Ok(app.queue.send(&app.settings.work_queue_url, &Message::new(task), 0).await?)
        }
        // The ledger has them: the sweeper and the reconciler go on with what they name.
        Task::Failed { .. }
        | Task::Job { .. }
        | Task::Observe { .. }
        | Task::SinkUnavailable { .. } => {
            info!("a dead letter that the ledger knows more about");
            Ok(())
        }
    }
}
