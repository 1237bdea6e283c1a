//! The quote rule written out slowly, byte by byte over the whole object.

use xxhash_rust::xxh3::xxh3_128;

use super::{Item, Outcome, Read};
use crate::block::{Limits, LineEnd, RejectCode};
use crate::pipeline::{BlankLines, CsvDialect, Escapes, Ragged};
use crate::split::BOM;

struct Parsed {
    end: usize,
    fields: Vec<Text>,
    bad: Option<RejectCode>,
}

/// A field: what it stands for, how it is written, whether it was quoted.
#[derive(Default)]
struct Text {
    value: Vec<u8>,
    raw: Vec<u8>,
    quoted: bool,
    /// An escape outside quotes makes a text of it, as quotes do.
    escaped: bool,
    bad_escape: bool,
}

impl Text {
    fn push(&mut self, byte: u8) {
        self.value.push(byte);
        self.raw.push(byte);
    }

    fn escape(&mut self, escape: u8, next: Option<u8>, text: bool) {
        self.raw.push(escape);
        self.escaped = true;
        self.raw.extend(next);
        match next {
            Some(b'b') if text => self.value.push(8),
            Some(byte) if text && byte.is_ascii_alphanumeric() => self.bad_escape = true,
            Some(byte) => self.value.push(byte),
            None => self.bad_escape |= text,
        }
    }

    fn cell(&self, dialect: &CsvDialect) -> Option<(String, bool)> {
        let text = String::from_utf8(self.value.clone()).unwrap();
        let inner = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"'));
        let doubled = self.raw.windows(2).any(|pair| pair == b"\"\"") || self.escaped;
        let inner = inner
            .filter(|_| dialect.formula_text && dialect.quote.is_some() && self.quoted && doubled);
        let text = inner.map(str::to_owned).unwrap_or(text);
        Some((text, self.quoted || self.escaped))
    }
}

/// The quote at fault, if it is one.
struct Stray(Option<usize>);

/// What the text is read by.
struct Rules<'a> {
    dialect: &'a CsvDialect,
    line_end: LineEnd,
    data: &'a [u8],
    delimiter: Vec<u8>,
    /// Record bytes, and bytes that are looked at to find out where a field closes.
    window: usize,
}

