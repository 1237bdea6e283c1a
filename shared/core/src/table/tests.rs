use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;

use super::*;
use crate::block::{Digest, Limits};
use crate::check::fixture::{column, decoded, pipeline};
use crate::check::{Contract, RowContext, check};
use crate::digest;
use crate::pipeline::{
    AddedColumn, Column, ColumnType, DatePart, ParquetSink, PartitionBy, TimestampFormat,
};

mod bounds;
mod forms;
mod refused;

const TIMESTAMP: ColumnType = ColumnType::Timestamp { format: TimestampFormat::Rfc3339 };

fn part(part: DatePart, column: &str) -> PartitionBy {
    PartitionBy::Part { part, column: column.to_owned() }
}

fn by_column(name: &str) -> PartitionBy {
    PartitionBy::Column(name.to_owned())
}

fn origin() -> Origin {
    let text = |text: &str| text.to_owned();
    let (pipeline, pipeline_sha) = (text("orders"), text("aa"));
    Origin { pipeline, pipeline_sha, job: text("job1"), chunk: text("0"), fix: 0 }
}

struct Table {
    contract: Contract,
    sink: ParquetSink,
    batch: RecordBatch,
    digest: Digest,
}

fn table(columns: Vec<Column>, partition_by: Vec<PartitionBy>, lines: &[&str]) -> Table {
    let pipeline = pipeline(columns);
    let mut sink = pipeline.sink.parquet().unwrap().clone();
    sink.partition_by = partition_by;
    let contract = Contract::compile(&pipeline).unwrap();
    let checked = check(&contract, &RowContext::default(), &decoded(lines), 1).unwrap();
    assert_eq!(checked.rejects, []);
    Table { contract, sink, batch: checked.batch, digest: checked.loaded_digest }
}

impl Table {
    fn writer(&self, limits: &Limits) -> Result<TableWriter, TableError> {
        TableWriter::new(&self.contract, &self.sink, limits, &origin())
    }

    fn files(&self) -> Vec<TableFile> {
        let mut writer = self.writer(&Limits::default()).unwrap();
        writer.append(&self.batch).unwrap();
        writer.finish().unwrap()
    }

    /// Reads all files back and returns rows and digest.
    fn read_back(&self, files: &[TableFile]) -> (u64, Digest) {
        let mut found = (0, Digest::default());
        for file in files {
            for batch in read(Bytes::from(file.bytes.clone())).unwrap() {
                let schema = self.contract.schema();
                let batch = with_partition(&batch.unwrap(), schema, &file.partition).unwrap();
                found.0 += batch.num_rows() as u64;
                found.1 += digest::rows(self.contract.width(), &batch).unwrap();
            }
        }
        found
    }
}

fn folders(files: &[TableFile]) -> Vec<String> {
    let folder = |file: &TableFile| {
        let levels = file.partition.iter().map(|(name, value)| format!("{name}={value}"));
        levels.collect::<Vec<_>>().join("/")
    };
    files.iter().map(folder).collect()
}

fn nullable(name: &str, data_type: ColumnType) -> Column {
    let mut column = column(name, data_type);
    column.nullable = true;
    column
}

/// One column of every type, all nullable.
fn every_type() -> Vec<Column> {
    [
        ("flag", ColumnType::Bool),
        ("i8", ColumnType::Int(8)),
        ("i16", ColumnType::Int(16)),
        ("i32", ColumnType::Int(32)),
        ("i64", ColumnType::Int(64)),
        ("u8", ColumnType::UInt(8)),
        ("u16", ColumnType::UInt(16)),
        ("u32", ColumnType::UInt(32)),
        ("u64", ColumnType::UInt(64)),
        ("f32", ColumnType::Float(32)),
        ("f64", ColumnType::Float(64)),
        ("short", ColumnType::Decimal { precision: 12, scale: 2 }),
        ("long", ColumnType::Decimal { precision: 38, scale: 10 }),
        ("text", ColumnType::String),
        ("day", ColumnType::Date { format: None }),
        ("time", ColumnType::Time { format: None }),
        ("at", TIMESTAMP),
    ]
    .map(|(name, data_type)| nullable(name, data_type))
    .to_vec()
}

