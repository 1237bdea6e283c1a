//! What a patch is proposed from, and what is proposed.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;

use super::Fix;
use super::Judge;
use super::Patch;
use super::nothing::Words;
use crate::archive::{ArchivedRow, visible_bytes};
use crate::block::Layout;
use crate::check::ColumnProblem;
use crate::pipeline::Pipeline;

/// What rows of one job are read with.
#[derive(Debug)]
pub struct Feed {
    pub(super) pipeline: Pipeline,
    pub(super) layout: Layout,
    pub(super) judge: Judge,
}

/// Rows of one code and column.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) shapes: BTreeMap<Option<String>, Shape>,
    pub(super) other_shapes: u64,
    /// Unquoted words for "no value" in the column.
    pub(super) words: Words,
    pub(super) samples: Vec<Sample>,
}

/// Rows of one shape, and the first of their texts.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) rows: u64,
    pub(super) example: Option<String>,
}

/// A row that candidates are tried on.
#[derive(Debug)]
pub(super) struct Sample {
    /// Number of the feed.
    pub(super) feed: usize,
    pub(super) shape: Option<String>,
    pub(super) row: ArchivedRow,
}

/// Rows of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeCount {
    /// The shape; `None` where it is not known: the record could not be cut, or is not shown.
    pub shape: Option<String>,
    /// Rows.
    pub rows: u64,
    /// The first of their texts, up to 40 characters.
    pub example: Option<String>,
}

/// Fixes that together gain rows of one code and column.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Code of the rows.
    pub code: String,
    /// Column of the rows.
    pub column: Option<String>,
    /// What it corrects, in words.
    pub about: String,
    /// Applied in order.
    pub fixes: Vec<Fix>,
    /// The other way to read the same texts, if there is one.
    pub(super) other: Option<(&'static str, Vec<Fix>)>,
}

impl Feed {
    /// `pipeline` is the one that the job froze, `layout` that of its plan.
    ///
    /// # Errors
    /// When a column of the pipeline does not compile.
    pub fn new(
        pipeline: &Pipeline,
        layout: &Layout,
        captures: &BTreeMap<String, String>,
    ) -> Result<Feed, Vec<ColumnProblem>> {
        let judge = Judge::of_archived(pipeline, layout, captures)?;
        Ok(Feed { pipeline: pipeline.clone(), layout: layout.clone(), judge })
    }

    /// Name of the pipeline.
    pub fn pipeline(&self) -> &str {
        &self.pipeline.name
    }

    /// The row's record as far as the archive shows it.
    pub(super) fn start(row: &ArchivedRow) -> Option<Vec<u8>> {
        visible_bytes(row).map(std::borrow::Cow::into_owned)
    }

    /// The fixes as a patch for this pipeline.
    fn patch(&self, fixes: &[Fix]) -> Patch {
        let pipeline = self.pipeline.name.clone();
        Patch { file: String::new(), pipeline, fixes: fixes.to_vec() }
    }

    /// The record after the fixes; `None` where they change nothing or cannot be applied.
    pub(super) fn corrected(
        &self,
        fixes: &[Fix],
        row: &ArchivedRow,
        record: &[u8],
    ) -> Option<Vec<u8>> {
        self.patch(fixes).apply(&self.pipeline, &self.layout, row, record).ok().flatten()
    }

    /// Marks the fixes that change the row's record.
    pub(super) fn mark_used(&self, fixes: &[Fix], row: &ArchivedRow, used: &mut [bool]) {
        let Some(record) = Feed::start(row) else { return };
        let mark = |index: usize| {
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
        };
        // Whether it can be applied is known by now.
        let patch = self.patch(fixes);
        drop(patch.apply_noting(&self.pipeline, &self.layout, row, &record, mark));
    }

    /// For each row its corrected record, if the fixes make it good. Rows whose bytes the archive does not
    /// show stay bad.
    pub(super) fn gained(
        &self,
        fixes: &[Fix],
        rows: &[&ArchivedRow],
    ) -> Result<Vec<Option<Vec<u8>>>, ArrowError> {
        let record = |row: &&ArchivedRow| self.corrected(fixes, row, &Feed::start(row)?);
        let mut records: Vec<_> = rows.iter().map(record).collect();
        let verdicts = {
            let texts: Vec<&[u8]> = records.iter().flatten().map(Vec::as_slice).collect();
            self.judge.judge(&texts)?
        };
        let changed = records.iter_mut().filter(|record| record.is_some());
        for (record, verdict) in changed.zip(verdicts) {
            if verdict.is_some() {
                *record = None;
            }
        }
        Ok(records)
    }
}
