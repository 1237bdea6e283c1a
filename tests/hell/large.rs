//! Sizes that no memory holds: what is kept is bounded whatever the file does.

use rowproof_core::block::{Limits, LineEnd, RejectCode};
use rowproof_core::decode::{Budget, Decoder, Header, layout};
use rowproof_core::split::ChunkScanner;

use crate::fuzz::reading::Feed;
use crate::table::{ID_TEXT, csv, gives, jsonl, with_limits};

#[test]
fn a_record_or_field_over_its_limit_is_rejected_alone() {
    let feed = with_limits(csv("", ID_TEXT), 20, 10);
    for (what, row) in [
        ("a long field", "2,12345678901"),
        ("a long row", "2,b,c,d,e,f,g,h,i,j,k"),
        ("a long quoted field", "2,\"12345678901\""),
        (
            "much longer",
            "2,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        ("and no UTF-8", "2,éééééééééééééé"),
    ] {
        let file = format!("id,t\n1,a\n{row}\n3,c\n");
        let rejected = format!("!too_large@9..{}", 9 + row.len());
        gives(&feed, what, file.as_bytes(), &["1|a", &rejected, "3|c"]);
    }
    let open = "id,t\n1,\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n2,b\n";
    gives(&feed, "a quoted field without an end", open.as_bytes(), &["!too_large@5..41", "2|b"]);
    let last = "id,t\n1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    gives(&feed, "the last one", last.as_bytes(), &["!too_large@5..44"]);
}

/// Feeds `pieces` pieces to decoder and planner: records, blank lines, and the most bytes held at once.
fn stream(feed: &Feed, piece: &[u8], pieces: usize) -> (u64, u64, usize, Vec<RejectCode>) {
    let limits = Limits { chunk_bytes: u64::MAX, chunk_rows: u64::MAX, ..feed.limits.clone() };
    let mut scanner = ChunkScanner::new(&feed.pipeline.source.format, LineEnd::Lf, &limits, 0);
    let layout = std::sync::Arc::new(layout(
        &feed.pipeline,
        &Header { line_end: LineEnd::Lf, ..Header::default() },
    ));
    let mut decoder = Decoder::new(&feed.pipeline, layout, &limits);
    let (mut records, mut blank_lines, mut held, mut codes) = (0, 0, 0, Vec::new());
    let mut block = Vec::new();
    for number in 1..=pieces {
        scanner.push(piece);
        block.extend_from_slice(piece);
        held = held.max(block.len());
        let decoded = decoder.decode(block, number == pieces, Budget::UNLIMITED);
        records += decoded.counts.records;
        blank_lines += decoded.counts.blank_lines;
        codes.extend(decoded.defects.iter().map(|defect| defect.code));
        let used = decoded.counts.bytes as usize;
        block = decoded.buffer[used..decoded.block_len].to_vec();
    }
    scanner.finish();
    let planned: u64 = scanner.take().iter().map(|chunk| chunk.rows).sum();
    assert_eq!(planned, records, "planner and decoder count alike");
    (records, blank_lines, held, codes)
}

#[test]
fn a_row_without_an_end_is_never_held() {
    let piece = vec![b'x'; 256 << 10];
    for feed in [csv("csv = { header = false }", ID_TEXT), jsonl("", ID_TEXT)] {
        let feed = with_limits(feed, 1 << 20, 1 << 19);
        let (records, _, held, codes) = stream(&feed, &piece, 2_000);
        assert_eq!((records, codes), (1, vec![RejectCode::TooLarge]), "500 MiB in one row");
        assert!(held <= (1 << 20) + 2 * piece.len(), "{held} bytes were held");
    }
}

#[test]
fn quotes_that_nothing_closes_are_never_held() {
    let feed = with_limits(csv("csv = { header = false }", ID_TEXT), 1 << 16, 1 << 16);
    let piece = [b"1,\"".as_slice(), &vec![b'x'; 1 << 20]].concat();
    let (records, _, held, codes) = stream(&feed, &piece, 50);
    assert_eq!((records, codes), (1, vec![RejectCode::TooLarge]));
    assert!(held <= 2 * piece.len(), "{held} bytes were held");
    let lines = "1,\"a\n".repeat(50_000);
    let (records, _, held, codes) = stream(&feed, lines.as_bytes(), 20);
    assert_eq!(records, 1_000_000);
    assert!(codes.iter().all(|code| *code == RejectCode::UnterminatedQuote));
    assert!(held <= 2 * lines.len() + (1 << 16), "{held} bytes were held");
}

#[test]
fn a_hundred_million_empty_rows_are_counted() {
    let piece = vec![b'\n'; 1 << 20];
    for feed in [csv("csv = { header = false }", ID_TEXT), jsonl("", ID_TEXT)] {
        let (records, blank_lines, held, _) = stream(&feed, &piece, 100);
        assert_eq!((records, blank_lines), (0, 100 << 20));
        assert_eq!(held, piece.len());
    }
    let feed = csv("csv = { header = false }", "t = { type = \"string\", nullable = true }");
    let (records, ..) = stream(&feed, "\"\"\n".repeat(100_000).as_bytes(), 20);
    assert_eq!(records, 2_000_000, "quoted, they are rows");
}
