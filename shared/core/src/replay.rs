//! Failed rows of one chunk through the whole pipeline again, after a correction.
//!
//! A row lands or stays: a record that is still bad keeps its place and its reason in the archive, as
//! does one that nobody selected. Counts and digests of the chunk move by exactly the rows that landed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use serde::{Deserialize, Serialize};

use crate::archive::{ArchiveFile, ArchiveWriter, ArchivedRow};
use crate::block::Digest;
use crate::check::{Contract, RowContext, check};
use crate::copy::CopyRows;
use crate::decode::{Budget, Decoder};
use crate::engine::{ChunkSetup, archive_context, origin};
use crate::ids::JobId;
use crate::ledger::{OutcomeRef, PlanRef};
use crate::pipeline::Pipeline;
use crate::receipt::{ChunkOutcome, PublishedFile, Reason};
use crate::sink::EngineError;
use crate::sink::RowSink;
use crate::table::TableFile;

/// Rows that are written together.
const BATCH_ROWS: usize = 4096;

/// What an operator asked for. Two equal requests about one state of a job are one replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayRequest {
    /// The job whose failed rows are meant.
    pub parent: JobId,
    /// Canonical text of the condition that selects rows.
    pub selection: String,
    /// What becomes of them.
    pub correction: Correction,
}

/// How selected rows are corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Correction {
    /// Not at all: what made them fail is gone.
    Nothing,
    /// By a patch file, in its canonical text.
    Patch {
        /// TOML.
        text: String,
    },
    /// By a corrected export, stored beside the request.
    Fixed {
        /// Key in the output bucket, and SHA-256.
        file: PlanRef,
    },
}

/// The sealed plan of a replay: the chunks of its parent that it concerns. Chunk `n` of the replay works
/// on entry `n`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPlan {
    /// In the order of the rows.
    pub chunks: Vec<ReplayChunk>,
}

/// A chunk of the parent, at the outcome that the replay starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayChunk {
    /// Its number.
    pub chunk: u32,
    /// Which part of it, for one that was split.
    pub part: String,
    /// The outcome before.
    pub from: OutcomeRef,
}

/// What became of the rows that a replay selected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayTally {
    /// Rows selected.
    pub selected: u64,
    /// Rows that are loaded now.
    pub loaded: u64,
    /// Rows that no correction changes and that were not tried.
    pub unchanged: u64,
    /// Rows that are still bad, or that the correction cannot be applied to.
    pub failed: u64,
    /// Rows whose bytes are not in the archive and whose source is gone or overwritten.
    pub source_gone: u64,
    /// Why rows are still bad, most first.
    pub reasons: Vec<Reason>,
}

impl ReplayTally {
    /// Adds what came of the rows that were tried.
    pub fn note(&mut self, replayed: &Replayed) {
        let failed = replayed.refused.iter().map(|reason| reason.rows).sum();
        let (loaded, reasons) = (replayed.loaded, replayed.refused.clone());
        self.add(&ReplayTally { loaded, failed, reasons, ..ReplayTally::default() });
    }

    /// A row that was thought to land is refused by its table, for this column if one is to blame.
    pub fn refuse(&mut self, column: Option<String>) {
        self.loaded = self.loaded.saturating_sub(1);
        let code = crate::block::RejectCode::SinkRejected.to_string();
        let reasons = vec![Reason { code, column, rows: 1 }];
        self.add(&ReplayTally { failed: 1, reasons, ..ReplayTally::default() });
    }

    /// Adds the figures of another chunk.
    pub fn add(&mut self, other: &ReplayTally) {
        self.selected += other.selected;
        self.loaded += other.loaded;
        self.unchanged += other.unchanged;
        self.failed += other.failed;
        self.source_gone += other.source_gone;
        let mut reasons = BTreeMap::new();
        for reason in self.reasons.iter().chain(&other.reasons) {
            *reasons.entry((reason.code.clone(), reason.column.clone())).or_default() +=
                reason.rows;
        }
        self.reasons = sorted(reasons);
    }
}

