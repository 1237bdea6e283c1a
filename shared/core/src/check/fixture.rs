//! Pipelines and decoded blocks for tests.

use crate::block::{Cell, Decoded, Layout, Record};
use crate::pipeline::{
    ArchivePolicy, ArchiveRaw, Column, ColumnSource, ColumnType, CsvDialect, ErrorPolicy, Format,
    OnEmpty, OnMissingColumn, OnNewColumn, ParquetSink, Pipeline, Reading, Replaces, Sink, Source,
};

/// A required column without rules.
pub(crate) fn column(name: &str, data_type: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        data_type,
        from: ColumnSource::Field(vec![name.to_owned()]),
        key: false,
        nullable: false,
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

/// A CSV pipeline in UTC with these columns and an unpartitioned sink.
pub(crate) fn pipeline(columns: Vec<Column>) -> Pipeline {
    let dialect = CsvDialect::default();
    Pipeline {
        name: "orders".to_owned(),
        source: Source {
            pattern: "incoming/*.csv".to_owned(),
            replaces: Replaces::Key,
            format: Format::Csv(dialect),
            encoding: "utf-8".to_owned(),
            timezone: Some("UTC".to_owned()),
            on_new_column: OnNewColumn::Ignore,
            on_missing_column: OnMissingColumn::Hold,
            empty: OnEmpty::Hold,
        },
        columns,
        sink: Sink::Parquet(ParquetSink::new("curated/orders")),
        errors: ErrorPolicy { hold_if: None, archive_raw: ArchiveRaw::Full },
    }
}

/// Fields in contract order.
pub(crate) fn layout(width: usize) -> Layout {
    Layout {
        line_end: crate::block::LineEnd::Any,
        header: vec![],
        doubts: vec![],
        fields: width,
        field_of_column: (0..width).map(Some).collect(),
        new_columns: vec![],
        missing_columns: vec![],
    }
}

/// A block of records without line breaks inside; `"` opens and closes, `""` is one quote.
pub(crate) fn decoded(lines: &[&str]) -> Decoded {
    let mut decoded = Decoded { buffer: lines.join("\n").into_bytes(), ..Decoded::default() };
    decoded.block_len = decoded.buffer.len();
    let mut start = 0;
    for (ordinal, line) in (0u32..).zip(lines) {
        let end = start + u32::try_from(line.len()).unwrap();
        decoded.records.push(Record { start, end, ordinal });
        let cells = split(line, start, &mut decoded.buffer);
        decoded.width = cells.len();
        decoded.cells.extend(cells);
        start = end + 1;
    }
    decoded
}

fn split(line: &str, line_start: u32, buffer: &mut Vec<u8>) -> Vec<Cell> {
    let length = |length: usize| u32::try_from(length).unwrap();
    let line = line.as_bytes();
    let mut cells = Vec::new();
    let mut at = 0;
    loop {
        let start = line_start + length(at);
        if line.get(at) == Some(&b'"') {
            let mut text = Vec::new();
            let mut end = at + 1;
            while line[end] != b'"' || line.get(end + 1) == Some(&b'"') {
                text.push(line[end]);
                end += if line[end] == b'"' { 2 } else { 1 };
            }
            let copied = text.len() < end - at - 1;
            let place = if copied { length(buffer.len()) } else { start + 1 };
            cells.push(Cell::new(place, length(text.len()), true));
            if copied {
                buffer.extend_from_slice(&text);
            }
            at = end + 1;
        } else {
            let rest = &line[at..];
            let len = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            cells.push(Cell::new(start, length(len), false));
            at += len;
        }
        if at >= line.len() {
            return cells;
        }
        at += 1;
    }
}
