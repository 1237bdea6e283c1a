//! What is stored of a job: its plan, its chunks' outcomes, its archived rows.

use futures_util::{StreamExt, TryStreamExt, stream};
use rowproof_core::archive::{self, ArchivedRow, Wanted};
use rowproof_core::block::Layout;
use rowproof_core::ledger::{self, ChunkId, Job, OutcomeRef};
use rowproof_core::plan::Plan;
use rowproof_core::receipt::{ArchivedFile, ChunkOutcome, Manifest};
use rowproof_core::replay::{Change, Changes};

use crate::app::App;
use crate::error::StepError;

/// Documents read at a time.
const IN_FLIGHT: usize = 8;

/// A DONE chunk, or part of a split one, with its outcome.
pub(crate) type DoneChunk = (ChunkId, OutcomeRef);

/// All DONE chunks in the order of their rows; `None` while one is missing.
pub(crate) async fn done_chunks(app: &App, job: &Job) -> Result<Option<Vec<DoneChunk>>, StepError> {
    let Some(count) = job.chunk_count else { return Ok(None) };
    let id = job.facts.chunks_of();
    let mut done = vec![];
    for group in 0..ledger::group_count(count) {
        let chunks = app.ledger.chunks_of_group(id, group).await?;
        let Some(write) = ledger::close_group(id, group, count, &chunks) else { return Ok(None) };
        app.ledger.perform(&write).await?;
        for (id, chunk) in ledger::leaves(&chunks) {
            let outcome = chunk.outcome.clone().ok_or_else(|| {
                let job = &id.job;
                StepError::Broken(format!("chunk {id} of job {job} is DONE without an outcome"))
            })?;
            done.push((id.clone(), outcome));
        }
    }
    Ok(Some(done))
}

pub(crate) async fn read_outcomes(
    app: &App,
    done: &[DoneChunk],
) -> Result<Vec<ChunkOutcome>, StepError> {
    let read: Vec<_> =
        done.iter().map(|(_, outcome)| app.document(&outcome.key, "chunk outcome")).collect();
    stream::iter(read).buffered(IN_FLIGHT).try_collect().await
}

/// The sealed plan of a job.
pub(crate) async fn load_plan(app: &App, job: &Job) -> Result<Plan, StepError> {
    match &job.plan {
        Some(plan) => app.document(&plan.key, "plan").await,
        None => Err(StepError::Broken(format!("job {} runs without a plan", job.facts.job))),
    }
}

/// How the fields of a job's file meet the contract, as its plan says.
///
/// # Errors
/// AWS does not answer, or the job has no plan that parses.
pub async fn layout_of(app: &App, job: &Job) -> Result<Layout, StepError> {
    Ok(load_plan(app, job).await?.layout)
}

/// Rows of an archive file, in their order.
pub(crate) async fn archived_rows(
    app: &App,
    file: &ArchivedFile,
) -> Result<Vec<ArchivedRow>, StepError> {
    let bad = |message: String| StepError::BadDocument {
        key: file.key.clone(),
        what: "failure archive",
        message,
    };
    let bytes = app.store.get(&app.settings.failures_bucket, &file.key).await?;
    let bytes = bytes.ok_or_else(|| bad("it is not there".into()))?;
    let mut rows = vec![];
    for batch in archive::read(bytes, &Wanted::default()).map_err(|error| bad(error.to_string()))? {
        let batch = batch.map_err(|error| bad(error.to_string()))?;
        rows.extend(archive::rows(&batch).map_err(|error| bad(error.to_string()))?);
    }
    Ok(rows)
}

/// The parent's manifest with the changes: the same before and after they are made.
pub(crate) async fn next_manifest(
    app: &App,
    parent: &Job,
    changes: &Changes,
) -> Result<Manifest, StepError> {
    let id = &parent.facts.job;
    let done = done_chunks(app, parent).await?;
    let mut done = done.ok_or_else(|| StepError::Broken(format!("job {id} lost a chunk")))?;
    for (id, outcome) in &mut done {
        let change = changes.changes.iter().find(|change| of(change, id));
        if let Some(change) = change {
            *outcome = change.to.clone();
        }
    }
    let outcomes = read_outcomes(app, &done).await?;
    let ready = app.pipelines.frozen(&parent.facts.pipeline_sha).await?;
    let plan = load_plan(app, parent).await?;
    let mut manifest =
        Manifest::build(&parent.facts, &ready.pipeline, &plan, &outcomes, changes.revision);
    if let Some(key) = changes.from_manifest.as_ref().filter(|_| manifest.table.is_some()) {
        manifest.deleted = app.document::<Manifest>(key, "manifest").await?.deleted;
    }
    match manifest.balanced() {
        true => Ok(manifest),
        false => Err(StepError::Broken(format!(
            "the books of job {id} would not balance after its replay: {}",
            manifest.problems.join("; ")
        ))),
    }
}

fn of(change: &Change, id: &ChunkId) -> bool {
    (change.chunk, &change.part) == (id.chunk, &id.part)
}
