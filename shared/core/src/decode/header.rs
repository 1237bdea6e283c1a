//! What comes before the first record: byte order mark, skipped lines, the names of the fields.

use xxhash_rust::xxh3::xxh3_128;

use super::text::Unescape;
use crate::block::{Digest, Limits, LineEnd, RejectCode};
use crate::pipeline::{CsvDialect, Format, Source};
use crate::split::{BOM, Field, Index, Skipped, Splitter, Step};

/// Bytes that tell what ends the lines, and how many fields the first records have.
const LOOK_BYTES: usize = 64 << 10;
/// Records that are looked at for their fields.
const LOOK_RECORDS: usize = 100;

/// What the first bytes of an object say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderRead {
    /// More bytes are needed than those given: ask again with more.
    NeedMore,
    /// Everything before the first record.
    Read(Header),
}

/// What stands before the first record, and what the first records look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Field names of a CSV header, spaces and tabs around them dropped; `None` when the format has no
    /// header or the object is empty.
    pub names: Option<Vec<String>>,
    /// Byte at which the records begin.
    pub data_start: usize,
    /// What ends the lines.
    pub line_end: LineEnd,
    /// Hashes of the header's records, and of the lines that are skipped behind it.
    pub records: Vec<Digest>,
    /// How the header breaks the quote rule; its names are then read without it.
    pub damage: Option<String>,
    /// What the first records have in common.
    pub rows: Option<FirstRows>,
}

/// Fields of the first records of a file, all of which have the same number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstRows {
    /// Records that were looked at.
    pub records: usize,
    /// Fields of each of them.
    pub fields: usize,
    /// Whether the last field is empty in all of them.
    pub last_is_empty: bool,
}

/// Why an object's header cannot be used. The object is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// More columns than `columns_max`.
    #[error(
        "the header has {found} columns, more than the limit of {max}; check source.csv.delimiter"
    )]
    TooManyColumns {
        /// Columns in the header.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// Longer than `record_bytes_max`, or with more bytes before it.
    #[error("no end of the header within {max} bytes; check source.csv.quote and skip_lines")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// Not UTF-8, or with control bytes.
    #[error(
        "the header is not text at byte {at}; the object is binary, or source.csv.encoding is wrong"
    )]
    NotText {
        /// First byte that is no text, from the object's start.
        at: usize,
    },
}

/// Reads what comes before the first record from the object's first bytes, as UTF-8. `last`: the object
/// holds no further byte.
///
/// # Errors
/// The header is no text, or over a limit.
pub fn header(
    source: &Source,
    prefix: &[u8],
    last: bool,
    limits: &Limits,
) -> Result<HeaderRead, HeaderError> {
    if prefix.len() < LOOK_BYTES && !last {
        return Ok(HeaderRead::NeedMore);
    }
    let look = prefix.get(..LOOK_BYTES).unwrap_or(prefix);
    let line_end = line_end(&source.format, look);
    let start = if prefix.starts_with(BOM) { BOM.len() } else { 0 };
    let Format::Csv(dialect) = &source.format else {
        let header = Header { data_start: start, line_end, ..Header::default() };
        return Ok(HeaderRead::Read(header));
    };
    let splitter = Splitter::new(&source.format, line_end, limits);
    let mut reader = Reader { dialect, splitter, prefix, last, limits, at: start };
    let mut header = Header { line_end, ..Header::default() };
    let complete = reader.skip(dialect.skip_lines, None)?
        && (!dialect.header || reader.names(&mut header)?)
        && reader.skip(dialect.skip_after_header, Some(&mut header.records))?;
    if !complete {
        return Ok(HeaderRead::NeedMore);
    }
    header.data_start = reader.at;
    header.rows = reader.first_rows(last && look.len() == prefix.len());
    Ok(HeaderRead::Read(header))
}

/// What ends the lines of a file that begins with `look`: a lone CR does only where no LF does.
pub(crate) fn line_end(format: &Format, look: &[u8]) -> LineEnd {
    let quote = match format {
        Format::Csv(dialect) => dialect.quote,
        Format::Jsonl(_) => None,
    };
    let (mut quoted, mut lf, mut outside_cr) = (false, false, false);
    let mut bytes = look.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            byte if Some(byte) == quote => quoted = !quoted,
            b'\n' if !quoted => return LineEnd::Lf,
            b'\n' => lf = true,
            b'\r' if !quoted && bytes.peek().is_some_and(|next| *next != b'\n') => {
                outside_cr = true
            }
            _ => {}
        }
    }
    // A stray quote may hide every LF.
    if outside_cr || (!lf && memchr::memchr(b'\r', look).is_some_and(|at| at + 1 < look.len())) {
        return LineEnd::Any;
    }
    LineEnd::Lf
}

