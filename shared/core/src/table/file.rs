//! One Parquet file in the making: row groups, and bounds that hide no NaN.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use super::encoding::{ROW_GROUP_BYTES, ROW_GROUP_ROWS};

/// Name of the root of every file's schema, as the format's own examples have it.
const SCHEMA_ROOT: &str = "schema";

/// The options of every file that Rowproof writes.
pub(crate) fn options(properties: WriterProperties) -> ArrowWriterOptions {
    ArrowWriterOptions::new().with_properties(properties).with_schema_root(SCHEMA_ROOT.to_owned())
}

/// A file that takes batches. Its row groups are put together here, and not by an `ArrowWriter`, because
/// only a finished column chunk knows whether its bounds may be told.
pub(super) struct FileWriter {
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    group: Option<RowGroup>,
    /// Rows written.
    pub(super) rows: u64,
}

struct RowGroup {
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
    /// For each column, whether a NaN is among its values.
    nans: Vec<bool>,
}

impl FileWriter {
    pub(super) fn new(schema: SchemaRef, properties: WriterProperties) -> Result<FileWriter> {
        let writer =
            ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(FileWriter { file, factory, schema, group: None, rows: 0 })
    }

    /// Adds rows; a row group ends at its limits, wherever batches end.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let rows = self.room(batch.num_rows() - start)?;
            let group = match &mut self.group {
                Some(group) => group,
                none => {
                    let index = self.file.flushed_row_groups().len();
                    let columns = self.factory.create_column_writers(index)?;
                    let nans = vec![false; columns.len()];
                    none.insert(RowGroup { columns, rows: 0, nans })
                }
            };
            group.write(&self.schema, &batch.slice(start, rows))?;
            if group.rows >= ROW_GROUP_ROWS || group.encoded_bytes() >= ROW_GROUP_BYTES {
                self.flush()?;
            }
            start += rows;
        }
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// How many of `rows` go into the row group, at least 1; a full one is written out first.
    fn room(&mut self, rows: usize) -> Result<usize> {
        let Some(group) = self.group.as_ref().filter(|group| group.rows > 0) else {
            return Ok(rows.min(ROW_GROUP_ROWS));
        };
        let left = ROW_GROUP_BYTES.saturating_sub(group.encoded_bytes());
        let row_bytes = group.encoded_bytes() / group.rows;
        let fitting = left.checked_div(row_bytes).unwrap_or(rows);
        if left == 0 || fitting == 0 {
            self.flush()?;
            return Ok(rows.min(ROW_GROUP_ROWS));
        }
        Ok(rows.min(ROW_GROUP_ROWS - group.rows).min(fitting))
    }

    /// Bytes that the unfinished row group takes.
    pub(super) fn memory_size(&self) -> usize {
        let columns = self.group.iter().flat_map(|group| &group.columns);
        columns.map(ArrowColumnWriter::memory_size).sum()
    }

    /// Writes the unfinished row group out.
    pub(super) fn flush(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut row_group = self.file.next_row_group()?;
        for (column, has_nan) in group.columns.into_iter().zip(group.nans) {
            let mut chunk = column.close()?;
            if has_nan {
                drop_bounds(chunk.close_mut())?;
            }
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        Ok(())
    }

    /// The file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.flush()?;
        self.file.into_inner()
    }
}

impl RowGroup {
    fn write(&mut self, schema: &SchemaRef, rows: &RecordBatch) -> Result<()> {
        self.rows += rows.num_rows();
        // No column is nested, so each has one leaf.
        let columns = self.columns.iter_mut().zip(&mut self.nans);
        let arrays = schema.fields().iter().zip(rows.columns());
        for ((column, has_nan), (field, array)) in columns.zip(arrays) {
            *has_nan = *has_nan || holds_nan(array.as_ref());
            for leaf in compute_leaves(field, array)? {
                column.write(&leaf)?;
            }
        }
        Ok(())
    }

    fn encoded_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }
}

/// Whether a NaN is among the values; what lies behind a NULL may count as well.
fn holds_nan(array: &dyn Array) -> bool {
    fn any<A: ArrowPrimitiveType>(array: &dyn Array, is_nan: impl Fn(&A::Native) -> bool) -> bool {
        let values = array.as_primitive_opt::<A>();
        // Without an early end the compiler compares many values at once.
        values.is_some_and(|array| array.values().iter().fold(false, |nan, v| nan | is_nan(v)))
    }
    any::<Float64Type>(array, |value| value.is_nan())
        || any::<Float32Type>(array, |value| value.is_nan())
}

/// Takes smallest and greatest value out of a chunk's statistics. The format leaves NaN out of them, but
/// DuckDB and Spark order NaN above every number: they would skip a chunk whose NaN they are looking
/// for, and answer `max` from the bounds.
fn drop_bounds(chunk: &mut ColumnCloseResult) -> Result<()> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "only floats hold NaN")]
    let statistics = match chunk.metadata.statistics() {
        Some(Statistics::Float(known)) => {
            Statistics::float(None, None, None, known.null_count_opt(), false)
        }
        Some(Statistics::Double(known)) => {
            Statistics::double(None, None, None, known.null_count_opt(), false)
        }
        _ => return Ok(()),
    };
    let metadata = chunk.metadata.clone().into_builder();
    chunk.metadata = metadata.set_statistics(statistics).build()?;
    // A page index cannot leave out one page's bounds.
    chunk.column_index = None;
    Ok(())
}
