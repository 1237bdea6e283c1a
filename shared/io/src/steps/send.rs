//! Messages to the work queue.

use rowproof_core::ledger::{ChunkId, Job};
use rowproof_core::message::{Message, Task};

use crate::app::App;
use crate::error::StepError;

/// Asks for a job to be taken on, after so many seconds.
pub(crate) async fn send_job(app: &App, job: &Job, seconds: i64) -> Result<(), StepError> {
    let message = Message::new(Task::Job { job: job.facts.job.clone() });
    let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    app.queue.send(&app.settings.work_queue_url, &message, seconds).await?;
    Ok(())
}

/// Sends a chunk to the work queue, after so many seconds.
pub(crate) async fn send_chunk(app: &App, id: &ChunkId, seconds: i64) -> Result<(), StepError> {
    let ChunkId { job, chunk, part } = id.clone();
    let message = Message::new(Task::Chunk { job, chunk, part });
    let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    app.queue.send(&app.settings.work_queue_url, &message, seconds).await?;
    Ok(())
}
