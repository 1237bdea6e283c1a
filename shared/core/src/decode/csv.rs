//! One delimited record to one row of cells.

use std::sync::Arc;

use super::output::{Fault, Output, position};
use super::text::Unescape;
use crate::block::{Cell, Layout, Limits, RejectCode, Repairs};
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
    /// Whether a field beyond those holds something.
    extra_holds: bool,
    escaped: bool,
    columns: Vec<usize>,
    unescape: Unescape,
    /// Texts that mean NULL as they are written, before escapes are undone.
    null: Vec<Vec<u8>>,
    ragged: Ragged,
    trailing_delimiter: bool,
    field_bytes_max: usize,
}

impl CsvReader {
    pub(super) fn new(dialect: &CsvDialect, layout: Arc<Layout>, limits: &Limits) -> CsvReader {
        let columns = &layout.field_of_column;
        CsvReader {
            fields: vec![Cell::NULL; layout.fields],
            found: 0,
            extra_holds: false,
            escaped: false,
            columns: columns.iter().map(|field| field.unwrap_or(NO_FIELD)).collect(),
            unescape: Unescape::new(dialect),
            null: dialect.null.iter().map(|text| text.clone().into_bytes()).collect(),
            ragged: dialect.ragged,
            trailing_delimiter: dialect.trailing_delimiter,
            field_bytes_max: limits.field_bytes_max,
        }
    }

    /// Forgets the record before.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.found = 0;
        self.extra_holds = false;
        self.escaped = false;
    }

    /// Takes the next field.
    #[inline]
    pub(super) fn field(&mut self, field: Field) {
        if let Some(cell) = self.fields.get_mut(self.found) {
            *cell =
                Cell::new(position(field.start), position(field.end - field.start), field.quoted);
        } else {
            self.extra_holds |= field.quoted || field.end > field.start;
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
            self.square(&mut out.decoded.counts.repairs)?;
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
    fn square(&mut self, repairs: &mut Repairs) -> Result<(), Fault> {
        let wanted = self.fields.len();
        if self.trailing_delimiter && self.found == wanted + 1 && !self.extra_holds {
            return Ok(());
        }
        let too_many = self.found > wanted;
        let allowed = match self.ragged {
            Ragged::Reject => false,
            Ragged::Pad => !too_many,
            Ragged::Lenient => true,
        };
        if !allowed {
            let fields_found = Some(u32::try_from(self.found).unwrap_or(u32::MAX));
            return Err(Fault { fields_found, ..RejectCode::FieldCount.into() });
        }
        match (too_many, self.extra_holds) {
            (false, _) => repairs.fields_added += 1,
            (true, false) => repairs.empty_fields_dropped += 1,
            (true, true) => repairs.fields_dropped += 1,
        }
        self.fields.iter_mut().skip(self.found).for_each(|cell| *cell = Cell::NULL);
        Ok(())
    }

    fn unescaped_row(&mut self, data: &[u8], out: &mut Output) -> Result<(), Fault> {
        for field in &self.columns {
            let mut cell = self.fields.get(*field).copied().unwrap_or(Cell::NULL);
            let (text, quoted) = (cell.text(data), cell.is_quoted());
            // A NULL word is compared as it is written: `\\N` is a text, and `\N` is NULL.
            let is_null = !quoted && self.null.iter().any(|null| null == text);
            if !cell.is_null() && !is_null && self.unescape.changes(text, quoted) {
                let copy_start = out.copies.len();
                if !self.unescape.append(text, quoted, &mut out.copies) {
                    return Err(RejectCode::BadEscape.into());
                }
                cell = out.copied_cell(copy_start)?;
            }
            out.decoded.cells.push(cell);
        }
        Ok(())
    }
}
