//! T9: a chunk that kills its workers is cut in halves, until the record at fault stands alone and goes
//! to the failure archive as `poison`. Nothing here takes a record apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rowproof_core::isolate::{RecordScanner, halves, poison};
use rowproof_core::ledger::{self, ChainStart, Job, Lease, Split};
use rowproof_core::plan::{Plan, PlanKind, PlannedChunk};
use rowproof_core::split::LoneScanner;
use tracing::warn;

use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::steps::lease::{fenced, watched};
use crate::steps::leased::{Leased, finish_chunk, run_leased};
use crate::steps::open::note_end;
use crate::text::chunk::{Work, Worked, refuse_engine};
use crate::text::source::TextSource;

/// Bytes read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Where the records of a chunk are.
struct Found {
    records: Vec<PlannedChunk>,
    /// Packed bytes of the object, when a chain was read to its end.
    packed_bytes: Option<u64>,
}

/// Splits a chunk whose attempts are used up, or archives its only record.
pub(crate) async fn isolate(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    lease: &Lease,
    deadline: Deadline,
) -> Result<Leased, StepError> {
    let work = Work::locate(app, job, &lease.id, ready, plan).await?;
    let text = work.open(app, job).await?;
    let limits = app.limits.clone();
    let (format, start) = (ready.pipeline.source.format.clone(), work.start);
    let open_end = work.end.is_none();
    let mut scanner = RecordScanner::new(
        (&format, plan.layout.line_end),
        &limits,
        start.byte,
        start.row,
        open_end,
    );
    let scan = move |stop: &AtomicBool| {
        let Some(text) = each_piece(text, stop, |piece| scanner.push(piece))? else {
            return Ok(None);
        };
        let (records, full) = scanner.finish();
        let packed_bytes = (open_end && !full).then(|| text.packed_bytes());
        Ok(Some(Found { records, packed_bytes }))
    };
    let Some(found) = watched(app, lease, deadline, scan).await? else {
        return Ok(Leased::OutOfTime);
    };
    match halves(&found.records) {
        Some(halves) => split(app, job, plan, lease, &found, halves).await,
        // Too few deaths to blame the record: it is tried like any other chunk.
        None if !lease.condemns() => {
            Box::pin(run_leased(app, job, ready, plan, lease, None, deadline)).await
        }
        None => archive(app, job, lease, work, &found, deadline).await,
    }
}

async fn split(
    app: &App,
    job: &Job,
    plan: &Plan,
    lease: &Lease,
    found: &Found,
    halves: [PlannedChunk; 2],
) -> Result<Leased, StepError> {
    let chain = plan.kind == PlanKind::Chain && lease.id.part.is_empty();
    let end_of_object = chain && found.packed_bytes.is_some();
    let [_, last] = halves;
    let next = ChainStart { byte: last.end, row: last.first_row + last.rows };
    let split = Split {
        halves,
        next: (chain && !end_of_object).then_some(next),
        end_of_object,
        packed_bytes: found.packed_bytes.filter(|_| chain),
    };
    if !app.ledger.perform(&ledger::split(lease, &split)).await?.stands() {
        return Err(fenced(lease));
    }
    let rows: u64 = halves.iter().map(|half| half.rows).sum();
    warn!(chunk = %lease.id, rows, "the chunk kills its workers: it was split");
    crate::telemetry::count(&job.facts.pipeline, "ChunksSplit", 1);
    if end_of_object {
        note_end(app, job, lease.id.chunk).await?;
    }
    Ok(Leased::Split)
}

/// The only record goes to the failure archive by its place alone.
async fn archive(
    app: &App,
    job: &Job,
    lease: &Lease,
    work: Work,
    found: &Found,
    deadline: Deadline,
) -> Result<Leased, StepError> {
    let only = found.records.first().copied();
    let range = only.ok_or_else(|| {
        StepError::Broken(format!("chunk {} of job {} holds no record", lease.id, lease.id.job))
    })?;
    let text = work.open(app, job).await?;
    let line_end = work.plan.layout.line_end;
    let format = work.ready.pipeline.source.format.clone();
    let mut scanner = LoneScanner::new(&format, line_end, &app.limits, range.start);
    let mut left = range.end - range.start;
    let scan = move |stop: &AtomicBool| {
        let each = |piece: &[u8]| {
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            scanner.push(piece.get(..take).unwrap_or(&[]));
            left -= take as u64;
            left == 0
        };
        let Some(_) = each_piece(text, stop, each)? else { return Ok(None) };
        Ok(Some(scanner.finish()))
    };
    let Some(lone) = watched(app, lease, deadline, scan).await? else {
        return Ok(Leased::OutOfTime);
    };
    let lone = lone.ok_or_else(|| {
        StepError::Broken(format!("chunk {} of job {} holds no record now", lease.id, lease.id.job))
    })?;
    let setup = work.setup(app, job, &lease.id);
    let product = poison(&work.ready.contract, &setup, range, &lone).map_err(refuse_engine)?;
    warn!(chunk = %lease.id, row = range.first_row + 1, "the record kills its workers: archived");
    let open_end = work.end.is_none();
    let packed_bytes = found.packed_bytes.or_else(|| work.packed_bytes());
    let worked = Worked { product, open_end, packed_bytes, text: None };
    let ready = work.ready.clone();
    Ok(match finish_chunk(app, job, &ready, &work.plan, lease, worked, deadline).await? {
        Some((outcome, text)) => Leased::Done(outcome, text),
        None => Leased::OutOfTime,
    })
}

/// Hands the text on piece by piece until it ends or `each` says that it is enough; `None` when the
/// thread was told to stop.
fn each_piece(
    mut text: TextSource,
    stop: &AtomicBool,
    mut each: impl FnMut(&[u8]) -> bool,
) -> Result<Option<TextSource>, StepError> {
    let mut piece = Vec::new();
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        piece.clear();
        let ended = text.fill(&mut piece, PIECE_BYTES)?;
        if each(&piece) || ended {
            return Ok(Some(text));
        }
    }
}
