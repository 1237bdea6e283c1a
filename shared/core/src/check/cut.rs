//! Values of which a part was left out, as their columns declare it.

use std::ops::Range;

use super::RowContext;
use super::cell::CellReader;
use super::column::Kind;
use super::contract::Contract;
use super::format::{DateFormat, InstantFormat, TimeFormat};
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
        let Some(format) = Cutting::of(&column.kind) else { continue };
        let is_cut = |text| format.cuts(text);
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
                    .filter(|row| place.text(*row).is_some_and(is_cut))
                    .count()
            }
        };
        let kind = match format {
            Cutting::Date(_) => &mut repairs.times_of_day_dropped,
            Cutting::Time(_) | Cutting::Timestamp(_) => &mut repairs.subseconds_cut,
        };
        *kind += u64::try_from(values).unwrap_or(u64::MAX);
    }
    repairs
}

/// The format of a column that may leave a part of a text out.
#[derive(Clone, Copy)]
enum Cutting<'a> {
    Date(&'a DateFormat),
    Time(&'a TimeFormat),
    Timestamp(&'a InstantFormat),
}

impl Cutting<'_> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "values of no other kind are cut")]
    fn of(kind: &Kind) -> Option<Cutting<'_>> {
        match kind {
            Kind::Date(format, _) if format.cuts() => Some(Cutting::Date(format)),
            Kind::Time(format, _) if format.cuts() => Some(Cutting::Time(format)),
            Kind::Timestamp(format, _) if format.cuts() => Some(Cutting::Timestamp(format)),
            _ => None,
        }
    }

    fn cuts(self, text: &[u8]) -> bool {
        match self {
            Cutting::Date(format) => format.is_cut(text),
            Cutting::Time(format) => format.is_cut(text),
            Cutting::Timestamp(format) => format.is_cut(text),
        }
    }
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
