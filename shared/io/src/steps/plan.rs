//! Finds the chunks of an object: reads its header, then its record boundaries once.

use bytes::Bytes;
use rowproof_core::block::Layout;
use rowproof_core::decode::{self, Header, HeaderRead};
use rowproof_core::ids::{CHUNKS_PER_GROUP, sha256_hex};
use rowproof_core::input::{self, Codec, SNIFF_BYTES};
use rowproof_core::ledger::{self, HoldReason, Job, PlanRef};
use rowproof_core::names;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::plan::{Plan, PlanKind, PlannedChunk, Planning, Segment};
use rowproof_core::split::ChunkScanner;
use tracing::{info, warn};

use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;
use crate::error::joined;
use crate::pipelines::Ready;
use crate::text::source::cut_off;
use crate::text::source::{TextSource, open, refuse};

/// What the first bytes of an object say.
struct Start {
    codec: Codec,
    layout: Layout,
    /// Offset of the first record in the plain text.
    data_start: u64,
    /// The object ends before its header.
    headless: bool,
}

/// Seals the job's plan. The job as it stands then; `None` when time ran out and the progress is saved.
pub async fn plan_object(
    app: &App,
    job: &Job,
    deadline: Deadline,
) -> Result<Option<Job>, StepError> {
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await?;
    let planned = match read_start(app, job, &ready).await {
        Ok(start) => plan_from(app, job, &ready, start, deadline).await,
        Err(error) => Err(error),
    };
    match planned {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(StepError::Object(failure)) => {
            warn!(job = %job.facts.job, code = failure.code, message = failure.message, "job failed");
            app.ledger.perform(&ledger::fail(job, &failure, app.clock.now())).await?;
        }
        Err(error) => return Err(error),
    }
    let found = app.ledger.job(&job.facts.job).await?;
    Ok(Some(found.unwrap_or_else(|| job.clone())))
}

async fn plan_from(
    app: &App,
    job: &Job,
    ready: &Ready,
    start: Start,
    deadline: Deadline,
) -> Result<bool, StepError> {
    if let Some(mut message) = decode::drift(&ready.pipeline, &start.layout) {
        let shown = sha256_hex(serde_json::to_string(&start.layout).unwrap_or_default().as_bytes());
        if !job.is_approved(&shown) {
            if let Some(change) = change_since(app, job, &start.layout).await? {
                message.push_str(&format!("; {change}"));
            }
            warn!(job = %job.facts.job, message, "job held");
            let hold = ledger::hold(job, HoldReason::Drift, &message, &shown, app.clock.now());
            app.ledger.perform(&hold).await?;
            return Ok(true);
        }
    }
    if is_plain(start.codec, &ready.pipeline) {
        return plan_ranges(app, job, &ready.pipeline, start, deadline).await;
    }
    let plan = Plan {
        kind: PlanKind::Chain,
        codec: start.codec,
        layout: start.layout,
        data_start: start.data_start,
        headless: start.headless,
        text_bytes: None,
        rows: None,
        segments: vec![],
    };
    seal(app, job, &plan, None).await?;
    Ok(true)
}

/// What is different about the columns since the file whose rows are visible in the job's place.
async fn change_since(app: &App, job: &Job, now: &Layout) -> Result<Option<String>, StepError> {
    let slot = app.ledger.slot(&job.facts.slot).await?;
    let Some(before) = slot.and_then(|slot| slot.committed_job) else { return Ok(None) };
    let before = app.ledger.job(&before).await?;
    let Some(sealed) = before.and_then(|before| before.plan) else { return Ok(None) };
    let plan: Option<Plan> = app.document_if_there(&sealed.key, "plan").await?;
    Ok(plan.filter(|plan| !plan.headless).and_then(|plan| decode::change(&plan.layout, now)))
}

/// Whether the stored bytes are the text itself, so that reading may begin at any record.
fn is_plain(codec: Codec, pipeline: &Pipeline) -> bool {
    codec == Codec::None && pipeline.source.encoding == "utf-8"
}

/// Reads as much of the object as its header needs.
async fn read_start(app: &App, job: &Job, ready: &Ready) -> Result<Start, StepError> {
    let object = &job.facts.object;
    let pipeline = &ready.pipeline;
    if object.size == 0 {
        let layout = decode::layout(pipeline, &Header::default());
        let headless = pipeline.source.is_headless(None);
        return Ok(Start { codec: Codec::None, layout, data_start: 0, headless });
    }
    let first = u64::try_from(SNIFF_BYTES).unwrap_or(u64::MAX);
    let mut body = open(app, &job.facts, 0, object.size.min(first)).await?;
    let mut magic = Vec::new();
    while let Some(piece) =
        body.try_next().await.map_err(|error| cut_off(&job.facts.object.uri(), &error))?
    {
        magic.extend_from_slice(&piece);
    }
    let codec = input::sniff(&magic, &object.key).map_err(|error| refuse(&object.uri(), error))?;
    let limits = app.limits.clone();
    let mut source = match is_plain(codec, pipeline) {
        true => TextSource::range(app, &job.facts, 0, object.size).await?,
        false => TextSource::unpacked(app, &job.facts, pipeline, codec, &limits).await?,
    };
    let (pipeline, uri) = (pipeline.clone(), object.uri());
    let found = tokio::task::spawn_blocking(move || {
        let mut block = Vec::new();
        let mut want = 64 << 10;
        loop {
            let ended = source.fill(&mut block, want)?;
            let read = decode::header(&pipeline.source, &block, ended, &limits);
            match read
                .map_err(|error| StepError::object("bad_header", format!("{uri}: {error}")))?
            {
                HeaderRead::Read(header) => return Ok::<_, StepError>(header),
                HeaderRead::NeedMore => want = block.len().saturating_mul(2).max(want),
            }
        }
    });
    let header = joined(found.await)??;
    Ok(Start {
        codec,
        headless: ready.pipeline.source.is_headless(header.names.as_deref()),
        layout: decode::layout(&ready.pipeline, &header),
        data_start: u64::try_from(header.data_start).unwrap_or(u64::MAX),
    })
}

