//! Text columns in, a typed `RecordBatch` and the rejected rows out.
//!
//! Every row is judged in one order: the types of all columns as the contract lists them, then each
//! column's rules (`not_null, range, length, pattern, one_of`). The first failure gives the code. Values
//! are exact or rejected, and one row's failure never touches another row.
//!
//! Rows go through in tiles that fit the processor's cache: all columns of a tile are cast and judged,
//! and only its good rows move on into the arrays, so a bad row costs nothing but itself.

pub(crate) mod cell;
pub(crate) mod civil;
pub(crate) mod column;
mod compile;
mod contract;
mod cut;
mod epoch;
mod explain;
mod finding;
pub(crate) mod format;
mod lane;
pub(crate) mod notation;
pub(crate) mod number;
mod problem;
mod reason;
mod rules;
pub(crate) mod strftime;
mod text_lane;
mod type_name;
pub(crate) mod zone;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::ArrowError;

pub use self::contract::Contract;
pub(crate) use self::contract::compiled;
pub use self::finding::Finding;
pub use self::problem::ColumnProblem;

use self::cell::Verdict;
use self::lane::{Feed, Lane, LaneColumn, Tile};
use crate::block::{Decoded, Digest, Record, RejectCode, Repairs};
use crate::digest;
use crate::pipeline::AddedColumn;

/// Rows of a tile: with 10 columns of 10 bytes, cells and text stay in a 256 KiB cache.
const TILE_ROWS: usize = 1024;

/// What is the same for all rows of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowContext {
    /// Values of the captures of the source's `match`.
    pub captures: BTreeMap<String, String>,
    /// `s3://bucket/key` of the file.
    pub source_file: String,
    /// Creation time of the job, microseconds since 1970 UTC.
    pub loaded_at: i64,
}

/// A block after the check.
#[derive(Debug)]
pub struct Checked {
    /// The good rows, in the contract's schema.
    pub batch: RecordBatch,
    /// The others, in record order, defects of the decoder included.
    pub rejects: Vec<Reject>,
    /// Sum over the good rows; see [`digest`].
    pub loaded_digest: Digest,
    /// Values of the good rows that were not read as they are written.
    pub repairs: Repairs,
    /// For a table: each good row's number in the file, and its hash. Empty otherwise.
    pub rows: Vec<(u64, u128)>,
}

/// A record that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where it is in the block.
    pub record: Record,
    /// The first failure.
    pub code: RejectCode,
    /// The contract column that failed.
    pub column: Option<usize>,
    /// Its index in [`Decoded::records`]; `None` for a record that could not be cut into fields.
    pub row: Option<usize>,
    /// Fields found, for `field_count`.
    pub fields_found: Option<u32>,
    /// Bytes of the record that lay in earlier blocks, for a record over its limit.
    pub earlier: u64,
    /// Why the sink refuses it, for `sink_rejected`.
    pub refusal: Option<String>,
    /// What is wrong with the text, for `type`, where it can be told.
    pub finding: Option<Finding>,
}

/// Types and judges the rows of a block. `first_row` is the number, from 1, of the record with ordinal 0.
///
/// # Errors
/// Only when Arrow cannot hold the block: a text column over 2 GiB, or cells that are not UTF-8.
pub fn check(
    contract: &Contract,
    context: &RowContext,
    decoded: &Decoded,
    first_row: u64,
) -> Result<Checked, ArrowError> {
    let mut lanes = lanes(contract, context, decoded);
    let mut good_rows = 0;
    let mut failed = Vec::new();
    let mut rows = Vec::with_capacity(decoded.records.len());
    let mut verdicts = Vec::with_capacity(TILE_ROWS);
    let mut runs = Vec::new();
    let width = decoded.width.max(1);
    for (index, cells) in decoded.cells.chunks(width * TILE_ROWS).enumerate() {
        let tile = Tile { cells, buffer: &decoded.buffer, width };
        verdicts.clear();
        verdicts.resize(cells.len() / width, Verdict::GOOD);
        lanes.iter_mut().for_each(|lane| lane.cast(tile, &mut verdicts));
        lanes.iter_mut().for_each(|lane| lane.rules(&mut verdicts));
        let first = index * TILE_ROWS;
        note_failures(&verdicts, first, decoded, &mut failed, |row, column| {
            explain::of_row(contract, context, decoded, (row, column))
        });
        good_runs(&verdicts, &mut runs);
        lanes.iter_mut().for_each(|lane| lane.keep(&runs));
        for run in &runs {
            good_rows += run.len();
            rows.push(first + run.start..first + run.end);
        }
    }
    let arrays = lanes.into_iter().map(Lane::finish).collect::<Result<Vec<_>, _>>()?;
    let numbers = rows.iter().filter_map(|run| decoded.records.get(run.clone())).flatten();
    let numbers = numbers.map(|record| first_row.saturating_add(u64::from(record.ordinal)));
    let arrays = with_added(contract, context, arrays, good_rows, numbers.clone());
    let options = RecordBatchOptions::new().with_row_count(Some(good_rows));
    let batch = RecordBatch::try_new_with_options(contract.schema().clone(), arrays, &options)?;
    let mut checked = Checked {
        batch,
        rejects: merged(failed, decoded),
        repairs: cut::cut_values(contract, context, decoded, &rows),
        loaded_digest: Digest::default(),
        rows: vec![],
    };
    if contract.numbers_rows {
        let hashes = digest::hashes(contract.width(), &checked.batch)?;
        hashes.iter().for_each(|hash| checked.loaded_digest.add(*hash));
        checked.rows = numbers.zip(hashes).collect();
    } else {
        checked.loaded_digest = digest::rows(contract.width(), &checked.batch)?;
    }
    Ok(checked)
}

