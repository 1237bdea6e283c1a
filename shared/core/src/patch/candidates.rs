//! Fixes that are worth a try, by what failed and in which column.

use super::Fix;
use super::moment::{DateText, StampText};
use super::nothing::{NOTHING, can_be_null};
use super::operation::{Operation, Pattern, Replacement};
use crate::archive::Predicate;
use crate::pipeline::{Column, ColumnType, Format, Pipeline, TimestampFormat};

/// One way to fix the rows of a code and column.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// In words.
    pub(super) about: String,
    /// Applied in order.
    pub(super) fixes: Vec<Fix>,
    /// The code that it is for.
    pub(super) code: String,
    /// The column that it corrects.
    pub(super) target: Option<String>,
    /// What is taken for granted, where the same texts could be read otherwise.
    pub(super) reading: Option<Reading>,
}

/// One of two ways to read the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    DecimalComma,
    DecimalPoint,
    DayFirst,
    MonthFirst,
}

impl Reading {
    /// The same texts, read the other way.
    pub(super) fn other(self) -> Reading {
        match self {
            Reading::DecimalComma => Reading::DecimalPoint,
            Reading::DecimalPoint => Reading::DecimalComma,
            Reading::DayFirst => Reading::MonthFirst,
            Reading::MonthFirst => Reading::DayFirst,
        }
    }

    /// In words.
    pub(super) fn about(self) -> &'static str {
        match self {
            Reading::DecimalComma => "with a decimal comma",
            Reading::DecimalPoint => "with a decimal point",
            Reading::DayFirst => "day first",
            Reading::MonthFirst => "month first",
        }
    }
}

/// A step without the rows that it is for.
#[derive(Clone)]
struct Step {
    about: &'static str,
    matching: Option<&'static str>,
    operation: Operation,
    reading: Option<Reading>,
}

const CURRENCY: &str = concat!(
    r"^\s*(?:\p{Sc}|EUR|USD|GBP|CHF|JPY|SEK|PLN|BRL)\s*|",
    r"\s*(?:\p{Sc}|EUR|USD|GBP|CHF|JPY|SEK|PLN|BRL)\s*$"
);
const SPACES: &str = " \u{a0}\u{202f}\u{2009}";
const ZONELESS: &str = r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?)$";

const DATES: [(&str, Option<Reading>); 12] = [
    ("%d.%m.%Y", None),
    ("%d/%m/%Y", Some(Reading::DayFirst)),
    ("%m/%d/%Y", Some(Reading::MonthFirst)),
    ("%d-%m-%Y", Some(Reading::DayFirst)),
    ("%m-%d-%Y", Some(Reading::MonthFirst)),
    ("%Y/%m/%d", None),
    ("%Y.%m.%d", None),
    ("%Y%m%d", None),
    ("%d %b %Y", None),
    ("%b %d, %Y", None),
    ("%d-%b-%Y", None),
    ("%Y-%m-%d", None),
];
const TIMES: [&str; 4] = [" %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M"];

/// Everything worth a try, the simplest first.
pub(super) fn of(
    selection: &Predicate,
    pipeline: &Pipeline,
    code: &str,
    column: Option<&str>,
) -> Vec<Candidate> {
    let Some(name) = column else {
        let steps = of_records(pipeline, code).into_iter().map(|step| vec![step]);
        return steps.filter_map(|steps| candidate(selection, (code, None), &steps)).collect();
    };
    let Some(column) = pipeline.columns.iter().find(|column| column.name == name) else {
        return vec![];
    };
    let mut all: Vec<Vec<Step>> = Vec::new();
    let (strips, casts, seals) = match code {
        "type" => {
            all.extend(yes_and_no(column));
            (strips(column), casts(column), seals(column))
        }
        "one_of" => {
            all.extend(one_of(column));
            (vec![trim()], vec![], vec![])
        }
        "pattern" | "length" => (vec![trim()], vec![], vec![]),
        _ => (vec![], vec![], vec![]),
    };
    all.extend(strips.iter().chain(&casts).chain(&seals).map(|step| vec![step.clone()]));
    for cast in &casts {
        all.extend(strips.iter().map(|strip| vec![strip.clone(), cast.clone()]));
        all.extend(seals.iter().map(|seal| vec![cast.clone(), seal.clone()]));
    }
    if matches!(code, "type" | "one_of" | "pattern" | "length") {
        all.extend(no_value(column, pipeline).map(|step| vec![step]));
    }
    all.iter().filter_map(|steps| candidate(selection, (code, Some(name)), steps)).collect()
}

