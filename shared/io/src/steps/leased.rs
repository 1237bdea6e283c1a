//! A chunk that a worker holds, from its text to its outcome.

use std::collections::BTreeMap;
use std::sync::Arc;

use rowproof_core::ledger::{self, Job, Lease, OutcomeRef, Stage};
use rowproof_core::plan::Plan;
use tracing::info;

use crate::app::App;
use crate::clock::Deadline;
use crate::documents::outcome::{files_of, stage_chunk, store_outcome, write_rejects};
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::sinks::postgres::load_chunk;
use crate::steps::lease::{fenced, keeping, watched};
use crate::text::chunk::{ChainText, Work, Worked, work_through};

/// What a worker made of a chunk that it holds.
pub(crate) enum Leased {
    /// The outcome stands; on a chain, the text that goes on behind it.
    Done(OutcomeRef, Option<Box<ChainText>>),
    /// The parts stand.
    Split,
    /// Time ran out.
    OutOfTime,
}

/// Steps b to g for a leased chunk.
pub(crate) async fn run_leased(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    lease: &Lease,
    text: Option<Box<ChainText>>,
    deadline: Deadline,
) -> Result<Leased, StepError> {
    let work = Work::locate(app, job, &lease.id, ready, plan).await?;
    let text = match text {
        Some(text) => text,
        None => work.text(app, job).await?,
    };
    let started_ms = app.clock.now_ms();
    let Some(worked) = work_watched(app, job, lease, work, text, deadline).await? else {
        return Ok(Leased::OutOfTime);
    };
    let counts = worked.product.counts;
    let finished = finish_chunk(app, job, ready, plan, lease, worked, deadline).await?;
    let Some((outcome, text)) = finished else {
        return Ok(Leased::OutOfTime);
    };
    let duration_ms = app.clock.now_ms().saturating_sub(started_ms);
    info!(rows_read = counts.read, rows_rejected = counts.rejected, duration_ms, "chunk done");
    crate::telemetry::chunk_committed(&job.facts.pipeline, duration_ms);
    Ok(Leased::Done(outcome, text))
}

/// Steps e to g: what came out is stored, and then its outcome stands; `None` when time ran out.
pub(crate) async fn finish_chunk(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    lease: &Lease,
    mut worked: Worked,
    deadline: Deadline,
) -> Result<Option<(OutcomeRef, Option<Box<ChainText>>)>, StepError> {
    let stored = async {
        if ready.pipeline.sink.commits_chunks() {
            return Box::pin(load_chunk(app, job, ready, plan, &lease.id, &mut worked)).await;
        }
        let files = stage_chunk(
            app,
            &lease.id,
            files_of(&mut worked.product.files, &mut worked.product.table).await?,
        )
        .await?;
        let failures = worked.product.failures.take();
        let failures = write_rejects(app, job, &lease.id, 0, failures).await?;
        store_outcome(app, &lease.id, &worked, files, failures).await
    };
    let stored = keeping(app, lease, Stage::Sinking, deadline, Box::pin(stored)).await;
    let Some(outcome) = stored.map_err(StepError::of_sink)? else { return Ok(None) };
    if !app.ledger.perform(&ledger::complete(lease, &outcome)).await?.stands() {
        return Err(fenced(lease));
    }
    Ok(Some((outcome, worked.text)))
}

/// Runs the chunk on a thread of its own, renewing the lease meanwhile; `None` when time runs out.
async fn work_watched(
    app: &App,
    job: &Job,
    lease: &Lease,
    work: Work,
    text: Box<ChainText>,
    deadline: Deadline,
) -> Result<Option<Worked>, StepError> {
    let setup = work.setup(app, job, &lease.id);
    let refused = BTreeMap::new();
    watched(app, lease, deadline, move |stop| work_through(&work, setup, text, refused, stop)).await
}
