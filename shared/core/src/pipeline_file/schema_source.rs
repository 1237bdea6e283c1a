//! The JSON Schema of how the text of a source is written.
#![allow(dead_code, reason = "the fields are read by the derive, never by code")]
#![allow(
    clippy::doc_markdown,
    reason = "editors show the texts as they are, quotes mean TOML text"
)]

use schemars::JsonSchema;

/// The name of a dialect, or single settings.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum CsvValue {
    Dialect(DialectName),
    Table(Box<CsvTable>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum DialectName {
    Clickhouse,
    ClickhouseTsv,
    Excel,
    Hive,
    Mysql,
    MysqlBatch,
    Postgres,
    PostgresText,
    R,
    Redshift,
    Snowflake,
    Spark,
    Tsv,
}

/// How delimited text is written.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CsvTable {
    /// The program that writes it; single keys beside it win.
    dialect: Option<DialectName>,
    /// Field separator, one to 8 bytes. Default ",".
    #[schemars(length(min = 1, max = 8))]
    delimiter: Option<String>,
    /// Quote, one ASCII character, or "" for no quoting. Default "\"".
    #[schemars(length(max = 1))]
    quote: Option<String>,
    /// Escape besides a doubled quote, e.g. "\\". Default none.
    #[schemars(length(max = 1))]
    escape: Option<String>,
    /// Where it acts: in "quotes" before a quote or itself (default), or in all "text", where \n and the like
    /// are control characters.
    escapes: Option<EscapesName>,
    /// Whether a header names the fields. Default true.
    header: Option<bool>,
    /// Lines that make up the header; their names are joined by a blank. Default 1.
    header_lines: Option<u32>,
    /// Lines before the header that are not records. Default 0.
    skip_lines: Option<u32>,
    /// Lines behind the header that are not records, such as units. Default 0.
    skip_after_header: Option<u32>,
    /// Lines that begin with this text, or one of these, are not records.
    comment: Option<Comment>,
    /// Unquoted texts that mean NULL. Default [""].
    null: Option<Vec<String>>,
    /// Whether the same texts mean NULL in quotes, too. Default false.
    null_quoted: Option<bool>,
    /// A line without any character: "skip" it (default), or "null": a record, for a file of one column.
    blank_lines: Option<BlankLinesName>,
    /// Each record may end with one more field, which is empty. Default false.
    trailing_delimiter: Option<bool>,
    /// ="007" is the text 007. Default false.
    formula_text: Option<bool>,
    /// A record with too few or too many fields: "reject" (default); "pad" missing ones with NULL;
    /// "lenient" drops extra ones as well.
    ragged: Option<RaggedName>,
    /// Text encoding, a WHATWG label. Default "utf-8".
    encoding: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Comment {
    One(String),
    Many(#[schemars(length(min = 1))] Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum EscapesName {
    Quotes,
    Text,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum BlankLinesName {
    Skip,
    Null,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum RaggedName {
    Reject,
    Pad,
    Lenient,
}

/// Options of JSON Lines.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct JsonlTable {
    /// A field outside the contract: "ignore" it (default) or "reject" its row.
    unknown_fields: Option<UnknownFieldsName>,
    /// Texts that mean NULL, besides null itself. Default none.
    null: Option<Vec<String>>,
    /// Whether the objects are the lines of one JSON list. Default false.
    list: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum UnknownFieldsName {
    Ignore,
    Reject,
}
