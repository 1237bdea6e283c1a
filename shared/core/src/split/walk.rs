//! One step over one record.

use std::ops::ControlFlow;

use super::index::{Cursor, Index};
use super::line::There;
use super::syntax::{BOM, Class, Syntax};
use crate::block::{Limits, LineEnd, RejectCode};
use crate::pipeline::Format;

/// Positions are 32 bits wide in a block, so no record may reach further.
const RECORD_BYTES_MAX: usize = 1 << 28;

/// How many times its longest record a splitter looks ahead for the quote that closes a field.
const REACH_RECORDS: usize = 4;

/// Cuts bytes into records and fields.
#[derive(Debug, Clone)]
pub(crate) struct Splitter {
    pub(super) syntax: Syntax,
    pub(super) window: usize,
}

/// A field's text `[start, end)`, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) quoted: bool,
    /// Whether it holds doubled quotes or escapes.
    pub(crate) escaped: bool,
}

/// What stands at a record's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line without a record; the next one starts at `next`.
    Blank { next: usize },
    /// A record up to `end`, its terminator up to `next`. With `bad`, its fields mean nothing.
    Record { end: usize, next: usize, bad: Option<RejectCode> },
    /// A record over the limit whose line end is not in the data.
    TooLong,
    /// Not decided without more bytes.
    More,
}

/// The record at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) start: usize,
    /// A record that goes on here is over its limit.
    pub(super) limit: usize,
}

enum Quoted {
    /// The closing quote is at `at`, what follows it begins at `behind`.
    Closed {
        at: usize,
        escaped: bool,
    },
    Bad {
        offending: Option<usize>,
    },
    More,
}

/// What follows a closing quote.
enum Behind {
    Delimiter(usize),
    Line,
    End,
    Text,
    Undecided,
}

impl Splitter {
    /// A splitter that reports fields.
    pub(crate) fn new(format: &Format, line_end: LineEnd, limits: &Limits) -> Splitter {
        Splitter::build(format, line_end, limits, true)
    }

    /// A splitter that reports records only, with the same verdicts: the delimiters need no index.
    pub(crate) fn records_only(format: &Format, line_end: LineEnd, limits: &Limits) -> Splitter {
        Splitter::build(format, line_end, limits, false)
    }

    fn build(format: &Format, line_end: LineEnd, limits: &Limits, fields: bool) -> Splitter {
        Splitter {
            syntax: Syntax::new(format, line_end, fields),
            window: limits.record_bytes_max.min(RECORD_BYTES_MAX),
        }
    }

    /// Bytes from a record's start that always suffice to decide it, less the two of a line end.
    pub(crate) fn reach(&self) -> usize {
        match self.syntax.quote {
            Some(_) => self.window.saturating_mul(REACH_RECORDS),
            None => self.window,
        }
    }

    /// Marks `data` for [`Splitter::step`].
    pub(crate) fn fill(&self, index: &mut Index, data: &[u8]) {
        index.fill(data, self.syntax.marks());
    }

    /// Decides the record that starts at `start`, in the data that `cursor` was made for, and reports its
    /// fields. `last`: no byte follows the data. Afterwards the cursor stands at the next record.
    #[inline]
    pub(crate) fn step(
        &self,
        data: &[u8],
        last: bool,
        cursor: &mut Cursor<'_>,
        start: usize,
        field: impl FnMut(Field),
    ) -> Step {
        if self.syntax.may_start_blank(data, start) {
            match self.syntax.blank_line(data, start, last) {
                There::Yes(next) if self.is_near(start, next) => {
                    cursor.seek(next);
                    return Step::Blank { next };
                }
                There::Undecided if self.is_near(start, data.len()) => return Step::More,
                There::Yes(_) | There::Undecided | There::No => {}
            }
        }
        self.record(data, last, cursor, start, field)
    }

    /// Whether the undecided rest from `start` may turn out to be a line without a record.
    pub(crate) fn may_be_blank(&self, data: &[u8], start: usize) -> bool {
        data.get(start..).is_none_or(<[u8]>::is_empty)
            || (self.syntax.blank_line(data, start, false) == There::Undecided
                && self.is_near(start, data.len()))
    }

