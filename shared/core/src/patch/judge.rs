//! What became of corrected records: each is decoded and checked as if it stood in its file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::ArrowError;

use super::record::{self, Records};
use crate::block::{Layout, Limits, RejectCode};
use crate::check::{ColumnProblem, Contract, RowContext, check};
use crate::decode::{Budget, Decoder};
use crate::pipeline::{ArchivePolicy, ArchiveRaw, Column, ColumnType, Pipeline, Reading};

/// Bytes of records that are decoded together.
const BATCH_BYTES: usize = 1 << 20;

/// Why a corrected record is still not good.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The code.
    pub code: RejectCode,
    /// The column to blame.
    pub column: Option<String>,
    /// In words, without the value.
    pub error: String,
}

/// Decodes and checks single records under a job's contract and layout.
pub struct Judge {
    pipeline: Pipeline,
    contract: Contract,
    layout: Arc<Layout>,
    context: RowContext,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("pipeline", &self.pipeline.name).finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge for records as they stand in the source. `captures` are those of the job.
    ///
    /// # Errors
    /// When a column of the pipeline does not compile.
    pub fn new(
        pipeline: &Pipeline,
        layout: &Layout,
        captures: &BTreeMap<String, String>,
    ) -> Result<Judge, Vec<ColumnProblem>> {
        let contract = Contract::compile(pipeline)?;
        let context = RowContext { captures: captures.clone(), ..RowContext::default() };
        let layout = Arc::new(layout.clone());
        Ok(Judge { pipeline: pipeline.clone(), contract, layout, context })
    }

    /// A judge for records as the archive shows them: columns whose values it masks are taken as good.
    ///
    /// # Errors
    /// When a column of the pipeline does not compile.
    pub fn of_archived(
        pipeline: &Pipeline,
        layout: &Layout,
        captures: &BTreeMap<String, String>,
    ) -> Result<Judge, Vec<ColumnProblem>> {
        let mut lenient = pipeline.clone();
        let all = pipeline.errors.archive_raw != ArchiveRaw::Full;
        for column in &mut lenient.columns {
            if all || column.archive != ArchivePolicy::Full {
                *column = any_text(column);
            }
        }
        Judge::new(&lenient, layout, captures)
    }

    /// For each record whether it is good (`None`) or why not, in order. A record is bytes without a
    /// terminator; bytes that are several records, or none, are refused with `field_count`.
    ///
    /// # Errors
    /// When Arrow cannot hold the values.
    pub fn judge(&self, records: &[&[u8]]) -> Result<Vec<Option<Refusal>>, ArrowError> {
        let mut verdicts: Vec<Option<Refusal>> = vec![None; records.len()];
        let mut batch = Vec::new();
        let mut members = Vec::new();
        for (index, bytes) in records.iter().enumerate() {
            match record::count(&self.pipeline.source.format, bytes) {
                // A record that could be cut ends at its line end, whatever follows.
                Records::One(None) => {
                    batch.extend_from_slice(bytes);
                    batch.push(b'\n');
                    members.push(index);
                }
                Records::One(Some(_)) => self.block(bytes.to_vec(), &[index], &mut verdicts)?,
                Records::None | Records::Several => {
                    let error = "not one record".to_owned();
                    let refusal = Refusal { code: RejectCode::FieldCount, column: None, error };
                    set(&mut verdicts, index, refusal);
                }
            }
            if batch.len() >= BATCH_BYTES {
                self.block(std::mem::take(&mut batch), &members, &mut verdicts)?;
                members.clear();
            }
        }
        if !members.is_empty() {
            self.block(batch, &members, &mut verdicts)?;
        }
        Ok(verdicts)
    }

    /// Judges a block whose record n is record `members[n]`.
    fn block(
        &self,
        block: Vec<u8>,
        members: &[usize],
        verdicts: &mut [Option<Refusal>],
    ) -> Result<(), ArrowError> {
        let limits = Limits::default();
        let mut decoder = Decoder::new(&self.pipeline, self.layout.clone(), &limits);
        let decoded = decoder.decode(block, true, Budget::UNLIMITED);
        let checked = check(&self.contract, &self.context, &decoded, 1)?;
        for reject in &checked.rejects {
            let record = usize::try_from(reject.record.ordinal).ok();
            let column = reject.column.and_then(|column| self.contract.column(column));
            let refusal = Refusal {
                code: reject.code,
                column: column.map(|column| column.name.clone()),
                error: self.contract.reason(reject, &self.layout),
            };
            if let Some(index) = record.and_then(|record| members.get(record)) {
                set(verdicts, *index, refusal);
            }
        }
        Ok(())
    }
}

fn set(verdicts: &mut [Option<Refusal>], index: usize, refusal: Refusal) {
    if let Some(verdict) = verdicts.get_mut(index) {
        *verdict = Some(refusal);
    }
}

/// The column, satisfied with anything.
fn any_text(column: &Column) -> Column {
    Column {
        data_type: ColumnType::String,
        nullable: true,
        default: None,
        pattern: None,
        one_of: None,
        min: None,
        max: None,
        min_length: None,
        max_length: None,
        reading: Reading::default(),
        ..column.clone()
    }
}
