//! Which fixes would gain rows: rejected rows in, proposals with measured figures out.
//!
//! Two passes over the rows. A [`Survey`] counts them by code, column and shape, keeps some of each, and
//! tries on these what is worth a try. A [`Measure`] then applies what it chose to every row.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;

use super::candidates::{self, Candidate};
use super::{Fix, Judge, Patch, field_text, shape::shape};
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
/// Proposals for one code and column.
const PROPOSALS_MAX: usize = 4;

/// What rows of one job are read with.
#[derive(Debug)]
pub struct Feed {
    pipeline: Pipeline,
    layout: Layout,
    judge: Judge,
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

    /// For each row its corrected record, if the fixes make it good. Rows whose bytes the archive does not
    /// show stay bad.
    pub(super) fn gained(
        &self,
        fixes: &[Fix],
        rows: &[&ArchivedRow],
    ) -> Result<Vec<Option<Vec<u8>>>, ArrowError> {
        let mut records = self.corrected(fixes, rows);
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

    fn corrected(&self, fixes: &[Fix], rows: &[&ArchivedRow]) -> Vec<Option<Vec<u8>>> {
        let patch = Patch {
            file: String::new(),
            pipeline: self.pipeline.name.clone(),
            fixes: fixes.to_vec(),
        };
        let record = |row: &&ArchivedRow| {
            let bytes = visible_bytes(row)?;
            patch.apply(&self.pipeline, &self.layout, row, &bytes).ok().flatten()
        };
        rows.iter().map(record).collect()
    }
}

/// Rejected rows by code, column and shape.
#[derive(Debug, Default)]
pub struct Survey {
    groups: BTreeMap<(String, Option<String>), Group>,
}

#[derive(Debug, Default)]
struct Group {
    rows: u64,
    shapes: BTreeMap<Option<String>, u64>,
    other_shapes: u64,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    /// Number of the feed.
    feed: usize,
    shape: Option<String>,
    row: ArchivedRow,
}

/// Rows of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeCount {
    /// The shape; `None` where it is not known: the record could not be cut, or is not shown.
    pub shape: Option<String>,
    /// Rows.
    pub rows: u64,
}

/// A fix that gains rows of one code and column.
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
        group.rows += 1;
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

    /// What would gain rows, by code and column. `feeds` are those that the rows were counted with.
    ///
    /// # Errors
    /// When Arrow cannot hold the values.
    pub fn propose(&self, feeds: &[Feed]) -> Result<Vec<Proposal>, ArrowError> {
        let mut proposals = Vec::new();
        for ((code, column), group) in &self.groups {
            let Some(feed) = group.samples.first().and_then(|sample| feeds.get(sample.feed)) else {
                continue;
            };
            let all = candidates::of(&feed.pipeline, code, column.as_deref());
            for (candidate, other) in group.chosen(&all, feeds)? {
                let reading = other.and_then(|other| Some((other.reading?.about(), other)));
                proposals.push(Proposal {
                    code: code.clone(),
                    column: column.clone(),
                    about: candidate.about.clone(),
                    fixes: candidate.fixes.clone(),
                    other: reading.map(|(about, other)| (about, other.fixes.clone())),
                });
            }
        }
        Ok(proposals)
    }
}

/// A candidate, and the best one that reads the same texts the other way.
type Choice<'a> = (&'a Candidate, Option<&'a Candidate>);

impl Group {
    /// The candidates that gain most together, the best first.
    fn chosen<'a>(
        &self,
        all: &'a [Candidate],
        feeds: &[Feed],
    ) -> Result<Vec<Choice<'a>>, ArrowError> {
        let weights = self.weights();
        let weight = |gained: &[bool]| -> u64 {
            let both = gained.iter().zip(&weights).filter(|(gained, _)| **gained);
            both.map(|(_, weight)| weight).sum()
        };
        let gains = all.iter().map(|candidate| self.gained(&candidate.fixes, feeds));
        let gains = gains.collect::<Result<Vec<_>, _>>()?;
        let mut chosen: Vec<Choice<'a>> = Vec::new();
        let mut fixes: Vec<Fix> = Vec::new();
        let mut covered = vec![false; self.samples.len()];
        while chosen.len() < PROPOSALS_MAX {
            // The first of those that gain most: it is the simplest.
            let mut best: Option<(u64, &Candidate, &[bool])> = None;
            for (candidate, gained) in all.iter().zip(&gains) {
                let contradicts = chosen.iter().any(|(taken, _)| {
                    taken.reading.is_some_and(|taken| candidate.reading == Some(taken.other()))
                });
                let new: Vec<bool> = gained
                    .iter()
                    .zip(&covered)
                    .map(|(gained, covered)| *gained && !covered)
                    .collect();
                let new = weight(&new);
                if !contradicts && new > best.map_or(0, |(most, ..)| most) {
                    best = Some((new, candidate, gained));
                }
            }
            let Some((_, candidate, gained)) = best else { break };
            let together = [fixes.as_slice(), &candidate.fixes].concat();
            let now = self.gained(&together, feeds)?;
            if weight(&now) <= weight(&covered) {
                break;
            }
            chosen.push((candidate, twin(candidate, gained, all, &gains)));
            (fixes, covered) = (together, now);
        }
        Ok(chosen)
    }

    /// For each sample the rows that it stands for, in thousandths.
    fn weights(&self) -> Vec<u64> {
        let mut sampled: BTreeMap<&Option<String>, u64> = BTreeMap::new();
        for sample in &self.samples {
            *sampled.entry(&sample.shape).or_default() += 1;
        }
        let weight = |sample: &Sample| {
            let rows = self.shapes.get(&sample.shape).copied().unwrap_or_default();
            rows.saturating_mul(1000) / sampled.get(&sample.shape).copied().unwrap_or(1).max(1)
        };
        self.samples.iter().map(weight).collect()
    }

    fn gained(&self, fixes: &[Fix], feeds: &[Feed]) -> Result<Vec<bool>, ArrowError> {
        let mut gained = vec![false; self.samples.len()];
        for (number, feed) in feeds.iter().enumerate() {
            let own = || self.samples.iter().enumerate().filter(|(_, s)| s.feed == number);
            let rows: Vec<_> = own().map(|(_, sample)| &sample.row).collect();
            if rows.is_empty() {
                continue;
            }
            for ((place, _), row_gained) in own().zip(feed.gained(fixes, &rows)?) {
                if let Some(gained) = gained.get_mut(place) {
                    *gained = row_gained.is_some();
                }
            }
        }
        Ok(gained)
    }
}

/// The candidate that reads most of the same texts the other way.
fn twin<'a>(
    candidate: &Candidate,
    gained: &[bool],
    all: &'a [Candidate],
    gains: &[Vec<bool>],
) -> Option<&'a Candidate> {
    let other = candidate.reading?.other();
    let both = |gains: &[bool]| gains.iter().zip(gained).filter(|(a, b)| **a && **b).count();
    let others = all.iter().zip(gains).filter(|(twin, _)| twin.reading == Some(other));
    let others = others.map(|(twin, gains)| (both(gains), twin)).filter(|(rows, _)| *rows > 0);
    others.max_by_key(|(rows, _)| *rows).map(|(_, twin)| twin)
}
