//! The text of the field that a record was rejected for, as the archive may show it.

use super::raw::MASK;
use super::{ArchiveContext, short_hash};
use crate::block::{Decoded, Layout};
use crate::check::{Contract, Reject};
use crate::decode::json_fields;
use crate::pipeline::{ArchivePolicy, ArchiveRaw, Column, ColumnSource, Format};

/// Longest `value`, in characters; a longer one ends in `…`.
const VALUE_CHARS_MAX: usize = 200;

/// Where the value comes from.
pub(super) struct Source<'a> {
    pub(super) contract: &'a Contract,
    pub(super) layout: &'a Layout,
    pub(super) context: &'a ArchiveContext,
    pub(super) decoded: &'a Decoded,
}

impl Source<'_> {
    /// `None` where no column is to blame, where it has no value, and where none may be shown.
    pub(super) fn value(&self, reject: &Reject) -> Option<String> {
        let index = reject.column?;
        let column = self.contract.column(index)?;
        if self.contract.archive_raw == ArchiveRaw::Pointer {
            return None;
        }
        let text = self.text(reject, index, column)?;
        let policy = match self.contract.archive_raw {
            ArchiveRaw::Masked => ArchivePolicy::Mask,
            ArchiveRaw::Full | ArchiveRaw::Pointer => self.policy(index, column),
        };
        Some(match policy {
            ArchivePolicy::Mask => MASK.to_owned(),
            ArchivePolicy::Hash => short_hash(text.as_bytes()),
            ArchivePolicy::Full => cut(&text),
        })
    }

    fn text(&self, reject: &Reject, index: usize, column: &Column) -> Option<String> {
        let checked = self.contract.checked.get(index)?;
        if let Some(capture) = &checked.capture {
            return self.context.captures.get(capture).cloned();
        }
        let Some(row) = reject.row else { return self.nested(reject, column) };
        let cell = self.decoded.cells.get(row.checked_mul(self.decoded.width)?.checked_add(index)?);
        let text = checked.reader.text(*cell?, &self.decoded.buffer)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// A value of a JSON record that has no text of its own: an object or an array.
    fn nested(&self, reject: &Reject, column: &Column) -> Option<String> {
        let (Format::Jsonl(_), ColumnSource::Field(names)) = (&self.contract.format, &column.from)
        else {
            return None;
        };
        let start = usize::try_from(reject.record.start).ok()?;
        let end = usize::try_from(reject.record.end).ok()?;
        let record = std::str::from_utf8(self.decoded.buffer.get(start..end)?).ok()?;
        let fields = json_fields(record)?;
        let find = |name: &String| fields.iter().find(|(field, _)| field == name);
        let (_, place) = names.iter().find_map(find)?;
        Some(record.get(place.clone())?.to_owned())
    }

    /// Of columns that read one field the strictest policy counts.
    fn policy(&self, index: usize, column: &Column) -> ArchivePolicy {
        let columns = self.contract.columns().iter().enumerate();
        let sharing = columns.filter(|(other, declared)| {
            *other == index || self.reads_the_same((index, column), (*other, declared))
        });
        let policies = sharing.map(|(_, declared)| declared.archive);
        policies.max_by_key(|policy| strictness(*policy)).unwrap_or(column.archive)
    }

    fn reads_the_same(&self, one: (usize, &Column), other: (usize, &Column)) -> bool {
        match (&one.1.from, &other.1.from) {
            (ColumnSource::Capture(one), ColumnSource::Capture(other)) => one == other,
            (ColumnSource::Capture(_), _) | (_, ColumnSource::Capture(_)) => false,
            (from, others) => {
                let field =
                    |index: usize| self.layout.field_of_column.get(index).copied().flatten();
                match (&self.contract.format, from, others) {
                    (Format::Csv(_), ..) => {
                        field(one.0).is_some() && field(one.0) == field(other.0)
                    }
                    (Format::Jsonl(_), ColumnSource::Field(names), ColumnSource::Field(others)) => {
                        names.iter().any(|name| others.contains(name))
                    }
                    (Format::Jsonl(_), ..) => false,
                }
            }
        }
    }
}

fn strictness(policy: ArchivePolicy) -> u8 {
    match policy {
        ArchivePolicy::Full => 0,
        ArchivePolicy::Hash => 1,
        ArchivePolicy::Mask => 2,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
