//! CSV: line ends, quotes, fields, delimiters.

use crate::table::{ID_TEXT, csv, gives, refused, with_limits};

#[test]
fn a_file_without_rows_has_none() {
    let feed = csv("", ID_TEXT);
    for (what, file) in [
        ("no byte", ""),
        ("only a byte order mark", "\u{feff}"),
        ("only a header", "id,t\n"),
        ("a header without its line end", "id,t"),
        ("only line ends", "\n\r\n\r"),
        ("a header and blank lines", "\u{feff}id,t\r\n\r\n\n"),
    ] {
        gives(&feed, what, file.as_bytes(), &[]);
    }
}

#[test]
fn the_last_line_end_may_be_missing_or_double_and_blank_lines_are_no_rows() {
    let feed = csv("", ID_TEXT);
    for (what, file, blank_lines) in [
        ("no last line end", "id,t\n1,a\n2,b", 0),
        ("one", "id,t\n1,a\n2,b\n", 0),
        ("two", "id,t\n1,a\n2,b\n\n", 1),
        ("blank lines inside", "id,t\n\n1,a\n\r\n\r\n2,b\n", 3),
        ("blank lines before the header", "\n\nid,t\n1,a\n2,b\n", 0),
    ] {
        let reading = gives(&feed, what, file.as_bytes(), &["1|a", "2|b"]);
        assert_eq!(reading.blank_lines, blank_lines, "{what}");
    }
    let spaces =
        gives(&feed, "a line of spaces", b"id,t\n  \n1,a\n", &["!field_count@5..7", "1|a"]);
    assert_eq!(spaces.blank_lines, 0);
}

#[test]
fn every_line_end_ends_a_row_and_a_lone_cr_only_where_no_other_does() {
    let feed = csv("", ID_TEXT);
    for (what, file) in [
        ("LF", "id,t\n1,a\n2,\"b\n\"\n3,c\n"),
        ("CRLF", "id,t\r\n1,a\r\n2,\"b\n\"\r\n3,c\r\n"),
        ("CR", "id,t\r1,a\r2,\"b\n\"\r3,c\r"),
        ("mixed", "id,t\r\n1,a\n2,\"b\n\"\r\n3,c"),
    ] {
        gives(&feed, what, file.as_bytes(), &["1|a", "2|b\n", "3|c"]);
    }
    gives(&feed, "CR in quotes", b"id,t\r\n1,\"a\rb\"\r\n2,\"\r\n\"\r\n", &["1|a\rb", "2|\r\n"]);
    gives(&feed, "CR among LFs", b"id,t\n1,a\rb\n2,\r\n3,\rc\n", &["1|a\rb", "2|<null>", "3|\rc"]);
    gives(&feed, "CR CR LF", b"id,t\r\r\n1,a\r\r\n2,b\r\r\n", &["1|a", "2|b"]);
    gives(
        &feed,
        "other separators are text",
        "id,t\n1,a\u{2028}b\u{85}c\x0b\x0c\n".as_bytes(),
        &["1|a\u{2028}b\u{85}c\x0b\x0c"],
    );
}

#[test]
fn what_is_quoted_is_text_wherever_it_is_cut() {
    let feed = csv("", ID_TEXT);
    for (what, file, rows) in [
        ("line ends", "id,t\n1,\"a\n\nb\"\n2,c\n", vec!["1|a\n\nb", "2|c"]),
        ("delimiters", "id,t\n1,\",a,\"\n\"2\",c\n", vec!["1|,a,", "2|c"]),
        ("doubled quotes", "id,t\n1,\"\"\"\"\n2,\"\"\"a\"\"\"\"\"\n", vec!["1|\"", "2|\"a\"\""]),
        ("all of them", "id,t\n1,\"\"\",\"\"\n\"\",\"\"\"\n", vec!["1|\",\"\n\",\""]),
        ("rows in rows", "id,t\n1,\"2,\"\"x\"\"\n3,y\n\"\n4,z\n", vec!["1|2,\"x\"\n3,y\n", "4|z"]),
        ("quoted names", "\"id\",\"t\"\n1,\"\"\n", vec!["1|"]),
    ] {
        gives(&feed, what, file.as_bytes(), &rows);
    }
}

#[test]
fn a_quote_that_nothing_closes_costs_its_own_line() {
    let feed = csv("", ID_TEXT);
    for (what, file, rows) in [
        ("in the last row", "id,t\n1,a\n2,\"b", vec!["1|a", "!unterminated_quote@9..13"]),
        ("rows behind it", "id,t\n1,\"a\n2,b\n3,c", vec!["!unterminated_quote@5..9", "2|b", "3|c"]),
        ("quote at the very end", "id,t\n1,a\n2,\"", vec!["1|a", "!unterminated_quote@9..12"]),
        ("closed by the end", "id,t\n1,a\n2,\"\"", vec!["1|a", "2|"]),
        ("line end behind it", "id,t\n2,\"b\n", vec!["!unterminated_quote@5..9"]),
        (
            "closed where no quote may close",
            "id,t\n1,\"a\n2,b\"c\n3,d\n",
            vec!["!unterminated_quote@5..9", "!bad_quote@10..15", "3|d"],
        ),
    ] {
        gives(&feed, what, file.as_bytes(), &rows);
    }
    let small = with_limits(csv("", ID_TEXT), 12, 12);
    let file = b"id,t\n1,\"a\n2,bbbb\n3,cccc\"\n4,d\n";
    gives(&small, "closed too late", file, &["!too_large@5..24", "4|d"]);
}

