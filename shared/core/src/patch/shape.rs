//! What a value looks like, without saying what it is.

use super::{csv, json, record};
use crate::archive::{ArchivedRow, visible_bytes};
use crate::block::Layout;
use crate::pipeline::{ArchivePolicy, ArchiveRaw, ColumnSource, Format, Pipeline};

/// Longest shape, in characters; a longer one ends in `…`.
const SHAPE_CHARS_MAX: usize = 32;

/// The shape of a text: `9` for digits, `A` for capital and `a` for other letters, everything else as it
/// is, and each of them once however often it follows itself. `1.234,56` and `12.0,7` are both `9.9,9`.
pub fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut chars = 0;
    let mut last = None;
    for c in text.chars() {
        let class = match c {
            c if c.is_numeric() => '9',
            c if c.is_uppercase() => 'A',
            c if c.is_alphabetic() => 'a',
            c => c,
        };
        if last == Some(class) {
            continue;
        }
        if chars == SHAPE_CHARS_MAX {
            shape.push('…');
            break;
        }
        shape.push(class);
        chars += 1;
        last = Some(class);
    }
    shape
}

/// The text of the field that the row was rejected for, as far as the archive shows it: `None` when the
/// record as a whole failed, when it has no such field, and when its text is masked or not kept.
pub fn field_text(pipeline: &Pipeline, layout: &Layout, row: &ArchivedRow) -> Option<String> {
    field_seen(pipeline, layout, row).map(|(text, _)| text)
}

/// As [`field_text`]; also whether the text stands in quotes.
pub(super) fn field_seen(
    pipeline: &Pipeline,
    layout: &Layout,
    row: &ArchivedRow,
) -> Option<(String, bool)> {
    let name = row.column.as_ref()?;
    let index = pipeline.columns.iter().position(|column| column.name == *name)?;
    let column = pipeline.columns.get(index)?;
    let shown =
        pipeline.errors.archive_raw == ArchiveRaw::Full && column.archive == ArchivePolicy::Full;
    if !shown {
        return None;
    }
    let bytes = visible_bytes(row)?;
    match (&pipeline.source.format, &column.from) {
        (Format::Csv(dialect), _) => {
            let wanted = layout.field_of_column.get(index).copied().flatten()?;
            let fields = record::fields(&pipeline.source.format, &bytes)?;
            let field = fields.get(wanted).copied()?;
            let text = String::from_utf8(csv::text_of(dialect, &bytes, field)).ok()?;
            Some((text, field.quoted))
        }
        (Format::Jsonl(_), ColumnSource::Field(names)) => {
            let text = std::str::from_utf8(&bytes).ok()?;
            let members = json::members(text)?;
            let find = |name: &String| members.iter().find(|member| member.name == *name);
            let value = text.get(names.iter().find_map(find)?.value.clone())?;
            Some((json::text_of(value)?, value.starts_with('"')))
        }
        (Format::Jsonl(_), ColumnSource::Capture(_) | ColumnSource::Position(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_tells_the_kind_of_each_character_once() {
        for (text, expected) in [
            ("1.234,56", "9.9,9"),
            ("12,5", "9,9"),
            ("23.11.2026", "9.9.9"),
            ("2026-11-23T10:11:12Z", "9-9-9A9:9:9A"),
            ("eur", "a"),
            ("EUR", "A"),
            ("Paid", "Aa"),
            ("n/a", "a/a"),
            ("12 €", "9 €"),
            ("12\u{a0}000", "9\u{a0}9"),
            ("---", "-"),
            ("", ""),
            ("東京 5", "a 9"),
            ("Überweisung", "Aa"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn a_shape_is_short() {
        let shape = shape(&"a1".repeat(500));
        assert_eq!(shape.chars().count(), SHAPE_CHARS_MAX + 1);
        assert!(shape.ends_with('…'));
    }
}
