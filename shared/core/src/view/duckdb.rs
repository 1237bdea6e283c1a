//! A view for DuckDB. It reads the folders by itself, told which type each has.

use arrow_schema::DataType;

use super::{Group, Place, Table, nothing};
use crate::pipeline::{DatePart, PartitionBy};

pub(super) fn view(name: &str, table: Table<'_>, groups: &[Group<'_>]) -> String {
    let parts = table.sink.partition_by.iter().filter(|level| is_part(level));
    let parts: Vec<_> = parts.collect();
    let mut selects: Vec<_> = groups.iter().map(|group| select(table, &parts, group)).collect();
    if selects.is_empty() {
        let null = |data_type: &str, name: &str| {
            format!("CAST(NULL AS {data_type}) AS {}", identifier(name))
        };
        let fields = table.contract.schema().fields().iter();
        let columns = fields.map(|field| null(&type_name(field.data_type()), field.name()));
        let parts = parts.iter().map(|level| null(part_type(level), &level.folder()));
        selects.push(nothing(columns.chain(parts)));
    }
    let head = format!("CREATE OR REPLACE VIEW {} AS", identifier(name));
    format!("{head}\n{};", selects.join("\nUNION ALL\n"))
}

/// Years, months, days and hours are columns of the view: DuckDB skips folders by them.
fn is_part(level: &PartitionBy) -> bool {
    matches!(level, PartitionBy::Part { .. })
}

fn select(table: Table<'_>, parts: &[&PartitionBy], group: &Group<'_>) -> String {
    let named = |value: String, name: &str| {
        let name = identifier(name);
        if value == name { value } else { format!("{value} AS {name}") }
    };
    let value = |name: &str, shown: &DataType| match group.place(name) {
        Place::File(found) | Place::Folder(found) => cast(identifier(name), found, shown),
        Place::Nowhere => format!("CAST(NULL AS {})", type_name(shown)),
    };
    let fields = table.contract.schema().fields().iter();
    let columns = fields.map(|field| named(value(field.name(), field.data_type()), field.name()));
    let parts = parts.iter().map(|level| {
        let folder = level.folder();
        if group.levels.contains(level) {
            return identifier(&folder);
        }
        let of = table.contract.schema().column_with_name(level.column());
        let shown = of.map_or(DataType::Date32, |(_, field)| field.data_type().clone());
        named(part_of(level, &value(level.column(), &shown), &shown), &folder)
    });
    let columns: Vec<_> = columns.chain(parts).collect();
    format!("SELECT {}\nFROM {}", columns.join(", "), files(group))
}

fn files(group: &Group<'_>) -> String {
    let paths = group.files.iter().map(|file| format!("  {}", literal(&file.path)));
    let paths = paths.collect::<Vec<_>>().join(",\n");
    if group.levels.is_empty() {
        return format!("read_parquet([\n{paths}\n], hive_partitioning = false)");
    }
    let types = group.levels.iter().map(|level| {
        let data_type = match level {
            PartitionBy::Column(name) => {
                let known = group.contract.schema().column_with_name(name);
                known.map_or_else(|| "VARCHAR".to_owned(), |(_, f)| type_name(f.data_type()))
            }
            PartitionBy::Part { .. } => part_type(level).to_owned(),
            PartitionBy::Text(_) => "VARCHAR".to_owned(),
        };
        format!("{}: {data_type}", literal(&level.folder()))
    });
    let types = types.collect::<Vec<_>>().join(", ");
    format!(
        "read_parquet([\n{paths}\n], hive_partitioning = true, hive_types_autocast = false, \
         hive_types = {{{types}}})"
    )
}

fn part_type(level: &PartitionBy) -> &'static str {
    match level {
        PartitionBy::Part { part: DatePart::Year, .. } => "BIGINT",
        PartitionBy::Part { part: DatePart::Day, .. } => "DATE",
        PartitionBy::Part { part: DatePart::Month | DatePart::Hour, .. }
        | PartitionBy::Column(_)
        | PartitionBy::Text(_) => "VARCHAR",
    }
}

/// The part of a value, as the folder would have it: in UTC, whatever zone the session is in.
fn part_of(level: &PartitionBy, value: &str, data_type: &DataType) -> String {
    let is_instant = matches!(data_type, DataType::Timestamp(_, _));
    let wall =
        if is_instant { format!("make_timestamp(epoch_us({value}))") } else { value.to_owned() };
    match level {
        PartitionBy::Part { part: DatePart::Year, .. } => format!("year({wall})"),
        PartitionBy::Part { part: DatePart::Month, .. } => format!("strftime({wall}, '%Y-%m')"),
        PartitionBy::Part { part: DatePart::Day, .. } => format!("CAST({wall} AS DATE)"),
        PartitionBy::Part { part: DatePart::Hour, .. } => {
            format!("strftime({wall}, '%Y-%m-%dT%H')")
        }
        PartitionBy::Column(_) | PartitionBy::Text(_) => wall,
    }
}

fn cast(value: String, from: &DataType, to: &DataType) -> String {
    match (from, to) {
        _ if from == to => value,
        (DataType::Int64, DataType::Time64(_)) => {
            format!("CAST(TIME '00:00:00' + to_microseconds({value}) AS TIME)")
        }
        _ => format!("CAST({value} AS {})", type_name(to)),
    }
}

fn type_name(data_type: &DataType) -> String {
    #[allow(clippy::wildcard_enum_match_arm, reason = "a contract has no other types")]
    let name = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "UTINYINT",
        DataType::UInt16 => "USMALLINT",
        DataType::UInt32 => "UINTEGER",
        DataType::UInt64 => "UBIGINT",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Date32 => "DATE",
        DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, _) => "TIMESTAMPTZ",
        DataType::Decimal128(precision, scale) => return format!("DECIMAL({precision}, {scale})"),
        _ => "VARCHAR",
    };
    name.to_owned()
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
