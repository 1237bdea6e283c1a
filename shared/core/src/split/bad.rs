//! Where a record ends that breaks the quote rule, or is over its limit.

use memchr::memchr_iter;

use super::index::Cursor;
use super::line::There;
use super::syntax::{BOM, Class};
use super::walk::{At, Splitter, Step};
use crate::block::RejectCode;

/// How far a record over its limit reaches.
pub(crate) enum Skipped {
    /// It ends at `end`, its terminator at `next`.
    Ended { end: usize, next: usize },
    /// The first `used` bytes belong to it and it goes on.
    Open { used: usize },
}

impl Splitter {
    /// A record that breaks the quote rule ends at the first line end after its start, or, when a quoted field
    /// is open there, behind the quote that closes it: see [`Splitter::closing_line`]. Its code depends
    /// on the first line alone: a worker may not see what follows its chunk.
    #[cold]
    pub(super) fn bad(
        &self,
        data: &[u8],
        last: bool,
        cursor: &mut Cursor<'_>,
        record: At,
        offending: Option<usize>,
    ) -> Step {
        let (first_end, next) = match self.text_line(data, record.start, record.limit, last) {
            Some((end, There::Yes(next))) => (end, next),
            Some(_) => return Step::More,
            None if self.syntax.text_end(data, record.start, data.len()) > record.limit => {
                return Step::TooLong;
            }
            None => return Step::More,
        };
        // A first line over the limit may be skipped before its end is seen.
        let near = first_end <= record.limit;
        let opened = if near { self.opened(data, record.start, first_end) } else { None };
        let closing = opened
            .map_or(Some(None), |opened| self.closing_line(data, last, record, opened, first_end));
        let Some(closing) = closing else { return Step::More };
        let (end, next) = closing.unwrap_or((first_end, next));
        let code = if end > record.limit {
            RejectCode::TooLarge
        } else if offending.is_some_and(|at| at < first_end) {
            RejectCode::BadQuote
        } else {
            RejectCode::UnterminatedQuote
        };
        cursor.seek(next);
        Step::Record { end, next, bad: Some(code) }
    }

    /// The first line end from `start` on that no escape makes a text of; over the limit any will do.
    fn text_line(
        &self,
        data: &[u8],
        start: usize,
        limit: usize,
        last: bool,
    ) -> Option<(usize, There)> {
        let mut from = start;
        loop {
            let (end, next) = self.syntax.find_line(data, from, last)?;
            let escape = |byte: &&u8| Some(**byte) == self.syntax.escape;
            let before = data.get(start..end).unwrap_or_default().iter().rev();
            let escapes = before.take_while(escape).count();
            let is_text = self.syntax.escapes_text && !escapes.is_multiple_of(2);
            if !is_text || end > limit || end >= data.len() {
                return Some((end, next));
            }
            from = end + 1;
        }
    }

    /// Where the quoted field opens that the record's first line does not close by the rule. Told from that
    /// line alone, like the record's code.
    fn opened(&self, data: &[u8], start: usize, end: usize) -> Option<usize> {
        let line = data.get(..end).unwrap_or(data);
        let starts =
            |at: usize, text: &[u8]| line.get(at..).is_some_and(|rest| rest.starts_with(text));
        let mut at = if starts(start, BOM) { start + BOM.len() } else { start };
        loop {
            let formula = self.syntax.formula_text && line.get(at) == Some(&b'=');
            let quote = at + usize::from(formula);
            if self.syntax.class(line, quote) == Class::Quote {
                match self.closed(line, quote) {
                    Some(behind) => at = behind,
                    None => return Some(quote),
                }
            }
            while at < line.len() && !starts(at, &self.syntax.delimiter) {
                match self.syntax.class(line, at) {
                    Class::Quote => return None,
                    Class::Escape if self.syntax.escapes_text => at += 2,
                    Class::Escape | Class::Delimiter | Class::Line | Class::Other => at += 1,
                }
            }
            if at >= line.len() {
                return None;
            }
            at += self.syntax.delimiter.len();
        }
    }

