//! What each byte can do to a record, in one format.

use crate::block::LineEnd;
use crate::pipeline::{BlankLines, CsvDialect, Escapes, Format, JsonlOptions};

/// What a byte can do to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Other,
    Delimiter,
    Line,
    Quote,
    Escape,
}

/// A byte order mark, which is no part of the record that it stands before.
pub(crate) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The class of every byte, the bytes that an index marks, and what lines that are no records look like.
#[derive(Debug, Clone)]
pub(super) struct Syntax {
    classes: [Class; 256],
    /// Bytes that a line without a record may begin with.
    blank_starts: [bool; 256],
    marks: Vec<u8>,
    /// The whole delimiter; empty where the format has none.
    pub(super) delimiter: Vec<u8>,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    /// Whether an escape acts outside quotes too, and before any byte.
    pub(super) escapes_text: bool,
    /// Whether a lone CR ends a line.
    pub(super) lone_cr: bool,
    /// Whether `="` opens a quoted field.
    pub(super) formula_text: bool,
    /// Whether a line without any character is a record.
    pub(super) blank_is_record: bool,
    pub(super) comment: Vec<Vec<u8>>,
    /// Blanks and tabs alone make a blank line.
    pub(super) json: bool,
    /// So do the brackets and commas of a list.
    pub(super) json_list: bool,
    /// Whether every field is looked at, so that a field's start is known.
    pub(super) tracks_fields: bool,
}

impl Syntax {
    /// With `fields` the delimiters are marked, too.
    pub(super) fn new(format: &Format, line_end: LineEnd, fields: bool) -> Syntax {
        let mut syntax = Syntax {
            classes: [Class::Other; 256],
            blank_starts: [false; 256],
            marks: Vec::new(),
            delimiter: Vec::new(),
            quote: None,
            escape: None,
            escapes_text: false,
            lone_cr: line_end == LineEnd::Any,
            formula_text: false,
            blank_is_record: false,
            comment: Vec::new(),
            json: matches!(format, Format::Jsonl(_)),
            json_list: matches!(format, Format::Jsonl(JsonlOptions { list: true, .. })),
            tracks_fields: false,
        };
        if let Format::Csv(dialect) = format {
            syntax.read(dialect, fields);
        }
        syntax.set(Class::Line, Some(b'\n'), true);
        syntax.set(Class::Line, Some(b'\r').filter(|_| syntax.lone_cr), true);
        let blank: &[u8] = match (syntax.json, syntax.json_list) {
            (_, true) => b"\n\r \t\xEF[,]",
            (true, false) => b"\n\r \t\xEF",
            (false, false) => b"\n\r\xEF",
        };
        let comments = syntax.comment.iter().filter_map(|comment| comment.first());
        let delimiter = syntax.delimiter.first();
        for byte in blank.iter().chain(comments).chain(delimiter) {
            if let Some(entry) = syntax.blank_starts.get_mut(usize::from(*byte)) {
                *entry = true;
            }
        }
        syntax
    }

    fn read(&mut self, dialect: &CsvDialect, fields: bool) {
        let escape = dialect.escape;
        self.escapes_text = escape.is_some() && dialect.escapes == Escapes::Text;
        // An escape that acts before quotes alone has nothing to do without them.
        self.escape = escape.filter(|_| self.escapes_text || dialect.quote.is_some());
        self.delimiter = dialect.separator().into_bytes();
        self.quote = dialect.quote;
        self.formula_text = dialect.formula_text && dialect.quote.is_some();
        self.blank_is_record = dialect.blank_lines == BlankLines::Null;
        self.comment = dialect.comment.iter().map(|text| text.clone().into_bytes()).collect();
        // The byte before a quote tells where a field starts only when each delimiter ends one.
        self.tracks_fields =
            fields || self.delimiter.len() > 1 || self.escapes_text || self.formula_text;
        self.set(Class::Delimiter, Some(dialect.delimiter), self.tracks_fields);
        self.set(Class::Escape, self.escape, true);
        self.set(Class::Quote, dialect.quote, true);
    }

    fn set(&mut self, class: Class, byte: Option<u8>, marked: bool) {
        let Some(byte) = byte else { return };
        if let Some(entry) = self.classes.get_mut(usize::from(byte)) {
            *entry = class;
        }
        if marked && !self.marks.contains(&byte) {
            self.marks.push(byte);
        }
    }

    /// The bytes that an index marks.
    pub(super) fn marks(&self) -> &[u8] {
        &self.marks
    }

    /// The class of the byte at `at`; behind the end it is [`Class::Other`].
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "256 entries, indexed by a byte")]
    pub(super) fn class(&self, data: &[u8], at: usize) -> Class {
        data.get(at).map_or(Class::Other, |byte| self.classes[usize::from(*byte)])
    }

    /// Whether a line that begins with the byte at `at` may be no record.
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "256 entries, indexed by a byte")]
    pub(super) fn may_start_blank(&self, data: &[u8], at: usize) -> bool {
        data.get(at).is_some_and(|byte| self.blank_starts[usize::from(*byte)])
    }
}
