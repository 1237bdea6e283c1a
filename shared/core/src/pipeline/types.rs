//! The parsed pipeline. Every value here has been checked; nothing below re-checks it.

use serde::{Deserialize, Serialize};

use super::dialect::Format;
use super::reading::{Formats, Reading};
use super::sink_types::Sink;

/// One feed: where its files come from, the contract for their rows, and the sink.
///
/// Its canonical JSON (serde, fields in this order) is what a job freezes; see [`Pipeline::sha256`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// 1 to 64 of `a-z 0-9 _ -`, starting with a letter.
    pub name: String,
    /// Where files come from and how their bytes are read.
    pub source: Source,
    /// The contract; the order is the output order. Never empty, names unique.
    pub columns: Vec<Column>,
    /// Where good rows go.
    pub sink: Sink,
    /// What happens to bad rows.
    pub errors: ErrorPolicy,
}

/// Where files come from and how their bytes are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The `match` text, e.g. `incoming/{supplier}/orders_{day:%Y%m%d}*.csv*`; compiled by `KeyPattern`.
    pub pattern: String,
    /// What a new file takes over.
    pub replaces: Replaces,
    /// Text format with its options.
    pub format: Format,
    /// WHATWG label of the text encoding in lower case, `utf-8` by default.
    pub encoding: String,
    /// IANA zone for timestamps without an offset; without it such a timestamp is rejected.
    pub timezone: Option<String>,
    /// What a column that the contract does not name does to the object.
    pub on_new_column: OnNewColumn,
    /// What a contract column that the header lacks does to the object.
    pub on_missing_column: OnMissingColumn,
    /// What an object that holds nothing does.
    #[serde(default, skip_serializing_if = "OnEmpty::is_hold")]
    pub empty: OnEmpty,
}

impl Source {
    /// Whether a file ends before the header that its format has, `names` being what its header named.
    pub fn is_headless(&self, names: Option<&[String]>) -> bool {
        names.is_none() && matches!(&self.format, Format::Csv(dialect) if dialect.header)
    }
}

/// What a new file takes over: the identity of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replaces {
    /// The rows of the same object key (the default).
    Key,
    /// The rows of the file with the same values of these captures.
    Captures(Vec<String>),
    /// `[]`: the newest file is the whole table.
    Table,
    /// `"nothing"`: every version of every object counts.
    Nothing,
}

/// What a column that the contract does not name does to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewColumn {
    /// Named in the job record, not read.
    Ignore,
    /// The job is HELD before any row is read.
    Hold,
}

/// What a contract column that the header lacks does to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissingColumn {
    /// The job is HELD before any row is read.
    Hold,
    /// A nullable (or defaulted) column is NULL; a required one still holds.
    Null,
}

/// What an object that holds nothing does: no byte, no header where one is declared, no record.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// The job is HELD, whatever is visible in its place.
    #[default]
    Hold,
    /// It is a file without rows, and takes the place of the one before it.
    Accept,
}

impl OnEmpty {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks in this form")]
    fn is_hold(&self) -> bool {
        *self == OnEmpty::Hold
    }
}

/// One output column and its rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Output name, unique.
    pub name: String,
    /// Output type.
    pub data_type: ColumnType,
    /// Where the text comes from.
    pub from: ColumnSource,
    /// Part of the row's key.
    pub key: bool,
    /// NULL is allowed.
    pub nullable: bool,
    /// Text that stands in for NULL, read by the same rules as a field.
    pub default: Option<String>,
    /// Spaces and tabs around the text are dropped before anything else.
    pub trim: bool,
    /// Regular expression that the text must match (unanchored, as `regex` defines it).
    pub pattern: Option<String>,
    /// Allowed values, as text of the column's type.
    pub one_of: Option<Vec<String>>,
    /// Smallest allowed value, as text of the column's type.
    pub min: Option<String>,
    /// Largest allowed value, as text of the column's type.
    pub max: Option<String>,
    /// Fewest characters (Unicode scalar values) of a string.
    pub min_length: Option<u32>,
    /// Most characters (Unicode scalar values) of a string.
    pub max_length: Option<u32>,
    /// How the value appears in the failure archive and in reports.
    pub archive: ArchivePolicy,
    /// How values are written, where that differs from what the type reads by itself.
    #[serde(default, skip_serializing_if = "Reading::is_default")]
    pub reading: Reading,
}

