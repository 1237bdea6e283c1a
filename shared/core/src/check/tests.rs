use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};

use super::fixture::{column, decoded, layout, pipeline};
use super::*;
use crate::block::{Cell, Defect};
use crate::pipeline::{
    Column, ColumnSource, ColumnType, Format, Formats, JsonlOptions, Negative, Sink,
    TimestampFormat,
};

const DECIMAL: ColumnType = ColumnType::Decimal { precision: 12, scale: 2 };

fn run(columns: Vec<Column>, lines: &[&str]) -> (Contract, Checked) {
    let contract = Contract::compile(&pipeline(columns)).unwrap();
    let checked = check(&contract, &RowContext::default(), &decoded(lines), 1).unwrap();
    (contract, checked)
}

/// Record ordinal, code and column of each reject.
fn failures(checked: &Checked) -> Vec<(u32, &'static str, Option<usize>)> {
    let failures = checked.rejects.iter();
    failures.map(|r| (r.record.ordinal, r.code.as_str(), r.column)).collect()
}

fn nullable(mut column: Column) -> Column {
    column.nullable = true;
    column
}

#[test]
fn good_rows_become_typed_columns() {
    let columns = vec![
        column("id", ColumnType::Int(64)),
        column("amount", DECIMAL),
        nullable(column("day", ColumnType::Date { format: None })),
        column("name", ColumnType::String),
    ];

    let (_, checked) =
        run(columns, &["1,2.50,2026-11-23,Anna", "007,3,,\"a \"\"b\"\"\"", "x,1,2026-01-01,c"]);

    let batch = &checked.batch;
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 7]);
    assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().values(), &[250, 300]);
    assert_eq!(batch.column(2).as_primitive::<Date32Type>().value(0), 20_780);
    assert!(batch.column(2).is_null(1));
    assert_eq!(batch.column(3).as_string::<i32>().value(1), "a \"b\"");
    assert_eq!(failures(&checked), [(2, "type", Some(0))]);
}

#[test]
fn types_of_all_columns_come_before_any_rule() {
    let mut first = column("first", ColumnType::Int(64));
    first.max = Some("10".to_owned());
    let columns = vec![first, column("second", ColumnType::Int(64))];

    let (_, checked) = run(columns, &["11,x", "11,1", ",x", ",1", "1,1"]);

    let expected = [
        (0, "type", Some(1)),
        (1, "range", Some(0)),
        (2, "type", Some(1)),
        (3, "not_null", Some(0)),
    ];
    assert_eq!(failures(&checked), expected);
}

#[test]
fn rules_run_column_by_column_in_their_order() {
    let mut text = nullable(column("text", ColumnType::String));
    text.min_length = Some(2);
    text.max_length = Some(3);
    text.pattern = Some("^[a-zä]+$".to_owned());
    text.one_of = Some(vec!["ab".to_owned(), "äöü".to_owned(), "äää".to_owned()]);
    let mut number = column("number", ColumnType::Int(8));
    number.one_of = Some(vec!["1".to_owned(), "02".to_owned()]);

    let (contract, checked) =
        run(vec![text, number], &["a,3", "AB,1", "zz,1", "ab,3", "ab,2", ",1", "äää,1", "äää1,1"]);

    let expected = [
        (0, "length", Some(0)),
        (1, "pattern", Some(0)),
        (2, "one_of", Some(0)),
        (3, "one_of", Some(1)),
        (7, "length", Some(0)),
    ];
    assert_eq!(failures(&checked), expected);
    let reasons: Vec<_> =
        checked.rejects.iter().map(|reject| contract.reason(reject, &layout(2))).collect();
    assert_eq!(
        reasons,
        [
            "text: not 2 to 3 characters long",
            "text: does not match ^[a-zä]+$",
            "text: not one of the 3 allowed values",
            "number: not one of the 2 allowed values",
            "text: not 2 to 3 characters long",
        ]
    );
}

#[test]
fn quoted_text_is_never_null() {
    let text = nullable(column("text", ColumnType::String));
    let number = nullable(column("number", ColumnType::Int(64)));

    let (_, checked) = run(vec![text, number], &["\"\",1", ",", "a,\"\""]);

    let texts = checked.batch.column(0).as_string::<i32>();
    assert_eq!((texts.is_null(0), texts.value(0), texts.is_null(1)), (false, "", true));
    assert_eq!(failures(&checked), [(2, "type", Some(1))]);
}

