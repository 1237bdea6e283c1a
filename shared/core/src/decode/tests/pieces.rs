//! Chunk and block sizes never change the result.

use proptest::prelude::*;

use super::*;
use crate::plan::PlannedChunk;
use crate::split::ChunkScanner;

/// Sizes that cut an object up.
#[derive(Debug, Clone)]
struct Cuts {
    block: usize,
    piece: usize,
    chunk_bytes: u64,
    chunk_rows: u64,
    record_bytes_max: usize,
    field_bytes_max: usize,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let window = prop_oneof![2 => Just(1000_usize), 1 => 1_usize..30];
    (1_usize..40, 1_usize..40, 1_u64..60, 1_u64..6, window, 1_usize..40).prop_map(
        |(block, piece, chunk_bytes, chunk_rows, record_bytes_max, field_bytes_max)| Cuts {
            block,
            piece,
            chunk_bytes,
            chunk_rows,
            record_bytes_max,
            field_bytes_max,
        },
    )
}

fn limits(cuts: &Cuts) -> Limits {
    Limits {
        chunk_bytes: cuts.chunk_bytes,
        chunk_rows: cuts.chunk_rows,
        record_bytes_max: cuts.record_bytes_max,
        field_bytes_max: cuts.field_bytes_max,
        ..Limits::default()
    }
}

/// Strings over the bytes that matter.
fn soup(parts: &'static [&'static [u8]], max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(parts), 0..max).prop_map(|parts| parts.concat())
}

const CSV: &[&[u8]] = &[
    b",",
    b",",
    b",",
    b"\"",
    b"\"",
    b",\"",
    b"\",",
    b"\"\"",
    b"\r",
    b"\n",
    b"\n",
    b"\r\n",
    b"a",
    b"b",
    b"\\",
    b"\\\"",
    b" ",
    "é".as_bytes(),
    "€".as_bytes(),
    b"\xFF",
    b"long text",
    b"a,b\n",
    b"=\"",
    b"\xEF\xBB\xBF",
    b"\\\n",
    b"\\,",
    b"aa",
    b",,",
    b",b",
    b"\n\n",
];

const JSON: &[&[u8]] = &[
    b"{\"a\":1,\"b\":\"x\"}",
    b"{\"a\":\"q\\\"\\n\"}",
    b"{\"b\":null,\"c\":[1]}",
    b"{}",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\t",
    b"\xEF\xBB\xBF",
    b"{\"a\":{}}",
    b"{\"a\":1,\"a\":2}",
    b"x",
    "{\"a\":\"é\"}".as_bytes(),
    b"\xFF",
    b"{\"a\":\"long long text\"}",
    b"\"",
    b"{",
    b"}",
];

const TEXT: &[&[u8]] = &[b"a", b",", b"\"", b"\r\n", b"\n", b"\r", "é".as_bytes(), b"x y"];

fn dialect() -> impl Strategy<Value = CsvDialect> {
    let quote = prop_oneof![9 => Just(Some(b'"')), 1 => Just(None)];
    let escape = prop_oneof![2 => Just(None), 1 => Just(Some(b'\\'))];
    let escapes = prop::sample::select(vec![Escapes::Quotes, Escapes::Text]);
    let ragged = prop::sample::select(vec![Ragged::Reject, Ragged::Pad, Ragged::Lenient]);
    let rest = prop_oneof![3 => Just(""), 1 => Just(","), 1 => Just("b")];
    let blank_lines = prop_oneof![3 => Just(BlankLines::Skip), 1 => Just(BlankLines::Null)];
    let comment = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["aa".to_owned(), " ".to_owned()])];
    let flags = (any::<bool>(), any::<bool>());
    (quote, escape, escapes, ragged, rest, blank_lines, comment, flags).prop_map(
        |(quote, escape, escapes, ragged, rest, blank_lines, comment, flags)| CsvDialect {
            quote,
            escape,
            escapes,
            ragged,
            delimiter_rest: rest.to_owned(),
            blank_lines,
            comment,
            trailing_delimiter: flags.0,
            formula_text: flags.1,
            null: vec![],
            ..csv()
        },
    )
}

fn scan(pipeline: &Pipeline, limits: &Limits, data: &[u8], piece: usize) -> Vec<PlannedChunk> {
    let format = &pipeline.source.format;
    let mut scanner = ChunkScanner::new(format, line_end(pipeline), limits, 0);
    let mut ranges = Vec::new();
    for piece in data.chunks(piece) {
        scanner.push(piece);
        ranges.append(&mut scanner.take());
    }
    scanner.finish();
    ranges.append(&mut scanner.take());
    ranges
}

/// Reads every range with a decoder of its own.
fn read_ranges(
    pipeline: &Pipeline,
    limits: &Limits,
    data: &[u8],
    ranges: &[PlannedChunk],
    block: usize,
) -> Read {
    let mut all = Read::default();
    for range in ranges {
        assert_eq!(range.first_row, all.items.len() as u64);
        let bytes = range.start as usize..range.end as usize;
        read(&mut decoder(pipeline, limits), data, bytes, block, Budget::UNLIMITED, &mut all);
        assert_eq!(range.first_row + range.rows, all.items.len() as u64);
    }
    all
}