/// Goes through the lines before the first record.
struct Reader<'a> {
    dialect: &'a CsvDialect,
    splitter: Splitter,
    prefix: &'a [u8],
    last: bool,
    limits: &'a Limits,
    at: usize,
}

impl Reader<'_> {
    /// Steps over lines that nobody reads, which may hold anything; `false` when more bytes are needed.
    fn skip(
        &mut self,
        lines: u32,
        mut hashes: Option<&mut Vec<Digest>>,
    ) -> Result<bool, HeaderError> {
        for _ in 0..lines {
            let rest = self.prefix.get(self.at..).unwrap_or(&[]);
            match self.splitter.skip_line(rest, self.last) {
                Skipped::Ended { end, next } => {
                    let line = rest.get(..end).unwrap_or(&[]);
                    if let Some(hashes) = hashes.as_mut().filter(|_| !line.is_empty()) {
                        hashes.push(Digest(xxh3_128(line)));
                    }
                    self.at += next;
                }
                Skipped::Open { .. } => return self.within(self.prefix.len()).map(|()| false),
            }
            self.within(self.at)?;
        }
        Ok(true)
    }

    /// Refuses a header that starts behind the limit. Like the splitter's verdict on the header itself, this
    /// does not depend on how many bytes have been seen.
    fn within(&self, start: usize) -> Result<(), HeaderError> {
        let max = self.limits.record_bytes_max;
        if start > max { Err(HeaderError::TooLong { max }) } else { Ok(()) }
    }

    /// Reads the records that name the fields; `false` when more bytes are needed.
    fn names(&mut self, header: &mut Header) -> Result<bool, HeaderError> {
        let mut names: Vec<String> = Vec::new();
        for _ in 0..self.dialect.header_lines.max(1) {
            let start = header.records.len();
            match self.line(header)? {
                Line::Names(line) => {
                    names.resize(names.len().max(line.len()), String::new());
                    for (name, part) in names.iter_mut().zip(line) {
                        let blank = if name.is_empty() || part.is_empty() { "" } else { " " };
                        *name = format!("{name}{blank}{part}");
                    }
                }
                Line::End => break,
                Line::NeedMore => return Ok(false),
            }
            // The one column of a file may well hold its own name.
            if names.len() < 2 {
                header.records.truncate(start);
            }
            header.names = Some(names.clone());
        }
        Ok(true)
    }

    fn line(&mut self, header: &mut Header) -> Result<Line, HeaderError> {
        let mut index = Index::default();
        self.splitter.fill(&mut index, self.prefix);
        let mut cursor = index.cursor(self.at);
        let max = self.limits.columns_max;
        let (mut fields, mut found) = (Vec::new(), 0);
        while self.at < self.prefix.len() {
            let take = |field| {
                found += 1;
                if found <= max {
                    fields.push(field);
                }
            };
            let (at, prefix) = (self.at, self.prefix);
            match self.splitter.step(prefix, self.last, &mut cursor, at, take) {
                Step::Blank { next } => {
                    self.at = next;
                    self.within(next)?;
                }
                Step::Record { end, next, bad } => {
                    let end = if bad.is_none() { end } else { self.first_line(end).0 };
                    if let Some(at) = not_text(prefix.get(..end).unwrap_or(&[]), at, true) {
                        return Err(HeaderError::NotText { at });
                    }
                    let line = prefix.get(at..end).unwrap_or(&[]);
                    let line = line.strip_prefix(BOM).unwrap_or(line);
                    header.records.push(Digest(xxh3_128(line)));
                    self.at = next;
                    return match bad {
                        Some(RejectCode::TooLarge) => {
                            Err(HeaderError::TooLong { max: self.limits.record_bytes_max })
                        }
                        Some(_) => Ok(self.damaged(header, line, at)),
                        None if found > max => Err(HeaderError::TooManyColumns { found, max }),
                        None => Ok(Line::Names(texts(self.dialect, prefix, &fields))),
                    };
                }
                undecided @ (Step::TooLong | Step::More) => {
                    if let Some(at) = not_text(prefix, at, false) {
                        return Err(HeaderError::NotText { at });
                    }
                    if undecided == Step::TooLong {
                        return Err(HeaderError::TooLong { max: self.limits.record_bytes_max });
                    }
                    return Ok(Line::NeedMore);
                }
            }
        }
        Ok(if self.last { Line::End } else { Line::NeedMore })
    }

    /// Where the line at hand ends, and the next one begins.
    fn first_line(&self, end: usize) -> (usize, usize) {
        match self.splitter.skip_line(self.prefix.get(self.at..).unwrap_or(&[]), self.last) {
            Skipped::Ended { end, next } => (self.at + end, self.at + next),
            Skipped::Open { .. } => (end, end),
        }
    }

    /// The names of a header that breaks the quote rule: its line, taken apart as if there were no quotes.
    fn damaged(&mut self, header: &mut Header, line: &[u8], at: usize) -> Line {
        self.at = at;
        self.at = self.first_line(at).1;
        let text = String::from_utf8_lossy(line);
        let quote = self.dialect.quote.map_or('"', char::from);
        let bare = |name: &str| trim(trim(name).trim_matches(quote)).to_owned();
        let names: Vec<String> = text.split(&self.dialect.separator()).map(bare).collect();
        header.damage = Some(format!(
            "a quote stands in the header where none may: by the quote rule its line is no record, without \
             quotes it names {} field{}",
            names.len(),
            if names.len() == 1 { "" } else { "s" }
        ));
        Line::Names(names)
    }

    /// What the first records have in common.
    fn first_rows(&self, whole: bool) -> Option<FirstRows> {
        let data = self.prefix.get(..LOOK_BYTES).unwrap_or(self.prefix);
        let mut index = Index::default();
        self.splitter.fill(&mut index, data);
        let (mut at, mut rows) = (self.at, None::<FirstRows>);
        let mut cursor = index.cursor(at);
        while at < data.len() {
            let (mut fields, mut last_is_empty) = (0, true);
            let take = |field: Field| {
                fields += 1;
                last_is_empty = field.start == field.end && !field.quoted;
            };
            at = match self.splitter.step(data, whole, &mut cursor, at, take) {
                Step::Blank { next } | Step::Record { next, bad: Some(_), .. } => next,
                Step::Record { next, bad: None, .. } => {
                    let seen = *rows.get_or_insert(FirstRows { records: 0, fields, last_is_empty });
                    if seen.fields != fields {
                        return None;
                    }
                    let last_is_empty = last_is_empty && seen.last_is_empty;
                    rows = Some(FirstRows { records: seen.records + 1, fields, last_is_empty });
                    next
                }
                Step::TooLong | Step::More => break,
            };
            if rows.is_some_and(|rows| rows.records == LOOK_RECORDS) {
                break;
            }
        }
        rows
    }
}

