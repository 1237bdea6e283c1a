//! A contract column, compiled: how its text is read and what its values must obey.

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use serde_json::Value;

use super::cell::CellReader;
use super::format::{DateFormat, InstantFormat, TimeFormat};
use super::lane::{FixedLane, Lane, LaneColumn, boolean, primitive};
use super::notation::{Notation, Words};
use super::number;
use super::rules::Rules;
use super::rules::TextRules;
use super::text_lane::TextLane;
use crate::pipeline::ColumnType;

/// A column as `check` runs it.
#[derive(Debug, Clone)]
pub(crate) struct CheckedColumn {
    pub(crate) name: String,
    /// The capture that feeds it; otherwise a field does.
    pub(crate) capture: Option<String>,
    pub(crate) nullable: bool,
    pub(crate) reader: CellReader,
    pub(crate) data_type: DataType,
    /// How numbers are written, where that is declared. Never for columns that are no numbers.
    pub(crate) notation: Option<Notation>,
    pub(crate) kind: Kind,
}

/// Type, format and rules of a column.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// With the column's own words, or those that every bool column has.
    Bool(Option<Words>, Rules<bool>),
    Int8(Rules<i8>),
    Int16(Rules<i16>),
    Int32(Rules<i32>),
    Int64(Rules<i64>),
    UInt8(Rules<u8>),
    UInt16(Rules<u16>),
    UInt32(Rules<u32>),
    UInt64(Rules<u64>),
    Float32(Rules<f32>),
    Float64(Rules<f64>),
    Decimal {
        precision: u8,
        scale: u8,
        rules: Rules<i128>,
    },
    Text(TextRules),
    Date(DateFormat, Rules<i32>),
    Time(TimeFormat, Rules<i64>),
    Timestamp(InstantFormat, Rules<i64>),
}

