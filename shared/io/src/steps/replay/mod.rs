//! Failed rows of a job through the pipeline again, as a job of their own.
//!
//! A replay has a chunk for each chunk of its parent that it concerns. When all are done it locks the
//! parent, publishes, swaps the outcomes, and shows the next revision of the parent's manifest. From
//! the lock on, anybody can go on with it.

mod chunk;
mod commit;
mod original;
mod preview;

use bytes::Bytes;
use rowproof_core::archive::Predicate;
use rowproof_core::ids::{JobId, replay_id, sha256_hex};
use rowproof_core::ledger::{self, ChunkId, Job, JobFacts, JobState, PlanRef, ReplayFacts};
use rowproof_core::names;
use rowproof_core::replay::{Changes, ReplayChunk, ReplayPlan, ReplayRequest};
use tracing::info;

use crate::app::App;
use crate::clock::Deadline;
use crate::documents::job::archived_rows;
use crate::documents::job::{DoneChunk, done_chunks, read_outcomes};
use crate::error::StepError;
use crate::steps::open::open_chunks;
use crate::steps::send::{send_chunk, send_job};

pub(crate) use chunk::replay_chunk;
pub use preview::{Preview, Sample, preview_replay};

/// What a request to replay rows led to.
#[derive(Debug)]
pub enum Begun {
    /// This job works on it.
    Job(JobId),
    /// No failed row is selected.
    Nothing,
    /// It cannot be done, for this reason.
    Refused(String),
}

/// Plans a replay and begins it; an equal one that is under way is joined.
///
/// # Errors
/// AWS does not answer, or a stored document does not parse.
pub async fn begin_replay(app: &App, request: &ReplayRequest) -> Result<Begun, StepError> {
    let text = serde_json::to_string(request).unwrap_or_default();
    let sha256 = sha256_hex(text.as_bytes());
    let key = names::replay_request(&sha256);
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &key, Bytes::from(text), &request.parent.0).await?;
    begin_stored(app, request, PlanRef { key, sha256 }).await
}

/// Begins the replay that a stored request asks for.
///
/// # Errors
/// As [`begin_replay`].
pub async fn begin_requested(app: &App, key: &str) -> Result<Begun, StepError> {
    let request: ReplayRequest = app.document(key, "replay request").await?;
    begin_replay(app, &request).await
}

async fn begin_stored(
    app: &App,
    request: &ReplayRequest,
    stored: PlanRef,
) -> Result<Begun, StepError> {
    let Some(parent) = app.ledger.job(&request.parent).await? else {
        return Ok(Begun::Refused(format!("there is no job {}", request.parent)));
    };
    if let Some(lock) = &parent.replay {
        // Somebody's replay is at its end: its outcomes are the ones to start from.
        if let Some(job) = app.ledger.job(&lock.job).await? {
            Box::pin(commit::commit_replay(app, &job)).await?;
        }
        return Box::pin(begin_stored(app, request, stored)).await;
    }
    if let Some(why) = refusal(app, &parent).await? {
        return Ok(Begun::Refused(why));
    }
    let selection = selection(request)?;
    let done = done_chunks(app, &parent).await?.unwrap_or_default();
    let concerned = concerned(app, &done, &selection).await?;
    if concerned.is_empty() {
        return Ok(Begun::Nothing);
    }
    let job = create(app, &parent, stored, concerned).await?;
    Ok(Begun::Job(job))
}

/// Why rows of this job cannot be replayed now.
async fn refusal(app: &App, parent: &Job) -> Result<Option<String>, StepError> {
    let id = &parent.facts.job;
    if parent.facts.replay.is_some() {
        return Ok(Some(format!(
            "job {id} is a replay itself: name the job whose rows it replayed"
        )));
    }
    if let Some(source) = &parent.facts.reverts {
        return Ok(Some(format!(
            "job {id} shows the rows of job {source} again; store the corrected file instead"
        )));
    }
    Ok(match parent.state {
        JobState::Held => None,
        JobState::Committed => {
            let slot = app.ledger.slot(&parent.facts.slot).await?;
            let shown = slot.and_then(|slot| slot.committed_job);
            (shown.as_ref() != Some(id)).then(|| {
                format!("a newer file has taken the place of job {id}: see `rowproof why {id}`")
            })
        }
        JobState::Planning
        | JobState::Running
        | JobState::Blocked
        | JobState::Committing
        | JobState::Superseded
        | JobState::Failed => {
            let state = parent.state.as_str();
            Some(format!("job {id} is {state}: only rows of a COMMITTED or HELD job are replayed"))
        }
    })
}

/// The condition of a request.
pub(crate) fn selection(request: &ReplayRequest) -> Result<Predicate, StepError> {
    Predicate::parse(&request.selection)
        .map_err(|error| StepError::Pipeline(format!("the replay's condition: {error}")))
}

