//! `[source]`: which files, and how their bytes are read.

use super::key_pattern::KeyPattern;
use super::problem::{At, Report, either, nearest, quoted};
use super::section::{Key, Section, key, not_supported, unsupported};
use super::tree::Value;
use super::types::{
    CsvDialect, Format, JsonlOptions, OnMissingColumn, OnNewColumn, Ragged, Replaces, Source,
    UnknownFields,
};

pub(super) const KEYS: [Key; 11] = [
    key("match"),
    key("replaces"),
    key("format"),
    key("csv"),
    key("jsonl"),
    key("timezone"),
    key("on_new_column"),
    key("on_missing_column"),
    unsupported("schedule", "scheduled sources are"),
    unsupported("postgres", "scheduled sources are"),
    unsupported("http", "scheduled sources are"),
];

pub(super) const CSV_KEYS: [Key; 8] = [
    key("delimiter"),
    key("quote"),
    key("escape"),
    key("header"),
    key("skip_lines"),
    key("null"),
    key("ragged"),
    key("encoding"),
];

pub(super) const JSONL_KEYS: [Key; 1] = [key("unknown_fields")];

/// The source and what other sections need of it.
#[derive(Debug)]
pub(super) struct ReadSource {
    pub(super) source: Source,
    /// Names of the captures; `None` when `match` itself is wrong.
    pub(super) captures: Option<Vec<String>>,
}

pub(super) fn read(section: &Section<'_>, report: &mut Report) -> ReadSource {
    let (pattern, captures) = read_match(section, report);
    let replaces = read_replaces(section, captures.as_deref(), report);
    let (format, encoding) = read_format(section, report);
    let on_new = [("ignore", OnNewColumn::Ignore), ("hold", OnNewColumn::Hold)];
    let on_missing = [("hold", OnMissingColumn::Hold), ("null", OnMissingColumn::Null)];
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
    };
    ReadSource { source, captures }
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
    let csv = section.section("csv", &CSV_KEYS, report);
    let encoding = csv.as_ref().and_then(|csv| read_encoding(csv, report));
    let dialect = read_csv(csv.as_ref(), report);
    let jsonl = section.section("jsonl", &JSONL_KEYS, report);
    let words = [("ignore", UnknownFields::Ignore), ("reject", UnknownFields::Reject)];
    let unknown_fields = jsonl.and_then(|jsonl| jsonl.choice("unknown_fields", &words, report));
    let format = if kind == Some(Kind::Jsonl) {
        let unknown_fields = unknown_fields.unwrap_or(UnknownFields::Ignore);
        Format::Jsonl(JsonlOptions { unknown_fields })
    } else {
        Format::Csv(dialect)
    };
    (format, encoding.unwrap_or_else(|| "utf-8".to_owned()))
}

fn read_csv(csv: Option<&Section<'_>>, report: &mut Report) -> CsvDialect {
    let mut dialect = CsvDialect {
        delimiter: b',',
        quote: Some(b'"'),
        escape: None,
        header: true,
        skip_lines: 0,
        null: vec![String::new()],
        ragged: Ragged::Reject,
    };
    let Some(csv) = csv else { return dialect };
    if let Some(byte) = read_byte(csv, "delimiter", "\",\", \";\", \"|\" or \"\\t\"", report) {
        dialect.delimiter = byte;
    }
    if csv
        .get("quote")
        .is_some_and(|node| matches!(&node.value, Value::Text(text) if text.is_empty()))
    {
        dialect.quote = None;
    } else if let Some(byte) = read_byte(csv, "quote", "\"\\\"\", or \"\" for no quoting", report) {
        dialect.quote = Some(byte);
    }
    dialect.escape = read_byte(csv, "escape", "\"\\\\\"", report);
    check_bytes(csv, &dialect, report);
    dialect.header = csv.flag("header", report).unwrap_or(true);
    dialect.skip_lines = csv.count_u32("skip_lines", report).unwrap_or(0);
    let policies = [("reject", Ragged::Reject), ("pad", Ragged::Pad), ("lenient", Ragged::Lenient)];
    dialect.ragged = csv.choice("ragged", &policies, report).unwrap_or(Ragged::Reject);
    if let Some(texts) = csv.texts("null", "[\"\", \"NULL\"]", report) {
        read_nulls(&texts, &mut dialect, report);
    }
    dialect
}

fn read_byte(csv: &Section<'_>, key: &str, example: &str, report: &mut Report) -> Option<u8> {
    let text = csv.text(key, example, report)?;
    match text.as_bytes() {
        [byte] if !matches!(byte, b'\n' | b'\r' | 0) && byte.is_ascii() => Some(*byte),
        _ => {
            let what = format!("{} is not one ASCII character within a line", quoted(text));
            csv.wrong(key, what, example, report);
            None
        }
    }
}

fn check_bytes(csv: &Section<'_>, dialect: &CsvDialect, report: &mut Report) {
    let mut clash = |key: &str, other: &str| {
        let what = format!("is the same character as {other}");
        csv.wrong(key, what, "another character", report);
    };
    if dialect.quote == Some(dialect.delimiter) {
        clash("quote", "the delimiter");
    }
    if dialect.escape == Some(dialect.delimiter) {
        clash("escape", "the delimiter");
    }
    if dialect.escape.is_some() && dialect.escape == dialect.quote {
        let what = "is the quote itself, and a doubled quote is always understood";
        csv.wrong("escape", what, "no escape", report);
    }
    if dialect.escape.is_some() && dialect.quote.is_none() {
        let what = "has no effect without quotes: it works inside quoted fields";
        csv.wrong("escape", what, "a quote, or no escape", report);
    }
}

fn read_nulls(texts: &[(At, &str)], dialect: &mut CsvDialect, report: &mut Report) {
    dialect.null.clear();
    for (at, text) in texts {
        let breaks = |b: u8| b == dialect.delimiter || b == b'\n' || b == b'\r';
        let opens = dialect.quote.is_some_and(|quote| text.as_bytes().first() == Some(&quote));
        if text.bytes().any(breaks) || opens {
            let what = format!("{} is never the whole text of an unquoted field", quoted(text));
            report.problem(*at, "source.csv.null", what, "the text between two delimiters");
        }
        if dialect.null.iter().any(|other| other == text) {
            let what = format!("{} stands twice", quoted(text));
            report.problem(*at, "source.csv.null", what, "it once");
        }
        dialect.null.push((*text).to_owned());
    }
}

fn read_encoding(csv: &Section<'_>, report: &mut Report) -> Option<String> {
    const EXAMPLE: &str = "\"utf-8\", \"windows-1252\", \"utf-16le\" or another WHATWG label";
    let label = csv.text("encoding", EXAMPLE, report)?;
    match encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()) {
        // Two labels of one encoding are one pipeline.
        Some(encoding) => Some(encoding.name().to_ascii_lowercase()),
        None => {
            let what = format!("{} is not a known encoding", quoted(label));
            csv.wrong("encoding", what, EXAMPLE, report);
            None
        }
    }
}

fn read_timezone(section: &Section<'_>, report: &mut Report) -> Option<String> {
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
