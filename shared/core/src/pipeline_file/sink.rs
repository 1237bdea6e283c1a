//! `[sink]` and `[errors]`: where good rows go, and what happens to bad ones.

use super::columns::ReadColumn;
use super::postgres;
use super::readers;
use super::sink_keys::parts_per_million;
use super::sink_keys::read_added;
use super::sink_options;
use crate::pipeline::{ArchiveRaw, ColumnType, ErrorPolicy, HoldIf, Rejected};
use crate::pipeline::{DatePart, ParquetSink, PartitionBy, Sink};
use crate::toml_file::problem::{At, Report, nearest, quoted};
use crate::toml_file::section::{Key, Section, key, shown};
use crate::toml_file::tree::Value;

pub(super) const KEYS: [Key; 2] = [key("parquet"), key("postgres")];
pub(super) const PARQUET_KEYS: [Key; 6] = [
    key("path"),
    key("partition_by"),
    key("add"),
    key("time"),
    key("bloom_filter"),
    key("field_ids"),
];
pub(super) const ERROR_KEYS: [Key; 2] = [key("hold_if"), key("archive_raw")];
pub(super) const HOLD_KEYS: [Key; 2] = [key("rejected"), key("min_rows")];

/// Longest sink path, in bytes: partition folders and file names must fit behind it.
const PATH_BYTES_MAX: usize = 400;
/// Folders of the output bucket that hold the books.
const OWN_FOLDERS: [&str; 2] = ["manifests", "current"];

const PARTS: [DatePart; 4] = [DatePart::Year, DatePart::Month, DatePart::Day, DatePart::Hour];
/// The function of [`PartitionBy::Text`].
const TEXT: &str = "text";

/// `columns` is `None` when they could not all be read; `names` are those of all.
pub(super) fn read(
    section: &Section<'_>,
    columns: Option<&[ReadColumn]>,
    names: &[&str],
    report: &mut Report,
) -> Option<Sink> {
    let named = |sink: &str| section.get(sink).is_some();
    if !named("parquet") && !named("postgres") {
        section.missing("parquet", "[sink.parquet] with path = \"curated/name\"", report);
    }
    if named("parquet") && named("postgres") {
        report.problem(section.at, "sink", "names two sinks", "one sink for each pipeline");
    }
    if named("postgres") && !named("parquet") {
        return postgres::read(section, columns, report).map(Sink::Postgres);
    }
    let parquet = section.section("parquet", &PARQUET_KEYS, report)?;
    let path = read_path(&parquet, report);
    let levels = parquet.texts("partition_by", "[\"day(created_at)\"]", report);
    let levels = levels.unwrap_or_default();
    let mut sink = ParquetSink::new(&path);
    sink.add = read_added(&parquet, report);
    match columns {
        Some(columns) => sink.partition_by = read_partitions(&parquet, &levels, columns, report),
        None => check_names(&levels, names, report),
    }
    sink_options::read(&parquet, &mut sink, columns, report);
    readers::note(&parquet, &sink, &levels, columns.unwrap_or_default(), report);
    Some(Sink::Parquet(sink))
}

fn read_partitions(
    parquet: &Section<'_>,
    levels: &[(At, &str)],
    columns: &[ReadColumn],
    report: &mut Report,
) -> Vec<PartitionBy> {
    let mut partition_by = Vec::new();
    for (at, text) in levels {
        let Some(level) = read_partition(*at, text, columns, report) else {
            continue;
        };
        if partition_by.contains(&level) {
            let what = format!("{} stands twice", quoted(text));
            report.problem(*at, "sink.parquet.partition_by", what, "it once");
        }
        partition_by.push(level);
    }
    let in_path = |(_, column): &&ReadColumn| {
        partition_by.contains(&PartitionBy::Column(column.name.clone()))
    };
    if !columns.is_empty() && columns.iter().all(|column| in_path(&column)) {
        let what = "every column is in the path, so the files would have none";
        parquet.wrong("partition_by", what, "fewer columns", report);
    }
    partition_by
}

