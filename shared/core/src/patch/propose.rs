//! Which fixes would gain rows: rejected rows in, proposals with measured figures out.
//!
//! Two passes over the rows. A [`Survey`] counts them by code, column and shape, keeps some of each, and
//! tries on these what is worth a try. A [`Measure`] then applies what it chose to every row.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;

use super::nothing::{NullWords, Words, pattern_of};
use super::operation::{Operation, Pattern};
use super::shape::{field_seen, shape};
use super::{Fix, Judge, Patch, column_texts, search};
use crate::archive::{ArchivedRow, visible_bytes};
use crate::block::Layout;
use crate::check::ColumnProblem;
use crate::pipeline::{Format, Pipeline};

/// Shapes that are told apart for one code and column.
const SHAPES_MAX: usize = 200;
/// Rows of one shape that candidates are tried on.
const SHAPE_SAMPLES_MAX: usize = 20;
/// Rows of one code and column that candidates are tried on.
const SAMPLES_MAX: usize = 1000;
/// Characters of a shape's example.
const EXAMPLE_CHARS_MAX: usize = 40;

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
    /// Words for "no value", wherever they stand in the records that were looked at.
    words: Words,
}

/// Rows of one code and column.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) shapes: BTreeMap<Option<String>, Shape>,
    other_shapes: u64,
    /// Unquoted words for "no value" in the column.
    words: Words,
    pub(super) samples: Vec<Sample>,
}

/// Rows of one shape, and the first of their texts.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) rows: u64,
    example: Option<String>,
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

impl Survey {
    /// Counts a row of feed number `feed`.
    pub fn add(&mut self, number: usize, feed: &Feed, row: ArchivedRow) {
        let seen = field_seen(&feed.pipeline, &feed.layout, &row);
        let (text, quoted) = seen.unzip();
        let shape = text.as_deref().map(shape);
        let key = (row.error_code.clone(), row.column.clone());
        let group = self.groups.entry(key).or_default();
        if let Some(text) = &text {
            self.words.note(text);
            if quoted == Some(false) {
                group.words.note(text);
            }
        }
        let full = group.shapes.len() >= SHAPES_MAX;
        let seen = match group.shapes.get_mut(&shape) {
            Some(seen) => {
                seen.rows += 1;
                seen.rows
            }
            None if full => {
                group.other_shapes += 1;
                return;
            }
            None => {
                let example = text.map(|text| text.chars().take(EXAMPLE_CHARS_MAX).collect());
                group.shapes.insert(shape.clone(), Shape { rows: 1, example });
                1
            }
        };
        let few = usize::try_from(seen).is_ok_and(|seen| seen <= SHAPE_SAMPLES_MAX);
        if few && group.samples.len() < SAMPLES_MAX {
            let texts = column_texts(&feed.pipeline, &feed.layout, &row);
            // Empty fields are everywhere, and no word that a fix has to name.
            let texts = texts.iter().flatten().filter(|text| !text.is_empty());
            texts.for_each(|text| self.words.note(text));
            group.samples.push(Sample { feed: number, shape, row });
        }
    }

    /// Whether the shape of any value is known.
    pub fn has_shapes(&self) -> bool {
        self.groups.values().any(|group| group.shapes.keys().any(Option::is_some))
    }

    /// The shapes of a code and column, most rows first; how many rows have yet others.
    pub fn shapes(&self, code: &str, column: Option<&str>) -> (Vec<ShapeCount>, u64) {
        let key = (code.to_owned(), column.map(str::to_owned));
        let Some(group) = self.groups.get(&key) else { return (vec![], 0) };
        let count = |(shape, seen): (&Option<String>, &Shape)| {
            let (shape, example) = (shape.clone(), seen.example.clone());
            ShapeCount { shape, rows: seen.rows, example }
        };
        let mut shapes: Vec<_> = group.shapes.iter().map(count).collect();
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
        let fixes = proposals.iter_mut().flat_map(|proposal| &mut proposal.fixes);
        fixes.for_each(|fix| self.name_words(fix));
        Ok(proposals)
    }

    /// A fix for words of any kind becomes one for the words that there are, which people can judge.
    fn name_words(&self, fix: &mut Fix) {
        let words = self.words.trimmed();
        if let (Operation::SetNull, Some(_), false) =
            (&fix.operation, &fix.matching, words.is_empty())
            && let Ok(pattern) = Pattern::new(&pattern_of(&words))
        {
            fix.matching = Some(pattern);
        }
    }

    /// Words that stand for "no value" in several columns, which one line of the pipeline file would read.
    pub fn null_words(&self, feeds: &[Feed]) -> Option<NullWords> {
        let pipeline = &feeds.first()?.pipeline;
        let Format::Csv(dialect) = &pipeline.source.format else { return None };
        let groups = self.groups.iter().filter_map(|((_, name), group)| {
            let column = pipeline.columns.iter().find(|column| Some(&column.name) == name.as_ref());
            Some((column?, &group.words))
        });
        NullWords::of(dialect, groups)
    }
}
