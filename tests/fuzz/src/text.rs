//! Typed values as text, to be compared and read.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

/// One row's columns; `None` is NULL.
pub fn row(batch: &RecordBatch, row: usize) -> Vec<Option<String>> {
    let value =
        |array: &std::sync::Arc<dyn Array>| array.is_valid(row).then(|| value(array.as_ref(), row));
    batch.columns().iter().map(value).collect()
}

fn value(array: &dyn Array, row: usize) -> String {
    macro_rules! number {
        ($kind:ty) => {
            array.as_primitive::<$kind>().value(row).to_string()
        };
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Date32 => shown(array.as_primitive::<Date32Type>().value_as_date(row)),
        DataType::Time64(_) => {
            shown(array.as_primitive::<Time64MicrosecondType>().value_as_time(row))
        }
        DataType::Timestamp(..) => {
            shown(array.as_primitive::<TimestampMicrosecondType>().value_as_datetime(row))
        }
        other => panic!("no contract has a column of type {other}"),
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "out of range".to_owned(), |value| value.to_string())
}
