//! How each column is stored, decided once from its type and the first rows.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::origin::Origin;
use crate::check::Contract;
use crate::pipeline::{AddedColumn, ParquetSink};

/// Rows of a row group.
pub(super) const ROW_GROUP_ROWS: usize = 128 << 10;
/// Encoded bytes of a row group.
pub(super) const ROW_GROUP_BYTES: usize = 32 << 20;
/// Rows looked at to tell whether a text column repeats itself.
const SAMPLE_ROWS: usize = 8 << 10;
/// A text column with this many rows or more for each distinct text gets a dictionary.
const ROWS_PER_TEXT: usize = 8;
/// Share of the row groups without a value that a bloom filter lets through.
const BLOOM_FILTER_FPP: f64 = 0.01;

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

/// What decides about the files of a chunk beside their first rows.
#[derive(Debug, Clone)]
pub(super) struct Wishes {
    /// Names of the columns that have `one_of`.
    listed: Vec<String>,
    /// Columns with a bloom filter.
    bloom_filter: Vec<String>,
    origin: Origin,
}

impl Wishes {
    pub(super) fn new(contract: &Contract, sink: &ParquetSink, origin: &Origin) -> Wishes {
        let listed = contract.columns().iter().filter(|column| column.one_of.is_some());
        Wishes {
            listed: listed.map(|column| column.name.clone()).collect(),
            bloom_filter: sink.bloom_filter.clone(),
            origin: origin.clone(),
        }
    }

    /// Properties for files with the columns of `first`, the first rows of the chunk.
    pub(super) fn properties(&self, first: &RecordBatch) -> WriterProperties {
        let schema = first.schema_ref();
        let columns = schema.fields().iter().zip(first.columns());
        let properties = base_properties()
            .set_key_value_metadata(Some(self.origin.key_values()))
            .set_sorting_columns(order(schema));
        let properties = columns.fold(properties, |properties, (field, column)| {
            let path = ColumnPath::new(vec![field.name().clone()]);
            let dictionary = *field.data_type() == DataType::Utf8
                && (self.listed.contains(field.name()) || repeats_itself(column.as_ref()));
            let mut properties = properties.set_column_dictionary_enabled(path.clone(), dictionary);
            if self.bloom_filter.contains(field.name()) {
                properties = properties.set_column_bloom_filter_fpp(path.clone(), BLOOM_FILTER_FPP);
            }
            match encoding(field.data_type()) {
                Some(encoding) => properties.set_column_encoding(path, encoding),
                None => properties,
            }
        });
        properties.build()
    }
}

/// The order that every row group is known to have before it is written: rows come in the order of the
/// source, so its row number ascends. No other column's order is known in time.
fn order(schema: &Schema) -> Option<Vec<SortingColumn>> {
    let (index, _) = schema.column_with_name(AddedColumn::SourceRow.name())?;
    let column_idx = i32::try_from(index).ok()?;
    Some(vec![SortingColumn { column_idx, descending: false, nulls_first: false }])
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
