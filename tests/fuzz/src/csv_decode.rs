//! A CSV file gives the same rows in blocks and chunks of any size, and the books agree.

use std::sync::LazyLock;

use rowproof_core::pipeline::Format;

use super::reading::{Chunks, Cuts, Feed};
use super::shape::Shape;

/// Columns of every kind that text can fail to be; files rarely have their names, so gaps are NULL.
pub const PIPELINE: &str = r#"
version = 1
name = "fuzz"
[source]
match = "in/*"
format = "csv"
timezone = "Europe/Berlin"
on_missing_column = "null"
[columns]
a = { type = "string", nullable = true, max_length = 20 }
b = { type = "int64", nullable = true, min = -5 }
c = { type = "decimal(12,2)", nullable = true, archive = "hash" }
d = { type = "timestamp", nullable = true, trim = true }
[sink.parquet]
path = "out"
"#;

static FEED: LazyLock<Feed> = LazyLock::new(|| Feed::parse(PIPELINE).expect("it parses"));

/// See the module.
pub fn check(data: &[u8]) {
    let mut shape = Shape(data);
    let mut pipeline = FEED.pipeline.clone();
    let width = shape.size(4);
    pipeline.columns.truncate(width);
    pipeline.source.format = Format::Csv(shape.dialect());
    let mut feed = Feed::new(pipeline);
    feed.limits = shape.limits();
    let cuts = shape.cuts();
    same_however_cut(&feed, shape.0, &cuts);
}

/// Whole, cut up, and as the engine writes it. Writing files costs many times the reading, so only inputs of
/// every fourth length are written.
pub fn same_however_cut(feed: &Feed, file: &[u8], cuts: &[Cuts]) {
    let whole = Cuts { block: file.len().max(1), chunks: Chunks::One };
    let expected = feed.read(file, whole);
    for cuts in cuts {
        match (&expected, feed.read(file, *cuts)) {
            (Ok(expected), Ok(found)) => assert_eq!(&found, expected, "{cuts:?}"),
            // A part of a header may show another of its faults first.
            (Err(_), Err(_)) => {}
            (expected, found) => panic!("{cuts:?}: {found:?}, but whole {expected:?}"),
        }
    }
    if let Ok(reading) = &expected
        && file.len().is_multiple_of(4)
    {
        feed.books_agree(file, cuts.first().map_or(64, |cuts| cuts.block), reading);
    }
}
