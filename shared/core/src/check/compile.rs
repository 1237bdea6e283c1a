//! A column of the pipeline file into a [`CheckedColumn`]: every literal is read by the rules of the type.

use std::str::FromStr as _;

use chrono_tz::Tz;
use regex::bytes::Regex;

use super::cell::CellReader;
use super::civil::Finer;
use super::column::{CheckedColumn, Kind, arrow_type};
use super::format::{DateFormat, InstantFormat, TimeFormat};
use super::notation::{Notation, Words};
use super::number;
use super::problem::ColumnProblem;
use super::rules::{Rules, TextRules, TextSet};
use super::type_name::type_name;
use super::zone::WallClock;
use crate::block::RejectCode;
use crate::pipeline::{Column, ColumnSource, ColumnType, Format, LocalTime};

/// Compiles one column; what is wrong with it goes to `problems`.
pub(super) fn column(
    column: &Column,
    format: &Format,
    zone: Option<Tz>,
    problems: &mut Vec<ColumnProblem>,
) -> Option<CheckedColumn> {
    let before = problems.len();
    let kind = Compiler { column, problems }.kind(zone);
    if problems.len() > before {
        return None;
    }
    let (capture, nulls): (_, &[String]) = match (&column.from, format) {
        (ColumnSource::Capture(name), _) => (Some(name.clone()), &[]),
        (_, Format::Csv(dialect)) => (None, &dialect.null),
        (_, Format::Jsonl(options)) => (None, &options.null),
    };
    let null_quoted = match format {
        Format::Csv(dialect) => dialect.null_quoted,
        // Every text of JSON is quoted.
        Format::Jsonl(_) => true,
    };
    let reader = CellReader {
        trim: column.trim,
        null_quoted: null_quoted && capture.is_none(),
        null_empty: nulls.iter().any(String::is_empty),
        null_texts: nulls
            .iter()
            .filter(|text| !text.is_empty())
            .map(|t| t.clone().into())
            .collect(),
        json: matches!((&column.from, format), (ColumnSource::Field(_), Format::Jsonl(_))),
    };
    let notation = if is_number(&column.data_type) { Notation::of(&column.reading) } else { None };
    Some(CheckedColumn {
        name: column.name.clone(),
        capture,
        nullable: column.nullable,
        reader,
        data_type: arrow_type(&column.data_type),
        notation,
        kind: kind?,
    })
}

fn is_number(data_type: &ColumnType) -> bool {
    match data_type {
        ColumnType::Int(_)
        | ColumnType::UInt(_)
        | ColumnType::Float(_)
        | ColumnType::Decimal { .. } => true,
        ColumnType::Bool
        | ColumnType::String
        | ColumnType::Date { .. }
        | ColumnType::Time { .. }
        | ColumnType::Timestamp { .. } => false,
    }
}

/// What is said of a name that is no zone.
pub(super) fn no_zone(name: &str) -> String {
    format!("{name:?} is no IANA time zone: write one like Europe/Berlin")
}

struct Compiler<'a> {
    column: &'a Column,
    problems: &'a mut Vec<ColumnProblem>,
}

