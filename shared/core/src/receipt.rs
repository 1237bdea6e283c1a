//! Outcomes, books and manifests: what a chunk did, whether it adds up, and what readers see.

use serde::{Deserialize, Serialize};

use crate::block::{Digest, Repairs};
use crate::ledger::{ChunkId, JobFacts};
use crate::names;
use crate::pipeline::{Pipeline, Sink};
use crate::plan::{Plan, PlanKind};

mod books;
mod nothing;
mod verify;

use self::books::{check_books, totals};
pub use self::books::{over_limit, over_missing};
pub use self::nothing::{AsRead, over_nothing};

/// The five classes of a row. Every row is in exactly one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records of the source.
    pub read: u64,
    /// In the sink because of this job.
    pub loaded: u64,
    /// Equal to what the sink held.
    pub unchanged: u64,
    /// Dropped by a declared rule.
    pub filtered: u64,
    /// Lost to another row with the same key.
    pub superseded: u64,
    /// In the failure archive.
    pub rejected: u64,
}

impl Counts {
    /// Whether every row read is in exactly one class.
    pub fn balance(&self) -> bool {
        let classes = [self.loaded, self.unchanged, self.filtered, self.superseded, self.rejected];
        classes.iter().sum::<u64>() == self.read
    }

    fn add(&mut self, other: &Counts) {
        self.read += other.read;
        self.loaded += other.loaded;
        self.unchanged += other.unchanged;
        self.filtered += other.filtered;
        self.superseded += other.superseded;
        self.rejected += other.rejected;
    }
}

/// A data file of one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Partition folders, encoded for a path.
    pub partition: Vec<(String, String)>,
    /// SHA-256 of the bytes.
    pub sha256: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A failure archive file of one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedFile {
    /// Number of the chunk.
    pub chunk: u32,
    /// Which part of it, for one that was split.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// Key in the failures bucket.
    pub key: String,
    /// SHA-256 of the bytes.
    pub sha256: String,
    /// Rows.
    pub rows: u64,
}

/// How many rows were rejected for one reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// Reject code.
    pub code: String,
    /// Column, where one is to blame.
    pub column: Option<String>,
    /// Rows.
    pub rows: u64,
}

/// What one chunk did. Stored once under its hash; the ledger names it when the chunk is DONE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkOutcome {
    /// Number of the chunk.
    pub chunk: u32,
    /// Which part of it, for one that was split.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// How often failed rows of it were replayed with success.
    #[serde(default)]
    pub fix: u32,
    /// First byte of the plain text.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Records of the object before it.
    pub first_row: u64,
    /// Its rows.
    pub counts: Counts,
    /// Blank lines, which are not rows.
    pub blank_lines: u64,
    /// Records that were not read as they are written.
    #[serde(default, skip_serializing_if = "Repairs::is_empty")]
    pub repairs: Repairs,
    /// Sum of the hashes of all records' bytes.
    pub source_digest: Digest,
    /// Sum of the hashes of all typed rows loaded.
    pub loaded_digest: Digest,
    /// Data files.
    pub files: Vec<StagedFile>,
    /// Failure archive.
    pub failures: Option<ArchivedFile>,
    /// Rejected rows by reason.
    pub reasons: Vec<Reason>,
    /// The last chunk of a chain: packed bytes that were read, with every checksum verified.
    pub packed_bytes: Option<u64>,
}

/// The sums over all chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows.
    pub counts: Counts,
    /// Chunks.
    pub chunks: u32,
    /// Bytes of the object.
    pub bytes_read: u64,
    /// Bytes of header, byte-order mark and skipped lines.
    pub header_bytes: u64,
    /// Blank lines.
    pub blank_lines: u64,
    /// Records that were not read as they are written.
    #[serde(default, skip_serializing_if = "Repairs::is_empty")]
    pub repairs: Repairs,
    /// Sum of the hashes of all records' bytes.
    pub source_digest: Digest,
    /// Sum of the hashes of all typed rows loaded.
    pub loaded_digest: Digest,
    /// Rejected rows by reason, most first.
    pub reasons: Vec<Reason>,
}

/// A published data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedFile {
    /// Key in the output bucket.
    pub key: String,
    /// Key it is copied from.
    pub staged: String,
    /// Partition folders, encoded for a path.
    pub partition: Vec<(String, String)>,
    /// SHA-256 of the bytes.
    pub sha256: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Chunk it comes from.
    pub chunk: u32,
    /// Which part of it, for one that was split.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
}

/// One chunk's line of the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkLine {
    /// Number of the chunk.
    pub chunk: u32,
    /// Which part of it, for one that was split.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// How often failed rows of it were replayed with success.
    #[serde(default)]
    pub fix: u32,
    /// Bytes `[start, end)` of the plain text.
    pub start: u64,
    /// See `start`.
    pub end: u64,
    /// Records before it.
    pub first_row: u64,
    /// Its rows.
    pub counts: Counts,
    /// Its records.
    pub source_digest: Digest,
    /// Its typed rows.
    pub loaded_digest: Digest,
}