const EVERY_TYPE: [&str; 4] = [
    "true,-128,-32768,-1,9223372036854775807,255,65535,1,18446744073709551615,0.1,0.1,-0.05,1.5,a,\
     2026-11-23,10:11:12.000001,2026-11-23T10:11:12.5Z",
    "false,1,1,1,1,1,1,4294967295,1,-inf,nan,1,9999999999999999999999999999,\"a \"\"b\"\", c\",\
     0001-01-01,23:59:59,0001-01-01T00:00:00Z",
    "1,0,0,0,0,0,0,0,0,1e38,-0,0,-0.0000000001,\"\",9999-12-31,00:00:00,1969-12-31T23:59:59.999999Z",
    ",,,,,,,,,,,,,,,,",
];

#[test]
fn every_type_reads_back_to_the_same_digest() {
    let table = table(every_type(), vec![], &EVERY_TYPE);

    let files = table.files();

    assert_eq!((files.len(), files[0].rows), (1, 4));
    assert_eq!(table.read_back(&files), (4, table.digest));
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(files[0].bytes.clone()));
    assert_eq!(reader.unwrap().schema().fields(), table.contract.schema().fields());
}

#[test]
fn every_type_can_be_a_partition() {
    for name in every_type().iter().map(|column| column.name.clone()) {
        let table = table(every_type(), vec![by_column(&name)], &EVERY_TYPE);

        let files = table.files();

        let distinct: BTreeSet<_> = folders(&files).into_iter().collect();
        assert_eq!(distinct.len(), files.len(), "{name}");
        assert!(distinct.contains(&format!("{name}=__HIVE_DEFAULT_PARTITION__")), "{name}");
        assert_eq!(table.read_back(&files), (4, table.digest), "{name}");
        for file in &files {
            for batch in read(Bytes::from(file.bytes.clone())).unwrap() {
                assert!(batch.unwrap().column_by_name(&name).is_none(), "{name} is not repeated");
            }
        }
    }
}

#[test]
fn folder_values_are_distinct_and_safe_in_a_path() {
    let columns = vec![nullable("c", ColumnType::String), column("id", ColumnType::Int(64))];
    let values = [
        ("a b/c=d%", "a b%2Fc%3Dd%25"),
        ("\\:*?<>|", "%5C%3A%2A%3F%3C%3E%7C"),
        ("\"\"", "%22%22"),
        ("..", "%2E."),
        (".a", "%2Ea"),
        ("a.b", "a.b"),
        ("\u{1}\t\u{7f}", "%01%09%7F"),
        ("Zürich", "Zürich"),
        ("__HIVE_DEFAULT_PARTITION__", "%5F_HIVE_DEFAULT_PARTITION__"),
        ("", ""),
    ];
    let quoted: Vec<_> =
        values.iter().map(|(text, _)| format!("\"{}\",1", text.replace('"', "\"\""))).collect();
    let mut lines: Vec<_> = quoted.iter().map(String::as_str).collect();
    lines.push(",1");
    let table = table(columns, vec![by_column("c")], &lines);

    let files = table.files();

    let mut expected: Vec<_> = values.iter().map(|(_, folder)| format!("c={folder}")).collect();
    expected.push("c=__HIVE_DEFAULT_PARTITION__".to_owned());
    expected.sort();
    assert_eq!(folders(&files), expected);
    assert_eq!(table.read_back(&files), (11, table.digest));
}

