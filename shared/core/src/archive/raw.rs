//! A record's text as the archive may show it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::short_hash;
use crate::block::{Cell, Decoded, Layout, RejectCode};
use crate::check::{Contract, Reject};
use crate::decode::json_fields;
use crate::pipeline::{ArchivePolicy, ArchiveRaw, ColumnSource, Format};
use crate::split::fields;

/// Longest `raw_data`, bytes.
pub(crate) const RAW_BYTES_MAX: usize = 1 << 20;
pub(super) const MASK: &str = "***";

/// The record's text, or `None` where it must not or cannot be shown.
pub(super) fn raw_data(
    contract: &Contract,
    layout: &Layout,
    decoded: &Decoded,
    reject: &Reject,
) -> Option<String> {
    let start = usize::try_from(reject.record.start).ok()?;
    let end = usize::try_from(reject.record.end).ok()?;
    let record = decoded.buffer.get(start..end)?;
    let all_shown = contract.columns().iter().all(|c| c.archive == ArchivePolicy::Full);
    let text = match contract.archive_raw {
        ArchiveRaw::Pointer => return None,
        ArchiveRaw::Full if all_shown && reject.code == RejectCode::Encoding => escaped(record),
        ArchiveRaw::Full if all_shown => String::from_utf8_lossy(record).into_owned(),
        ArchiveRaw::Full | ArchiveRaw::Masked => match &contract.format {
            Format::Csv(_) => {
                let cells = cells(decoded, reject.row?)?;
                masked_csv(contract, layout, record, (cells, &decoded.buffer))?
            }
            Format::Jsonl(_) => reject.row.and_then(|_| masked_json(contract, record))?,
        },
    };
    Some(cut(text))
}

fn cells(decoded: &Decoded, row: usize) -> Option<&[Cell]> {
    decoded.cells.get(row * decoded.width..(row + 1) * decoded.width)
}

/// At most [`RAW_BYTES_MAX`] bytes, cut between characters.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(RAW_BYTES_MAX));
    text
}

/// Bytes that are not UTF-8 as `\xNN`, backslashes doubled.
fn escaped(record: &[u8]) -> String {
    let mut text = String::with_capacity(record.len() + 16);
    for chunk in record.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            let written = write!(text, "\\x{byte:02X}");
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
    }
    text
}

/// The record with the values of masked columns replaced; quotes stay where they were.
fn masked_csv(
    contract: &Contract,
    layout: &Layout,
    record: &[u8],
    (cells, buffer): (&[Cell], &[u8]),
) -> Option<String> {
    if layout.field_of_column.len() != contract.width() || cells.len() != contract.width() {
        return None;
    }
    let fields = fields(&contract.format, record)?;
    let fields: Vec<Range<usize>> = fields.iter().map(|field| field.start..field.end).collect();
    let mut replacements: Vec<Option<Cow<'static, str>>> = vec![None; fields.len()];
    if contract.archive_raw == ArchiveRaw::Masked {
        for (field, replacement) in fields.iter().zip(&mut replacements) {
            *replacement = (!field.is_empty()).then_some(Cow::Borrowed(MASK));
        }
    }
    let columns = contract.checked.iter().zip(contract.columns());
    for (((column, declared), field), cell) in columns.zip(&layout.field_of_column).zip(cells) {
        let Some(text) = column.reader.text(*cell, buffer) else {
            continue;
        };
        let value = match declared.archive {
            ArchivePolicy::Full => continue,
            ArchivePolicy::Mask => Cow::Borrowed(MASK),
            ArchivePolicy::Hash if contract.archive_raw == ArchiveRaw::Masked => continue,
            ArchivePolicy::Hash => Cow::Owned(short_hash(text)),
        };
        // A value whose place is unknown hides the record.
        let replacement = field.and_then(|field| replacements.get_mut(field))?;
        // Of two columns that read one field, the stricter policy wins.
        if replacement.as_deref() != Some(MASK) {
            *replacement = Some(value);
        }
    }
    let mut text = Vec::with_capacity(record.len());
    let mut copied = 0;
    for (field, replacement) in fields.iter().zip(replacements) {
        if let Some(replacement) = replacement {
            text.extend_from_slice(record.get(copied..field.start)?);
            text.extend_from_slice(replacement.as_bytes());
            copied = field.end;
        }
    }
    text.extend_from_slice(record.get(copied..)?);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The object with the values of masked columns replaced, in the order of its fields.
fn masked_json(contract: &Contract, record: &[u8]) -> Option<String> {
    let record = std::str::from_utf8(record).ok()?;
    let mut text = String::with_capacity(record.len());
    for (name, place) in json_fields(record)? {
        let value = record.get(place)?;
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&serde_json::to_string(&name).ok()?);
        text.push(':');
        match replaced(contract, &name, value) {
            Some(replacement) => {
                text.push('"');
                text.push_str(&replacement);
                text.push('"');
            }
            None => text.push_str(value),
        }
    }
    text.push_str(if text.is_empty() { "{}" } else { "}" });
    Some(text)
}

fn replaced(contract: &Contract, name: &str, value: &str) -> Option<Cow<'static, str>> {
    if value == "null" {
        return None;
    }
    if contract.archive_raw == ArchiveRaw::Masked {
        return Some(Cow::Borrowed(MASK));
    }
    let mut replacement = None;
    for column in contract.columns() {
        let ColumnSource::Field(names) = &column.from else {
            continue;
        };
        if !names.iter().any(|from| from == name) {
            continue;
        }
        match column.archive {
            ArchivePolicy::Full => {}
            ArchivePolicy::Mask => return Some(Cow::Borrowed(MASK)),
            ArchivePolicy::Hash => {
                let text = serde_json::from_str::<String>(value);
                let text = text.map_or(Cow::Borrowed(value), Cow::Owned);
                let trimmed =
                    if column.trim { text.trim_matches([' ', '\t']) } else { text.as_ref() };
                replacement = Some(Cow::Owned(short_hash(trimmed.as_bytes())));
            }
        }
    }
    replacement
}
