//! Rejected records to one Parquet file: what failed, why, and where it is in the source.
//!
//! | column | type | value |
//! |---|---|---|
//! | `source_id` | text | the key columns as a JSON object, else `row <row_number>` |
//! | `error` | text | the reason in words, without the value |
//! | `raw_data` | text, nullable | the record, see below |
//! | `timestamp` | timestamp, UTC | creation time of the job |
//! | `error_code` | text | name of the [`RejectCode`] |
//! | `column`, `rule` | text, nullable | what failed |
//! | `value` | text, nullable | the text of that column's field, as the column's `archive` says, up to 200 characters |
//! | `stage` | text | `decode`: could not be cut into fields; `check`: a value was refused |
//! | `row_number` | int64 | number of the record in the object, from 1 |
//! | `byte_start`, `byte_end` | int64 | `[start, end)` in the uncompressed object, line end excluded |
//! | `job`, `chunk` | text | who read it |
//! | `fix` | int64 | 0, then one more for each replay |
//! | `pipeline` | text | only in the name of the folder, and in the file's metadata |
//! | `pipeline_sha` | text | by which pipeline file |
//! | `source_bucket`, `source_key`, `source_version` | text | the object |
//!
//! `raw_data` is the record's text, up to 1 MiB. For `encoding` every byte that is not UTF-8 stands as
//! `\xNN` and every backslash is doubled, so the bytes can be restored. Columns with `archive = "mask"`
//! show `***` and with `archive = "hash"` the first 16 hex digits of the SHA-256 of their text; NULL
//! stays as it is. Where such columns exist, a record that could not be cut into fields has no
//! `raw_data`: nobody can tell where their values are. With `archive_raw = "masked"` every value is
//! `***`, with `"pointer"` there is no `raw_data` and no `value`, and in both `source_id` is `row <row_number>`.
//!
//! Files from before there was a `value` are read as having none.
//!
//! Files are in folders `pipeline=<name>/dt=<day>`, and engines make columns of these. A column that stood
//! in the files as well would be there twice, which pandas, `DataFusion` and Delta refuse. Files of earlier
//! versions have it; [`read()`] gives it for all.
//!
//! The same rejects give the same bytes.

mod export;
mod id;
mod original;
pub mod predicate;
mod raw;
mod read;
mod rows;
mod value;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use arrow_schema::ArrowError;
use data_encoding::HEXLOWER;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use sha2::{Digest as _, Sha256};

pub use self::export::{Export, ExportError};
pub use self::original::{record_bytes, shown};
pub use self::predicate::{Predicate, PredicateError};
pub use self::read::{ArchivedRow, Wanted, read, rows};

pub(crate) use self::export::{FIELD_PREFIX, field as export_field, is_formula, unguarded};
pub(crate) use self::original::{unescaped, visible_bytes};
pub(crate) use self::raw::RAW_BYTES_MAX;
use self::rows::Rows;
use crate::block::{Decoded, Layout, RejectCode};
use crate::check::{Contract, Finding, Reject};
use crate::table::{Origin, options};

/// The columns, in order.
pub(crate) const COLUMNS: [&str; 20] = [
    "source_id",
    "error",
    "raw_data",
    "timestamp",
    "error_code",
    "column",
    "value",
    "rule",
    "stage",
    "row_number",
    "byte_start",
    "byte_end",
    "job",
    "chunk",
    "fix",
    "pipeline",
    "pipeline_sha",
    "source_bucket",
    "source_key",
    "source_version",
];

/// The column that is in the folder's name instead of the files.
pub(crate) const FOLDER: &str = "pipeline";

/// Rows that are encoded together.
const BATCH_ROWS: usize = 8 << 10;
/// Bytes of records that are encoded together.
const BATCH_BYTES: usize = 4 << 20;

/// What is the same for all rejects of one chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveContext {
    /// Name of the pipeline.
    pub pipeline: String,
    /// SHA-256 of the pipeline file.
    pub pipeline_sha: String,
    /// The job.
    pub job: String,
    /// The chunk.
    pub chunk: String,
    /// 0, then one more for each replay.
    pub fix: u32,
    /// The object's bucket.
    pub source_bucket: String,
    /// The object's key.
    pub source_key: String,
    /// The object's version.
    pub source_version: String,
    /// Values of the captures of the source's `match`, for keys that contain one.
    pub captures: BTreeMap<String, String>,
    /// Creation time of the job, microseconds since 1970 UTC.
    pub created_at: i64,
}

impl ArchiveContext {
    fn origin(&self) -> Origin {
        Origin {
            pipeline: self.pipeline.clone(),
            pipeline_sha: self.pipeline_sha.clone(),
            job: self.job.clone(),
            chunk: self.chunk.clone(),
            fix: self.fix,
        }
    }
}

/// The finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// Rejected records in it, at least 1.
    pub rows: u64,
    /// SHA-256 of the bytes, 64 hex digits.
    pub sha256: String,
    /// Rows by error code, then by column; the column is empty where the record as a whole failed.
    pub tally: Tally,
}

/// Rows by error code, then by column.
pub type Tally = BTreeMap<String, BTreeMap<String, u64>>;

