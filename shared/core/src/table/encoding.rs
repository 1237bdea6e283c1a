//! How each column is stored, decided once from its type and the first rows.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 128 << 10;
/// Encoded bytes of a row group.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Rows looked at to tell whether a text column repeats itself.
const SAMPLE_ROWS: usize = 8 << 10;
/// A text column with this many rows or more for each distinct text gets a dictionary.
const ROWS_PER_TEXT: usize = 8;

/// zstd 1, fixed author, no dictionaries: building one for a column of unlike values is the most
/// expensive thing that the writer can do.
pub(crate) fn base_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by(concat!("rowproof version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
}

/// Properties for files with the columns of `first`; `listed` says whether a column has `one_of`.
pub(super) fn properties(first: &RecordBatch, listed: impl Fn(&str) -> bool) -> WriterProperties {
    let schema = first.schema_ref();
    let columns = schema.fields().iter().zip(first.columns());
    let properties = columns.fold(base_properties(), |properties, (field, column)| {
        let path = ColumnPath::new(vec![field.name().clone()]);
        let dictionary = *field.data_type() == DataType::Utf8
            && (listed(field.name()) || repeats_itself(column.as_ref()));
        let properties = properties.set_column_dictionary_enabled(path.clone(), dictionary);
        match encoding(field.data_type()) {
            Some(encoding) => properties.set_column_encoding(path, encoding),
            None => properties,
        }
    });
    properties.build()
}

/// The encoding where no dictionary is used; `None` is the writer's own (plain).
#[allow(clippy::wildcard_enum_match_arm, reason = "the other types are stored plain")]
fn encoding(data_type: &DataType) -> Option<Encoding> {
    match data_type {
        DataType::Utf8 => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Date32
        | DataType::Time64(_)
        | DataType::Timestamp(_, _) => Some(Encoding::DELTA_BINARY_PACKED),
        // Up to 18 digits are stored as int32 or int64.
        DataType::Decimal128(precision, _) if *precision <= 18 => {
            Some(Encoding::DELTA_BINARY_PACKED)
        }
        _ => None,
    }
}

fn repeats_itself(column: &dyn Array) -> bool {
    let Some(texts) = column.as_string_opt::<i32>() else {
        return false;
    };
    let rows = texts.len().min(SAMPLE_ROWS);
    let distinct_max = rows / ROWS_PER_TEXT;
    let mut seen = HashSet::new();
    for text in texts.iter().take(rows).flatten() {
        if seen.insert(text) && seen.len() > distinct_max {
            return false;
        }
    }
    true
}
