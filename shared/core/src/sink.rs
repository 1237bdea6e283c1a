//! Where a chunk's good rows go: into files, or into the form that a table takes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;

use thiserror::Error;

use crate::block::{Decoded, Digest, Limits, Refusal, RejectCode};
use crate::check::{Checked, Contract, Reject};
use crate::copy::{CopyPlan, CopyRows, CopyWriter};
use crate::pipeline::{Pipeline, Sink};
use crate::table::{Origin, Refused, TableError, TableFile, TableWriter};

/// Takes the good rows of a chunk, block by block.
#[derive(Debug)]
pub enum RowSink {
    /// Parquet files.
    Files(Box<TableWriter>),
    /// Tuples for a table, and the rows that it refuses, by their number in the file.
    Table(Box<CopyWriter>, BTreeMap<u64, Refusal>),
}

impl RowSink {
    /// The sink of a pipeline.
    ///
    /// # Errors
    /// When it does not fit the contract.
    pub fn new(
        pipeline: &Pipeline,
        contract: &Arc<Contract>,
        limits: &Limits,
        origin: &Origin,
    ) -> Result<RowSink, EngineError> {
        Ok(match &pipeline.sink {
            Sink::Parquet(sink) => {
                RowSink::Files(Box::new(TableWriter::new(contract, sink, limits, origin)?))
            }
            Sink::Postgres(_) => {
                let plan = CopyPlan::new(pipeline, contract.schema());
                let plan = plan.ok_or_else(|| {
                    ArrowError::SchemaError("the contract has no form in Postgres".into())
                })?;
                RowSink::Table(Box::new(CopyWriter::new(plan)), BTreeMap::new())
            }
        })
    }

    /// These rows are refused from now on.
    pub fn refuse(&mut self, more: BTreeMap<u64, Refusal>) {
        match self {
            RowSink::Files(_) => {}
            RowSink::Table(_, refusals) => refusals.extend(more),
        }
    }

    /// Takes the good rows of a block; those that the sink refuses become rejects.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub fn take(
        &mut self,
        checked: &mut Checked,
        decoded: &Decoded,
        first_row: u64,
    ) -> Result<(), EngineError> {
        if checked.batch.num_rows() == 0 {
            return Ok(());
        }
        match self {
            RowSink::Files(table) => {
                let refused = table.append(&checked.batch)?;
                remove_from_files(table, checked, refused, decoded, first_row)?;
            }
            RowSink::Table(writer, refusals) => {
                let mut found: BTreeMap<usize, Refusal> = BTreeMap::new();
                for refused in writer.refused(&checked.batch) {
                    let reason = "the text holds a NUL, which no text in Postgres can".to_owned();
                    found.insert(refused.at, Refusal { column: Some(refused.column), reason });
                }
                if !refusals.is_empty() {
                    for (at, (row, _)) in checked.rows.iter().enumerate() {
                        if let Some(refusal) = refusals.get(row) {
                            found.insert(at, refusal.clone());
                        }
                    }
                }
                remove(checked, found, decoded, first_row)?;
                let (rows, hashes): (Vec<_>, Vec<_>) = checked.rows.iter().copied().unzip();
                writer.append(&checked.batch, &rows, &hashes)?;
            }
        }
        Ok(())
    }

    /// Turns good rows into rejects that the sink refuses; a table takes the others at once, files take
    /// them by [`append`](RowSink::append).
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub(crate) fn judge(
        &mut self,
        checked: &mut Checked,
        decoded: &Decoded,
        first_row: u64,
    ) -> Result<(), EngineError> {
        match self {
            RowSink::Files(table) => {
                let refused = table.refusals(&checked.batch);
                Ok(remove_from_files(table, checked, refused, decoded, first_row)?)
            }
            RowSink::Table(..) => self.take(checked, decoded, first_row),
        }
    }

    /// Takes rows that are known to be good: only for files.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub(crate) fn append(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        match self {
            RowSink::Files(table) => match table.append(batch)?.is_empty() {
                true => Ok(()),
                false => {
                    Err(ArrowError::InvalidArgumentError("rows that no folder takes".into()).into())
                }
            },
            RowSink::Table(..) => {
                Err(ArrowError::InvalidArgumentError("rows without numbers".into()).into())
            }
        }
    }

    /// The files, or the tuples.
    ///
    /// # Errors
    /// When a file cannot be closed.
    pub fn finish(self) -> Result<(Vec<TableFile>, Option<CopyRows>), EngineError> {
        Ok(match self {
            RowSink::Files(table) => (table.finish()?, None),
            RowSink::Table(writer, _) => (vec![], Some(writer.finish())),
        })
    }
}

/// As [`remove`], for files: their good rows have neither numbers nor hashes until one is refused.
fn remove_from_files(
    table: &TableWriter,
    checked: &mut Checked,
    refused: Refused,
    decoded: &Decoded,
    first_row: u64,
) -> Result<(), ArrowError> {
    if refused.is_empty() {
        return Ok(());
    }
    let bad: HashSet<_> = checked.rejects.iter().filter_map(|reject| reject.row).collect();
    let good = decoded.records.iter().enumerate().filter(|(row, _)| !bad.contains(row));
    let numbers = good.map(|(_, record)| first_row.saturating_add(u64::from(record.ordinal)));
    checked.rows = numbers.zip(table.hashes(&checked.batch)?).collect();
    remove(checked, refused, decoded, first_row)?;
    checked.rows.clear();
    Ok(())
}

/// Takes rows out of the good ones, by their place there, and puts them among the rejects.
fn remove(
    checked: &mut Checked,
    refused: BTreeMap<usize, Refusal>,
    decoded: &Decoded,
    first_row: u64,
) -> Result<(), ArrowError> {
    if refused.is_empty() {
        return Ok(());
    }
    let stays: Vec<_> = (0..checked.rows.len()).map(|at| !refused.contains_key(&at)).collect();
    checked.batch = filter_record_batch(&checked.batch, &BooleanArray::from(stays.clone()))?;
    for (at, refusal) in refused {
        let Some((row, _)) = checked.rows.get(at) else { continue };
        let ordinal = u32::try_from(row.saturating_sub(first_row)).unwrap_or(u32::MAX);
        let found = decoded.records.binary_search_by_key(&ordinal, |record| record.ordinal);
        let Some(record) = found.ok().and_then(|index| decoded.records.get(index)) else {
            continue;
        };
        checked.rejects.push(Reject {
            record: *record,
            code: RejectCode::SinkRejected,
            column: refusal.column,
            row: found.ok(),
            fields_found: None,
            earlier: 0,
            finding: None,
            refusal: Some(refusal.reason),
        });
    }
    checked.rejects.sort_by_key(|reject| reject.record.ordinal);
    let mut stays = stays.into_iter();
    checked.rows.retain(|_| stays.next().unwrap_or(true));
    checked.loaded_digest = Digest::default();
    checked.rows.iter().for_each(|(_, hash)| checked.loaded_digest.add(*hash));
    Ok(())
}

/// Why a chunk cannot go on; the object fails as a whole.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The data files cannot be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Arrow or Parquet refused a batch.
    #[error("a block cannot be held in memory: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// The failure archive cannot be written.
    #[error("the failure archive cannot be written: {0}")]
    Archive(String),
}
