//! Which fixes would gain rows: rejected rows in, proposals with measured figures out.
//!
//! Two passes over the rows. A [`Survey`] counts them by code, column and shape, keeps some of each, and
//! tries on these what is worth a try. A [`Measure`] then applies what it chose to every row.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;

use super::{Fix, Judge, Patch, field_text, search, shape::shape};
use crate::archive::{ArchivedRow, visible_bytes};
use crate::block::Layout;
use crate::check::ColumnProblem;
use crate::pipeline::Pipeline;

/// Shapes that are told apart for one code and column.
const SHAPES_MAX: usize = 200;
/// Rows of one shape that candidates are tried on.
const SHAPE_SAMPLES_MAX: usize = 20;
/// Rows of one code and column that candidates are tried on.
const SAMPLES_MAX: usize = 1000;

/// What rows of one job are read with.
#[derive(Debug)]
pub struct Feed {
    pub(super) pipeline: Pipeline,
    layout: Layout,
    pub(super) judge: Judge,
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

/// Rejected rows by code, column and shape.
#[derive(Debug, Default)]
pub struct Survey {
    groups: BTreeMap<(String, Option<String>), Group>,
}

/// Rows of one code and column.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) shapes: BTreeMap<Option<String>, u64>,
    other_shapes: u64,
    pub(super) samples: Vec<Sample>,
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

impl Survey {
    /// Counts a row of feed number `feed`.
    pub fn add(&mut self, number: usize, feed: &Feed, row: ArchivedRow) {
        let text = field_text(&feed.pipeline, &feed.layout, &row);
        let shape = text.as_deref().map(shape);
        let key = (row.error_code.clone(), row.column.clone());
        let group = self.groups.entry(key).or_default();
        let full = group.shapes.len() >= SHAPES_MAX;
        let seen = match group.shapes.get_mut(&shape) {
            Some(rows) => {
                *rows += 1;
                *rows
            }
            None if full => {
                group.other_shapes += 1;
                return;
            }
            None => {
                group.shapes.insert(shape.clone(), 1);
                1
            }
        };
        let few = usize::try_from(seen).is_ok_and(|seen| seen <= SHAPE_SAMPLES_MAX);
        if few && group.samples.len() < SAMPLES_MAX {
            group.samples.push(Sample { feed: number, shape, row });
        }
    }

    /// The shapes of a code and column, most rows first; how many rows have yet others.
    pub fn shapes(&self, code: &str, column: Option<&str>) -> (Vec<ShapeCount>, u64) {
        let key = (code.to_owned(), column.map(str::to_owned));
        let Some(group) = self.groups.get(&key) else { return (vec![], 0) };
        let shapes = group.shapes.iter();
        let mut shapes: Vec<_> =
            shapes.map(|(shape, rows)| ShapeCount { shape: shape.clone(), rows: *rows }).collect();
        shapes.sort_by_key(|count| std::cmp::Reverse(count.rows));
        (shapes, group.other_shapes)
    }

    /// What would gain rows, at most one proposal for each code and column. `feeds` are those that the rows
    /// were counted with.
    ///
    /// # Errors
    /// When Arrow cannot hold the values.
    pub fn propose(&self, feeds: &[Feed]) -> Result<Vec<Proposal>, ArrowError> {
        let mut proposals = Vec::new();
        for ((code, column), group) in &self.groups {
            proposals.extend(search::proposal(code, column.as_deref(), group, feeds)?);
        }
        Ok(proposals)
    }
}
