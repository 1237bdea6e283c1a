//! A view for `ClickHouse`.

use arrow_schema::{DataType, Fields};

use super::{Dialect, pattern};
use crate::pipeline::ParquetSink;

pub(super) struct Clickhouse;

impl Dialect for Clickhouse {
    fn head(&self, name: &str, _holds_times: bool) -> String {
        format!("CREATE OR REPLACE VIEW {} AS", self.identifier(name))
    }

    fn identifier(&self, name: &str) -> String {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
    }

    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
    }

    fn type_name(&self, data_type: &DataType, nullable: bool) -> String {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a contract has no other types")]
        let name = match data_type {
            DataType::Boolean => "Bool".to_owned(),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float32
            | DataType::Float64 => data_type.to_string(),
            DataType::Date32 => "Date32".to_owned(),
            DataType::Time64(_) | DataType::Timestamp(_, _) => "DateTime64(6, 'UTC')".to_owned(),
            DataType::Decimal128(precision, scale) => format!("Decimal({precision}, {scale})"),
            _ => "String".to_owned(),
        };
        if nullable { format!("Nullable({name})") } else { name }
    }

    /// `ClickHouse` reads a time as a moment of the first day of 1970: the view has its text.
    fn shown(&self, data_type: &DataType, _sink: &ParquetSink) -> DataType {
        if matches!(data_type, DataType::Time64(_)) { DataType::Utf8 } else { data_type.clone() }
    }

    fn cast(&self, value: &str, from: &DataType, to: &DataType, nullable: bool) -> String {
        match from == to {
            true => value.to_owned(),
            false => format!("CAST({value} AS {})", self.type_name(to, nullable)),
        }
    }

    fn time(&self, value: &str, from: &DataType, _to: &DataType) -> Option<String> {
        #[allow(clippy::wildcard_enum_match_arm, reason = "the other form is the text itself")]
        let moment = match from {
            DataType::Time64(_) => value.to_owned(),
            DataType::Int64 => format!("fromUnixTimestamp64Micro({value}, 'UTC')"),
            _ => return None,
        };
        Some(format!("formatDateTime({moment}, '%H:%i:%S.%f', 'UTC')"))
    }

    /// With its structure, so that no type is inferred, and without the folders' names, which are
    /// literals of the view.
    fn files(&self, paths: &[&str], fields: &Fields) -> String {
        let column = |name: &str, data_type: &DataType, nullable: bool| {
            format!("{} {}", self.identifier(name), self.type_name(data_type, nullable))
        };
        let columns = fields.iter().map(|f| column(f.name(), f.data_type(), f.is_nullable()));
        let structure = columns.collect::<Vec<_>>().join(", ");
        format!(
            "file({}, Parquet, {})\nSETTINGS use_hive_partitioning = 0",
            self.literal(&pattern(paths)),
            self.literal(&structure)
        )
    }
}