/// Partitions by columns that the file does not even name.
fn check_names(levels: &[(At, &str)], names: &[&str], report: &mut Report) {
    for (at, text) in levels {
        let call = text.strip_suffix(')').and_then(|rest| rest.split_once('('));
        let name = call.map_or(*text, |(_, name)| name.trim());
        if !names.contains(text) && !names.contains(&name) {
            unknown_column(*at, name, names.iter().copied(), report);
        }
    }
}

fn unknown_column<'a>(
    at: At,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    report: &mut Report,
) {
    let what = format!("{} is not a column of this pipeline", quoted(name));
    let write = nearest(name, known).map_or_else(|| "a name from [columns]".to_owned(), quoted);
    report.problem(at, "sink.parquet.partition_by", what, write);
}

fn read_path(parquet: &Section<'_>, report: &mut Report) -> String {
    const EXAMPLE: &str = "path = \"curated/orders\"";
    if parquet.get("path").is_none() {
        parquet.missing("path", EXAMPLE, report);
        return String::new();
    }
    let Some(path) = parquet.text("path", EXAMPLE, report) else {
        return String::new();
    };
    let trimmed = path.trim_matches('/');
    let first = trimmed.split('/').next().unwrap_or("");
    let hidden = |segment: &str| segment.starts_with(['_', '.']);
    let special = |c: char| c.is_control() || "=*?[]{}\\".contains(c);
    let (what, write) = if path.is_empty() || trimmed.is_empty() {
        ("is empty".to_owned(), EXAMPLE.to_owned())
    } else if path.contains("://") {
        ("is an address, not a key".to_owned(), "the part after the bucket's name".to_owned())
    } else if trimmed != path {
        ("starts or ends with a slash".to_owned(), quoted(trimmed))
    } else if trimmed.split('/').any(str::is_empty) {
        ("holds an empty folder".to_owned(), "single slashes".to_owned())
    } else if trimmed.split('/').any(hidden) {
        let what = "holds a folder that starts with _ or . and engines do not read those";
        (what.to_owned(), "another name".to_owned())
    } else if OWN_FOLDERS.contains(&first) {
        (format!("{first}/ holds rowproof's own books"), quoted(&format!("data/{path}")))
    } else if let Some(c) = path.chars().find(|c| special(*c)) {
        let what =
            format!("holds {} which engines read as more than a name", quoted(&c.to_string()));
        (what, "letters, digits, - and _".to_owned())
    } else if path.len() > PATH_BYTES_MAX {
        (format!("is over {PATH_BYTES_MAX} bytes"), "a shorter path".to_owned())
    } else {
        return path.to_owned();
    };
    parquet.wrong("path", format!("{} {what}", quoted(path)), &write, report);
    path.to_owned()
}

/// `status`, `day(created_at)` or `text(status)`.
fn read_partition(
    at: At,
    text: &str,
    columns: &[ReadColumn],
    report: &mut Report,
) -> Option<PartitionBy> {
    const NAME: &str = "sink.parquet.partition_by";
    let call = text.strip_suffix(')').and_then(|rest| rest.split_once('('));
    // A column may be named like a call.
    let is_column = columns.iter().any(|(_, column)| column.name == text);
    let level = match call.filter(|_| !is_column) {
        None => PartitionBy::Column(text.to_owned()),
        Some((TEXT, name)) => PartitionBy::Text(name.trim().to_owned()),
        Some((function, name)) => {
            let Some(part) = PARTS.into_iter().find(|part| part.word() == function) else {
                let words = PARTS.map(DatePart::word).into_iter().chain([TEXT]);
                let near = nearest(function, words).unwrap_or("day");
                let what = format!("{} is not a part of a date", quoted(function));
                report.problem(at, NAME, what, quoted(&format!("{near}({name})")));
                return None;
            };
            PartitionBy::Part { part, column: name.trim().to_owned() }
        }
    };
    let name = level.column();
    let Some((_, column)) = columns.iter().find(|(_, column)| column.name == name) else {
        let known = columns.iter().map(|(_, column)| column.name.as_str());
        unknown_column(at, name, known, report);
        return None;
    };
    let part = match &level {
        PartitionBy::Part { part, .. } => Some(*part),
        PartitionBy::Column(_) | PartitionBy::Text(_) => None,
    };
    if let Some(write) = unfit(part, name, &column.data_type) {
        let what = format!("{} does not fit the column's type", quoted(text));
        report.problem(at, NAME, what, write);
    }
    let folder = level.folder();
    if folder.chars().any(|c| "=/\\%*?[]{}".contains(c)) || folder.starts_with(['_', '.']) {
        let what = format!("{} cannot name a folder that engines read", quoted(&folder));
        report.problem(at, NAME, what, "a column of letters, digits and _");
    }
    if folder != name
        && columns.iter().any(|(_, column)| column.name.to_lowercase() == folder.to_lowercase())
    {
        let what = format!("the folders would be named {} like a column", quoted(&folder));
        report.problem(at, NAME, what, "another name for that column");
    }
    Some(level)
}