/// The rows of a code and column.
pub(super) fn selection(code: &str, column: Option<&str>) -> Option<Predicate> {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let column = column.map(|column| format!(" AND column = {}", text(column)));
    let where_ = format!("error_code = {}{}", text(code), column.unwrap_or_default());
    Predicate::parse(&where_).ok()
}

fn candidate(
    selection: &Predicate,
    (code, column): (&str, Option<&str>),
    steps: &[Step],
) -> Option<Candidate> {
    let mut fixes = Vec::with_capacity(steps.len());
    for step in steps {
        let mut fix = Fix::new(selection.clone(), column, step.operation.clone());
        fix.matching = step.matching.map(Pattern::new).transpose().ok()?;
        fixes.push(fix);
    }
    let mut words: Vec<&str> = steps.iter().map(|step| step.about).collect();
    words.dedup();
    let reading = steps.iter().find_map(|step| step.reading);
    let target = column.map(str::to_owned);
    let code = code.to_owned();
    Some(Candidate { about: words.join(", then "), fixes, code, target, reading })
}

fn step(about: &'static str, operation: Operation) -> Step {
    Step { about, matching: None, operation, reading: None }
}

fn replace(about: &'static str, pattern: &str, with: &str) -> Option<Step> {
    let replacement = Replacement::new(Pattern::new(pattern).ok()?, with).ok()?;
    Some(step(about, Operation::Replace(replacement)))
}

fn trim() -> Step {
    step("blanks around the value", Operation::Trim(None))
}

/// What stands around a value and does not belong to it.
fn strips(column: &Column) -> Vec<Step> {
    let mut strips = vec![trim()];
    if is_number(column) {
        strips.extend(replace("currency signs", CURRENCY, ""));
        strips.extend(replace("percent signs (5% becomes 5)", r"\s*%\s*$", ""));
        strips.extend(replace("minus signs at the end", r"^\s*([0-9][0-9.,' ]*)-\s*$", "-${1}"));
        strips.extend(replace("minus as parentheses", r"^\s*\(([0-9][0-9.,' ]*)\)\s*$", "-${1}"));
        strips.extend(replace("whole numbers with .0", r"^([+-]?[0-9]+)[.,]0+$", "${1}"));
    }
    strips
}

