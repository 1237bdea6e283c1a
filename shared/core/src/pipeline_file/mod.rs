//! The pipeline file, read: [`parse`] is the only way from text to a [`Pipeline`], and tells everything that
//! is wrong at once.

mod column_rules;
mod column_type;
mod columns;
mod compile;
mod csv;
mod load;
mod postgres;
mod read_format;
mod read_reading;
mod readers;
mod row_sql;
mod schema;
mod schema_source;
mod sink;
mod sink_keys;
mod sink_options;
mod source;

pub(crate) use columns::is_column_name;
pub(crate) use csv::{DIALECTS, dialect as named_dialect};
pub use schema::json_schema;

use crate::pipeline::{Pipeline, Sink};
use crate::toml_file::problem::{At, Problem, Problems, Report, quoted};
use crate::toml_file::section::{Key, Section, key, shown, unsupported};
use crate::toml_file::tree::{self, Value};

const KEYS: [Key; 9] = [
    key("version"),
    key("name"),
    key("extends"),
    key("source"),
    key("columns"),
    key("sink"),
    key("errors"),
    unsupported("rules", "[rules] are"),
    unsupported("schedule", "scheduled sources are"),
];

/// Longest name of a pipeline, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A pipeline and what is doubtful in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// What works but was hardly meant.
    pub warnings: Vec<Problem>,
    /// What is meant, but read differently by one engine or another.
    pub notes: Vec<Problem>,
}

/// Reads a pipeline file. `name` is how messages call it; `load` reads an `extends` base by its path
/// relative to the folder of this file; `env` gives the variables of `${NAME}`.
///
/// # Errors
/// Everything that is wrong, at once, each with file, line, key and what to write instead.
pub fn parse(
    name: &str,
    text: &str,
    load: &dyn Fn(&str) -> Result<String, String>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Parsed, Problems> {
    let mut report = Report::default();
    let root = load::load(name, text, load, env, &mut report);
    let pipeline = root.and_then(|root| read_root(&root, &mut report));
    let (pipeline, warnings, notes) = report.finish(pipeline)?;
    Ok(Parsed { pipeline, warnings, notes })
}

/// `None` when a section is missing; whatever else is wrong is in the report.
fn read_root(table: &tree::Table, report: &mut Report) -> Option<Pipeline> {
    let root = Section::open("", At { file: 0, line: 1 }, table, &KEYS, report);
    read_version(&root, report);
    let name = read_name(&root, report);
    for (section, write) in [
        ("source", "a [source] table"),
        ("columns", "a [columns] table"),
        ("sink", "a [sink.parquet] or [sink.postgres] table"),
    ] {
        if root.get(section).is_none() {
            root.missing(section, write, report);
        }
    }
    let source = root.section("source", &source::KEYS, report);
    let source = source.map(|section| source::read(&section, report));
    let columns = root.any_section("columns", report);
    let columns = columns.map(|section| {
        let columns = columns::read(&section, source.as_ref(), report);
        (columns.len() == section.table().0.len(), columns)
    });
    if let (Some(source), Some((_, columns))) = (&source, &columns) {
        let columns: Vec<_> = columns.iter().map(|(_, column)| column.clone()).collect();
        compile::check(&source.source, &columns, table, report);
    }
    // Whether a column fits can be judged only when all of them could be read.
    let complete = columns.as_ref().filter(|(complete, _)| *complete);
    let complete = complete.map(|(_, columns)| columns.as_slice());
    let sink = root.section("sink", &sink::KEYS, report);
    let names = match root.get("columns").map(|node| &node.value) {
        Some(Value::Table(table)) => table.0.iter().map(|entry| entry.key.as_str()).collect(),
        _ => vec![],
    };
    let sink = sink.and_then(|section| sink::read(&section, complete, &names, report));
    if let (Some(Sink::Postgres(sink)), Some(source)) = (&sink, &source) {
        postgres::check_source(sink, &source.source, &root, report);
    }
    let errors = root.section("errors", &sink::ERROR_KEYS, report);
    let errors = sink::read_errors(errors.as_ref(), report);
    Some(Pipeline {
        name: name?,
        source: source?.source,
        columns: columns?.1.into_iter().map(|(_, column)| column).collect(),
        sink: sink?,
        errors,
    })
}

fn read_version(root: &Section<'_>, report: &mut Report) {
    let Some(node) = root.get("version") else {
        root.missing("version", "version = 1", report);
        return;
    };
    if !matches!(&node.value, Value::Integer(digits) if digits == "1") {
        let what = format!("{} is not a version that this rowproof reads", shown(&node.value));
        root.wrong("version", what, "version = 1", report);
    }
}

fn read_name(root: &Section<'_>, report: &mut Report) -> Option<String> {
    const EXAMPLE: &str = "name = \"orders\"";
    if root.get("name").is_none() {
        root.missing("name", EXAMPLE, report);
    }
    let name = root.text("name", EXAMPLE, report)?;
    if is_name(name) {
        return Some(name.to_owned());
    }
    let what =
        format!("{} is not 1 to {NAME_BYTES_MAX} of a-z 0-9 _ - with a letter first", quoted(name));
    let near = name_from(name);
    let write = near.map_or_else(|| EXAMPLE.to_owned(), |near| quoted(&near));
    root.wrong("name", what, &write, report);
    None
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// The nearest valid name for a pipeline, if there are letters to make one of.
pub(crate) fn name_from(text: &str) -> Option<String> {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = text
        .to_lowercase()
        .chars()
        .map(|c| if is_kept(c) { c } else { '_' })
        .skip_while(|c| !c.is_ascii_lowercase())
        .take(NAME_BYTES_MAX)
        .collect();
    let name = name.trim_end_matches(['_', '-']);
    is_name(name).then(|| name.to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
