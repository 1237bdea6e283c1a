//! One step over one record.

use memchr::memchr2;

use super::index::{Cursor, Index};
use super::syntax::{Class, Syntax};
use crate::block::{Limits, RejectCode};
use crate::pipeline::Format;

/// Positions are 32 bits wide in a block, so no record may reach further.
const RECORD_BYTES_MAX: usize = 1 << 29;

/// Cuts bytes into records and fields.
#[derive(Debug, Clone)]
pub(crate) struct Splitter {
    syntax: Syntax,
    blank_spaces: bool,
    window: usize,
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

impl Field {
    fn plain(start: usize, end: usize) -> Field {
        Field { start, end, quoted: false, escaped: false }
    }
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

enum Quoted {
    Closed { at: usize, escaped: bool },
    Bad { offending: Option<usize> },
    More,
}

impl Splitter {
    /// A splitter that reports fields.
    pub(crate) fn new(format: &Format, limits: &Limits) -> Splitter {
        Splitter::build(format, limits, true)
    }

    /// A splitter that reports records only, with the same verdicts: the delimiters need no index.
    pub(crate) fn records_only(format: &Format, limits: &Limits) -> Splitter {
        Splitter::build(format, limits, false)
    }

    fn build(format: &Format, limits: &Limits, fields: bool) -> Splitter {
        Splitter {
            syntax: Syntax::new(format, fields),
            blank_spaces: matches!(format, Format::Jsonl(_)),
            window: limits.record_bytes_max.min(RECORD_BYTES_MAX),
        }
    }

    /// The longest record, in bytes.
    pub(crate) fn window(&self) -> usize {
        self.window
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
        if let Some(b'\n' | b'\r') = data.get(start) {
            return match line_end(data, start, last) {
                Some(next) => {
                    cursor.seek(next);
                    Step::Blank { next }
                }
                None => Step::More,
            };
        }
        let step = self.record(data, last, cursor, start, field);
        match step {
            Step::Record { end, next, .. }
                if self.blank_spaces && self.is_blank(data, start, end) =>
            {
                Step::Blank { next }
            }
            Step::Blank { .. } | Step::Record { .. } | Step::TooLong | Step::More => step,
        }
    }

    /// Whether the undecided rest from `start` may turn out to be a blank line.
    pub(crate) fn may_be_blank(&self, data: &[u8], start: usize) -> bool {
        match data.get(start..) {
            Some(b"\r") => true,
            Some(rest) => self.blank_spaces && self.is_blank(data, start, start + rest.len()),
            None => true,
        }
    }

    fn is_blank(&self, data: &[u8], start: usize, end: usize) -> bool {
        let line = data.get(start..end).unwrap_or(&[]);
        line.len() <= self.window && line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
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
        let limit = start + self.window;
        let mut field_start = start;
        loop {
            let Some(at) = cursor.next() else {
                if data.len() > limit {
                    return self.too_long(data, last, cursor, limit);
                }
                if !last {
                    return Step::More;
                }
                field(Field::plain(field_start, data.len()));
                return Step::Record { end: data.len(), next: data.len(), bad: None };
            };
            let class = self.syntax.class(data, at);
            if at >= limit && (at > limit || class != Class::Line) {
                return self.too_long(data, last, cursor, limit);
            }
            // Most marks are delimiters, and a plain branch is predicted better than a table of them.
            if class == Class::Delimiter {
                field(Field::plain(field_start, at));
                field_start = at + 1;
                continue;
            }
            match class {
                Class::Line => {
                    field(Field::plain(field_start, at));
                    return end_at(data, last, cursor, at);
                }
                Class::Quote => {
                    if !self.opens(data, start, at) {
                        return self.bad(data, last, cursor, start, Some(at));
                    }
                    let (close, escaped) = match self.quoted(data, last, cursor, limit) {
                        Quoted::Closed { at, escaped } => (at, escaped),
                        Quoted::Bad { offending } => {
                            return self.bad(data, last, cursor, start, offending);
                        }
                        Quoted::More => return Step::More,
                    };
                    field(Field { start: at + 1, end: close, quoted: true, escaped });
                    let after = close + 1;
                    match data.get(after) {
                        None => {
                            return Step::Record { end: after, next: after, bad: None };
                        }
                        Some(b'\n' | b'\r') => return end_at(data, last, cursor, after),
                        Some(_) if after >= limit => {
                            return self.too_long(data, last, cursor, limit);
                        }
                        Some(_) => cursor.seek(after + 1),
                    }
                    field_start = after + 1;
                }
                Class::Escape | Class::Other | Class::Delimiter => {}
            }
        }
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
                Class::Quote => match data.get(at + 1) {
                    None if last => return Quoted::Closed { at, escaped },
                    None => return Quoted::More,
                    Some(_) => match self.syntax.class(data, at + 1) {
                        Class::Quote => {
                            escaped = true;
                            literal = Some(at + 1);
                        }
                        Class::Delimiter | Class::Line => return Quoted::Closed { at, escaped },
                        Class::Escape | Class::Other => {
                            return Quoted::Bad { offending: Some(at) };
                        }
                    },
                },
                Class::Escape => {
                    escaped = true;
                    literal = Some(at + 1);
                }
                Class::Delimiter | Class::Line | Class::Other => {}
            }
        }
    }

