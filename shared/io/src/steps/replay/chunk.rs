//! One chunk of a replay, from its lease to its outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rowproof_core::archive::{ArchivedRow, Predicate};
use rowproof_core::engine::ChunkSetup;
use rowproof_core::ledger::{self, ChunkId, Failure, Job, Lease, OutcomeRef, Stage};
use rowproof_core::patch::{Fixed, Patch};
use rowproof_core::plan::Plan;
use rowproof_core::receipt::ChunkOutcome;
use rowproof_core::replay::{
    Candidate, Correction, ReplayChunk, ReplayOutcome, ReplayPlan, ReplayRequest, ReplayTally,
    Replayed, Replayer, next_outcome,
};
use tracing::{info, warn};

use super::{commit, load_request, original, replay_facts, selection};
use crate::app::App;
use crate::clock::Deadline;
use crate::documents::job::archived_rows;
use crate::documents::job::load_plan;
use crate::documents::outcome::{files_of, put_outcome, stage_chunk, write_rejects};
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::steps::lease::{Acquired, acquire, fenced, keeping, watched};
use crate::text::chunk::refuse_engine;

/// A chunk of the parent whose failed rows go through again.
pub(super) struct Work {
    parent: Job,
    pub(super) ready: Arc<Ready>,
    plan: Plan,
    request: ReplayRequest,
    /// The parent's chunk, and its outcome so far.
    id: ChunkId,
    chunk: ReplayChunk,
    before: ChunkOutcome,
}