    /// Whether a line from `start` to `end` is no longer than a record may be.
    fn is_near(&self, start: usize, end: usize) -> bool {
        end - start <= self.window.saturating_add(2)
    }

    #[inline]
    fn record(
        &self,
        data: &[u8],
        last: bool,
        cursor: &mut Cursor<'_>,
        start: usize,
        mut field: impl FnMut(Field),
    ) -> Step {
        let record = At { start, limit: start + self.window };
        let mut field_start = start;
        if data.get(start..).is_some_and(|rest| rest.starts_with(BOM)) {
            field_start += BOM.len();
        }
        let first = field_start;
        let mut literal = None;
        // Of a plain field: whether an escape stands in it.
        let mut escaped = false;
        loop {
            let Some(at) = cursor.next() else {
                let end = self.syntax.text_end(data, unescaped(field_start, literal), data.len());
                if end > record.limit {
                    return self.too_long(data, last, cursor, record.limit);
                }
                if !last {
                    return Step::More;
                }
                field(Field { start: field_start, end, quoted: false, escaped });
                return Step::Record { end, next: data.len(), bad: None };
            };
            let class = self.syntax.class(data, at);
            if at >= record.limit
                && (class != Class::Line
                    || self.syntax.text_end(data, unescaped(field_start, literal), at)
                        > record.limit)
            {
                return self.too_long(data, last, cursor, record.limit);
            }
            // An escaped byte, or one inside a delimiter of several.
            if literal == Some(at) || at < field_start {
                continue;
            }
            // Most marks are delimiters, and a plain branch is predicted better than a table of them.
            if class == Class::Delimiter {
                let next = match self.syntax.delimiter_at(data, at, last) {
                    There::Yes(next) => next,
                    There::No => continue,
                    There::Undecided => return Step::More,
                };
                field(Field { start: field_start, end: at, quoted: false, escaped });
                escaped = false;
                field_start = next;
                continue;
            }
            match class {
                Class::Line => {
                    let end = self.syntax.text_end(data, unescaped(field_start, literal), at);
                    field(Field { start: field_start, end, quoted: false, escaped });
                    return self.end_at(data, last, cursor, at, end);
                }
                Class::Quote => {
                    if !self.opens(data, first, field_start, at) {
                        return self.bad(data, last, cursor, record, Some(at));
                    }
                    match self.quoted_field(data, last, cursor, record, at, &mut field) {
                        ControlFlow::Continue(next) => field_start = next,
                        ControlFlow::Break(step) => return step,
                    }
                }
                Class::Escape if self.syntax.escapes_text => {
                    escaped = true;
                    literal = Some(at + 1);
                }
                Class::Escape | Class::Other | Class::Delimiter => {}
            }
        }
    }

    /// Reports the field that the quote at `at` opens: where the next one starts, or how the record ends.
    #[inline]
    fn quoted_field(
        &self,
        data: &[u8],
        last: bool,
        cursor: &mut Cursor<'_>,
        record: At,
        at: usize,
        field: &mut impl FnMut(Field),
    ) -> ControlFlow<Step, usize> {
        let end = match self.quoted(data, last, cursor, record.limit) {
            Quoted::Closed { at: close, escaped } => {
                field(Field { start: at + 1, end: close, quoted: true, escaped });
                close + 1
            }
            Quoted::Bad { offending } => {
                return ControlFlow::Break(self.bad(data, last, cursor, record, offending));
            }
            Quoted::More => return ControlFlow::Break(Step::More),
        };
        ControlFlow::Break(match self.behind(data, end, last) {
            Behind::End => Step::Record { end, next: data.len(), bad: None },
            Behind::Line => self.end_at(data, last, cursor, end, end),
            _ if end >= record.limit => self.too_long(data, last, cursor, record.limit),
            Behind::Delimiter(next) => {
                cursor.seek(next);
                return ControlFlow::Continue(next);
            }
            Behind::Text | Behind::Undecided => Step::More,
        })
    }

