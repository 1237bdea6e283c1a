//! One column on its way from cells to an Arrow array.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use super::cell::{CellReader, Verdict};
use super::rules::Rules;
use crate::block::{Cell, RejectCode};

/// Rows that pass through all lanes together, few enough to stay in the processor's cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile<'a> {
    /// Row-major, `width` a row.
    pub(crate) cells: &'a [Cell],
    /// What the cells point into.
    pub(crate) buffer: &'a [u8],
    /// Cells of a row, at least 1.
    pub(crate) width: usize,
}

impl<'a> Tile<'a> {
    /// The cells of one column.
    #[inline]
    pub(crate) fn column(self, index: usize) -> impl Iterator<Item = Cell> + 'a {
        let null = Cell::NULL;
        self.cells.chunks_exact(self.width).map(move |row| row.get(index).copied().unwrap_or(null))
    }
}

/// Where a lane's texts come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Feed<'a> {
    /// The rows' own cells.
    Cells,
    /// One text for all rows of the block, or NULL.
    Constant(Option<&'a [u8]>),
}

/// What every column shares, whatever its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneColumn<'a> {
    pub(crate) index: usize,
    /// The same, as a verdict keeps it.
    pub(crate) number: u32,
    pub(crate) nullable: bool,
    pub(crate) reader: &'a CellReader,
    pub(crate) feed: Feed<'a>,
}

/// The steps of a tile in order: `cast` on all lanes, `rules` on all lanes, `keep` on all lanes.
pub(crate) trait Lane<'a> {
    /// Reads the tile; a text that is no value of the type fails its row.
    fn cast(&mut self, tile: Tile<'a>, verdicts: &mut [Verdict]);
    /// Judges the values read, in the order `not_null, range, length, pattern, one_of`.
    fn rules(&mut self, verdicts: &mut [Verdict]);
    /// Moves these rows of the tile to the output.
    fn keep(&mut self, good: &[Range<usize>]);
    /// All rows kept.
    fn finish(self: Box<Self>) -> Result<ArrayRef, ArrowError>;
}

/// Makes the array of a lane's values.
pub(crate) type Build<T> =
    fn(Vec<T>, Option<NullBuffer>, &DataType) -> Result<ArrayRef, ArrowError>;

/// [`Build`] for numbers, dates, times.
pub(crate) fn primitive<A: ArrowPrimitiveType>(
    values: Vec<A::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let array = PrimitiveArray::<A>::try_new(ScalarBuffer::from(values), nulls)?;
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

/// [`Build`] for booleans.
pub(crate) fn boolean(
    values: Vec<bool>,
    nulls: Option<NullBuffer>,
    _: &DataType,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)))
}

/// A column whose values have a fixed width.
pub(crate) struct FixedLane<'a, T, P> {
    column: LaneColumn<'a>,
    parse: P,
    rules: &'a Rules<T>,
    build: Build<T>,
    data_type: &'a DataType,
    /// The constant, read once: `None` until then, then its value or "not of the type".
    constant: Option<Option<T>>,
    tile: Vec<T>,
    tile_valid: Vec<bool>,
    tile_nulls: bool,
    values: Vec<T>,
    validity: NullBufferBuilder,
}

impl<'a, T, P> FixedLane<'a, T, P>
where
    T: Copy + Default + PartialOrd + 'static,
    P: Fn(&[u8], bool) -> Option<T>,
{
    /// `rows` is how many rows may be kept.
    pub(crate) fn new(
        column: LaneColumn<'a>,
        (parse, build): (P, Build<T>),
        rules: &'a Rules<T>,
        data_type: &'a DataType,
        rows: usize,
    ) -> Self {
        FixedLane {
            column,
            parse,
            rules,
            build,
            data_type,
            constant: None,
            tile: Vec::new(),
            tile_valid: Vec::new(),
            tile_nulls: false,
            values: Vec::with_capacity(rows),
            validity: NullBufferBuilder::new(rows),
        }
    }

    /// The value of a text: NULL takes the default. `literal`: it is a number or a word of JSON.
    #[inline]
    fn push(&mut self, text: Option<&[u8]>, literal: bool, verdict: &mut Verdict) {
        let value = match text {
            Some(text) => {
                let value = (self.parse)(text, literal);
                if value.is_none() {
                    verdict.fail(RejectCode::Type, self.column.number);
                }
                Some(value.unwrap_or_default())
            }
            None => self.rules.default,
        };
        self.tile_nulls |= value.is_none();
        self.tile_valid.push(value.is_some());
        self.tile.push(value.unwrap_or_default());
    }

    fn repeat(&mut self, text: Option<&[u8]>, verdicts: &mut [Verdict]) {
        let Some(text) = text else {
            verdicts.iter_mut().for_each(|verdict| self.push(None, false, verdict));
            return;
        };
        let value = *self.constant.get_or_insert_with(|| (self.parse)(text, false));
        if value.is_none() {
            for verdict in verdicts.iter_mut() {
                verdict.fail(RejectCode::Type, self.column.number);
            }
        }
        self.tile.resize(verdicts.len(), value.unwrap_or_default());
        self.tile_valid.resize(verdicts.len(), true);
    }
}

impl<'a, T, P> Lane<'a> for FixedLane<'a, T, P>
where
    T: Copy + Default + PartialOrd + 'static,
    P: Fn(&[u8], bool) -> Option<T>,
{
    fn cast(&mut self, tile: Tile<'a>, verdicts: &mut [Verdict]) {
        self.tile.clear();
        self.tile_valid.clear();
        self.tile_nulls = false;
        if let Feed::Constant(text) = self.column.feed {
            return self.repeat(text, verdicts);
        }
        for (cell, verdict) in tile.column(self.column.index).zip(verdicts) {
            let reader = self.column.reader;
            self.push(reader.text(cell, tile.buffer), reader.is_literal(cell), verdict);
        }
    }

    fn rules(&mut self, verdicts: &mut [Verdict]) {
        if self.tile_nulls && !self.column.nullable {
            for (valid, verdict) in self.tile_valid.iter().zip(verdicts.iter_mut()) {
                if !valid {
                    verdict.fail(RejectCode::NotNull, self.column.number);
                }
            }
        }
        if self.rules.is_empty() {
            return;
        }
        let rows = self.tile.iter().zip(&self.tile_valid).zip(verdicts);
        for ((value, valid), verdict) in rows {
            if *valid && let Some(code) = self.rules.broken(*value) {
                verdict.fail(code, self.column.number);
            }
        }
    }

    fn keep(&mut self, good: &[Range<usize>]) {
        for run in good {
            let Some(values) = self.tile.get(run.clone()) else {
                continue;
            };
            self.values.extend_from_slice(values);
            if !self.tile_nulls {
                self.validity.append_n_non_nulls(values.len());
            } else if let Some(valid) = self.tile_valid.get(run.clone()) {
                self.validity.append_slice(valid);
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Result<ArrayRef, ArrowError> {
        (self.build)(self.values, self.validity.finish(), self.data_type)
    }
}
