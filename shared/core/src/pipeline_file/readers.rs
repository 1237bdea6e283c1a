//! Where engines read one Parquet table differently, and what to write so that they do not.

use super::columns::ReadColumn;
use crate::pipeline::{Column, ColumnType};
use crate::pipeline::{ParquetSink, PartitionBy, TimeForm};
use crate::toml_file::problem::{At, Report, quoted};
use crate::toml_file::section::Section;

/// Texts that one reader or another takes for a number, a bool, a date or a NULL when they name a folder.
const MISTAKEN: [&str; 16] = [
    "007",
    "7",
    "-1",
    "1.50",
    "1e5",
    "0x1F",
    "1_000",
    "NaN",
    "inf",
    "true",
    "False",
    "null",
    "NULL",
    "2026-01-01",
    "2026-01-01 10:00:00",
    "20260101",
];

/// Notes on a sink whose parts are known.
pub(super) fn note(
    section: &Section<'_>,
    sink: &ParquetSink,
    levels: &[(At, &str)],
    columns: &[ReadColumn],
    report: &mut Report,
) {
    let column_of =
        |name: &str| columns.iter().map(|(_, column)| column).find(|column| column.name == name);
    for (at, text) in levels {
        let is_column = sink.partition_by.contains(&PartitionBy::Column((*text).to_owned()));
        if let Some(column) = column_of(text).filter(|_| is_column) {
            note_folder(*at, &section.full("partition_by"), column, report);
        }
    }
    let is_time = |(_, column): &&ReadColumn| matches!(column.data_type, ColumnType::Time { .. });
    if let (TimeForm::Time, Some((at, column))) = (sink.time, columns.iter().find(is_time)) {
        let what = format!(
            "{} is a time: Spark (without spark.sql.timeType.enabled) and Delta cannot read a table \
             that has one, and ClickHouse makes a moment of 1970-01-01 of it",
            quoted(&column.name)
        );
        let write = "time = \"int64\" (microseconds since midnight) or time = \"string\", or leave it \
                     where neither reads the table";
        report.note(*at, &section.full("time"), what, write);
    }
}

fn note_folder(at: At, key: &str, column: &Column, report: &mut Report) {
    let mut notes = vec![];
    match column.data_type {
        ColumnType::String => {
            if let Some(text) = MISTAKEN.iter().find(|text| allows(column, text)) {
                notes.push(format!(
                    "a folder named {} is read as another type by Polars, pyarrow, Spark, ClickHouse \
                     and daft, and 007 and 7 become one",
                    quoted(text)
                ));
            }
            if allows(column, "") {
                notes.push("one empty text keeps Spark from reading the whole table".to_owned());
            }
        }
        ColumnType::Bool => {
            notes.push("DuckDB, Spark and pyarrow read the folders' true and false as text".into());
        }
        ColumnType::UInt(64) => {
            notes.push("DuckDB and pyarrow read the folders as text, daft loses digits".into());
        }
        ColumnType::Int(_)
        | ColumnType::UInt(_)
        | ColumnType::Float(_)
        | ColumnType::Decimal { .. }
        | ColumnType::Date { .. }
        | ColumnType::Time { .. }
        | ColumnType::Timestamp { .. } => {}
    }
    if column.nullable && column.default.is_none() {
        notes.push(
            "one NULL keeps pandas, dask and ClickHouse from reading the whole table, and DataFusion \
             reads a text"
                .to_owned(),
        );
    }
    if notes.is_empty() {
        return;
    }
    let name = &column.name;
    let write = format!(
        "{} where engines read the folders by themselves: the column stays in the files",
        quoted(&format!("text({name})"))
    );
    report.note(at, key, format!("{} names folders: {}", quoted(name), notes.join("; ")), write);
}

/// Whether the column's own rules let this text through.
fn allows(column: &Column, text: &str) -> bool {
    let length = text.chars().count();
    let within = |bound: Option<u32>, fits: fn(usize, usize) -> bool| {
        let bound = bound.and_then(|bound| usize::try_from(bound).ok());
        bound.is_none_or(|bound| fits(length, bound))
    };
    let listed = column.one_of.as_ref().is_none_or(|values| values.iter().any(|v| v == text));
    let pattern = column.pattern.as_deref().and_then(|text| regex::Regex::new(text).ok());
    listed
        && within(column.min_length, |length, min| length >= min)
        && within(column.max_length, |length, max| length <= max)
        && pattern.is_none_or(|pattern| pattern.is_match(text))
}
