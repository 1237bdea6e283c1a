//! Values that an export masks, put back from the source.

use super::trouble::Trouble;
use super::{csv, json, record};
use crate::block::Layout;
use crate::pipeline::{ArchivePolicy, ArchiveRaw, CsvDialect, Format, Pipeline};

/// Whether the archive shows other values than the source has.
pub(super) fn hides(pipeline: &Pipeline) -> bool {
    pipeline.errors.archive_raw != ArchiveRaw::Full
        || pipeline.columns.iter().any(|column| column.archive != ArchivePolicy::Full)
}

/// The corrected record with the original's value wherever the archive's mask was left standing.
pub(super) fn unmasked(
    pipeline: &Pipeline,
    layout: &Layout,
    archived: &str,
    corrected: &[u8],
    original: &[u8],
) -> Result<Vec<u8>, Trouble> {
    match &pipeline.source.format {
        Format::Csv(dialect) => {
            let format = &pipeline.source.format;
            csv_unmasked(format, dialect, layout, archived.as_bytes(), corrected, original)
        }
        Format::Jsonl(_) => json_unmasked(archived, corrected, original),
    }
    .ok_or(Trouble::Masked)
}

fn csv_unmasked(
    format: &Format,
    dialect: &CsvDialect,
    layout: &Layout,
    archived: &[u8],
    corrected: &[u8],
    original: &[u8],
) -> Option<Vec<u8>> {
    let before = record::fields(format, archived)?;
    let after = record::fields(format, corrected)?;
    let source = record::fields(format, original)?;
    if before.len() != source.len() || after.len() != source.len().max(layout.fields) {
        return None;
    }
    let mut new = Vec::with_capacity(corrected.len());
    let mut copied = 0;
    for ((before, after), source) in before.into_iter().zip(after).zip(source) {
        let shown = csv::text_of(dialect, archived, before);
        let is_masked = shown != csv::text_of(dialect, original, source);
        if is_masked && shown == csv::text_of(dialect, corrected, after) {
            let place = csv::place(after);
            new.extend_from_slice(corrected.get(copied..place.start)?);
            new.extend_from_slice(original.get(csv::place(source))?);
            copied = place.end;
        }
    }
    new.extend_from_slice(corrected.get(copied..)?);
    Some(new)
}

fn json_unmasked(archived: &str, corrected: &[u8], original: &[u8]) -> Option<Vec<u8>> {
    let (corrected, original) =
        (std::str::from_utf8(corrected).ok()?, std::str::from_utf8(original).ok()?);
    let before = json::members(archived)?;
    let after = json::members(corrected)?;
    let source = json::members(original)?;
    let mut places = Vec::new();
    for member in &source {
        let value = original.get(member.value.clone())?;
        let shown = before.iter().find(|before| before.name == member.name)?;
        let shown = archived.get(shown.value.clone())?;
        if shown == value {
            continue;
        }
        // A masked field under another name cannot be told from a new one.
        let now = after.iter().find(|after| after.name == member.name)?;
        if corrected.get(now.value.clone())? == shown {
            places.push((now.value.clone(), value));
        }
    }
    places.sort_by_key(|(place, _)| place.start);
    let mut new = String::with_capacity(corrected.len());
    let mut copied = 0;
    for (place, value) in places {
        new.push_str(corrected.get(copied..place.start)?);
        new.push_str(value);
        copied = place.end;
    }
    new.push_str(corrected.get(copied..)?);
    Some(new.into_bytes())
}
