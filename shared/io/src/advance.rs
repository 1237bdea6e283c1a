//! Takes a job on from wherever it stands.

use rowproof_core::ids::CHUNKS_PER_GROUP;
use rowproof_core::ledger::{self, ChunkId, ChunkState, Job, JobState};
use rowproof_core::message::{Message, Task};
use rowproof_core::plan::PlanKind;

use crate::app::App;
use crate::clock::Deadline;
use crate::commit::{commit_job, load_plan};
use crate::error::StepError;
use crate::observe::is_still_head;
use crate::plan::plan_object;
use crate::process::{Processed, process_chunk};

/// A packed object up to this size is processed by the invocation that planned it, in bytes.
const INLINE_BYTES: u64 = 16 << 20;

/// Plans the job, processes or hands out its chunks, commits it: whatever its state asks for. Returns
/// when there is nothing left to do in this invocation.
pub async fn advance_job(app: &App, job: Job, deadline: Deadline) -> Result<(), StepError> {
    let mut job = job;
    if !job.state.is_settled()
        && job.state != JobState::Committing
        && !is_still_head(app, &job).await?
    {
        return Ok(());
    }
    if job.state == JobState::Planning {
        match plan_object(app, &job, deadline).await? {
            Some(planned) => job = planned,
            None => return continue_later(app, &job).await,
        }
    }
    if job.state == JobState::Running {
        hand_out(app, &job, deadline).await?;
    }
    if job.state == JobState::Committing {
        commit_job(app, &job.facts.job).await?;
    }
    Ok(())
}

async fn continue_later(app: &App, job: &Job) -> Result<(), StepError> {
    let message = Message::new(Task::Job { job: job.facts.job.clone() });
    app.queue.send(&app.settings.work_queue_url, &message, 0).await?;
    Ok(())
}

/// Gives every chunk that waits for a worker to one: itself for a few, a message each for many.
async fn hand_out(app: &App, job: &Job, deadline: Deadline) -> Result<(), StepError> {
    let plan = load_plan(app, job).await?;
    let waiting = match (plan.kind, job.chunk_count) {
        (PlanKind::Ranges, Some(count)) => waiting_ranges(app, job, count).await?,
        (PlanKind::Ranges, None) => {
            let id = &job.facts.job;
            return Err(StepError::Broken(format!("job {id} has a plan but no chunk count")));
        }
        (PlanKind::Chain, _) => next_of_chain(app, job).await?.into_iter().collect(),
    };
    if waiting.is_empty() {
        commit_job(app, &job.facts.job).await?;
        return Ok(());
    }
    let few = waiting.len() <= usize::try_from(app.settings.inline_chunks).unwrap_or(usize::MAX);
    // A chain shows only its next chunk, however long it is.
    let inline = few && (plan.kind == PlanKind::Ranges || job.facts.object.size <= INLINE_BYTES);
    for chunk in waiting {
        if inline && !deadline.is_near(app.settings.deadline_margin_ms) {
            let id = ChunkId { job: job.facts.job.clone(), chunk };
            match process_chunk(app, job, &id, deadline).await? {
                Processed::Done | Processed::Busy(_) | Processed::Over => continue,
                Processed::Yielded => {}
            }
        }
        send_chunk(app, job, chunk).await?;
    }
    Ok(())
}

/// Sends a chunk to the work queue.
pub(crate) async fn send_chunk(app: &App, job: &Job, chunk: u32) -> Result<(), StepError> {
    let message = Message::new(Task::Chunk { job: job.facts.job.clone(), chunk });
    app.queue.send(&app.settings.work_queue_url, &message, 0).await?;
    Ok(())
}

/// Numbers of the chunks that nobody works on.
async fn waiting_ranges(app: &App, job: &Job, count: u32) -> Result<Vec<u32>, StepError> {
    let mut waiting = vec![];
    for group in 0..ledger::group_count(count) {
        let stored = app.ledger.chunks_of_group(&job.facts.job, group).await?;
        let first = group * CHUNKS_PER_GROUP;
        for chunk in first..first + ledger::group_len(count, group) {
            let found = stored.iter().find(|(number, _)| *number == chunk);
            let waits = match found {
                None => true,
                Some((_, chunk)) => match chunk.state {
                    ChunkState::Ready => true,
                    ChunkState::Leased => {
                        chunk.lease_until < app.clock.now() || chunk.run != app.settings.run
                    }
                    ChunkState::Done | ChunkState::Failed => false,
                },
            };
            if waits {
                waiting.push(chunk);
            }
        }
    }
    Ok(waiting)
}

/// The first chunk of a chain that is not DONE; `None` when its end is. Whoever reads the end makes
/// sure that the job knows it: its finder may have died before saying so.
pub(crate) async fn next_of_chain(app: &App, job: &Job) -> Result<Option<u32>, StepError> {
    for group in 0.. {
        let stored = app.ledger.chunks_of_group(&job.facts.job, group).await?;
        let first = group * CHUNKS_PER_GROUP;
        for chunk in first..first + CHUNKS_PER_GROUP {
            let found = stored.iter().find(|(number, _)| *number == chunk);
            let done = found.and_then(|(_, chunk)| {
                chunk.outcome.as_ref().filter(|_| chunk.state == ChunkState::Done)
            });
            match done {
                None => return Ok(Some(chunk)),
                Some(outcome) if outcome.end_of_object => {
                    app.ledger.perform(&ledger::set_chunk_count(&job.facts.job, chunk + 1)).await?;
                    return Ok(None);
                }
                Some(_) => {}
            }
        }
    }
    Ok(None)
}
