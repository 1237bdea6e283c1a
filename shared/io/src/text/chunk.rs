//! A chunk's text, and the thread that works through it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rowproof_core::block::Refusal;
use rowproof_core::decode::Budget;
use rowproof_core::engine::{ChunkEngine, ChunkProduct, ChunkSetup};
use rowproof_core::ids::CHUNKS_PER_GROUP;
use rowproof_core::ledger::{ChainStart, ChunkId, Job};
use rowproof_core::plan::{Plan, PlanKind, Segment};
use rowproof_core::sink::EngineError;

use crate::app::App;
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::text::source::TextSource;

/// A chunk with everything that is known about it.
pub(crate) struct Work {
    pub(crate) ready: Arc<Ready>,
    pub(crate) plan: Plan,
    pub(crate) start: ChainStart,
    /// End of its range; a whole chunk of a chain finds its end by itself.
    pub(crate) end: Option<u64>,
    /// The last part of the last chunk of a chain: packed bytes of the object, which were verified
    /// when the chunk was split.
    packed_bytes: Option<u64>,
}

/// Text of a chain that goes on behind a chunk.
pub(crate) struct ChainText {
    source: TextSource,
    block: Vec<u8>,
}

impl Work {
    /// Finds out where a chunk begins and, but for a whole chunk of a chain, where it ends.
    pub(crate) async fn locate(
        app: &App,
        job: &Job,
        id: &ChunkId,
        ready: &Arc<Ready>,
        plan: &Plan,
    ) -> Result<Work, StepError> {
        let (ready, plan) = (ready.clone(), plan.clone());
        let start = ChainStart { byte: plan.data_start, row: 0 };
        let mut work = Work { ready, plan, start, end: None, packed_bytes: None };
        if !id.part.is_empty() {
            work.of_part(app, id).await?;
        } else if work.plan.kind == PlanKind::Chain {
            work.of_chain(app, id).await?;
        } else {
            work.of_range(app, job, id).await?;
        }
        Ok(work)
    }

    async fn of_part(&mut self, app: &App, id: &ChunkId) -> Result<(), StepError> {
        let missing = || StepError::Broken(format!("chunk {id} of job {} has no range", id.job));
        let (parent, second) = id.parent().ok_or_else(missing)?;
        let split = app.ledger.chunk(&parent).await?.and_then(|chunk| chunk.split);
        let [first_half, second_half] = split.ok_or_else(missing)?.halves;
        let range = if second { second_half } else { first_half };
        self.start = ChainStart { byte: range.start, row: range.first_row };
        self.end = Some(range.end);
        if id.part.bytes().all(|half| half == b'1') {
            let whole = ChunkId::whole(&id.job, id.chunk);
            let split = app.ledger.chunk(&whole).await?.and_then(|chunk| chunk.split);
            self.packed_bytes = split.and_then(|split| split.packed_bytes);
        }
        Ok(())
    }

    async fn of_chain(&mut self, app: &App, id: &ChunkId) -> Result<(), StepError> {
        let Some(before) = id.chunk.checked_sub(1) else { return Ok(()) };
        let before = ChunkId::whole(&id.job, before);
        let next = app.ledger.chunk(&before).await?.and_then(|chunk| chunk.next());
        self.start = next.ok_or_else(|| {
            StepError::Broken(format!("chunk {id} was asked for before its turn"))
        })?;
        Ok(())
    }

    async fn of_range(&mut self, app: &App, job: &Job, id: &ChunkId) -> Result<(), StepError> {
        let missing =
            || StepError::Broken(format!("job {} has no chunk {}", job.facts.job, id.chunk));
        let group = usize::try_from(id.group()).map_err(|_| missing())?;
        let key = self.plan.segments.get(group).ok_or_else(missing)?;
        let segment: Segment = app.document(key, "plan segment").await?;
        let index = usize::try_from(id.chunk % CHUNKS_PER_GROUP).map_err(|_| missing())?;
        let range = segment.chunks.get(index).ok_or_else(missing)?;
        self.start = ChainStart { byte: range.start, row: range.first_row };
        self.end = Some(range.end);
        Ok(())
    }

