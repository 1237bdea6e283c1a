//! What a Parquet sink may be told about its columns: the form of times, bloom filters, field ids.

use std::collections::BTreeMap;

use super::columns::ReadColumn;
use crate::pipeline::ColumnType;
use crate::pipeline::{AddedColumn, ParquetSink, PartitionBy, TimeForm};
use crate::toml_file::problem::{At, Report, nearest, quoted};
use crate::toml_file::section::{Section, shown};
use crate::toml_file::tree::Value;

/// Greatest field id: Iceberg keeps the numbers above for itself.
const FIELD_ID_MAX: u32 = 2_147_483_447;

/// Reads them into a sink whose folders and added columns are known. `columns` is `None` when they could
/// not all be read.
pub(super) fn read(
    section: &Section<'_>,
    sink: &mut ParquetSink,
    columns: Option<&[ReadColumn]>,
    report: &mut Report,
) {
    let forms =
        [("time", TimeForm::Time), ("int64", TimeForm::Int64), ("string", TimeForm::String)];
    sink.time = section.choice("time", &forms, report).unwrap_or_default();
    let texts = section.texts("bloom_filter", "[\"id\"]", report).unwrap_or_default();
    let names: Vec<_> = texts.iter().map(|(at, name)| (*at, *name, "bloom_filter")).collect();
    let ids = read_ids(section, report);
    let numbered = ids.iter().map(|(at, name, _)| (*at, name.as_str(), "field_ids"));
    if let Some(columns) = columns {
        for (at, name, key) in names.into_iter().chain(numbered) {
            check_stored(at, name, &section.full(key), sink, columns, report);
        }
        for (at, name) in &texts {
            check_filtered(*at, name, &section.full("bloom_filter"), columns, report);
        }
    }
    for (at, name) in texts {
        match sink.bloom_filter.iter().any(|known| known == name) {
            true => {
                let what = format!("{} stands twice", quoted(name));
                report.problem(at, &section.full("bloom_filter"), what, "it once");
            }
            false => sink.bloom_filter.push(name.to_owned()),
        }
    }
    sink.field_ids = distinct(ids, &section.full("field_ids"), report);
}

fn read_ids(section: &Section<'_>, report: &mut Report) -> Vec<(At, String, u32)> {
    let mut ids = vec![];
    let Some(table) = section.any_section("field_ids", report) else { return ids };
    for entry in &table.table().0 {
        let id = match &entry.node.value {
            Value::Integer(digits) => digits.parse().ok(),
            Value::Text(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Time(_)
            | Value::List(_)
            | Value::Table(_) => None,
        };
        match id.filter(|id| (1..=FIELD_ID_MAX).contains(id)) {
            Some(id) => ids.push((entry.at, entry.key.clone(), id)),
            None => {
                let name = table.full(&entry.key);
                let what = format!("{} is no field id", shown(&entry.node.value));
                let write = format!("a number from 1 to {FIELD_ID_MAX} that it will always have");
                report.problem(entry.at, &name, what, write);
            }
        }
    }
    ids
}

fn distinct(ids: Vec<(At, String, u32)>, name: &str, report: &mut Report) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::<String, u32>::new();
    for (at, column, id) in ids {
        if let Some((other, _)) = found.iter().find(|(_, known)| **known == id) {
            let what = format!("{} has the id {id} of {}", quoted(&column), quoted(other));
            report.problem(at, name, what, "an id of its own");
        }
        found.insert(column, id);
    }
    found
}

/// Reports a name that is no column of the files.
fn check_stored(
    at: At,
    name: &str,
    key: &str,
    sink: &ParquetSink,
    columns: &[ReadColumn],
    report: &mut Report,
) {
    let added = sink.add.iter().map(|added| AddedColumn::name(*added));
    let known = || columns.iter().map(|(_, column)| column.name.as_str()).chain(added.clone());
    if !known().any(|known| known == name) {
        let what = format!("{} is not a column of this pipeline", quoted(name));
        let write =
            nearest(name, known()).map_or_else(|| "a name from [columns]".to_owned(), quoted);
        report.problem(at, key, what, write);
    } else if sink.partition_by.contains(&PartitionBy::Column(name.to_owned())) {
        let what = format!("{} is in the names of the folders, not in the files", quoted(name));
        report.problem(at, key, what, "other columns");
    }
}

/// Reports a column that a bloom filter cannot help to find values of.
fn check_filtered(at: At, name: &str, key: &str, columns: &[ReadColumn], report: &mut Report) {
    let Some((_, column)) = columns.iter().find(|(_, column)| column.name == name) else { return };
    let what = match column.data_type {
        ColumnType::Bool => "has only two values",
        ColumnType::Float(_) => "is a float, and floats are not looked up by equality",
        ColumnType::Int(_)
        | ColumnType::UInt(_)
        | ColumnType::Decimal { .. }
        | ColumnType::String
        | ColumnType::Date { .. }
        | ColumnType::Time { .. }
        | ColumnType::Timestamp { .. } => return,
    };
    let write = "columns that are looked up by equality, such as keys";
    report.problem(at, key, format!("{} {what}", quoted(name)), write);
}
