//! What passes between the stages of the row engine: limits, layout, decoded cells, reject codes, digests.

mod refusal;
mod repairs;

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

pub use refusal::Refusal;
pub use repairs::Repairs;

/// Bounds on everything that comes from outside. Bytes unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// A longer record is rejected with `too_large`.
    pub record_bytes_max: usize,
    /// A longer field rejects its record with `too_large`.
    pub field_bytes_max: usize,
    /// An object with more columns in its header is refused.
    pub columns_max: usize,
    /// Nesting levels of a JSON value.
    pub json_depth_max: usize,
    /// Decompressed bytes of one object.
    pub decompressed_bytes_max: u64,
    /// Decompressed bytes for each compressed one, once `ratio_after_bytes` have come out.
    pub ratio_max: u64,
    /// Decompressed bytes that are granted whatever the ratio is: what a decompression bomb may cost.
    /// Memory is bounded by blocks, so this bounds time alone: minutes of a worker.
    pub ratio_after_bytes: u64,
    /// Bytes of plain text handed to the decoder at once, about.
    pub block_bytes: usize,
    /// A chunk ends at the first record end at or after this many bytes ...
    pub chunk_bytes: u64,
    /// ... or this many records.
    pub chunk_rows: u64,
    /// Partitions that one chunk may write.
    pub partitions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            record_bytes_max: 16 << 20,
            field_bytes_max: 8 << 20,
            columns_max: 10_000,
            json_depth_max: 64,
            decompressed_bytes_max: 5 << 40,
            ratio_max: 200,
            ratio_after_bytes: 16 << 30,
            block_bytes: 4 << 20,
            chunk_bytes: 64 << 20,
            chunk_rows: 500_000,
            partitions_max: 256,
        }
    }
}

/// What ends the lines of a file: decided once an object, from its first bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// LF, CR LF or a lone CR. Plans of earlier versions do not say, and were made so.
    #[default]
    Any,
    /// LF with the CRs before it; a lone CR is text.
    Lf,
}

/// How the fields of one file meet the contract: decided once an object, from its header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Fields of a well-formed record.
    pub fields: usize,
    /// For each contract column in order: the field it reads, or `None` (a capture, or a missing column).
    pub field_of_column: Vec<Option<usize>>,
    /// File columns that the contract does not name.
    pub new_columns: Vec<String>,
    /// Contract columns that the file lacks.
    pub missing_columns: Vec<String>,
    /// What ends its lines.
    #[serde(default)]
    pub line_end: LineEnd,
    /// Hashes (xxh3-128) of the header's records, byte order mark and terminator excluded. A later record with
    /// one of them is the header again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<Digest>,
    /// What about the header needs an operator before any row is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

/// A field's text inside [`Decoded::buffer`], or NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    start: u32,
    len: u32,
}

const QUOTED: u32 = 1 << 31;
const NULL: u32 = u32::MAX;

impl Cell {
    /// No value: a missing field, a JSON null.
    pub const NULL: Cell = Cell { start: 0, len: NULL };

    /// Text `[start, start + len)`; `quoted` text never means NULL. `len` is below 2^31 - 1.
    #[inline]
    pub fn new(start: u32, len: u32, quoted: bool) -> Cell {
        debug_assert!(len < QUOTED - 1, "field limits keep cells below 2 GiB");
        Cell { start, len: if quoted { len | QUOTED } else { len } }
    }

    /// Whether there is no value.
    #[inline]
    pub fn is_null(self) -> bool {
        self.len == NULL
    }

    /// Whether the text was quoted (CSV) or a string (JSON).
    #[inline]
    pub fn is_quoted(self) -> bool {
        self.len != NULL && self.len & QUOTED != 0
    }

    /// The text; empty for NULL.
    #[inline]
    pub fn text(self, buffer: &[u8]) -> &[u8] {
        if self.is_null() {
            return &[];
        }
        let start = self.start as usize;
        let len = (self.len & !QUOTED) as usize;
        buffer.get(start..start + len).unwrap_or(&[])
    }

    /// Where the text starts in the buffer, in bytes.
    #[inline]
    pub fn start(self) -> u32 {
        self.start
    }
}

/// A record's bytes inside [`Decoded::buffer`], without its terminator, and its ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Ordinal in the block, counting every record, well-formed or not, from 0; blank lines do not count.
    pub ordinal: u32,
}

/// A record that could not be cut into fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// Where it is.
    pub record: Record,
    /// Why.
    pub code: RejectCode,
    /// Fields found, for `field_count`.
    pub fields_found: Option<u32>,
    /// The contract column at fault, for `type`: a nested JSON value.
    pub column: Option<u32>,
    /// Bytes of the record that lay in earlier blocks, for a record over its limit.
    pub earlier: u64,
}

