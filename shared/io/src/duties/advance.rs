//! Takes a job on from wherever it stands.

use rowproof_core::ids::CHUNKS_PER_GROUP;
use rowproof_core::ledger::{self, Chunk, ChunkId, ChunkState, Failure, Job, JobState};
use rowproof_core::message::{Message, Task};
use rowproof_core::plan::PlanKind;

use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;
use crate::steps::commit::{commit_job, load_plan};
use crate::steps::observe::is_still_head;
use crate::steps::plan::plan_object;
use crate::steps::process::{Processed, note_end, process_chunk};

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

/// Asks for a job to be taken on, after so many seconds.
pub(crate) async fn send_job(app: &App, job: &Job, seconds: i64) -> Result<(), StepError> {
    let message = Message::new(Task::Job { job: job.facts.job.clone() });
    let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    app.queue.send(&app.settings.work_queue_url, &message, seconds).await?;
    Ok(())
}

/// Chunks of a job that are not DONE.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Nobody works on these.
    pub(crate) waiting: Vec<ChunkId>,
    /// Somebody works on so many.
    pub(crate) leased: u32,
    /// These were given up, for this reason.
    pub(crate) failed: Vec<(ChunkId, Option<Failure>)>,
}

impl Open {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.leased == 0 && self.failed.is_empty()
    }

    /// Adds a chunk, or what stands in its place.
    fn add(&mut self, app: &App, id: ChunkId, stored: &[(ChunkId, Chunk)]) {
        let Some((_, chunk)) = stored.iter().find(|(found, _)| *found == id) else {
            self.waiting.push(id);
            return;
        };
        match chunk.state {
            ChunkState::Done => {}
            ChunkState::Ready => self.waiting.push(id),
            ChunkState::Leased => {
                let over = chunk.lease_until < app.clock.now() || chunk.run != app.settings.run;
                if over { self.waiting.push(id) } else { self.leased += 1 }
            }
            ChunkState::Failed => self.failed.push((id, chunk.failure.clone())),
            ChunkState::Split => {
                id.halves().into_iter().for_each(|half| self.add(app, half, stored));
            }
        }
    }
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
            crate::aws::queue::announce(app, &job.facts.job, Some(id), &failure.code).await?;
        }
    } else if open.waiting.is_empty() && open.leased == 0 {
        app.ledger.perform(&ledger::rest_job(job)).await?;
    }
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

/// Chunks of a job with a known number of them.
pub(crate) async fn open_chunks(app: &App, job: &Job, count: u32) -> Result<Open, StepError> {
    let mut open = Open::default();
    let id = &job.facts.job;
    for group in 0..ledger::group_count(count) {
        let stored = app.ledger.chunks_of_group(id, group).await?;
        let first = group * CHUNKS_PER_GROUP;
        for chunk in first..first + ledger::group_len(count, group) {
            open.add(app, ChunkId::whole(id, chunk), &stored);
        }
    }
    Ok(open)
}

/// The first chunk of a chain that is not DONE, or its parts. Whoever reads the end of the object makes
/// sure that the job knows it: its finder may have died before saying so.
async fn open_of_chain(app: &App, job: &Job) -> Result<Open, StepError> {
    let mut open = Open::default();
    for group in 0.. {
        let stored = app.ledger.chunks_of_group(&job.facts.job, group).await?;
        let first = group * CHUNKS_PER_GROUP;
        for chunk in first..first + CHUNKS_PER_GROUP {
            let id = ChunkId::whole(&job.facts.job, chunk);
            let found = stored.iter().find(|(found, _)| *found == id);
            if found.is_some_and(|(_, chunk)| chunk.ends_object()) {
                note_end(app, job, chunk).await?;
            }
            if !ledger::is_done(&id, &stored) {
                open.add(app, id, &stored);
                return Ok(open);
            }
            if found.is_some_and(|(_, chunk)| chunk.ends_object()) {
                return Ok(open);
            }
        }
    }
    Ok(open)
}
