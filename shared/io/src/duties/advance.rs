//! Takes a job on from wherever it stands.

use rowproof_core::ledger::{self, ChunkId, Failure, Job, JobState};
use rowproof_core::plan::PlanKind;

use crate::app::App;
use crate::clock::Deadline;
use crate::documents::job::load_plan;
use crate::error::StepError;
use crate::steps::commit::commit_job;
use crate::steps::observe::is_still_head;
use crate::steps::open::Open;
use crate::steps::open::open_chunks;
use crate::steps::open::open_of_chain;
use crate::steps::plan::plan_object;
use crate::steps::process::{Processed, process_chunk};
use crate::steps::send::send_chunk;
use crate::steps::send::send_job;

/// A packed object up to this size is processed by the invocation that planned it, in bytes.
const INLINE_BYTES: u64 = 16 << 20;

/// Plans the job, processes or hands out its chunks, commits it: whatever its state asks for. Returns
/// when there is nothing left to do in this invocation.
pub async fn advance_job(app: &App, job: Job, deadline: Deadline) -> Result<(), StepError> {
    if job.facts.replay.is_some() {
        return Box::pin(crate::steps::replay::advance_replay(app, job, deadline)).await;
    }
    let mut job = job;
    let moves = !job.state.is_settled() || job.state == JobState::Blocked;
    if moves && job.state != JobState::Committing && !is_still_head(app, &job).await? {
        return Ok(());
    }
    if job.state == JobState::Planning {
        let planned = match &job.facts.reverts {
            Some(_) => Some(crate::steps::revert::plan_revert(app, &job).await?),
            None => plan_object(app, &job, deadline).await?,
        };
        match planned {
            Some(planned) => job = planned,
            None => return send_job(app, &job, 0).await,
        }
    }
    if matches!(job.state, JobState::Running | JobState::Blocked) {
        hand_out(app, &job, deadline).await?;
    }
    if job.state == JobState::Committing {
        commit_job(app, &job.facts.job).await?;
    }
    Ok(())
}

/// Gives every chunk that waits for a worker to one: itself for a few, a message each for many.
async fn hand_out(app: &App, job: &Job, deadline: Deadline) -> Result<(), StepError> {
    let commits = job.facts.reverts.is_some();
    let plan = load_plan(app, job).await?;
    let open = match (plan.kind, job.chunk_count) {
        _ if commits => Open::default(),
        (PlanKind::Ranges, Some(count)) => open_chunks(app, job, count).await?,
        (PlanKind::Ranges, None) => {
            let id = &job.facts.job;
            return Err(StepError::Broken(format!("job {id} has a plan but no chunk count")));
        }
        (PlanKind::Chain, _) => open_of_chain(app, job).await?,
    };
    // A block that was slower than a redrive: nothing failed any more, so nobody else would lift it.
    if job.state == JobState::Blocked
        && open.failed.is_empty()
        && let Some(back) = ledger::redrive_job(job, app.clock.now())
    {
        app.ledger.perform(&back).await?;
        return send_job(app, job, 0).await;
    }
    if open.is_empty() {
        commit_job(app, &job.facts.job).await?;
        return Ok(());
    }
    settle_failed(app, job, &open).await?;
    let few =
        open.waiting.len() <= usize::try_from(app.settings.inline_chunks).unwrap_or(usize::MAX);
    // A chain shows only its next chunk, however long it is.
    let inline = few && (plan.kind == PlanKind::Ranges || job.facts.object.size <= INLINE_BYTES);
    for id in open.waiting {
        if inline && !deadline.is_near(app.settings.deadline_margin_ms) {
            let processed = process_chunk(app, job, &id, deadline).await?;
            follow_up(app, job, &id, processed).await?;
        } else {
            send_chunk(app, &id, 0).await?;
        }
    }
    Ok(())
}

/// What a processed chunk asks for next.
pub(crate) async fn follow_up(
    app: &App,
    job: &Job,
    id: &ChunkId,
    processed: Processed,
) -> Result<(), StepError> {
    match processed {
        Processed::Busy(_) | Processed::Over => Ok(()),
        // Behind the last part of a split chunk, a chain goes on.
        Processed::Done if !id.part.is_empty() && job.chunk_count.is_none() => {
            send_job(app, job, 0).await
        }
        Processed::Done => Ok(()),
        Processed::Split => {
            for half in id.halves() {
                send_chunk(app, &half, 0).await?;
            }
            Ok(())
        }
        Processed::Later(seconds) => send_chunk(app, id, seconds).await,
        // A chain goes on wherever it got to.
        Processed::Yielded if job.chunk_count.is_none() => send_job(app, job, 0).await,
        Processed::Yielded => send_chunk(app, id, 0).await,
    }
}

/// A job with a FAILED chunk is BLOCKED, also when whoever gave the chunk up died before saying so. One
/// of which nothing can go on by itself leaves the index of unfinished work.
async fn settle_failed(app: &App, job: &Job, open: &Open) -> Result<(), StepError> {
    let Some((id, failure)) = open.failed.first() else { return Ok(()) };
    if job.state == JobState::Running {
        let failure = failure.clone().unwrap_or_else(|| Failure {
            code: "poison".into(),
            message: format!("chunk {id} was given up"),
        });
        let block = ledger::block(job, &failure, app.clock.now());
        if app.ledger.perform(&block).await?.stands() {
            app.announce(&job.facts.job, Some(id), &failure.code).await?;
        }
    } else if open.waiting.is_empty() && open.leased == 0 {
        app.ledger.perform(&ledger::rest_job(job)).await?;
    }
    Ok(())
}
