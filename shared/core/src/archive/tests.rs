use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use bytes::Bytes;

use super::*;
use crate::block::{Defect, Record, RejectCode};
use crate::check::fixture::{column, decoded, layout, pipeline};
use crate::check::{RowContext, check};
use crate::pipeline::{
    ArchivePolicy, ArchiveRaw, Column, ColumnSource, ColumnType, Format, JsonlOptions, Pipeline,
};
use crate::table;

fn context() -> ArchiveContext {
    ArchiveContext {
        pipeline: "orders".to_owned(),
        pipeline_sha: "abc".to_owned(),
        job: "j1".to_owned(),
        chunk: "3".to_owned(),
        fix: 0,
        source_bucket: "in".to_owned(),
        source_key: "incoming/a.csv".to_owned(),
        source_version: "v1".to_owned(),
        captures: [("supplier".to_owned(), "acme".to_owned())].into(),
        created_at: 1_795_435_200_000_000,
    }
}

/// A key column `id`, a text column `email` and a decimal `amount`.
fn orders() -> Pipeline {
    let mut id = column("id", ColumnType::Int(64));
    id.key = true;
    let amount = ColumnType::Decimal { precision: 12, scale: 2 };
    let mut email = column("email", ColumnType::String);
    email.nullable = true;
    pipeline(vec![id, email, column("amount", amount)])
}

fn archive_of(pipeline: &Pipeline, block: &Decoded) -> Option<ArchiveFile> {
    let contract = Contract::compile(pipeline).unwrap();
    let checked = check(&contract, &RowContext::default(), block, 101).unwrap();
    let mut writer = ArchiveWriter::new(&contract, &layout(contract.width()), context());
    writer.append(block, &checked.rejects, 101, 5000).unwrap();
    writer.finish().unwrap()
}

