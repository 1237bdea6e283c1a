use super::*;

fn rows(dialect: CsvDialect, text: &str) -> Vec<String> {
    shown(&read_all(&csv_feed(dialect, 2), &Limits::default(), text.as_bytes()))
}

#[test]
fn a_stray_quote_costs_one_record() {
    assert_eq!(
        rows(csv(), "1,a\n2,\"b\n3,c\n4,\"d\"\n"),
        ["1|a", "!unterminated_quote", "3|c", "4|d"]
    );
    assert_eq!(rows(csv(), "1,a\n2,b\"\n3,c\n"), ["1|a", "!bad_quote", "3|c"]);
    assert_eq!(rows(csv(), "1,\"a\"x\n2,b\n"), ["!bad_quote", "2|b"]);
}

#[test]
fn a_quote_that_nothing_closes_gives_its_line_back() {
    assert_eq!(rows(csv(), "1,\"a\n2,b\n3,c"), ["!unterminated_quote", "2|b", "3|c"]);
}

#[test]
fn a_stray_quote_after_a_closed_one_does_not_take_the_lines_between() {
    // The quote of line 1 is closed by the opening quote of line 2; the next one shows that it was stray.
    assert_eq!(rows(csv(), "1,\"a\n2,\",b\"\n3,c\n"), ["!unterminated_quote", "2|,b", "3|c"]);
}

#[test]
fn quoted_line_ends_doubled_quotes_and_delimiters_are_text() {
    assert_eq!(rows(csv(), "\"1\r\n\",\"a\"\"b,\"\r\n2,\r\n"), ["1\r\n|a\"b,", "2|"]);
}

