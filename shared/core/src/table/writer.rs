//! Batches to one Parquet file for each partition, under a memory bound.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use data_encoding::HEXLOWER;
use parquet::file::properties::WriterProperties;
use sha2::{Digest as _, Sha256};

use super::encoding::Wishes;
use super::file::FileWriter;
use super::origin::Origin;
use super::partition::{Groups, Level, Part, folders, groups, refusal, too_many};
use super::stored::Stored;
use super::{TableError, TableFile};
use crate::block::Limits;
use crate::block::Refusal;
use crate::check::Contract;
use crate::digest;
use crate::pipeline::ParquetSink;

/// Bytes that all unfinished row groups together may take before the largest is written out.
const IN_PROGRESS_BYTES_MAX: usize = 48 << 20;

/// Rows that no folder can take, by their place in the batch.
pub type Refused = BTreeMap<usize, Refusal>;

/// Writes the good rows of one chunk.
pub struct TableWriter {
    levels: Vec<Level>,
    /// Bytes of the sink's path.
    path_bytes: usize,
    stored: Stored,
    /// Columns of the contract itself.
    width: usize,
    wishes: Wishes,
    partitions_max: usize,
    /// Partitions that have a file, or will.
    admitted: BTreeSet<Vec<String>>,
    /// Chosen from the first rows.
    properties: Option<WriterProperties>,
    files: BTreeMap<Vec<String>, FileWriter>,
    in_progress_bytes_max: usize,
}

impl fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter").field("partitions", &self.files.len()).finish_non_exhaustive()
    }
}

impl TableWriter {
    /// A writer for batches in the contract's schema.
    ///
    /// # Errors
    /// When `partition_by` names a column that does not exist, a part of a column that is no date or
    /// timestamp, one folder twice, or every column.
    pub fn new(
        contract: &Contract,
        sink: &ParquetSink,
        limits: &Limits,
        origin: &Origin,
    ) -> Result<TableWriter, TableError> {
        let schema = contract.schema();
        let levels = sink.partition_by.iter().map(|by| Level::new(by, schema));
        let levels = levels.collect::<Result<Vec<_>, _>>()?;
        for (index, level) in levels.iter().enumerate() {
            if levels.iter().take(index).any(|earlier| earlier.folder == level.folder) {
                let message = "named twice".to_owned();
                return Err(TableError::PartitionBy { column: level.folder.clone(), message });
            }
        }
        let in_folder = |index: usize| levels.iter().any(|l| l.is_column() && l.column == index);
        let stored = Stored::new(schema, sink, |index| !in_folder(index));
        if stored.schema().fields().is_empty() {
            let message = "no column is left for the files".to_owned();
            return Err(TableError::PartitionBy { column: folders(&levels), message });
        }
        Ok(TableWriter {
            path_bytes: sink.path.len(),
            wishes: Wishes::new(contract, sink, origin),
            levels,
            stored,
            width: contract.width(),
            partitions_max: limits.partitions_max,
            admitted: BTreeSet::new(),
            properties: None,
            files: BTreeMap::new(),
            in_progress_bytes_max: IN_PROGRESS_BYTES_MAX,
        })
    }

    /// Adds rows, but for those that are given back with a reason: their values name no folder, or one
    /// folder too many. Which these are depends on the order of the rows, never on where batches end.
    ///
    /// # Errors
    /// When the encoder refuses.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<Refused, TableError> {
        let mut refused = Refused::new();
        if batch.num_rows() == 0 {
            return Ok(refused);
        }
        let groups = groups(&self.levels, batch);
        self.admit(&groups, &mut refused);
        for Part { values, rows } in groups.split(batch)? {
            if self.admitted.contains(&values) {
                self.write(values, &self.stored.rows(&rows)?)?;
            }
        }
        self.bound_memory()?;
        Ok(refused)
    }

    /// The rows that [`append`](TableWriter::append) will give back; the partitions of the others count
    /// from now on.
    pub fn refusals(&mut self, batch: &RecordBatch) -> Refused {
        let mut refused = Refused::new();
        self.admit(&groups(&self.levels, batch), &mut refused);
        refused
    }

    fn admit(&mut self, groups: &Groups, refused: &mut Refused) {
        let refusals: Vec<_> = groups.values.iter().map(|values| self.refusal(values)).collect();
        if refusals.iter().all(Option::is_none) {
            return;
        }
        for (place, group) in groups.places() {
            if let Some(Some(refusal)) = refusals.get(group) {
                refused.insert(place, refusal.clone());
            }
        }
    }

    /// Why a partition cannot be; `None` admits it.
    fn refusal(&mut self, values: &[String]) -> Option<Refusal> {
        if self.admitted.contains(values) {
            return None;
        }
        let mut refusal = refusal(&self.levels, values, self.path_bytes);
        if refusal.is_none() && self.admitted.len() >= self.partitions_max && !values.is_empty() {
            refusal = Some(too_many(&self.levels, self.partitions_max));
        }
        if refusal.is_none() {
            self.admitted.insert(values.to_vec());
        }
        refusal
    }

    /// The hash of each row, as the receipt adds them up.
    pub(crate) fn hashes(&self, batch: &RecordBatch) -> Result<Vec<u128>, ArrowError> {
        digest::hashes(self.width, batch)
    }

    /// Closes all files, in the order of their partitions. No rows, no files.
    ///
    /// # Errors
    /// When the encoder refuses.
    pub fn finish(self) -> Result<Vec<TableFile>, TableError> {
        let levels = self.levels;
        let files = self.files.into_iter().map(|(values, file)| {
            let rows = file.rows;
            let bytes = file.finish()?;
            let folders = levels.iter().map(|level| level.folder.clone());
            let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
            Ok(TableFile { partition: folders.zip(values).collect(), bytes, rows, sha256 })
        });
        files.collect()
    }

    fn write(&mut self, values: Vec<String>, rows: &RecordBatch) -> Result<(), TableError> {
        let file = match self.files.entry(values) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let wishes = &self.wishes;
                let properties = self.properties.get_or_insert_with(|| wishes.properties(rows));
                entry.insert(FileWriter::new(self.stored.schema().clone(), properties.clone())?)
            }
        };
        Ok(file.write(rows)?)
    }

    /// Writes out the largest row groups until the rest fits.
    fn bound_memory(&mut self) -> Result<(), TableError> {
        let mut total: usize = self.files.values().map(|file| file.memory_size()).sum();
        while total > self.in_progress_bytes_max {
            let files = self.files.values_mut();
            let Some(largest) = files.max_by_key(|file| file.memory_size()) else {
                break;
            };
            let freed = largest.memory_size();
            largest.flush()?;
            total -= freed;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn with_memory(mut self, bytes: usize) -> TableWriter {
        self.in_progress_bytes_max = bytes;
        self
    }
}
