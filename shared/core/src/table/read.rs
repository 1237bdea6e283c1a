//! Parquet files back to batches, with the partition's columns restored.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::origin::PIPELINE_KEY;
use super::stored::restored;
use super::{TableError, value};

/// Rows of a batch read.
const BATCH_ROWS: usize = 16 << 10;

/// Reads a file of [`TableWriter`](super::TableWriter), batch by batch.
///
/// # Errors
/// When the bytes are no Parquet file, and for each batch that cannot be decoded.
pub fn read(
    bytes: Bytes,
) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>>, TableError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let batches = reader.with_batch_size(BATCH_ROWS).build()?;
    Ok(batches.map(|batch| batch.map_err(TableError::from)))
}

/// The pipeline that a file says it is of; `None` for one of an earlier version.
pub(crate) fn pipeline_of(bytes: &Bytes) -> Result<Option<String>, TableError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())?;
    let entries = reader.metadata().file_metadata().key_value_metadata();
    let found = entries.into_iter().flatten().find(|entry| entry.key == PIPELINE_KEY);
    Ok(found.and_then(|entry| entry.value.clone()))
}

/// The batch in the contract's `schema`: columns that the file lacks come from its partition.
///
/// `partition` is that of the [`TableFile`](super::TableFile): folder names and encoded values.
///
/// # Errors
/// When a column is in neither, or has another type or value than the schema allows.
pub fn with_partition(
    batch: &RecordBatch,
    schema: &SchemaRef,
    partition: &[(String, String)],
) -> Result<RecordBatch, TableError> {
    let rows = batch.num_rows();
    let column = |field: &Arc<Field>| column(batch, field, partition);
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

fn column(
    batch: &RecordBatch,
    field: &Arc<Field>,
    partition: &[(String, String)],
) -> Result<ArrayRef, TableError> {
    let refuse = |message: String| TableError::Column { column: field.name().clone(), message };
    if let Some(column) = batch.column_by_name(field.name()) {
        let (found, expected) = (column.data_type(), field.data_type());
        return restored(column, expected)
            .ok_or_else(|| refuse(format!("the file has {found}, expected {expected}")));
    }
    let Some((_, folder)) = partition.iter().find(|(name, _)| name == field.name()) else {
        return Err(refuse("neither in the file nor in its folder".to_owned()));
    };
    value::column(folder, field.data_type(), batch.num_rows())
        .ok_or_else(|| refuse(format!("its folder is no {}", field.data_type())))
}
