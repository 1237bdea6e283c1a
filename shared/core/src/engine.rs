//! One chunk through all stages: decode, check, data files, failure archive. Blocks in, files out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::archive::{ArchiveContext, ArchiveFile, ArchiveWriter};
use crate::block::Refusal;
use crate::block::{BlockCounts, Digest, Layout, Limits, RejectCode, Repairs};
use crate::check::{Contract, Reject, RowContext, check};
use crate::copy::CopyRows;
use crate::decode::{Budget, Decoder};
use crate::ledger::JobFacts;
use crate::pipeline::Pipeline;
use crate::plan::PlannedChunk;
use crate::receipt::{Counts, Reason};
use crate::sink::EngineError;
use crate::sink::RowSink;
use crate::table::{Origin, TableFile};

/// What a chunk is worked on with.
#[derive(Debug, Clone)]
pub struct ChunkSetup {
    /// The job.
    pub facts: JobFacts,
    /// The chunk: `3`, or `3.01` for a part.
    pub chunk: String,
    /// How often its failed rows were replayed.
    pub fix: u32,
    /// First byte of the plain text.
    pub start: u64,
    /// Records before it.
    pub first_row: u64,
    /// How the fields meet the contract.
    pub layout: Arc<Layout>,
    /// Bounds.
    pub limits: Limits,
}

/// One chunk in progress.
#[derive(Debug)]
pub struct ChunkEngine {
    contract: Arc<Contract>,
    context: RowContext,
    decoder: Decoder,
    sink: RowSink,
    archive: ArchiveWriter,
    budget: Budget,
    range: PlannedChunk,
    counts: Counts,
    blank_lines: u64,
    repairs: Repairs,
    source_digest: Digest,
    loaded_digest: Digest,
    reasons: BTreeMap<(RejectCode, Option<usize>), u64>,
    spare: Vec<u8>,
}

/// What is left after a block.
#[derive(Debug)]
pub struct Rest {
    /// The bytes that were not used, in the block's memory: more are appended behind them.
    pub block: Vec<u8>,
    /// Whether any byte was used.
    pub progress: bool,
    /// The budget is used up and the next record belongs to the next chunk.
    pub full: bool,
}

/// What came out of a chunk.
#[derive(Debug, Clone)]
pub struct ChunkProduct {
    /// Bytes `[start, end)` and rows that were covered.
    pub range: PlannedChunk,
    /// Rows by class.
    pub counts: Counts,
    /// Blank lines.
    pub blank_lines: u64,
    /// Records that were not read as they are written.
    pub repairs: Repairs,
    /// Sum over all records.
    pub source_digest: Digest,
    /// Sum over all loaded rows.
    pub loaded_digest: Digest,
    /// Rejected rows by reason.
    pub reasons: Vec<Reason>,
    /// Data files, in partition order.
    pub files: Vec<TableFile>,
    /// Rows for a table, where that is the sink.
    pub table: Option<CopyRows>,
    /// Failure archive.
    pub failures: Option<ArchiveFile>,
}

/// What the archive says of every reject of a chunk.
pub(crate) fn archive_context(setup: &ChunkSetup) -> ArchiveContext {
    let facts = &setup.facts;
    ArchiveContext {
        pipeline: facts.pipeline.clone(),
        pipeline_sha: facts.pipeline_sha.clone(),
        job: facts.job.0.clone(),
        chunk: setup.chunk.clone(),
        fix: setup.fix,
        source_bucket: facts.object.bucket.clone(),
        source_key: facts.object.key.clone(),
        source_version: facts.object.identity(),
        captures: facts.captures.clone(),
        created_at: facts.created_at.0.saturating_mul(1_000_000),
    }
}

/// What every file of a chunk says of where it comes from.
pub(crate) fn origin(setup: &ChunkSetup) -> Origin {
    let facts = &setup.facts;
    Origin {
        pipeline: facts.pipeline.clone(),
        pipeline_sha: facts.pipeline_sha.clone(),
        job: facts.job.0.clone(),
        chunk: setup.chunk.clone(),
        fix: setup.fix,
    }
}