    /// Goes to the quote that closes, from behind the one that opened.
    fn quoted(&self, data: &[u8], last: bool, cursor: &mut Cursor<'_>, limit: usize) -> Quoted {
        let mut escaped = false;
        let mut literal = None;
        loop {
            let Some(at) = cursor.next() else {
                let ended = last || data.len() > limit;
                return if ended { Quoted::Bad { offending: None } } else { Quoted::More };
            };
            if at >= limit {
                return Quoted::Bad { offending: None };
            }
            if literal == Some(at) {
                continue;
            }
            match self.syntax.class(data, at) {
                Class::Quote if self.syntax.class(data, at + 1) == Class::Quote => {
                    escaped = true;
                    literal = Some(at + 1);
                }
                Class::Quote => match self.behind(data, at + 1, last) {
                    Behind::Undecided => return Quoted::More,
                    Behind::Text => return Quoted::Bad { offending: Some(at) },
                    Behind::End | Behind::Line | Behind::Delimiter(_) => {
                        return Quoted::Closed { at, escaped };
                    }
                },
                Class::Escape if self.escapes(data, at) => {
                    escaped = true;
                    literal = Some(at + 1);
                }
                Class::Escape | Class::Delimiter | Class::Line | Class::Other => {}
            }
        }
    }

    /// Whether the escape at `at`, inside quotes, acts on the byte behind it.
    #[inline]
    pub(super) fn escapes(&self, data: &[u8], at: usize) -> bool {
        self.syntax.escapes_text
            || matches!(self.syntax.class(data, at + 1), Class::Quote | Class::Escape)
    }

    /// What stands behind a quote, if that one closes its field.
    #[inline]
    fn behind(&self, data: &[u8], at: usize, last: bool) -> Behind {
        match self.syntax.class(data, at) {
            Class::Delimiter => match self.syntax.delimiter_at(data, at, last) {
                There::Yes(next) => Behind::Delimiter(next),
                There::No => Behind::Text,
                There::Undecided => Behind::Undecided,
            },
            Class::Line => Behind::Line,
            Class::Quote | Class::Escape => Behind::Text,
            Class::Other if at >= data.len() && last => Behind::End,
            Class::Other if at >= data.len() => Behind::Undecided,
            Class::Other => match self.syntax.line_end(data, at, last) {
                There::Yes(next) if next == data.len() && data.last() != Some(&b'\n') => {
                    Behind::End
                }
                There::Yes(_) => Behind::Line,
                There::No => Behind::Text,
                There::Undecided => Behind::Undecided,
            },
        }
    }

    /// Whether what stands behind a quote lets it close its field.
    pub(super) fn closes(&self, data: &[u8], quote: usize, last: bool) -> There {
        match self.behind(data, quote + 1, last) {
            Behind::Undecided => There::Undecided,
            Behind::Text => There::No,
            Behind::End | Behind::Line | Behind::Delimiter(_) => There::Yes(quote + 1),
        }
    }

    /// Whether a quote at `at`, outside quotes, stands at a field's start.
    #[inline]
    fn opens(&self, data: &[u8], first: usize, field_start: usize, at: usize) -> bool {
        if self.syntax.tracks_fields {
            return at == field_start
                || (self.syntax.formula_text
                    && at == field_start + 1
                    && data.get(field_start) == Some(&b'='));
        }
        at == first
            || at.checked_sub(1).and_then(|before| data.get(before))
                == self.syntax.delimiter.first()
    }

    /// The end of the record at a line end at `at`, its text up to `end`.
    #[inline]
    fn end_at(
        &self,
        data: &[u8],
        last: bool,
        cursor: &mut Cursor<'_>,
        at: usize,
        end: usize,
    ) -> Step {
        match self.syntax.line_end(data, at, last) {
            There::Yes(next) => {
                cursor.seek(next);
                Step::Record { end, next, bad: None }
            }
            There::No | There::Undecided => Step::More,
        }
    }
}

/// From where on CRs before a line end belong to it: an escaped one is text.
fn unescaped(field_start: usize, literal: Option<usize>) -> usize {
    literal.map_or(field_start, |literal| field_start.max(literal + 1))
}
