//! `[source]`: which files, and how their bytes are read.

use super::csv;
use super::read_reading::SourceValues;
use super::read_reading::read_timezone;
use crate::pipeline::KeyPattern;
use crate::pipeline::{Format, JsonlOptions, UnknownFields};
use crate::pipeline::{OnEmpty, OnMissingColumn, OnNewColumn, Replaces, Source};
use crate::toml_file::problem::{At, Report, either, nearest, quoted};
use crate::toml_file::section::{Key, Section, key, not_supported, unsupported};
use crate::toml_file::tree::Value;

pub(super) const KEYS: [Key; 15] = [
    key("match"),
    key("replaces"),
    key("format"),
    key("csv"),
    key("jsonl"),
    key("timezone"),
    key("local_time"),
    key("decimal_separator"),
    key("thousands"),
    key("on_new_column"),
    key("on_missing_column"),
    key("empty"),
    unsupported("schedule", "scheduled sources are"),
    unsupported("postgres", "scheduled sources are"),
    unsupported("http", "scheduled sources are"),
];

pub(super) const JSONL_KEYS: [Key; 3] = [key("unknown_fields"), key("null"), key("list")];

/// The source and what other sections need of it.
#[derive(Debug)]
pub(super) struct ReadSource {
    pub(super) source: Source,
    /// Names of the captures; `None` when `match` itself is wrong.
    pub(super) captures: Option<Vec<String>>,
    /// How values are written in columns that do not say it themselves.
    pub(super) values: SourceValues,
}

pub(super) fn read(section: &Section<'_>, report: &mut Report) -> ReadSource {
    let (pattern, captures) = read_match(section, report);
    let replaces = read_replaces(section, captures.as_deref(), report);
    let (format, encoding) = read_format(section, report);
    let on_new = [("ignore", OnNewColumn::Ignore), ("hold", OnNewColumn::Hold)];
    let on_missing = [("hold", OnMissingColumn::Hold), ("null", OnMissingColumn::Null)];
    let on_empty = [("hold", OnEmpty::Hold), ("accept", OnEmpty::Accept)];
    let source = Source {
        pattern,
        replaces,
        format,
        encoding,
        timezone: read_timezone(section, report),
        on_new_column: section
            .choice("on_new_column", &on_new, report)
            .unwrap_or(OnNewColumn::Ignore),
        on_missing_column: section
            .choice("on_missing_column", &on_missing, report)
            .unwrap_or(OnMissingColumn::Hold),
        empty: section.choice("empty", &on_empty, report).unwrap_or(OnEmpty::Hold),
    };
    ReadSource { source, captures, values: SourceValues::read(section, report) }
}

fn read_match(section: &Section<'_>, report: &mut Report) -> (String, Option<Vec<String>>) {
    const EXAMPLE: &str = "match = \"incoming/*.csv*\"";
    if section.get("match").is_none() {
        section.missing("match", EXAMPLE, report);
        return (String::new(), None);
    }
    let Some(text) = section.text("match", EXAMPLE, report) else {
        return (String::new(), None);
    };
    match KeyPattern::compile(text) {
        Ok(pattern) => {
            let captures = pattern.capture_names().map(str::to_owned).collect();
            (text.to_owned(), Some(captures))
        }
        Err(error) => {
            let what = format!("{} {}", quoted(text), error.what);
            section.wrong("match", what, &error.write, report);
            (text.to_owned(), captures_written(text))
        }
    }
}

/// Names of the captures in a pattern that is wrong elsewhere, so that those who use them are judged too.
fn captures_written(pattern: &str) -> Option<Vec<String>> {
    let name = |rest: &str| {
        let (inside, _) = rest.split_once('}')?;
        Some(inside.split_once(':').map_or(inside, |(name, _)| name).to_owned())
    };
    pattern.split('{').skip(1).map(name).collect()
}

