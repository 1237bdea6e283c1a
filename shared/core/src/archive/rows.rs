//! The archive's columns.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType};
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::ArchiveContext;
use crate::table::{Origin, base_properties};

/// Encoded bytes of a row group.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// One rejected record.
pub(super) struct Row<'a> {
    pub(super) source_id: &'a str,
    pub(super) error: &'a str,
    pub(super) raw_data: Option<&'a str>,
    pub(super) code: &'a str,
    pub(super) column: Option<&'a str>,
    pub(super) value: Option<&'a str>,
    pub(super) stage: &'a str,
    pub(super) row_number: u64,
    pub(super) byte_start: u64,
    pub(super) byte_end: u64,
}

/// Rows that are not encoded yet.
#[derive(Debug, Default)]
pub(super) struct Rows {
    source_id: StringBuilder,
    error: StringBuilder,
    raw_data: StringBuilder,
    code: StringBuilder,
    column: StringBuilder,
    value: StringBuilder,
    stage: StringBuilder,
    row_number: Int64Builder,
    byte_start: Int64Builder,
    byte_end: Int64Builder,
    len: usize,
    raw_bytes: usize,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the records held.
    pub(super) fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    pub(super) fn push(&mut self, row: Row<'_>) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.source_id.append_value(row.source_id);
        self.error.append_value(row.error);
        self.raw_data.append_option(row.raw_data);
        self.code.append_value(row.code);
        self.column.append_option(row.column);
        self.value.append_option(row.value);
        self.stage.append_value(row.stage);
        self.row_number.append_value(number(row.row_number));
        self.byte_start.append_value(number(row.byte_start));
        self.byte_end.append_value(number(row.byte_end));
        self.len += 1;
        self.raw_bytes += row.raw_data.map_or(0, str::len);
    }

    /// All rows, in the archive's column order.
    pub(super) fn batch(mut self, context: &ArchiveContext) -> Result<RecordBatch, ArrowError> {
        let rows = self.len;
        let text = |value: &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows)))
        };
        let timestamp = TimestampMicrosecondArray::from_value(context.created_at, rows);
        let fix = Int64Array::from_value(i64::from(context.fix), rows);
        let columns: [(&str, ArrayRef, bool); 20] = [
            ("source_id", Arc::new(self.source_id.finish()), false),
            ("error", Arc::new(self.error.finish()), false),
            ("raw_data", Arc::new(self.raw_data.finish()), true),
            ("timestamp", Arc::new(timestamp.with_timezone("UTC")), false),
            ("error_code", Arc::new(self.code.finish()), false),
            ("column", Arc::new(self.column.finish()), true),
            ("value", Arc::new(self.value.finish()), true),
            ("rule", new_null_array(&DataType::Utf8, rows), true),
            ("stage", Arc::new(self.stage.finish()), false),
            ("row_number", Arc::new(self.row_number.finish()), false),
            ("byte_start", Arc::new(self.byte_start.finish()), false),
            ("byte_end", Arc::new(self.byte_end.finish()), false),
            ("job", text(&context.job), false),
            ("chunk", text(&context.chunk), false),
            ("fix", Arc::new(fix), false),
            ("pipeline", text(&context.pipeline), false),
            ("pipeline_sha", text(&context.pipeline_sha), false),
            ("source_bucket", text(&context.source_bucket), false),
            ("source_key", text(&context.source_key), false),
            ("source_version", text(&context.source_version), false),
        ];
        RecordBatch::try_from_iter_with_nullable(columns)
    }
}

/// Dictionaries everywhere but in the columns whose values differ in every row.
pub(super) fn properties(origin: Option<&Origin>) -> WriterProperties {
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let properties = base_properties()
        .set_key_value_metadata(origin.map(Origin::key_values))
        .set_dictionary_enabled(true)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    let properties = ["source_id", "raw_data"].iter().fold(properties, |properties, name| {
        properties
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_LENGTH_BYTE_ARRAY)
    });
    let numbers = ["row_number", "byte_start", "byte_end"];
    let properties = numbers.iter().fold(properties, |properties, name| {
        properties
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED)
    });
    properties.build()
}
