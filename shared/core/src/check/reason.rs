//! Why a row was rejected, in words that name the column and the expectation, never the value.

use super::Reject;
use super::contract::Contract;
use super::number::{FALSE_WORDS, TRUE_WORDS};
use crate::block::RejectCode;
use crate::pipeline::{Column, ColumnType, Formats, TimestampFormat};

/// `an int64`, `a decimal(12,2)`, `a date in the format %d.%m.%Y`.
pub(crate) fn type_name(column: &Column) -> String {
    let formatted = |what: &str, formats: &[String], otherwise: &str| match formats {
        [] => format!("a {what} like {otherwise}"),
        [format] if format == "iso" => format!("a {what} like {otherwise}"),
        [format] if format.starts_with("epoch_") => format!("a {what} as {format}"),
        [format] => format!("a {what} in the format {format}"),
        formats => format!("a {what} in one of the formats {}", formats.join(", ")),
    };
    let texts = |format: &Option<Formats>| format.as_ref().map_or(vec![], |f| f.texts().to_vec());
    match &column.data_type {
        ColumnType::Bool if !column.reading.true_words.is_empty() => {
            "one of the words of true and false".to_owned()
        }
        ColumnType::Bool => {
            let (yes, no) = (TRUE_WORDS.join(", "), FALSE_WORDS.join(", "));
            format!("a bool ({yes}; {no})")
        }
        ColumnType::Int(bits) => format!("an int{bits}"),
        ColumnType::UInt(bits) => format!("a uint{bits}"),
        ColumnType::Float(bits) => format!("a float{bits}"),
        ColumnType::Decimal { precision, scale } => format!("a decimal({precision},{scale})"),
        ColumnType::String => "text".to_owned(),
        ColumnType::Date { format } => formatted("date", &texts(format), "2026-11-23"),
        ColumnType::Time { format } => formatted("time", &texts(format), "10:11:12"),
        ColumnType::Timestamp { format: TimestampFormat::AnyOf(formats) } => {
            let formats: Vec<_> = formats.iter().map(|f| f.as_str().to_owned()).collect();
            formatted("timestamp", &formats, "")
        }
        ColumnType::Timestamp { format } => match format.as_str() {
            "rfc3339" => "a timestamp like 2026-11-23T10:11:12Z".to_owned(),
            text => formatted("timestamp", &[text.to_owned()], ""),
        },
    }
}

/// The text of a reject; `fields` is how many a well-formed record has.
pub(super) fn reason(contract: &Contract, reject: &Reject, fields: usize) -> String {
    let column = reject.column.and_then(|index| contract.column(index));
    if let Some(refusal) = &reject.refusal {
        let name = column.map(|column| format!("{}: ", column.name)).unwrap_or_default();
        return format!("{name}{refusal}");
    }
    match column {
        Some(column) => {
            let reason = column_reason(column, reject.code);
            let finding = reject.finding.map(|finding| finding.text(column, contract.timezone()));
            let finding = finding.map(|text| format!(": {text}")).unwrap_or_default();
            format!("{}: {reason}{finding}", column.name)
        }
        None => record_reason(contract, reject, fields),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the other codes do not come from a column")]
fn column_reason(column: &Column, code: RejectCode) -> String {
    match code {
        RejectCode::Type => format!("not {}", type_name(column)),
        RejectCode::NotNull => "a value is required".to_owned(),
        RejectCode::Range => match (&column.min, &column.max) {
            (Some(min), Some(max)) => format!("not between {min} and {max}"),
            (Some(min), None) => format!("less than {min}"),
            (None, Some(max)) => format!("more than {max}"),
            (None, None) => "out of range".to_owned(),
        },
        RejectCode::Length => match (column.min_length, column.max_length) {
            (Some(min), Some(max)) => format!("not {min} to {max} characters long"),
            (Some(min), None) => format!("shorter than {min} characters"),
            (None, Some(max)) => format!("longer than {max} characters"),
            (None, None) => "wrong length".to_owned(),
        },
        RejectCode::Pattern => {
            format!("does not match {}", column.pattern.as_deref().unwrap_or_default())
        }
        RejectCode::OneOf => {
            let values = column.one_of.as_ref().map_or(0, Vec::len);
            format!("not one of the {values} allowed values")
        }
        other => other.to_string(),
    }
}

fn record_reason(contract: &Contract, reject: &Reject, fields: usize) -> String {
    match reject.code {
        RejectCode::FieldCount => match reject.fields_found {
            Some(found) => format!("expected {fields} fields, found {found}"),
            None => format!("expected {fields} fields"),
        },
        RejectCode::BadEscape => {
            "an escape that stands for nothing: \\0 is NUL, which a text cannot hold".to_owned()
        }
        RejectCode::RepeatedHeader => "the header of the file once more".to_owned(),
        RejectCode::BadQuote => "a quote inside a field that is not doubled".to_owned(),
        RejectCode::UnterminatedQuote => "a quoted field that is never closed".to_owned(),
        RejectCode::BadJson => {
            "not exactly one JSON object: broken, a name twice, or more behind it".to_owned()
        }
        RejectCode::Encoding => format!("not valid {}", contract.encoding()),
        RejectCode::UnknownField => "a field that the columns do not name".to_owned(),
        RejectCode::TooLarge => "the record or one of its fields is over the size limit".to_owned(),
        RejectCode::DuplicateKey => "another row with this key was taken".to_owned(),
        RejectCode::Poison => "this record stops the worker".to_owned(),
        RejectCode::SinkRejected => "the sink refused the row".to_owned(),
        RejectCode::Type
        | RejectCode::NotNull
        | RejectCode::Range
        | RejectCode::Length
        | RejectCode::Pattern
        | RejectCode::OneOf
        | RejectCode::Rule
        | RejectCode::Derive => format!("the record fails ({})", reject.code),
    }
}