impl Rules<'_> {
    fn at(&self, at: usize, text: &[u8]) -> bool {
        self.data[at.min(self.data.len())..].starts_with(text)
    }

    /// Bytes of the line end at `at`; `None` when none stands there.
    fn line_end(&self, at: usize) -> Option<usize> {
        let rest = &self.data[at.min(self.data.len())..];
        let known: &[&[u8]] = match self.line_end {
            LineEnd::Any => &[b"\r\n", b"\n", b"\r"],
            LineEnd::Lf => &[b"\r\r\n", b"\r\n", b"\n"],
        };
        // Half of a line end at the end of the object is one.
        let half = self.line_end == LineEnd::Lf && (rest == b"\r" || rest == b"\r\r");
        let whole = known.iter().find(|end| rest.starts_with(end)).map(|end| end.len());
        whole.or(half.then_some(rest.len()))
    }

    fn line_from(&self, mut at: usize) -> usize {
        while at < self.data.len() && self.line_end(at).is_none() {
            at += 1;
        }
        at
    }

    fn text_escapes(&self) -> bool {
        self.dialect.escape.is_some() && self.dialect.escapes == Escapes::Text
    }

    fn is_quote(&self, at: usize) -> bool {
        self.dialect.quote.is_some() && self.data.get(at).copied() == self.dialect.quote
    }

    fn is_escape(&self, at: usize) -> bool {
        self.dialect.escape.is_some() && self.data.get(at).copied() == self.dialect.escape
    }

    fn closes(&self, at: usize) -> bool {
        at >= self.data.len() || self.at(at, &self.delimiter) || self.line_end(at).is_some()
    }

    fn blank(&self, start: usize) -> Option<usize> {
        let at = start + if self.at(start, BOM) { BOM.len() } else { 0 };
        let end = self.line_from(at);
        let comment = self.dialect.comment.iter().any(|text| self.at(at, text.as_bytes()));
        let mut rest = &self.data[at..end];
        let delimited = rest.starts_with(&self.delimiter);
        if delimited && self.dialect.blank_lines == BlankLines::Skip {
            loop {
                rest = match rest {
                    [b' ' | b'\t', rest @ ..] => rest,
                    _ => match rest.strip_prefix(&self.delimiter[..]) {
                        Some(rest) => rest,
                        None => break,
                    },
                };
            }
        }
        let skipped = self.dialect.blank_lines == BlankLines::Skip || at == self.data.len();
        let next = end + self.line_end(end).unwrap_or(0);
        let near = next - start <= self.window + 2;
        ((comment || (rest.is_empty() && skipped)) && near).then_some(next)
    }

    /// Reads a quoted field's text from behind the quote that opens; returns what follows the one that
    /// closes.
    fn quoted(&self, mut at: usize, limit: usize, text: &mut Text) -> Result<usize, Stray> {
        text.quoted = true;
        loop {
            if at >= limit || at >= self.data.len() {
                return Err(Stray(None));
            }
            let byte = self.data[at];
            let acts = self.text_escapes() || self.is_quote(at + 1) || self.is_escape(at + 1);
            if self.is_escape(at) && acts {
                text.escape(byte, self.data.get(at + 1).copied(), self.text_escapes());
                at += 2;
            } else if !self.is_quote(at) {
                text.push(byte);
                at += 1;
            } else if self.is_quote(at + 1) {
                text.raw.push(byte);
                text.push(byte);
                at += 2;
            } else if self.closes(at + 1) {
                return Ok(at + 1);
            } else {
                return Err(Stray(Some(at)));
            }
        }
    }

    fn natural(
        &self,
        start: usize,
        limit: usize,
        opened: &mut Option<usize>,
    ) -> Result<Parsed, Stray> {
        let mut fields = Vec::new();
        let mut at = start + if self.at(start, BOM) { BOM.len() } else { 0 };
        loop {
            let mut text = Text::default();
            let formula = self.dialect.formula_text && self.at(at, b"=") && self.is_quote(at + 1);
            let quote = at + usize::from(formula);
            *opened = None;
            if quote < limit && self.is_quote(quote) {
                *opened = Some(quote);
                at = self.quoted(quote + 1, limit, &mut text)?;
                *opened = None;
            }
            while at < limit.min(self.data.len())
                && !self.at(at, &self.delimiter)
                && self.line_end(at).is_none()
            {
                if self.is_quote(at) {
                    return Err(Stray(Some(at)));
                }
                if self.is_escape(at) && self.text_escapes() {
                    text.escape(self.data[at], self.data.get(at + 1).copied(), true);
                    at += 2;
                    continue;
                }
                text.push(self.data[at]);
                at += 1;
            }
            at = at.min(self.data.len());
            fields.push(text);
            if at <= limit && (at >= self.data.len() || self.line_end(at).is_some()) {
                return Ok(Parsed { end: at, fields, bad: None });
            }
            if at >= limit {
                let end = self.line_from(limit);
                return Ok(Parsed { end, fields, bad: Some(RejectCode::TooLarge) });
            }
            at += self.delimiter.len();
        }
    }

    /// Where the line ends in which the field closes that is open at the end of the first line.
    fn closing(&self, start: usize, opened: usize, first_end: usize) -> Option<usize> {
        let quotes = (opened..first_end).filter(|at| self.is_quote(*at)).count();
        let reach = self.data.len().min(start + 4 * self.window);
        let mut at = first_end;
        while quotes % 2 == 1 && at < reach {
            let escapes = |at: &usize| self.data[*at] == b'\\' || self.is_escape(*at);
            let escaped = (0..at).rev().take_while(escapes).count() % 2 == 1;
            if !self.is_quote(at) || escaped {
                at += 1;
                continue;
            }
            let before = &self.data[..at];
            let line = before.ends_with(b"\n")
                || (self.line_end == LineEnd::Any && before.ends_with(b"\r"));
            if line || before.ends_with(&self.delimiter) {
                return None;
            }
            if self.is_quote(at + 1) {
                at += 2;
            } else if self.closes(at + 1) {
                return Some(self.text_line(at + 1, start + self.window));
            } else {
                at += 1;
            }
        }
        None
    }

    /// The first line end from `start` on that is not escaped.
    fn text_line(&self, start: usize, limit: usize) -> usize {
        let escapes = |end: &usize| {
            let before = (start..*end).rev();
            self.text_escapes() && before.take_while(|at| self.is_escape(*at)).count() % 2 == 1
        };
        let mut end = self.line_from(start);
        while end < self.data.len() && end <= limit && escapes(&end) {
            end = self.line_from(end + 1);
        }
        end
    }

    fn record(&self, start: usize) -> Parsed {
        let limit = start + self.window;
        let mut opened = None;
        self.natural(start, limit, &mut opened).unwrap_or_else(|Stray(offending)| {
            let first_end = self.text_line(start, limit);
            // Told from the first line alone: what its own end leaves open.
            let line =
                Rules { data: &self.data[..first_end], delimiter: self.delimiter.clone(), ..*self };
            opened = None;
            let whole = line.natural(start, usize::MAX, &mut opened).is_ok();
            let opened = opened.filter(|_| !whole && first_end <= limit);
            let closing = opened.and_then(|opened| self.closing(start, opened, first_end));
            let end = closing.unwrap_or(first_end);
            let code = if end > limit {
                RejectCode::TooLarge
            } else if offending.is_some_and(|at| at < first_end) {
                RejectCode::BadQuote
            } else {
                RejectCode::UnterminatedQuote
            };
            Parsed { end, fields: Vec::new(), bad: Some(code) }
        })
    }
}