/// The frozen outcome list of a job, from which every committer publishes; with a revision it is the
/// manifest that readers use. A pure function of the job and its outcomes: no clock, no attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this document's form.
    pub schema: u32,
    /// The job.
    pub job: JobFacts,
    /// Revision, from 0; a replay of failed rows makes the next one.
    pub revision: u32,
    /// How chunks were found.
    pub plan: PlanKind,
    /// The sums.
    pub totals: Totals,
    /// Why the books do not balance; empty when they do.
    pub problems: Vec<String>,
    /// Per chunk.
    pub chunks: Vec<ChunkLine>,
    /// Data files.
    pub files: Vec<PublishedFile>,
    /// The table that the rows go into instead, `schema.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Rows of the table that the file does not have and that were deleted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deleted: u64,
    /// Rows for the table as they were staged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<PublishedFile>,
    /// Failure archive files.
    pub failures: Vec<ArchivedFile>,
}

/// The final names in a frozen outcome list, or in a replay's list of changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FinalNames {
    /// The files.
    pub files: Vec<FinalName>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FinalName {
    /// Key in the output bucket.
    pub key: String,
}

/// The pointer to a slot's newest manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// Generation of the job.
    pub generation: i64,
    /// Revision of the manifest.
    pub revision: u32,
    /// The job.
    pub job: String,
    /// Key of the manifest.
    pub manifest: String,
}

impl ChunkOutcome {
    /// The chunk's name: `3`, or `3.01` for a part.
    pub fn label(&self) -> String {
        label(self.chunk, &self.part)
    }
}

impl ChunkLine {
    /// The chunk's name: `3`, or `3.01` for a part.
    pub fn label(&self) -> String {
        label(self.chunk, &self.part)
    }
}

fn label(chunk: u32, part: &str) -> String {
    if part.is_empty() { chunk.to_string() } else { format!("{chunk}.{part}") }
}

impl Manifest {
    /// Builds it from all outcomes of a job, in the order of the rows, and checks the books.
    pub fn build(
        facts: &JobFacts,
        pipeline: &Pipeline,
        plan: &Plan,
        outcomes: &[ChunkOutcome],
        revision: u32,
    ) -> Manifest {
        let totals = totals(plan, outcomes);
        let table = pipeline.sink.postgres().map(|sink| format!("{}.{}", sink.schema, sink.table));
        let problems = check_books(&facts.object, plan, outcomes, &totals, table.is_some());
        let files: Vec<_> = outcomes
            .iter()
            .flat_map(|outcome| {
                outcome.files.iter().map(|file| published(facts, pipeline, outcome, file))
            })
            .collect();
        let (files, staged) = if table.is_some() { (vec![], files) } else { (files, vec![]) };
        Manifest {
            schema: 1,
            job: facts.clone(),
            revision,
            plan: plan.kind,
            totals,
            problems,
            chunks: outcomes.iter().map(line).collect(),
            files,
            table,
            deleted: 0,
            staged,
            failures: outcomes.iter().filter_map(|outcome| outcome.failures.clone()).collect(),
        }
    }

    /// Whether the books balance.
    pub fn balanced(&self) -> bool {
        self.problems.is_empty()
    }

    /// The document's text: the same outcomes give the same bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks in this form")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn published(
    facts: &JobFacts,
    pipeline: &Pipeline,
    outcome: &ChunkOutcome,
    file: &StagedFile,
) -> PublishedFile {
    let (job, part) = (facts.chunks_of().clone(), outcome.part.clone());
    let id = ChunkId { job, chunk: outcome.chunk, part: part.clone() };
    let staged = names::staged(&id, &file.sha256);
    let key = match &pipeline.sink {
        Sink::Parquet(sink) => {
            names::published(&sink.path, &file.partition, facts, &id, &file.sha256)
        }
        // Rows for a table are read where they are staged.
        Sink::Postgres(_) => staged.clone(),
    };
    PublishedFile {
        key,
        staged,
        partition: file.partition.clone(),
        sha256: file.sha256.clone(),
        rows: file.rows,
        bytes: file.bytes,
        chunk: outcome.chunk,
        part,
    }
}

fn line(outcome: &ChunkOutcome) -> ChunkLine {
    ChunkLine {
        chunk: outcome.chunk,
        part: outcome.part.clone(),
        fix: outcome.fix,
        start: outcome.start,
        end: outcome.end,
        first_row: outcome.first_row,
        counts: outcome.counts,
        source_digest: outcome.source_digest,
        loaded_digest: outcome.loaded_digest,
    }
}

#[cfg(test)]
mod tests;