    /// A record that breaks the quote rule ends at the first line end after its start. Its code depends on
    /// that line alone: a worker may not see what follows its chunk.
    #[cold]
    fn bad(
        &self,
        data: &[u8],
        last: bool,
        cursor: &mut Cursor<'_>,
        start: usize,
        offending: Option<usize>,
    ) -> Step {
        let limit = start + self.window;
        let (end, next) = match find_line(data, start) {
            Some(end) => match line_end(data, end, last) {
                Some(next) => (end, next),
                None => return Step::More,
            },
            None if last => (data.len(), data.len()),
            None if data.len() > limit => return Step::TooLong,
            None => return Step::More,
        };
        let code = if end > limit {
            RejectCode::TooLarge
        } else if offending.is_some_and(|at| at < end) {
            RejectCode::BadQuote
        } else {
            RejectCode::UnterminatedQuote
        };
        cursor.seek(next);
        Step::Record { end, next, bad: Some(code) }
    }

    /// A record that reaches the limit outside quotes ends at the first line end from there.
    #[cold]
    fn too_long(&self, data: &[u8], last: bool, cursor: &mut Cursor<'_>, limit: usize) -> Step {
        let (end, next) = match find_line(data, limit) {
            Some(end) => match line_end(data, end, last) {
                Some(next) => (end, next),
                None => return Step::More,
            },
            None if last => (data.len(), data.len()),
            None => return Step::TooLong,
        };
        cursor.seek(next);
        Step::Record { end, next, bad: Some(RejectCode::TooLarge) }
    }

    /// Whether a quote at `at`, outside quotes, stands at a field's start.
    #[inline]
    fn opens(&self, data: &[u8], start: usize, at: usize) -> bool {
        at == start
            || at.checked_sub(1).and_then(|i| data.get(i).copied()) == self.syntax.delimiter()
    }
}

fn find_line(data: &[u8], from: usize) -> Option<usize> {
    memchr2(b'\n', b'\r', data.get(from..)?).map(|at| from + at)
}

/// The end of the record at a line end that was a mark.
#[inline]
fn end_at(data: &[u8], last: bool, cursor: &mut Cursor<'_>, end: usize) -> Step {
    match line_end(data, end, last) {
        Some(next) => {
            cursor.seek(next);
            Step::Record { end, next, bad: None }
        }
        None => Step::More,
    }
}

/// Where the terminator at `at` (LF, CRLF or CR) ends; `None` when a CR is all that is known of it.
#[inline]
pub(crate) fn line_end(data: &[u8], at: usize, last: bool) -> Option<usize> {
    if data.get(at) == Some(&b'\n') {
        return Some(at + 1);
    }
    match data.get(at + 1) {
        Some(b'\n') => Some(at + 2),
        Some(_) => Some(at + 1),
        None => last.then_some(at + 1),
    }
}
