//! `[columns]`: the contract.

use super::column_rules::{check_column, read_one_of, read_pattern};
use super::column_type::parse_type;
use super::read_format::read_format;
use super::read_reading::{self, read_reading};
use super::source::{ReadSource, known_capture};
use crate::pipeline::Reading;
use crate::pipeline::{ArchivePolicy, Column, ColumnSource, ColumnType};
use crate::pipeline::{CsvDialect, Format};
use crate::toml_file::problem::{At, Report, dotted, quoted};
use crate::toml_file::section::{Key, Section, key, shown, text_of, unsupported};
use crate::toml_file::tree::{Entry, Value};

/// Columns that Rowproof adds.
pub(super) const ADDED: [&str; 3] = ["_source_file", "_source_row", "_loaded_at"];

/// Most columns of a contract.
const COLUMNS_MAX: usize = 10_000;
/// The last field that can be named by its place.
const FIELDS_MAX: u32 = 10_000;
/// Longest name of a column, in bytes.
const NAME_BYTES_MAX: usize = 255;

pub(super) const KEYS: [Key; 25] = [
    key("type"),
    key("from"),
    key("key"),
    key("nullable"),
    key("default"),
    key("trim"),
    key("format"),
    key("pattern"),
    key("one_of"),
    key("min"),
    key("max"),
    key("min_length"),
    key("max_length"),
    key("archive"),
    key("true"),
    key("false"),
    key("decimal_separator"),
    key("thousands"),
    key("negative"),
    key("affix"),
    key("subsecond"),
    key("time_of_day"),
    key("timezone"),
    key("local_time"),
    unsupported("sql", "`sql` columns are"),
];

/// A column and its line.
pub(super) type ReadColumn = (At, Column);

pub(super) fn read(
    section: &Section<'_>,
    source: Option<&ReadSource>,
    report: &mut Report,
) -> Vec<ReadColumn> {
    let entries = &section.table().0;
    if entries.is_empty() {
        report.problem(section.at, "columns", "names no column", "a line such as id = \"int64\"");
    }
    if entries.len() > COLUMNS_MAX {
        let what = format!("{} columns are over the limit of {COLUMNS_MAX}", entries.len());
        report.problem(section.at, "columns", what, "fewer columns");
        return Vec::new();
    }
    let mut lower_names = std::collections::HashMap::new();
    let mut columns = Vec::with_capacity(entries.len());
    for entry in entries {
        check_name(entry, report);
        if let Some(other) = lower_names.insert(entry.key.to_lowercase(), &entry.key) {
            let what = format!("differs from {} in case only", quoted(other));
            let write = "another name, and from = for the field: engines ignore case";
            report.problem(entry.at, &dotted("columns", &entry.key), what, write);
        }
        columns.extend(read_column(entry, source, report).map(|column| (entry.at, column)));
    }
    if let Some(source) = source {
        for (at, column) in &mut columns {
            read_reading::inherit(column, &source.values, *at, report);
        }
    }
    let fed = |(_, column): &ReadColumn| !matches!(column.from, ColumnSource::Capture(_));
    if !columns.is_empty() && !columns.iter().any(fed) {
        let what = "every column comes from a capture, so the rows themselves are not read";
        report.problem(section.at, "columns", what, "a column that reads a field");
    }
    check_places(section, &columns, source, report);
    columns
}

fn check_name(entry: &Entry, report: &mut Report) {
    if let Some(what) = name_problem(&entry.key) {
        let write = "another name, and from = for the field";
        report.problem(entry.at, &dotted("columns", &entry.key), what, write);
    }
}

fn name_problem(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        Some("the name is blank or holds a control character".to_owned())
    } else if name.len() > NAME_BYTES_MAX {
        Some(format!("the name is over {NAME_BYTES_MAX} bytes"))
    } else {
        let added = ADDED.iter().find(|added| lower.starts_with(**added))?;
        Some(format!("names that start with {added} belong to rowproof"))
    }
}

/// Whether a column may have this name.
pub(crate) fn is_column_name(name: &str) -> bool {
    name_problem(name).is_none()
}

fn read_column(entry: &Entry, source: Option<&ReadSource>, report: &mut Report) -> Option<Column> {
    let name = dotted("columns", &entry.key);
    let node = &entry.node;
    match &node.value {
        Value::Text(text) => {
            let data_type = read_type(node.at, &name, text, report)?;
            Some(plain(&entry.key, data_type))
        }
        Value::Table(table) => {
            let section = Section::open(&name, node.at, table, &KEYS, report);
            read_table(&entry.key, &section, source, report)
        }
        other @ (Value::Integer(_)
        | Value::Float(_)
        | Value::Bool(_)
        | Value::Time(_)
        | Value::List(_)) => {
            let what = format!("must be a type or a table, not {}", shown(other));
            report.problem(node.at, &name, what, "\"string\" or { type = \"string\" }");
            None
        }
    }
}

fn plain(name: &str, data_type: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        data_type,
        from: ColumnSource::Field(vec![name.to_owned()]),
        key: false,
        nullable: false,
        default: None,
        trim: false,
        pattern: None,
        one_of: None,
        min: None,
        max: None,
        min_length: None,
        max_length: None,
        archive: ArchivePolicy::Full,
        reading: Reading::default(),
    }
}

fn read_type(at: At, name: &str, text: &str, report: &mut Report) -> Option<ColumnType> {
    match parse_type(text) {
        Ok(data_type) => Some(data_type),
        Err((what, write)) => {
            report.problem(at, name, what, write);
            None
        }
    }
}

