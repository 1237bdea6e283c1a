//! Why a row was rejected, in words that name the column and the expectation, never the value.

use super::Reject;
use super::contract::Contract;
use super::type_name::type_name;
use crate::block::{Layout, RejectCode};
use crate::pipeline::Column;

impl Contract {
    /// Why the row was rejected; it names the column and the expectation, never the value.
    pub fn reason(&self, reject: &Reject, layout: &Layout) -> String {
        reason(self, reject, layout.fields)
    }
}

/// The text of a reject; `fields` is how many a well-formed record has.
fn reason(contract: &Contract, reject: &Reject, fields: usize) -> String {
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