fn read_replaces(
    section: &Section<'_>,
    captures: Option<&[String]>,
    report: &mut Report,
) -> Replaces {
    const EXAMPLE: &str = "\"key\", \"nothing\", [] or a list of captures";
    let Some(node) = section.get("replaces") else {
        return Replaces::Key;
    };
    if !matches!(node.value, Value::List(_)) {
        let words = [("key", Replaces::Key), ("nothing", Replaces::Nothing)];
        let known = words.iter().map(|(word, _)| *word);
        let Some(text) = section.text("replaces", EXAMPLE, report) else {
            return Replaces::Key;
        };
        if let Some((_, replaces)) = words.iter().find(|(word, _)| *word == text) {
            return replaces.clone();
        }
        let is_capture = captures.is_some_and(|names| names.iter().any(|name| name == text));
        let write = match nearest(text, known) {
            _ if is_capture => format!("[{}]", quoted(text)),
            Some(near) => quoted(near),
            None => EXAMPLE.to_owned(),
        };
        section.wrong("replaces", format!("{} is not known here", quoted(text)), &write, report);
        return Replaces::Key;
    }
    let names = section.texts("replaces", EXAMPLE, report).unwrap_or_default();
    let mut chosen: Vec<String> = Vec::new();
    for (at, name) in names {
        if let Some(captures) = captures {
            known_capture(name, captures, at, "source.replaces", report);
        }
        if chosen.iter().any(|other| other == name) {
            let what = format!("{} stands twice", quoted(name));
            report.problem(at, "source.replaces", what, "it once");
        }
        chosen.push(name.to_owned());
    }
    if chosen.is_empty() { Replaces::Table } else { Replaces::Captures(chosen) }
}

/// Reports a capture that `match` does not have.
pub(super) fn known_capture(
    name: &str,
    captures: &[String],
    at: At,
    full_name: &str,
    report: &mut Report,
) {
    if captures.iter().any(|capture| capture == name) {
        return;
    }
    let what = format!("{} is not a capture of source.match", quoted(name));
    let known = || captures.iter().map(String::as_str);
    let write = match nearest(name, known()) {
        Some(near) => quoted(near),
        None if captures.is_empty() => "a {name} into source.match first".to_owned(),
        None => either(known()),
    };
    report.problem(at, full_name, what, write);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Jsonl,
}

/// Names that people give to what these formats read, and what to write.
const FORMATS: [(&str, &str); 6] = [
    ("tsv", "\"csv\" with csv = { delimiter = \"\\t\" }"),
    ("tab", "\"csv\" with csv = { delimiter = \"\\t\" }"),
    ("psv", "\"csv\" with csv = { delimiter = \"|\" }"),
    ("text", "\"csv\" and its csv.delimiter"),
    ("json", "\"jsonl\", one object a line"),
    ("ndjson", "\"jsonl\""),
];

fn read_kind(section: &Section<'_>, report: &mut Report) -> Option<Kind> {
    let Some(node) = section.get("format") else {
        section.missing("format", "format = \"csv\" or format = \"jsonl\"", report);
        return None;
    };
    let text =
        if let Value::Text(text) = &node.value { text.to_lowercase() } else { String::new() };
    if text == "parquet" {
        let what = not_supported("format = \"parquet\" is");
        section.wrong("format", what, "\"csv\" or \"jsonl\"", report);
        return None;
    }
    if let Some((_, write)) = FORMATS.iter().find(|(name, _)| *name == text) {
        section.wrong("format", format!("{} is not known here", quoted(&text)), write, report);
        return None;
    }
    section.choice("format", &[("csv", Kind::Csv), ("jsonl", Kind::Jsonl)], report)
}

fn read_format(section: &Section<'_>, report: &mut Report) -> (Format, String) {
    let kind = read_kind(section, report);
    let misplaced = match kind {
        Some(Kind::Csv) => Some(("jsonl", "csv")),
        Some(Kind::Jsonl) => Some(("csv", "jsonl")),
        None => None,
    };
    if let Some((options, format)) = misplaced
        && section.get(options).is_some()
    {
        let what = format!("these options have no effect with format = \"{format}\"");
        section.wrong(options, what, &format!("{format} = {{ ... }}, or remove them"), report);
    }
    let (dialect, encoding) = csv::read(section, report);
    let jsonl = section.section("jsonl", &JSONL_KEYS, report);
    let words = [("ignore", UnknownFields::Ignore), ("reject", UnknownFields::Reject)];
    let unknown_fields =
        jsonl.as_ref().and_then(|jsonl| jsonl.choice("unknown_fields", &words, report));
    let list = jsonl.as_ref().and_then(|jsonl| jsonl.flag("list", report)).unwrap_or(false);
    let null = jsonl.and_then(|jsonl| jsonl.texts("null", "[\"\", \"NA\"]", report));
    let format = if kind == Some(Kind::Jsonl) {
        let unknown_fields = unknown_fields.unwrap_or(UnknownFields::Ignore);
        let null = null.unwrap_or_default().into_iter().map(|(_, text)| text.to_owned());
        Format::Jsonl(JsonlOptions { unknown_fields, null: null.collect(), list })
    } else {
        Format::Csv(dialect)
    };
    (format, encoding.unwrap_or_else(|| "utf-8".to_owned()))
}