impl ChunkEngine {
    /// A chunk that takes what `budget` allows.
    pub fn new(
        pipeline: &Pipeline,
        contract: &Arc<Contract>,
        setup: ChunkSetup,
        budget: Budget,
    ) -> Result<ChunkEngine, EngineError> {
        let archive = archive_context(&setup);
        let origin = origin(&setup);
        let ChunkSetup { facts, start, first_row, layout, limits, .. } = setup;
        let context = RowContext {
            captures: facts.captures.clone(),
            source_file: facts.object.uri(),
            loaded_at: archive.created_at,
        };
        Ok(ChunkEngine {
            sink: RowSink::new(pipeline, contract, &limits, &origin)?,
            archive: ArchiveWriter::new(contract, &layout, archive),
            decoder: Decoder::new(pipeline, layout, &limits),
            contract: contract.clone(),
            context,
            budget,
            range: PlannedChunk { start, end: start, first_row, rows: 0 },
            counts: Counts::default(),
            blank_lines: 0,
            repairs: Repairs::default(),
            source_digest: Digest::default(),
            loaded_digest: Digest::default(),
            reasons: BTreeMap::new(),
            spare: Vec::new(),
        })
    }

    /// The sink refuses these rows, by their number in the file: they are archived instead.
    pub fn refuse(&mut self, refusals: BTreeMap<u64, Refusal>) {
        self.sink.refuse(refusals);
    }

    /// Takes the complete records of a block. `last`: nothing follows it in the chunk's range or in
    /// the object.
    pub fn block(&mut self, block: Vec<u8>, last: bool) -> Result<Rest, EngineError> {
        let decoded = self.decoder.decode(block, last, self.budget);
        let BlockCounts { bytes, records, blank_lines, repairs } = decoded.counts;
        let first_row = self.range.first_row + self.range.rows + 1;
        let mut checked = check(&self.contract, &self.context, &decoded, first_row)?;
        self.sink.take(&mut checked, &decoded, first_row)?;
        let loaded = u64::try_from(checked.batch.num_rows()).unwrap_or(u64::MAX);
        if !checked.rejects.is_empty() {
            self.archive
                .append(&decoded, &checked.rejects, first_row, self.range.end)
                .map_err(|error| EngineError::Archive(error.to_string()))?;
        }
        self.count_rejects(&checked.rejects);
        self.counts.read += records;
        self.counts.loaded += loaded;
        self.counts.rejected += u64::try_from(checked.rejects.len()).unwrap_or(u64::MAX);
        self.blank_lines += blank_lines;
        self.repairs += repairs;
        self.repairs += checked.repairs;
        self.source_digest += decoded.source_digest;
        self.loaded_digest += checked.loaded_digest;
        self.range.end += bytes;
        self.range.rows += records;
        self.budget.bytes = self.budget.bytes.saturating_sub(bytes);
        self.budget.records = self.budget.records.saturating_sub(records);
        let full = decoded.full;
        let used = usize::try_from(bytes).unwrap_or(usize::MAX);
        // Two buffers take turns: memory that is handed back would be cleared page by page again.
        let mut rest = std::mem::take(&mut self.spare);
        rest.extend_from_slice(decoded.buffer.get(used..decoded.block_len).unwrap_or(&[]));
        self.spare = self.decoder.recycle(decoded);
        Ok(Rest { block: rest, progress: bytes > 0, full })
    }

    fn count_rejects(&mut self, rejects: &[Reject]) {
        for reject in rejects {
            *self.reasons.entry((reject.code, reject.column)).or_default() += 1;
        }
    }

    /// Rows so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Closes the files.
    pub fn finish(self) -> Result<ChunkProduct, EngineError> {
        let contract = self.contract;
        let name = |index: usize| contract.column(index).map(|column| column.name.clone());
        let reasons = self.reasons.into_iter().map(|((code, column), rows)| Reason {
            code: code.as_str().to_owned(),
            column: column.and_then(name),
            rows,
        });
        let (files, table) = self.sink.finish()?;
        Ok(ChunkProduct {
            range: self.range,
            counts: self.counts,
            blank_lines: self.blank_lines,
            repairs: self.repairs,
            source_digest: self.source_digest,
            loaded_digest: self.loaded_digest,
            reasons: reasons.collect(),
            files,
            table,
            failures: self
                .archive
                .finish()
                .map_err(|error| EngineError::Archive(error.to_string()))?,
        })
    }
}
