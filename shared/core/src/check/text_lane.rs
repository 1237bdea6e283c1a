//! A text column: its bytes are copied once, and only for good rows.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::cell::Verdict;
use super::lane::{Feed, Lane, LaneColumn, Tile};
use super::rules::TextRules;
use crate::block::RejectCode;

/// A column of text.
pub(crate) struct TextLane<'a> {
    column: LaneColumn<'a>,
    rules: &'a TextRules,
    tile: Vec<Option<&'a [u8]>>,
    tile_nulls: bool,
    values: Vec<u8>,
    offsets: Vec<i32>,
    validity: NullBufferBuilder,
    overflow: bool,
}

impl<'a> TextLane<'a> {
    /// `rows` is how many rows may be kept.
    pub(crate) fn new(column: LaneColumn<'a>, rules: &'a TextRules, rows: usize) -> TextLane<'a> {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        TextLane {
            column,
            rules,
            tile: Vec::new(),
            tile_nulls: false,
            values: Vec::with_capacity(rows * 8),
            offsets,
            validity: NullBufferBuilder::new(rows),
            overflow: false,
        }
    }
}

impl<'a> Lane<'a> for TextLane<'a> {
    fn cast(&mut self, tile: Tile<'a>, verdicts: &mut [Verdict]) {
        self.tile.clear();
        let default = self.rules.default.as_deref().map(str::as_bytes);
        match self.column.feed {
            Feed::Constant(text) => self.tile.resize(verdicts.len(), text.or(default)),
            Feed::Cells => {
                let reader = self.column.reader;
                let texts = tile.column(self.column.index);
                self.tile.extend(texts.map(|cell| reader.text(cell, tile.buffer).or(default)));
            }
        }
        self.tile_nulls = self.tile.iter().any(Option::is_none);
    }

    fn rules(&mut self, verdicts: &mut [Verdict]) {
        if self.tile_nulls && !self.column.nullable {
            for (text, verdict) in self.tile.iter().zip(verdicts.iter_mut()) {
                if text.is_none() {
                    verdict.fail(RejectCode::NotNull, self.column.number);
                }
            }
        }
        if self.rules.is_empty() {
            return;
        }
        for (text, verdict) in self.tile.iter().zip(verdicts) {
            if let Some(text) = text
                && let Some(code) = self.rules.broken(text)
            {
                verdict.fail(code, self.column.number);
            }
        }
    }

    fn keep(&mut self, good: &[Range<usize>]) {
        for run in good {
            let texts = self.tile.get(run.clone()).unwrap_or_default();
            for text in texts {
                self.values.extend_from_slice(text.unwrap_or_default());
                match i32::try_from(self.values.len()) {
                    Ok(end) => self.offsets.push(end),
                    Err(_) => self.overflow = true,
                }
            }
            if self.tile_nulls {
                texts.iter().for_each(|text| self.validity.append(text.is_some()));
            } else {
                self.validity.append_n_non_nulls(texts.len());
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Result<ArrayRef, ArrowError> {
        if self.overflow {
            return Err(ArrowError::OffsetOverflowError(self.values.len()));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let values = Buffer::from_vec(self.values);
        let array = StringArray::try_new(offsets, values, self.validity.finish())?;
        Ok(Arc::new(array))
    }
}