fn rows_of(file: &ArchiveFile) -> RecordBatch {
    table::read(Bytes::from(file.bytes.clone())).unwrap().next().unwrap().unwrap()
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Vec<Option<&'a str>> {
    batch.column_by_name(name).unwrap().as_string::<i32>().iter().collect()
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

fn raw_data(pipeline: &Pipeline, lines: &[&str]) -> Vec<Option<String>> {
    let batch = rows_of(&archive_of(pipeline, &decoded(lines)).unwrap());
    texts(&batch, "raw_data").into_iter().map(|text| text.map(str::to_owned)).collect()
}

fn defect(block: &mut Decoded, code: RejectCode, bytes: &[u8]) {
    let start = u32::try_from(block.buffer.len()).unwrap();
    block.buffer.extend_from_slice(bytes);
    let end = u32::try_from(block.buffer.len()).unwrap();
    let ordinal = u32::try_from(block.records.len() + block.defects.len()).unwrap();
    let record = Record { start, end, ordinal };
    block.defects.push(Defect { record, code, fields_found: Some(2), column: None, earlier: 0 });
}

#[test]
fn every_reject_says_what_failed_and_where() {
    let mut block = decoded(&["1,a@b,1.5", "007,a@b,x", "y,a@b,1"]);
    defect(&mut block, RejectCode::FieldCount, b"4,a@b");
    defect(&mut block, RejectCode::FieldCount, b"5,a@b");
    block.defects[1].fields_found = Some(1);

    let file = archive_of(&orders(), &block).unwrap();

    let batch = rows_of(&file);
    let names: Vec<_> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
    let in_file: Vec<_> = COLUMNS.into_iter().filter(|name| *name != FOLDER).collect();
    assert_eq!(names, in_file, "the folder's name has the pipeline");
    assert_eq!(file.rows, 4);
    let ids = [r#"{"id":7}"#, r#"{"id":"y"}"#, "row 104", "row 105"].map(Some);
    assert_eq!(texts(&batch, "source_id"), ids);
    let errors = [
        "amount: not a decimal(12,2)",
        "id: not an int64",
        "expected 3 fields, found 2",
        "expected 3 fields, found 1",
    ];
    assert_eq!(texts(&batch, "error"), errors.map(Some));
    assert_eq!(texts(&batch, "raw_data"), ["007,a@b,x", "y,a@b,1", "4,a@b", "5,a@b"].map(Some));
    assert_eq!(
        texts(&batch, "error_code"),
        ["type", "type", "field_count", "field_count"].map(Some)
    );
    assert_eq!(texts(&batch, "column"), [Some("amount"), Some("id"), None, None]);
    assert_eq!(texts(&batch, "value"), [Some("x"), Some("y"), None, None]);
    assert_eq!(texts(&batch, "rule"), [None; 4]);
    assert_eq!(texts(&batch, "stage"), ["check", "check", "decode", "decode"].map(Some));
    assert_eq!(numbers(&batch, "row_number"), [102, 103, 104, 105]);
    assert_eq!(numbers(&batch, "byte_start"), [5010, 5020, 5027, 5032]);
    assert_eq!(numbers(&batch, "byte_end"), [5019, 5027, 5032, 5037]);
    assert_eq!(numbers(&batch, "fix"), [0; 4]);
    let timestamp = batch.column(3).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(timestamp.values(), &[1_795_435_200_000_000; 4]);
    for (name, value) in [("job", "j1"), ("chunk", "3"), ("source_version", "v1")] {
        assert_eq!(texts(&batch, name), [Some(value); 4]);
    }
    let tally = |code: &str, column: &str| file.tally[code][column];
    assert_eq!((tally("type", "amount"), tally("type", "id")), (1, 1));
    assert_eq!(tally("field_count", ""), 2);
}

#[test]
fn each_row_has_the_words_for_its_own_value() {
    let batch = rows_of(
        &archive_of(&orders(), &decoded(&["1,a,1.005", "2,a,5-", "3,a,x", "4,a, 1"])).unwrap(),
    );
    let errors = [
        "amount: not a decimal(12,2): finer than the scale",
        "amount: not a decimal(12,2): another way to write a minus (negative names it)",
        "amount: not a decimal(12,2)",
        "amount: not a decimal(12,2): blanks around it (trim = true drops them)",
    ];
    assert_eq!(texts(&batch, "error"), errors.map(Some));
}

#[test]
fn nothing_rejected_makes_no_file() {
    assert_eq!(archive_of(&orders(), &decoded(&["1,a,1"])), None);
}

#[test]
fn the_same_rejects_give_the_same_bytes() {
    let block = decoded(&["x,a,1", "2,b,y"]);

    assert_eq!(archive_of(&orders(), &block), archive_of(&orders(), &block));
}

#[test]
fn bytes_that_are_not_utf_8_can_be_restored() {
    let mut block = decoded(&["1,a,1"]);
    defect(&mut block, RejectCode::Encoding, b"2,\xFF\\x\xC3,\xC3\xA9");

    let batch = rows_of(&archive_of(&orders(), &block).unwrap());

    assert_eq!(texts(&batch, "raw_data"), [Some("2,\\xFF\\\\x\\xC3,é")]);
    assert_eq!(texts(&batch, "error"), [Some("not valid utf-8")]);
}

#[test]
fn a_huge_record_is_cut_between_characters() {
    let line = format!("1,{},x", "é".repeat(600_000));

    let raw = raw_data(&orders(), &[&line]);

    let raw = raw[0].as_deref().unwrap();
    assert_eq!(raw.len(), 1 << 20);
    assert!(raw.starts_with("1,éé"));
}

#[test]
fn masked_columns_never_show_their_values() {
    let mut pipeline = orders();
    pipeline.columns[0].archive = ArchivePolicy::Mask;
    pipeline.columns[1].archive = ArchivePolicy::Hash;
    let mut block =
        decoded(&["1,a@b,x", "\"2\",\"a \"\"q\"\", b\",x", "3,,x", "4,\"\",\"x,\"\"\""]);
    defect(&mut block, RejectCode::FieldCount, b"5,secret");

    let batch = rows_of(&archive_of(&pipeline, &block).unwrap());

    let found = texts(&batch, "raw_data");
    assert_eq!(found[0].unwrap(), format!("***,{},x", short_hash(b"a@b")));
    assert_eq!(found[1].unwrap(), format!("\"***\",\"{}\",x", short_hash(b"a \"q\", b")));
    assert_eq!(found[2], Some("***,,x"));
    assert_eq!(found[3].unwrap(), format!("***,\"{}\",\"x,\"\"\"", short_hash(b"")));
    assert_eq!(found[4], None);
    assert_eq!(texts(&batch, "source_id")[0], Some(r#"{"id":"***"}"#));
    assert_eq!(texts(&batch, "source_id")[4], Some("row 105"));
}

#[test]
fn a_masked_archive_shows_no_value_and_a_pointer_archive_no_record() {
    let mut pipeline = orders();
    pipeline.errors.archive_raw = ArchiveRaw::Masked;
    let block = decoded(&["1,a@b,x", "\"2\",,\"y\"\"\""]);
    let batch = rows_of(&archive_of(&pipeline, &block).unwrap());
    assert_eq!(texts(&batch, "raw_data"), [Some("***,***,***"), Some("\"***\",,\"***\"")]);
    assert_eq!(texts(&batch, "source_id"), [Some("row 101"), Some("row 102")]);

    pipeline.errors.archive_raw = ArchiveRaw::Pointer;
    let batch = rows_of(&archive_of(&pipeline, &block).unwrap());
    assert_eq!(texts(&batch, "raw_data"), [None, None]);
    assert_eq!(texts(&batch, "source_id"), [Some("row 101"), Some("row 102")]);
}

#[test]
fn a_value_whose_place_is_unknown_hides_its_record() {
    let mut pipeline = orders();
    pipeline.columns[1].archive = ArchivePolicy::Mask;
    let contract = Contract::compile(&pipeline).unwrap();
    let block = decoded(&["1,secret,x"]);
    let checked = check(&contract, &RowContext::default(), &block, 1).unwrap();
    let mut elsewhere = layout(3);
    elsewhere.field_of_column[1] = Some(9);

    for layout in [elsewhere, layout(1)] {
        let mut writer = ArchiveWriter::new(&contract, &layout, context());
        writer.append(&block, &checked.rejects, 1, 0).unwrap();

        let batch = rows_of(&writer.finish().unwrap().unwrap());
        assert_eq!(texts(&batch, "raw_data"), [None]);
    }
}

fn json_lines(mut columns: Vec<Column>) -> Pipeline {
    columns[0].key = true;
    let mut pipeline = pipeline(columns);
    let options = JsonlOptions::default();
    pipeline.source.format = Format::Jsonl(options);
    pipeline
}

#[test]
fn json_records_keep_their_shape_under_a_mask() {
    let mut email = column("email", ColumnType::String);
    email.archive = ArchivePolicy::Mask;
    let mut card = column("card", ColumnType::Int(64));
    card.archive = ArchivePolicy::Hash;
    let mut pipeline = json_lines(vec![column("id", ColumnType::Int(64)), email, card]);
    let line = r#"{"id": 1e0, "email" : "a\"b", "new":[1, 2], "card":42}"#;
    let mut block = decoded(&["x,e,42"]);
    let start = u32::try_from(block.buffer.len()).unwrap();
    block.buffer.extend_from_slice(line.as_bytes());
    block.records[0].start = start;
    block.records[0].end = start + u32::try_from(line.len()).unwrap();

    let batch = rows_of(&archive_of(&pipeline, &block).unwrap());
    let hash = short_hash(b"42");
    let expected = format!(r#"{{"id":1e0,"email":"***","new":[1, 2],"card":"{hash}"}}"#);
    assert_eq!(texts(&batch, "raw_data"), [Some(expected.as_str())]);

    pipeline.errors.archive_raw = ArchiveRaw::Masked;
    let batch = rows_of(&archive_of(&pipeline, &block).unwrap());
    let expected = r#"{"id":"***","email":"***","new":"***","card":"***"}"#;
    assert_eq!(texts(&batch, "raw_data"), [Some(expected)]);
}

#[test]
fn a_key_may_contain_a_capture() {
    let mut pipeline = orders();
    let mut supplier = column("supplier", ColumnType::String);
    supplier.from = ColumnSource::Capture("supplier".to_owned());
    supplier.key = true;
    pipeline.columns.push(supplier);
    let mut block = decoded(&["1,a,x,"]);
    block.cells[3] = crate::block::Cell::NULL;

    let batch = rows_of(&archive_of(&pipeline, &block).unwrap());

    assert_eq!(texts(&batch, "source_id"), [Some(r#"{"id":1,"supplier":"acme"}"#)]);
}

#[test]
fn many_rejects_are_written_in_several_batches() {
    let lines: Vec<_> = (0..20_000).map(|row| format!("{row},a,x")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();

    let file = archive_of(&orders(), &decoded(&lines)).unwrap();

    let batches = table::read(Bytes::from(file.bytes.clone())).unwrap();
    let rows: Vec<i64> = batches.flat_map(|batch| numbers(&batch.unwrap(), "row_number")).collect();
    assert_eq!(rows, (101..20_101).collect::<Vec<_>>());
    assert_eq!(file.rows, 20_000);
}

#[test]
fn writers_can_move_between_threads() {
    fn sent<T: Send + 'static>() {}
    sent::<ArchiveWriter>();
    sent::<table::TableWriter>();
}

#[test]
fn wanted_records_come_back_as_they_were_written_and_can_be_exported() {
    let lines = ["1,a@b,1.5", "007,a@b,x", "y,a@b,1", "=2,\"q,\",z"];
    let file = archive_of(&orders(), &decoded(&lines)).unwrap();
    let bytes = Bytes::from(file.bytes);
    let found = |wanted: &Wanted| -> Vec<ArchivedRow> {
        let batches = read(bytes.clone(), wanted).unwrap();
        batches
            .flat_map(|batch| super::rows(&batch.unwrap()).unwrap().collect::<Vec<_>>())
            .collect()
    };
    let numbers =
        |wanted: &Wanted| -> Vec<i64> { found(wanted).iter().map(|row| row.row_number).collect() };

    let all = found(&Wanted::default());
    assert_eq!(numbers(&Wanted::default()), [102, 103, 104]);
    assert_eq!(numbers(&Wanted { column: Some("amount".into()), ..Wanted::default() }), [102]);
    assert_eq!(
        numbers(&Wanted { code: Some("type".into()), row: Some(104), ..Wanted::default() }),
        [104]
    );
    let condition = Predicate::parse("raw_data LIKE '%,z' OR row_number = 103").unwrap();
    let both = Wanted { condition: Some(condition.clone()), ..Wanted::default() };
    assert_eq!(numbers(&both), [103, 104]);
    assert_eq!(numbers(&Wanted { column: Some("amount".into()), ..both }), [104; 0]);
    assert_eq!(numbers(&Wanted { code: Some("range".into()), ..Wanted::default() }), [0_i64; 0]);
    assert_eq!(all[0].raw_data.as_deref(), Some("007,a@b,x"));
    assert_eq!((all[0].pipeline.as_str(), all[0].pipeline_sha.as_str()), ("orders", "abc"));
    assert_eq!((all[0].job.as_str(), all[0].timestamp.as_str()), ("j1", "2026-11-23T12:00:00Z"));

    let mut csv = Export::csv(Vec::new(), &[]).unwrap();
    let mut parquet = Export::parquet(Vec::new()).unwrap();
    for batch in read(bytes.clone(), &Wanted::default()).unwrap() {
        let batch = batch.unwrap();
        csv.append(&batch, &|_| vec![]).unwrap();
        parquet.append(&batch, &|_| vec![]).unwrap();
    }
    let csv = String::from_utf8(csv.finish().unwrap()).unwrap();
    assert_eq!(csv.lines().next().unwrap(), COLUMNS.join(","));
    assert!(csv.contains("\"'=2,\"\"q,\"\",z\""), "{csv}");
    let again = Bytes::from(parquet.finish().unwrap());
    let batches = read(again, &Wanted::default()).unwrap();
    let rows: Vec<_> = batches
        .flat_map(|batch| super::rows(&batch.unwrap()).unwrap().collect::<Vec<_>>())
        .collect();
    assert_eq!(rows, all);
}

#[test]
fn an_export_without_rows_has_the_archive_columns() {
    let bytes = Bytes::from(Export::parquet(Vec::new()).unwrap().finish().unwrap());
    let schema = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes);
    let names: Vec<_> =
        schema.unwrap().schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, COLUMNS);
}

fn values(pipeline: &Pipeline, lines: &[&str]) -> Vec<Option<String>> {
    let batch = rows_of(&archive_of(pipeline, &decoded(lines)).unwrap());
    texts(&batch, "value").into_iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn the_value_at_fault_is_shown_as_its_column_declares() {
    let value = |pipeline: &Pipeline| values(pipeline, &["1,a@b,4111"])[0].clone();
    let mut pipeline = orders();
    pipeline.columns[2].max = Some("9".to_owned());
    assert_eq!(value(&pipeline).as_deref(), Some("4111"));
    pipeline.columns[2].archive = ArchivePolicy::Hash;
    assert_eq!(value(&pipeline), Some(short_hash(b"4111")));
    pipeline.columns[2].archive = ArchivePolicy::Mask;
    assert_eq!(value(&pipeline).as_deref(), Some("***"));
    pipeline.columns[2].archive = ArchivePolicy::Full;
    pipeline.errors.archive_raw = ArchiveRaw::Masked;
    assert_eq!(value(&pipeline).as_deref(), Some("***"));
    pipeline.errors.archive_raw = ArchiveRaw::Pointer;
    assert_eq!(value(&pipeline), None);

    // A missing value is none, and a long one is cut.
    let long = format!("1,a,{}", "é".repeat(5000));
    let found = values(&orders(), &["1,a,", &long]);
    assert_eq!((&found[0], found[1].as_ref().unwrap()), (&None, &format!("{}…", "é".repeat(200))));
}

#[test]
fn a_value_that_another_column_hides_is_hidden() {
    let mut pipeline = orders();
    let mut twin = column("twin", ColumnType::String);
    twin.archive = ArchivePolicy::Mask;
    pipeline.columns.push(twin);
    let contract = Contract::compile(&pipeline).unwrap();
    let block = decoded(&["1,a@b,secret,secret"]);
    let checked = check(&contract, &RowContext::default(), &block, 1).unwrap();
    for (field, expected) in [(2, "***"), (3, "secret")] {
        let mut layout = layout(4);
        layout.field_of_column[3] = Some(field);
        let mut writer = ArchiveWriter::new(&contract, &layout, context());
        writer.append(&block, &checked.rejects, 1, 0).unwrap();
        let batch = rows_of(&writer.finish().unwrap().unwrap());
        assert_eq!(texts(&batch, "value"), [Some(expected)], "{field}");
    }
}

#[test]
fn an_archive_from_before_there_was_a_value_is_read_and_exported() {
    let file = archive_of(&orders(), &decoded(&["1,a@b,x"])).unwrap();
    // What is read has the pipeline's name as a column, as the files had it then.
    let mut batch = read(file.bytes.into(), &Wanted::default()).unwrap().next().unwrap().unwrap();
    batch.remove_column(batch.schema().index_of("value").unwrap());
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let old = Bytes::from(writer.into_inner().unwrap());

    let mut parquet = Export::parquet(Vec::new()).unwrap();
    let mut csv = Export::csv(Vec::new(), &["amount".to_owned()]).unwrap();
    for batch in read(old, &Wanted::default()).unwrap() {
        let batch = batch.unwrap();
        let found: Vec<_> = super::rows(&batch).unwrap().collect();
        assert_eq!((found[0].value.as_ref(), found[0].error_code.as_str()), (None, "type"));
        parquet.append(&batch, &|_| vec![]).unwrap();
        csv.append(&batch, &|_| vec![Some("=x".to_owned())]).unwrap();
    }
    let again = Bytes::from(parquet.finish().unwrap());
    assert_eq!(read(again, &Wanted::default()).unwrap().count(), 1);
    let csv = String::from_utf8(csv.finish().unwrap()).unwrap();
    assert!(csv.lines().next().unwrap().ends_with(",source_version,field.amount"), "{csv}");
    assert!(csv.trim_end().ends_with(",'=x"), "{csv}");
}