/// One line of a header.
enum Line {
    Names(Vec<String>),
    End,
    NeedMore,
}

/// The first byte from `from` that is no text; with `whole`, a character cut short at the end counts.
fn not_text(bytes: &[u8], from: usize, whole: bool) -> Option<usize> {
    let invalid = match simdutf8::compat::from_utf8(bytes.get(from..)?) {
        Ok(_) => None,
        Err(error) if whole || error.error_len().is_some() => Some(from + error.valid_up_to()),
        Err(_) => None,
    };
    invalid.or_else(|| bytes.iter().skip(from).position(|byte| *byte == 0).map(|at| from + at))
}

fn texts(dialect: &CsvDialect, prefix: &[u8], fields: &[Field]) -> Vec<String> {
    let unescape = Unescape::new(dialect);
    let text = |field: &Field| {
        let raw = prefix.get(field.start..field.end).unwrap_or(&[]);
        let mut text = Vec::with_capacity(raw.len());
        if !unescape.text(raw, *field, &mut text) {
            text = raw.to_vec();
        }
        trim(&String::from_utf8_lossy(&text)).to_owned()
    };
    fields.iter().map(text).collect()
}

/// Drops the spaces and tabs around a name.
pub(super) fn trim(name: &str) -> &str {
    name.trim_matches([' ', '\t'])
}