/// Why the archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Arrow refused.
    #[error("rejected records could not be arranged")]
    Arrow(#[from] ArrowError),
    /// The Parquet encoder refused.
    #[error("failure archive could not be written")]
    Parquet(#[from] ParquetError),
}

/// Writes the rejects of one chunk.
pub struct ArchiveWriter {
    contract: Contract,
    layout: Layout,
    context: ArchiveContext,
    pending: Rows,
    writer: Option<ArrowWriter<Vec<u8>>>,
    rows: u64,
    /// Every kind of failure seen.
    failures: BTreeMap<Kind, Failure>,
}

/// All that the words of a failure depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    code: RejectCode,
    column: Option<usize>,
    fields_found: Option<u32>,
    refusal: Option<String>,
    finding: Option<Finding>,
}

struct Failure {
    /// The same words for all rows of this kind.
    error: String,
    rows: u64,
}

impl fmt::Debug for ArchiveWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveWriter").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl ArchiveWriter {
    /// An archive without rows. `layout` tells which field of a record belongs to which column.
    pub fn new(contract: &Contract, layout: &Layout, context: ArchiveContext) -> ArchiveWriter {
        ArchiveWriter {
            contract: contract.clone(),
            layout: layout.clone(),
            context,
            pending: Rows::default(),
            writer: None,
            rows: 0,
            failures: BTreeMap::new(),
        }
    }

    /// Adds the rejects of one block. `first_row` is the number, from 1, of its record with ordinal 0,
    /// `first_byte` the offset of its first byte in the uncompressed object.
    ///
    /// # Errors
    /// When the encoder refuses.
    pub fn append(
        &mut self,
        decoded: &Decoded,
        rejects: &[Reject],
        first_row: u64,
        first_byte: u64,
    ) -> Result<(), ArchiveError> {
        for reject in rejects {
            let row_number = first_row.saturating_add(u64::from(reject.record.ordinal));
            let column = reject.column.and_then(|index| self.contract.column(index));
            let column = column.map(|column| column.name.as_str());
            let kind = Kind {
                code: reject.code,
                column: reject.column,
                fields_found: reject.fields_found,
                refusal: reject.refusal.clone(),
                finding: reject.finding,
            };
            let failure = self.failures.entry(kind).or_insert_with(|| Failure {
                error: self.contract.reason(reject, &self.layout),
                rows: 0,
            });
            failure.rows += 1;
            let (contract, context) = (&self.contract, &self.context);
            let source = id::Source { contract, context, decoded };
            let value = value::Source { contract, layout: &self.layout, context, decoded };
            self.pending.push(rows::Row {
                source_id: &source.id(reject, row_number),
                error: &failure.error,
                raw_data: raw::raw_data(&self.contract, &self.layout, decoded, reject).as_deref(),
                code: reject.code.as_str(),
                column,
                value: value.value(reject).as_deref(),
                stage: match reject.row {
                    Some(_) if reject.code == RejectCode::SinkRejected => "sink",
                    Some(_) => "check",
                    None => "decode",
                },
                row_number,
                byte_start: first_byte
                    .saturating_add(u64::from(reject.record.start))
                    .saturating_sub(reject.earlier),
                byte_end: first_byte.saturating_add(u64::from(reject.record.end)),
            });
            if self.pending.len() >= BATCH_ROWS || self.pending.raw_bytes() >= BATCH_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Adds a row of an earlier archive as it is, but for the context: it was replayed in vain, or not
    /// meant.
    ///
    /// # Errors
    /// When the encoder refuses.
    pub fn keep(&mut self, row: &ArchivedRow) -> Result<(), ArchiveError> {
        let place = |number: i64| u64::try_from(number).unwrap_or(0);
        self.pending.push(rows::Row {
            source_id: &row.source_id,
            error: &row.error,
            raw_data: row.raw_data.as_deref(),
            code: &row.error_code,
            column: row.column.as_deref(),
            value: row.value.as_deref(),
            stage: &row.stage,
            row_number: place(row.row_number),
            byte_start: place(row.byte_start),
            byte_end: place(row.byte_end),
        });
        if self.pending.len() >= BATCH_ROWS || self.pending.raw_bytes() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Closes the file; `None` when nothing was rejected.
    ///
    /// # Errors
    /// When the encoder refuses.
    pub fn finish(mut self) -> Result<Option<ArchiveFile>, ArchiveError> {
        self.flush()?;
        let Some(writer) = self.writer else {
            return Ok(None);
        };
        let bytes = writer.into_inner()?;
        let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
        let mut tally = Tally::new();
        for (Kind { code, column, .. }, failure) in self.failures {
            let column = column.and_then(|index| self.contract.column(index));
            let column = column.map(|column| column.name.clone()).unwrap_or_default();
            let by_column = tally.entry(code.as_str().to_owned()).or_default();
            *by_column.entry(column).or_default() += failure.rows;
        }
        Ok(Some(ArchiveFile { bytes, rows: self.rows, sha256, tally }))
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        if self.pending.len() == 0 {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.pending).batch(&self.context)?;
        let in_file = (0..COLUMNS.len()).filter(|index| COLUMNS.get(*index) != Some(&FOLDER));
        let batch = batch.project(&in_file.collect::<Vec<_>>())?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let properties = rows::properties(Some(&self.context.origin()));
                let writer = ArrowWriter::try_new_with_options(
                    Vec::new(),
                    batch.schema(),
                    options(properties),
                )?;
                none.insert(writer)
            }
        };
        writer.write(&batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}

/// The first 16 hex digits of the SHA-256 of a text: equal texts stay recognisable.
fn short_hash(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    HEXLOWER.encode(digest.first_chunk::<8>().map_or(&[][..], |first| first))
}
