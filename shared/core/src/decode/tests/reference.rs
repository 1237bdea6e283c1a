//! The quote rule written out slowly, byte by byte over the whole object.

use xxhash_rust::xxh3::xxh3_128;

use super::{Item, Read};
use crate::block::{Limits, RejectCode};
use crate::pipeline::{CsvDialect, Ragged};

struct Parsed {
    end: usize,
    fields: Vec<(Vec<u8>, Vec<u8>, bool)>,
    bad: Option<RejectCode>,
}

fn is_line_end(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'\n' | b'\r'))
}

fn line_end_from(data: &[u8], mut at: usize) -> usize {
    while at < data.len() && !is_line_end(data.get(at)) {
        at += 1;
    }
    at
}

fn record(dialect: &CsvDialect, limits: &Limits, data: &[u8], start: usize) -> Parsed {
    let limit = start + limits.record_bytes_max;
    let first_line_end = line_end_from(data, start);
    let stray = |offending: Option<usize>| Parsed {
        end: first_line_end,
        fields: Vec::new(),
        bad: Some(if first_line_end > limit {
            RejectCode::TooLarge
        } else if offending.is_some_and(|at| at < first_line_end) {
            RejectCode::BadQuote
        } else {
            RejectCode::UnterminatedQuote
        }),
    };
    let mut fields = Vec::new();
    let mut at = start;
    loop {
        // At a field's start.
        let (mut text, mut raw, mut quoted) = (Vec::new(), Vec::new(), false);
        if at < limit && dialect.quote.is_some() && data.get(at).copied() == dialect.quote {
            quoted = true;
            at += 1;
            loop {
                if at >= limit || at >= data.len() {
                    return stray(None);
                }
                let byte = data[at];
                let next = data.get(at + 1);
                if Some(byte) == dialect.escape {
                    raw.push(byte);
                    if let Some(next) = next {
                        text.push(*next);
                        raw.push(*next);
                    }
                    at += 2;
                } else if Some(byte) == dialect.quote {
                    if next.copied() == dialect.quote {
                        text.push(byte);
                        raw.extend([byte, byte]);
                        at += 2;
                    } else if next.is_none()
                        || next == Some(&dialect.delimiter)
                        || is_line_end(next)
                    {
                        at += 1;
                        break;
                    } else {
                        return stray(Some(at));
                    }
                } else {
                    text.push(byte);
                    raw.push(byte);
                    at += 1;
                }
            }
        }
        while at < data.len() && data[at] != dialect.delimiter && !is_line_end(data.get(at)) {
            if at >= limit {
                break;
            }
            if Some(data[at]) == dialect.quote {
                return stray(Some(at));
            }
            text.push(data[at]);
            raw.push(data[at]);
            at += 1;
        }
        fields.push((text, raw, quoted));
        if at >= data.len() || is_line_end(data.get(at)) {
            return Parsed { end: at, fields, bad: None };
        }
        if at >= limit {
            let end = line_end_from(data, limit);
            return Parsed { end, fields, bad: Some(RejectCode::TooLarge) };
        }
        at += 1; // the delimiter
    }
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
        } else if kept.clone().any(|(_, raw, _)| raw.len() > limits.field_bytes_max) {
            Err((RejectCode::TooLarge, None, None))
        } else if !counts_agree {
            Err((RejectCode::FieldCount, Some(fields.len() as u32), None))
        } else {
            let text = |(text, _, quoted): &(Vec<u8>, Vec<u8>, bool)| {
                Some((String::from_utf8(text.clone()).unwrap(), *quoted))
            };
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
