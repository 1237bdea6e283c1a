use std::path::Path;

use rowproof_core::pipeline::ColumnType;

use super::*;

fn guessed(name: &str, bytes: &[u8], sample: Option<u64>) -> anyhow::Result<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    pipeline_file(&path, sample)
}

fn parsed(text: &str) -> Pipeline {
    let load = |_: &str| Err("no base".to_owned());
    rowproof_core::pipeline_file::parse("guess.toml", text, &load, &|_| None).unwrap().pipeline
}

fn column_names(text: &str) -> Vec<String> {
    parsed(text).columns.into_iter().map(|column| column.name).collect()
}

#[test]
fn a_semicolon_file_becomes_a_pipeline_that_parses() {
    let text = guessed("a.csv", b"id;name\n1;x\n2;\"y;z\"\n", None).unwrap();
    let pipeline = parsed(&text);
    let Format::Csv(dialect) = &pipeline.source.format else { panic!("{text}") };
    assert_eq!(dialect.delimiter, b';');
    assert_eq!(column_names(&text), ["id", "name"]);
}

#[test]
fn json_lines_are_told_by_content_and_nested_fields_are_left_out() {
    let lines =
        b"\xEF\xBB\xBF{\"id\":1,\"tags\":[1],\"at\":\"2026-01-02\"}\n{\"id\":2,\"note\":null}\n";
    let text = guessed("events.csv", lines, None).unwrap();
    assert!(matches!(parsed(&text).source.format, Format::Jsonl(_)), "{text}");
    assert_eq!(column_names(&text), ["id", "at", "note"]);
}

#[test]
fn the_lines_of_a_json_list_and_numbers_without_a_word_in_json_are_read() {
    let lines = b"[{\"id\":1,\"f\":NaN},\n{\"id\":2,\"f\":-Infinity},\n{\"id\":3,\"f\":1.5}]\n";
    let text = guessed("events.json", lines, None).unwrap();
    let options = JsonlOptions { list: true, ..JsonlOptions::default() };
    assert_eq!(parsed(&text).source.format, Format::Jsonl(options), "{text}");
    assert!(text.contains("f = \"float64\""), "{text}");
    assert!(!text.contains("rejected"), "{text}");
}

#[test]
fn json_is_utf_8_and_other_records_are_said_to_be_rejected() {
    let lines = b"{\"id\":1,\"s\":\"\xE9\"}\n{\"id\":2,\"s\":\"x\"}\n";
    let text = guessed("events.jsonl", lines, None).unwrap();
    assert!(text.contains("1 of 2 rows") && text.contains("1 encoding"), "{text}");
    assert!(!text.contains("windows-1252"), "{text}");
}

#[test]
fn totals_below_the_data_say_nothing_of_its_types() {
    let rows: String = (1..=8).map(|id| format!("{id},n{id},{id}.50\n")).collect();
    let file = format!("id,name,amount\n{rows}");
    let plain = guessed("a.csv", file.as_bytes(), None).unwrap();
    for footer in ["Total,,36.00\n", "\nTotal:,8 rows,sum\n", "Count,,\nTotal,,36.00\n"] {
        let text = guessed("a.csv", format!("{file}{footer}").as_bytes(), None).unwrap();
        assert!(text.contains("like totals below the data"), "{footer}: {text}");
        assert_eq!(parsed(&text).columns, parsed(&plain).columns, "{footer}: {text}");
    }
    // One value that does not fit is a defect, and a row with all its values is a row.
    for row in ["x,n9,9.50\n", "9,n9,9.50\n", "9,,\n"] {
        let text = guessed("a.csv", format!("{file}{row}").as_bytes(), None).unwrap();
        assert!(!text.contains("totals"), "{row}: {text}");
    }
}

#[test]
fn a_header_with_units_that_comes_again_is_still_the_header() {
    let head = "\"TIME\",\"RECORD\",\"AIR\"\n\"TS\",\"RN\",\"Deg C\"\n\"\",\"\",\"Avg\"\n";
    let rows = |from: u32| -> String {
        (from..from + 4).map(|n| format!("\"2025-11-01 0{n}:00:00\",{n},{n}.5\n")).collect()
    };
    let file = format!("\"TOA5\",\"Site\",\"x\",\"y\"\n{head}{}{head}{}", rows(1), rows(5));
    let text = guessed("hourly.dat", file.as_bytes(), None).unwrap();
    let Format::Csv(dialect) = parsed(&text).source.format else { panic!("{text}") };
    assert_eq!((dialect.skip_lines, dialect.skip_after_header), (1, 2), "{text}");
    assert_eq!(column_names(&text), ["TIME", "RECORD", "AIR"], "{text}");
    let types: Vec<_> = parsed(&text).columns.into_iter().map(|column| column.data_type).collect();
    assert!(matches!(types[1], ColumnType::Int(64)), "{text}");
    assert!(matches!(types[2], ColumnType::Decimal { .. }), "{text}");
}

#[test]
fn a_sample_ends_after_its_rows() {
    let text = guessed("a.csv", b"id\n1\n2\nx\n", Some(2)).unwrap();
    let id = &parsed(&text).columns[0];
    assert_eq!(id.data_type, ColumnType::Int(64));
}

#[test]
fn records_longer_than_a_block_are_read_whole() {
    let long = "x".repeat(5 << 20);
    let text = guessed("a.csv", format!("id,text\n1,{long}\n2,b\n").as_bytes(), None).unwrap();
    assert_eq!(column_names(&text), ["id", "text"]);
}

#[test]
fn what_cannot_be_guessed_from_says_why() {
    for (bytes, expected) in [
        (&b""[..], "the file is empty"),
        (b"\xEF\xBB\xBF", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\x7FELF\x02\x01\0\0", "not text"),
        (b"[{\"id\":1},{\"id\":2}]", "jq -c '.[]'"),
        (b"\xFF\xFE{\0\"\0a\0\"\0:\x001\0}\0", "iconv -f utf-16le"),
        (b"PK\x03\x04rest of it", "zip"),
        (b"\x1F\x8B\x08\0\0\0\0\0\0\x03", "cut off"),
        (b"a,b\n1\n", "none of the 1 rows fits the header: 1 field_count"),
        (b"{\"a\":1}{\"a\":2}\n", "none of the 1 lines is one JSON object"),
        (b"{\"Records\":[{\"a\":1}]}\n", "no column type reads: \"Records\""),
    ] {
        let error = guessed("a.csv", bytes, None).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains(expected), "{error}");
    }
    let error = pipeline_file(Path::new("/nowhere/at.csv"), None).unwrap_err();
    assert!(error.is::<Usage>(), "{error}");
}