#[test]
fn the_null_list_replaces_empty_text() {
    let mut pipeline = pipeline(vec![nullable(column("text", ColumnType::String))]);
    if let Format::Csv(dialect) = &mut pipeline.source.format {
        dialect.null = vec!["NA".to_owned(), "\\N".to_owned()];
    }
    let contract = Contract::compile(&pipeline).unwrap();
    let block = decoded(&["NA", "\\N", "\"NA\"", "", "na"]);

    let checked = check(&contract, &RowContext::default(), &block, 1).unwrap();

    let texts = checked.batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(texts, [None, None, Some("NA"), Some(""), Some("na")]);
}

#[test]
fn json_text_is_null_only_when_it_is_missing() {
    let mut pipeline = pipeline(vec![nullable(column("text", ColumnType::String))]);
    let options = JsonlOptions::default();
    pipeline.source.format = Format::Jsonl(options);
    let contract = Contract::compile(&pipeline).unwrap();
    let mut block = decoded(&["", "a"]);
    block.cells[1] = Cell::NULL;

    let checked = check(&contract, &RowContext::default(), &block, 1).unwrap();

    let texts = checked.batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(texts, [Some(""), None]);
}

#[test]
fn trim_comes_before_null_and_default_replaces_null() {
    let mut text = column("text", ColumnType::String);
    text.trim = true;
    text.default = Some("none".to_owned());
    let mut number = column("number", ColumnType::Int(64));
    number.trim = true;
    number.default = Some("-1".to_owned());

    let (_, checked) = run(vec![text, number], &["  a\t, 5 ", "  ,\t", "\" \",1"]);

    let texts = checked.batch.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>();
    assert_eq!(texts, ["a", "none", ""]);
    assert_eq!(checked.batch.column(1).as_primitive::<Int64Type>().values(), &[5, -1, 1]);
    assert!(checked.rejects.is_empty());
}

fn captured(name: &str, data_type: ColumnType) -> Column {
    let mut column = column(name, data_type);
    column.from = ColumnSource::Capture(name.to_owned());
    column
}

#[test]
fn captures_fill_their_column_in_every_row() {
    let columns =
        vec![captured("supplier", ColumnType::String), captured("n", ColumnType::Int(64))];
    let contract = Contract::compile(&pipeline(columns)).unwrap();
    let mut context = RowContext::default();
    context.captures.insert("supplier".to_owned(), "acme".to_owned());
    context.captures.insert("n".to_owned(), "7".to_owned());
    let block = decoded(&[",", ","]);

    let checked = check(&contract, &context, &block, 1).unwrap();

    assert_eq!(checked.batch.column(0).as_string::<i32>().value(1), "acme");
    assert_eq!(checked.batch.column(1).as_primitive::<Int64Type>().values(), &[7, 7]);

    context.captures.insert("n".to_owned(), "seven".to_owned());
    context.captures.remove("supplier");
    let checked = check(&contract, &context, &block, 1).unwrap();
    assert_eq!(failures(&checked), [(0, "type", Some(1)), (1, "type", Some(1))]);
}

#[test]
fn added_columns_count_rejected_records_too() {
    let mut pipeline = pipeline(vec![column("id", ColumnType::Int(64))]);
    let mut sink = pipeline.sink.parquet().unwrap().clone();
    sink.add = vec![AddedColumn::SourceFile, AddedColumn::SourceRow, AddedColumn::LoadedAt];
    pipeline.sink = Sink::Parquet(sink);
    let contract = Contract::compile(&pipeline).unwrap();
    let context = RowContext {
        captures: BTreeMap::new(),
        source_file: "s3://in/a.csv".to_owned(),
        loaded_at: 42,
    };

    let checked = check(&contract, &context, &decoded(&["1", "x", "3"]), 101).unwrap();

    let batch = &checked.batch;
    assert_eq!(batch.column(1).as_string::<i32>().value(1), "s3://in/a.csv");
    assert_eq!(batch.column(2).as_primitive::<Int64Type>().values(), &[101, 103]);
    assert_eq!(batch.column(3).as_primitive::<TimestampMicrosecondType>().values(), &[42, 42]);
}

