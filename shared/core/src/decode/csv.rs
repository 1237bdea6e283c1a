//! One delimited record to one row of cells.

use std::sync::Arc;

use super::output::{Fault, Output, position};
use crate::block::{Cell, Layout, Limits, RejectCode};
use crate::pipeline::{CsvDialect, Ragged};
use crate::split::Field;

/// No field feeds the column.
const NO_FIELD: usize = usize::MAX;

/// The fields of the record at hand, and how they become cells.
#[derive(Debug)]
pub(super) struct CsvReader {
    /// As many as a well-formed record has; further ones are counted only.
    fields: Vec<Cell>,
    found: usize,
    escaped: bool,
    columns: Vec<usize>,
    quote: Option<u8>,
    escape: Option<u8>,
    ragged: Ragged,
    field_bytes_max: usize,
}

impl CsvReader {
    pub(super) fn new(dialect: &CsvDialect, layout: Arc<Layout>, limits: &Limits) -> CsvReader {
        let columns = &layout.field_of_column;
        CsvReader {
            fields: vec![Cell::NULL; layout.fields],
            found: 0,
            escaped: false,
            columns: columns.iter().map(|field| field.unwrap_or(NO_FIELD)).collect(),
            quote: dialect.quote,
            escape: dialect.escape,
            ragged: dialect.ragged,
            field_bytes_max: limits.field_bytes_max,
        }
    }

    /// Forgets the record before.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.found = 0;
        self.escaped = false;
    }

    /// Takes the next field.
    #[inline]
    pub(super) fn field(&mut self, field: Field) {
        if let Some(cell) = self.fields.get_mut(self.found) {
            *cell =
                Cell::new(position(field.start), position(field.end - field.start), field.quoted);
        }
        self.found += 1;
        self.escaped |= field.escaped;
    }

    /// Appends the row of the fields taken since `begin`, from a record of `record_len` bytes.
    #[inline]
    pub(super) fn row(
        &mut self,
        data: &[u8],
        record_len: usize,
        out: &mut Output,
    ) -> Result<(), Fault> {
        if record_len > self.field_bytes_max {
            let kept = self.fields.iter().take(self.found);
            if kept.into_iter().any(|cell| cell.text(data).len() > self.field_bytes_max) {
                return Err(RejectCode::TooLarge.into());
            }
        }
        if self.found != self.fields.len() {
            self.square()?;
        }
        if self.escaped {
            return self.unescaped_row(data, out);
        }
        let fields = &self.fields;
        let cell_of = |field: &usize| fields.get(*field).copied().unwrap_or(Cell::NULL);
        out.decoded.cells.extend(self.columns.iter().map(cell_of));
        Ok(())
    }

    /// Too few or too many fields: fills or drops by the dialect's policy.
    #[cold]
    fn square(&mut self) -> Result<(), Fault> {
        let too_many = self.found > self.fields.len();
        let allowed = match self.ragged {
            Ragged::Reject => false,
            Ragged::Pad => !too_many,
            Ragged::Lenient => true,
        };
        if !allowed {
            let fields_found = Some(u32::try_from(self.found).unwrap_or(u32::MAX));
            return Err(Fault { fields_found, ..RejectCode::FieldCount.into() });
        }
        self.fields.iter_mut().skip(self.found).for_each(|cell| *cell = Cell::NULL);
        Ok(())
    }

    fn unescaped_row(&mut self, data: &[u8], out: &mut Output) -> Result<(), Fault> {
        for field in &self.columns {
            let mut cell = self.fields.get(*field).copied().unwrap_or(Cell::NULL);
            let text = cell.text(data);
            if cell.is_quoted() && text.iter().any(|byte| self.is_special(*byte)) {
                let copy_start = out.copies.len();
                unescape(text, self.quote, self.escape, &mut out.copies);
                cell = out.copied_cell(copy_start)?;
            }
            out.decoded.cells.push(cell);
        }
        Ok(())
    }

    fn is_special(&self, byte: u8) -> bool {
        Some(byte) == self.quote || Some(byte) == self.escape
    }
}

/// Appends the text that a quoted field stands for: a doubled quote is one, an escape is dropped and the
/// byte behind it taken as it is.
pub(crate) fn unescape(text: &[u8], quote: Option<u8>, escape: Option<u8>, to: &mut Vec<u8>) {
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if Some(byte) == escape || Some(byte) == quote {
            to.extend(bytes.next());
        } else {
            to.push(byte);
        }
    }
}
