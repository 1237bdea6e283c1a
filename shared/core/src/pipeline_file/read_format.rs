//! `format`: how dates and times are written.

use crate::check::strftime::{Moment, Strftime};
use crate::pipeline::Formats;
use crate::pipeline::{ColumnType, TimestampFormat};
use crate::toml_file::problem::{At, Report, nearest, quoted};
use crate::toml_file::section::{Section, text_of};
use crate::toml_file::tree::Value;

const STAMP: &str = "\"rfc3339\", \"epoch_s\", \"epoch_ms\", \"epoch_us\", \"epoch_ns\" or strftime, e.g. \
                     \"%d.%m.%Y %H:%M\"";
const DATE: &str =
    "strftime, e.g. \"%d.%m.%Y\", \"iso\", \"epoch_days\", \"epoch_s\" or \"epoch_ms\"";
const TIME: &str = "strftime, e.g. \"%H:%M:%S\", or \"iso\"";

/// The type with the format that the column names.
pub(super) fn read_format(
    section: &Section<'_>,
    data_type: ColumnType,
    known_type: bool,
    report: &mut Report,
) -> ColumnType {
    if section.get("format").is_none() {
        return data_type;
    }
    let (moment, example) = match &data_type {
        ColumnType::Date { .. } => (Moment::Date, DATE),
        ColumnType::Time { .. } => (Moment::Time, TIME),
        ColumnType::Timestamp { .. } => (Moment::Timestamp, STAMP),
        ColumnType::Bool
        | ColumnType::Int(_)
        | ColumnType::UInt(_)
        | ColumnType::Float(_)
        | ColumnType::Decimal { .. }
        | ColumnType::String => {
            if known_type {
                let what = "is for date, time and timestamp columns only";
                section.wrong("format", what, "no format, or another type", report);
            }
            return data_type;
        }
    };
    let Some(formats) = read_formats(section, moment, example, report) else { return data_type };
    match moment {
        Moment::Date => ColumnType::Date { format: Some(formats) },
        Moment::Time => ColumnType::Time { format: Some(formats) },
        Moment::Timestamp => ColumnType::Timestamp {
            format: match &formats {
                Formats::One(text) => timestamp_format(text),
                Formats::AnyOf(texts) => {
                    let formats = texts.iter().map(|text| timestamp_format(text));
                    TimestampFormat::AnyOf(formats.collect())
                }
            },
        },
    }
}

/// One format or a list of them; a list of one is that one.
fn read_formats(
    section: &Section<'_>,
    moment: Moment,
    example: &str,
    report: &mut Report,
) -> Option<Formats> {
    let node = section.get("format")?;
    let name = section.full("format");
    let texts: Vec<(At, &str)> = if matches!(node.value, Value::List(_)) {
        section.texts("format", example, report)?
    } else {
        vec![(node.at, text_of(node, &name, example, report)?)]
    };
    if texts.is_empty() {
        report.problem(node.at, &name, "names no format", example);
        return None;
    }
    let mut formats: Vec<String> = Vec::with_capacity(texts.len());
    for (at, text) in texts {
        if let Err(what) = check(text, moment) {
            let near = nearest(text, words(moment).iter().copied());
            let write = near.map_or_else(|| example.to_owned(), quoted);
            report.problem(at, &name, what, write);
        }
        if formats.iter().any(|other| other == text) {
            report.problem(at, &name, format!("{} stands twice", quoted(text)), "it once");
        }
        formats.push(text.to_owned());
    }
    match formats.as_slice() {
        [only] => Some(Formats::One(only.clone())),
        _ => Some(Formats::AnyOf(formats)),
    }
}

/// The formats that have a name.
fn words(moment: Moment) -> &'static [&'static str] {
    match moment {
        Moment::Date => &["iso", "epoch_days", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"],
        Moment::Time => &["iso"],
        Moment::Timestamp => &["rfc3339", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"],
    }
}

fn check(text: &str, moment: Moment) -> Result<(), String> {
    if words(moment).contains(&text) {
        return Ok(());
    }
    Strftime::new(text, moment).map(|_| ())
}

fn timestamp_format(text: &str) -> TimestampFormat {
    match text {
        "rfc3339" => TimestampFormat::Rfc3339,
        "epoch_s" => TimestampFormat::EpochSeconds,
        "epoch_ms" => TimestampFormat::EpochMillis,
        "epoch_us" => TimestampFormat::EpochMicros,
        "epoch_ns" => TimestampFormat::EpochNanos,
        text => TimestampFormat::Strftime(text.to_owned()),
    }
}