#[test]
fn defects_are_merged_in_record_order() {
    let columns = vec![column("id", ColumnType::Int(64))];
    let contract = Contract::compile(&pipeline(columns)).unwrap();
    let mut block = decoded(&["1", "x", "3", "y"]);
    for (ordinal, record) in [0, 1, 3, 4].into_iter().zip(&mut block.records) {
        record.ordinal = ordinal;
    }
    let record = Record { start: 4, end: 4, ordinal: 2 };
    let defect = Defect {
        record,
        code: RejectCode::FieldCount,
        fields_found: Some(8),
        column: None,
        earlier: 0,
    };
    block.defects.push(defect);

    let checked = check(&contract, &RowContext::default(), &block, 1).unwrap();

    let expected = [(1, "type", Some(0)), (2, "field_count", None), (4, "type", Some(0))];
    assert_eq!(failures(&checked), expected);
    let reason = contract.reason(&checked.rejects[1], &layout(10));
    assert_eq!(reason, "expected 10 fields, found 8");
    assert_eq!(checked.rejects[2].row, Some(3));
}

#[test]
fn a_block_larger_than_a_tile_keeps_every_good_row() {
    let columns =
        vec![column("id", ColumnType::Int(64)), nullable(column("t", ColumnType::String))];
    let lines: Vec<_> = (0..5000)
        .map(|row| match row {
            row if row % 7 == 3 => format!("{row}x,bad"),
            row if row % 5 == 1 => format!("{row},"),
            row => format!("{row},text {row}"),
        })
        .collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();

    let (_, checked) = run(columns, &lines);

    let ids = checked.batch.column(0).as_primitive::<Int64Type>();
    let texts = checked.batch.column(1).as_string::<i32>();
    let expected: Vec<i64> = (0..5000).filter(|row| row % 7 != 3).collect();
    assert_eq!(ids.values(), expected.as_slice());
    for (id, text) in expected.iter().zip(texts) {
        let wanted = (id % 5 != 1).then(|| format!("text {id}"));
        assert_eq!(text, wanted.as_deref());
    }
    assert_eq!(checked.rejects.len(), 5000 - expected.len());
}

#[test]
fn an_empty_block_gives_an_empty_batch() {
    let (contract, checked) = run(vec![column("id", ColumnType::Int(64))], &[]);

    assert_eq!(checked.batch.num_rows(), 0);
    assert_eq!(checked.batch.schema(), *contract.schema());
    assert_eq!(checked.loaded_digest, Digest::default());
}

#[test]
fn every_problem_of_every_column_is_named() {
    let mut bounds = column("bounds", ColumnType::Int(8));
    bounds.min = Some("300".to_owned());
    bounds.max = Some("many".to_owned());
    let mut order = column("order", DECIMAL);
    order.min = Some("2".to_owned());
    order.max = Some("1.99".to_owned());
    let mut pattern = column("pattern", ColumnType::String);
    pattern.pattern = Some("(".to_owned());
    pattern.min = Some("a".to_owned());
    let mut choice = column("choice", ColumnType::String);
    choice.one_of = Some(vec!["a".to_owned()]);
    choice.default = Some("b".to_owned());
    let mut number = column("number", ColumnType::Float(64));
    number.pattern = Some("1".to_owned());
    let day = column("day", ColumnType::Date { format: Some(Formats::One("%Y".to_owned())) });
    let mut pipeline = pipeline(vec![bounds, order, pattern, choice, number, day]);
    pipeline.source.timezone = Some("Mars/Phobos".to_owned());

    let problems = Contract::compile(&pipeline).unwrap_err();

    let named: Vec<_> = problems.iter().map(|p| (p.column.as_str(), p.key)).collect();
    assert_eq!(
        named,
        [
            ("", "timezone"),
            ("bounds", "min"),
            ("bounds", "max"),
            ("order", "min"),
            ("pattern", "min"),
            ("pattern", "pattern"),
            ("choice", "default"),
            ("number", "pattern"),
            ("day", "format"),
        ]
    );
    assert_eq!(problems[1].message, "\"300\" is not an int8");
}

#[test]
fn nan_is_in_no_range() {
    let mut number = column("number", ColumnType::Float(64));
    number.min = Some("0".to_owned());

    let (contract, checked) = run(vec![number], &["NaN", "inf", "-0"]);

    assert_eq!(failures(&checked), [(0, "range", Some(0))]);
    assert_eq!(contract.reason(&checked.rejects[0], &layout(1)), "number: less than 0");
}

