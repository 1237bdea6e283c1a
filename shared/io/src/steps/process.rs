//! One chunk, from its lease to its outcome. Read this module first.

use std::sync::Arc;

use rowproof_core::ledger::{self, ChunkId, Job, Lease, Outage};
use rowproof_core::plan::{Plan, PlanKind};
use tracing::{Instrument, info, info_span, warn};

use crate::app::App;
use crate::clock::Deadline;
use crate::documents::job::load_plan;
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::steps::commit::commit_job;
use crate::steps::isolate::isolate;
use crate::steps::lease::{Acquired, acquire, fail_job};
use crate::steps::leased::Leased;
use crate::steps::leased::run_leased;
use crate::steps::open::note_end;
use crate::steps::outage;
use crate::text::chunk::ChainText;

/// What became of a chunk in this invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processed {
    /// Its outcome stands, now or already.
    Done,
    /// Its parts stand in its place and wait for workers.
    Split,
    /// Another worker has it, until then at the latest (epoch seconds).
    Busy(i64),
    /// Time ran out; the chunk was given back.
    Yielded,
    /// The sink does not answer; the chunk waits for so many seconds, without a charge.
    Later(i64),
    /// There is nothing to do: it or its job failed or was overtaken.
    Over,
}

/// Processes a chunk and, on a chain, the ones after it while time lasts; commits the job when the
/// chunk was the last.
pub async fn process_chunk(
    app: &App,
    job: &Job,
    id: &ChunkId,
    deadline: Deadline,
) -> Result<Processed, StepError> {
    let pipeline = &job.facts.pipeline;
    let outage = app.ledger.outage(pipeline).await?;
    if let Some(seconds) = outage::wait_seconds(app, outage.as_ref()) {
        return Ok(Processed::Later(seconds));
    }
    match process_chunks(app, job, id, deadline, outage.as_ref()).await {
        Err(error) if outage.is_some() && error.passes() => {
            outage::note(app, pipeline, outage.as_ref(), &error).await.map(Processed::Later)
        }
        Err(error @ (StepError::Sink(_) | StepError::Postgres(_))) => {
            outage::note(app, pipeline, None, &error).await.map(Processed::Later)
        }
        other => other,
    }
}

async fn process_chunks(
    app: &App,
    job: &Job,
    id: &ChunkId,
    deadline: Deadline,
    outage: Option<&Outage>,
) -> Result<Processed, StepError> {
    let plan = load_plan(app, job).await?;
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await?;
    let mut id = id.clone();
    let mut text = None;
    loop {
        let span = info_span!("chunk", pipeline = job.facts.pipeline, job = %job.facts.job,
            source_uri = %job.facts.object.uri(), chunk = %id);
        let step = one_chunk(app, job, &ready, &plan, &id, text.take(), deadline);
        let (processed, rest) = step.instrument(span).await?;
        let Some(rest) = rest else {
            if processed == Processed::Done {
                outage::end(app, &job.facts.pipeline, outage).await?;
                commit_if_last(app, job, &id).await?;
            }
            return Ok(processed);
        };
        if deadline.is_near(app.settings.deadline_margin_ms) {
            return Ok(Processed::Yielded);
        }
        text = rest;
        id.chunk += 1;
    }
}

/// After a worker's own T7: commits when its group, and then the job, is complete.
async fn commit_if_last(app: &App, job: &Job, id: &ChunkId) -> Result<(), StepError> {
    if let Some(count) = job.chunk_count {
        let group = app.ledger.chunks_of_group(&id.job, id.group()).await?;
        if ledger::close_group(&id.job, id.group(), count, &group).is_none() {
            return Ok(());
        }
    }
    commit_job(app, &id.job).await?;
    Ok(())
}

/// `Some` beside the verdict means that a chain goes on with the next chunk, and with which text.
type Step = (Processed, Option<Option<Box<ChainText>>>);

async fn one_chunk(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    id: &ChunkId,
    text: Option<Box<ChainText>>,
    deadline: Deadline,
) -> Result<Step, StepError> {
    let lease = match acquire(app, id).await? {
        Acquired::Lease(lease) => {
            if lease.epoch > 1 {
                crate::telemetry::count(&job.facts.pipeline, "ResumeCount", 1);
            }
            lease
        }
        Acquired::Done(outcome) => {
            let goes_on = goes_on(app, job, plan, id, outcome.end_of_object).await?;
            return Ok((Processed::Done, goes_on.then_some(None)));
        }
        Acquired::Split => return Ok((Processed::Split, None)),
        Acquired::Busy(until) => return Ok((Processed::Busy(until), None)),
        Acquired::Over => return Ok((Processed::Over, None)),
    };
    let done = match lease.isolate {
        true => Box::pin(isolate(app, job, ready, plan, &lease, deadline)).await,
        false => Box::pin(run_leased(app, job, ready, plan, &lease, text, deadline)).await,
    };
    let done = match done {
        Ok(Leased::Done(outcome, text)) => {
            let goes_on = goes_on(app, job, plan, id, outcome.end_of_object).await?;
            return Ok((Processed::Done, goes_on.then_some(text)));
        }
        Ok(Leased::Split) => return Ok((Processed::Split, None)),
        Ok(Leased::OutOfTime) => None,
        Err(error) => Some(error),
    };
    give_back(app, job, &lease, done).await.map(|processed| (processed, None))
}

/// A worker that cannot finish lets go of its chunk; `None`: its time is up.
async fn give_back(
    app: &App,
    job: &Job,
    lease: &Lease,
    error: Option<StepError>,
) -> Result<Processed, StepError> {
    match error {
        None => {
            app.ledger.perform(&ledger::give_back(lease)).await?;
            info!("time is up: the chunk is given back");
            Ok(Processed::Yielded)
        }
        Some(StepError::Object(failure)) => {
            fail_job(app, job, lease, &failure).await?;
            Ok(Processed::Over)
        }
        Some(StepError::Fenced { .. }) => {
            warn!("another worker took the chunk over");
            crate::telemetry::count(&job.facts.pipeline, "LeaseLost", 1);
            Ok(Processed::Over)
        }
        // Neither the sink's faults nor those of the way there are the chunk's: no charge.
        Some(
            error @ (StepError::SourceChanged { .. }
            | StepError::Aws(_)
            | StepError::Sink(_)
            | StepError::Postgres(_)),
        ) => {
            app.ledger.perform(&ledger::give_back(lease)).await?;
            Err(error)
        }
        // A worker thread that broke down died like a worker: its lease stays until it ends.
        Some(
            error @ (StepError::BadItem(_)
            | StepError::BadDocument { .. }
            | StepError::Pipeline(_)
            | StepError::Broken(_)),
        ) => Err(error),
    }
}

/// Whether a chain goes on behind a DONE chunk. Whoever reads the end of the object tells the job.
async fn goes_on(
    app: &App,
    job: &Job,
    plan: &Plan,
    id: &ChunkId,
    end_of_object: bool,
) -> Result<bool, StepError> {
    if plan.kind == PlanKind::Ranges || !id.part.is_empty() {
        return Ok(false);
    }
    if !end_of_object {
        return Ok(true);
    }
    note_end(app, job, id.chunk).await?;
    Ok(false)
}