/// What one chunk of a replay did: stored under its hash, named by the replay's ledger item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOutcome {
    /// The outcome of the parent's chunk from now on; the one before when no row landed.
    pub to: OutcomeRef,
    /// The figures.
    pub tally: ReplayTally,
}

/// One change of a parent's outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Number of the parent's chunk.
    pub chunk: u32,
    /// Which part of it.
    pub part: String,
    /// The outcome before.
    pub from: OutcomeRef,
    /// The outcome after.
    pub to: OutcomeRef,
}

/// Everything that a replay changes, frozen before its first change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The parent.
    pub parent: JobId,
    /// Key of the parent's manifest before; `None` for a HELD parent, which has none yet.
    pub from_manifest: Option<String>,
    /// Revision of the parent's next manifest.
    pub revision: u32,
    /// Key and SHA-256 of it; `None` for a HELD parent.
    pub manifest: Option<PlanRef>,
    /// The figures.
    pub tally: ReplayTally,
    /// The changes, in the order of the rows.
    pub changes: Vec<Change>,
    /// Data files that become visible. A newer version's commit removes the files named here.
    pub files: Vec<PublishedFile>,
}

/// A failed row on its way.
#[derive(Debug)]
pub enum Candidate {
    /// It stays as it is: nobody selected it, or no correction changes it.
    Stays(ArchivedRow),
    /// It goes through again as this record, without a terminator.
    Tried(ArchivedRow, Vec<u8>),
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it was, untried.
    Stays,
    /// It is loaded now.
    Lands,
    /// It is still bad: the code, and the column to blame.
    StillBad(String, Option<String>),
}

/// What came out of the failed rows of one chunk.
#[derive(Debug)]
pub struct Replayed {
    /// Rows that are loaded now.
    pub loaded: u64,
    /// Sum over them, as typed rows.
    pub loaded_digest: Digest,
    /// Data files, in partition order.
    pub files: Vec<TableFile>,
    /// Rows for a table, where that is the sink.
    pub table: Option<CopyRows>,
    /// The rows that stay, in their order.
    pub failures: Option<ArchiveFile>,
    /// Reasons of the rows that stay, as the archive has them.
    pub reasons: Vec<Reason>,
    /// Why tried rows are still bad.
    pub refused: Vec<Reason>,
}

/// Works through the failed rows of one chunk.
pub struct Replayer {
    contract: Arc<Contract>,
    decoder: Decoder,
    context: RowContext,
    sink: RowSink,
    archive: ArchiveWriter,
    pending: Vec<RecordBatch>,
    loaded: u64,
    loaded_digest: Digest,
    reasons: BTreeMap<(String, Option<String>), u64>,
    refused: BTreeMap<(String, Option<String>), u64>,
}

impl std::fmt::Debug for Replayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replayer").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}

impl Replayer {
    /// `setup` is the parent's, with the number of this fix.
    ///
    /// # Errors
    /// When the sink does not fit the contract.
    pub fn new(
        pipeline: &Pipeline,
        contract: &Arc<Contract>,
        setup: &ChunkSetup,
    ) -> Result<Replayer, EngineError> {
        let archive = archive_context(setup);
        let context = RowContext {
            captures: setup.facts.captures.clone(),
            source_file: setup.facts.object.uri(),
            loaded_at: archive.created_at,
        };
        Ok(Replayer {
            decoder: Decoder::new(pipeline, setup.layout.clone(), &setup.limits),
            sink: RowSink::new(pipeline, contract, &setup.limits, &origin(setup))?,
            archive: ArchiveWriter::new(contract, &setup.layout, archive),
            contract: contract.clone(),
            context,
            pending: vec![],
            loaded: 0,
            loaded_digest: Digest::default(),
            reasons: BTreeMap::new(),
            refused: BTreeMap::new(),
        })
    }

