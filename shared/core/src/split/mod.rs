//! Where records begin and end: the quote rule, once, for the planner and for the decoder.
//!
//! A quote opens only at a field's start and closes only before a delimiter, a record end or the end of
//! the object. A record that breaks this ends at the first line end after its start, so a stray quote
//! costs one record; but where a quoted field is still open there and a quote follows that can only close
//! it, the record reaches that far, and the text between is no row. Nothing here depends on how the bytes
//! were cut into pieces.

mod bad;
mod chunks;
mod index;
mod line;
mod lone;
mod syntax;
mod walk;

pub(crate) use bad::Skipped;
pub use chunks::ChunkScanner;
pub(crate) use index::Index;
pub use lone::{Lone, LoneScanner};
pub(crate) use syntax::BOM;
pub(crate) use walk::{Field, Splitter, Step};

use crate::block::{Limits, LineEnd};
use crate::pipeline::Format;

/// The fields of one CSV record without its line end, or `None` when it cannot be cut into them.
pub(crate) fn fields(format: &Format, record: &[u8]) -> Option<Vec<Field>> {
    let splitter = Splitter::new(format, LineEnd::Lf, &Limits::default());
    let mut index = Index::default();
    splitter.fill(&mut index, record);
    let mut fields = Vec::new();
    match splitter.step(record, true, &mut index.cursor(0), 0, |field| fields.push(field)) {
        Step::Record { end, bad: None, .. } if end == record.len() => Some(fields),
        Step::Record { .. } | Step::Blank { .. } | Step::TooLong | Step::More => None,
    }
}
