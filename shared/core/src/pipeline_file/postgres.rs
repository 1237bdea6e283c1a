//! `[sink.postgres]`: rows into a table.

use super::columns::ReadColumn;
use super::row_sql;
use super::sink_keys::{parts_per_million, read_added};
use crate::pipeline::{Column, Replaces, Source};
use crate::pipeline::{CommitUnit, Dsn, PostgresSink, WriteMode};
use crate::toml_file::problem::{Report, nearest, quoted};
use crate::toml_file::section::{Key, Section, key};

pub(super) const KEYS: [Key; 12] = [
    key("table"),
    key("dsn"),
    key("mode"),
    key("newest_by"),
    key("skip_unchanged"),
    key("commit"),
    key("create"),
    key("deleted_when"),
    key("delete_missing"),
    key("delete_missing_max"),
    key("update_columns"),
    key("add"),
];

/// Columns of this kind are Rowproof's own.
const OWN_PREFIX: &str = "_rowproof_";
/// Share of the rows that a file may delete by not having them, in parts of a million.
const MISSING_MAX: u32 = 100_000;
/// Longest name in Postgres, in bytes.
const NAME_BYTES_MAX: usize = 63;
const DSN: &str =
    "\"secret:NAME\", \"iam:user@host:port/database\" or, on a laptop, \"env:VARIABLE\"";

/// `columns` is `None` when they could not all be read.
pub(super) fn read(
    section: &Section<'_>,
    columns: Option<&[ReadColumn]>,
    report: &mut Report,
) -> Option<PostgresSink> {
    let postgres = section.section("postgres", &KEYS, report)?;
    let columns: Option<Vec<&Column>> =
        columns.map(|columns| columns.iter().map(|(_, column)| column).collect());
    let (schema, table) = read_table(&postgres, report)?;
    let modes = [
        ("upsert", WriteMode::Upsert),
        ("delete_insert", WriteMode::DeleteInsert),
        ("append", WriteMode::Append),
    ];
    if postgres.get("mode").is_none() {
        let write = "mode = \"upsert\", \"delete_insert\" or \"append\"";
        postgres.missing("mode", write, report);
    }
    let mode = postgres.choice("mode", &modes, report)?;
    let units = [("object", CommitUnit::Object), ("chunk", CommitUnit::Chunk)];
    let skips = postgres.flag("skip_unchanged", report);
    let creations = [("if_missing", true), ("never", false)];
    let sink = PostgresSink {
        schema,
        table,
        dsn: read_dsn(&postgres, report)?,
        mode,
        newest_by: named(&postgres, "newest_by", columns.as_deref(), report),
        skip_unchanged: skips.unwrap_or(mode == WriteMode::Upsert),
        commit: postgres.choice("commit", &units, report).unwrap_or(CommitUnit::Object),
        create: postgres.choice("create", &creations, report).unwrap_or(false),
        deleted_when: read_deleted(&postgres, columns.as_deref(), report),
        delete_missing: read_missing(&postgres, report),
        update_columns: read_updated(&postgres, columns.as_deref(), report),
        add: read_added(&postgres, report),
    };
    if let Some(columns) = columns {
        check_columns(&postgres, &sink, &columns, report);
    }
    check_mode(&postgres, &sink, report);
    Some(sink)
}

fn read_table(postgres: &Section<'_>, report: &mut Report) -> Option<(String, String)> {
    const EXAMPLE: &str = "table = \"public.orders\"";
    if postgres.get("table").is_none() {
        postgres.missing("table", EXAMPLE, report);
    }
    let text = postgres.text("table", EXAMPLE, report)?;
    let (schema, table) = text.split_once('.').unwrap_or(("public", text));
    let fits = |name: &str| {
        let word = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && word
    };
    if !fits(schema) || !fits(table) {
        let what = format!("{} is no name of a table", quoted(text));
        postgres.wrong("table", what, "schema.table of letters, digits and _", report);
        return None;
    }
    if ["rowproof", "pg_catalog", "information_schema"].contains(&schema) {
        let what = format!("schema {schema} is not for your rows");
        postgres.wrong("table", what, "a schema of your own", report);
    }
    Some((schema.to_owned(), table.to_owned()))
}

fn read_dsn(postgres: &Section<'_>, report: &mut Report) -> Option<Dsn> {
    if postgres.get("dsn").is_none() {
        postgres.missing("dsn", &format!("dsn = {DSN}"), report);
    }
    let dsn = Dsn::parse(postgres.text("dsn", DSN, report)?);
    if dsn.is_none() {
        // The text may hold a password: it is not shown.
        let what = "does not say where to look; connection strings do not belong in this file";
        postgres.wrong("dsn", what, DSN, report);
    }
    dsn
}

impl Dsn {
    /// `secret:NAME`, `iam:user@host:port/database` or `env:VARIABLE`.
    pub fn parse(text: &str) -> Option<Dsn> {
        match text.split_once(':')? {
            ("secret", name) if !name.is_empty() => Some(Dsn::Secret(name.to_owned())),
            ("iam", place) if place.contains('@') && place.contains('/') => {
                Some(Dsn::Iam(place.to_owned()))
            }
            ("env", name) if !name.is_empty() => Some(Dsn::Env(name.to_owned())),
            _ => None,
        }
    }
}

