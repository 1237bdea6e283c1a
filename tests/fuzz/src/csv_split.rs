//! The planner finds the same chunks however the bytes reach it, and they tile the object.

use rowproof_core::block::{Limits, LineEnd};
use rowproof_core::pipeline::Format;
use rowproof_core::plan::PlannedChunk;
use rowproof_core::split::ChunkScanner;

use super::shape::Shape;

/// See the module.
pub fn check(data: &[u8]) {
    let mut shape = Shape(data);
    let format = Format::Csv(shape.dialect());
    let (chunk_bytes, chunk_rows) = (shape.number(100), shape.number(9));
    let limits = Limits { chunk_bytes, chunk_rows, ..shape.limits() };
    let piece = shape.size(100);
    let line_end = shape.choice(&[LineEnd::Any, LineEnd::Lf]);
    let start = shape.number(3);
    let file = shape.0;

    let whole = scan((&format, line_end), &limits, start, file, file.len().max(1));
    assert_eq!(
        scan((&format, line_end), &limits, start, file, piece),
        whole,
        "pieces of {piece} bytes"
    );

    let (mut at, mut row) = (start, 0);
    for chunk in &whole {
        assert_eq!((chunk.start, chunk.first_row), (at, row), "the chunks tile the object");
        assert!(chunk.end > chunk.start && chunk.rows <= chunk_rows.max(1));
        (at, row) = (chunk.end, row + chunk.rows);
    }
    assert_eq!(at, start + file.len() as u64, "the last chunk ends where the object does");
}

fn scan(
    (format, line_end): (&Format, LineEnd),
    limits: &Limits,
    start: u64,
    file: &[u8],
    piece: usize,
) -> Vec<PlannedChunk> {
    let mut scanner = ChunkScanner::new(format, line_end, limits, start);
    let mut found = Vec::new();
    for piece in file.chunks(piece) {
        scanner.push(piece);
        found.append(&mut scanner.take());
    }
    scanner.finish();
    found.append(&mut scanner.take());
    found
}