fn lanes<'a>(
    contract: &'a Contract,
    context: &'a RowContext,
    decoded: &Decoded,
) -> Vec<Box<dyn Lane<'a> + 'a>> {
    let columns = contract.checked.iter().zip(0u32..).enumerate();
    let lanes = columns.map(|(index, (column, number))| {
        let feed = match &column.capture {
            Some(name) => Feed::Constant(context.captures.get(name).map(String::as_bytes)),
            None => Feed::Cells,
        };
        let nullable = column.nullable;
        let lane = LaneColumn { index, number, nullable, reader: &column.reader, feed };
        column.lane(lane, decoded.records.len())
    });
    lanes.collect()
}

/// Runs of good rows, in order.
fn good_runs(verdicts: &[Verdict], runs: &mut Vec<Range<usize>>) {
    runs.clear();
    let mut start = 0;
    for (row, verdict) in verdicts.iter().enumerate() {
        if !verdict.is_good() {
            if start < row {
                runs.push(start..row);
            }
            start = row + 1;
        }
    }
    if start < verdicts.len() {
        runs.push(start..verdicts.len());
    }
}

fn note_failures(
    verdicts: &[Verdict],
    first: usize,
    decoded: &Decoded,
    failed: &mut Vec<Reject>,
    finding: impl Fn(usize, usize) -> Option<Finding>,
) {
    for (row, verdict) in verdicts.iter().enumerate() {
        let Some((code, column)) = verdict.failure() else {
            continue;
        };
        let row = first + row;
        let Some(record) = decoded.records.get(row).copied() else {
            continue;
        };
        failed.push(Reject {
            record,
            code,
            column: Some(column),
            row: Some(row),
            fields_found: None,
            earlier: 0,
            refusal: None,
            finding: if code == RejectCode::Type { finding(row, column) } else { None },
        });
    }
}

/// Both lists are in record order; so is the result.
fn merged(failed: Vec<Reject>, decoded: &Decoded) -> Vec<Reject> {
    if decoded.defects.is_empty() {
        return failed;
    }
    let defects = decoded.defects.iter().map(|defect| Reject {
        record: defect.record,
        code: defect.code,
        column: defect.column.and_then(|column| usize::try_from(column).ok()),
        row: None,
        fields_found: defect.fields_found,
        earlier: defect.earlier,
        refusal: None,
        finding: None,
    });
    let mut all: Vec<_> = failed.into_iter().chain(defects).collect();
    all.sort_by_key(|reject| reject.record.ordinal);
    all
}

fn with_added(
    contract: &Contract,
    context: &RowContext,
    mut arrays: Vec<ArrayRef>,
    good_rows: usize,
    numbers: impl Iterator<Item = u64> + Clone,
) -> Vec<ArrayRef> {
    for added in &contract.added {
        arrays.push(match added {
            AddedColumn::SourceFile => {
                let files = std::iter::repeat_n(&context.source_file, good_rows);
                Arc::new(StringArray::from_iter_values(files))
            }
            AddedColumn::SourceRow => {
                let numbers = numbers.clone();
                let numbers = numbers.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
                Arc::new(Int64Array::from_iter_values(numbers))
            }
            AddedColumn::LoadedAt => {
                let moments = TimestampMicrosecondArray::from_value(context.loaded_at, good_rows);
                Arc::new(moments.with_timezone("UTC"))
            }
        });
    }
    arrays
}