    /// Takes the next row, in the order of the archive.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn row(&mut self, candidate: Candidate) -> Result<Fate, EngineError> {
        match candidate {
            Candidate::Stays(row) => {
                self.stays(&row)?;
                Ok(Fate::Stays)
            }
            Candidate::Tried(row, record) => match self.attempt(&row, record)? {
                None => Ok(Fate::Lands),
                Some((code, column)) => {
                    *self.refused.entry((code.clone(), column.clone())).or_default() += 1;
                    self.stays(&row)?;
                    Ok(Fate::StillBad(code, column))
                }
            },
        }
    }

    fn stays(&mut self, row: &ArchivedRow) -> Result<(), EngineError> {
        *self.reasons.entry((row.error_code.clone(), row.column.clone())).or_default() += 1;
        self.archive.keep(row).map_err(|error| EngineError::Archive(error.to_string()))
    }

    /// Decodes and checks a record by itself; why it is still bad.
    fn attempt(
        &mut self,
        row: &ArchivedRow,
        record: Vec<u8>,
    ) -> Result<Option<(String, Option<String>)>, EngineError> {
        let number = u64::try_from(row.row_number).unwrap_or(0);
        let length = u64::try_from(record.len()).unwrap_or(u64::MAX);
        let decoded = self.decoder.decode(record, true, Budget::UNLIMITED);
        let whole = decoded.counts.records == 1 && decoded.counts.bytes == length;
        let mut checked = check(&self.contract, &self.context, &decoded, number)?;
        if whole && checked.batch.num_rows() == 1 {
            self.sink.judge(&mut checked, &decoded, number)?;
        }
        let refused = match checked.rejects.first() {
            Some(reject) => {
                let column = reject.column.and_then(|index| self.contract.column(index));
                Some((reject.code.to_string(), column.map(|column| column.name.clone())))
            }
            None if !whole || checked.batch.num_rows() != 1 => {
                Some(("field_count".to_owned(), None))
            }
            None => None,
        };
        self.decoder.recycle(decoded);
        if refused.is_none() {
            self.loaded += 1;
            self.loaded_digest += checked.loaded_digest;
            if matches!(self.sink, RowSink::Files(_)) {
                self.pending.push(checked.batch);
            }
            if self.pending.len() >= BATCH_ROWS {
                self.flush()?;
            }
        }
        Ok(refused)
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        let batches = std::mem::take(&mut self.pending);
        if !batches.is_empty() {
            self.sink.append(&concat_batches(self.contract.schema(), &batches)?)?;
        }
        Ok(())
    }

    /// Closes the files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self) -> Result<Replayed, EngineError> {
        self.flush()?;
        let archive = |error: crate::archive::ArchiveError| EngineError::Archive(error.to_string());
        let (files, table) = self.sink.finish()?;
        Ok(Replayed {
            loaded: self.loaded,
            loaded_digest: self.loaded_digest,
            files,
            table,
            failures: self.archive.finish().map_err(archive)?,
            reasons: sorted(self.reasons),
            refused: sorted(self.refused),
        })
    }
}

/// The outcome of the parent's chunk after `replayed`; files and archive are added by who stores them.
pub fn next_outcome(before: &ChunkOutcome, replayed: &Replayed) -> ChunkOutcome {
    let mut next = before.clone();
    next.fix += 1;
    next.counts.loaded += replayed.loaded;
    next.counts.rejected = next.counts.rejected.saturating_sub(replayed.loaded);
    next.loaded_digest += replayed.loaded_digest;
    next.reasons = replayed.reasons.clone();
    next
}

fn sorted(reasons: BTreeMap<(String, Option<String>), u64>) -> Vec<Reason> {
    let reasons = reasons.into_iter();
    let mut reasons: Vec<_> =
        reasons.map(|((code, column), rows)| Reason { code, column, rows }).collect();
    reasons.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.cmp(b)));
    reasons
}
