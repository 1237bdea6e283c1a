//! One chunk, from its lease to its outcome. Read this module first.

use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rowproof_core::decode::Budget;
use rowproof_core::engine::{ChunkEngine, ChunkProduct, ChunkSetup, EngineError};
use rowproof_core::ids::CHUNKS_PER_GROUP;
use rowproof_core::ledger::{self, ChainStart, ChunkId, Job, Lease, OutcomeRef, Stage};
use rowproof_core::plan::{Plan, PlanKind, Segment};
use tracing::{Instrument, info, info_span, warn};

use crate::app::App;
use crate::clock::Deadline;
use crate::commit::{commit_job, load_plan};
use crate::error::StepError;
use crate::lease::{Acquired, acquire, fail_job, fenced, renew};
use crate::pipelines::Ready;
use crate::plan::joined;
use crate::sink::{stage_chunk, store_outcome, write_rejects};
use crate::source::TextSource;

/// What became of a chunk in this invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processed {
    /// Its outcome stands, now or already.
    Done,
    /// Another worker has it, until then at the latest (epoch seconds).
    Busy(i64),
    /// Time ran out; the chunk was given back.
    Yielded,
    /// There is nothing to do: it or its job failed or was overtaken.
    Over,
}

/// How often a worker renews its lease, in seconds: three times before it ends.
const RENEW_SECONDS: u64 = 20;

/// A chunk with everything that is known about it.
struct Work {
    ready: Arc<Ready>,
    plan: Plan,
    start: ChainStart,
    /// End of its range; a chain finds its end by itself.
    end: Option<u64>,
}

/// Text of a chain that goes on behind a chunk.
struct ChainText {
    source: TextSource,
    block: Vec<u8>,
}