#[test]
fn an_escape_counts_before_a_quote_or_itself_inside_quotes() {
    let dialect = CsvDialect { escape: Some(b'\\'), ..csv() };
    assert_eq!(rows(dialect.clone(), r#""a\"b\\",\c"#), [r#"a"b\|\c"#]);
    assert_eq!(rows(dialect, r#""C:\temp","\d+, a""#), [r"C:\temp|\d+, a"]);
}

#[test]
fn without_quoting_a_quote_is_text() {
    let dialect = CsvDialect { quote: None, ..csv() };
    assert_eq!(rows(dialect, "\"a,b\"c\n"), ["\"a|b\"c"]);
}

#[test]
fn quoted_text_is_told_from_plain_text() {
    let read = read_all(&csv_feed(csv(), 2), &Limits::default(), b"\"\",\n");
    let cells = vec![Some((String::new(), true)), Some((String::new(), false))];
    assert_eq!(read.items[0].result, Ok(cells));
}

#[test]
fn every_line_end_ends_a_record_and_blank_lines_are_counted() {
    let read = read_all(&csv_feed(csv(), 2), &Limits::default(), b"\n1,a\r\r2,b\r\n\r\n3,c\n\n");
    assert_eq!(shown(&read), ["1|a", "2|b", "3|c"]);
    assert_eq!((read.blank_lines, read.bytes), (4, 18));
    let places: Vec<_> = read.items.iter().map(|item| (item.row, item.start, item.end)).collect();
    assert_eq!(places, [(0, 1, 4), (1, 6, 9), (2, 13, 16)]);
}

#[test]
fn ragged_records_follow_the_policy() {
    let text = "1\n1,2\n1,2,3\n";
    let with = |ragged| rows(CsvDialect { ragged, ..csv() }, text);
    assert_eq!(with(Ragged::Reject), ["!field_count", "1|2", "!field_count"]);
    assert_eq!(with(Ragged::Pad), ["1|NULL", "1|2", "!field_count"]);
    assert_eq!(with(Ragged::Lenient), ["1|NULL", "1|2", "1|2"]);
    let read = read_all(&csv_feed(csv(), 2), &Limits::default(), b"1,2,3\n");
    assert_eq!(read.items[0].result, Err((RejectCode::FieldCount, Some(3), None)));
}

#[test]
fn a_record_that_is_no_utf8_is_rejected_alone_whatever_else_is_wrong_with_it() {
    let read =
        read_all(&csv_feed(csv(), 2), &Limits::default(), b"1,a\n2,\xFFb\"\n3,\xC3\n\xA9,4\n5,e\n");
    assert_eq!(shown(&read), ["1|a", "!encoding", "!encoding", "!encoding", "5|e"]);
}

#[test]
fn a_record_over_the_limit_is_skipped_in_pieces_and_keeps_its_digest() {
    let limits = Limits { record_bytes_max: 10, ..Limits::default() };
    let data = format!("1,a\n2,{}\n3,c\n", "x".repeat(100));
    let mut decoder = decoder(&csv_feed(csv(), 2), &limits);
    let mut largest = 0;
    let (mut at, mut have, mut result) = (0, 4, Vec::new());
    let mut digest = Digest::default();
    while at < data.len() {
        let to = data.len().min(at + have);
        let out =
            decoder.decode(data.as_bytes()[at..to].to_vec(), to == data.len(), Budget::UNLIMITED);
        largest = largest.max(to - at);
        at += out.counts.bytes as usize;
        have = if out.counts.bytes == 0 { have + 4 } else { 4 };
        digest += out.source_digest;
        result.extend(out.defects.iter().map(|d| (d.code, d.earlier + u64::from(d.record.end))));
    }
    assert_eq!(result, [(RejectCode::TooLarge, 102)]);
    assert!(largest <= 16, "never held whole: {largest}");
    let mut expected = Digest::default();
    data.lines().for_each(|line| expected.add(xxhash_rust::xxh3::xxh3_128(line.as_bytes())));
    assert_eq!(digest, expected);
}

#[test]
fn a_field_over_the_limit_rejects_its_record() {
    let limits = Limits { field_bytes_max: 3, ..Limits::default() };
    let read = read_all(&csv_feed(csv(), 2), &limits, b"1,abc\n2,abcd\n3,\"abc\"\n");
    assert_eq!(shown(&read), ["1|abc", "!too_large", "3|abc"]);
}

#[test]
fn quotes_that_nothing_closes_in_every_record_stay_linear() {
    // Quadratic work would take hours here.
    let line = "1,\"a\n2,\"\"\"\n";
    let data = line.repeat(400_000);
    let read = read_all(&csv_feed(csv(), 2), &Limits::default(), data.as_bytes());
    assert!(read.items.len() >= 400_000);
    let opened = format!("1,\"a\n{}", "2,b\n".repeat(1_000_000));
    let read = read_all(&csv_feed(csv(), 2), &Limits::default(), opened.as_bytes());
    assert_eq!(read.items.len(), 1_000_001);
}

#[test]
fn only_contract_columns_are_kept_in_contract_order() {
    let mut columns =
        vec![field("b"), column("src", ColumnSource::Capture("src".to_owned())), field("a")];
    columns.push(column("c", ColumnSource::Field(names(&["z", "c"]))));
    let pipeline = pipeline(Format::Csv(csv()), columns);
    let layout = layout(&pipeline, &named(&names(&["a", " x ", "b ", "c"])));
    assert_eq!(layout.field_of_column, [Some(2), None, Some(0), Some(3)]);
    assert_eq!((&layout.new_columns, &layout.missing_columns), (&names(&["x"]), &Vec::new()));

    let mut decoder = Decoder::new(&pipeline, Arc::new(layout), &Limits::default());
    let mut all = Read::default();
    read(&mut decoder, b"1,2,3,4\n", 0..8, 8, Budget::UNLIMITED, &mut all);
    assert_eq!(shown(&all), ["3|NULL|1|4"]);
}

/// Rows of a file whose lines end with LF.
fn lf_rows(dialect: CsvDialect, text: &str) -> Vec<String> {
    let mut feed = csv_feed(dialect, 2);
    feed.name = "lf".to_owned();
    shown(&read_all(&feed, &Limits::default(), text.as_bytes()))
}

#[test]
fn a_lone_cr_is_text_where_lines_end_with_lf() {
    assert_eq!(lf_rows(csv(), "1,a\rb\n2,c\r\n3,d\r\r\n"), ["1|a\rb", "2|c", "3|d"]);
    assert_eq!(lf_rows(csv(), "1,\"a\"\r\n2,\"b\"\r\n"), ["1|a", "2|b"]);
    assert_eq!(lf_rows(csv(), "1,\"a\"\rx\n2,b\n"), ["!bad_quote", "2|b"]);
    assert_eq!(lf_rows(csv(), "1,a\n2,b\r"), ["1|a", "2|b"], "half of a line end");
}

#[test]
fn what_stands_inside_a_broken_quoted_field_is_no_row() {
    let text = "1,\"he said \\\"no\\\" here,\nDear all, see below\nend\"\n2,plain\n";
    assert_eq!(rows(csv(), text), ["!bad_quote", "2|plain"]);
    // The field is closed at the line's end: an even number of quotes.
    assert_eq!(rows(csv(), "1,\"Left\" valve\n2,a\n3,5\"\n"), ["!bad_quote", "2|a", "!bad_quote"]);
    // A quote that can open says that the one before was stray.
    let text = "1,\"he said \"no\" here,\n2,a\n3,\"b\"\n4,c\"\n";
    assert_eq!(rows(csv(), text), ["!bad_quote", "2|a", "3|b", "!bad_quote"]);
}

#[test]
fn a_quoted_field_over_the_limit_is_one_record() {
    let limits = Limits { record_bytes_max: 40, ..Limits::default() };
    let text = format!("A,\"x\"\nB,\"{}0\"\nC,\"y\"\n", "1.5 1.5,\n".repeat(15));
    let read = read_all(&csv_feed(csv(), 2), &limits, text.as_bytes());
    assert_eq!(shown(&read), ["A|x", "!too_large", "C|y"]);
}

fn text_escapes() -> CsvDialect {
    CsvDialect {
        delimiter: b'\t',
        quote: None,
        escape: Some(b'\\'),
        escapes: Escapes::Text,
        null: vec!["\\N".to_owned()],
        ..csv()
    }
}

#[test]
fn escapes_outside_quotes_stand_for_what_a_field_cannot_hold() {
    let rows = |text: &str| rows(text_escapes(), text);
    assert_eq!(rows("a\\nb\\tc\t\\\\x\\'\n"), ["a\nb\tc|\\x'"]);
    assert_eq!(rows("a\\\nb\tc\\\td\n"), ["a\nb|c\td"]);
    assert_eq!(rows("a\\0b\tc\n1\t2\n"), ["!bad_escape", "1|2"]);
    assert_eq!(rows("a\\x41\tc\nb\\q\tc\n"), ["!bad_escape", "!bad_escape"]);
    assert_eq!(rows("a\tb\\"), ["!bad_escape"], "an escape of nothing");
    let read = read_all(&csv_feed(text_escapes(), 2), &Limits::default(), b"\\N\t\\\\N\n");
    let cells = vec![Some(("\\N".to_owned(), false)), Some(("\\N".to_owned(), true))];
    assert_eq!(read.items[0].result, Ok(cells), "the first means NULL, the second is a text");
}

#[test]
fn quoted_fields_can_hold_escapes_for_control_characters_too() {
    let dialect = CsvDialect { quote: Some(b'"'), delimiter: b',', ..text_escapes() };
    assert_eq!(rows(dialect, "\"say \\\"hi\\\"\",\"a\\\nb\\tc\"\n"), ["say \"hi\"|a\nb\tc"]);
}

#[test]
fn a_delimiter_of_several_characters_is_one() {
    let dialect = |rest: &str| CsvDialect { delimiter: b'|', delimiter_rest: rest.into(), ..csv() };
    assert_eq!(rows(dialect("|"), "a|b||\"c||d\"\n1|||2\n"), ["a|b|c||d", "1||2"]);
    assert_eq!(rows(dialect("~|"), "a|~b|~|c\n"), ["a|~b|c"]);
}

#[test]
fn lines_of_delimiters_alone_and_comments_are_no_records() {
    let dialect = CsvDialect { comment: vec!["#".into(), "--".into()], ..csv() };
    let feed = csv_feed(dialect, 2);
    let read = read_all(&feed, &Limits::default(), b"# a,b,c\n1,a\n,\n , \n--\n, ,,\n2,#\n,x\n");
    assert_eq!((shown(&read), read.blank_lines), (names(&["1|a", " | ", "2|#", "|x"]), 4));
}

#[test]
fn a_blank_line_is_null_where_a_file_has_one_column() {
    let dialect = CsvDialect { blank_lines: BlankLines::Null, ..csv() };
    let feed = csv_feed(dialect, 1);
    let read = read_all(&feed, &Limits::default(), b"a\n\n\"\"\r\n\r\nb\n");
    assert_eq!(shown(&read), ["a", "", "", "", "b"]);
    let quoted: Vec<bool> =
        read.items.iter().map(|item| item.result.clone().unwrap()[0].clone().unwrap().1).collect();
    assert_eq!(quoted, [false, false, true, false, false]);
}

#[test]
fn a_delimiter_at_the_end_of_each_record_can_be_declared() {
    let dialect = CsvDialect { trailing_delimiter: true, ..csv() };
    assert_eq!(rows(dialect, "1,a,\n2,b\n3,c,x\n4,,\n"), ["1|a", "2|b", "!field_count", "4|"]);
}

#[test]
fn the_formula_that_keeps_a_text_is_read_as_the_text() {
    let dialect = CsvDialect { formula_text: true, ..csv() };
    assert_eq!(rows(dialect, "=\"007\",\"=\"\"08\"\"\"\n=1,\"=x\"\n"), ["007|08", "=1|=x"]);
}

#[test]
fn repairs_are_counted_by_kind() {
    let dialect = CsvDialect { ragged: Ragged::Lenient, ..csv() };
    let mut decoder = decoder(&csv_feed(dialect, 2), &Limits::default());
    let decoded = decoder.decode(b"1\n1,2\n1,2,\n1,2,3\n1,2,,\n".to_vec(), true, Budget::UNLIMITED);
    let expected = Repairs {
        fields_added: 1,
        empty_fields_dropped: 2,
        fields_dropped: 1,
        ..Repairs::default()
    };
    assert_eq!(decoded.counts.repairs, expected);
}

#[test]
fn the_header_in_the_middle_of_a_file_is_rejected_by_its_name() {
    use super::super::{HeaderRead, header};
    let feed = csv_feed(csv(), 2);
    let file = "\u{feff}a,b\r\n1,x\r\n\u{feff}a,b\r\n2,y\r\na,b\r\n\u{feff}3,z\r\n".as_bytes();
    let Ok(HeaderRead::Read(header)) = header(&feed.source, file, true, &Limits::default()) else {
        panic!("a header");
    };
    let mut decoder = Decoder::new(&feed, Arc::new(layout(&feed, &header)), &Limits::default());
    let mut all = Read::default();
    let data = &file[header.data_start..];
    read(&mut decoder, data, 0..data.len(), data.len(), Budget::UNLIMITED, &mut all);
    assert_eq!(shown(&all), ["1|x", "!repeated_header", "2|y", "!repeated_header", "3|z"]);
}
