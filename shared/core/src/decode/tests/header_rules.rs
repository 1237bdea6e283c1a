use super::super::{FirstRows, HeaderError, HeaderRead, drift, header};
use super::*;

fn read_header(format: Format, prefix: &[u8], last: bool) -> Result<HeaderRead, HeaderError> {
    let limits = Limits { columns_max: 4, record_bytes_max: 100, ..Limits::default() };
    header(&pipeline(format, vec![field("a")]).source, prefix, last, &limits)
}

fn csv_header(prefix: &[u8], last: bool) -> Result<HeaderRead, HeaderError> {
    read_header(Format::Csv(csv()), prefix, last)
}

/// The names and where the records begin, of a file that ends here.
fn start(format: Format, file: &[u8]) -> (Option<Vec<String>>, usize) {
    let header = whole(format, file);
    (header.names, header.data_start)
}

fn whole(format: Format, file: &[u8]) -> Header {
    match read_header(format, file, true) {
        Ok(HeaderRead::Read(header)) => header,
        other => panic!("{other:?}"),
    }
}

fn csv_start(file: &[u8]) -> (Option<Vec<String>>, usize) {
    start(Format::Csv(csv()), file)
}

fn found(columns: &[&str], data_start: usize) -> (Option<Vec<String>>, usize) {
    (Some(names(columns)), data_start)
}

fn none(data_start: usize) -> (Option<Vec<String>>, usize) {
    (None, data_start)
}

/// As long as what is looked at first, so that nothing more is asked for on that account.
fn long(start: &[u8]) -> Vec<u8> {
    let mut file = start.to_vec();
    file.resize(start.len() + (64 << 10), b'x');
    file
}

#[test]
fn names_are_read_behind_mark_blank_and_skipped_lines() {
    assert_eq!(csv_start(b"\xEF\xBB\xBFa, b\r\n1,2"), found(&["a", "b"], 9));
    assert_eq!(csv_start(b"\n\na,\"x \"\"y\n\"\n"), found(&["a", "x \"y\n"], 13));
    let dialect = CsvDialect { skip_lines: 2, ..csv() };
    assert_eq!(start(Format::Csv(dialect), b"junk\"\r\n\na,b\n"), found(&["a", "b"], 12));
    assert_eq!(csv_start(b"a,b"), found(&["a", "b"], 3));
    let dialect = CsvDialect { comment: vec!["#".to_owned()], ..csv() };
    assert_eq!(start(Format::Csv(dialect), b"# a note\na,b\n"), found(&["a", "b"], 13));
}

#[test]
fn the_names_of_several_lines_are_joined_and_units_are_skipped() {
    let dialect = CsvDialect { header_lines: 2, skip_after_header: 1, ..csv() };
    let read = whole(Format::Csv(dialect), b"flow,,p\nin,out,\nm3,m3,bar\n1,2,3\n1,2,4\n");
    assert_eq!(read.names, Some(names(&["flow in", "out", "p"])));
    assert_eq!((read.data_start, read.records.len()), (26, 3));
    assert_eq!(read.rows, Some(FirstRows { records: 2, fields: 3, last_is_empty: false }));
}

#[test]
fn a_lone_cr_ends_lines_only_where_nothing_else_does() {
    for (file, expected) in [
        (&b"a,b\n1,x\ry\n"[..], LineEnd::Lf),
        (b"a,b\r\n1,x\ry\r\n", LineEnd::Lf),
        (b"a\rc,b\n1,2\n", LineEnd::Lf),
        (b"a,b\r1,2\r", LineEnd::Any),
        (b"a,b\r1,\"x\ny\"\r", LineEnd::Any),
        (b"\"a,b\n1,2\n3,4\n", LineEnd::Lf),
        (b"a,b", LineEnd::Lf),
    ] {
        assert_eq!(whole(Format::Csv(csv()), file).line_end, expected, "{file:?}");
    }
}

#[test]
fn a_header_that_goes_on_asks_for_more() {
    for prefix in
        [&b""[..], b"\xEF", b"\xEF\xBB\xBF", b"a,b", b"a,b\r", b"a,\"b\n", b"\n", b"a,\xC3"]
    {
        assert_eq!(csv_header(prefix, false), Ok(HeaderRead::NeedMore), "{prefix:?}");
    }
    let limits = Limits::default();
    let source = pipeline(Format::Csv(csv()), vec![field("a")]).source;
    for prefix in [long(b"a,"), long(b"a,\"b\n")] {
        assert_eq!(header(&source, &prefix, false, &limits), Ok(HeaderRead::NeedMore));
    }
}

#[test]
fn an_empty_object_has_no_header() {
    assert_eq!(csv_start(b""), none(0));
    assert_eq!(csv_start(b"\xEF\xBB\xBF"), none(3));
    assert_eq!(csv_start(b"\r\n\n"), none(3));
}

#[test]
fn formats_without_a_header_start_at_their_first_record() {
    let dialect = CsvDialect { header: false, skip_lines: 1, ..csv() };
    assert_eq!(start(Format::Csv(dialect), b"x\n1\n"), none(2));
    assert_eq!(start(jsonl(), b"\xEF\xBB\xBF{}"), none(3));
}

#[test]
fn a_header_that_cannot_be_used_is_refused_by_name() {
    let too_many = HeaderError::TooManyColumns { found: 5, max: 4 };
    let too_long = Err(HeaderError::TooLong { max: 100 });
    assert_eq!(csv_header(b"a,b,c,d,e\n", true), Err(too_many));
    assert_eq!(csv_start(b"a,,\n"), found(&["a", "", ""], 4));
    assert_eq!(csv_header(&long(b""), false), too_long);
    assert_eq!(csv_header(&[b'a'; 200], true), too_long);
    assert_eq!(csv_header(b"a\x00b,c\n", true), Err(HeaderError::NotText { at: 1 }));
    assert_eq!(csv_header(b"\xFF\xFEa\0", true), Err(HeaderError::NotText { at: 0 }));
    assert_eq!(csv_header(b"ab\xC3\n", true), Err(HeaderError::NotText { at: 2 }));
}