/// Works on one chunk of a replay; commits the replay when it was the last.
pub(crate) async fn replay_chunk(
    app: &App,
    job: &Job,
    id: &ChunkId,
    deadline: Deadline,
) -> Result<(), StepError> {
    let lease = match acquire(app, id).await? {
        Acquired::Lease(lease) => lease,
        Acquired::Done(_) => return commit_if_last(app, job).await,
        Acquired::Split | Acquired::Busy(_) | Acquired::Over => return Ok(()),
    };
    if lease.isolate {
        return give_up(app, job, &lease).await;
    }
    match Box::pin(run_leased(app, job, &lease, deadline)).await {
        Ok(Some(_)) => commit_if_last(app, job).await,
        Ok(None) => {
            app.ledger.perform(&ledger::give_back(&lease)).await?;
            crate::steps::send::send_chunk(app, id, 0).await
        }
        Err(StepError::Fenced { .. }) => {
            warn!(job = %job.facts.job, chunk = %id, "another worker took the chunk over");
            Ok(())
        }
        Err(error) if error.passes() => {
            app.ledger.perform(&ledger::give_back(&lease)).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn commit_if_last(app: &App, job: &Job) -> Result<(), StepError> {
    match crate::documents::job::done_chunks(app, job).await? {
        Some(_) => commit::commit_replay(app, job).await,
        None => Ok(()),
    }
}

/// A chunk of a replay that kills its workers ends the replay: its rows stay in the archive.
async fn give_up(app: &App, job: &Job, lease: &Lease) -> Result<(), StepError> {
    let parent = &replay_facts(job)?.parent;
    let failure = Failure {
        code: "poison".into(),
        message: format!(
            "a record that was to be replayed kills its workers; select rows of job {parent} without it"
        ),
    };
    let now = app.clock.now();
    if app.ledger.perform(&ledger::give_up(lease, &failure, now)).await?.stands() {
        end_failed(app, job, &lease.id, Some(failure)).await?;
    }
    Ok(())
}

/// T16 of a replay, for a chunk of it that was given up.
pub(super) async fn end_failed(
    app: &App,
    job: &Job,
    id: &ChunkId,
    failure: Option<Failure>,
) -> Result<(), StepError> {
    let Some(job) = app.ledger.job(&job.facts.job).await? else { return Ok(()) };
    let failure = failure.unwrap_or_else(|| Failure {
        code: "poison".into(),
        message: format!("chunk {id} of the replay was given up"),
    });
    let fail = ledger::fail(&job, &failure, app.clock.now());
    if app.ledger.perform(&fail).await?.stands() {
        app.announce(&job.facts.job, Some(id), &failure.code).await?;
    }
    Ok(())
}

/// The chunk's outcome; `None` when time ran out.
async fn run_leased(
    app: &App,
    job: &Job,
    lease: &Lease,
    deadline: Deadline,
) -> Result<Option<OutcomeRef>, StepError> {
    let work = load(app, job, &lease.id).await?;
    let candidates = Box::pin(candidates(app, &work));
    let candidates = keeping(app, lease, Stage::Reading, deadline, candidates).await?;
    let Some((candidates, mut tally)) = candidates else { return Ok(None) };
    let setup = setup(app, &work);
    let ready = work.ready.clone();
    let replay = move |stop: &AtomicBool| run(&ready, &setup, candidates, stop);
    let Some(replayed) = watched(app, lease, deadline, replay).await? else { return Ok(None) };
    tally.note(&replayed);
    let stored = store(app, job, &lease.id, &work, replayed, tally);
    let Some(outcome) = keeping(app, lease, Stage::Sinking, deadline, Box::pin(stored)).await?
    else {
        return Ok(None);
    };
    if !app.ledger.perform(&ledger::complete(lease, &outcome)).await?.stands() {
        return Err(fenced(lease));
    }
    Ok(Some(outcome))
}

async fn load(app: &App, job: &Job, id: &ChunkId) -> Result<Work, StepError> {
    let broken = |what: &str| StepError::Broken(format!("replay {} {what}", job.facts.job));
    let sealed = job.plan.as_ref().ok_or_else(|| broken("has no plan"))?;
    let replay: ReplayPlan = app.document(&sealed.key, "replay plan").await?;
    let index = usize::try_from(id.chunk).unwrap_or(usize::MAX);
    let chunk = replay.chunks.get(index).cloned().ok_or_else(|| broken("has no such chunk"))?;
    let parent = app.ledger.job(&replay_facts(job)?.parent).await?;
    let parent = parent.ok_or_else(|| broken("replays rows of a job that is gone"))?;
    Work::load(app, parent, load_request(app, job).await?, chunk).await
}

impl Work {
    pub(super) async fn load(
        app: &App,
        parent: Job,
        request: ReplayRequest,
        chunk: ReplayChunk,
    ) -> Result<Work, StepError> {
        let id =
            ChunkId { job: parent.facts.job.clone(), chunk: chunk.chunk, part: chunk.part.clone() };
        Ok(Work {
            ready: app.pipelines.frozen(&parent.facts.pipeline_sha).await?,
            plan: load_plan(app, &parent).await?,
            before: app.document(&chunk.from.key, "chunk outcome").await?,
            request,
            parent,
            id,
            chunk,
        })
    }
}

pub(super) fn setup(app: &App, work: &Work) -> ChunkSetup {
    ChunkSetup {
        facts: work.parent.facts.clone(),
        chunk: work.id.to_string(),
        fix: work.before.fix + 1,
        start: work.before.start,
        first_row: work.before.first_row,
        layout: Arc::new(work.plan.layout.clone()),
        limits: app.limits.clone(),
    }
}

/// How rows are corrected.
enum Corrector {
    Nothing,
    Patch(Patch),
    Fixed(Fixed),
}

impl Corrector {
    async fn load(app: &App, work: &Work) -> Result<Corrector, StepError> {
        let bad = |message: String| StepError::Pipeline(message);
        Ok(match &work.request.correction {
            Correction::Nothing => Corrector::Nothing,
            Correction::Patch { text } => {
                let patch = Patch::parse("the patch", text);
                Corrector::Patch(patch.map_err(|problems| bad(problems.to_string()))?)
            }
            Correction::Fixed { file } => {
                let bytes = app.store.get(&app.settings.output_bucket, &file.key).await?;
                let bytes = bytes.ok_or_else(|| bad(format!("{} is gone", file.key)))?;
                let fixed = Fixed::read("the corrected file", &bytes, &work.parent.facts.job.0);
                Corrector::Fixed(fixed.map_err(|problems| bad(problems.to_string()))?)
            }
        })
    }

    /// The corrected record; `None` when nothing changes, the text when it cannot be applied.
    fn apply(
        &self,
        work: &Work,
        row: &ArchivedRow,
        original: &[u8],
    ) -> Result<Option<Vec<u8>>, String> {
        let (pipeline, layout) = (&work.ready.pipeline, &work.plan.layout);
        match self {
            Corrector::Nothing => Ok(Some(original.to_vec())),
            Corrector::Patch(patch) => {
                patch.apply(pipeline, layout, row, original).map_err(|error| error.to_string())
            }
            Corrector::Fixed(fixed) => {
                fixed.record(pipeline, layout, row, original).map_err(|error| error.to_string())
            }
        }
    }
}

/// Every failed row of the chunk, corrected where it is selected and can be.
pub(super) async fn candidates(
    app: &App,
    work: &Work,
) -> Result<(Vec<Candidate>, ReplayTally), StepError> {
    let selection: Predicate = selection(&work.request)?;
    let corrector = Corrector::load(app, work).await?;
    let rows = match &work.before.failures {
        Some(file) => archived_rows(app, file).await?,
        None => vec![],
    };
    let selected: Vec<bool> = rows.iter().map(|row| selection.matches(row)).collect();
    let originals =
        original::records(app, &work.parent, &work.ready, &work.plan, &rows, &selected).await?;
    let mut tally = ReplayTally::default();
    let mut candidates = Vec::with_capacity(rows.len());
    for ((row, is_selected), original) in rows.into_iter().zip(selected).zip(originals) {
        if !is_selected {
            candidates.push(Candidate::Stays(row));
            continue;
        }
        tally.selected += 1;
        let Some(original) = original else {
            tally.source_gone += 1;
            candidates.push(Candidate::Stays(row));
            continue;
        };
        candidates.push(match corrector.apply(work, &row, &original) {
            Ok(Some(record)) => Candidate::Tried(row, record),
            Ok(None) => {
                tally.unchanged += 1;
                Candidate::Stays(row)
            }
            Err(error) => {
                warn!(row = row.row_number, error, "the correction does not apply");
                tally.failed += 1;
                Candidate::Stays(row)
            }
        });
    }
    Ok((candidates, tally))
}

fn run(
    ready: &Ready,
    setup: &ChunkSetup,
    candidates: Vec<Candidate>,
    stop: &AtomicBool,
) -> Result<Option<Replayed>, StepError> {
    let mut replayer =
        Replayer::new(&ready.pipeline, &ready.contract, setup).map_err(refuse_engine)?;
    for candidate in candidates {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        replayer.row(candidate).map_err(refuse_engine)?;
    }
    replayer.finish().map(Some).map_err(refuse_engine)
}

/// Stores what came out: data files and archive under the parent's names, the next outcome of its
/// chunk, and what the replay's own ledger item names.
async fn store(
    app: &App,
    job: &Job,
    own: &ChunkId,
    work: &Work,
    mut replayed: Replayed,
    tally: ReplayTally,
) -> Result<OutcomeRef, StepError> {
    let from = &work.chunk.from;
    let mut to = from.clone();
    if replayed.loaded > 0 {
        let mut next = next_outcome(&work.before, &replayed);
        let files = files_of(&mut replayed.files, &mut replayed.table).await?;
        let files = stage_chunk(app, &work.id, files).await?;
        next.files.extend(files);
        let failures = replayed.failures.take();
        next.failures = write_rejects(app, &work.parent, &work.id, next.fix, failures).await?;
        let stored = put_outcome(app, &work.id, &next, next.counts.read).await?;
        to = OutcomeRef { next: from.next, end_of_object: from.end_of_object, ..stored };
    }
    info!(job = %job.facts.job, chunk = %own, selected = tally.selected, loaded = tally.loaded, "replayed");
    let rows = tally.selected;
    put_outcome(app, own, &ReplayOutcome { to, tally }, rows).await
}
