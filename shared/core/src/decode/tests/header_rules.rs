use super::super::{HeaderError, HeaderRead, drift, header};
use super::*;

fn read_header(format: Format, prefix: &[u8], last: bool) -> Result<HeaderRead, HeaderError> {
    let limits = Limits { columns_max: 4, record_bytes_max: 100, ..Limits::default() };
    header(&pipeline(format, vec![field("a")]).source, prefix, last, &limits)
}

fn csv_header(prefix: &[u8], last: bool) -> Result<HeaderRead, HeaderError> {
    read_header(Format::Csv(csv()), prefix, last)
}

fn found(columns: &[&str], data_start: usize) -> Result<HeaderRead, HeaderError> {
    Ok(HeaderRead::Read { names: Some(names(columns)), data_start })
}

fn none(data_start: usize) -> Result<HeaderRead, HeaderError> {
    Ok(HeaderRead::Read { names: None, data_start })
}

#[test]
fn names_are_read_behind_mark_blank_and_skipped_lines() {
    assert_eq!(csv_header(b"\xEF\xBB\xBFa, b\r\n1,2", false), found(&["a", "b"], 9));
    assert_eq!(csv_header(b"\n\na,\"x \"\"y\n\"\n", false), found(&["a", "x \"y\n"], 13));
    let dialect = CsvDialect { skip_lines: 2, ..csv() };
    assert_eq!(
        read_header(Format::Csv(dialect), b"junk\"\r\n\na,b\n", false),
        found(&["a", "b"], 12)
    );
    assert_eq!(csv_header(b"a,b", true), found(&["a", "b"], 3));
}

#[test]
fn a_header_that_goes_on_asks_for_more() {
    for prefix in
        [&b""[..], b"\xEF", b"\xEF\xBB\xBF", b"a,b", b"a,b\r", b"a,\"b\n", b"\n", b"a,\xC3"]
    {
        assert_eq!(csv_header(prefix, false), Ok(HeaderRead::NeedMore), "{prefix:?}");
    }
}

#[test]
fn an_empty_object_has_no_header() {
    assert_eq!(csv_header(b"", true), none(0));
    assert_eq!(csv_header(b"\xEF\xBB\xBF", true), none(3));
    assert_eq!(csv_header(b"\r\n\n", true), none(3));
}

#[test]
fn formats_without_a_header_start_at_their_first_record() {
    let dialect = CsvDialect { header: false, skip_lines: 1, ..csv() };
    assert_eq!(read_header(Format::Csv(dialect), b"x\n1\n", false), none(2));
    assert_eq!(read_header(jsonl(), b"\xEF\xBB\xBF{}", false), none(3));
}

#[test]
fn a_header_that_cannot_be_used_is_refused_by_name() {
    let too_many = HeaderError::TooManyColumns { found: 5, max: 4 };
    assert_eq!(csv_header(b"a,b,c,d,e\n", false), Err(too_many));
    assert_eq!(
        csv_header(b"a,b,a \n", false),
        Err(HeaderError::Duplicate { name: "a".to_owned() })
    );
    assert_eq!(csv_header(b"a,,\n", false), found(&["a", "", ""], 4));
    assert_eq!(csv_header(b"a,\"b\"c\n", false), Err(HeaderError::Quotes));
    assert_eq!(csv_header(&[b'a'; 200], false), Err(HeaderError::TooLong { max: 100 }));
    assert_eq!(csv_header(&[b'a'; 200], true), Err(HeaderError::TooLong { max: 100 }));
    assert_eq!(csv_header(b"a\x00b,c\n", false), Err(HeaderError::NotText { at: 1 }));
    assert_eq!(csv_header(b"\xFF\xFEa\0", false), Err(HeaderError::NotText { at: 0 }));
    assert_eq!(csv_header(b"ab\xC3\n", false), Err(HeaderError::NotText { at: 2 }));
}

#[test]
fn without_names_fields_are_the_contract_in_order() {
    let columns = vec![column("s", ColumnSource::Capture("s".to_owned())), field("a"), field("b")];
    let csv_layout = layout(&pipeline(Format::Csv(csv()), columns.clone()), None);
    assert_eq!((csv_layout.fields, csv_layout.field_of_column), (2, vec![None, Some(0), Some(1)]));
    let json_layout = layout(&pipeline(jsonl(), columns), None);
    assert_eq!(
        (json_layout.fields, json_layout.field_of_column),
        (0, vec![None, Some(0), Some(1)])
    );
}

#[test]
fn a_column_that_the_file_lacks_is_named() {
    let layout = layout(&csv_feed(csv(), 3), Some(&names(&["c", "", "new", "a"])));
    assert_eq!(layout.field_of_column, [Some(3), None, Some(0)]);
    assert_eq!(layout.missing_columns, ["b"]);
    assert_eq!(layout.new_columns, ["unnamed field 2", "new"]);
}

#[test]
fn lines_that_are_skipped_may_hold_anything_wherever_they_are_cut() {
    let dialect = CsvDialect { skip_lines: 2, ..csv() };
    let file = b"M\xE4rz\0\n\xFF\xFE\r\na,b\n";
    for end in 0..=file.len() {
        let read = read_header(Format::Csv(dialect.clone()), &file[..end], false);
        let expected =
            if end < file.len() { Ok(HeaderRead::NeedMore) } else { found(&["a", "b"], 14) };
        assert_eq!(read, expected, "{end}");
    }
}

#[test]
fn what_stands_before_a_header_is_bounded_wherever_it_is_cut() {
    for (skip_lines, before, fits) in
        [(1, 99, true), (1, 100, false), (0, 100, true), (0, 101, false), (3, 34, false)]
    {
        let before = match skip_lines {
            0 => "\n".repeat(before),
            lines => format!("{}\n", "x".repeat(before)).repeat(lines as usize),
        };
        let file = format!("{before}{}\n1\n", "a".repeat(100));
        let dialect = CsvDialect { skip_lines, ..csv() };
        for end in 0..=file.len() {
            let format = Format::Csv(dialect.clone());
            let read = read_header(format, &file.as_bytes()[..end], end == file.len());
            let known = end >= if fits { before.len() + 101 } else { before.len() + 1 };
            match read {
                Ok(HeaderRead::Read { data_start, .. }) => {
                    assert!(fits && data_start == before.len() + 101, "{skip_lines} {end}");
                }
                Ok(HeaderRead::NeedMore) => assert!(!known, "{skip_lines} {end}"),
                Err(error) => {
                    assert!(!fits && error == HeaderError::TooLong { max: 100 }, "{end} {error}");
                }
            }
        }
    }
}

#[test]
fn a_name_in_a_message_is_escaped_and_cut() {
    let evil = "\u{1b}[31m\n\u{202e}";
    let long = "x".repeat(1 << 20);
    let duplicate = |name: &str| HeaderError::Duplicate { name: name.to_owned() }.to_string();
    let escaped =
        "the header names column `\\u001B[31m\\n\\u202E` twice; rename one of them in the file";
    assert_eq!(duplicate(evil), escaped);
    assert!(duplicate(&long).contains("xxx...` twice") && duplicate(&long).len() < 200);

    let mut feed = csv_feed(csv(), 1);
    feed.source.on_new_column = OnNewColumn::Hold;
    let drift = drift(&feed, &layout(&feed, Some(&names(&["a", evil, &long])))).unwrap();
    assert!(drift.contains("`\\u001B[31m\\n\\u202E`, `xxx") && drift.len() < 200, "{drift}");
}
