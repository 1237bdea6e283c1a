//! The JSON Schema of the pipeline file, for editors. The types below are the file as it is written;
//! they exist for their documentation only, and a test keeps their keys equal to those that are read.
#![allow(dead_code, reason = "the fields are read by the derive, never by code")]
#![allow(
    clippy::doc_markdown,
    reason = "editors show the texts as they are, quotes mean TOML text"
)]

mod columns;
mod sinks;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use self::columns::ColumnEntry;
use self::sinks::{ParquetTable, PostgresTable};
use super::schema_source::{CsvValue, JsonlTable};
use crate::pipeline::OnEmpty;

/// The JSON Schema (draft 2020-12) of a pipeline file, pretty and with a final line end.
pub fn json_schema() -> String {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<PipelineFile>().to_value();
    let required = schema.get("required").cloned().unwrap_or_default();
    tidy(&mut schema);
    if let Value::Object(root) = &mut schema {
        // What a file with a base leaves out, the base may hold.
        root.insert("if".to_owned(), json!({ "not": { "required": ["extends"] } }));
        root.insert("then".to_owned(), json!({ "required": required }));
    }
    // A `Value` with string keys always has a text.
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text + "\n"
}

/// Drops `null`, which TOML lacks, and what is required of tables that a base may complete.
fn tidy(schema: &mut Value) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(tidy);
    }
    let Value::Object(object) = schema else {
        return;
    };
    object.shift_remove("required");
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({ "type": "null" }));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.shift_remove("anyOf");
            object.extend(only);
        }
    }
    object.values_mut().for_each(tidy);
}

/// Rowproof pipeline file
///
/// One feed: where its files come from, the contract for their rows, and the sink.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "pipeline")]
struct PipelineFile {
    /// Version of the file format: 1.
    #[schemars(range(min = 1, max = 1))]
    version: u8,
    /// Name of the pipeline: 1 to 64 of a-z, 0-9, _ and -, a letter first.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]{0,63}$"))]
    name: String,
    /// A pipeline file that this one changes: tables merge key by key, everything else replaces.
    extends: Option<String>,
    /// Where files come from and how their bytes are read.
    source: SourceTable,
    /// The contract: one key a column, in output order. "string" is short for { type = "string" }.
    columns: BTreeMap<String, ColumnEntry>,
    /// Where good rows go.
    sink: SinkTable,
    /// What happens to bad rows.
    errors: Option<ErrorsTable>,
}

/// Where files come from and how their bytes are read.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct SourceTable {
    /// Object keys to take: * stays within a folder, ** crosses folders, ? is one character, {name}
    /// captures text and {name:%Y%m%d} a date.
    #[schemars(rename = "match")]
    pattern: String,
    /// What a new file takes over. "key" (default): the rows of the same object key. A list of captures:
    /// the rows of the file with the same values. []: the newest file is the whole table. "nothing":
    /// every version counts.
    replaces: Option<ReplacesValue>,
    /// Text format. Compression (gzip, zstd) is recognised by itself.
    format: FormatName,
    /// How delimited text is written.
    csv: Option<CsvValue>,
    /// Options of JSON Lines.
    jsonl: Option<JsonlTable>,
    /// IANA zone of timestamps without an offset, e.g. "UTC"; without it they are rejected.
    timezone: Option<String>,
    /// A local time that the zone has twice or never: "reject" (default), or the "earlier" or "later" of
    /// the instants that the offsets before and after the change of clocks give. For every column that
    /// does not say it.
    local_time: Option<LocalTimeName>,
    /// Between the whole part and the fraction of numbers. Default ".". For every column that does not
    /// say it.
    #[schemars(length(min = 1, max = 1))]
    decimal_separator: Option<String>,
    /// What may stand between groups of three digits of numbers. Default nothing. For every column that
    /// does not say it.
    #[schemars(length(min = 1, max = 1))]
    thousands: Option<String>,
    /// A file column that the contract does not name: "ignore" (default) or "hold" the job.
    on_new_column: Option<OnNewColumnName>,
    /// A contract column that the header lacks: "hold" the job (default), or "null" where it may be.
    on_missing_column: Option<OnMissingColumnName>,
    /// An object that holds nothing (no bytes, line ends alone): "hold" the job (default) or "accept" it.
    empty: Option<OnEmpty>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ReplacesValue {
    Word(ReplacesWord),
    Captures(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ReplacesWord {
    Key,
    Nothing,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum FormatName {
    Csv,
    Jsonl,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnNewColumnName {
    Ignore,
    Hold,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnMissingColumnName {
    Hold,
    Null,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum LocalTimeName {
    Reject,
    Earlier,
    Later,
}

/// Where good rows go: one sink.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct SinkTable {
    /// Parquet files on S3.
    parquet: Option<ParquetTable>,
    /// A table in Postgres.
    postgres: Option<PostgresTable>,
}

/// What happens to bad rows.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ErrorsTable {
    /// Over it the job is HELD until approved or discarded; nothing is visible meanwhile. Default never.
    hold_if: Option<HoldIfTable>,
    /// What the failure archive keeps of a bad record: "full" (default), "masked" or "pointer".
    archive_raw: Option<ArchiveRawName>,
}

/// Over it the job is HELD.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct HoldIfTable {
    /// A number of rejected rows, or their share of all rows such as "5%".
    rejected: RejectedValue,
    /// Objects with fewer rows are not held. Default 0.
    min_rows: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum RejectedValue {
    Rows(u64),
    Share(#[schemars(regex(pattern = r"^[0-9]{1,3}(\.[0-9]{1,4})? *%$"))] String),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ArchiveRawName {
    Full,
    Masked,
    Pointer,
}
