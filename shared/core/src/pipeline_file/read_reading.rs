//! The keys that say how values are written: of a column, and of the source for all its columns.

use crate::pipeline::{Column, ColumnType};
use crate::pipeline::{LocalTime, Negative, Reading};
use crate::toml_file::problem::{At, Report, dotted, either, nearest, quoted};
use crate::toml_file::section::Section;

/// Longest text that may stand before or after a number, in characters.
const AFFIX_CHARS_MAX: usize = 16;
const SEPARATOR: &str = "\",\" or another single character";

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Bool,
    Date,
    Time,
    Timestamp,
    Text,
}

fn family(data_type: &ColumnType) -> Family {
    match data_type {
        ColumnType::Int(_)
        | ColumnType::UInt(_)
        | ColumnType::Float(_)
        | ColumnType::Decimal { .. } => Family::Number,
        ColumnType::Bool => Family::Bool,
        ColumnType::Date { .. } => Family::Date,
        ColumnType::Time { .. } => Family::Time,
        ColumnType::Timestamp { .. } => Family::Timestamp,
        ColumnType::String => Family::Text,
    }
}

/// Each key, the families that it is for, and what they are called.
const KEYS: [(&str, &[Family], &str); 10] = [
    ("true", &[Family::Bool], "bool"),
    ("false", &[Family::Bool], "bool"),
    ("decimal_separator", &[Family::Number], "number"),
    ("thousands", &[Family::Number], "number"),
    ("negative", &[Family::Number], "number"),
    ("affix", &[Family::Number], "number"),
    ("subsecond", &[Family::Time, Family::Timestamp], "time and timestamp"),
    ("time_of_day", &[Family::Date], "date"),
    ("timezone", &[Family::Timestamp], "timestamp"),
    ("local_time", &[Family::Timestamp], "timestamp"),
];

/// How values are written in columns that do not say it themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceValues {
    decimal_separator: Option<char>,
    thousands: Option<char>,
    local_time: Option<LocalTime>,
}

impl SourceValues {
    pub(super) fn read(section: &Section<'_>, report: &mut Report) -> SourceValues {
        let values = SourceValues {
            decimal_separator: read_separator(section, "decimal_separator", report),
            thousands: read_separator(section, "thousands", report),
            local_time: read_local_time(section, report),
        };
        let decimal = values.decimal_separator.unwrap_or('.');
        if values.thousands == Some(decimal) {
            clash(section.at("thousands"), &section.full("thousands"), decimal, report);
        }
        values
    }
}

/// Reads the column's keys; those of another type are reported.
pub(super) fn read_reading(
    section: &Section<'_>,
    data_type: &ColumnType,
    known_type: bool,
    report: &mut Report,
) -> Reading {
    let own = family(data_type);
    for (key, families, called) in KEYS {
        if known_type && section.get(key).is_some() && !families.contains(&own) {
            let what = format!("is for {called} columns only");
            section.wrong(key, what, &format!("no {key}, or another type"), report);
        }
    }
    let (true_words, false_words) = read_words(section, report);
    let truncate = [("reject", false), ("truncate", true)];
    let drop = [("reject", false), ("drop", true)];
    Reading {
        true_words,
        false_words,
        decimal_separator: read_separator(section, "decimal_separator", report),
        thousands: read_separator(section, "thousands", report),
        negative: read_negative(section, report),
        affix: read_affix(section, report),
        truncate_subsecond: section.choice("subsecond", &truncate, report).unwrap_or(false),
        drop_time_of_day: section.choice("time_of_day", &drop, report).unwrap_or(false),
        timezone: read_timezone(section, report),
        local_time: read_local_time(section, report),
    }
}

/// Takes over what the source says and the column does not, and checks both together.
pub(super) fn inherit(column: &mut Column, values: &SourceValues, at: At, report: &mut Report) {
    let reading = &mut column.reading;
    match family(&column.data_type) {
        Family::Number => {
            // The source's thousands give way to the column's own decimal separator.
            let own_decimal = reading.decimal_separator;
            reading.decimal_separator = own_decimal.or(values.decimal_separator);
            let decimal = reading.decimal_separator.unwrap_or('.');
            let inherited = values.thousands.filter(|thousands| *thousands != decimal);
            reading.thousands = reading.thousands.or(inherited);
            if reading.thousands == Some(decimal) {
                let name = dotted(&dotted("columns", &column.name), "thousands");
                if !report.names(&name) {
                    clash(at, &name, decimal, report);
                }
            }
            check_affixes(reading, &column.name, at, report);
        }
        Family::Timestamp => {
            // Rejecting is what happens anyway.
            let local_time = reading.local_time.or(values.local_time);
            reading.local_time = local_time.filter(|what| *what != LocalTime::Reject);
        }
        Family::Bool | Family::Date | Family::Time | Family::Text => {}
    }
    // A point is what numbers have anyway: one pipeline, however written.
    reading.decimal_separator = reading.decimal_separator.filter(|separator| *separator != '.');
}

fn clash(at: At, name: &str, decimal: char, report: &mut Report) {
    let what = format!("{} is the decimal separator", quoted(&decimal.to_string()));
    report.problem(at, name, what, "another thousands, or decimal_separator = \",\"");
}