fn read_table(
    name: &str,
    section: &Section<'_>,
    source: Option<&ReadSource>,
    report: &mut Report,
) -> Option<Column> {
    let data_type = match section.get("type") {
        // `sql` columns have a type of their own; they are refused already.
        None if section.get("sql").is_some() => None,
        None => {
            section.missing("type", "type = \"string\" or another type", report);
            None
        }
        Some(node) => text_of(node, &section.full("type"), "\"string\"", report)
            .and_then(|text| read_type(node.at, &section.full("type"), text, report)),
    };
    let archive = [
        ("full", ArchivePolicy::Full),
        ("mask", ArchivePolicy::Mask),
        ("hash", ArchivePolicy::Hash),
    ];
    // Everything else is read even when the type is wrong: all problems at once.
    let known_type = data_type.is_some();
    let data_type =
        read_format(section, data_type.unwrap_or(ColumnType::String), known_type, report);
    let mut column = plain(name, data_type);
    column.reading = read_reading(section, &column.data_type, known_type, report);
    column.from = read_from(name, section, source, report);
    column.key = section.flag("key", report).unwrap_or(false);
    column.nullable = section.flag("nullable", report).unwrap_or(false);
    column.default = section.scalar("default", report);
    column.trim = section.flag("trim", report).unwrap_or(false);
    column.pattern = read_pattern(section, report);
    column.one_of = read_one_of(section, report);
    column.min = section.scalar("min", report);
    column.max = section.scalar("max", report);
    column.min_length = section.count_u32("min_length", report);
    column.max_length = section.count_u32("max_length", report);
    column.archive = section.choice("archive", &archive, report).unwrap_or(ArchivePolicy::Full);
    check_column(&column, section, known_type, report);
    known_type.then_some(column)
}

fn read_from(
    name: &str,
    section: &Section<'_>,
    source: Option<&ReadSource>,
    report: &mut Report,
) -> ColumnSource {
    const EXAMPLE: &str =
        "\"field\", [\"field\", \"other name\"], \"{capture}\", or 3 for the third field";
    let own = || ColumnSource::Field(vec![name.to_owned()]);
    let Some(node) = section.get("from") else {
        return own();
    };
    let full_name = section.full("from");
    if let Value::Integer(digits) = &node.value {
        return read_place(digits, section, source, report).unwrap_or_else(own);
    }
    let is_list = matches!(node.value, Value::List(_));
    let texts = if is_list {
        section.texts("from", EXAMPLE, report)
    } else {
        text_of(node, &full_name, EXAMPLE, report).map(|text| vec![(node.at, text)])
    };
    let Some(texts) = texts else { return own() };
    if texts.is_empty() {
        report.problem(node.at, &full_name, "names no field", EXAMPLE);
    }
    let mut fields: Vec<String> = Vec::new();
    for (at, text) in &texts {
        if let Some(capture) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if let Some(captures) = source.and_then(|source| source.captures.as_ref()) {
                known_capture(capture, captures, *at, &full_name, report);
            }
            if !is_list {
                return ColumnSource::Capture(capture.to_owned());
            }
            let what = "a capture stands alone, not in a list of fields";
            report.problem(*at, &full_name, what, quoted(text));
        }
        if text.is_empty() || fields.iter().any(|other| other == text) {
            let what = format!("{} is empty or stands twice", quoted(text));
            report.problem(*at, &full_name, what, "each field name once");
        }
        fields.push((*text).to_owned());
    }
    let format = source.map(|source| &source.source.format);
    if matches!(format, Some(Format::Csv(CsvDialect { header: false, .. }))) {
        let what = "names a field, but the file has no header: fields are taken in column order";
        report.problem(
            node.at,
            &full_name,
            what,
            "the columns in the order of the fields, without from, or places: from = 3",
        );
    }
    ColumnSource::Field(fields)
}

/// `from = 3`: a field by its place.
fn read_place(
    digits: &str,
    section: &Section<'_>,
    source: Option<&ReadSource>,
    report: &mut Report,
) -> Option<ColumnSource> {
    let place = digits.parse::<u32>().ok();
    let Some(place) = place.filter(|place| (1..=FIELDS_MAX).contains(place)) else {
        let what = format!("{digits} is not the place of a field");
        section.wrong("from", what, &format!("1 to {FIELDS_MAX}, from the left"), report);
        return None;
    };
    if matches!(source.map(|source| &source.source.format), Some(Format::Jsonl(_))) {
        let what = "a place, but the fields of JSON Lines have names";
        section.wrong("from", what, "the field's name in quotes", report);
        return None;
    }
    Some(ColumnSource::Position(place))
}

/// In a file without a header the fields are taken either in order or by their places.
fn check_places(
    section: &Section<'_>,
    columns: &[ReadColumn],
    source: Option<&ReadSource>,
    report: &mut Report,
) {
    let format = source.map(|source| &source.source.format);
    let is_place = |(_, column): &&ReadColumn| matches!(column.from, ColumnSource::Position(_));
    let is_name = |(_, column): &&ReadColumn| matches!(column.from, ColumnSource::Field(_));
    let headless = matches!(format, Some(Format::Csv(CsvDialect { header: false, .. })));
    if headless
        && columns.iter().any(|column| is_place(&column))
        && let Some((at, column)) = columns.iter().find(is_name)
    {
        let name = dotted(&section.name, &column.name);
        let what = "has no place, while other columns of this file without a header have one";
        report.problem(*at, &name, what, "from = and the place of its field, e.g. 3");
    }
}
