//! Corrected records from an export of the failure archive that was edited by hand.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::apply::{PatchError, stands_alone};
use super::text::New;
use super::trouble::Trouble;
use super::{csv, fixed_file, json, record, restore};
use crate::archive::{ArchivedRow, RAW_BYTES_MAX, is_formula, unescaped};
use crate::block::Layout;
use crate::pipeline::{ColumnSource, Format, Pipeline};
use crate::toml_file::Problems;

/// An export of one job's failed rows (CSV or Parquet, as `rowproof failures export` writes it) whose
/// column `raw_data` holds the corrected records, or whose column `value` holds the corrected text of the
/// field at fault.
///
/// Rows that were deleted, and rows of which both are as they were, are not loaded again. In CSV the `'`
/// that the export puts before texts that a spreadsheet would run is taken off again, also when what
/// follows it was changed, and a file that a spreadsheet saved with semicolons or tabs is read too. The
/// columns `job`, `row_number` and `raw_data` are needed, others of the export may be there: the fields
/// of the record are for reading only, since a spreadsheet changes numbers and dates that nobody touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    pub(super) job: String,
    /// By row number.
    pub(super) texts: BTreeMap<i64, String>,
    /// Texts of the fields at fault by row number, where the file has them.
    pub(super) values: BTreeMap<i64, String>,
    /// No text has a spreadsheet's guard in front.
    pub(super) exact: bool,
}

impl Fixed {
    pub(super) fn new(job: &str) -> Fixed {
        Fixed { job: job.to_owned(), texts: BTreeMap::new(), values: BTreeMap::new(), exact: false }
    }

    /// Reads the file; `name` is how messages call it, `job` the job that its rows must be of.
    ///
    /// # Errors
    /// Everything that is wrong, with its line: columns missing or unknown, rows that stand twice or are of
    /// another job, what is no CSV. In a Parquet file the line is the number of the row.
    pub fn read(name: &str, bytes: &Bytes, job: &str) -> Result<Fixed, Problems> {
        fixed_file::read(name, bytes, job)
    }

    /// Rows in the file.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether the file has no row.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Numbers of the rows in the file, ascending.
    pub fn row_numbers(&self) -> impl Iterator<Item = i64> {
        self.texts.keys().copied()
    }

    /// The corrected record, without a terminator; `None` when the file does not have the row or leaves it
    /// as it is. `original` is the record as it stands in the source: values that the export masks are
    /// taken from there, where the mask still stands.
    ///
    /// # Errors
    /// When the new record is none, or several, and when masked values cannot be put back.
    pub fn record(
        &self,
        pipeline: &Pipeline,
        layout: &Layout,
        row: &ArchivedRow,
        original: &[u8],
    ) -> Result<Option<Vec<u8>>, PatchError> {
        let text = self.texts.get(&row.row_number).filter(|_| row.job == self.job);
        let Some(text) = text.map(|text| text.trim_end_matches(['\r', '\n'])) else {
            return Ok(None);
        };
        let archived = row.raw_data.as_deref();
        let text = self.without_guard(text, archived);
        let text = (text != archived.unwrap_or_default()).then_some(text);
        let value = self.values.get(&row.row_number);
        let value = value.map(|value| self.without_guard(value, row.value.as_deref()));
        let value = value.filter(|value| *value != row.value.as_deref().unwrap_or_default());
        let new = corrected(pipeline, layout, row, (text, value), original);
        new.map_err(|trouble| PatchError::new(0, trouble))
    }

    /// The text without the guard that stood before the archived one and was left where it was.
    fn without_guard<'a>(&self, text: &'a str, archived: Option<&str>) -> &'a str {
        let was_guarded = !self.exact && archived.is_some_and(is_formula);
        let rest = text.strip_prefix('\'').filter(|rest| was_guarded && !is_formula(rest));
        rest.unwrap_or(text)
    }

    /// The canonical text: a CSV file that reads as this one.
    pub fn to_csv(&self) -> String {
        fixed_file::write(self)
    }

    /// SHA-256 of the canonical text in lower-case hex.
    pub fn sha256(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.to_csv()))
    }
}

fn corrected(
    pipeline: &Pipeline,
    layout: &Layout,
    row: &ArchivedRow,
    (text, value): (Option<&str>, Option<&str>),
    original: &[u8],
) -> Result<Option<Vec<u8>>, Trouble> {
    let mut new = None;
    if let Some(text) = text {
        new = Some(with_text(pipeline, layout, row, text, original)?);
    }
    if let Some(value) = value {
        let record = new.as_deref().unwrap_or(original);
        new = with_value(pipeline, layout, row, value, record)?.or(new);
    }
    let new = new.filter(|new| new != original);
    if let Some(new) = &new {
        stands_alone(pipeline, new)?;
    }
    Ok(new)
}

/// The record that a text in the place of `raw_data` stands for.
fn with_text(
    pipeline: &Pipeline,
    layout: &Layout,
    row: &ArchivedRow,
    text: &str,
    original: &[u8],
) -> Result<Vec<u8>, Trouble> {
    let archived = row.raw_data.as_deref();
    if archived.is_some_and(|archived| archived.len() >= RAW_BYTES_MAX) {
        return Err(Trouble::Cut(RAW_BYTES_MAX));
    }
    let new = unescaped(row, text).into_owned();
    match archived {
        Some(archived) if restore::hides(pipeline) => {
            restore::unmasked(pipeline, layout, archived, &new, original)
        }
        Some(_) | None => Ok(new),
    }
}

/// The record with another text in the field at fault; `None` when it is there already.
fn with_value(
    pipeline: &Pipeline,
    layout: &Layout,
    row: &ArchivedRow,
    value: &str,
    record: &[u8],
) -> Result<Option<Vec<u8>>, Trouble> {
    let named = |name: &String| pipeline.columns.iter().position(|column| column.name == *name);
    let index = row.column.as_ref().and_then(named).ok_or(Trouble::NoField)?;
    let column = pipeline.columns.get(index).ok_or(Trouble::NoField)?;
    let edit = |empty: New| {
        move |old: Option<&[u8]>| match (value, old) {
            ("", _) => Some(empty),
            (value, Some(_)) => Some(New::Text(value.as_bytes().to_vec())),
            (value, None) => Some(New::Value(value.to_owned())),
        }
    };
    match (&pipeline.source.format, &column.from) {
        (format @ Format::Csv(dialect), ColumnSource::Field(_) | ColumnSource::Position(_)) => {
            let field = layout.field_of_column.get(index).copied().flatten();
            let field = field.filter(|_| record::fields(format, record).is_some());
            // What a spreadsheet shows as an empty cell is no value where the pipeline has it so.
            let empty = match dialect.null.iter().any(String::is_empty) {
                true => New::Null,
                false => New::Text(vec![]),
            };
            csv::changed(dialect, record, field.ok_or(Trouble::NoField)?, edit(empty))
        }
        (Format::Jsonl(_), ColumnSource::Field(names)) => {
            Ok(json::changed(record, names, edit(New::Null)))
        }
        (_, ColumnSource::Capture(_)) | (Format::Jsonl(_), ColumnSource::Position(_)) => {
            Err(Trouble::NoField)
        }
    }
}
