//! How the text of a file is written.

use serde::{Deserialize, Serialize};

/// Text format with its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Delimited text.
    Csv(CsvDialect),
    /// One JSON object a line.
    Jsonl(JsonlOptions),
}

/// How delimited text is written. Delimiter, quote and escape differ from each other.
///
/// Fields that came later are left out of the JSON at their defaults, so that a pipeline file keeps its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvDialect {
    /// Field separator: its first byte, ASCII.
    pub delimiter: u8,
    /// What follows the first byte in a separator of several characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub delimiter_rest: String,
    /// Quote byte; `None` when quoting is off.
    pub quote: Option<u8>,
    /// Escape byte besides a doubled quote, e.g. a backslash.
    pub escape: Option<u8>,
    /// Where the escape acts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub escapes: Escapes,
    /// Whether a header names the fields; without it the contract's field columns are the fields in order.
    pub header: bool,
    /// Records that make up the header, when they are several: their names are joined.
    #[serde(default, skip_serializing_if = "is_default")]
    pub header_lines: u32,
    /// Lines before the header (or the first record) that are not records.
    pub skip_lines: u32,
    /// Lines behind the header that are not records, such as units.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_after_header: u32,
    /// Lines that begin with one of these texts are not records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comment: Vec<String>,
    /// Field texts that mean NULL when they are not quoted.
    pub null: Vec<String>,
    /// Whether a quoted text can mean NULL as well.
    #[serde(default, skip_serializing_if = "is_default")]
    pub null_quoted: bool,
    /// What a line without any character is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blank_lines: BlankLines,
    /// Each record may end with one more field, which is empty.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trailing_delimiter: bool,
    /// `="007"`, as spreadsheets read it, is the text 007.
    #[serde(default, skip_serializing_if = "is_default")]
    pub formula_text: bool,
    /// What a record with too few or too many fields becomes.
    pub ragged: Ragged,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for CsvDialect {
    /// Comma, double quote, a header, and NULL where nothing stands.
    fn default() -> CsvDialect {
        CsvDialect {
            delimiter: b',',
            delimiter_rest: String::new(),
            quote: Some(b'"'),
            escape: None,
            escapes: Escapes::Quotes,
            header: true,
            header_lines: 0,
            skip_lines: 0,
            skip_after_header: 0,
            comment: Vec::new(),
            null: vec![String::new()],
            null_quoted: false,
            blank_lines: BlankLines::Skip,
            trailing_delimiter: false,
            formula_text: false,
            ragged: Ragged::Reject,
        }
    }
}

impl CsvDialect {
    /// The whole field separator.
    pub fn separator(&self) -> String {
        format!("{}{}", char::from(self.delimiter), self.delimiter_rest)
    }
}

/// Where an escape acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Escapes {
    /// Inside quoted fields, before a quote or itself; elsewhere it is text. As Spark and Postgres write CSV.
    #[default]
    Quotes,
    /// Everywhere: `\n`, `\t` and the like are control characters, and a delimiter, quote, escape or line end
    /// behind it is text. As Postgres COPY and `MySQL` OUTFILE write text.
    Text,
}

/// What a line without any character is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlankLines {
    /// No record.
    #[default]
    Skip,
    /// A record of one empty field: how a file of one column writes NULL.
    Null,
}

/// What a record with too few or too many fields becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ragged {
    /// It is rejected with `field_count`.
    Reject,
    /// Missing fields are NULL; extra ones still reject.
    Pad,
    /// Missing fields are NULL and extra ones are ignored.
    Lenient,
}

/// Options of JSON Lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonlOptions {
    /// What a field outside the contract does to its row.
    pub unknown_fields: UnknownFields,
    /// Texts that mean NULL, besides JSON's own null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null: Vec<String>,
    /// Whether the objects are the lines of one JSON list: `[` before the first, `,` between them, `]` at the end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub list: bool,
}

/// What a field outside the contract does to its row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// It is not read.
    #[default]
    Ignore,
    /// The row is rejected with `unknown_field`.
    Reject,
}