impl CheckedColumn {
    /// A lane for `rows` rows of this column.
    pub(crate) fn lane<'a>(
        &'a self,
        column: LaneColumn<'a>,
        rows: usize,
    ) -> Box<dyn Lane<'a> + 'a> {
        macro_rules! fixed {
            ($parse:expr, $build:expr, $rules:expr) => {
                Box::new(FixedLane::new(column, ($parse, $build), $rules, &self.data_type, rows))
            };
        }
        macro_rules! numbers {
            ($parse:expr, $arrow:ty, $rules:expr) => {
                match &self.notation {
                    None => fixed!(move |text: &[u8], _| $parse(text), primitive::<$arrow>, $rules),
                    Some(notation) => {
                        fixed!(notation.reader($parse), primitive::<$arrow>, $rules)
                    }
                }
            };
        }
        match &self.kind {
            Kind::Bool(None, rules) => {
                fixed!(|text: &[u8], _| number::boolean(text), boolean, rules)
            }
            Kind::Bool(Some(words), rules) => {
                fixed!(|text: &[u8], literal| words.parse(text, literal), boolean, rules)
            }
            Kind::Int8(rules) => numbers!(number::int, Int8Type, rules),
            Kind::Int16(rules) => numbers!(number::int, Int16Type, rules),
            Kind::Int32(rules) => numbers!(number::int, Int32Type, rules),
            Kind::Int64(rules) => numbers!(number::int, Int64Type, rules),
            Kind::UInt8(rules) => numbers!(number::uint, UInt8Type, rules),
            Kind::UInt16(rules) => numbers!(number::uint, UInt16Type, rules),
            Kind::UInt32(rules) => numbers!(number::uint, UInt32Type, rules),
            Kind::UInt64(rules) => numbers!(number::uint, UInt64Type, rules),
            Kind::Float32(rules) => numbers!(number::float32, Float32Type, rules),
            Kind::Float64(rules) => numbers!(number::float64, Float64Type, rules),
            Kind::Decimal { precision, scale, rules } => {
                let (precision, scale) = (*precision, *scale);
                let parse = move |text: &[u8]| number::decimal(text, precision, scale);
                numbers!(parse, Decimal128Type, rules)
            }
            Kind::Text(rules) => Box::new(TextLane::new(column, rules, rows)),
            Kind::Date(format, rules) => {
                fixed!(|text: &[u8], _| format.parse(text), primitive::<Date32Type>, rules)
            }
            Kind::Time(format, rules) => {
                let build = primitive::<Time64MicrosecondType>;
                fixed!(|text: &[u8], _| format.parse(text), build, rules)
            }
            Kind::Timestamp(format, rules) => {
                let build = primitive::<TimestampMicrosecondType>;
                fixed!(|text: &[u8], _| format.parse(text), build, rules)
            }
        }
    }

    /// The text as a JSON value if it is one of the type, rules aside: whole numbers and booleans as
    /// themselves, everything else as its text. `literal`: it is a number or a word of JSON.
    pub(crate) fn json(&self, text: &[u8], literal: bool) -> Option<Value> {
        let mut plain = Vec::new();
        let number = match &self.notation {
            Some(notation) if !literal => {
                if !notation.plain(text, &mut plain) {
                    return None;
                }
                plain.as_slice()
            }
            Some(_) | None => text,
        };
        let accepted = match &self.kind {
            Kind::Bool(None, _) => return number::boolean(text).map(Value::from),
            Kind::Bool(Some(words), _) => return words.parse(text, literal).map(Value::from),
            Kind::Int8(_) => return number::int::<i8>(number).map(Value::from),
            Kind::Int16(_) => return number::int::<i16>(number).map(Value::from),
            Kind::Int32(_) => return number::int::<i32>(number).map(Value::from),
            Kind::Int64(_) => return number::int::<i64>(number).map(Value::from),
            Kind::UInt8(_) => return number::uint::<u8>(number).map(Value::from),
            Kind::UInt16(_) => return number::uint::<u16>(number).map(Value::from),
            Kind::UInt32(_) => return number::uint::<u32>(number).map(Value::from),
            Kind::UInt64(_) => return number::uint::<u64>(number).map(Value::from),
            Kind::Float32(_) => number::float32(number).is_some(),
            Kind::Float64(_) => number::float64(number).is_some(),
            Kind::Decimal { precision, scale, .. } => {
                number::decimal(number, *precision, *scale).is_some()
            }
            Kind::Text(_) => true,
            Kind::Date(format, _) => format.parse(text).is_some(),
            Kind::Time(format, _) => format.parse(text).is_some(),
            Kind::Timestamp(format, _) => format.parse(text).is_some(),
        };
        accepted.then(|| Value::from(String::from_utf8_lossy(text)))
    }
}

/// The Arrow type of a contract type. Widths are those that the pipeline file allows.
pub(crate) fn arrow_type(column_type: &ColumnType) -> DataType {
    match column_type {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int(8) => DataType::Int8,
        ColumnType::Int(16) => DataType::Int16,
        ColumnType::Int(32) => DataType::Int32,
        ColumnType::Int(_) => DataType::Int64,
        ColumnType::UInt(8) => DataType::UInt8,
        ColumnType::UInt(16) => DataType::UInt16,
        ColumnType::UInt(32) => DataType::UInt32,
        ColumnType::UInt(_) => DataType::UInt64,
        ColumnType::Float(32) => DataType::Float32,
        ColumnType::Float(_) => DataType::Float64,
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
        ColumnType::String => DataType::Utf8,
        ColumnType::Date { .. } => DataType::Date32,
        ColumnType::Time { .. } => DataType::Time64(TimeUnit::Microsecond),
        ColumnType::Timestamp { .. } => DataType::Timestamp(TimeUnit::Microsecond, utc()),
    }
}

/// The zone of every timestamp column.
pub(crate) fn utc() -> Option<std::sync::Arc<str>> {
    Some("UTC".into())
}
