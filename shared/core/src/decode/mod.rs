//! Bytes to text cells. Decoding never fails: a record that cannot be cut into fields is a
//! [`Defect`](crate::block::Defect).

mod csv;
mod drift;
mod header;
mod json;
mod json_text;
mod layout;
mod output;
#[cfg(test)]
mod tests;
mod text;
mod utf8;

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

pub use drift::{REJECTS_ALL, change, difference, drift};
pub(crate) use header::line_end;
pub use header::{FirstRows, Header, HeaderError, HeaderRead, header};
pub use json_text::json_fields;
pub use layout::layout;
pub(crate) use text::Unescape;

use crate::block::{Decoded, Digest, Layout, Limits, RejectCode};
use crate::pipeline::{Format, Pipeline};
use crate::split::{BOM, Index, Skipped, Splitter, Step};
use csv::CsvReader;
use json::JsonReader;
use output::{Fault, Output, Spare};
use utf8::Invalid;

/// Positions in a block are 32 bits wide and unescaped copies follow it; more bytes wait for the next call.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// What is left of a chunk. A record that starts within it is taken whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

impl Budget {
    /// No bound: the caller knows where the chunk ends.
    pub const UNLIMITED: Budget = Budget { bytes: u64::MAX, records: u64::MAX };
}

/// Decodes the blocks of one chunk in order.
#[derive(Debug)]
pub struct Decoder {
    splitter: Splitter,
    reader: Reader,
    width: usize,
    /// Hashes of the header's records.
    header: Vec<Digest>,
    index: Index,
    invalid: Invalid,
    skipping: Option<Skip>,
    spare: Spare,
}

#[derive(Debug)]
enum Reader {
    Csv(CsvReader),
    Json(JsonReader),
}

/// A record over its limit whose end was not seen yet.
struct Skip {
    hash: Box<Xxh3>,
    bytes: u64,
}