impl Compiler<'_> {
    fn problem(&mut self, key: &'static str, message: String) {
        self.problems.push(ColumnProblem { column: self.column.name.clone(), key, message });
    }

    fn kind(&mut self, zone: Option<Tz>) -> Option<Kind> {
        if self.column.data_type == ColumnType::String {
            return Some(Kind::Text(self.text_rules()));
        }
        self.refuse_text_rules();
        Some(match &self.column.data_type {
            ColumnType::Bool => {
                self.refuse_bounds("a bool has no range");
                let words = Words::of(&self.column.reading);
                let rules = self.rules(|text| match &words {
                    Some(words) => words.parse(text, true),
                    None => number::boolean(text),
                });
                Kind::Bool(words, rules)
            }
            ColumnType::Int(8) => Kind::Int8(self.rules(number::int)),
            ColumnType::Int(16) => Kind::Int16(self.rules(number::int)),
            ColumnType::Int(32) => Kind::Int32(self.rules(number::int)),
            ColumnType::Int(_) => Kind::Int64(self.rules(number::int)),
            ColumnType::UInt(8) => Kind::UInt8(self.rules(number::uint)),
            ColumnType::UInt(16) => Kind::UInt16(self.rules(number::uint)),
            ColumnType::UInt(32) => Kind::UInt32(self.rules(number::uint)),
            ColumnType::UInt(_) => Kind::UInt64(self.rules(number::uint)),
            ColumnType::Float(32) => Kind::Float32(self.rules(number::float32)),
            ColumnType::Float(_) => Kind::Float64(self.rules(number::float64)),
            ColumnType::Decimal { precision, scale } => {
                let (precision, scale) = (*precision, *scale);
                let rules = self.rules(|text| number::decimal(text, precision, scale));
                Kind::Decimal { precision, scale, rules }
            }
            ColumnType::String => return None,
            ColumnType::Date { format } => {
                let drop_time = self.column.reading.drop_time_of_day;
                let format = self.format(DateFormat::new(format.as_ref(), drop_time))?;
                let rules = self.rules(|text| format.parse(text));
                Kind::Date(format, rules)
            }
            ColumnType::Time { format } => {
                let format = self.format(TimeFormat::new(format.as_ref(), self.finer()))?;
                let rules = self.rules(|text| format.parse(text));
                Kind::Time(format, rules)
            }
            ColumnType::Timestamp { format } => {
                let doubtful = self.column.reading.local_time.unwrap_or(LocalTime::Reject);
                let clock = WallClock::new(self.zone().or(zone), doubtful);
                let format = self.format(InstantFormat::new(format, clock, self.finer()))?;
                let rules = self.rules(|text| format.parse(text));
                Kind::Timestamp(format, rules)
            }
        })
    }

    fn finer(&self) -> Finer {
        Finer::when(self.column.reading.truncate_subsecond)
    }

    /// The column's own zone.
    fn zone(&mut self) -> Option<Tz> {
        let name = self.column.reading.timezone.as_deref()?;
        let zone = Tz::from_str(name);
        zone.map_err(|_| self.problem("timezone", no_zone(name))).ok()
    }

    fn format<F>(&mut self, format: Result<F, String>) -> Option<F> {
        format.map_err(|message| self.problem("format", message)).ok()
    }

    fn literal<T>(
        &mut self,
        key: &'static str,
        text: &str,
        parse: &impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let value = parse(text.as_bytes());
        if value.is_none() {
            let name = type_name(self.column);
            self.problem(key, format!("{text:?} is not {name}"));
        }
        value
    }

    fn rules<T>(&mut self, parse: impl Fn(&[u8]) -> Option<T>) -> Rules<T>
    where
        T: Copy + PartialOrd,
    {
        let column = self.column;
        let mut literal = |key: &'static str, text: &Option<String>| {
            text.as_deref().and_then(|text| self.literal(key, text, &parse))
        };
        let (min, max) = (literal("min", &column.min), literal("max", &column.max));
        let default = literal("default", &column.default);
        let one_of = column.one_of.as_ref().map(|texts| {
            texts.iter().filter_map(|text| self.literal("one_of", text, &parse)).collect()
        });
        let rules = Rules { min, max, one_of, default };
        let order = min.zip(max).map(|(min, max)| min.partial_cmp(&max));
        if order.is_some_and(|order| order.is_none_or(|order| order.is_gt())) {
            self.problem("min", "min must not be above max".to_owned());
        }
        self.allowed_values(default.and_then(|default| rules.broken(default)));
        rules
    }

    fn text_rules(&mut self) -> TextRules {
        self.refuse_bounds("text has no range: use min_length, max_length or pattern");
        let column = self.column;
        let pattern = column.pattern.as_deref().and_then(|pattern| {
            Regex::new(pattern)
                .map_err(|_| {
                    self.problem("pattern", format!("{pattern:?} is no regular expression"))
                })
                .ok()
        });
        let length = |length: Option<u32>| length.and_then(|length| usize::try_from(length).ok());
        if column.min_length.zip(column.max_length).is_some_and(|(min, max)| min > max) {
            self.problem("min_length", "min_length must not be above max_length".to_owned());
        }
        let rules = TextRules {
            min_length: length(column.min_length),
            max_length: length(column.max_length),
            pattern,
            one_of: column.one_of.as_deref().map(TextSet::new),
            default: column.default.clone(),
        };
        let default = rules.default.as_ref();
        self.allowed_values(default.and_then(|default| rules.broken(default.as_bytes())));
        rules
    }

    /// `broken`: the rule that the default breaks.
    fn allowed_values(&mut self, broken: Option<RejectCode>) {
        if self.column.one_of.as_ref().is_some_and(Vec::is_empty) {
            self.problem("one_of", "names no value, so every row would be rejected".to_owned());
        } else if let Some(code) = broken {
            self.problem("default", format!("breaks the column's own rule ({code})"));
        }
    }

    fn refuse_bounds(&mut self, why: &str) {
        for (key, value) in [("min", &self.column.min), ("max", &self.column.max)] {
            if value.is_some() {
                self.problem(key, why.to_owned());
            }
        }
    }

    fn refuse_text_rules(&mut self) {
        let column = self.column;
        for (key, used) in [
            ("pattern", column.pattern.is_some()),
            ("min_length", column.min_length.is_some()),
            ("max_length", column.max_length.is_some()),
        ] {
            if used {
                self.problem(key, "works on string columns only".to_owned());
            }
        }
    }
}
