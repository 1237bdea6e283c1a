//! Corrected records from an export of the failure archive that was edited by hand.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::apply::{PatchError, Trouble, stands_alone};
use super::{fixed_file, restore};
use crate::archive::{ArchivedRow, RAW_BYTES_MAX, unescaped};
use crate::block::Layout;
use crate::pipeline::{Pipeline, Problems};

/// An export of one job's failed rows (CSV or Parquet, as `rowproof failures export` writes it) whose
/// column `raw_data` holds the corrected records.
///
/// Rows that were deleted, and rows whose `raw_data` is as it was, are not loaded again. In CSV the `'`
/// that the export puts before texts that a spreadsheet would run is taken off again, and a file that a
/// spreadsheet saved with semicolons or tabs is read too. The columns `job`, `row_number` and `raw_data`
/// are needed, others of the archive may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    pub(super) job: String,
    /// By row number.
    pub(super) texts: BTreeMap<i64, String>,
}

impl Fixed {
    /// Reads the file; `name` is how messages call it, `job` the job that its rows must be of.
    ///
    /// # Errors
    /// Everything that is wrong, with its line: columns missing or unknown, rows that stand twice or are of
    /// another job, what is no CSV. In a Parquet file the line is the number of the row.
    pub fn read(name: &str, bytes: &Bytes, job: &str) -> Result<Fixed, Problems> {
        let texts = fixed_file::read(name, bytes, job)?;
        Ok(Fixed { job: job.to_owned(), texts })
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
        if text == archived.unwrap_or_default() {
            return Ok(None);
        }
        let new = corrected(pipeline, layout, row, archived, text, original);
        new.map_err(|trouble| PatchError::new(0, trouble))
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
    archived: Option<&str>,
    text: &str,
    original: &[u8],
) -> Result<Option<Vec<u8>>, Trouble> {
    if archived.is_some_and(|archived| archived.len() >= RAW_BYTES_MAX) {
        return Err(Trouble::Cut(RAW_BYTES_MAX));
    }
    let new = unescaped(row, text).into_owned();
    let new = match archived {
        Some(archived) if restore::hides(pipeline) => {
            restore::unmasked(pipeline, layout, archived, &new, original)?
        }
        Some(_) | None => new,
    };
    if new == original {
        return Ok(None);
    }
    stands_alone(pipeline, &new)?;
    Ok(Some(new))
}
