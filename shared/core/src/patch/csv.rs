//! One field of a CSV record, changed.

use super::record;
use super::text::New;
use super::trouble::Trouble;
use crate::decode::Unescape;
use crate::pipeline::{CsvDialect, Escapes, Format};
use crate::split::Field;

/// The text that a field stands for.
pub(super) fn text_of(dialect: &CsvDialect, record: &[u8], field: Field) -> Vec<u8> {
    let bytes = record.get(field.start..field.end).unwrap_or_default();
    let mut text = Vec::with_capacity(bytes.len());
    if !Unescape::new(dialect).text(bytes, field, &mut text) {
        text = bytes.to_vec();
    }
    text
}

/// Where a field's bytes are, quotes included.
pub(super) fn place(field: Field) -> std::ops::Range<usize> {
    match field.quoted {
        true => field.start.saturating_sub(1)..field.end + 1,
        false => field.start..field.end,
    }
}

/// The record with field `wanted` changed as `edit` says; `None` when it leaves it as it is, or when the
/// record cannot be cut into fields. A record of too few fields has no text there, and gets empty fields
/// up to one that is given a value.
pub(super) fn changed(
    dialect: &CsvDialect,
    record: &[u8],
    wanted: usize,
    edit: impl FnOnce(Option<&[u8]>) -> Option<New>,
) -> Result<Option<Vec<u8>>, Trouble> {
    let Some(fields) = record::fields(&Format::Csv(dialect.clone()), record) else {
        return Ok(None);
    };
    let Some(field) = fields.get(wanted).copied() else {
        return appended(dialect, record, wanted - fields.len(), edit(None));
    };
    let old = text_of(dialect, record, field);
    let (text, quoted) = match edit(Some(&old)) {
        None => return Ok(None),
        Some(New::Text(text)) if text == old => return Ok(None),
        Some(New::Text(text)) => (text, field.quoted),
        Some(New::Value(value))
            if value.as_bytes() == old && !reads_as_null(dialect, field, &old) =>
        {
            return Ok(None);
        }
        Some(New::Value(value)) => {
            let quoted = field.quoted || means_null(dialect, value.as_bytes());
            (value.into_bytes(), quoted)
        }
        Some(New::Null) if reads_as_null(dialect, field, &old) => return Ok(None),
        Some(New::Null) => (null_text(dialect)?.as_bytes().to_vec(), false),
    };
    let place = place(field);
    let mut new = record.get(..place.start).unwrap_or_default().to_vec();
    write(dialect, &text, quoted, &mut new)?;
    new.extend_from_slice(record.get(place.end..).unwrap_or_default());
    Ok(Some(new))
}

fn appended(
    dialect: &CsvDialect,
    record: &[u8],
    between: usize,
    new: Option<New>,
) -> Result<Option<Vec<u8>>, Trouble> {
    let Some(New::Value(value)) = new else { return Ok(None) };
    let mut longer = record.to_vec();
    longer.extend(dialect.separator().repeat(between + 1).bytes());
    let quoted = means_null(dialect, value.as_bytes());
    write(dialect, value.as_bytes(), quoted, &mut longer)?;
    Ok(Some(longer))
}

fn reads_as_null(dialect: &CsvDialect, field: Field, text: &[u8]) -> bool {
    !field.quoted && means_null(dialect, text)
}

/// Whether the text means NULL without quotes; a column may trim it first.
fn means_null(dialect: &CsvDialect, text: &[u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    dialect.null.iter().any(|null| null.as_bytes() == text)
        || dialect.null.iter().any(String::is_empty) && text.iter().all(blank)
}

/// The shortest text that means NULL.
pub(super) fn null_text(dialect: &CsvDialect) -> Result<&str, Trouble> {
    let shortest = dialect.null.iter().min_by_key(|null| null.len());
    shortest.map(String::as_str).ok_or(Trouble::NoNull)
}

/// Writes a field's text, in quotes where it must be.
pub(super) fn write(
    dialect: &CsvDialect,
    text: &[u8],
    quoted: bool,
    to: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let special = |byte: &u8| {
        matches!(byte, b'\n' | b'\r') || *byte == dialect.delimiter || Some(*byte) == dialect.quote
    };
    if let Some(escape) = dialect.escape.filter(|_| dialect.escapes == Escapes::Text && !quoted) {
        for byte in text {
            if special(byte) || *byte == escape {
                to.push(escape);
            }
            to.push(*byte);
        }
        return Ok(());
    }
    if !quoted && !text.iter().any(special) {
        to.extend_from_slice(text);
        return Ok(());
    }
    let quote = dialect.quote.ok_or(Trouble::NoQuote)?;
    to.push(quote);
    for byte in text {
        if *byte == quote || Some(*byte) == dialect.escape {
            to.push(*byte);
        }
        to.push(*byte);
    }
    to.push(quote);
    Ok(())
}
