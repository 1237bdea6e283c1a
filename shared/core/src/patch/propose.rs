//! Which fixes would gain rows: rejected rows in, proposals with measured figures out.
//!
//! Two passes over the rows. A [`Survey`] counts them by code, column and shape, keeps some of each, and
//! tries on these what is worth a try. A [`Measure`] then applies what it chose to every row.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;

use super::nothing::{NullWords, Words, pattern_of};
use super::operation::{Operation, Pattern};
use super::proposal::Feed;
use super::proposal::Group;
use super::proposal::Proposal;
use super::proposal::Sample;
use super::proposal::Shape;
use super::proposal::ShapeCount;
use super::shape::{field_seen, shape};
use super::{Fix, column_texts, search};
use crate::archive::ArchivedRow;
use crate::pipeline::Format;

/// Shapes that are told apart for one code and column.
const SHAPES_MAX: usize = 200;
/// Rows of one shape that candidates are tried on.
const SHAPE_SAMPLES_MAX: usize = 20;
/// Rows of one code and column that candidates are tried on.
const SAMPLES_MAX: usize = 1000;
/// Characters of a shape's example.
const EXAMPLE_CHARS_MAX: usize = 40;

/// Rejected rows by code, column and shape.
#[derive(Debug, Default)]
pub struct Survey {
    groups: BTreeMap<(String, Option<String>), Group>,
    /// Words for "no value", wherever they stand in the records that were looked at.
    words: Words,
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
