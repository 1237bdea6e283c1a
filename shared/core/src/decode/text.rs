//! What the text of a field stands for.

use crate::pipeline::{CsvDialect, Escapes};
use crate::split::Field;

/// How quotes and escapes are undone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unescape {
    quote: Option<u8>,
    escape: Option<u8>,
    /// The escape acts everywhere, and may stand for a control character.
    text: bool,
    formula_text: bool,
}

impl Unescape {
    pub(crate) fn new(dialect: &CsvDialect) -> Unescape {
        Unescape {
            quote: dialect.quote,
            escape: dialect.escape,
            text: dialect.escapes == Escapes::Text && dialect.escape.is_some(),
            formula_text: dialect.formula_text,
        }
    }

    /// Whether the raw text of a field may stand for another one.
    #[inline]
    pub(crate) fn changes(&self, raw: &[u8], quoted: bool) -> bool {
        let special =
            |byte: &u8| Some(*byte) == self.escape || (quoted && Some(*byte) == self.quote);
        (quoted || self.text) && raw.iter().any(special)
    }

    /// Appends the text that a field's raw text stands for; `false` when it holds an escape that stands for
    /// nothing.
    pub(crate) fn text(&self, raw: &[u8], field: Field, to: &mut Vec<u8>) -> bool {
        if !field.escaped {
            to.extend_from_slice(raw);
            return true;
        }
        self.append(raw, field.quoted, to)
    }

    /// As [`Unescape::text`], of a field that is known to hold quotes or escapes.
    pub(crate) fn append(&self, raw: &[u8], quoted: bool, to: &mut Vec<u8>) -> bool {
        let start = to.len();
        let mut bytes = raw.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if Some(byte) == self.escape && (self.text || quoted) {
                let next = bytes.peek().copied();
                let acts = self.text || next == self.escape || next == self.quote;
                match next.filter(|_| acts) {
                    Some(next) if self.text => {
                        let Some(meant) = control(next) else { return false };
                        to.push(meant);
                    }
                    Some(next) => to.push(next),
                    None if self.text => return false,
                    None => {
                        to.push(byte);
                        continue;
                    }
                }
                bytes.next();
            } else if quoted && Some(byte) == self.quote {
                to.extend(bytes.next());
            } else {
                to.push(byte);
            }
        }
        self.without_formula(quoted, start, to);
        true
    }

    /// `="007"` inside quotes is 007.
    fn without_formula(&self, quoted: bool, start: usize, to: &mut Vec<u8>) {
        let Some(quote) = self.quote.filter(|_| quoted && self.formula_text) else { return };
        let inner = to.get(start..).and_then(|text| text.strip_prefix(b"="));
        let inner = inner.and_then(|text| text.strip_prefix(&[quote])?.strip_suffix(&[quote]));
        if let Some(inner) = inner.map(<[u8]>::to_vec) {
            to.truncate(start);
            to.extend_from_slice(&inner);
        }
    }
}

/// The byte that an escaped byte means: the letters are those of `MySQL`, Postgres and `ClickHouse`. NUL, codes
/// in digits and other letters mean nothing, and are never taken for the letter.
fn control(escaped: u8) -> Option<u8> {
    match escaped {
        b'b' => Some(0x08),
        b'f' => Some(0x0C),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(0x0B),
        b'Z' => Some(0x1A),
        byte if byte.is_ascii_alphanumeric() => None,
        byte => Some(byte),
    }
}