/// What to write when a column of this type cannot be partitioned by in this way.
fn unfit(part: Option<DatePart>, name: &str, data_type: &ColumnType) -> Option<String> {
    match (data_type, part) {
        (ColumnType::Date { .. }, Some(DatePart::Hour)) => {
            Some(format!("{}: a date has no hours", quoted(&format!("day({name})"))))
        }
        (ColumnType::Date { .. }, _) | (ColumnType::Timestamp { .. }, Some(_)) => None,
        (ColumnType::Timestamp { .. }, None) => Some(quoted(&format!("day({name})"))),
        (
            ColumnType::Bool | ColumnType::Int(_) | ColumnType::UInt(_) | ColumnType::String,
            None,
        ) => None,
        (
            ColumnType::Bool | ColumnType::Int(_) | ColumnType::UInt(_) | ColumnType::String,
            Some(_),
        ) => Some(format!("{}: only dates and timestamps have parts", quoted(name))),
        (ColumnType::Float(_) | ColumnType::Decimal { .. } | ColumnType::Time { .. }, _) => {
            Some("a bool, integer, string, date or timestamp column".to_owned())
        }
    }
}

pub(super) fn read_errors(section: Option<&Section<'_>>, report: &mut Report) -> ErrorPolicy {
    let mut policy = ErrorPolicy { hold_if: None, archive_raw: ArchiveRaw::Full };
    let Some(section) = section else {
        return policy;
    };
    let words = [
        ("full", ArchiveRaw::Full),
        ("masked", ArchiveRaw::Masked),
        ("pointer", ArchiveRaw::Pointer),
    ];
    policy.archive_raw = section.choice("archive_raw", &words, report).unwrap_or(ArchiveRaw::Full);
    if let Some(hold_if) = section.section("hold_if", &HOLD_KEYS, report) {
        let min_rows = hold_if.count("min_rows", report).unwrap_or(0);
        let rejected = read_rejected(&hold_if, report);
        policy.hold_if = rejected.map(|rejected| HoldIf { rejected, min_rows });
    }
    policy
}

fn read_rejected(hold_if: &Section<'_>, report: &mut Report) -> Option<Rejected> {
    const EXAMPLE: &str = "\"5%\" for a share, or a number of rows such as 100";
    let Some(node) = hold_if.get("rejected") else {
        hold_if.missing("rejected", "rejected = \"5%\" or a number of rows", report);
        return None;
    };
    let found = match &node.value {
        Value::Integer(digits) => digits.parse().ok().map(Rejected::Rows),
        Value::Text(text) => parts_per_million(text).map(Rejected::PartsPerMillion),
        Value::Float(_) | Value::Bool(_) | Value::Time(_) | Value::List(_) | Value::Table(_) => {
            None
        }
    };
    if found.is_none() {
        let what = format!("{} is no number of rows and no share", shown(&node.value));
        hold_if.wrong("rejected", what, EXAMPLE, report);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact() {
        for (text, expected) in [
            ("5%", Some(50_000)),
            ("0.5%", Some(5_000)),
            ("0.0001 %", Some(1)),
            ("100%", Some(1_000_000)),
            ("0%", Some(0)),
            ("100.0001%", None),
            ("0.00001%", None),
            ("-1%", None),
            ("5", None),
            (".5%", None),
            ("5.%", None),
            ("%", None),
            ("five%", None),
        ] {
            assert_eq!(parts_per_million(text), expected, "{text}");
        }
    }
}