/// Output type of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// true, t, yes, y, on, 1 and false, f, no, n, off, 0 in any case, or the words of the column.
    Bool,
    /// Signed integer of 8, 16, 32 or 64 bits.
    Int(u8),
    /// Unsigned integer of 8, 16, 32 or 64 bits.
    UInt(u8),
    /// IEEE 754 of 32 or 64 bits, nearest value; overflow rejects.
    Float(u8),
    /// Exact decimal: precision 1 to 38, scale 0 to precision.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// UTF-8 text.
    String,
    /// Calendar day; ISO 8601 without a format.
    Date {
        /// strftime, `iso`, `epoch_days`, `epoch_s`, `epoch_ms`, `epoch_us` or `epoch_ns`.
        format: Option<Formats>,
    },
    /// Time of day in microseconds; ISO 8601 without a format.
    Time {
        /// strftime or `iso`.
        format: Option<Formats>,
    },
    /// Instant in microseconds UTC.
    Timestamp {
        /// How the text is read.
        format: TimestampFormat,
    },
}

/// How a timestamp's text is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampFormat {
    /// RFC 3339 with the offset in any written form; no offset needs a time zone.
    Rfc3339,
    /// A strftime format.
    Strftime(String),
    /// Seconds since 1970-01-01T00:00:00Z.
    EpochSeconds,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    EpochMillis,
    /// Microseconds since 1970-01-01T00:00:00Z.
    EpochMicros,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    EpochNanos,
    /// The first of these that fits; none of them is a list.
    AnyOf(Vec<TimestampFormat>),
}

impl TimestampFormat {
    /// As the pipeline file writes it; empty for a list.
    pub fn as_str(&self) -> &str {
        match self {
            TimestampFormat::Rfc3339 => "rfc3339",
            TimestampFormat::Strftime(format) => format,
            TimestampFormat::EpochSeconds => "epoch_s",
            TimestampFormat::EpochMillis => "epoch_ms",
            TimestampFormat::EpochMicros => "epoch_us",
            TimestampFormat::EpochNanos => "epoch_ns",
            TimestampFormat::AnyOf(_) => "",
        }
    }
}

/// Where a column's text comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnSource {
    /// A field of the record: the first of these names that the file has.
    Field(Vec<String>),
    /// The field at this place of a delimited record, from 1, whatever the header calls it.
    Position(u32),
    /// A capture of the source's `match`.
    Capture(String),
}

/// How a value appears in the failure archive and in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchivePolicy {
    /// As it is.
    Full,
    /// `***`.
    Mask,
    /// The first 16 hex digits of its SHA-256.
    Hash,
}

/// What happens to bad rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorPolicy {
    /// Over it the job is HELD until approved or discarded.
    pub hold_if: Option<HoldIf>,
    /// How much of a bad record the archive keeps.
    pub archive_raw: ArchiveRaw,
}

/// Over it the job is HELD until approved or discarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldIf {
    /// More rejected rows than this.
    pub rejected: Rejected,
    /// Objects with fewer rows than this are not held.
    pub min_rows: u64,
}

/// A number of rejected rows or their share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejected {
    /// Rows.
    Rows(u64),
    /// Parts in a million of the rows read: `5%` is 50,000.
    PartsPerMillion(u32),
}

/// How much of a bad record the archive keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveRaw {
    /// The record, with the columns' own `archive` policies applied.
    Full,
    /// Every value masked.
    Masked,
    /// Nothing but the byte range.
    Pointer,
}