/// Reads the records once from start to end, sealing a segment for each group of chunks.
async fn plan_ranges(
    app: &App,
    job: &Job,
    pipeline: &Pipeline,
    start: Start,
    deadline: Deadline,
) -> Result<bool, StepError> {
    let headless = start.headless;
    let saved = job.planning.as_ref().and_then(|text| serde_json::from_str::<Planning>(text).ok());
    let saved = saved.map(|saved| Planning { layout: start.layout.clone(), ..saved });
    let mut planning = saved.unwrap_or(Planning {
        layout: start.layout,
        data_start: start.data_start,
        byte: start.data_start,
        row: 0,
        segments: vec![],
        last_chunks: 0,
    });
    let size = job.facts.object.size;
    let first_row = planning.row;
    let mut scanner = ChunkScanner::new(
        &pipeline.source.format,
        planning.layout.line_end,
        &app.limits,
        planning.byte,
    );
    let mut chunks: Vec<PlannedChunk> = vec![];
    let take = |scanner: &mut ChunkScanner, chunks: &mut Vec<PlannedChunk>| {
        chunks.extend(
            scanner
                .take()
                .into_iter()
                .map(|chunk| PlannedChunk { first_row: chunk.first_row + first_row, ..chunk }),
        );
    };
    if planning.byte < size {
        let mut body = open(app, &job.facts, planning.byte, size).await?;
        while let Some(piece) =
            body.try_next().await.map_err(|error| cut_off(&job.facts.object.uri(), &error))?
        {
            scanner.push(&piece);
            take(&mut scanner, &mut chunks);
            if seal_groups(app, job, &mut planning, &mut chunks, false).await?
                && deadline.is_near(app.settings.deadline_margin_ms)
            {
                save(app, job, &planning).await?;
                return Ok(false);
            }
        }
    }
    scanner.finish();
    take(&mut scanner, &mut chunks);
    seal_groups(app, job, &mut planning, &mut chunks, true).await?;
    let full = u32::try_from(planning.segments.len()).unwrap_or(u32::MAX);
    let last = planning.last_chunks;
    let count = full.saturating_sub(1).saturating_mul(CHUNKS_PER_GROUP).saturating_add(last);
    let plan = Plan {
        kind: PlanKind::Ranges,
        codec: Codec::None,
        layout: planning.layout,
        data_start: planning.data_start,
        headless,
        text_bytes: Some(size),
        rows: Some(planning.row),
        segments: planning.segments,
    };
    seal(app, job, &plan, Some(count)).await?;
    Ok(true)
}

/// Stores a segment for each full group (`last`: also for what is left); whether one was stored.
async fn seal_groups(
    app: &App,
    job: &Job,
    planning: &mut Planning,
    chunks: &mut Vec<PlannedChunk>,
    last: bool,
) -> Result<bool, StepError> {
    let group_len = usize::try_from(CHUNKS_PER_GROUP).unwrap_or(usize::MAX);
    let mut sealed = false;
    while chunks.len() >= group_len || (last && !chunks.is_empty()) {
        let rest = chunks.split_off(chunks.len().min(group_len));
        let segment = Segment { chunks: std::mem::replace(chunks, rest) };
        if let Some(end) = segment.chunks.last() {
            planning.byte = end.end;
            planning.row = end.first_row + end.rows;
        }
        planning.last_chunks = u32::try_from(segment.chunks.len()).unwrap_or(u32::MAX);
        let text = serde_json::to_vec(&segment).unwrap_or_default();
        let group = u32::try_from(planning.segments.len()).unwrap_or(u32::MAX);
        let key = names::segment(&job.facts.job, group, &sha256_hex(&text));
        let bucket = &app.settings.output_bucket;
        app.store.put_new(bucket, &key, Bytes::from(text), &job.facts.job.0).await?;
        planning.segments.push(key);
        sealed = true;
    }
    Ok(sealed)
}

async fn save(app: &App, job: &Job, planning: &Planning) -> Result<(), StepError> {
    // The header is read again by whoever goes on; its unknown names may not fit into an item.
    let mut saved = planning.clone();
    saved.layout.new_columns.clear();
    let text = serde_json::to_string(&saved).unwrap_or_default();
    app.ledger.perform(&ledger::save_planning(job, &text, app.clock.now())).await?;
    info!(job = %job.facts.job, byte = planning.byte, "planning goes on in the next invocation");
    Ok(())
}

/// T3: the plan document first, then the job.
async fn seal(app: &App, job: &Job, plan: &Plan, count: Option<u32>) -> Result<(), StepError> {
    let text = serde_json::to_vec(plan).unwrap_or_default();
    let sha256 = sha256_hex(&text);
    let key = names::plan(&job.facts.job, &sha256);
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &key, Bytes::from(text), &job.facts.job.0).await?;
    let sealed = ledger::seal_plan(job, &PlanRef { key, sha256 }, count, app.clock.now());
    if app.ledger.perform(&sealed).await?.stands() {
        info!(job = %job.facts.job, chunks = count, kind = ?plan.kind, "plan sealed");
    }
    Ok(())
}