/// A column that must be one of the contract's.
fn named(
    postgres: &Section<'_>,
    key: &str,
    columns: Option<&[&Column]>,
    report: &mut Report,
) -> Option<String> {
    let text = postgres.text(key, "\"updated_at\"", report)?;
    if let Some(columns) = columns
        && !columns.iter().any(|column| column.name == text)
    {
        let near = nearest(text, columns.iter().map(|column| column.name.as_str()));
        let write = near.map_or_else(|| "a name from [columns]".to_owned(), quoted);
        postgres.wrong(key, format!("{} is not a column", quoted(text)), &write, report);
    }
    Some(text.to_owned())
}

fn read_deleted(
    postgres: &Section<'_>,
    columns: Option<&[&Column]>,
    report: &mut Report,
) -> Option<String> {
    let text = postgres.text("deleted_when", "\"op = 'D'\"", report)?;
    let is_column =
        |name: &str| columns.is_none_or(|columns| columns.iter().any(|column| column.name == name));
    match row_sql::condition(text, &is_column) {
        Ok(sql) => Some(sql),
        Err(what) => {
            postgres.wrong("deleted_when", what, "a condition such as \"op = 'D'\"", report);
            None
        }
    }
}

/// The share of rows that may be missing, in parts of a million.
fn read_missing(postgres: &Section<'_>, report: &mut Report) -> Option<u32> {
    const MAX: &str = "delete_missing_max";
    let deletes = postgres.flag("delete_missing", report).unwrap_or(false);
    let text = postgres.text(MAX, "\"10%\"", report);
    if !deletes {
        if text.is_some() {
            let what = "has no meaning without delete_missing = true";
            postgres.wrong(MAX, what, "no such key", report);
        }
        return None;
    }
    let share = text.map_or(Some(MISSING_MAX), parts_per_million);
    if share.is_none() {
        postgres.wrong(MAX, "is no share", "a share such as \"10%\"", report);
    }
    share
}

fn read_updated(
    postgres: &Section<'_>,
    columns: Option<&[&Column]>,
    report: &mut Report,
) -> Option<Vec<String>> {
    let named = postgres.texts("update_columns", "[\"status\", \"updated_at\"]", report)?;
    for (at, text) in &named {
        if columns.is_some_and(|all| !all.iter().any(|column| column.name == *text && !column.key))
        {
            let what = format!("{} is no column outside the key", quoted(text));
            report.problem(*at, "sink.postgres.update_columns", what, "a name from [columns]");
        }
    }
    Some(named.into_iter().map(|(_, text)| text.to_owned()).collect())
}

fn check_columns(
    postgres: &Section<'_>,
    sink: &PostgresSink,
    columns: &[&Column],
    report: &mut Report,
) {
    if sink.mode == WriteMode::Upsert && !columns.iter().any(|column| column.key) {
        let what = "upsert needs a key, and no column is one";
        postgres.wrong("mode", what, "key = true at a column, or another mode", report);
    }
    for column in columns {
        if column.name.starts_with(OWN_PREFIX) || column.name.len() > NAME_BYTES_MAX {
            let what = format!("Postgres cannot have {} as a column here", quoted(&column.name));
            let write = format!("at most {NAME_BYTES_MAX} bytes, not beginning with {OWN_PREFIX}");
            postgres.wrong("table", what, &write, report);
        }
    }
}

/// Keys that mean something in one mode only.
fn check_mode(postgres: &Section<'_>, sink: &PostgresSink, report: &mut Report) {
    let upsert = sink.mode == WriteMode::Upsert;
    let only = |key: &str| postgres.get(key).is_some() && !upsert;
    for key in ["newest_by", "deleted_when", "delete_missing", "update_columns"] {
        if only(key) {
            postgres.wrong(key, "has no meaning without mode = \"upsert\"", "no such key", report);
        }
    }
    if sink.skip_unchanged && !upsert {
        let what = "only an upsert compares rows";
        postgres.wrong("skip_unchanged", what, "false, or mode = \"upsert\"", report);
    }
    if sink.commit == CommitUnit::Chunk && sink.delete_missing.is_some() {
        let what = "what is missing is known when all rows are";
        postgres.wrong("commit", what, "\"object\", or no delete_missing", report);
    }
    if sink.commit == CommitUnit::Chunk && sink.mode == WriteMode::DeleteInsert {
        let what = "rows are replaced all at once";
        postgres.wrong("commit", what, "\"object\", or mode = \"upsert\"", report);
    }
}

/// What the mode asks of the source.
pub(super) fn check_source(
    sink: &PostgresSink,
    source: &Source,
    root: &Section<'_>,
    report: &mut Report,
) {
    let at = root.at("source");
    if sink.mode == WriteMode::Append && source.replaces != Replaces::Nothing {
        let what = "mode = \"append\" keeps the rows of every version of a file";
        report.problem(at, "source.replaces", what, "replaces = \"nothing\", or mode = \"upsert\"");
    }
    if sink.delete_missing.is_some() && source.replaces != Replaces::Table {
        let what = "delete_missing needs files that hold all rows";
        report.problem(at, "source.replaces", what, "replaces = [], or no delete_missing");
    }
}