#[test]
fn date_parts_name_their_folders() {
    let columns = vec![
        column("id", ColumnType::Int(64)),
        nullable("at", TIMESTAMP),
        column("day", ColumnType::Date { format: None }),
    ];
    let parts = vec![
        part(DatePart::Month, "at"),
        part(DatePart::Hour, "at"),
        part(DatePart::Year, "day"),
        part(DatePart::Day, "day"),
    ];
    let lines = [
        "1,2026-11-23T10:59:59Z,2026-01-02",
        "2,1969-12-31T23:30:00Z,0001-01-01",
        "3,2026-11-30T10:00:00Z,2026-01-02",
        "4,2026-11-23T10:00:00Z,2026-01-02",
        "5,,2026-01-02",
    ];
    let table = table(columns, parts, &lines);

    let files = table.files();

    let expected = [
        "at_month=1969-12/at_hour=1969-12-31T23/day_year=0001/day_day=0001-01-01",
        "at_month=2026-11/at_hour=2026-11-23T10/day_year=2026/day_day=2026-01-02",
        "at_month=2026-11/at_hour=2026-11-30T10/day_year=2026/day_day=2026-01-02",
        "at_month=__HIVE_DEFAULT_PARTITION__/at_hour=__HIVE_DEFAULT_PARTITION__/day_year=2026/\
         day_day=2026-01-02",
    ];
    assert_eq!(folders(&files), expected);
    assert_eq!(files.iter().map(|file| file.rows).collect::<Vec<_>>(), [1, 2, 1, 1]);
    assert_eq!(table.read_back(&files), (5, table.digest));
}

#[test]
fn days_of_a_month_share_its_file_and_keep_their_order() {
    let columns = vec![column("id", ColumnType::Int(64)), column("at", TIMESTAMP)];
    let lines: Vec<_> = (0..60)
        .map(|row| format!("{row},2026-{:02}-{:02}T00:00:00Z", 1 + row % 2, 1 + row % 28))
        .collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let table = table(columns, vec![part(DatePart::Month, "at")], &lines);

    let files = table.files();

    assert_eq!(folders(&files), ["at_month=2026-01", "at_month=2026-02"]);
    let first = read(Bytes::from(files[0].bytes.clone())).unwrap().next().unwrap().unwrap();
    let ids = first.column(0).as_primitive::<arrow_array::types::Int64Type>();
    assert_eq!(ids.values().to_vec(), (0..60).step_by(2).collect::<Vec<i64>>());
    assert_eq!(table.read_back(&files), (60, table.digest));
}

