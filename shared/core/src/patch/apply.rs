//! A patch applied to one record.

use super::operation::Operation;
use super::record::{self, Records};
use super::text::edit;
use super::trouble::Trouble;
use super::{Fix, Patch, csv, json};
use crate::archive::ArchivedRow;
use crate::block::{Layout, Limits};
use crate::pipeline::{ColumnSource, Format, Pipeline};

/// Why a fix cannot be applied to a record. The record stays rejected as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {trouble}", place(*fix))]
pub struct PatchError {
    /// Number of the fix in the file, from 1; 0 for a corrected export.
    fix: usize,
    trouble: Trouble,
}

fn place(fix: usize) -> String {
    if fix == 0 { "the correction".to_owned() } else { format!("fix {fix}") }
}

impl PatchError {
    pub(super) fn new(fix: usize, trouble: Trouble) -> PatchError {
        PatchError { fix, trouble }
    }
}

impl Patch {
    /// The corrected record, without a terminator; `None` when no fix changes it. `raw` is the record as
    /// it stands in the source, `layout` that of its job's plan.
    ///
    /// A corrected record may still be bad: decode it by itself, not together with others.
    ///
    /// # Errors
    /// When the new record is none, or several, or when a text cannot be written.
    pub fn apply(
        &self,
        pipeline: &Pipeline,
        layout: &Layout,
        row: &ArchivedRow,
        raw: &[u8],
    ) -> Result<Option<Vec<u8>>, PatchError> {
        self.apply_noting(pipeline, layout, row, raw, |_| {})
    }

    /// As [`Patch::apply`]; tells the index of each fix that changes the record.
    pub(super) fn apply_noting(
        &self,
        pipeline: &Pipeline,
        layout: &Layout,
        row: &ArchivedRow,
        raw: &[u8],
        mut note: impl FnMut(usize),
    ) -> Result<Option<Vec<u8>>, PatchError> {
        let mut record: Option<Vec<u8>> = None;
        let mut last = 0;
        for (number, fix) in (1..).zip(&self.fixes) {
            if fix.condition.as_ref().is_some_and(|condition| !condition.matches(row)) {
                continue;
            }
            let old = record.as_deref().unwrap_or(raw);
            let new = fix.apply(pipeline, layout, old);
            let new = new.map_err(|trouble| PatchError::new(number, trouble))?;
            if let Some(new) = new.filter(|new| new != old) {
                note(number - 1);
                record = Some(new);
                last = number;
            }
        }
        let record = record.filter(|record| record != raw);
        if let Some(record) = &record {
            stands_alone(pipeline, record).map_err(|trouble| PatchError::new(last, trouble))?;
        }
        Ok(record)
    }
}

/// Whether the bytes are one record, well-formed or not.
pub(super) fn stands_alone(pipeline: &Pipeline, record: &[u8]) -> Result<(), Trouble> {
    let max = Limits::default().record_bytes_max;
    if record.len() > max {
        return Err(Trouble::TooLarge(max));
    }
    match record::count(&pipeline.source.format, record) {
        Records::One(_) => Ok(()),
        Records::None => Err(Trouble::Nothing),
        Records::Several => Err(Trouble::Several),
    }
}

impl Fix {
    fn apply(
        &self,
        pipeline: &Pipeline,
        layout: &Layout,
        record: &[u8],
    ) -> Result<Option<Vec<u8>>, Trouble> {
        match (&self.operation, &pipeline.source.format) {
            (Operation::Raw(replacement), _) => Ok(Some(replacement.apply(record))),
            (Operation::Rename { from, to }, Format::Jsonl(_)) => json::renamed(record, from, to),
            (_, format) => self.apply_to_column(pipeline, layout, format, record),
        }
    }

    fn apply_to_column(
        &self,
        pipeline: &Pipeline,
        layout: &Layout,
        format: &Format,
        record: &[u8],
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(index) = self.column_index(pipeline) else { return Ok(None) };
        let Some(column) = pipeline.columns.get(index) else { return Ok(None) };
        let zone = column.reading.timezone.as_deref().or(pipeline.source.timezone.as_deref());
        let edit = |text: Option<&[u8]>| {
            let fits = self
                .matching
                .as_ref()
                .is_none_or(|matching| text.is_some_and(|text| matching.is_match(text)));
            fits.then(|| edit(&self.operation, text, column, zone)).flatten()
        };
        match (format, &column.from) {
            (Format::Csv(dialect), _) => match layout.field_of_column.get(index) {
                Some(Some(field)) => csv::changed(dialect, record, *field, edit),
                Some(None) | None => Ok(None),
            },
            (Format::Jsonl(_), ColumnSource::Field(names)) => {
                Ok(json::changed(record, names, edit))
            }
            (Format::Jsonl(_), ColumnSource::Capture(_) | ColumnSource::Position(_)) => Ok(None),
        }
    }

    fn column_index(&self, pipeline: &Pipeline) -> Option<usize> {
        let name = self.column.as_ref()?;
        pipeline.columns.iter().position(|column| column.name == *name)
    }
}