/// Reads the object as a chain, where each chunk starts where the one before it ended.
fn read_chain(
    pipeline: &Pipeline,
    limits: &Limits,
    data: &[u8],
    block: usize,
) -> (Read, Vec<usize>) {
    let (mut all, mut ends, mut at) = (Read::default(), Vec::new(), 0);
    while at < data.len() {
        let budget = Budget { bytes: limits.chunk_bytes, records: limits.chunk_rows };
        let range = at..data.len();
        at = read(&mut decoder(pipeline, limits), data, range, block, budget, &mut all);
        ends.push(at);
    }
    (all, ends)
}

fn check_cuts(pipeline: &Pipeline, cuts: &Cuts, data: &[u8], expected: &Read) {
    let limits = limits(cuts);
    let ranges = scan(pipeline, &limits, data, cuts.piece);
    assert_eq!(ranges, scan(pipeline, &limits, data, data.len().max(1)), "pieces");
    let mut end = 0;
    for range in &ranges {
        assert_eq!(range.start, end);
        assert!(range.end > range.start && range.rows <= limits.chunk_rows);
        end = range.end;
    }
    assert_eq!(end, data.len() as u64);

    assert_eq!(&read_ranges(pipeline, &limits, data, &ranges, cuts.block), expected, "ranges");
    let (chain, ends) = read_chain(pipeline, &limits, data, cuts.block);
    assert_eq!(&chain, expected, "chain");
    assert_eq!(ends, ranges.iter().map(|range| range.end as usize).collect::<Vec<_>>());

    let mut blocks = Read::default();
    let mut decoder = decoder(pipeline, &limits);
    read(&mut decoder, data, 0..data.len(), cuts.block, Budget::UNLIMITED, &mut blocks);
    assert_eq!(&blocks, expected, "blocks");
}

#[test]
fn a_long_record_in_tiny_pieces_stays_linear() {
    // Trying the open quote again at every byte would take minutes.
    let data = format!("1,\"{}\n2,b\n", "x\n".repeat(1_000_000));
    let feed = csv_feed(csv(), 2);
    let ranges = scan(&feed, &Limits::default(), data.as_bytes(), 1);
    assert_eq!(ranges.iter().map(|range| range.rows).sum::<u64>(), 1_000_001);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_csv_reads_the_same_however_it_is_cut(
        data in soup(CSV, 30), dialect in dialect(), cuts in cuts(), width in 1_usize..4,
        lf in any::<bool>(),
    ) {
        let mut pipeline = csv_feed(dialect.clone(), width);
        pipeline.name = if lf { "lf" } else { "any" }.to_owned();
        let whole = read_all(&pipeline, &limits(&cuts), &data);
        let expected = reference::read(&dialect, line_end(&pipeline), &limits(&cuts), &data, width);
        prop_assert_eq!(&whole, &expected);
        check_cuts(&pipeline, &cuts, &data, &whole);
    }

    #[test]
    fn any_jsonl_reads_the_same_however_it_is_cut(
        data in soup(JSON, 12), cuts in cuts(), lf in any::<bool>(),
    ) {
        let mut pipeline = pipeline(jsonl(), vec![field("a"), field("b"), field("c")]);
        pipeline.name = if lf { "lf" } else { "any" }.to_owned();
        let whole = read_all(&pipeline, &limits(&cuts), &data);
        check_cuts(&pipeline, &cuts, &data, &whole);
    }

    #[test]
    fn well_formed_csv_comes_back_as_it_was_written(
        rows in prop::collection::vec(
            prop::collection::vec(soup(TEXT, 5), 3),
            1..8,
        ),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        closed in any::<bool>(),
        mut cuts in cuts(),
    ) {
        cuts.record_bytes_max = 1000;
        cuts.field_bytes_max = 1000;
        let mut data = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let quote = |text: &Vec<u8>| {
                let text = String::from_utf8(text.clone()).unwrap();
                format!("\"{}\"", text.replace('"', "\"\""))
            };
            data.extend(row.iter().map(quote).collect::<Vec<_>>().join(",").bytes());
            if closed || at + 1 < rows.len() {
                data.extend(end.bytes());
            }
        }
        let pipeline = csv_feed(csv(), 3);
        let whole = read_all(&pipeline, &limits(&cuts), &data);
        let texts: Vec<Vec<Vec<u8>>> = whole.items.iter().map(|item| {
            let cells = item.result.clone().unwrap();
            cells.into_iter().map(|cell| cell.unwrap().0.into_bytes()).collect()
        }).collect();
        prop_assert_eq!(texts, rows);
        check_cuts(&pipeline, &cuts, &data, &whole);
    }
}