    /// Step b: the chunk's text from its first byte, of the very version the job was made for. It ends
    /// with the chunk, or with the object where the chunk's end is not known.
    pub(crate) async fn open(&self, app: &App, job: &Job) -> Result<TextSource, StepError> {
        let (pipeline, start) = (&self.ready.pipeline, self.start.byte);
        TextSource::planned(app, &job.facts, pipeline, &self.plan, start, self.end).await
    }

    pub(crate) async fn text(&self, app: &App, job: &Job) -> Result<Box<ChainText>, StepError> {
        Ok(Box::new(ChainText { source: self.open(app, job).await?, block: vec![] }))
    }

    pub(crate) fn setup(&self, app: &App, job: &Job, id: &ChunkId) -> ChunkSetup {
        ChunkSetup {
            facts: job.facts.clone(),
            chunk: id.to_string(),
            fix: 0,
            start: self.start.byte,
            first_row: self.start.row,
            layout: Arc::new(self.plan.layout.clone()),
            limits: app.limits.clone(),
        }
    }

    /// Packed bytes of the object, when this is the last part of a split chunk that ends it.
    pub(crate) fn packed_bytes(&self) -> Option<u64> {
        self.packed_bytes
    }
}

/// What a worker's thread made of a chunk.
pub(crate) struct Worked {
    pub(crate) product: ChunkProduct,
    /// The chunk found its end by itself.
    pub(crate) open_end: bool,
    /// The object ends here: its packed bytes, with every checksum verified.
    pub(crate) packed_bytes: Option<u64>,
    pub(crate) text: Option<Box<ChainText>>,
}

/// Steps c and d, and the files: block after block, no await.
///
/// `refused`: rows that the sink is known not to take.
pub(crate) fn work_through(
    work: &Work,
    setup: ChunkSetup,
    mut text: Box<ChainText>,
    refused: BTreeMap<u64, Refusal>,
    stop: &AtomicBool,
) -> Result<Option<Worked>, StepError> {
    let open_end = work.end.is_none();
    let limits = setup.limits.clone();
    let budget = match open_end {
        true => Budget { bytes: limits.chunk_bytes, records: limits.chunk_rows },
        false => Budget::UNLIMITED,
    };
    let contract = &work.ready.contract;
    let mut engine =
        ChunkEngine::new(&work.ready.pipeline, contract, setup, budget).map_err(refuse_engine)?;
    engine.refuse(refused);
    let mut want = limits.block_bytes;
    let mut packed_bytes = work.packed_bytes();
    let mut ended = false;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        ended = text.source.fill(&mut text.block, want)? || ended;
        let rest = engine.block(std::mem::take(&mut text.block), ended).map_err(refuse_engine)?;
        text.block = rest.block;
        // A record longer than a block: it needs more bytes at once, never more than its limit.
        want = match rest.progress {
            true => limits.block_bytes,
            false => want.saturating_mul(2),
        };
        want = want.max(text.block.len().saturating_add(1));
        if ended && text.block.is_empty() {
            if open_end {
                packed_bytes = Some(text.source.packed_bytes());
            }
            break;
        }
        if rest.full {
            break;
        }
    }
    let product = engine.finish().map_err(refuse_engine)?;
    let text = (open_end && packed_bytes.is_none()).then_some(text);
    Ok(Some(Worked { product, open_end, packed_bytes, text }))
}

pub(crate) fn refuse_engine(error: EngineError) -> StepError {
    let code = match &error {
        EngineError::Table(_) => "sink",
        EngineError::Arrow(_) | EngineError::Archive(_) => "block",
    };
    StepError::object(code, error.to_string())
}
