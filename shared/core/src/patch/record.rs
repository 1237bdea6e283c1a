//! One record by itself: whether it is one, and where its fields are.

use crate::block::{Limits, LineEnd, RejectCode};
use crate::pipeline::Format;
pub(super) use crate::split::fields;
use crate::split::{Index, Splitter, Step};

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
    step(format, bytes)
}

fn step(format: &Format, bytes: &[u8]) -> Records {
    let splitter = Splitter::new(format, LineEnd::Lf, &Limits::default());
    let mut index = Index::default();
    splitter.fill(&mut index, bytes);
    if bytes.is_empty() {
        return Records::None;
    }
    match splitter.step(bytes, true, &mut index.cursor(0), 0, |_| {}) {
        Step::Blank { next } if next == bytes.len() => Records::None,
        Step::Record { end, bad, .. } if end == bytes.len() => Records::One(bad),
        Step::TooLong => Records::One(Some(RejectCode::TooLarge)),
        Step::Blank { .. } | Step::Record { .. } | Step::More => Records::Several,
    }
}
