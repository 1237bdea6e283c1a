//! The vectors that a block is decoded into.

use crate::block::{Cell, Decoded, Defect, Record, RejectCode};

/// Why a record is not a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: RejectCode,
    pub(super) fields_found: Option<u32>,
    pub(super) column: Option<u32>,
}

impl From<RejectCode> for Fault {
    fn from(code: RejectCode) -> Fault {
        Fault { code, fields_found: None, column: None }
    }
}

/// Vectors of earlier blocks, to be used again.
#[derive(Debug, Default)]
pub(super) struct Spare {
    pub(super) cells: Vec<Cell>,
    pub(super) records: Vec<Record>,
    pub(super) copies: Vec<u8>,
    /// Rows to make room for.
    pub(super) rows: usize,
}

/// What one block becomes.
pub(super) struct Output {
    pub(super) decoded: Decoded,
    /// Unescaped copies, to follow the block.
    pub(super) copies: Vec<u8>,
}

impl Output {
    pub(super) fn new(block_len: usize, width: usize, spare: &mut Spare) -> Output {
        let mut cells = std::mem::take(&mut spare.cells);
        let mut records = std::mem::take(&mut spare.records);
        cells.clear();
        records.clear();
        cells.reserve(spare.rows * width);
        records.reserve(spare.rows);
        let decoded = Decoded { block_len, width, cells, records, ..Decoded::default() };
        Output { decoded, copies: std::mem::take(&mut spare.copies) }
    }

    #[inline]
    pub(super) fn next_record(&mut self, start: usize, end: usize) -> Record {
        let ordinal = position(self.decoded.records.len() + self.decoded.defects.len());
        self.decoded.counts.records += 1;
        Record { start: position(start), end: position(end), ordinal }
    }

    /// Records a defect and drops the cells that its row may have begun.
    pub(super) fn defect(&mut self, record: Record, fault: Fault, earlier: u64) {
        self.decoded.cells.truncate(self.decoded.records.len() * self.decoded.width);
        let Fault { code, fields_found, column } = fault;
        self.decoded.defects.push(Defect { record, code, fields_found, column, earlier });
    }

    /// The quoted cell that was appended to the copies from `copy_start` on.
    pub(super) fn copied_cell(&self, copy_start: usize) -> Result<Cell, Fault> {
        let start = u32::try_from(self.decoded.block_len + copy_start)
            .map_err(|_| Fault::from(RejectCode::TooLarge))?;
        Ok(Cell::new(start, position(self.copies.len() - copy_start), true))
    }
}

/// A position in a block, which is bound to 2^30 bytes.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a block's positions are at most 2^30")]
pub(super) fn position(value: usize) -> u32 {
    value as u32
}
