//! A sample of delimited text, cut up as one dialect says.

use crate::block::Limits;
use crate::decode::{Unescape, line_end};
use crate::pipeline::{CsvDialect, Format};
use crate::split::{Index, Splitter, Step};

/// Records that are looked at.
const RECORDS_MAX: usize = 1000;

/// A field of a record of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// As it is written, quotes excluded.
    pub(super) raw: Vec<u8>,
    /// What it stands for; `None` when an escape in it stands for nothing.
    pub(super) text: Option<String>,
    pub(super) quoted: bool,
}

impl Cell {
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default().trim_matches([' ', '\t'])
    }
}

/// The records of a sample.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) records: Vec<Vec<Cell>>,
    /// First byte of each record.
    pub(super) starts: Vec<usize>,
    /// Records that break the quote rule.
    pub(super) bad: usize,
    /// Lines that hold no record, between the first record and the last.
    pub(super) blank: usize,
    /// Fields that most records have.
    pub(super) fields: usize,
}

impl Shape {
    /// Cuts up the complete records of `sample`. `whole`: nothing follows it.
    pub(super) fn read(dialect: &CsvDialect, sample: &[u8], whole: bool) -> Shape {
        let format = Format::Csv(dialect.clone());
        let splitter = Splitter::new(&format, line_end(&format, sample), &Limits::default());
        let unescape = Unescape::new(dialect);
        let mut index = Index::default();
        splitter.fill(&mut index, sample);
        let mut cursor = index.cursor(0);
        let mut shape = Shape::default();
        let (mut at, mut blank) = (0, 0);
        while at < sample.len() && shape.records.len() + shape.bad < RECORDS_MAX {
            let mut fields = Vec::new();
            let step = splitter.step(sample, whole, &mut cursor, at, |field| fields.push(field));
            match step {
                Step::Blank { next } => {
                    blank += usize::from(!shape.records.is_empty());
                    at = next;
                }
                Step::Record { next, bad: None, .. } => {
                    let cell = |field: &crate::split::Field| {
                        let raw = sample.get(field.start..field.end).unwrap_or(&[]).to_vec();
                        let mut text = Vec::new();
                        // A NULL word is one as it is written.
                        let is_null = !field.quoted && raw == b"\\N";
                        let is_text = if is_null {
                            text.extend_from_slice(&raw);
                            true
                        } else {
                            unescape.text(&raw, *field, &mut text)
                        };
                        let text = is_text.then(|| String::from_utf8_lossy(&text).into_owned());
                        Cell { raw, text, quoted: field.quoted }
                    };
                    shape.records.push(fields.iter().map(cell).collect());
                    shape.starts.push(at);
                    shape.blank = blank;
                    at = next;
                }
                Step::Record { next, bad: Some(_), .. } => {
                    shape.bad += 1;
                    at = next;
                }
                Step::TooLong | Step::More => break,
            }
        }
        shape.fields = shape.usual();
        shape
    }

    /// The number of fields that most records have; of two, the greater.
    fn usual(&self) -> usize {
        let mut counts = std::collections::BTreeMap::new();
        for record in &self.records {
            *counts.entry(record.len()).or_insert(0_usize) += 1;
        }
        counts.into_iter().max_by_key(|(fields, count)| (*count, *fields)).map_or(0, |most| most.0)
    }

    /// The share of records that have the usual number of fields, those that break a rule counted as not.
    pub(super) fn share(&self) -> f64 {
        let fits = |record: &&Vec<Cell>| {
            record.len() == self.fields && record.iter().all(|cell| cell.text.is_some())
        };
        let fitting = self.records.iter().filter(fits).count();
        let all = self.records.len() + self.bad;
        #[allow(clippy::cast_precision_loss, reason = "at most a thousand")]
        let share = fitting as f64 / all.max(1) as f64;
        share
    }

    /// How well the dialect explains the sample: the share of records of one width, and a little for
    /// more fields.
    pub(super) fn score(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a few thousand at most")]
        let width = 1.0 - 1.0 / (self.fields as f64 + 1.0);
        if self.fields < 2 { 0.0 } else { self.share().powi(3) * width }
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.records.iter().flatten()
    }
}