/// What an operator is told about a file that is read by the names `a`, `b` and `c`.
fn told(feed: &Pipeline, file: &[u8]) -> Option<String> {
    drift(feed, &layout(feed, &whole(feed.source.format.clone(), file)))
}

#[test]
fn a_damaged_header_is_told_with_what_its_rows_say() {
    let feed = csv_feed(csv(), 3);
    assert_eq!(told(&feed, b"a,b,c\n1,2,3\n4,5,6\n"), None);
    let stray = told(&feed, b"a,\"b\"\" x,c\n1,2,3\n4,5,6\n").unwrap();
    assert!(stray.contains("quote stands in the header") && stray.contains("3 fields"), "{stray}");
    let few = told(&feed, b"a,b,c\n1,2,3,4\n4,5,6,7\n").unwrap();
    assert!(few.contains("names 3 fields (a, b, c)") && few.contains("has 4"), "{few}");
    let trailing = told(&feed, b"a,b,c\n1,2,3,\n4,5,6,\n").unwrap();
    assert!(trailing.contains("csv.trailing_delimiter = true"), "{trailing}");
    let dialect = CsvDialect { trailing_delimiter: true, ..csv() };
    assert_eq!(told(&csv_feed(dialect, 3), b"a,b,c\n1,2,3,\n4,5,6,\n"), None);
    assert_eq!(told(&feed, b"a,b,c\n1,2,3,4\n"), None, "one record may be the one at fault");
}

#[test]
fn a_damaged_header_does_not_matter_to_columns_that_are_named_by_place() {
    let columns =
        vec![column("x", ColumnSource::Position(4)), column("y", ColumnSource::Position(1))];
    let feed = pipeline(Format::Csv(csv()), columns);
    for file in [&b"a,b\n1,2,3,4\n5,6,7,8\n"[..], b"a,\"b\" x,c\n1,2,3,4\n5,6,7,8\n"] {
        let found = layout(&feed, &whole(feed.source.format.clone(), file));
        assert_eq!(drift(&feed, &found), None);
        assert_eq!((found.fields, found.field_of_column), (4, vec![Some(3), Some(0)]));
    }
}

#[test]
fn a_name_that_stands_twice_matters_only_to_columns_that_read_it() {
    let feed = pipeline(Format::Csv(csv()), vec![field("a")]);
    assert_eq!(told(&feed, b"a,b,b\n1,2,3\n"), None);
    let feed = pipeline(Format::Csv(csv()), vec![field("b")]);
    let twice = told(&feed, b"a,b,b\n1,2,3\n").unwrap();
    let expected = "the header names `b` 2 times: choose one by its place, from = 2 or 3;";
    assert!(twice.starts_with(expected), "{twice}");
}

#[test]
fn without_names_fields_are_the_contract_in_order() {
    let columns = vec![column("s", ColumnSource::Capture("s".to_owned())), field("a"), field("b")];
    let csv_layout = layout(&pipeline(Format::Csv(csv()), columns.clone()), &Header::default());
    assert_eq!((csv_layout.fields, csv_layout.field_of_column), (2, vec![None, Some(0), Some(1)]));
    let json_layout = layout(&pipeline(jsonl(), columns), &Header::default());
    assert_eq!(
        (json_layout.fields, json_layout.field_of_column),
        (0, vec![None, Some(0), Some(1)])
    );
}

#[test]
fn a_column_that_the_file_lacks_is_named() {
    let layout = layout(&csv_feed(csv(), 3), &named(&names(&["c", "", "new", "a"])));
    assert_eq!(layout.field_of_column, [Some(3), None, Some(0)]);
    assert_eq!(layout.missing_columns, ["b"]);
    assert_eq!(layout.new_columns, ["unnamed field 2", "new"]);
}

#[test]
fn lines_that_are_skipped_may_hold_anything_wherever_they_are_cut() {
    let dialect = CsvDialect { skip_lines: 2, ..csv() };
    let file = b"M\xE4rz\0\n\xFF\xFE\r\na,b\n";
    assert_eq!(start(Format::Csv(dialect.clone()), file), found(&["a", "b"], 14));
    let source = pipeline(Format::Csv(dialect), vec![field("a")]).source;
    for end in 0..file.len() {
        let read = header(&source, &long(&file[..end]), false, &Limits::default());
        let goes_on = matches!(read, Ok(HeaderRead::NeedMore));
        assert!(goes_on || matches!(read, Err(HeaderError::NotText { .. })), "{end} {read:?}");
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
            let known = end == file.len();
            match read {
                Ok(HeaderRead::Read(Header { data_start, .. })) => {
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
    let feed = pipeline(Format::Csv(csv()), vec![field(evil)]);
    let twice = drift(&feed, &layout(&feed, &named(&names(&[evil, evil])))).unwrap();
    assert!(twice.starts_with("the header names `\\u001B[31m\\n\\u202E` 2 times"), "{twice}");

    let mut feed = csv_feed(csv(), 1);
    feed.source.on_new_column = OnNewColumn::Hold;
    let drift = drift(&feed, &layout(&feed, &named(&names(&["a", evil, &long])))).unwrap();
    assert!(drift.contains("`\\u001B[31m\\n\\u202E`, `xxx") && drift.len() < 200, "{drift}");
}