fn is_number(column: &Column) -> bool {
    match column.data_type {
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

/// Other ways to write the type's values.
fn casts(column: &Column) -> Vec<Step> {
    match &column.data_type {
        ColumnType::Int(_)
        | ColumnType::UInt(_)
        | ColumnType::Float(_)
        | ColumnType::Decimal { .. } => {
            let (comma, point) = (Reading::DecimalComma, Reading::DecimalPoint);
            let decimal = |about, decimal, thousands: &str, reading| {
                let thousands = thousands.to_owned();
                let operation = Operation::CastDecimal { decimal, thousands };
                Step { reading: Some(reading), ..step(about, operation) }
            };
            vec![
                decimal("decimal comma", ',', ".", comma),
                decimal("thousands commas", '.', ",", point),
                decimal("decimal comma, blanks for thousands", ',', SPACES, comma),
                decimal("blanks for thousands", '.', SPACES, point),
                decimal("apostrophes for thousands", '.', "'\u{2019}", point),
            ]
        }
        ColumnType::Date { .. } => {
            let cast = |(format, reading): (&str, Option<Reading>)| {
                let operation = Operation::CastDate(DateText::new(format).ok()?);
                Some(Step { reading, ..step("dates in another format", operation) })
            };
            let midnight = r"^(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0+)?)?Z?$";
            let midnight = replace("dates with midnight behind them", midnight, "${1}");
            DATES.into_iter().filter_map(cast).chain(midnight).collect()
        }
        ColumnType::Timestamp { .. } => stamps(),
        ColumnType::Bool | ColumnType::String | ColumnType::Time { .. } => vec![],
    }
}

fn stamps() -> Vec<Step> {
    let mut stamps = Vec::new();
    for (date, reading) in DATES {
        for time in TIMES {
            if let Ok(format) = StampText::new(&format!("{date}{time}")) {
                let operation = Operation::CastTimestamp(format);
                stamps.push(Step { reading, ..step("timestamps in another format", operation) });
            }
        }
    }
    let bare =
        replace("dates without a time, as midnight", r"^(\d{4}-\d\d-\d\d)$", "${1}T00:00:00");
    stamps.extend(bare);
    stamps
}

/// What a timestamp may still lack.
fn seals(column: &Column) -> Vec<Step> {
    match &column.data_type {
        ColumnType::Timestamp { format: TimestampFormat::Rfc3339 } => {
            let about = "timestamps without an offset, taken as UTC";
            replace(about, ZONELESS, "${1}Z").into_iter().collect()
        }
        ColumnType::Timestamp { .. }
        | ColumnType::Bool
        | ColumnType::Int(_)
        | ColumnType::UInt(_)
        | ColumnType::Float(_)
        | ColumnType::Decimal { .. }
        | ColumnType::String
        | ColumnType::Date { .. }
        | ColumnType::Time { .. } => vec![],
    }
}

/// Words for a bool.
fn yes_and_no(column: &Column) -> Option<Vec<Step>> {
    if column.data_type != ColumnType::Bool {
        return None;
    }
    let about = "words for true and false";
    // A column with words of its own reads nothing else.
    let word = |words: &[String], otherwise: &str| {
        words.first().map_or(otherwise, String::as_str).replace('$', "$$")
    };
    let (yes, no) = (&column.reading.true_words, &column.reading.false_words);
    let yes = replace(about, r"^\s*(?i:true|yes|y|t|on|ja|oui|si|x)\s*$", &word(yes, "true"))?;
    let no = replace(about, r"^\s*(?i:false|no|n|f|off|nein|non)\s*$", &word(no, "false"))?;
    Some(vec![yes, no])
}

/// The allowed values in another case.
fn one_of(column: &Column) -> Option<Vec<Step>> {
    let values = column.one_of.as_ref()?;
    let steps = values.iter().filter_map(|value| {
        let matching = format!(r"^\s*(?i:{})\s*$", regex::escape(value));
        let replacement =
            Replacement::new(Pattern::new(&matching).ok()?, &value.replace('$', "$$"));
        Some(step("allowed values in another case", Operation::Replace(replacement.ok()?)))
    });
    Some(steps.collect())
}

/// Words for "no value".
fn no_value(column: &Column, pipeline: &Pipeline) -> Option<Step> {
    let can = match &pipeline.source.format {
        Format::Csv(dialect) => !dialect.null.is_empty(),
        Format::Jsonl(_) => true,
    };
    (can_be_null(column) && can)
        .then(|| Step { matching: Some(NOTHING), ..step("words for no value", Operation::SetNull) })
}

/// For records that could not be cut into fields.
fn of_records(pipeline: &Pipeline, code: &str) -> Vec<Step> {
    let Format::Csv(dialect) = &pipeline.source.format else { return vec![] };
    let raw = |about, pattern: &str, with: &str| {
        let replacement = Replacement::new(Pattern::new(pattern).ok()?, with).ok()?;
        Some(step(about, Operation::Raw(replacement)))
    };
    let delimiter = regex::escape(&dialect.separator());
    match (code, dialect.quote.map(char::from)) {
        ("field_count", _) => {
            raw("separators at the end", &format!("(?:{delimiter})+$"), "").into_iter().collect()
        }
        ("bad_quote" | "unterminated_quote", Some(quote)) => {
            let about = "quotes that a backslash should escape";
            let twice = format!("{quote}{quote}").replace('$', "$$");
            raw(about, &format!(r"\\{}", regex::escape(&quote.to_string())), &twice)
                .into_iter()
                .collect()
        }
        _ => vec![],
    }
}
