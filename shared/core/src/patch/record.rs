//! One record by itself: whether it is one, and where its fields are.

use crate::block::{Limits, RejectCode};
use crate::pipeline::Format;
use crate::split::{Field, Index, Splitter, Step};

/// What bytes are when they are read as records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Records {
    /// A blank line, or nothing.
    None,
    /// One, well-formed or with its defect.
    One(Option<RejectCode>),
    /// More than one.
    Several,
}

/// Counts the records of `bytes`, which nothing follows.
pub(super) fn count(format: &Format, bytes: &[u8]) -> Records {
    step(format, bytes, |_| {})
}

/// The fields of a CSV record, or `None` when it cannot be cut into them.
pub(super) fn fields(format: &Format, record: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let records = step(format, record, |field| fields.push(field));
    (records == Records::One(None)).then_some(fields)
}

fn step(format: &Format, bytes: &[u8], field: impl FnMut(Field)) -> Records {
    let splitter = Splitter::new(format, &Limits::default());
    let mut index = Index::default();
    splitter.fill(&mut index, bytes);
    if bytes.is_empty() {
        return Records::None;
    }
    match splitter.step(bytes, true, &mut index.cursor(0), 0, field) {
        Step::Blank { next } if next == bytes.len() => Records::None,
        Step::Record { end, bad, .. } if end == bytes.len() => Records::One(bad),
        Step::TooLong => Records::One(Some(RejectCode::TooLarge)),
        Step::Blank { .. } | Step::Record { .. } | Step::More => Records::Several,
    }
}
