//! Values of which a part was left out, as their columns declare it.

use std::ops::Range;

use super::RowContext;
use super::cell::CellReader;
use super::column::{CheckedColumn, Kind};
use super::contract::Contract;
use crate::block::{Decoded, Repairs};

/// Counts the values among the good rows, `rows` of the block, that were read without a part that is written.
pub(super) fn cut_values(
    contract: &Contract,
    context: &RowContext,
    decoded: &Decoded,
    rows: &[Range<usize>],
) -> Repairs {
    let mut repairs = Repairs::default();
    for (index, column) in contract.checked.iter().enumerate() {
        let Some(is_cut) = column.cutter() else { continue };
        let values = match &column.capture {
            Some(name) => {
                let text = context.captures.get(name).map(String::as_bytes);
                let count = rows.iter().map(Range::len).sum::<usize>();
                if text.is_some_and(is_cut) { count } else { 0 }
            }
            None => {
                let place = Place { reader: &column.reader, decoded, index };
                rows.iter()
                    .flat_map(Range::clone)
                    .filter(|row| place.text(*row).is_some_and(&is_cut))
                    .count()
            }
        };
        let kind = match column.kind {
            Kind::Date(..) => &mut repairs.times_of_day_dropped,
            _ => &mut repairs.subseconds_cut,
        };
        *kind += u64::try_from(values).unwrap_or(u64::MAX);
    }
    repairs
}

/// A column's cells in a block.
struct Place<'a> {
    reader: &'a CellReader,
    decoded: &'a Decoded,
    index: usize,
}

impl<'a> Place<'a> {
    fn text(&self, row: usize) -> Option<&'a [u8]> {
        let cell = self.decoded.cells.get(row * self.decoded.width + self.index)?;
        self.reader.text(*cell, &self.decoded.buffer)
    }
}