/// Processes a chunk and, on a chain, the ones after it while time lasts; commits the job when the
/// chunk was the last.
pub async fn process_chunk(
    app: &App,
    job: &Job,
    id: &ChunkId,
    deadline: Deadline,
) -> Result<Processed, StepError> {
    let plan = load_plan(app, job).await?;
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await?;
    let mut id = id.clone();
    let mut text = None;
    loop {
        let span = info_span!("chunk", pipeline = job.facts.pipeline, job = %job.facts.job,
            source_uri = %job.facts.object.uri(), chunk = id.chunk);
        let step = one_chunk(app, job, &ready, &plan, &id, text.take(), deadline);
        let (processed, rest) = step.instrument(span).await?;
        let Some(rest) = rest else {
            if processed == Processed::Done {
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
        let chunks: Vec<_> = group.into_iter().map(|(_, chunk)| chunk).collect();
        if ledger::close_group(&id.job, id.group(), count, &chunks).is_none() {
            return Ok(());
        }
    }
    commit_job(app, &id.job).await?;
    Ok(())
}

/// `Some` beside the verdict means that a chain goes on with the next chunk, and with which text.
type Step = (Processed, Option<Option<ChainText>>);

async fn one_chunk(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    id: &ChunkId,
    text: Option<ChainText>,
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
            let goes_on = goes_on(app, job, plan, id, &outcome).await?;
            return Ok((Processed::Done, goes_on.then_some(None)));
        }
        Acquired::Busy(until) => return Ok((Processed::Busy(until), None)),
        Acquired::Over => return Ok((Processed::Over, None)),
    };
    let work =
        Work { ready: ready.clone(), plan: plan.clone(), start: ChainStart::default(), end: None };
    let done = run_leased(app, job, &lease, work, text, deadline).await;
    match done {
        Ok(Some((outcome, text))) => {
            let goes_on = goes_on(app, job, plan, id, &outcome).await?;
            Ok((Processed::Done, goes_on.then_some(text)))
        }
        Ok(None) => {
            app.ledger.perform(&ledger::give_back(&lease)).await?;
            info!("time is up: the chunk is given back");
            Ok((Processed::Yielded, None))
        }
        Err(StepError::Object(failure)) => {
            fail_job(app, job, &lease, &failure).await?;
            Ok((Processed::Over, None))
        }
        Err(StepError::Fenced { .. }) => {
            warn!("another worker took the chunk over");
            crate::telemetry::count(&job.facts.pipeline, "LeaseLost", 1);
            Ok((Processed::Over, None))
        }
        // A passing fault is not the chunk's: it goes back without a charge. A broken-down thread is.
        Err(error @ (StepError::SourceChanged { .. } | StepError::Aws(_))) => {
            app.ledger.perform(&ledger::give_back(&lease)).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Whether a chain goes on behind a DONE chunk. Whoever reads the end of the object tells the job.
async fn goes_on(
    app: &App,
    job: &Job,
    plan: &Plan,
    id: &ChunkId,
    outcome: &OutcomeRef,
) -> Result<bool, StepError> {
    if plan.kind == PlanKind::Ranges {
        return Ok(false);
    }
    if !outcome.end_of_object {
        return Ok(true);
    }
    let count = ledger::set_chunk_count(&job.facts.job, id.chunk + 1);
    if !app.ledger.perform(&count).await?.stands() {
        let id = &job.facts.job;
        return Err(StepError::Broken(format!("job {id} has another chunk count than its chain")));
    }
    Ok(false)
}

/// Steps b to g for a leased chunk; `None` when time ran out.
async fn run_leased(
    app: &App,
    job: &Job,
    lease: &Lease,
    mut work: Work,
    text: Option<ChainText>,
    deadline: Deadline,
) -> Result<Option<(OutcomeRef, Option<ChainText>)>, StepError> {
    locate(app, job, &lease.id, &mut work).await?;
    let text = match text {
        Some(text) => text,
        None => read_chunk(app, job, &work).await?,
    };
    let started_ms = app.clock.now_ms();
    let Some(mut worked) = work_watched(app, job, lease, work, text, deadline).await? else {
        return Ok(None);
    };
    renew(app, lease, Stage::Sinking).await?;
    let files = stage_chunk(app, &lease.id, take(&mut worked.product.files)).await?;
    let failures = write_rejects(app, job, &lease.id, worked.product.failures.take()).await?;
    let outcome = store_outcome(app, &lease.id, &worked, files, failures).await?;
    if !app.ledger.perform(&ledger::complete(lease, &outcome)).await?.stands() {
        return Err(fenced(lease));
    }
    let counts = worked.product.counts;
    let duration_ms = app.clock.now_ms().saturating_sub(started_ms);
    info!(rows_read = counts.read, rows_rejected = counts.rejected, duration_ms, "chunk done");
    crate::telemetry::chunk_committed(&job.facts.pipeline, duration_ms);
    Ok(Some((outcome, worked.text)))
}

/// Where the chunk begins, and on ranges where it ends.
async fn locate(app: &App, job: &Job, id: &ChunkId, work: &mut Work) -> Result<(), StepError> {
    if work.plan.kind == PlanKind::Chain {
        work.start = ChainStart { byte: work.plan.data_start, row: 0 };
        if let Some(before) = id.chunk.checked_sub(1) {
            let before = ChunkId { job: id.job.clone(), chunk: before };
            let stored = app.ledger.chunk(&before).await?;
            let next = stored.and_then(|chunk| chunk.outcome).and_then(|outcome| outcome.next);
            work.start = next.ok_or_else(|| {
                StepError::Broken(format!("chunk {} was asked for before its turn", id.chunk))
            })?;
        }
        return Ok(());
    }
    let missing = || StepError::Broken(format!("job {} has no chunk {}", job.facts.job, id.chunk));
    let group = usize::try_from(id.group()).map_err(|_| missing())?;
    let key = work.plan.segments.get(group).ok_or_else(missing)?;
    let segment: Segment = app.document(key, "plan segment").await?;
    let index = usize::try_from(id.chunk % CHUNKS_PER_GROUP).map_err(|_| missing())?;
    let range = segment.chunks.get(index).ok_or_else(missing)?;
    work.start = ChainStart { byte: range.start, row: range.first_row };
    work.end = Some(range.end);
    Ok(())
}

/// Step b: the chunk's text, of the very version the job was made for.
async fn read_chunk(app: &App, job: &Job, work: &Work) -> Result<ChainText, StepError> {
    if let Some(end) = work.end {
        let source = TextSource::range(app, &job.facts, work.start.byte, end).await?;
        return Ok(ChainText { source, block: vec![] });
    }
    let codec = work.plan.codec;
    let pipeline = &work.ready.pipeline;
    let mut source = TextSource::unpacked(app, &job.facts, pipeline, codec, &app.limits).await?;
    let (skip, block_bytes) = (work.start.byte, app.limits.block_bytes);
    joined(
        tokio::task::spawn_blocking(move || {
            let block = source.skip(skip, block_bytes)?;
            Ok(ChainText { source, block })
        })
        .await,
    )?
}

/// What a worker's thread made of a chunk.
pub(crate) struct Worked {
    pub(crate) product: ChunkProduct,
    /// On a chain: whether the object ends here, and its packed bytes.
    pub(crate) end_of_chain: Option<u64>,
    pub(crate) is_chain: bool,
    text: Option<ChainText>,
}

/// Runs the chunk on a thread of its own, renewing the lease meanwhile; `None` when time runs out.
async fn work_watched(
    app: &App,
    job: &Job,
    lease: &Lease,
    work: Work,
    text: ChainText,
    deadline: Deadline,
) -> Result<Option<Worked>, StepError> {
    let setup = ChunkSetup {
        facts: job.facts.clone(),
        chunk: lease.id.chunk,
        start: work.start.byte,
        first_row: work.start.row,
        layout: Arc::new(work.plan.layout.clone()),
        limits: app.limits.clone(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let mut thread =
        tokio::task::spawn_blocking(move || work_through(&work, setup, text, &stopped));
    let mut last_renewed_ms = app.clock.now_ms();
    loop {
        tokio::select! {
            worked = &mut thread => return joined(worked)?,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        if deadline.is_near(app.settings.deadline_margin_ms) {
            stop.store(true, Ordering::Relaxed);
        }
        if app.clock.now_ms().saturating_sub(last_renewed_ms) > RENEW_SECONDS * 1000 {
            last_renewed_ms = app.clock.now_ms();
            if let Err(error) = renew(app, lease, Stage::Decoding).await {
                stop.store(true, Ordering::Relaxed);
                joined(thread.await)??;
                return Err(error);
            }
        }
    }
}

/// Steps c and d, and the files: block after block, no await.
fn work_through(
    work: &Work,
    setup: ChunkSetup,
    mut text: ChainText,
    stop: &AtomicBool,
) -> Result<Option<Worked>, StepError> {
    let is_chain = work.plan.kind == PlanKind::Chain;
    let limits = setup.limits.clone();
    let budget = match is_chain {
        true => Budget { bytes: limits.chunk_bytes, records: limits.chunk_rows },
        false => Budget::UNLIMITED,
    };
    let contract = &work.ready.contract;
    let mut engine =
        ChunkEngine::new(&work.ready.pipeline, contract, setup, budget).map_err(refuse_engine)?;
    let mut want = limits.block_bytes;
    let mut end_of_chain = None;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let ended = text.source.fill(&mut text.block, want)?;
        let rest = engine.block(std::mem::take(&mut text.block), ended).map_err(refuse_engine)?;
        text.block = rest.block;
        // A record longer than a block: it needs more bytes at once, never more than its limit.
        want = match rest.progress {
            true => limits.block_bytes,
            false => want.saturating_mul(2),
        };
        want = want.max(text.block.len().saturating_add(1));
        if ended && text.block.is_empty() {
            end_of_chain = is_chain.then(|| text.source.packed_bytes());
            break;
        }
        if rest.full {
            break;
        }
    }
    let product = engine.finish().map_err(refuse_engine)?;
    let text = (is_chain && end_of_chain.is_none()).then_some(text);
    Ok(Some(Worked { product, end_of_chain, is_chain, text }))
}

fn refuse_engine(error: EngineError) -> StepError {
    let code = match &error {
        EngineError::Table(_) => "sink",
        EngineError::Arrow(_) | EngineError::Archive(_) => "block",
    };
    StepError::object(code, error.to_string())
}
