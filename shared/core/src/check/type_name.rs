//! Types as messages call them.

use super::number::{FALSE_WORDS, TRUE_WORDS};
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
