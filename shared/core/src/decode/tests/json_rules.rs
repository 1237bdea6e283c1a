use super::*;

fn feed() -> Pipeline {
    let b = column("b", ColumnSource::Field(names(&["b", "B"])));
    pipeline(jsonl(), vec![field("a"), b])
}

fn rows(text: &str) -> Vec<String> {
    shown(&read_all(&feed(), &Limits::default(), text.as_bytes()))
}

#[test]
fn values_keep_their_text_and_only_strings_are_quoted() {
    let read = read_all(
        &feed(),
        &Limits::default(),
        b"{\"a\":12345678901234567890.10,\"b\":\"\"}\n {\"b\":true, \"a\" : null} \n",
    );
    let cell = |text: &str, quoted| Some((text.to_owned(), quoted));
    assert_eq!(
        read.items[0].result,
        Ok(vec![cell("12345678901234567890.10", false), cell("", true)])
    );
    assert_eq!(read.items[1].result, Ok(vec![None, cell("true", false)]));
}

#[test]
fn escapes_are_resolved_and_broken_ones_reject() {
    assert_eq!(rows(r#"{"a":"\u00e9\n\"","b":"\ud83d\ude00"}"#), ["é\n\"|😀"]);
    assert_eq!(rows(r#"{"a":"\ud800"}"#), ["!bad_json"]);
    assert_eq!(rows(r#"{"\u0061":1}"#), ["1|NULL"]);
}

#[test]
fn the_first_name_that_the_object_has_counts() {
    assert_eq!(
        rows("{\"B\":1}\n{\"B\":1,\"b\":2}\n{\"b\":null,\"B\":1}"),
        ["NULL|1", "NULL|2", "NULL|NULL"]
    );
}

#[test]
fn what_is_no_single_object_is_bad_json() {
    for line in [
        "[1]",
        "1",
        "\"a\"",
        "null",
        "{\"a\":1,}",
        "{\"a\":1} x",
        "{\"a\":1}{\"a\":2}",
        "{\"a\":nan}",
        "{\"a\":NaN,}",
        "{\"a\":NaN,\"a\":1}",
        "{\"a\":01}",
        "{'a':1}",
        "{\"a\":1",
        "{\"a\":\"\t\"}",
        "// x",
        "{\"a\":1,\"a\":1}",
        "{\"z\":1,\"z\":1}",
        "{\"z\":1,\"\\u007a\":1}",
    ] {
        assert_eq!(rows(line), ["!bad_json"], "{line}");
    }
    assert_eq!(rows("\u{feff}{}"), ["NULL|NULL"], "a mark between files that were joined");
}

#[test]
fn numbers_that_json_has_no_word_for_keep_their_text() {
    assert_eq!(rows(r#"{"a":NaN,"b": -Infinity }"#), ["NaN|-Infinity"]);
    assert_eq!(rows("\u{feff}{\"z\":[NaN],\"é\":Infinity,\"b\":\"NaN\"}"), ["NULL|NaN"]);
}

#[test]
fn the_lines_of_a_list_are_read_where_it_is_declared() {
    let mut feed = feed();
    feed.source.format = Format::Jsonl(JsonlOptions { list: true, ..JsonlOptions::default() });
    let rows = |text: &str| shown(&read_all(&feed, &Limits::default(), text.as_bytes()));
    let expected = ["1|NULL", "2|x,]", "NULL|-Infinity"];
    for text in [
        // SQLite's .mode json; json_agg of Postgres; ARRAY true of DuckDB; comma first.
        "[{\"a\":1},\n{\"a\":2,\"b\":\"x,]\"},\n{\"b\":-Infinity}]\n",
        "[{\"a\":1}, \n {\"a\":2,\"b\":\"x,]\"}, \n {\"b\":-Infinity}]",
        "\u{feff}[\r\n\t{\"a\":1},\r\n\t{\"a\":2,\"b\":\"x,]\"},\r\n\t{\"b\":-Infinity}\r\n]\r\n",
        "[\n{\"a\":1}\n,{\"a\":2,\"b\":\"x,]\"}\n,\n{\"b\":-Infinity}\n\n]",
    ] {
        assert_eq!(rows(text), expected, "{text}");
    }
    assert!(rows("[]\n").is_empty());
    assert_eq!(rows("[{\"a\":1},{\"a\":2}]"), ["!bad_json"], "several objects in a line");
    assert_eq!(rows("[[{\"a\":1}]]\n{\"a\":1},,"), ["!bad_json", "!bad_json"]);
}

#[test]
fn a_nested_value_rejects_only_where_the_contract_reads_it() {
    assert_eq!(rows("{\"z\":{\"a\":[1]},\"a\":1}"), ["1|NULL"]);
    let read = read_all(&feed(), &Limits::default(), b"{\"a\":1,\"b\":[]}");
    assert_eq!(read.items[0].result, Err((RejectCode::Type, None, Some(1))));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| format!("{{\"z\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(rows(&nested(63)), ["NULL|NULL"]);
    assert_eq!(rows(&nested(64)), ["!bad_json"]);
    assert_eq!(rows(&nested(200_000)), ["!bad_json"]);
    assert_eq!(rows("{\"z\":[\"[[\\\"[[\"]}"), ["NULL|NULL"]);
}

#[test]
fn unknown_fields_follow_the_policy() {
    let mut feed = feed();
    feed.source.format = Format::Jsonl(JsonlOptions {
        unknown_fields: UnknownFields::Reject,
        ..JsonlOptions::default()
    });
    let read = read_all(&feed, &Limits::default(), b"{\"a\":1}\n{\"a\":1,\"z\":1}\n{\"a\":2}\n");
    assert_eq!(shown(&read), ["1|NULL", "!unknown_field", "2|NULL"]);
}

#[test]
fn lines_of_white_space_are_blank() {
    let read = read_all(&feed(), &Limits::default(), b" \n\t\r\n{\"a\":1}\r\r\n  ");
    assert_eq!((shown(&read), read.blank_lines), (names(&["1|NULL"]), 4));
}

#[test]
fn bytes_that_are_no_utf8_and_large_fields_reject_their_row() {
    let limits = Limits { field_bytes_max: 6, ..Limits::default() };
    let read =
        read_all(&feed(), &limits, b"{\"a\":\"\xFF\"}\n{\"a\":\"12345\"}\n{\"a\":\"1234\"}\n");
    assert_eq!(shown(&read), ["!encoding", "!too_large", "1234|NULL"]);
}

#[test]
fn names_outside_the_contract_are_forgotten_without_losing_a_double() {
    let mut text = String::new();
    for row in 0..3 {
        let names: Vec<String> = (0..8_000).map(|name| format!("\"{row}_{name}\":0")).collect();
        text.push_str(&format!("{{{}}}\n{{{},\"{row}_0\":0}}\n", names.join(","), names.join(",")));
    }
    assert_eq!(rows(&text), ["NULL|NULL", "!bad_json"].repeat(3));
}