impl fmt::Debug for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skip").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for one chunk of a file whose fields meet the contract as `layout` says.
    pub fn new(pipeline: &Pipeline, layout: Arc<Layout>, limits: &Limits) -> Decoder {
        let width = layout.field_of_column.len();
        let format = &pipeline.source.format;
        Decoder {
            splitter: Splitter::new(format, layout.line_end, limits),
            header: layout.header.clone(),
            reader: match format {
                Format::Csv(dialect) => Reader::Csv(CsvReader::new(dialect, layout, limits)),
                Format::Jsonl(options) => {
                    Reader::Json(JsonReader::new(options, &pipeline.columns, limits))
                }
            },
            width,
            index: Index::default(),
            invalid: Invalid::default(),
            skipping: None,
            spare: Spare::default(),
        }
    }

    /// Decodes the complete records of `block`, which starts where the call before left off.
    ///
    /// `last`: no byte follows in this chunk's range or in the object. The caller takes the first
    /// `counts.bytes` as done and presents the rest again with more bytes behind it; when nothing was done,
    /// with at least twice as many. Four times `record_bytes_max` bytes and two more always suffice. Once the budget
    /// is used up, calls with a budget of 0 take the blank lines that still belong to the chunk, until
    /// `full` is set or the bytes end.
    pub fn decode(&mut self, mut block: Vec<u8>, last: bool, budget: Budget) -> Decoded {
        let data = block.get(..BLOCK_BYTES_MAX).unwrap_or(&block);
        let last = last && data.len() == block.len();
        let mut out = Output::new(block.len(), self.width, &mut self.spare);
        if let Some(start) = self.resume_skip(data, last, &mut out) {
            self.decode_records(data, last, budget, start, &mut out);
        }
        let Output { mut decoded, mut copies } = out;
        block.append(&mut copies);
        decoded.buffer = block;
        // A block is like the one before it; a little more keeps its vectors from growing.
        self.spare.rows = decoded.records.len() + decoded.records.len() / 16;
        self.spare.copies = copies;
        decoded
    }

    /// Takes back the vectors of a block that is no longer needed, which saves the next one fresh memory.
    /// Returns the block's own buffer, empty, to be filled again.
    pub fn recycle(&mut self, decoded: Decoded) -> Vec<u8> {
        self.spare.cells = decoded.cells;
        self.spare.records = decoded.records;
        let mut buffer = decoded.buffer;
        buffer.clear();
        buffer
    }

    /// Goes on with a record over its limit; the position behind it, or `None` when it still goes on.
    fn resume_skip(&mut self, data: &[u8], last: bool, out: &mut Output) -> Option<usize> {
        let Some(mut skip) = self.skipping.take() else {
            return Some(0);
        };
        match self.splitter.skip_line(data, last) {
            Skipped::Ended { end, next } => {
                skip.hash.update(data.get(..end).unwrap_or(&[]));
                out.decoded.source_digest.add(skip.hash.digest128());
                let record = out.next_record(0, end);
                out.defect(record, RejectCode::TooLarge.into(), skip.bytes);
                out.decoded.counts.bytes = next as u64;
                Some(next)
            }
            Skipped::Open { used } => {
                skip.hash.update(data.get(..used).unwrap_or(&[]));
                skip.bytes += used as u64;
                self.skipping = Some(skip);
                out.decoded.counts.bytes = used as u64;
                None
            }
        }
    }

    fn decode_records(
        &mut self,
        data: &[u8],
        last: bool,
        budget: Budget,
        start: usize,
        out: &mut Output,
    ) {
        self.splitter.fill(&mut self.index, data);
        self.invalid.find(data, start);
        let mut cursor = self.index.cursor(start);
        let mut at = start;
        while at < data.len() {
            let spent = at as u64 >= budget.bytes || out.decoded.counts.records >= budget.records;
            let step = match &mut self.reader {
                Reader::Csv(reader) => {
                    reader.begin();
                    self.splitter.step(data, last, &mut cursor, at, |field| reader.field(field))
                }
                Reader::Json(_) => self.splitter.step(data, last, &mut cursor, at, |_| {}),
            };
            match step {
                Step::Blank { next } => {
                    out.decoded.counts.blank_lines += 1;
                    at = next;
                }
                Step::Record { .. } | Step::TooLong if spent => {
                    out.decoded.full = true;
                    break;
                }
                Step::Record { end, next, bad } => {
                    let bytes = data.get(at..end).unwrap_or(&[]);
                    let record = out.next_record(at, end);
                    let hash = xxh3_128(bytes);
                    out.decoded.source_digest.add(hash);
                    let invalid = self.invalid.within(at, end);
                    let bad = if self.is_header(bytes, hash) {
                        Some(RejectCode::RepeatedHeader)
                    } else {
                        bad
                    };
                    match self.reader.row(data, bytes, bad, invalid, out) {
                        Ok(()) => out.decoded.records.push(record),
                        Err(fault) => out.defect(record, fault, 0),
                    }
                    at = next;
                }
                Step::TooLong => {
                    let end = self.splitter.certain(data);
                    let bytes = data.get(at..end).unwrap_or(&[]);
                    let mut hash = Box::new(Xxh3::new());
                    hash.update(bytes);
                    self.skipping = Some(Skip { hash, bytes: bytes.len() as u64 });
                    at = end;
                    break;
                }
                Step::More => {
                    out.decoded.full = spent && !self.splitter.may_be_blank(data, at);
                    break;
                }
            }
        }
        out.decoded.counts.bytes = at as u64;
    }
}

impl Decoder {
    /// Whether a record is the header once more; the files that were joined may each begin with a mark.
    #[inline]
    fn is_header(&self, record: &[u8], hash: u128) -> bool {
        if self.header.is_empty() {
            return false;
        }
        let hash = record.strip_prefix(BOM).map_or(hash, xxh3_128);
        self.header.contains(&Digest(hash))
    }
}

impl Reader {
    /// Appends one row of cells. The order of the checks is the order in which a record's faults count.
    #[inline]
    fn row(
        &mut self,
        data: &[u8],
        bytes: &[u8],
        bad: Option<RejectCode>,
        invalid: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        match bad {
            Some(RejectCode::TooLarge) => return Err(RejectCode::TooLarge.into()),
            _ if invalid => return Err(RejectCode::Encoding.into()),
            Some(code) => return Err(code.into()),
            None => {}
        }
        match self {
            Reader::Csv(reader) => reader.row(data, bytes.len(), out),
            Reader::Json(reader) => reader.row(data, bytes, out),
        }
    }
}
