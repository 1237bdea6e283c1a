use parquet::file::metadata::ParquetMetaData;

use super::*;
use crate::pipeline::TimeForm;

fn metadata(file: &TableFile) -> ParquetMetaData {
    let bytes = Bytes::from(file.bytes.clone());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    reader.metadata().as_ref().clone()
}

fn entry(metadata: &ParquetMetaData, key: &str) -> Option<String> {
    let entries = metadata.file_metadata().key_value_metadata().unwrap();
    entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone())
}

#[test]
fn a_file_says_where_it_comes_from() {
    let files = table(every_type(), vec![], &EVERY_TYPE).files();

    let metadata = metadata(&files[0]);

    for (key, value) in [
        ("rowproof.pipeline", "orders"),
        ("rowproof.pipeline_sha", "aa"),
        ("rowproof.job", "job1"),
        ("rowproof.chunk", "0"),
        ("rowproof.fix", "0"),
    ] {
        assert_eq!(entry(&metadata, key).as_deref(), Some(value), "{key}");
    }
    assert!(entry(&metadata, "ARROW:schema").is_some());
    assert_eq!(metadata.file_metadata().schema().name(), "schema");
    assert_eq!(metadata.row_group(0).sorting_columns(), None);
}

#[test]
fn times_are_stored_as_the_sink_wants_and_read_back_the_same() {
    for (form, found) in
        [(TimeForm::Time, "time[us]"), (TimeForm::Int64, "int64"), (TimeForm::String, "text")]
    {
        let mut table = table(every_type(), vec![], &EVERY_TYPE);
        table.sink.time = form;

        let files = table.files();

        let batch = read(Bytes::from(files[0].bytes.clone())).unwrap().next().unwrap().unwrap();
        let time = batch.column_by_name("time").unwrap();
        match form {
            TimeForm::Time => assert_eq!(
                time.data_type(),
                &arrow_schema::DataType::Time64(arrow_schema::TimeUnit::Microsecond)
            ),
            TimeForm::Int64 => {
                let micros = time.as_primitive::<arrow_array::types::Int64Type>();
                assert_eq!(micros.value(0), 36_672_000_001, "{found}");
            }
            TimeForm::String => {
                let texts: Vec<_> = time.as_string::<i32>().iter().collect();
                let expected = [
                    Some("10:11:12.000001"),
                    Some("23:59:59.000000"),
                    Some("00:00:00.000000"),
                    None,
                ];
                assert_eq!(texts, expected);
            }
        }
        assert_eq!(table.read_back(&files), (4, table.digest), "{found}");
    }
}

#[test]
fn a_text_that_is_no_time_is_not_taken_for_one() {
    let texts = table(vec![column("time", ColumnType::String)], vec![], &["noon"]);
    let times = table(vec![column("time", ColumnType::Time { format: None })], vec![], &[]);

    assert!(with_partition(&texts.batch, times.contract.schema(), &[]).is_err());
}

#[test]
fn field_ids_stand_where_they_were_given() {
    let mut table = table(every_type(), vec![by_column("text")], &EVERY_TYPE);
    table.sink.field_ids = [("i64".to_owned(), 7), ("at".to_owned(), 3)].into();

    let files = table.files();

    let metadata = metadata(&files[0]);
    let fields = metadata.file_metadata().schema().get_fields().to_vec();
    let ids: Vec<_> = fields
        .iter()
        .filter(|field| field.get_basic_info().has_id())
        .map(|field| (field.name().to_owned(), field.get_basic_info().id()))
        .collect();
    assert_eq!(ids, [("i64".to_owned(), 7), ("at".to_owned(), 3)]);
    assert_eq!(table.read_back(&files), (4, table.digest));
}

#[test]
fn a_bloom_filter_is_where_it_was_asked_for_and_as_small_as_its_values() {
    let columns = vec![column("id", ColumnType::Int(64)), column("name", ColumnType::String)];
    let lines: Vec<_> = (0..1000).map(|row| format!("{row},n{row}")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let mut table = table(columns, vec![], &lines);
    table.sink.bloom_filter = vec!["name".to_owned()];

    let files = table.files();

    let metadata = metadata(&files[0]);
    let chunk = |column: usize| metadata.row_group(0).column(column).bloom_filter_length();
    assert_eq!(chunk(0), None);
    assert!(chunk(1).is_some_and(|bytes| bytes < 8192), "{:?}", chunk(1));
    assert_eq!(table.read_back(&files), (1000, table.digest));
}

#[test]
fn rows_with_their_numbers_say_that_they_are_sorted_by_them() {
    let mut pipeline = pipeline(vec![column("id", ColumnType::Int(64))]);
    let mut sink = pipeline.sink.parquet().unwrap().clone();
    sink.add = vec![AddedColumn::SourceFile, AddedColumn::SourceRow];
    pipeline.sink = crate::pipeline::Sink::Parquet(sink.clone());
    let contract = Contract::compile(&pipeline).unwrap();
    let checked = check(&contract, &RowContext::default(), &decoded(&["5", "3"]), 1).unwrap();
    let mut writer = TableWriter::new(&contract, &sink, &Limits::default(), &origin()).unwrap();
    writer.append(&checked.batch).unwrap();

    let files = writer.finish().unwrap();

    let sorted = metadata(&files[0]).row_group(0).sorting_columns().cloned().unwrap();
    assert_eq!(
        sorted.iter().map(|by| (by.column_idx, by.descending)).collect::<Vec<_>>(),
        [(2, false)]
    );
}

#[test]
fn folders_of_texts_keep_their_column_in_the_files() {
    let columns = || {
        vec![
            nullable("shop", ColumnType::String),
            nullable("n", ColumnType::Int(32)),
            column("id", ColumnType::Int(64)),
        ]
    };
    let lines = ["007,7,1", "7,,2", "\"\",-1,3", ",7,4", "none,7,5", "a/b,7,6"];
    let text = |name: &str| PartitionBy::Text(name.to_owned());
    let by_shop = table(columns(), vec![text("shop")], &lines);
    let by_n = table(columns(), vec![text("n")], &lines);

    let (shops, numbers) = (by_shop.files(), by_n.files());

    let expected = [
        "shop_text=none",
        "shop_text=v-",
        "shop_text=v-007",
        "shop_text=v-7",
        "shop_text=v-a%2Fb",
        "shop_text=v-none",
    ];
    assert_eq!(folders(&shops), expected);
    assert_eq!(folders(&numbers), ["n_text=none", "n_text=v--1", "n_text=v-7"]);
    assert_eq!(by_shop.read_back(&shops), (6, by_shop.digest));
    assert_eq!(by_n.read_back(&numbers), (6, by_n.digest));
}
