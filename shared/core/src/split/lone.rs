//! A range with one record, read without taking the record apart.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::bad::Skipped;
use super::index::Index;
use super::walk::{Splitter, Step};
use crate::block::{Digest, Limits, LineEnd};
use crate::pipeline::Format;

/// Where the only record of a range is, and what its bytes hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lone {
    /// Its first byte in the plain text.
    pub start: u64,
    /// One past its last byte, terminator excluded.
    pub end: u64,
    /// Hash of its bytes, as the source digest counts it.
    pub digest: Digest,
    /// Blank lines beside it.
    pub blank_lines: u64,
}

/// Finds the only record of a range from its bytes in order, in pieces of any size. Memory is bound by
/// one piece and the longest record allowed.
#[derive(Debug)]
pub struct LoneScanner {
    splitter: Splitter,
    /// Undecided bytes; the first one stands at `position`.
    pending: Vec<u8>,
    position: u64,
    skipping: Option<(Box<Xxh3Debug>, u64)>,
    found: Option<Lone>,
    blank_lines: u64,
}

/// The hash of a record over its limit, as far as it was read.
struct Xxh3Debug(Xxh3);

impl std::fmt::Debug for Xxh3Debug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Xxh3")
    }
}

impl LoneScanner {
    /// A scanner of the range that begins at `start`.
    pub fn new(format: &Format, line_end: LineEnd, limits: &Limits, start: u64) -> LoneScanner {
        LoneScanner {
            splitter: Splitter::records_only(format, line_end, limits),
            pending: Vec::new(),
            position: start,
            skipping: None,
            found: None,
            blank_lines: 0,
        }
    }

    /// Takes the next bytes of the range.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        // Below the window nothing is decided that more bytes could not decide better, all at once.
        if self.skipping.is_some() || self.pending.len() > self.splitter.reach() + 2 {
            self.scan(false);
        }
    }

    /// Ends the range; `None` when no record was in it.
    pub fn finish(mut self) -> Option<Lone> {
        self.scan(true);
        self.found.map(|lone| Lone { blank_lines: self.blank_lines, ..lone })
    }

    fn scan(&mut self, last: bool) {
        let data = std::mem::take(&mut self.pending);
        let mut at = self.skip(&data, last);
        let mut index = Index::default();
        self.splitter.fill(&mut index, &data);
        let mut cursor = index.cursor(at);
        while self.skipping.is_none() && at < data.len() {
            let start = self.position + at as u64;
            match self.splitter.step(&data, last, &mut cursor, at, |_| {}) {
                Step::Blank { next } => {
                    self.blank_lines += 1;
                    at = next;
                }
                Step::Record { end, next, .. } => {
                    let bytes = data.get(at..end).unwrap_or(&[]);
                    self.note(start, bytes.len() as u64, xxh3_128(bytes));
                    at = next;
                }
                Step::TooLong => {
                    let certain = self.splitter.certain(&data);
                    let mut hash = Xxh3::new();
                    hash.update(data.get(at..certain).unwrap_or(&[]));
                    let length = (certain - at) as u64;
                    self.skipping = Some((Box::new(Xxh3Debug(hash)), length));
                    at = certain;
                    break;
                }
                Step::More => break,
            }
        }
        self.position += at as u64;
        self.pending = data.get(at..).unwrap_or(&[]).to_vec();
    }

    /// Goes on with a record over its limit; how many of the bytes belong to it.
    fn skip(&mut self, data: &[u8], last: bool) -> usize {
        let Some((mut hash, length)) = self.skipping.take() else { return 0 };
        let (end, used, over) = match self.splitter.skip_line(data, last) {
            Skipped::Ended { end, next } => (end, next, true),
            Skipped::Open { used } => (used, used, false),
        };
        hash.0.update(data.get(..end).unwrap_or(&[]));
        let length = length + end as u64;
        if over {
            let start = self.position + end as u64 - length;
            self.note(start, length, hash.0.digest128());
        } else {
            self.skipping = Some((hash, length));
        }
        used
    }

    fn note(&mut self, start: u64, length: u64, hash: u128) {
        let mut digest = Digest::default();
        digest.add(hash);
        self.found = Some(Lone { start, end: start + length, digest, blank_lines: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::pipeline;

    fn lone(text: &[u8], limit: usize, piece: usize) -> Option<Lone> {
        let limits = Limits { record_bytes_max: limit, ..Limits::default() };
        let format = pipeline(vec![]).source.format;
        let mut scanner = LoneScanner::new(&format, LineEnd::Any, &limits, 1000);
        text.chunks(piece).for_each(|piece| scanner.push(piece));
        scanner.finish()
    }

    #[test]
    fn one_record_is_found_in_pieces_of_any_size_whatever_its_length() {
        for (text, start, end, blank_lines) in [
            (&b"1,a,\"x\ny\"\r\n"[..], 1000, 1009, 0),
            (b"\n\n12,b\n\n\r\n", 1002, 1006, 4),
            (b"1,a", 1000, 1003, 0),
            (b"a record that is longer than the limit, and by far\n\n", 1000, 1050, 1),
        ] {
            let mut digest = Digest::default();
            let record = text.get((start - 1000)..(end - 1000)).unwrap();
            digest.add(xxh3_128(record));
            let (start, end) = (start as u64, end as u64);
            let expected = Lone { start, end, digest, blank_lines };
            for piece in 1..=text.len() {
                assert_eq!(lone(text, 16, piece), Some(expected), "{piece}");
            }
        }
        assert_eq!(lone(b"\n\n", 16, 1), None);
    }
}
