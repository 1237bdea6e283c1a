//! CSV: headers, and what stands around the rows.

use rowproof_core::decode::drift;

use crate::table::{ID_TEXT, csv, gives, gives_at, no_header};

#[test]
fn names_are_taken_as_they_are_or_the_file_is_held() {
    let feed = csv("", ID_TEXT);
    for (what, header, new) in [
        ("spaces and tabs around them", " id ,\tt", vec![]),
        ("a byte order mark before them", "\u{feff}id,t", vec![]),
        ("others in any order", "z,t,y,id", vec!["z", "y"]),
        ("none", "id,,t,", vec!["unnamed field 2", "unnamed field 4"]),
        ("only case tells them apart", "id,ID,t,T", vec!["ID", "T"]),
        (
            "names that mean something elsewhere",
            "id,__proto__,t,constructor,_source_row,select,a.b,a/b,=1+1",
            vec!["__proto__", "constructor", "_source_row", "select", "a.b", "a/b", "=1+1"],
        ),
        ("spaces that are not spaces", "id,\u{a0}t,t,\u{200b}t", vec!["\u{a0}t", "\u{200b}t"]),
    ] {
        let names: Vec<&str> = header.trim_start_matches('\u{feff}').split(',').collect();
        let field = |name: &&str| match name.trim_matches([' ', '\t']) {
            "id" => "7",
            "t" => "x",
            _ => "other",
        };
        let row: Vec<&str> = names.iter().map(field).collect();
        let file = format!("{header}\n{}\n", row.join(","));
        let reading = gives(&feed, what, file.as_bytes(), &["7|x"]);
        assert_eq!(reading.layout.unwrap().new_columns, new, "{what}");
    }
    let twice = "id,t,x,x\n1,a,b,c\n";
    gives(&feed, "a name twice that nobody reads", twice.as_bytes(), &["1|a"]);
    for (what, file, reason) in [
        ("one name twice", "id,t,id\n", "names `id` 2 times"),
        ("twice but for spaces", "id,t, t\n", "names `t` 2 times"),
        ("a stray quote", "id,t\"\n1,a\n", "a quote stands in the header where none may"),
        ("a quote that nothing closes", "id,\"t\n1,a\n", "a quote stands in the header"),
        ("a name too few", "id\n1,a\n2,b\n", "names 1 field (id), but each of the first 2"),
    ] {
        let (layout, _) = feed.start(file.as_bytes(), file.len()).unwrap();
        let held = drift(&feed.pipeline, &layout).expect(what);
        assert!(held.contains(reason), "{what}: {held}");
    }
    no_header(&feed, "a NUL", b"id,t\0", "not text at byte 4");
}

#[test]
fn a_name_in_a_message_is_escaped_and_cut() {
    let feed = csv("on_new_column = \"hold\"", ID_TEXT);
    let evil = "\u{1b}[31m\u{202e}\r\n{\"\"level\"\":\"\"INFO\"\"}";
    let long = "x".repeat(1_000_000);
    let twice = format!("\"{evil}\",\"{evil}\"\n");
    let (layout, _) = feed.start(twice.as_bytes(), 9).unwrap();
    let unread = drift(&feed.pipeline, &layout).unwrap();
    let (layout, _) = feed.start(format!("id,t,\"{evil}\",{long}\n").as_bytes(), 99).unwrap();
    let held = drift(&feed.pipeline, &layout).unwrap();
    let (layout, _) = feed.start(format!("{long},{long}").as_bytes(), 99).unwrap();
    let twice = drift(&feed.pipeline, &layout).unwrap();
    for message in [unread, held, twice] {
        assert!(message.len() < 1_000, "{} bytes", message.len());
        let forged = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!message.contains(forged), "{message:?}");
    }
}

#[test]
fn many_columns_are_read_up_to_the_limit() {
    let feed = csv("", "c9998 = \"int64\"\nc0 = \"int64\"");
    let line = |count: usize, prefix: &str| {
        let fields: Vec<String> = (0..count).map(|at| format!("{prefix}{at}")).collect();
        fields.join(",")
    };
    let file = format!("{}\n{}\n{}\n", line(10_000, "c"), line(10_000, ""), line(100_000, ""));
    let second = line(10_000, "c").len() + 1 + line(10_000, "").len() + 1;
    let rejected = format!("!field_count@{second}..{}", second + line(100_000, "").len());
    let sizes = [1_000, 65_536];
    gives_at(&feed, "10,000 columns", file.as_bytes(), &["9998|0", &rejected], &sizes);
    let error = feed.start(line(100_000, "c").as_bytes(), 65_536).unwrap_err().to_string();
    assert!(error.contains("100000 columns") && error.contains("limit of 10000"), "{error}");
}

#[test]
fn a_file_whose_header_is_not_where_it_is_declared_is_held_or_rejected_row_by_row() {
    let feed = csv("", ID_TEXT);
    for (what, file) in [
        ("no header", "1,a\n2,b\n"),
        ("a preamble", "Report of March\n\nid,t\n1,a\n"),
        ("another delimiter", "id;t\n1;a\n"),
    ] {
        let (layout, _) = feed.start(file.as_bytes(), 1).unwrap();
        let held = drift(&feed.pipeline, &layout).unwrap();
        assert!(held.contains("the file has no column `id`, `t`"), "{what}: {held}");
    }
    let rows = ["1|a", "!repeated_header@9..13", "2|b"];
    gives(&feed, "a second header", b"id,t\n1,a\nid,t\n2,b\n", &rows);
    let rows = ["1|a", "!field_count@10..15", "!field_count@16..21"];
    gives(&feed, "a second table", b"id,t\n1,a\n\nx,y,z\n1,2,3\n", &rows);
    let rows = ["1|a", "!type(id)@9..16", "!field_count@17..23"];
    gives(&feed, "totals at the end", b"id,t\n1,a\nTotal,1\n1 rows\n", &rows);
}

#[test]
fn declared_preambles_and_missing_headers_are_followed() {
    let feed = csv("csv = { skip_lines = 2 }", ID_TEXT);
    for (what, preamble) in [
        ("text", &b"Report of \"March\n\r\n"[..]),
        ("blank lines", b"\n\n"),
        ("another encoding and control bytes", b"M\xE4rz\0\x1b\n\xFF\xFE\r\n"),
    ] {
        let file = [preamble, b"id,t\n1,a\n"].concat();
        gives(&feed, what, &file, &["1|a"]);
    }
    gives(&feed, "nothing but preamble", b"a\nb", &[]);
    let feed = csv("csv = { header = false }", ID_TEXT);
    gives(&feed, "no header", b"1,a\n2,b\n", &["1|a", "2|b"]);
    gives(&feed, "a header all the same", b"id,t\n2,b\n", &["!type(id)@0..4", "2|b"]);
    gives(&feed, "a byte order mark", "\u{feff}1,a\n".as_bytes(), &["1|a"]);
}