#[test]
fn a_stray_quote_rejects_its_record_alone() {
    let feed = csv("", ID_TEXT);
    for (what, file, rows) in [
        ("inside a field", "id,t\n1,a\"b\n2,c\n", vec!["!bad_quote@5..10", "2|c"]),
        ("inches", "id,t\n1,19\" tube\n2,c\n", vec!["!bad_quote@5..15", "2|c"]),
        ("behind the closing one", "id,t\n1,\"a\"b\n2,c\n", vec!["!bad_quote@5..11", "2|c"]),
        ("a space before it", "id,t\n1, \"a\"\n2,c\n", vec!["!bad_quote@5..11", "2|c"]),
        ("a space behind it", "id,t\n1,\"a\" \n2,c\n", vec!["!bad_quote@5..11", "2|c"]),
        ("single quotes are text", "id,t\n1,'a\n2,it's\n", vec!["1|'a", "2|it's"]),
        (
            "in the row before a quoted line end",
            "id,t\n1,a\"\n2,\"b\nc\"\n",
            vec!["!bad_quote@5..9", "2|b\nc"],
        ),
    ] {
        gives(&feed, what, file.as_bytes(), &rows);
    }
}

#[test]
fn too_few_and_too_many_fields_follow_the_declared_policy() {
    let file = b"id,t\n1\n2,b\n3,c,x\n4,\n";
    let with = |ragged: &str, rows: &[&str]| {
        gives(&csv(&format!("csv = {{ ragged = \"{ragged}\" }}"), ID_TEXT), ragged, file, rows);
    };
    with("reject", &["!field_count@5..6", "2|b", "!field_count@11..16", "4|<null>"]);
    with("pad", &["1|<null>", "2|b", "!field_count@11..16", "4|<null>"]);
    with("lenient", &["1|<null>", "2|b", "3|c", "4|<null>"]);
    let feed = csv("", ID_TEXT);
    let all = ["!field_count@5..9", "!field_count@10..14"];
    gives(&feed, "a delimiter too many in all rows", b"id,t\n1,a,\n2,b,\n", &all);
    let file = b"id,t,\n1,a,\n2,b,\n";
    let reading = gives(&feed, "and in the header", file, &["1|a", "2|b"]);
    assert_eq!(reading.layout.unwrap().new_columns, ["unnamed field 3"], "said once, not each row");
}

#[test]
fn declared_delimiters_quotes_and_escapes_are_followed() {
    for (options, file, rows) in [
        ("delimiter = \";\"", "id;t\n1;a,b\n2;\";\"\n", vec!["1|a,b", "2|;"]),
        ("delimiter = \"\\t\"", "id\tt\n1\ta b\n2\t\"\t\"\n", vec!["1|a b", "2|\t"]),
        ("delimiter = \"|\"", "id|t\n1|a,b\n", vec!["1|a,b"]),
        ("delimiter = \"\\u0001\"", "id\u{1}t\n1\u{1}a\n", vec!["1|a"]),
        ("delimiter = \", \"", "id, t\n1, a,b\n2, \", \"\n", vec!["1|a,b", "2|, "]),
        ("delimiter = \" \"", "id t\n1 a\n2  b\n", vec!["1|a", "!field_count@9..13"]),
        ("quote = \"'\"", "id,t\n1,'a,''b'\n2,\"\n", vec!["1|a,'b", "2|\""]),
        ("quote = \"\"", "id,t\n1,\"a\n2,b\"\n", vec!["1|\"a", "2|b\""]),
        (
            "escape = \"\\\\\"",
            "id,t\n1,\"a\\\"b\\\\\"\n2,\"\\\n\"\n3,\\n\n4,\"x\\",
            vec!["1|a\"b\\", "2|\\\n", "3|\\n", "!unterminated_quote@28..33"],
        ),
    ] {
        gives(&csv(&format!("csv = {{ {options} }}"), ID_TEXT), options, file.as_bytes(), &rows);
    }
    for options in ["delimiter = \"\"", "delimiter = \"§\"", "quote = \"\\n\""] {
        assert!(refused(&format!("csv = {{ {options} }}"), ID_TEXT).contains("ASCII"), "{options}");
    }
    gives(&csv("", ID_TEXT), "the wrong one", b"id;t\n1;a\n", &["!not_null(id)@5..8"]);
}
