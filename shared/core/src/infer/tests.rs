use super::*;
use crate::pipeline::{ColumnType, CsvDialect, JsonlOptions, Pipeline, TimestampFormat};
use crate::pipeline_file::parse;

fn csv() -> Format {
    Format::Csv(CsvDialect::default())
}

fn read(text: &str) -> Pipeline {
    let load = |_: &str| Err("no file".to_owned());
    match parse("guess.toml", text, &load, &|_| None) {
        Ok(parsed) => parsed.pipeline,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// The file for a header and rows of unquoted fields.
fn infer(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let mut inference = Inference::new("in/orders-2026.csv.gz", csv(), &header);
    for row in rows {
        for (i, field) in row.iter().enumerate() {
            inference.observe(i, field.as_bytes(), false);
        }
        inference.end_row();
    }
    inference.finish().expect("columns")
}

/// The line of the only column, and the comments above it.
fn one_column(name: &str, values: &[&str]) -> (String, String) {
    let rows: Vec<Vec<String>> = values.iter().map(|value| vec![(*value).to_owned()]).collect();
    let text = infer(&[name], &rows);
    read(&text);
    let columns = text.split("[columns]\n").nth(1).expect("columns");
    let lines: Vec<&str> = columns.lines().take_while(|line| !line.is_empty()).collect();
    let (comments, line): (Vec<&str>, Vec<&str>) =
        lines.into_iter().partition(|line| line.starts_with('#'));
    assert_eq!(line.len(), 1, "{text}");
    (line[0].to_owned(), comments.join("\n"))
}

#[test]
fn each_kind_of_value_gives_its_type() {
    for (values, expected, comment) in [
        (&["true", "false", "true"][..], "bool", ""),
        (&["1", "2", "2"], "int64", ""),
        (&["0", "1", "1"], "int64", "bool reads them"),
        (&["-5", "+7", "7", "7"], "int64", ""),
        (&["9000000000000000000", "1", "1"], "int64", "near the limit of int64"),
        (&["18446744073709551615", "1", "1"], "uint64", "over the limit of int64"),
        (&["18446744073709551616", "1", "1"], "decimal(22,0)", "room for 22"),
        (&["1.50", "2", "2"], "decimal(12,2)", "at most 1 digits"),
        (&["1e5", "2.5", "2.5"], "float64", "nearest value"),
        (&["0.12345678901", "1", "1"], "float64", "nearest value"),
        (&["007", "8", "8"], "string", "1 value starts with a zero"),
        (&["abc", "1", "1"], "string", ""),
        (&[".097", ".1", "-.5", ".5"], "decimal(12,3)", ""),
        (&["02-Jan-21", "28-Feb-99"], "{ type = \"date\", format = \"%d-%b-%y\" }", "1969 to 2068"),
        (&["Jun 12 1998", "Jan 1 2001"], "{ type = \"date\", format = \"%b %d %Y\" }", ""),
        (&["2026-11-23", "2026-11-23"], "date", ""),
        (&["10:30:00", "10:30:00"], "{ type = \"time\", format = \"%H:%M:%S\" }", ""),
        (&["2026-11-23T10:00:00Z", "2026-11-23 10:00:00.123+02:00"], "timestamp", ""),
        (&["2026-02-30", "2026-02-30"], "string", ""),
        (&["24/11/26", "24/11/26"], "string", ""),
        (&["", ""], "{ type = \"string\", nullable = true }", "the type is unknown"),
        (&["5", ""], "{ type = \"int64\", nullable = true }", ""),
    ] {
        let (line, comments) = one_column("x", values);
        let expected = match expected.starts_with('{') {
            true => format!("x = {expected}"),
            false => format!("x = \"{expected}\""),
        };
        let plain = line.replace("{ type = ", "").replace(", key = true }", "");
        assert!(line == expected || plain == expected, "{values:?}: {line}");
        assert!(comments.contains(comment), "{values:?}: {comments}");
    }
}

#[test]
fn decimal_commas_are_numbers_however_long_and_settled_by_a_leading_zero() {
    let comma = "decimal_separator = \",\"";
    for (values, expected) in [
        (["0,143", "0,286", "0,571"], format!("x = {{ type = \"decimal(12,3)\", {comma} }}")),
        (["0,142857142857143", "1,5", "2,25"], format!("x = {{ type = \"float64\", {comma} }}")),
        (["1,5e-07", "1,5", "2,25"], format!("x = {{ type = \"float64\", {comma} }}")),
        (["1,234", "2,345", "3,456"], "x = \"string\"".to_owned()),
    ] {
        let values: Vec<&str> = values.into_iter().chain(values).collect();
        let (line, comments) = one_column("x", &values);
        assert_eq!(line, expected, "{comments}");
        let open = comments.contains("\"decimal(12,3)\", decimal_separator");
        assert_eq!(open, line.contains("string"), "{comments}");
    }
}

/// The proposal for lines of comma-separated fields `id,t,n`; those in single quotes are quoted.
fn proposed(lines: &[&str]) -> String {
    let header = ["id", "t", "n"].map(str::to_owned);
    let mut inference = Inference::new("x.csv", csv(), &header);
    for line in lines {
        for (at, field) in line.split(',').enumerate() {
            let plain = field.trim_matches('\'');
            inference.observe(at, plain.as_bytes(), plain.len() < field.len());
        }
        inference.end_row();
    }
    let text = inference.finish().expect("columns");
    read(&text);
    text
}

#[test]
fn a_null_word_in_texts_is_null_where_the_file_writes_null_so() {
    // Numbers are empty: `\N` is a text.
    let text = proposed(&["1,a,5", "2,\\N,", "3,b,7"]);
    assert!(!text.contains("null = "), "{text}");
    assert!(text.contains("# 1 value is \\N: a text"), "{text}");
    // Numbers are `\N`, too, or nothing shows another way.
    for lines in [["1,a,5", "2,\\N,\\N", "3,b,7"], ["1,a,5", "2,\\N,6", "3,b,7"]] {
        let text = proposed(&lines);
        assert!(
            text.contains("null = [") && text.contains("t = { type = \"string\", nullable"),
            "{text}"
        );
    }
    // Both ways for numbers: `\N` is NULL in texts all the same.
    let text = proposed(&["1,a,5", "2,\\N,\\N", "3,b,"]);
    assert!(text.contains("null = [") && !text.contains("a text, as"), "{text}");
    // The words in quotes are others than those without.
    let text = proposed(&["1,'x',5", "2,\\N,\\N", "3,'NULL',7", "4,'y',8"]);
    assert!(text.contains("t = { type = \"string\", nullable = true }"), "{text}");
}

#[test]
fn moments_without_a_time_of_day_are_days_only_when_all_are() {
    let day = 1_704_067_200_000_i64;
    let values = |inside: i64| [day, day + inside, day + 86_400_000].map(|at| at.to_string());
    for (inside, expected) in [(86_400_000, "\"date\""), (3_600_000, "\"timestamp\"")] {
        let values = values(inside);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let (line, _) = one_column("seen_at", &values);
        assert!(line.contains(expected) && line.contains("epoch_ms"), "{line}");
    }
    let (line, why) = one_column("d", &["2024-02-29T00:00:00.000", "2024-03-01T00:00:00.000"]);
    assert!(line.contains("timestamp") && why.contains("each is a midnight"), "{line} {why}");
    for other in ["2024-03-01T00:00:01Z", "2024-03-01T00:00:00.5Z"] {
        let (_, why) = one_column("d", &["2024-02-29T00:00:00Z", other]);
        assert!(!why.contains("midnight"), "{why}");
    }
}

#[test]
fn ambiguous_days_and_months_say_how_many_values_settle_them() {
    let (settled, why) = one_column("d", &["23/11/2026", "01/02/2026", "05/06/2026", "05/06/2026"]);
    let (american, _) = one_column("d", &["11/23/2026", "01/02/2026", "01/02/2026"]);
    let (open, why_open) = one_column("d", &["01/02/2026", "05/06/2026", "05/06/2026"]);

    assert_eq!(settled, "d = { type = \"date\", format = \"%d/%m/%Y\" }");
    assert!(why.contains("1 value settles that it is \"%d/%m/%Y\" and not \"%m/%d/%Y\""), "{why}");
    assert_eq!(american, "d = { type = \"date\", format = \"%m/%d/%Y\" }");
    assert_eq!(open, "d = \"string\"");
    assert!(why_open.contains("0 values settle it: text until you write"), "{why_open}");
}

#[test]
fn a_timestamp_without_an_offset_asks_for_the_zone() {
    let rows = vec![vec!["2026-11-23T10:00:00".to_owned()]; 2];
    let text = infer(&["at"], &rows);

    let pipeline = read(&text);

    assert_eq!(pipeline.source.timezone.as_deref(), Some("UTC"));
    assert!(text.contains("# timestamps have no offset"), "{text}");
    let rfc3339 = ColumnType::Timestamp { format: TimestampFormat::Rfc3339 };
    assert_eq!(pipeline.columns[0].data_type, rfc3339);
}

#[test]
fn few_bad_values_do_not_spoil_the_type() {
    let row = |i: usize| {
        let amount = if i == 7 { "N/A!".to_owned() } else { format!("{i}.25") };
        vec![i.to_string(), amount]
    };
    let text = infer(&["id", "amount"], &(0..200).map(row).collect::<Vec<_>>());

    let pipeline = read(&text);

    assert!(pipeline.columns[0].key);
    assert!(text.contains("# key: each value stands once in all 200 rows"), "{text}");
    assert_eq!(pipeline.columns[1].data_type, ColumnType::Decimal { precision: 12, scale: 2 });
    assert!(text.contains("# 1 of 200 values do not fit and would be rejected"), "{text}");
}

#[test]
fn the_type_is_one_that_takes_every_value() {
    let row = |i: usize| vec![if i == 9 { "9".repeat(19) } else { (i % 5).to_string() }];
    let text = infer(&["x"], &(0..100).map(row).collect::<Vec<_>>());

    assert_eq!(read(&text).columns[0].data_type, ColumnType::UInt(64));
    let row = |i: usize| vec![if i == 9 { "1.5".to_owned() } else { (i % 5).to_string() }];
    let text = infer(&["x"], &(0..100).map(row).collect::<Vec<_>>());
    assert_eq!(read(&text).columns[0].data_type, ColumnType::Decimal { precision: 12, scale: 1 });
}

#[test]
fn a_key_with_flaws_is_only_suggested() {
    let row = |i: usize| vec![if i == 9 { "8".to_owned() } else { i.to_string() }];
    let text = infer(&["order_id"], &(0..100).map(row).collect::<Vec<_>>());

    assert!(!read(&text).columns[0].key);
    assert!(text.contains("# nearly a key: 1 values repeat"), "{text}");
}

#[test]
fn rare_nulls_are_doubted() {
    let row = |i: usize| vec!["x".to_owned(), if i == 3 { String::new() } else { i.to_string() }];
    let text = infer(&["a", "b"], &(0..1000).map(row).collect::<Vec<_>>());

    assert!(read(&text).columns[1].nullable);
    assert!(text.contains("# only 1 of 1,000 rows are empty here"), "{text}");
}

#[test]
fn words_for_null_are_found_beside_numbers_and_hold_for_text_too() {
    let row = |i: usize| {
        let word = || "NULL".to_owned();
        vec![
            if i == 3 { word() } else { i.to_string() },
            if i == 4 { word() } else { format!("t{i}") },
        ]
    };
    let pipeline = read(&infer(&["n", "t"], &(0..20).map(row).collect::<Vec<_>>()));

    let Format::Csv(csv) = &pipeline.source.format else { panic!("csv") };
    assert_eq!(csv.null, ["", "NULL"]);
    assert_eq!(pipeline.columns[0].data_type, ColumnType::Int(64));
    assert!(pipeline.columns[0].nullable && pipeline.columns[1].nullable);
}

#[test]
fn few_values_are_listed() {
    let row = |i: usize| vec![["paid", "a \"b\" ${X}"][i % 2].to_owned()];
    let text = infer(&["status"], &(0..20).map(row).collect::<Vec<_>>());

    assert!(text.contains(r#"add one_of = ["paid", "a \"b\" $${X}"]"#), "{text}");
}

#[test]
fn odd_names_still_give_a_file_that_parses() {
    let header = [
        "id",
        "ID",
        "",
        "a b",
        "id",
        "tab\there",
        "_source_file",
        "${HOME}",
        "\"q\"",
        "{x}",
        "column_2",
        "{\t}",
        "\n[sink]",
    ];
    let text = infer(&header, &[vec!["1".to_owned(); header.len()]]);

    let pipeline = read(&text);

    let names: Vec<&str> = pipeline.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "id",
            "column_2",
            "column_3",
            "a b",
            "id_5",
            "column_6",
            "column_7",
            "${HOME}",
            "\"q\"",
            "{x}",
            "column_11",
            "column_12",
            "column_13"
        ]
    );
    assert!(text.contains("# field 3 has no name"), "{text}");
    assert!(text.contains("# the header names \"id\" more than once"), "{text}");
    assert!(text.contains("\nid_5 = { type = \"int64\", from = 5 }"), "{text}");
    assert!(text.contains("\ncolumn_12 = { type = \"int64\", from = 12 }"), "{text}");
}

#[test]
fn the_file_name_gives_name_and_match_and_cannot_break_the_file() {
    for (file, name, pattern) in [
        ("/data/Orders 2026.csv.gz", "orders_2026", "incoming/orders_2026/*.csv*"),
        ("export.TXT", "export", "incoming/export/*.TXT*"),
        ("2026.csv", "data", "incoming/data/*.csv*"),
        ("orders", "orders", "incoming/orders/*.csv*"),
        ("x\n[sink.postgres]\n.csv", "x__sink", "incoming/x__sink/*.csv*"),
    ] {
        let inference = Inference::new(file, csv(), &["id".to_owned()]);
        let pipeline = read(&inference.finish().expect("a column"));
        assert_eq!((pipeline.name.as_str(), pipeline.source.pattern.as_str()), (name, pattern));
    }
}

#[test]
fn the_dialect_is_written_where_it_differs() {
    let dialect = CsvDialect {
        delimiter: b'\t',
        quote: None,
        header: false,
        skip_lines: 3,
        null: vec!["-".into()],
        ..CsvDialect::default()
    };
    let header = ["field_1".to_owned(), "field_2".to_owned()];
    let inference = Inference::new("x.tsv", Format::Csv(dialect.clone()), &header);

    let pipeline = read(&inference.finish().expect("columns"));

    assert_eq!(pipeline.source.format, Format::Csv(dialect));
}

#[test]
fn fields_of_json_lines_join_as_they_come() {
    let format = Format::Jsonl(JsonlOptions::default());
    let mut inference = Inference::new("events.jsonl", format, &[]);
    for i in 0..10 {
        let id = inference.column("id");
        inference.observe(id, i.to_string().as_bytes(), false);
        if i > 4 {
            let late = inference.column("late");
            inference.observe(late, b"", true);
        }
        inference.end_row();
    }

    let pipeline = read(&inference.finish().expect("columns"));

    assert!(matches!(pipeline.source.format, Format::Jsonl(_)));
    assert!(pipeline.columns[0].key && !pipeline.columns[0].nullable);
    assert!(pipeline.columns[1].nullable);
}

#[test]
fn bytes_that_are_not_utf8_and_extra_fields_are_told() {
    let mut inference = Inference::new("x.csv", csv(), &["a".to_owned()]);
    inference.observe(0, b"caf\xe9", false);
    inference.observe(1, b"extra", false);
    inference.end_row();

    let text = inference.finish().expect("columns");

    read(&text);
    assert!(text.contains("# 1 values are not UTF-8"), "{text}");
    assert!(text.contains("# 1 fields stand beyond the header"), "{text}");
}

#[test]
fn an_input_without_named_columns_gives_no_file() {
    assert_eq!(Inference::new("x.csv", csv(), &[]).finish(), Err(InferError::NoColumns));
}

#[test]
fn memory_for_hashes_is_bounded_and_given_back() {
    let header = ["a".to_owned(), "id".to_owned()];
    let mut inference = Inference::new("x.csv", csv(), &header);
    inference.hashes_left = 5_000;
    for i in 0..10_000_u32 {
        inference.observe(0, (i % 7).to_string().as_bytes(), false);
        inference.observe(1, i.to_string().as_bytes(), false);
        inference.end_row();
    }

    assert!(inference.columns[0].unique.given_up);
    assert_eq!(inference.columns[1].unique.seen, 5_000);
    let text = inference.finish().expect("columns");
    assert!(text.contains("key: each value stands once in the first 5,000 rows"), "{text}");
}

proptest::proptest! {
    #[test]
    fn whatever_comes_in_the_file_parses(
        header in proptest::collection::vec("[a-zA-Z0-9_ ${}\"\\\\\t\n=.ÿ\u{202e}]{0,12}", 1..6),
        rows in proptest::collection::vec(
            proptest::collection::vec("[0-9a-z./:T Z+\\-]{0,14}", 0..6), 0..20),
    ) {
        let mut inference = Inference::new(header.first().map_or("", String::as_str), csv(), &header);
        for row in &rows {
            for (i, field) in row.iter().enumerate() {
                inference.observe(i, field.as_bytes(), false);
            }
            inference.end_row();
        }
        if let Ok(text) = inference.finish() {
            read(&text);
        }
    }
}
