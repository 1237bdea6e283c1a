//! A temporary view for Spark SQL.

use arrow_schema::{DataType, Fields};

use super::{Dialect, pattern};
use crate::pipeline::ParquetSink;
use crate::table::stored_type;

pub(super) struct Spark;

impl Dialect for Spark {
    fn head(&self, name: &str, holds_times: bool) -> String {
        let needs = match holds_times {
            true => "-- Its files hold TIME: SET spark.sql.timeType.enabled = true first.\n",
            false => "",
        };
        format!("{needs}CREATE OR REPLACE TEMPORARY VIEW {} AS", self.identifier(name))
    }

    fn identifier(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
    }

    /// Spark has no unsigned integers: it reads each as the next wider type.
    fn type_name(&self, data_type: &DataType, _nullable: bool) -> String {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a contract has no other types")]
        let name = match data_type {
            DataType::Boolean => "BOOLEAN",
            DataType::Int8 => "TINYINT",
            DataType::Int16 | DataType::UInt8 => "SMALLINT",
            DataType::Int32 | DataType::UInt16 => "INT",
            DataType::Int64 | DataType::UInt32 => "BIGINT",
            DataType::UInt64 => "DECIMAL(20, 0)",
            DataType::Float32 => "FLOAT",
            DataType::Float64 => "DOUBLE",
            DataType::Date32 => "DATE",
            DataType::Time64(_) => "TIME(6)",
            DataType::Timestamp(_, _) => "TIMESTAMP",
            DataType::Decimal128(precision, scale) => {
                return format!("DECIMAL({precision}, {scale})");
            }
            _ => "STRING",
        };
        name.to_owned()
    }

    /// A time is shown as it is stored: Spark's own TIME is off unless it is turned on.
    fn shown(&self, data_type: &DataType, sink: &ParquetSink) -> DataType {
        stored_type(data_type, sink)
    }

    fn cast(&self, value: &str, from: &DataType, to: &DataType, nullable: bool) -> String {
        match from == to {
            true => value.to_owned(),
            false => format!("CAST({value} AS {})", self.type_name(to, nullable)),
        }
    }

    fn time(&self, value: &str, from: &DataType, to: &DataType) -> Option<String> {
        let part = |first: u8, length: u8| {
            format!("CAST(substring({value}, {first}, {length}) AS BIGINT)")
        };
        match (from, to) {
            (DataType::Int64, DataType::Utf8) => Some(format!(
                "CASE WHEN {value} IS NOT NULL THEN format_string('%02d:%02d:%02d.%06d', \
                 {value} div 3600000000, \
                 {value} div 60000000 % 60, {value} div 1000000 % 60, {value} % 1000000) END"
            )),
            (DataType::Utf8, DataType::Int64) => {
                let seconds =
                    format!("{} * 3600 + {} * 60 + {}", part(1, 2), part(4, 2), part(7, 2));
                Some(format!("({seconds}) * 1000000 + {}", part(10, 6)))
            }
            _ => None,
        }
    }

    fn files(&self, paths: &[&str], _fields: &Fields) -> String {
        let pattern = pattern(paths);
        let place = if pattern.starts_with('/') { format!("file://{pattern}") } else { pattern };
        format!("parquet.{}", self.identifier(&place))
    }
}
