use super::*;

fn sniffed(text: &str) -> Sniffed {
    sniff(text.as_bytes(), true)
}

#[test]
fn the_delimiter_is_the_one_that_explains_every_line() {
    for (text, expected) in [
        ("a,b,c\n1,2,3\n", ","),
        ("a;b;c\n1,5;2,5;3\n", ";"),
        ("a\tb\nx, y\tz\n", "\t"),
        ("a|b|c\r\n1|2|3\r\n", "|"),
        ("\"a;b\",c\n\"x;y;z\",2\n", ","),
        ("a;b\n\"x\ny;z\";2\n", ";"),
        ("name\nanna\n", ","),
        ("a;b", ";"),
        ("", ","),
        ("a;b;c\n1;2;3\n4;5", ";"),
        ("a||b||c\n1||2||3\n", "||"),
        ("a~|~b\n1~|~2\n", "~|~"),
        ("a, b, c\n1, 2, 3\n4, \"x, y\", 5\n", ", "),
        ("a,b,c\n1, 2,3\n4,5,6\n", ","),
        ("a\u{1}b\n1\u{1}2\n", "\u{1}"),
        ("2 1 ENI 10.0\n2 1 ENI 10.2\n", " "),
        ("sep=;\na;b\n1;2,5\n", ";"),
    ] {
        assert_eq!(sniffed(text).dialect.separator(), expected, "{text:?}");
    }
}

#[test]
fn quotes_and_escapes_are_those_that_break_no_record() {
    let plain = CsvDialect::default();
    let escape = Some(b'\\');
    let tab = CsvDialect { delimiter: b'\t', ..plain.clone() };
    let text = CsvDialect { escape, escapes: Escapes::Text, quote: None, ..tab.clone() };
    for (file, expected) in [
        ("id,t\n1,\"say \"\"hi\"\"\"\n2,b\n", plain.clone()),
        ("id,t\n1,\"say \\\"hi\\\" now\"\n2,b\n", CsvDialect { escape, ..plain.clone() }),
        ("id\tt\n1\tPipe 5\" wide\n2\t\"Left\" valve\n", CsvDialect { quote: None, ..tab.clone() }),
        ("id\tt\n1\tline1\\nline2\n2\ta\\\\b\n3\t\\N\n", text.clone()),
        ("id\tt\n1\tC:\\dir\n2\tb\n", tab.clone()),
        ("id,t\n1,C:\\new\\table\n2,\\N\n", plain.clone()),
        (
            "1,\"say \\\"hi\\\"\"\n2,\"two\\\nlines\"\n3,\\N\n",
            CsvDialect { escape, escapes: Escapes::Text, header: false, ..plain.clone() },
        ),
        ("id,t\n1,'a, b'\n2,'c'\n", CsvDialect { quote: Some(b'\''), ..plain.clone() }),
        ("id,t\n1,=\"007\"\n2,=\"08\"\n", CsvDialect { formula_text: true, ..plain.clone() }),
    ] {
        assert_eq!(sniffed(file).dialect, expected, "{file:?}");
    }
}

#[test]
fn a_first_line_of_values_is_no_header() {
    for (text, names) in [
        ("7001,pen,2031-03-04,5\n7002,ink,2031-03-05,6\n7003,cap,2031-03-06,7\n", None),
        ("a,1\nb,2\na,3\n", None),
        ("id,name\n1,x\n2,y\n", Some(vec!["id", "name"])),
        // A line that comes again is the header among lines that do not, and of names alone.
        ("name,city\nanna,Ulm\nname,city\nbert,Bonn\n", Some(vec!["name", "city"])),
        (
            "e-mail @,city of the person here\nanna,Ulm\ne-mail @,city of the person here\nbert,Bonn\n",
            Some(vec!["e-mail @", "city of the person here"]),
        ),
        ("anna,Ulm\nbert,Bonn\nanna,Ulm\nbert,Bonn\n", None),
        ("a,1\nb,2\na,1\nc,3\n", None),
        (",name\n0,x\n1,y\n", Some(vec!["", "name"])),
        ("name,city\nanna,Ulm\nbert,Bonn\n", Some(vec!["name", "city"])),
        ("id,name\n", Some(vec!["id", "name"])),
    ] {
        let found = sniffed(text);
        assert_eq!(found.dialect.header, names.is_some(), "{text:?} {:?}", found.remarks);
        let made_up = names.is_none() && found.names.first().is_some_and(|name| name == "column_1");
        assert!(made_up || names.is_some_and(|names| names == found.names), "{:?}", found.names);
    }
}

#[test]
fn what_stands_around_the_header_is_skipped_with_a_word() {
    let found = sniffed(
        "\"LOG1\",\"site 7\"\n\"at\",\"n\",\"volt\"\n\"TS\",\"RN\",\"V\"\n\
                         \"2031-03-04 00:00:00\",0,12.0\n\"2031-03-04 01:00:00\",1,12.1\n\
                         \"2031-03-04 02:00:00\",2,12.2\n",
    );
    let CsvDialect { skip_lines, skip_after_header, .. } = found.dialect;
    assert_eq!((skip_lines, skip_after_header), (1, 1), "{:?}", found.remarks);
    assert_eq!(found.names, ["at", "n", "volt"]);
    assert!(found.remarks.len() >= 2, "{:?}", found.remarks);

    let found = sniffed("Report of May\n\nid;amount\n1;5\n2;6\n3;7\n");
    assert_eq!((found.dialect.skip_lines, found.names.len()), (2, 2), "{:?}", found.remarks);
}

#[test]
fn a_header_that_does_not_fit_its_rows_gives_names_by_place() {
    let trailing = sniffed("id;name\n1;a;\n2;b;\n3;c;\n");
    assert!(trailing.dialect.trailing_delimiter && trailing.dialect.header);
    assert_eq!(trailing.names, ["id", "name"]);
    let short =
        sniffed("\"id\" \"name\"\n\"1\" 7 \"a\"\n\"2\" 8 \"b\"\n".replace(' ', ",").as_str());
    assert_eq!((short.dialect.header, short.dialect.skip_lines), (false, 1));
    assert_eq!(short.names, ["row_name", "id", "name"]);
}

#[test]
fn empty_lines_of_one_column_are_nulls() {
    let found = sniffed("name\nanna\n\nbert\n");
    assert_eq!(found.dialect.blank_lines, crate::pipeline::BlankLines::Null);
}

#[test]
fn a_second_table_in_the_file_is_named() {
    let told = |text: &str| sniffed(text).remarks.join(" ");
    let file = "id,t,n\n1,a,5\n2,b,6\n3,c,7\n";
    let found = told(&format!("{file}\ncode,label\nX,ten\nY,six\n"));
    assert!(found.contains("from row 4 on (\"code\") the records have 2 fields"), "{found}");
    for tail in ["", "end,of it\n", "4,d\n", "4,d\n5,e\n", "total\n"] {
        let found = told(&format!("{file}{tail}"));
        assert!(!found.contains("second table"), "{tail:?}: {found}");
    }
}

#[test]
fn a_first_row_that_is_nearly_empty_is_no_line_of_units() {
    let skipped = |text: &str| sniffed(text).dialect.skip_after_header;
    assert_eq!(skipped("id,a,b,c\n,,,x\n1,2,3,4\n2,3,4,5\n"), 0);
    assert_eq!(skipped("id,a,b,c\n-,m,kg,s\n,,,x\n1,2,3,4\n2,3,4,5\n"), 2);
}
