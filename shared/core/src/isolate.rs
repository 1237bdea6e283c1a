//! A chunk that kills its workers, narrowed down to the record at fault without taking any apart.

use std::sync::Arc;

use crate::archive::ArchiveWriter;
use crate::block::{Decoded, Limits, LineEnd, Record, RejectCode, Repairs};
use crate::check::{Contract, Reject};
use crate::engine::{ChunkProduct, ChunkSetup, archive_context};
use crate::pipeline::Format;
use crate::plan::PlannedChunk;
use crate::receipt::{Counts, Reason};
use crate::sink::EngineError;
use crate::split::{ChunkScanner, Lone};

/// Where the records of a chunk are, found from its bytes in order, in pieces of any size.
#[derive(Debug)]
pub struct RecordScanner {
    scanner: ChunkScanner,
    start: u64,
    first_row: u64,
    bytes_max: u64,
    rows_max: u64,
    records: Vec<PlannedChunk>,
    full: bool,
}

impl RecordScanner {
    /// Begins at byte `start` and behind `first_row` records. With `open_end` the chunk's end is not
    /// known: it is as long as the limits for a chunk allow.
    pub fn new(
        (format, line_end): (&Format, LineEnd),
        limits: &Limits,
        start: u64,
        first_row: u64,
        open_end: bool,
    ) -> RecordScanner {
        let one = Limits { chunk_rows: 1, chunk_bytes: u64::MAX, ..limits.clone() };
        RecordScanner {
            scanner: ChunkScanner::new(format, line_end, &one, start),
            start,
            first_row,
            bytes_max: if open_end { limits.chunk_bytes } else { u64::MAX },
            rows_max: if open_end { limits.chunk_rows } else { u64::MAX },
            records: vec![],
            full: false,
        }
    }

    /// Takes the next bytes; `true` when the chunk ends before the last of them.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        self.scanner.push(bytes);
        self.take();
        self.full
    }

    /// The chunk's records, each with the blank lines behind it, and whether it ended by itself.
    pub fn finish(mut self) -> (Vec<PlannedChunk>, bool) {
        if !self.full {
            self.scanner.finish();
            self.take();
        }
        (self.records, self.full)
    }

    /// A record that starts within the limits is taken whole.
    fn take(&mut self) {
        for record in self.scanner.take() {
            let rows = self.records.len() as u64;
            let outside = record.start - self.start >= self.bytes_max || rows >= self.rows_max;
            if self.full || outside {
                self.full = true;
                return;
            }
            let first_row = self.first_row + record.first_row;
            self.records.push(PlannedChunk { first_row, ..record });
        }
    }
}

/// The two halves of a chunk with these records; `None` when there are fewer than two.
pub fn halves(records: &[PlannedChunk]) -> Option<[PlannedChunk; 2]> {
    let (first, second) = records.split_at(records.len() / 2);
    Some([joined(first)?, joined(second)?])
}

/// The range that records without a gap cover.
fn joined(records: &[PlannedChunk]) -> Option<PlannedChunk> {
    let (first, last) = (records.first()?, records.last()?);
    let rows = records.iter().map(|record| record.rows).sum();
    Some(PlannedChunk { start: first.start, end: last.end, first_row: first.first_row, rows })
}

/// What comes out of a chunk whose only record kills its workers: that record in the failure archive,
/// by its place alone.
pub fn poison(
    contract: &Arc<Contract>,
    setup: &ChunkSetup,
    range: PlannedChunk,
    lone: &Lone,
) -> Result<ChunkProduct, EngineError> {
    let length = lone.end - lone.start;
    let record = Record { start: 0, end: 0, ordinal: 0 };
    let reject = Reject {
        record,
        code: RejectCode::Poison,
        column: None,
        row: None,
        fields_found: None,
        earlier: length,
        refusal: None,
        finding: None,
    };
    let archive = |error: crate::archive::ArchiveError| EngineError::Archive(error.to_string());
    let mut writer = ArchiveWriter::new(contract, &setup.layout, archive_context(setup));
    let nothing = Decoded::default();
    writer.append(&nothing, &[reject], range.first_row + 1, lone.end).map_err(archive)?;
    Ok(ChunkProduct {
        range,
        counts: Counts { read: 1, rejected: 1, ..Counts::default() },
        blank_lines: lone.blank_lines,
        repairs: Repairs::default(),
        source_digest: lone.digest,
        loaded_digest: Default::default(),
        reasons: vec![Reason { code: RejectCode::Poison.to_string(), column: None, rows: 1 }],
        files: vec![],
        table: None,
        failures: writer.finish().map_err(archive)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::pipeline;

    const TEXT: &[u8] = b"1,a\n\n2,\"b\nb\"\n3,c\r\n4,d";

    fn records(open_end: bool, limits: &Limits, piece: usize) -> (Vec<PlannedChunk>, bool) {
        let format = pipeline(vec![]).source.format;
        let mut scanner = RecordScanner::new((&format, LineEnd::Any), limits, 100, 7, open_end);
        for piece in TEXT.chunks(piece) {
            if scanner.push(piece) {
                break;
            }
        }
        scanner.finish()
    }

    #[test]
    fn the_records_of_a_chunk_tile_it() {
        for piece in 1..=TEXT.len() {
            let (records, full) = records(false, &Limits::default(), piece);
            let places: Vec<_> = records.iter().map(|r| (r.start, r.end, r.first_row)).collect();
            assert_eq!(places, [(100, 105, 7), (105, 113, 8), (113, 118, 9), (118, 121, 10)]);
            assert!(!full && records.iter().all(|record| record.rows == 1));
        }
    }

    #[test]
    fn a_chunk_of_a_chain_ends_where_its_limits_say() {
        let by_bytes = Limits { chunk_bytes: 6, ..Limits::default() };
        let by_rows = Limits { chunk_rows: 2, ..Limits::default() };
        for piece in 1..=TEXT.len() {
            for limits in [&by_bytes, &by_rows] {
                let (records, full) = records(true, limits, piece);
                assert_eq!((records.len(), records[1].end, full), (2, 113, true), "{piece}");
            }
        }
    }

    #[test]
    fn halves_tile_a_chunk_and_hold_a_record_each() {
        let (all, _) = records(false, &Limits::default(), 100);
        for count in 2..=all.len() {
            let [first, second] = halves(&all[..count]).unwrap();
            assert_eq!((first.start, second.end), (100, all[count - 1].end));
            assert_eq!((first.end, first.first_row + first.rows), (second.start, second.first_row));
            assert_eq!(first.rows + second.rows, count as u64);
            assert!(first.rows > 0 && second.rows > 0);
        }
        assert_eq!(halves(&all[..1]), None);
    }
}
