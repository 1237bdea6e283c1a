//! Where lines end, and which lines hold no record.

use memchr::{memchr, memchr2};

use super::syntax::{BOM, Syntax};

/// CRs that may stand before the LF of a line end.
const CRS_MAX: usize = 2;

/// Whether a text stands at a place of data that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    No,
    /// It does, and what follows begins here.
    Yes(usize),
    /// More bytes are needed to tell.
    Undecided,
}

impl Syntax {
    /// Whether a line ends at `at`: by LF, CR LF or CR CR LF (a text file that was translated twice), or by
    /// a lone CR where such a one ends lines.
    /// `last`: no byte follows the data, so that a CR at its end is half of a terminator.
    #[inline]
    pub(super) fn line_end(&self, data: &[u8], at: usize, last: bool) -> There {
        match data.get(at) {
            Some(b'\n') => return There::Yes(at + 1),
            Some(b'\r') => {}
            Some(_) | None => return There::No,
        }
        let mut behind = at + 1;
        if !self.lone_cr && data.get(behind) == Some(&b'\r') {
            behind += 1;
        }
        match data.get(behind) {
            Some(b'\n') => There::Yes(behind + 1),
            Some(_) if self.lone_cr => There::Yes(behind),
            Some(_) => There::No,
            None if last => There::Yes(behind),
            None => There::Undecided,
        }
    }

    /// The first line end from `from` on: where the line's text ends, and what begins behind it.
    /// `None` when no line ends within the data.
    pub(super) fn find_line(&self, data: &[u8], from: usize, last: bool) -> Option<(usize, There)> {
        let rest = data.get(from..)?;
        let found = if self.lone_cr { memchr2(b'\n', b'\r', rest) } else { memchr(b'\n', rest) };
        match found {
            Some(at) => {
                let end = self.text_end(data, from, from + at);
                Some((end, self.line_end(data, from + at, last)))
            }
            None if last => Some((self.text_end(data, from, data.len()), There::Yes(data.len()))),
            None => None,
        }
    }

    /// Where the text before a line end at `at` ends: CRs belong to the terminator.
    #[inline]
    pub(super) fn text_end(&self, data: &[u8], from: usize, at: usize) -> usize {
        let mut end = at;
        while !self.lone_cr && end > from && at - end < CRS_MAX && data.get(end - 1) == Some(&b'\r')
        {
            end -= 1;
        }
        end
    }

    /// Whether the whole delimiter stands at `at`, where its first byte does.
    #[inline]
    pub(super) fn delimiter_at(&self, data: &[u8], at: usize, last: bool) -> There {
        if self.delimiter.len() == 1 {
            return There::Yes(at + 1);
        }
        starts_with(data, at, &self.delimiter, last)
    }

    /// Whether the line at `start` holds no record: nothing, a byte order mark alone, nothing but delimiters,
    /// a comment; in JSON Lines blanks, too, and what stands around the objects of a list.
    pub(super) fn blank_line(&self, data: &[u8], start: usize, last: bool) -> There {
        if !self.may_start_blank(data, start) {
            return There::No;
        }
        let at = match starts_with(data, start, BOM, last) {
            There::Yes(behind) => behind,
            There::No => start,
            There::Undecided => return There::Undecided,
        };
        for comment in &self.comment {
            match starts_with(data, at, comment, last) {
                There::Yes(_) => return self.comment_line(data, at, last),
                There::Undecided => return There::Undecided,
                There::No => {}
            }
        }
        self.empty_line(data, at, at == start, last)
    }

    fn comment_line(&self, data: &[u8], at: usize, last: bool) -> There {
        self.find_line(data, at, last).map_or(There::Undecided, |(_, next)| next)
    }

    fn empty_line(&self, data: &[u8], from: usize, is_start: bool, last: bool) -> There {
        let mut at = from;
        let skips = self.json || !self.blank_is_record;
        // A line of blanks alone is a field of blanks; with delimiters it is what an emptied row leaves.
        let delimited = !self.json && data.get(at) == self.delimiter.first();
        while let Some(byte) = data.get(at).filter(|_| skips) {
            match byte {
                b' ' | b'\t' if self.json || delimited => at += 1,
                b'[' | b',' | b']' if self.json_list => at += 1,
                b'\r' if self.json && !self.lone_cr => at += 1,
                byte if delimited && Some(byte) == self.delimiter.first() => {
                    match self.delimiter_at(data, at, last) {
                        There::Yes(behind) => at = behind,
                        There::No => return There::No,
                        There::Undecided => return There::Undecided,
                    }
                }
                _ => break,
            }
        }
        match data.get(at) {
            None if at > from || !is_start => match last {
                true => There::Yes(at),
                false => There::Undecided,
            },
            _ if self.blank_is_record && !self.json => There::No,
            _ => self.line_end(data, at, last),
        }
    }
}

/// Whether `text` stands at `at`.
fn starts_with(data: &[u8], at: usize, text: &[u8], last: bool) -> There {
    let rest = data.get(at..).unwrap_or_default();
    if rest.starts_with(text) {
        There::Yes(at + text.len())
    } else if !last && text.starts_with(rest) {
        There::Undecided
    } else {
        There::No
    }
}
