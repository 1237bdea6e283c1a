//! Chunk ranges of an object that can be read from any record start.

use super::bad::Skipped;
use super::index::Index;
use super::walk::{Splitter, Step};
use crate::block::{Limits, LineEnd};
use crate::pipeline::Format;
use crate::plan::PlannedChunk;

/// Least number of bytes tried at once when a record spans pieces.
const TRY_BYTES_MIN: usize = 4 << 10;

/// Finds the chunk ranges of one object from its bytes in order, in pieces of any size.
///
/// Memory is bound by one piece and one record. The time is linear in the bytes.
#[derive(Debug)]
pub struct ChunkScanner {
    splitter: Splitter,
    index: Index,
    chunk_bytes: u64,
    chunk_rows: u64,
    /// Undecided bytes; the first one stands at `position`.
    pending: Vec<u8>,
    /// `pending` is not tried again before it has this many bytes.
    retry_at: usize,
    position: u64,
    skipping: bool,
    open: PlannedChunk,
    ready: Vec<PlannedChunk>,
}

impl ChunkScanner {
    /// Starts at the first record, which stands at `start_byte` of the object.
    pub fn new(
        format: &Format,
        line_end: LineEnd,
        limits: &Limits,
        start_byte: u64,
    ) -> ChunkScanner {
        ChunkScanner {
            splitter: Splitter::records_only(format, line_end, limits),
            index: Index::default(),
            chunk_bytes: limits.chunk_bytes.max(1),
            chunk_rows: limits.chunk_rows.max(1),
            pending: Vec::new(),
            retry_at: 0,
            position: start_byte,
            skipping: false,
            open: PlannedChunk { start: start_byte, end: start_byte, first_row: 0, rows: 0 },
            ready: Vec::new(),
        }
    }

    /// Takes the next bytes of the object.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !self.pending.is_empty() {
            // Twice as many bytes a try keep a record in many pieces linear.
            let wanted = self.retry_at.saturating_sub(self.pending.len());
            let room = self.pending.len().max(TRY_BYTES_MIN).max(wanted);
            let (head, rest) = bytes.split_at(bytes.len().min(room));
            let before = self.pending.len();
            self.pending.extend_from_slice(head);
            if self.pending.len() < self.retry_at || head.is_empty() {
                return;
            }
            let mut data = std::mem::take(&mut self.pending);
            let used = self.scan(&data, false);
            match used.checked_sub(before) {
                Some(used_of_head) => {
                    bytes = bytes.get(used_of_head..).unwrap_or(&[]);
                    data.clear();
                    self.retry_at = 0;
                }
                None => {
                    data.drain(..used);
                    bytes = rest;
                    let again = data.len().saturating_mul(2);
                    self.retry_at = again.min(self.splitter.reach().saturating_add(TRY_BYTES_MIN));
                }
            }
            self.pending = data;
        }
        let used = self.scan(bytes, false);
        self.pending.extend_from_slice(bytes.get(used..).unwrap_or(&[]));
    }

    /// Ends the object.
    pub fn finish(&mut self) {
        let data = std::mem::take(&mut self.pending);
        self.scan(&data, true);
        if self.position > self.open.start {
            self.cut(self.position);
        }
    }

    /// The ranges that are complete and were not taken yet. They tile the object without a gap.
    pub fn take(&mut self) -> Vec<PlannedChunk> {
        std::mem::take(&mut self.ready)
    }

    /// Records seen so far.
    pub fn rows(&self) -> u64 {
        self.open.first_row + self.open.rows
    }

    /// Steps over what is decided and returns its length.
    fn scan(&mut self, data: &[u8], last: bool) -> usize {
        let mut at = 0;
        if self.skipping {
            match self.splitter.skip_line(data, last) {
                Skipped::Ended { next, .. } => {
                    self.skipping = false;
                    at = next;
                }
                Skipped::Open { used } => {
                    self.position += used as u64;
                    return used;
                }
            }
        }
        self.splitter.fill(&mut self.index, data);
        let index = std::mem::take(&mut self.index);
        let mut cursor = index.cursor(at);
        while at < data.len() {
            let start = self.position + at as u64;
            match self.splitter.step(data, last, &mut cursor, at, |_| {}) {
                Step::Blank { next } => at = next,
                Step::Record { next, .. } => {
                    self.count_record(start);
                    at = next;
                }
                Step::TooLong => {
                    self.count_record(start);
                    self.skipping = true;
                    at = data.len();
                }
                Step::More => break,
            }
        }
        self.index = index;
        self.position += at as u64;
        at
    }

    fn count_record(&mut self, start: u64) {
        if start - self.open.start >= self.chunk_bytes || self.open.rows >= self.chunk_rows {
            self.cut(start);
        }
        self.open.rows += 1;
    }

    fn cut(&mut self, end: u64) {
        self.ready.push(PlannedChunk { end, ..self.open });
        self.open = PlannedChunk { start: end, end, first_row: self.rows(), rows: 0 };
    }
}