/// The row's reason, or nothing for a good row.
fn reasons(column: Column, texts: &[&str]) -> Vec<String> {
    let name = format!("{}: ", column.name);
    let (contract, checked) = run(vec![column], texts);
    let mut reasons = vec![String::new(); texts.len()];
    for reject in &checked.rejects {
        let reason = contract.reason(reject, &layout(1));
        reasons[reject.row.unwrap()] = reason.strip_prefix(&name).unwrap().to_owned();
    }
    reasons
}

#[test]
fn a_reason_says_what_is_wrong_and_what_to_write() {
    let int = |text| (ColumnType::Int(16), text);
    let decimal = |text| (DECIMAL, text);
    let float = |text| (ColumnType::Float(64), text);
    let stamp = |text| (ColumnType::Timestamp { format: TimestampFormat::Rfc3339 }, text);
    let date = |text| (ColumnType::Date { format: None }, text);
    for ((data_type, text), expected) in [
        (int("34.5"), "not an int16: it has a fraction"),
        (int("1e3"), "not an int16: it has an exponent"),
        (int("40000"), "not an int16: outside the range of the type"),
        (int("40000.0"), "not an int16: outside the range of the type"),
        (int(" 7"), "not an int16: blanks around it (trim = true drops them)"),
        (int("7-"), "not an int16: another way to write a minus (negative names it)"),
        (int("x"), "not an int16"),
        (decimal("1.005"), "not a decimal(12,2): finer than the scale"),
        (decimal("1E-3"), "not a decimal(12,2): finer than the scale"),
        (decimal("1e12"), "not a decimal(12,2): outside the range of the type"),
        (decimal("1e400"), "not a decimal(12,2): outside the range of the type"),
        (
            decimal("\"1,5\""),
            "not a decimal(12,2): other separators (decimal_separator and thousands name them)",
        ),
        (decimal("(5)"), "not a decimal(12,2): another way to write a minus (negative names it)"),
        (float("1e400"), "not a float64: outside the range of the type"),
        (float("1e-400"), "not a float64: so small that it would become 0"),
        (
            stamp("2026-11-23 10:00:00.1234567Z"),
            "not a timestamp like 2026-11-23T10:11:12Z: finer than a microsecond (subsecond = \
             \"truncate\" cuts it)",
        ),
        (stamp("2026-11-23"), "not a timestamp like 2026-11-23T10:11:12Z: it has no time of day"),
        (
            date("2026-11-23 10:00:00"),
            "not a date like 2026-11-23: it has a time of day (time_of_day = \"drop\" drops it)",
        ),
        ((ColumnType::Bool, "x"), "not a bool (true, t, yes, y, on, 1; false, f, no, n, off, 0)"),
    ] {
        assert_eq!(reasons(column("v", data_type), &[text]), [expected], "{text}");
    }
    let mut local = column("v", ColumnType::Timestamp { format: TimestampFormat::Rfc3339 });
    local.reading.timezone = Some("America/Los_Angeles".to_owned());
    let found =
        reasons(local, &["2010-03-14T02:00:00", "2010-11-07T01:00:00", "2010-03-14T03:00:00"]);
    assert!(found[0].contains("does not exist in America/Los_Angeles"), "{found:?}");
    assert!(found[1].contains("is there twice in America/Los_Angeles"), "{found:?}");
    assert_eq!(found[2], "");
}