    /// What follows the quote that closes, in a line, the field that opens at `quote`.
    fn closed(&self, line: &[u8], quote: usize) -> Option<usize> {
        let mut at = quote + 1;
        while at < line.len() {
            match self.syntax.class(line, at) {
                Class::Escape if self.escapes(line, at) => at += 2,
                Class::Quote if self.syntax.class(line, at + 1) == Class::Quote => at += 2,
                Class::Quote => {
                    let closes = matches!(self.closes(line, at, true), There::Yes(_));
                    return closes.then_some(at + 1);
                }
                Class::Escape | Class::Delimiter | Class::Line | Class::Other => at += 1,
            }
        }
        None
    }

    /// The end of the line in which a field closes that was opened at `opened` and is still open at `first_end`:
    /// what lies between is its text, and no record. The field is open when its line holds an odd number of
    /// quotes. It closes at a quote that can only close: behind text, before a delimiter or line end. A quote
    /// that can open is a record's own, and so the field was never open.
    ///
    /// `None`: not decided without more bytes. `Some(None)`: it does not close.
    #[allow(clippy::option_option, reason = "undecided, no, and where")]
    fn closing_line(
        &self,
        data: &[u8],
        last: bool,
        record: At,
        opened: usize,
        first_end: usize,
    ) -> Option<Option<(usize, usize)>> {
        let start = record.start;
        let Some(quote) = self.syntax.quote else { return Some(None) };
        let line = data.get(opened..first_end).unwrap_or_default();
        if memchr_iter(quote, line).count().is_multiple_of(2) {
            return Some(None);
        }
        let reach = data.len().min(start.saturating_add(self.reach()));
        let rest = data.get(first_end..reach).unwrap_or_default();
        let mut literal = None;
        for at in memchr_iter(quote, rest).map(|at| first_end + at) {
            if literal == Some(at) || self.is_escaped(data, at) {
                continue;
            }
            if self.can_open(data, at) {
                return Some(None);
            }
            if data.get(at + 1) == Some(&quote) {
                literal = Some(at + 1);
                continue;
            }
            match self.closes(data, at, last) {
                There::No => {}
                There::Undecided => return None,
                There::Yes(behind) => {
                    // A line end that is escaped is text, here as well: the record was read beyond it.
                    return match self.text_line(data, behind, record.limit, last) {
                        Some((end, There::Yes(next))) => Some(Some((end, next))),
                        Some(_) | None => None,
                    };
                }
            }
        }
        // With all that may be looked at seen, it does not close.
        let seen = last || data.len() > start.saturating_add(self.reach());
        seen.then_some(None)
    }

    fn is_escaped(&self, data: &[u8], at: usize) -> bool {
        let escapes = |byte: u8| byte == b'\\' || Some(byte) == self.syntax.escape;
        let before = data.get(..at).unwrap_or_default().iter().rev();
        !before.take_while(|byte| escapes(**byte)).count().is_multiple_of(2)
    }

    /// Whether a quote stands where a field may start.
    fn can_open(&self, data: &[u8], at: usize) -> bool {
        let before = data.get(..at).unwrap_or_default();
        before.ends_with(&self.syntax.delimiter)
            || matches!(before.last(), None | Some(b'\n'))
            || (self.syntax.lone_cr && before.last() == Some(&b'\r'))
    }

    /// A record that reaches the limit outside quotes ends at the first line end from there.
    #[cold]
    pub(super) fn too_long(
        &self,
        data: &[u8],
        last: bool,
        cursor: &mut Cursor<'_>,
        limit: usize,
    ) -> Step {
        let (end, next) = match self.syntax.find_line(data, limit, last) {
            Some((end, There::Yes(next))) => (end, next),
            Some(_) => return Step::More,
            None => return Step::TooLong,
        };
        cursor.seek(next);
        Step::Record { end, next, bad: Some(RejectCode::TooLarge) }
    }

    /// How many of the bytes of a record over its limit are known not to belong to its line end.
    pub(crate) fn certain(&self, data: &[u8]) -> usize {
        self.syntax.text_end(data, 0, data.len())
    }

    /// Looks for the line end of a record over its limit.
    pub(crate) fn skip_line(&self, data: &[u8], last: bool) -> Skipped {
        match self.syntax.find_line(data, 0, last) {
            Some((end, There::Yes(next))) => Skipped::Ended { end, next },
            Some((end, _)) => Skipped::Open { used: end },
            None => Skipped::Open { used: self.certain(data) },
        }
    }
}