/// Text columns of one block: cells of the well-formed records, and the defects.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The block's bytes, then unescaped copies of the fields that needed one.
    pub buffer: Vec<u8>,
    /// Bytes of `buffer` that are the block itself; the rest are unescaped copies.
    pub block_len: usize,
    /// Row-major: `records.len() * width`. Column `i` of a row is contract column `i`; a column that
    /// no field feeds is [`Cell::NULL`]. Every cell is valid UTF-8.
    pub cells: Vec<Cell>,
    /// Contract columns.
    pub width: usize,
    /// One for each row of `cells`.
    pub records: Vec<Record>,
    /// Records that could not be cut into fields, in order.
    pub defects: Vec<Defect>,
    /// What the block holds.
    pub counts: BlockCounts,
    /// Sum of xxh3-128 over each record's bytes, defects included, terminators excluded.
    pub source_digest: Digest,
    /// The budget is used up and the next byte starts a record: the chunk ends after `counts.bytes`.
    pub full: bool,
}

/// What a block holds. `bytes` = record bytes + terminators + blank lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockCounts {
    /// Bytes of the block that were used: up to the last complete record.
    pub bytes: u64,
    /// Records, well-formed or not.
    pub records: u64,
    /// Blank lines, and other lines that hold no record: comments, nothing but delimiters.
    pub blank_lines: u64,
    /// Records that were not read as they are written.
    pub repairs: Repairs,
}

/// Why a row is in the failure archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// Too few or too many fields.
    FieldCount,
    /// A quote where none may stand.
    BadQuote,
    /// A quoted field that its line does not close.
    UnterminatedQuote,
    /// An escape that stands for nothing that can be loaded, such as `\0`.
    BadEscape,
    /// The header of the file, in the middle of it.
    RepeatedHeader,
    /// Not one JSON object.
    BadJson,
    /// Not valid in the declared encoding.
    Encoding,
    /// The text is no value of the column's type.
    Type,
    /// A required value is missing.
    NotNull,
    /// Below `min` or above `max`.
    Range,
    /// Shorter than `min_length` or longer than `max_length`.
    Length,
    /// The text does not match `pattern`.
    Pattern,
    /// Not one of the allowed values.
    OneOf,
    /// A rule said false.
    Rule,
    /// A derived column failed.
    Derive,
    /// A field outside the contract.
    UnknownField,
    /// A record or field over its limit.
    TooLarge,
    /// Lost to another row with its key.
    DuplicateKey,
    /// The sink refused the row.
    SinkRejected,
    /// The record kills the worker.
    Poison,
}

impl RejectCode {
    /// Every code.
    pub const ALL: [RejectCode; 18] = [
        RejectCode::FieldCount,
        RejectCode::BadQuote,
        RejectCode::UnterminatedQuote,
        RejectCode::BadJson,
        RejectCode::Encoding,
        RejectCode::Type,
        RejectCode::NotNull,
        RejectCode::Range,
        RejectCode::Length,
        RejectCode::Pattern,
        RejectCode::OneOf,
        RejectCode::Rule,
        RejectCode::Derive,
        RejectCode::UnknownField,
        RejectCode::TooLarge,
        RejectCode::DuplicateKey,
        RejectCode::SinkRejected,
        RejectCode::Poison,
    ];

    /// The name in the archive.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectCode::FieldCount => "field_count",
            RejectCode::BadQuote => "bad_quote",
            RejectCode::UnterminatedQuote => "unterminated_quote",
            RejectCode::BadEscape => "bad_escape",
            RejectCode::RepeatedHeader => "repeated_header",
            RejectCode::BadJson => "bad_json",
            RejectCode::Encoding => "encoding",
            RejectCode::Type => "type",
            RejectCode::NotNull => "not_null",
            RejectCode::Range => "range",
            RejectCode::Length => "length",
            RejectCode::Pattern => "pattern",
            RejectCode::OneOf => "one_of",
            RejectCode::Rule => "rule",
            RejectCode::Derive => "derive",
            RejectCode::UnknownField => "unknown_field",
            RejectCode::TooLarge => "too_large",
            RejectCode::DuplicateKey => "duplicate_key",
            RejectCode::SinkRejected => "sink_rejected",
            RejectCode::Poison => "poison",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An order-free checksum of a set of rows: the sum of their 128-bit hashes mod 2^128.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest(pub u128);

impl Digest {
    /// Adds one row.
    #[inline]
    pub fn add(&mut self, hash: u128) {
        self.0 = self.0.wrapping_add(hash);
    }

    /// Reads the 32 hex digits that `Display` writes.
    pub fn parse(text: &str) -> Option<Digest> {
        (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(Digest)).flatten()
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Digest) {
        self.add(other.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest is 32 hex digits"))
    }
}