fn check_affixes(reading: &Reading, column: &str, at: At, report: &mut Report) {
    let decimal = reading.decimal_separator.unwrap_or('.');
    let is_separator = |c: char| c == decimal || Some(c) == reading.thousands;
    // `Fr.` cannot be mistaken, but a point before `.5` can.
    let wrong = reading.affix.iter().find(|affix| affix.chars().all(is_separator));
    let name = dotted(&dotted("columns", column), "affix");
    if let Some(affix) = wrong
        && !report.names(&name)
    {
        let what = format!("{} is a separator of the number itself", quoted(affix));
        report.problem(at, &name, what, "another text");
    }
}

fn read_separator(section: &Section<'_>, key: &str, report: &mut Report) -> Option<char> {
    let text = section.text(key, SEPARATOR, report)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(separator), None) if is_separator(separator) => Some(separator),
        (Some(_), None) => {
            let what = format!("{} is part of a number itself", quoted(text));
            section.wrong(key, what, SEPARATOR, report);
            None
        }
        _ => {
            let what = format!("{} is not one character", quoted(text));
            section.wrong(key, what, SEPARATOR, report);
            None
        }
    }
}

/// Whether the character can stand in a number without being part of it.
pub(crate) fn is_separator(c: char) -> bool {
    !c.is_alphanumeric() && !c.is_control() && !matches!(c, '+' | '-' | '\u{2212}' | '(' | ')')
}

fn read_local_time(section: &Section<'_>, report: &mut Report) -> Option<LocalTime> {
    let words = [
        ("reject", LocalTime::Reject),
        ("earlier", LocalTime::Earlier),
        ("later", LocalTime::Later),
    ];
    section.choice("local_time", &words, report)
}

fn read_negative(section: &Section<'_>, report: &mut Report) -> Vec<Negative> {
    const WORDS: [(&str, Negative); 3] = [
        ("trailing", Negative::Trailing),
        ("parentheses", Negative::Parentheses),
        ("unicode", Negative::Unicode),
    ];
    const EXAMPLE: &str = "[\"trailing\", \"parentheses\", \"unicode\"] or some of them";
    let words = || WORDS.iter().map(|(word, _)| *word);
    let mut found = Vec::new();
    for (at, text) in section.texts("negative", EXAMPLE, report).unwrap_or_default() {
        match WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, form)) if !found.contains(form) => found.push(*form),
            Some(_) => {
                let what = format!("{} stands twice", quoted(text));
                report.problem(at, &section.full("negative"), what, "it once");
            }
            None => {
                let write = nearest(text, words()).map_or_else(|| either(words()), quoted);
                let what = format!("{} is not known here", quoted(text));
                report.problem(at, &section.full("negative"), what, write);
            }
        }
    }
    // The order says nothing: one pipeline, however written.
    found.sort_by_key(|form| WORDS.iter().position(|(_, known)| known == form));
    found
}

fn read_affix(section: &Section<'_>, report: &mut Report) -> Vec<String> {
    const EXAMPLE: &str = "[\"$\", \"EUR\", \"%\"]: texts before or after the number";
    let mut found: Vec<String> = Vec::new();
    for (at, text) in section.texts("affix", EXAMPLE, report).unwrap_or_default() {
        let is_part =
            |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '\u{2212}' | '(' | ')');
        let what = if text.trim().is_empty() || text.trim() != text {
            "is blank, or has blanks around it, which are dropped anyway"
        } else if text.chars().any(is_part) {
            "holds a digit, a sign or a parenthesis"
        } else if text.chars().count() > AFFIX_CHARS_MAX {
            "is too long"
        } else if found.iter().any(|other| other == text) {
            "stands twice"
        } else {
            found.push(text.to_owned());
            continue;
        };
        let what = format!("{} {what}", quoted(text));
        report.problem(at, &section.full("affix"), what, EXAMPLE);
    }
    found
}

/// Words for true and words for false.
fn read_words(section: &Section<'_>, report: &mut Report) -> (Vec<String>, Vec<String>) {
    const EXAMPLE: &str = "true = [\"ja\", \"wahr\"], false = [\"nein\", \"falsch\"]";
    let mut words: [Vec<String>; 2] = Default::default();
    let mut taken: Vec<String> = Vec::new();
    for (key, list) in ["true", "false"].into_iter().zip(&mut words) {
        let other = if key == "true" { "false" } else { "true" };
        if section.get(key).is_none() {
            if section.get(other).is_some() {
                section.missing(key, EXAMPLE, report);
            }
            continue;
        }
        let Some(texts) = section.texts(key, EXAMPLE, report) else { continue };
        if texts.is_empty() {
            section.wrong(key, "names no word", EXAMPLE, report);
        }
        for (at, text) in texts {
            if taken.iter().any(|other| other == text) {
                let what = format!("{} stands twice", quoted(text));
                report.problem(at, &section.full(key), what, "each word once");
            }
            taken.push(text.to_owned());
            list.push(text.to_owned());
        }
    }
    let [yes, no] = words;
    (yes, no)
}

pub(super) fn read_timezone(section: &Section<'_>, report: &mut Report) -> Option<String> {
    const EXAMPLE: &str = "\"UTC\" or a name such as \"Europe/Berlin\"";
    let name = section.text("timezone", EXAMPLE, report)?;
    if name.parse::<chrono_tz::Tz>().is_err() {
        let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let write = nearest(name, known).map_or_else(|| EXAMPLE.to_owned(), quoted);
        let what = format!("{} is not a time zone of the IANA database", quoted(name));
        section.wrong("timezone", what, &write, report);
    }
    Some(name.to_owned())
}
