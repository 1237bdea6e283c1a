//! What the decoder and the chunk scanner promise together.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod csv_rules;
mod header_rules;
mod json_rules;
mod pieces;
mod reference;

use std::sync::Arc;

use super::{Budget, Decoder, Header, layout};
use crate::block::{Digest, Limits, LineEnd, RejectCode, Repairs};
use crate::pipeline::*;

/// The cells of a good row, or the defect with its fields found and its column.
type Outcome = Result<Vec<Option<(String, bool)>>, (RejectCode, Option<u32>, Option<u32>)>;

/// One record as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    row: u64,
    start: u64,
    end: u64,
    result: Outcome,
}

/// Everything that decoding an object yields.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    items: Vec<Item>,
    blank_lines: u64,
    digest: Digest,
    bytes: u64,
}

fn csv() -> CsvDialect {
    CsvDialect::default()
}

fn jsonl() -> Format {
    Format::Jsonl(JsonlOptions::default())
}

fn column(name: &str, from: ColumnSource) -> Column {
    Column {
        name: name.to_owned(),
        data_type: ColumnType::String,
        from,
        key: false,
        nullable: true,
        default: None,
        trim: false,
        pattern: None,
        one_of: None,
        min: None,
        max: None,
        min_length: None,
        max_length: None,
        archive: ArchivePolicy::Full,
        reading: Reading::default(),
    }
}

fn field(name: &str) -> Column {
    column(name, ColumnSource::Field(vec![name.to_owned()]))
}

fn pipeline(format: Format, columns: Vec<Column>) -> Pipeline {
    Pipeline {
        name: "test".to_owned(),
        source: Source {
            pattern: "in/*".to_owned(),
            replaces: Replaces::Key,
            format,
            encoding: "utf-8".to_owned(),
            timezone: None,
            on_new_column: OnNewColumn::Ignore,
            on_missing_column: OnMissingColumn::Hold,
            empty: OnEmpty::Hold,
        },
        columns,
        sink: Sink::Parquet(ParquetSink::new("out")),
        errors: ErrorPolicy { hold_if: None, archive_raw: ArchiveRaw::Full },
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A header with these names.
fn named(names: &[String]) -> Header {
    Header { names: Some(names.to_vec()), ..Header::default() }
}

/// Lines of a feed that is called `lf` end with LF alone.
fn line_end(pipeline: &Pipeline) -> LineEnd {
    if pipeline.name == "lf" { LineEnd::Lf } else { LineEnd::Any }
}

/// A CSV feed whose file has exactly the contract's columns `a`, `b`, ...
fn csv_feed(dialect: CsvDialect, columns: usize) -> Pipeline {
    let columns = ["a", "b", "c", "d"].iter().take(columns).map(|name| field(name)).collect();
    pipeline(Format::Csv(dialect), columns)
}

fn decoder(pipeline: &Pipeline, limits: &Limits) -> Decoder {
    let names: Vec<String> = pipeline.columns.iter().map(|column| column.name.clone()).collect();
    let header = Header { line_end: line_end(pipeline), ..named(&names) };
    Decoder::new(pipeline, Arc::new(layout(pipeline, &header)), limits)
}

/// Decodes `data[range]` in blocks of `block` bytes, each grown until it yields something. Stops at the end
/// of the range or when the budget is spent.
fn read(
    decoder: &mut Decoder,
    data: &[u8],
    range: std::ops::Range<usize>,
    block: usize,
    mut budget: Budget,
    read: &mut Read,
) -> usize {
    let (mut at, mut have) = (range.start, block);
    while at < range.end {
        let to = range.end.min(at + have);
        let last = to == range.end;
        let out = decoder.decode(data[at..to].to_vec(), last, budget);
        let first_row = read.items.len() as u64;
        let mut items: Vec<Item> = Vec::new();
        for (record, cells) in out.records.iter().zip(out.cells.chunks(out.width)) {
            let text = |cell: &crate::block::Cell| {
                let text = String::from_utf8(cell.text(&out.buffer).to_vec()).unwrap();
                (!cell.is_null()).then_some((text, cell.is_quoted()))
            };
            items.push(Item {
                row: first_row + u64::from(record.ordinal),
                start: at as u64 + u64::from(record.start),
                end: at as u64 + u64::from(record.end),
                result: Ok(cells.iter().map(text).collect()),
            });
        }
        for defect in &out.defects {
            items.push(Item {
                row: first_row + u64::from(defect.record.ordinal),
                start: at as u64 + u64::from(defect.record.start) - defect.earlier,
                end: at as u64 + u64::from(defect.record.end),
                result: Err((defect.code, defect.fields_found, defect.column)),
            });
        }
        items.sort_by_key(|item| item.row);
        assert_eq!(items.len() as u64, out.counts.records);
        assert_eq!(out.cells.len(), out.records.len() * out.width);
        read.items.extend(items);
        read.blank_lines += out.counts.blank_lines;
        read.digest += out.source_digest;
        read.bytes += out.counts.bytes;
        budget.bytes = budget.bytes.saturating_sub(out.counts.bytes);
        budget.records = budget.records.saturating_sub(out.counts.records);
        at += out.counts.bytes as usize;
        let full = out.full;
        let used = out.counts.bytes;
        assert!(decoder.recycle(out).is_empty());
        if full {
            break;
        }
        assert!(!last || at == range.end, "the last block is used up");
        have = if used == 0 { have * 2 } else { block };
    }
    at
}

/// Decodes a whole object at once.
fn read_all(pipeline: &Pipeline, limits: &Limits, data: &[u8]) -> Read {
    let mut all = Read::default();
    let mut decoder = decoder(pipeline, limits);
    read(&mut decoder, data, 0..data.len(), data.len().max(1), Budget::UNLIMITED, &mut all);
    all
}

/// The texts of good rows and the codes of bad ones, joined for short comparisons.
fn shown(read: &Read) -> Vec<String> {
    let cell = |cell: &Option<(String, bool)>| match cell {
        Some((text, _)) => text.clone(),
        None => "NULL".to_owned(),
    };
    let row = |item: &Item| match &item.result {
        Ok(cells) => cells.iter().map(cell).collect::<Vec<_>>().join("|"),
        Err((code, ..)) => format!("!{code}"),
    };
    read.items.iter().map(row).collect()
}
