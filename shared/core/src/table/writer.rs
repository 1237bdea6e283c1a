//! Batches to one Parquet file for each partition, under a memory bound.

use std::collections::BTreeMap;
use std::fmt;

use arrow_array::RecordBatch;
use data_encoding::HEXLOWER;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;
use sha2::{Digest as _, Sha256};

use super::partition::{Level, Part, split};
use super::{TableError, TableFile, encoding};
use crate::block::Limits;
use crate::check::Contract;
use crate::pipeline::ParquetSink;

/// Bytes that all unfinished row groups together may take before the largest is written out.
const IN_PROGRESS_BYTES_MAX: usize = 48 << 20;

/// Writes the good rows of one chunk.
pub struct TableWriter {
    levels: Vec<Level>,
    /// Columns of a batch that go into the files.
    stored: Vec<usize>,
    /// Names of the columns that have `one_of`.
    listed: Vec<String>,
    partitions_max: usize,
    /// Chosen from the first rows.
    properties: Option<WriterProperties>,
    files: BTreeMap<Vec<String>, OpenFile>,
    in_progress_bytes_max: usize,
}

struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
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
        let stored: Vec<_> =
            (0..schema.fields().len()).filter(|index| !in_folder(*index)).collect();
        if stored.is_empty() {
            let message = "no column is left for the files".to_owned();
            return Err(TableError::PartitionBy { column: folders(&levels), message });
        }
        let listed = contract.columns().iter().filter(|column| column.one_of.is_some());
        Ok(TableWriter {
            listed: listed.map(|column| column.name.clone()).collect(),
            levels,
            stored,
            partitions_max: limits.partitions_max,
            properties: None,
            files: BTreeMap::new(),
            in_progress_bytes_max: IN_PROGRESS_BYTES_MAX,
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`TableError::TooManyPartitions`] and [`TableError::ValueTooLong`], or when the encoder refuses.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        for Part { values, rows } in split(&self.levels, batch)? {
            let rows = rows.project(&self.stored)?;
            self.write(values, &rows)?;
        }
        self.bound_memory()
    }

    /// Closes all files, in the order of their partitions. No rows, no files.
    ///
    /// # Errors
    /// When the encoder refuses.
    pub fn finish(self) -> Result<Vec<TableFile>, TableError> {
        let levels = self.levels;
        let files = self.files.into_iter().map(|(values, file)| {
            let bytes = file.writer.into_inner()?;
            let folders = levels.iter().map(|level| level.folder.clone());
            let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
            Ok(TableFile {
                partition: folders.zip(values).collect(),
                bytes,
                rows: file.rows,
                sha256,
            })
        });
        files.collect()
    }

    fn write(&mut self, values: Vec<String>, rows: &RecordBatch) -> Result<(), TableError> {
        if !self.files.contains_key(&values) {
            let count = self.files.len() + 1;
            if !self.levels.is_empty() && count > self.partitions_max {
                let columns = folders(&self.levels);
                let max = self.partitions_max;
                return Err(TableError::TooManyPartitions { columns, count, max });
            }
            let writer = self.open(rows)?;
            self.files.insert(values.clone(), OpenFile { writer, rows: 0 });
        }
        if let Some(file) = self.files.get_mut(&values) {
            file.writer.write(rows)?;
            file.rows += rows.num_rows() as u64;
        }
        Ok(())
    }

    fn open(&mut self, first: &RecordBatch) -> Result<ArrowWriter<Vec<u8>>, TableError> {
        let listed = &self.listed;
        let properties = self.properties.get_or_insert_with(|| {
            encoding::properties(first, |name| listed.iter().any(|column| column == name))
        });
        let options = ArrowWriterOptions::new()
            .with_properties(properties.clone())
            .with_skip_arrow_metadata(true);
        Ok(ArrowWriter::try_new_with_options(Vec::new(), first.schema(), options)?)
    }

    /// Writes out the largest row groups until the rest fits.
    fn bound_memory(&mut self) -> Result<(), TableError> {
        let mut total: usize = self.files.values().map(|file| file.writer.memory_size()).sum();
        while total > self.in_progress_bytes_max {
            let files = self.files.values_mut();
            let Some(largest) = files.max_by_key(|file| file.writer.memory_size()) else {
                break;
            };
            let freed = largest.writer.memory_size();
            largest.writer.flush()?;
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

fn folders(levels: &[Level]) -> String {
    let folders: Vec<_> = levels.iter().map(|level| level.folder.as_str()).collect();
    folders.join(", ")
}
