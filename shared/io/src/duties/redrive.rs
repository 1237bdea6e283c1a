//! Bringing back what failed for good (T13), when an operator asks for it.
//!
//! The ledger knows what failed; dead-letter queues only ring. Purging them loses nothing.

use rowproof_core::ids::JobId;
use rowproof_core::ledger::{self, Chunk, ChunkId, ChunkState, Failure, Job, JobState, Lease};
use tracing::{info, warn};

use crate::app::App;
use crate::error::StepError;
use crate::steps::lease::give_up;
use crate::steps::send::send_job;

/// Times the job may change under one request before the message is given back.
const TRIES: u32 = 8;

/// An operator's request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The job's revision that was decided at; absent: whatever it is now.
    pub rev: Option<i64>,
    /// Only chunks that failed with this code.
    pub cause: Option<&'a str>,
    /// Its name: a chunk comes back once for each.
    pub name: &'a str,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redriven {
    /// The job goes on, with so many chunks that had failed.
    Back(u64),
    /// Somebody decided about the job since the request was made.
    Overtaken,
    /// The job did not fail, or must not come back.
    Refused,
}

/// Makes a failed job go on: first the job, at the revision that the request names, so that of two
/// requests made from one view none undoes what came of the other; then its failed chunks.
///
/// # Errors
/// AWS does not answer, or the job kept changing: the message comes back, and the request goes on.
pub async fn redrive(app: &App, id: &JobId, request: Request<'_>) -> Result<Redriven, StepError> {
    let mut rev = request.rev;
    let mut chunks = 0;
    for attempt in 0..TRIES {
        let Some(job) = app.ledger.job(id).await? else { return Ok(Redriven::Refused) };
        let is_new = rev.is_none_or(|rev| rev == job.rev);
        // This request, or one from the same view, brought the job back and may have died since.
        let is_back = rev.is_some_and(|rev| rev + 1 == job.rev)
            && matches!(job.state, JobState::Planning | JobState::Running);
        if !is_new && !is_back {
            info!(job = %id, "not redriven: somebody decided about it meanwhile");
            return Ok(Redriven::Overtaken);
        }
        if is_discarded(&job) {
            return Ok(Redriven::Refused);
        }
        match ledger::redrive_job(&job, app.clock.now()) {
            Some(write) if !app.ledger.perform(&write).await?.stands() => {
                crate::aws::retry::pause(app.clock, attempt).await;
                continue;
            }
            Some(_) => {}
            None if matches!(job.state, JobState::Planning | JobState::Running) => {}
            None => return Ok(Redriven::Refused),
        }
        let left = redrive_chunks(app, &job, request, &mut chunks).await?;
        // Whoever saw the job between the two steps has blocked it again.
        let after = app.ledger.job(id).await?;
        let blocked = after.filter(|after| after.state == JobState::Blocked && left == 0);
        let Some(blocked) = blocked else {
            send_job(app, &job, 0).await?;
            info!(job = %id, chunks, "redriven");
            return Ok(Redriven::Back(chunks));
        };
        rev = Some(blocked.rev);
    }
    Err(StepError::Broken(format!("job {id} kept changing while it was redriven")))
}

/// An operator dropped it: its file is run again instead.
pub fn is_discarded(job: &Job) -> bool {
    job.state == JobState::Failed
        && job.failure.as_ref().is_some_and(|failure| failure.code == "discarded")
}

/// Makes the failed chunks READY that the request means; how many others stay FAILED.
async fn redrive_chunks(
    app: &App,
    job: &Job,
    request: Request<'_>,
    count: &mut u64,
) -> Result<u64, StepError> {
    let mut left = 0;
    for (id, chunk) in failed_chunks(app, job).await? {
        let is_meant = |cause| chunk.failure.as_ref().is_some_and(|why| why.code == cause);
        if !request.cause.is_none_or(is_meant) {
            left += 1;
            continue;
        }
        let write = ledger::redrive_chunk(&id, &chunk, request.name);
        match write {
            Some(write) if app.ledger.perform(&write).await?.stands() => *count += 1,
            Some(_) | None => {}
        }
    }
    Ok(left)
}

/// The chunks of a job that failed for good, parts of split ones among them.
///
/// # Errors
/// AWS does not answer, or an item does not read.
pub async fn failed_chunks(app: &App, job: &Job) -> Result<Vec<(ChunkId, Chunk)>, StepError> {
    let mut failed = vec![];
    // A chain has no count before its end; its chunks are there without a gap.
    let groups = job.chunk_count.map_or(u32::MAX, ledger::group_count);
    for group in 0..groups {
        let chunks = app.ledger.chunks_of_group(&job.facts.job, group).await?;
        if chunks.is_empty() && job.chunk_count.is_none() {
            break;
        }
        failed.extend(chunks.into_iter().filter(|(_, chunk)| chunk.state == ChunkState::Failed));
    }
    Ok(failed)
}

/// A chunk whose message SQS gave up on, as its dead-letter queue tells: FAILED, unless it is over or
/// somebody works on it. The job then waits for an operator, and nobody sends that message again.
///
/// # Errors
/// AWS does not answer, or an item does not read.
pub async fn give_up_undelivered(app: &App, id: &ChunkId) -> Result<(), StepError> {
    let Some(chunk) = app.ledger.chunk(id).await? else { return Ok(()) };
    match chunk.state {
        ChunkState::Ready | ChunkState::Leased => {}
        ChunkState::Done | ChunkState::Failed | ChunkState::Split => return Ok(()),
    }
    let failure = Failure {
        code: "undelivered".into(),
        message: format!(
            "the message of chunk {id} failed each time that it was delivered; see the log"
        ),
    };
    // T8 as of a worker that never had the chunk: it stands only while no lease is live.
    let lease = Lease {
        id: id.clone(),
        epoch: chunk.epoch + 1,
        owner: format!("redrive-{}", uuid::Uuid::new_v4()),
        attempts: chunk.attempts + 1,
        seconds: 0,
        isolate: false,
    };
    if give_up(app, &lease, &failure).await? {
        warn!(job = %id.job, chunk = %id, "chunk given up: its message was never taken");
    }
    Ok(())
}
