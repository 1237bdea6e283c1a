//! Whether a patch fits a pipeline.

use super::operation::Operation;
use super::{Fix, Patch};
use crate::pipeline::{Column, ColumnSource, ColumnType, Format, Pipeline, TimestampFormat};
use crate::toml_file::problem::{At, Report};
use crate::toml_file::{Problems, nearest, quoted};

pub(super) fn check(patch: &Patch, pipeline: &Pipeline) -> Result<(), Problems> {
    let mut report = Report::default();
    report.files.push(patch.file.clone());
    if patch.pipeline != pipeline.name {
        let what = format!(
            "the patch is for {}, the rows are of {}",
            quoted(&patch.pipeline),
            quoted(&pipeline.name)
        );
        let write = quoted(&pipeline.name);
        report.problem(At { file: 0, line: 1 }, "pipeline", what, write);
    }
    for (number, fix) in (1..).zip(&patch.fixes) {
        if let Some((key, what, write)) = problem(fix, pipeline) {
            let name = format!("fix[{number}].{key}");
            report.problem(At { file: 0, line: fix.line }, &name, what, write);
        }
    }
    report.into_problems().map_or(Ok(()), Err)
}

/// Key, what is wrong, and what to write.
type Found = Option<(&'static str, String, String)>;

fn problem(fix: &Fix, pipeline: &Pipeline) -> Found {
    if let Operation::Rename { to, .. } = &fix.operation
        && let Format::Csv(_) = pipeline.source.format
    {
        let what =
            "a CSV record has no names to change: the header is read once for the whole file";
        let write = format!(
            "the header's name into the pipeline file, {to} = {{ from = [{}, ..] }}, and run \
             `rowproof rerun`",
            quoted(to)
        );
        return Some(("rename", what.to_owned(), write));
    }
    let name = fix.column.as_ref()?;
    let Some(column) = pipeline.columns.iter().find(|column| column.name == *name) else {
        let names = || pipeline.columns.iter().map(|column| column.name.as_str());
        let what = format!("the pipeline has no column {}", quoted(name));
        let write = nearest(name, names())
            .map_or_else(|| format!("one of {}", names().collect::<Vec<_>>().join(", ")), quoted);
        return Some(("column", what, write));
    };
    if let ColumnSource::Capture(capture) = &column.from {
        let what =
            format!("{name} is the {{{capture}}} of the object's key, not a field of the record");
        return Some(("column", what, "a column that a field feeds".to_owned()));
    }
    operation(fix, column, pipeline)
}

fn operation(fix: &Fix, column: &Column, pipeline: &Pipeline) -> Found {
    let name = &column.name;
    let of_type = |what: &str, write: &str| {
        Some(("cast", format!("{name} is no {what} column"), write.to_owned()))
    };
    match (&fix.operation, &column.data_type) {
        (Operation::SetNull, _) => set_null(column, pipeline),
        (
            Operation::CastDecimal { .. },
            ColumnType::Int(_)
            | ColumnType::UInt(_)
            | ColumnType::Float(_)
            | ColumnType::Decimal { .. },
        )
        | (Operation::CastDate(_), ColumnType::Date { .. }) => None,
        (Operation::CastDecimal { .. }, _) => of_type("number", "replace, for a text"),
        (Operation::CastDate(_), ColumnType::Timestamp { .. }) => {
            of_type("date", "cast = { timestamp = \"...\" }")
        }
        (Operation::CastDate(_), _) => of_type("date", "replace, for a text"),
        (Operation::CastTimestamp(format), ColumnType::Timestamp { format: own }) => {
            let zone = column.reading.timezone.is_some()
                || pipeline.source.timezone.is_some()
                || format.has_offset();
            (counts_from_1970(own) && !zone).then(|| {
                let what = format!("{name} counts from 1970 UTC, and the texts say no offset");
                (
                    "cast",
                    what,
                    "a format with %z, or source.timezone in the pipeline file".to_owned(),
                )
            })
        }
        (Operation::CastTimestamp(_), ColumnType::Date { .. }) => {
            of_type("timestamp", "cast = { date = \"...\" }")
        }
        (Operation::CastTimestamp(_), _) => of_type("timestamp", "replace, for a text"),
        (
            Operation::Replace(_)
            | Operation::Set(_)
            | Operation::Trim(_)
            | Operation::Rename { .. }
            | Operation::Raw(_),
            _,
        ) => None,
    }
}

/// Whether the column's values can only be written as instants.
fn counts_from_1970(format: &TimestampFormat) -> bool {
    match format {
        TimestampFormat::EpochSeconds
        | TimestampFormat::EpochMillis
        | TimestampFormat::EpochMicros
        | TimestampFormat::EpochNanos => true,
        TimestampFormat::Rfc3339 | TimestampFormat::Strftime(_) => false,
        TimestampFormat::AnyOf(formats) => formats.iter().all(counts_from_1970),
    }
}

fn set_null(column: &Column, pipeline: &Pipeline) -> Found {
    if !column.nullable && column.default.is_none() {
        let what = format!("{} is not nullable and has no default", column.name);
        return Some(("set_null", what, "set = \"...\"".to_owned()));
    }
    match &pipeline.source.format {
        Format::Csv(dialect) if dialect.null.is_empty() => {
            let what = "no text means NULL in this pipeline: its csv.null is empty".to_owned();
            Some(("set_null", what, "set = \"...\"".to_owned()))
        }
        Format::Csv(_) | Format::Jsonl(_) => None,
    }
}