#[test]
fn values_as_a_column_declares_them_are_those_that_are_written_plainly() {
    let mut amount = column("amount", DECIMAL);
    amount.reading.decimal_separator = Some(',');
    amount.reading.thousands = Some('.');
    amount.reading.negative = vec![Negative::Trailing, Negative::Parentheses];
    amount.reading.affix = vec!["EUR".to_owned()];
    amount.min = Some("-2000.5".to_owned());
    let mut flag = column("flag", ColumnType::Bool);
    flag.reading.true_words = vec!["ja".to_owned()];
    flag.reading.false_words = vec!["nein".to_owned()];
    let mut count = column("count", ColumnType::Int(32));
    count.reading.thousands = Some('\'');
    let mut at = column("at", ColumnType::Timestamp { format: TimestampFormat::EpochMillis });
    at.reading.truncate_subsecond = true;
    let day = column("day", ColumnType::Date { format: Some(Formats::One("%d.%m.%Y".to_owned())) });
    let declared = vec![amount, flag, count, at, day];
    let plain = vec![
        column("amount", DECIMAL),
        column("flag", ColumnType::Bool),
        column("count", ColumnType::Int(32)),
        column("at", ColumnType::Timestamp { format: TimestampFormat::Rfc3339 }),
        column("day", ColumnType::Date { format: None }),
    ];

    let (_, declared) = run(
        declared,
        &[
            "\"1.234,50 EUR\",ja,1'000,1795435200000.0001,23.11.2026",
            "\"(0,75)\",nein,7,0,01.01.1970",
            "\"1.999,00-\",nein,-7,0,01.01.1970",
            "\"3.000,00-\",nein,-7,0,01.01.1970",
            "1234.50,ja,7,0,01.01.1970",
            "1,true,7,0,01.01.1970",
        ],
    );
    let (_, plain) = run(
        plain,
        &[
            "1234.5,TRUE,1000,2026-11-23T12:00:00Z,2026-11-23",
            "-7.5E-1,f,7.0,1970-01-01 00:00:00+00,1970-01-01T00:00:00",
            "-1999,0,-7,1970-01-01T00:00:00Z,1970-01-01",
        ],
    );

    assert_eq!(declared.batch.columns(), plain.batch.columns());
    assert_eq!(declared.loaded_digest, plain.loaded_digest);
    let expected = [(3, "range", Some(0)), (4, "type", Some(0)), (5, "type", Some(1))];
    assert_eq!(failures(&declared), expected);
}

#[test]
fn numbers_and_words_of_json_are_read_as_json_writes_them() {
    let mut amount = column("amount", DECIMAL);
    amount.reading.decimal_separator = Some(',');
    amount.reading.thousands = Some('.');
    let mut flag = column("flag", ColumnType::Bool);
    flag.reading.true_words = vec!["ja".to_owned()];
    flag.reading.false_words = vec!["nein".to_owned()];
    let mut pipeline = pipeline(vec![amount, flag]);
    let options = JsonlOptions::default();
    pipeline.source.format = Format::Jsonl(options);
    let contract = Contract::compile(&pipeline).unwrap();

    let lines = ["1.234e1,true", "\"1.234,5\",\"ja\"", "\"1.5\",false", "7,\"true\""];
    let checked = check(&contract, &RowContext::default(), &decoded(&lines), 1).unwrap();

    let amounts = checked.batch.column(0).as_primitive::<Decimal128Type>();
    assert_eq!(amounts.values(), &[1234, 123_450]);
    assert_eq!(failures(&checked), [(2, "type", Some(0)), (3, "type", Some(1))]);
}

#[test]
fn values_that_are_cut_as_declared_are_counted_and_exact_ones_are_not() {
    let rfc = TimestampFormat::Strftime("%Y-%m-%dT%H:%M:%S%.f%z".to_owned());
    let formats = TimestampFormat::AnyOf(vec![TimestampFormat::EpochMicros, rfc]);
    let mut at = column("at", ColumnType::Timestamp { format: formats });
    at.reading.truncate_subsecond = true;
    let mut time = column("time", ColumnType::Time { format: None });
    time.reading.truncate_subsecond = true;
    let mut day = column("day", ColumnType::Date { format: None });
    day.reading.drop_time_of_day = true;
    let exact = column("exact", ColumnType::Date { format: None });
    let (_, checked) = run(
        vec![at, time, day, exact],
        &[
            "2026-11-23T10:11:12.123456789+0000,10:11:12.1234567,2026-11-23T10:11:12Z,2026-11-23",
            "1795435200000000.5,10:11:12.1234560,2026-11-23 00:00:00Z,2026-11-23",
            "1795435200000000.0,10:11:12,2026-11-23,2026-11-23 00:00:00Z",
            ",,,",
            "1795435200000000.5,10:11:12.1234567,2026-11-23 01:00:00Z,no date",
        ],
    );
    let expected = Repairs { subseconds_cut: 3, times_of_day_dropped: 1, ..Repairs::default() };
    assert_eq!(checked.repairs, expected, "the last row is rejected");
}