#[test]
fn partitions_that_do_not_fit_the_contract_are_refused() {
    let columns = || {
        vec![
            column("id", ColumnType::Int(64)),
            column("day", ColumnType::Date { format: None }),
            column("day_year", ColumnType::Int(64)),
        ]
    };
    for (by, message) in [
        (vec![by_column("nothing")], "no such column"),
        (vec![part(DatePart::Day, "id")], "needs a timestamp or date column"),
        (vec![part(DatePart::Hour, "day")], "needs a timestamp or date column"),
        (vec![part(DatePart::Year, "day")], "the name of another column"),
        (vec![by_column("id"), by_column("id")], "named twice"),
        (["id", "day", "day_year"].map(by_column).to_vec(), "no column is left"),
    ] {
        let table = table(columns(), by, &[]);
        let error = table.writer(&Limits::default()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

fn encodings(file: &TableFile) -> Vec<(String, Vec<Encoding>, bool)> {
    let bytes = Bytes::from(file.bytes.clone());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    let column = |column: &parquet::file::metadata::ColumnChunkMetaData| {
        let name = column.column_path().string();
        (name, column.encodings().collect(), column.statistics().is_some())
    };
    columns.iter().map(column).collect()
}

#[test]
fn each_column_is_stored_as_its_type_and_values_suggest() {
    let mut listed = column("listed", ColumnType::String);
    listed.one_of = Some((0..100).map(|value| format!("v{value}")).collect());
    let columns = vec![
        column("id", ColumnType::Int(64)),
        column("unique", ColumnType::String),
        column("repeated", ColumnType::String),
        listed,
        column("amount", ColumnType::Decimal { precision: 12, scale: 2 }),
        column("x", ColumnType::Float(64)),
    ];
    let lines: Vec<_> =
        (0..100).map(|row| format!("{row},u{row},r{},v{row},1.5,0.5", row % 5)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();

    let files = table(columns, vec![], &lines).files();

    for (name, encodings, statistics) in encodings(&files[0]) {
        let wanted = match name.as_str() {
            "id" | "amount" => Encoding::DELTA_BINARY_PACKED,
            "unique" => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            "x" => Encoding::PLAIN,
            _ => Encoding::RLE_DICTIONARY,
        };
        assert!(encodings.contains(&wanted), "{name}: {encodings:?}");
        assert_eq!(
            encodings.contains(&Encoding::RLE_DICTIONARY),
            wanted == Encoding::RLE_DICTIONARY
        );
        assert!(statistics, "{name}");
    }
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let once = table(every_type(), vec![by_column("text")], &EVERY_TYPE).files();
    let again = table(every_type(), vec![by_column("text")], &EVERY_TYPE).files();

    assert_eq!(once, again);
    assert_eq!(once[0].sha256.len(), 64);
}

#[test]
fn a_full_memory_writes_row_groups_out_and_loses_nothing() {
    let columns = vec![column("id", ColumnType::Int(64)), column("p", ColumnType::Int(64))];
    let lines: Vec<_> = (0..1000).map(|row| format!("{row},{}", row % 3)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let table = table(columns, vec![by_column("p")], &lines);
    let mut writer = table.writer(&Limits::default()).unwrap().with_memory(1);

    for first in (0..1000).step_by(100) {
        writer.append(&table.batch.slice(first, 100)).unwrap();
    }
    let files = writer.finish().unwrap();

    assert_eq!(table.read_back(&files), (1000, table.digest));
    let bytes = Bytes::from(files[0].bytes.clone());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 10);
}

#[test]
fn no_rows_make_no_file() {
    assert_eq!(table(every_type(), vec![], &[]).files(), []);
}

#[test]
fn added_columns_are_stored_after_the_contract() {
    let mut pipeline = pipeline(vec![column("id", ColumnType::Int(64))]);
    let mut sink = pipeline.sink.parquet().unwrap().clone();
    sink.add = vec![AddedColumn::SourceRow];
    pipeline.sink = crate::pipeline::Sink::Parquet(sink.clone());
    let contract = Contract::compile(&pipeline).unwrap();
    let checked = check(&contract, &RowContext::default(), &decoded(&["5"]), 9).unwrap();
    let mut writer = TableWriter::new(&contract, &sink, &Limits::default(), &origin()).unwrap();
    writer.append(&checked.batch).unwrap();

    let files = writer.finish().unwrap();

    let batch = read(Bytes::from(files[0].bytes.clone())).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.schema().fields(), contract.schema().fields());
    let digest = digest::rows(contract.width(), &batch).unwrap();
    assert_eq!(digest, checked.loaded_digest);
}

#[test]
fn a_file_without_the_contracts_columns_is_refused() {
    let narrow = table(vec![column("id", ColumnType::Int(64))], vec![], &["1"]);
    let wide = table(
        vec![column("id", ColumnType::Int(64)), column("x", ColumnType::Int(64))],
        vec![],
        &[],
    );
    let schema = wide.contract.schema();
    let folder = |value: &str| vec![("x".to_owned(), value.to_owned())];

    assert!(with_partition(&narrow.batch, schema, &[]).is_err());
    assert!(with_partition(&narrow.batch, schema, &folder("word")).is_err());
    assert!(with_partition(&narrow.batch, schema, &folder("%zz")).is_err());
    assert!(with_partition(&narrow.batch, schema, &folder("7")).is_ok());
    assert!(read(Bytes::from_static(b"no parquet")).is_err());
}
