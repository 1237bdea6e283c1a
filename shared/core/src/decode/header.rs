//! What comes before the first record: byte order mark, skipped lines, the names of the fields.

use std::collections::HashSet;

use super::csv::unescape;
use super::layout::trim;
use crate::block::{Limits, RejectCode};
use crate::pipeline::{CsvDialect, Format, Source, ticked};
use crate::split::{Field, Index, Skipped, Splitter, Step, skip_line};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What the first bytes of an object say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderRead {
    /// The header goes on behind the bytes given: ask again with more.
    NeedMore,
    /// Everything before the first record.
    Read {
        /// Field names of a CSV header, spaces and tabs around them dropped; `None` when the format has no
        /// header or the object is empty.
        names: Option<Vec<String>>,
        /// Byte at which the records begin.
        data_start: usize,
    },
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
    /// Quotes that do not pair up.
    #[error("the header breaks the quote rule; check source.csv.quote and source.csv.delimiter")]
    Quotes,
    /// One name twice.
    #[error("the header names column {} twice; rename one of them in the file", ticked(name))]
    Duplicate {
        /// The name.
        name: String,
    },
}

/// Reads what comes before the first record from the object's first bytes, as UTF-8. `last`: the object
/// holds no further byte.
pub fn header(
    source: &Source,
    prefix: &[u8],
    last: bool,
    limits: &Limits,
) -> Result<HeaderRead, HeaderError> {
    let Some(mut at) = after_bom(prefix, last) else {
        return Ok(HeaderRead::NeedMore);
    };
    let Format::Csv(dialect) = &source.format else {
        return Ok(HeaderRead::Read { names: None, data_start: at });
    };
    for _ in 0..dialect.skip_lines {
        match skip_line(prefix.get(at..).unwrap_or(&[]), last) {
            Skipped::Ended { next, .. } => at += next,
            // Lines that nobody reads may hold anything.
            Skipped::Open { .. } => {
                return within(prefix.len(), limits).map(|()| HeaderRead::NeedMore);
            }
        }
        within(at, limits)?;
    }
    if !dialect.header {
        return Ok(HeaderRead::Read { names: None, data_start: at });
    }
    names(source, dialect, prefix, last, limits, at)
}

fn after_bom(prefix: &[u8], last: bool) -> Option<usize> {
    if prefix.starts_with(BOM) {
        return Some(BOM.len());
    }
    let undecided = !last && BOM.starts_with(prefix);
    (!undecided).then_some(0)
}

/// Refuses a header that starts behind the limit. Like the splitter's verdict on the header itself, this
/// does not depend on how many bytes have been seen.
fn within(start: usize, limits: &Limits) -> Result<(), HeaderError> {
    let max = limits.record_bytes_max;
    if start > max { Err(HeaderError::TooLong { max }) } else { Ok(()) }
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

fn names(
    source: &Source,
    dialect: &CsvDialect,
    prefix: &[u8],
    last: bool,
    limits: &Limits,
    mut at: usize,
) -> Result<HeaderRead, HeaderError> {
    let splitter = Splitter::new(&source.format, limits);
    let mut index = Index::default();
    splitter.fill(&mut index, prefix);
    let mut cursor = index.cursor(at);
    let mut fields = Vec::new();
    let mut found = 0;
    while at < prefix.len() {
        let take = |field| {
            found += 1;
            if found <= limits.columns_max {
                fields.push(field);
            }
        };
        match splitter.step(prefix, last, &mut cursor, at, take) {
            Step::Blank { next } => {
                at = next;
                within(at, limits)?;
            }
            Step::Record { end, next, bad } => {
                if let Some(at) = not_text(prefix.get(..end).unwrap_or(&[]), at, true) {
                    return Err(HeaderError::NotText { at });
                }
                match bad {
                    Some(RejectCode::TooLarge) => {
                        return Err(HeaderError::TooLong { max: limits.record_bytes_max });
                    }
                    Some(_) => return Err(HeaderError::Quotes),
                    None if found > limits.columns_max => {
                        return Err(HeaderError::TooManyColumns { found, max: limits.columns_max });
                    }
                    None => {}
                }
                let names = Some(unique(texts(dialect, prefix, &fields))?);
                return Ok(HeaderRead::Read { names, data_start: next });
            }
            undecided @ (Step::TooLong | Step::More) => {
                if let Some(at) = not_text(prefix, at, false) {
                    return Err(HeaderError::NotText { at });
                }
                if undecided == Step::TooLong {
                    return Err(HeaderError::TooLong { max: limits.record_bytes_max });
                }
                return Ok(HeaderRead::NeedMore);
            }
        }
    }
    match last {
        true => Ok(HeaderRead::Read { names: None, data_start: at }),
        false => Ok(HeaderRead::NeedMore),
    }
}

fn texts(dialect: &CsvDialect, prefix: &[u8], fields: &[Field]) -> Vec<String> {
    let text = |field: &Field| {
        let mut bytes = prefix.get(field.start..field.end).unwrap_or(&[]).to_vec();
        if field.escaped {
            let raw = std::mem::take(&mut bytes);
            unescape(&raw, dialect.quote, dialect.escape, &mut bytes);
        }
        trim(&String::from_utf8_lossy(&bytes)).to_owned()
    };
    fields.iter().map(text).collect()
}

/// Fields without a name may be several: nothing can refer to them.
fn unique(names: Vec<String>) -> Result<Vec<String>, HeaderError> {
    let mut seen = HashSet::new();
    if let Some(name) = names.iter().find(|name| !name.is_empty() && !seen.insert(name.as_str())) {
        return Err(HeaderError::Duplicate { name: name.clone() });
    }
    Ok(names)
}
