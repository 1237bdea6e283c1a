//! The quote rule written out slowly, byte by byte over the whole object.

use xxhash_rust::xxh3::xxh3_128;

use super::{Item, Read};
use crate::block::{Limits, RejectCode};
use crate::pipeline::{CsvDialect, Ragged};

struct Parsed {
    end: usize,
    fields: Vec<Text>,
    bad: Option<RejectCode>,
}

/// A field: what it stands for, how it is written, whether it was quoted.
#[derive(Default)]
struct Text {
    value: Vec<u8>,
    raw: Vec<u8>,
    quoted: bool,
}

impl Text {
    fn push(&mut self, byte: u8) {
        self.value.push(byte);
        self.raw.push(byte);
    }
}

/// The quote at fault, if it is one.
struct Stray(Option<usize>);

fn is_line_end(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'\n' | b'\r'))
}

fn line_end_from(data: &[u8], mut at: usize) -> usize {
    while at < data.len() && !is_line_end(data.get(at)) {
        at += 1;
    }
    at
}

/// Reads a quoted field's text from behind the quote that opens; returns what follows the one that closes.
fn quoted(
    dialect: &CsvDialect,
    data: &[u8],
    mut at: usize,
    limit: usize,
    text: &mut Text,
) -> Result<usize, Stray> {
    text.quoted = true;
    loop {
        if at >= limit || at >= data.len() {
            return Err(Stray(None));
        }
        let (byte, next) = (data[at], data.get(at + 1));
        if Some(byte) == dialect.escape {
            text.raw.push(byte);
            next.into_iter().for_each(|next| text.push(*next));
            at += 2;
        } else if Some(byte) != dialect.quote {
            text.push(byte);
            at += 1;
        } else if next.copied() == dialect.quote {
            text.raw.push(byte);
            text.push(byte);
            at += 2;
        } else if next.is_none() || next == Some(&dialect.delimiter) || is_line_end(next) {
            return Ok(at + 1);
        } else {
            return Err(Stray(Some(at)));
        }
    }
}

fn natural(dialect: &CsvDialect, data: &[u8], start: usize, limit: usize) -> Result<Parsed, Stray> {
    let mut fields = Vec::new();
    let mut at = start;
    loop {
        let mut text = Text::default();
        if at < limit && dialect.quote.is_some() && data.get(at).copied() == dialect.quote {
            at = quoted(dialect, data, at + 1, limit, &mut text)?;
        }
        while at < limit.min(data.len())
            && data[at] != dialect.delimiter
            && !is_line_end(data.get(at))
        {
            if Some(data[at]) == dialect.quote {
                return Err(Stray(Some(at)));
            }
            text.push(data[at]);
            at += 1;
        }
        fields.push(text);
        if at >= data.len() || is_line_end(data.get(at)) {
            return Ok(Parsed { end: at, fields, bad: None });
        }
        if at >= limit {
            let end = line_end_from(data, limit);
            return Ok(Parsed { end, fields, bad: Some(RejectCode::TooLarge) });
        }
        at += 1; // the delimiter
    }
}

fn record(dialect: &CsvDialect, limits: &Limits, data: &[u8], start: usize) -> Parsed {
    let limit = start + limits.record_bytes_max;
    natural(dialect, data, start, limit).unwrap_or_else(|Stray(offending)| {
        let end = line_end_from(data, start);
        let code = if end > limit {
            RejectCode::TooLarge
        } else if offending.is_some_and(|at| at < end) {
            RejectCode::BadQuote
        } else {
            RejectCode::UnterminatedQuote
        };
        Parsed { end, fields: Vec::new(), bad: Some(code) }
    })
}

/// Reads a whole CSV object whose `width` fields are the contract's columns.
pub(super) fn read(dialect: &CsvDialect, limits: &Limits, data: &[u8], width: usize) -> Read {
    let mut read = Read { bytes: data.len() as u64, ..Read::default() };
    let terminator = |at: usize| match data.get(at..) {
        Some([b'\r', b'\n', ..]) => at + 2,
        Some([_, ..]) => at + 1,
        _ => at,
    };
    let mut at = 0;
    while at < data.len() {
        if is_line_end(data.get(at)) {
            read.blank_lines += 1;
            at = terminator(at);
            continue;
        }
        let Parsed { end, fields, bad } = record(dialect, limits, data, at);
        let bytes = &data[at..end];
        read.digest.add(xxh3_128(bytes));
        let kept = fields.iter().take(width);
        let counts_agree = match dialect.ragged {
            Ragged::Reject => fields.len() == width,
            Ragged::Pad => fields.len() <= width,
            Ragged::Lenient => true,
        };
        let result = if bad == Some(RejectCode::TooLarge) {
            Err((RejectCode::TooLarge, None, None))
        } else if str::from_utf8(bytes).is_err() {
            Err((RejectCode::Encoding, None, None))
        } else if let Some(code) = bad {
            Err((code, None, None))
        } else if kept.clone().any(|text| text.raw.len() > limits.field_bytes_max) {
            Err((RejectCode::TooLarge, None, None))
        } else if !counts_agree {
            Err((RejectCode::FieldCount, Some(fields.len() as u32), None))
        } else {
            let text =
                |text: &Text| Some((String::from_utf8(text.value.clone()).unwrap(), text.quoted));
            let mut cells: Vec<_> = kept.map(text).collect();
            cells.resize(width, None);
            Ok(cells)
        };
        let row = read.items.len() as u64;
        read.items.push(Item { row, start: at as u64, end: end as u64, result });
        at = terminator(end);
    }
    read
}