/// Reads a whole CSV object whose `width` fields are the contract's columns.
pub(super) fn read(
    dialect: &CsvDialect,
    line_end: LineEnd,
    limits: &Limits,
    data: &[u8],
    width: usize,
) -> Read {
    let delimiter = dialect.separator().into_bytes();
    let rules = Rules { dialect, line_end, data, delimiter, window: limits.record_bytes_max };
    let mut read = Read { bytes: data.len() as u64, ..Read::default() };
    let mut at = 0;
    while at < data.len() {
        if let Some(next) = rules.blank(at) {
            read.blank_lines += 1;
            at = next;
            continue;
        }
        let Parsed { end, fields, bad } = rules.record(at);
        let bytes = &data[at..end];
        read.digest.add(xxh3_128(bytes));
        let result = outcome(dialect, limits, (bytes, &fields, bad), width);
        let row = read.items.len() as u64;
        read.items.push(Item { row, start: at as u64, end: end as u64, result });
        at = end + rules.line_end(end).unwrap_or(0);
    }
    read
}

fn outcome(
    dialect: &CsvDialect,
    limits: &Limits,
    (bytes, fields, bad): (&[u8], &[Text], Option<RejectCode>),
    width: usize,
) -> Outcome {
    let kept = fields.iter().take(width);
    let extra_is_empty = fields.last().is_some_and(|last| last.raw.is_empty() && !last.quoted);
    let trailing = dialect.trailing_delimiter && fields.len() == width + 1 && extra_is_empty;
    let counts_agree = trailing
        || match dialect.ragged {
            Ragged::Reject => fields.len() == width,
            Ragged::Pad => fields.len() <= width,
            Ragged::Lenient => true,
        };
    let defect = |code| Err((code, None, None));
    if bad == Some(RejectCode::TooLarge) {
        defect(RejectCode::TooLarge)
    } else if str::from_utf8(bytes).is_err() {
        defect(RejectCode::Encoding)
    } else if let Some(code) = bad {
        defect(code)
    } else if kept.clone().any(|text| text.raw.len() > limits.field_bytes_max) {
        defect(RejectCode::TooLarge)
    } else if !counts_agree {
        Err((RejectCode::FieldCount, Some(fields.len() as u32), None))
    } else if kept.clone().any(|text| text.bad_escape) {
        defect(RejectCode::BadEscape)
    } else {
        let mut cells: Vec<_> = kept.map(|text| text.cell(dialect)).collect();
        cells.resize(width, None);
        Ok(cells)
    }
}
