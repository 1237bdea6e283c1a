//! A table for Athena: it reads folders, not lists of files.

use arrow_schema::DataType;

use super::Table;
use crate::pipeline::PartitionBy;
use crate::table::file_schema;

pub(super) fn table(name: &str, table: Table<'_>, bucket: &str) -> String {
    let Table { contract, sink } = table;
    let column = |name: &str, data_type: &str| format!("  {} {data_type}", identifier(name));
    let schema = file_schema(contract, sink);
    let columns = schema.fields().iter().map(|f| column(f.name(), &type_name(f.data_type())));
    let columns = columns.collect::<Vec<_>>().join(",\n");
    let levels = sink.partition_by.iter().map(|level| {
        let data_type = match level {
            PartitionBy::Column(name) => {
                let known = contract.schema().column_with_name(name);
                known.map_or_else(|| "string".to_owned(), |(_, f)| type_name(f.data_type()))
            }
            PartitionBy::Part { .. } | PartitionBy::Text(_) => "string".to_owned(),
        };
        column(&level.folder(), &data_type)
    });
    let levels: Vec<_> = levels.collect();
    let name = identifier(name);
    let place = format!("s3://{bucket}/{}/", sink.path).replace('\'', "''");
    let mut text = format!("CREATE EXTERNAL TABLE IF NOT EXISTS {name} (\n{columns}\n)\n");
    if !levels.is_empty() {
        text.push_str(&format!("PARTITIONED BY (\n{}\n)\n", levels.join(",\n")));
    }
    text.push_str(&format!("STORED AS PARQUET\nLOCATION '{place}';"));
    if !levels.is_empty() {
        text.push_str(&format!("\nMSCK REPAIR TABLE {name};"));
    }
    text
}

/// Hive has no unsigned integers and no times.
fn type_name(data_type: &DataType) -> String {
    #[allow(clippy::wildcard_enum_match_arm, reason = "a contract has no other types")]
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "tinyint",
        DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "int",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 | DataType::Time64(_) => "bigint",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Date32 => "date",
        DataType::Timestamp(_, _) => "timestamp",
        DataType::Decimal128(precision, scale) => return format!("decimal({precision}, {scale})"),
        _ => "string",
    };
    name.to_owned()
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