/// Chunks with at least one failed row that is selected.
async fn concerned(
    app: &App,
    done: &[DoneChunk],
    selection: &Predicate,
) -> Result<Vec<ReplayChunk>, StepError> {
    let mut concerned = vec![];
    for ((id, from), outcome) in done.iter().zip(read_outcomes(app, done).await?) {
        let Some(file) = &outcome.failures else { continue };
        let rows = archived_rows(app, file).await?;
        if rows.iter().any(|row| selection.matches(row)) {
            let ChunkId { chunk, part, .. } = id.clone();
            concerned.push(ReplayChunk { chunk, part, from: from.clone() });
        }
    }
    Ok(concerned)
}

async fn create(
    app: &App,
    parent: &Job,
    request: PlanRef,
    chunks: Vec<ReplayChunk>,
) -> Result<JobId, StepError> {
    let outcomes: Vec<_> = chunks.iter().map(|chunk| chunk.from.sha256.as_str()).collect();
    let id = replay_id(&parent.facts.job, parent.rev, &request.sha256, &outcomes);
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let text = serde_json::to_vec(&ReplayPlan { chunks }).unwrap_or_default();
    let sha256 = sha256_hex(&text);
    let plan = PlanRef { key: names::plan(&id, &sha256), sha256 };
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &plan.key, Bytes::from(text), &id.0).await?;
    let facts = JobFacts {
        job: id.clone(),
        replay: Some(ReplayFacts {
            parent: parent.facts.job.clone(),
            parent_rev: parent.rev,
            request,
        }),
        ..parent.facts.clone()
    };
    app.ledger.perform(&ledger::create_replay(&facts, &plan, count, app.clock.now())).await?;
    let job = app.ledger.job(&id).await?;
    let job = job.ok_or_else(|| StepError::Broken(format!("replay {id} has vanished")))?;
    info!(job = %id, parent = %parent.facts.job, chunks = count, "replay created");
    if !job.state.is_settled() {
        send_job(app, &job, 0).await?;
    }
    Ok(id)
}

/// What a replay is about.
pub(crate) fn replay_facts(job: &Job) -> Result<&ReplayFacts, StepError> {
    let id = &job.facts.job;
    job.facts.replay.as_ref().ok_or_else(|| StepError::Broken(format!("job {id} replays nothing")))
}

/// The request of a replay.
pub(crate) async fn load_request(app: &App, job: &Job) -> Result<ReplayRequest, StepError> {
    app.document(&replay_facts(job)?.request.key, "replay request").await
}

/// What a replay changed, once it is that far.
///
/// # Errors
/// AWS does not answer, or the stored document does not parse.
pub async fn changes_made(app: &App, job: &Job) -> Result<Option<Changes>, StepError> {
    let Some(frozen) = frozen_changes(app, job).await? else { return Ok(None) };
    let Some(parent) = app.ledger.job(&frozen.parent).await? else { return Ok(Some(frozen)) };
    let key = names::settled(&parent.facts, &job.facts.job);
    let settled = app.document_if_there(&key, "list of changes").await?;
    Ok(Some(settled.unwrap_or(frozen)))
}

async fn frozen_changes(app: &App, job: &Job) -> Result<Option<Changes>, StepError> {
    match &job.intent {
        Some(intent) => app.document(&intent.key, "list of changes").await.map(Some),
        None => Ok(None),
    }
}

/// Takes a replay on from wherever it stands.
pub(crate) async fn advance_replay(
    app: &App,
    job: Job,
    deadline: Deadline,
) -> Result<(), StepError> {
    match job.state {
        JobState::Running | JobState::Blocked => {}
        JobState::Committing => return commit::commit_replay(app, &job).await,
        JobState::Planning
        | JobState::Held
        | JobState::Committed
        | JobState::Superseded
        | JobState::Failed => return Ok(()),
    }
    let open = open_chunks(app, &job, job.chunk_count.unwrap_or(0)).await?;
    if let Some((id, failure)) = open.failed.into_iter().next() {
        return chunk::end_failed(app, &job, &id, failure).await;
    }
    let inline = usize::try_from(app.settings.inline_chunks).unwrap_or(usize::MAX);
    let inline = open.waiting.len() <= inline;
    if open.waiting.is_empty() && open.leased == 0 {
        return commit::commit_replay(app, &job).await;
    }
    for id in open.waiting {
        match inline && !deadline.is_near(app.settings.deadline_margin_ms) {
            true => replay_chunk(app, &job, &id, deadline).await?,
            false => send_chunk(app, &id, 0).await?,
        }
    }
    Ok(())
}
