//! Cells to text or NULL, and what became of each row.

use crate::block::{Cell, RejectCode};

/// Which cells of a column mean NULL.
#[derive(Debug, Clone, Default)]
pub(crate) struct CellReader {
    /// Spaces and tabs around the text are dropped first.
    pub(crate) trim: bool,
    /// Unquoted empty text is NULL.
    pub(crate) null_empty: bool,
    /// Other unquoted texts that are NULL.
    pub(crate) null_texts: Vec<Vec<u8>>,
    /// Quoted texts are NULL as well.
    pub(crate) null_quoted: bool,
    /// Unquoted texts are numbers and words of JSON.
    pub(crate) json: bool,
}

impl CellReader {
    /// The cell's text; `None` is NULL.
    #[inline]
    pub(crate) fn text<'a>(&self, cell: Cell, buffer: &'a [u8]) -> Option<&'a [u8]> {
        if cell.is_null() {
            return None;
        }
        let mut text = cell.text(buffer);
        if self.trim {
            text = trim(text);
        }
        if (!cell.is_quoted() || self.null_quoted) && self.means_null(text) {
            return None;
        }
        Some(text)
    }

    /// Whether the text is written as JSON says, not as the column does.
    #[inline]
    pub(crate) fn is_literal(&self, cell: Cell) -> bool {
        self.json && !cell.is_quoted()
    }

    #[inline]
    fn means_null(&self, text: &[u8]) -> bool {
        if text.is_empty() {
            return self.null_empty;
        }
        !self.null_texts.is_empty() && self.null_texts.iter().any(|null| null == text)
    }
}

/// Without the spaces and tabs at both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().take_while(|byte| blank(byte)).count();
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.iter().rev().take_while(|byte| blank(byte)).count();
    rest.get(..rest.len() - end).unwrap_or_default()
}

/// Good, or the first failure of a row: its code and column in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict(u32);

/// Bits of the column; the code is above them.
const COLUMN_BITS: u32 = 24;

impl Verdict {
    /// Nothing failed so far.
    pub(crate) const GOOD: Verdict = Verdict(0);

    #[inline]
    pub(crate) fn is_good(self) -> bool {
        self.0 == 0
    }

    /// Notes a failure, unless there was one before.
    #[inline]
    pub(crate) fn fail(&mut self, code: RejectCode, column: u32) {
        if self.is_good() {
            self.0 = (number_of(code) << COLUMN_BITS) | column;
        }
    }

    /// The failure's code and column.
    pub(crate) fn failure(self) -> Option<(RejectCode, usize)> {
        let code = match self.0 >> COLUMN_BITS {
            1 => RejectCode::Type,
            2 => RejectCode::NotNull,
            3 => RejectCode::Range,
            4 => RejectCode::Length,
            5 => RejectCode::Pattern,
            6 => RejectCode::OneOf,
            _ => return None,
        };
        Some((code, usize::try_from(self.0 & ((1 << COLUMN_BITS) - 1)).ok()?))
    }
}

/// The codes that a column can give; every other one means a record that has no cells.
#[allow(clippy::wildcard_enum_match_arm, reason = "the other codes do not come from a column")]
fn number_of(code: RejectCode) -> u32 {
    match code {
        RejectCode::NotNull => 2,
        RejectCode::Range => 3,
        RejectCode::Length => 4,
        RejectCode::Pattern => 5,
        RejectCode::OneOf => 6,
        _ => 1,
    }
}
