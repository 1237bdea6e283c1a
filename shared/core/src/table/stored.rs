//! The form that rows have in a file: without the columns of the folders, times as the sink wants them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, Time64MicrosecondType};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use chrono::NaiveTime;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::check::{Contract, civil};
use crate::pipeline::{ParquetSink, PartitionBy, TimeForm};

/// Which columns of a batch go into the files, and how.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl Stored {
    /// The columns that `kept` keeps, as the sink wants them.
    pub(super) fn new(schema: &Schema, sink: &ParquetSink, kept: impl Fn(usize) -> bool) -> Stored {
        let columns: Vec<_> = (0..schema.fields().len()).filter(|index| kept(*index)).collect();
        let fields = columns.iter().filter_map(|index| schema.fields().get(*index));
        let fields: Vec<Field> = fields.map(|field| stored_field(field, sink)).collect();
        Stored { columns, schema: Arc::new(Schema::new(fields)) }
    }

    /// The files' schema.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows as the files have them.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter().filter_map(|index| batch.columns().get(*index));
        let columns = columns.zip(self.schema.fields()).map(|(array, field)| {
            match (array.as_primitive_opt::<Time64MicrosecondType>(), field.data_type()) {
                (Some(times), DataType::Int64) => micros(times),
                (Some(times), DataType::Utf8) => texts(times),
                _ => array.clone(),
            }
        });
        RecordBatch::try_new(self.schema.clone(), columns.collect())
    }
}

/// The columns of the files that a sink writes.
pub(crate) fn file_schema(contract: &Contract, sink: &ParquetSink) -> SchemaRef {
    let schema = contract.schema();
    let in_folder = |index: usize| {
        let name = schema.fields().get(index).map(|field| field.name().clone());
        name.is_some_and(|name| sink.partition_by.contains(&PartitionBy::Column(name)))
    };
    Stored::new(schema, sink, |index| !in_folder(index)).schema
}

/// A column's type in the files of a sink.
pub(crate) fn stored_type(data_type: &DataType, sink: &ParquetSink) -> DataType {
    match (data_type, sink.time) {
        (DataType::Time64(_), TimeForm::Int64) => DataType::Int64,
        (DataType::Time64(_), TimeForm::String) => DataType::Utf8,
        _ => data_type.clone(),
    }
}

fn stored_field(field: &Field, sink: &ParquetSink) -> Field {
    let data_type = stored_type(field.data_type(), sink);
    let stored = Field::new(field.name(), data_type, field.is_nullable());
    match sink.field_ids.get(field.name()) {
        Some(id) => {
            let entry = (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string());
            stored.with_metadata([entry].into())
        }
        None => stored,
    }
}

fn micros(times: &Time64MicrosecondArray) -> ArrayRef {
    Arc::new(Int64Array::new(times.values().clone(), times.nulls().cloned()))
}

/// `10:11:12.000001`: always as long, so that texts sort as times do.
fn texts(times: &Time64MicrosecondArray) -> ArrayRef {
    let text = |micros: i64| {
        let seconds = u32::try_from(micros.div_euclid(1_000_000)).ok()?;
        let nanos = u32::try_from(micros.rem_euclid(1_000_000)).ok()? * 1000;
        let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)?;
        Some(time.format("%H:%M:%S%.6f").to_string())
    };
    let texts = times.iter().map(|micros| micros.and_then(text));
    Arc::new(texts.collect::<StringArray>())
}

/// A stored column in the contract's type; `None` when it is neither that type nor a form of it.
pub(super) fn restored(array: &ArrayRef, data_type: &DataType) -> Option<ArrayRef> {
    if array.data_type() == data_type {
        return Some(array.clone());
    }
    if !matches!(data_type, DataType::Time64(_)) {
        return None;
    }
    if let Some(micros) = array.as_primitive_opt::<Int64Type>() {
        let times = Time64MicrosecondArray::new(micros.values().clone(), micros.nulls().cloned());
        return Some(Arc::new(times));
    }
    let texts = array.as_string_opt::<i32>()?;
    let times: Vec<_> = texts
        .iter()
        .map(|text| text.and_then(|text| civil::time(text.as_bytes(), civil::Finer::Refuse)))
        .collect();
    let times = Time64MicrosecondArray::from(times);
    (times.null_count() == texts.null_count()).then(|| Arc::new(times) as ArrayRef)
}
