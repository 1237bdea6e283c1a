//! JSON Lines: one object a line as RFC 8259 has it, or a rejected row.

use crate::table::{gives, gives_at, jsonl, with_limits};

const COLUMNS: &str =
    "a = { type = \"int64\", nullable = true }\nb = { type = \"string\", nullable = true }";

#[test]
fn line_ends_and_blank_lines_are_as_in_csv() {
    let feed = jsonl("", COLUMNS);
    for (what, file) in [
        ("LF", "{\"a\":1}\n{\"a\":2}\n"),
        ("CRLF", "{\"a\":1}\r\n{\"a\":2}\r\n"),
        ("CR only", "{\"a\":1}\r{\"a\":2}\r"),
        ("no last line end", "{\"a\":1}\n{\"a\":2}"),
        ("blank lines", "\n{\"a\":1}\n \t\r\n\r\n{\"a\":2}\n  "),
        ("a byte order mark", "\u{feff}{\"a\":1}\n{\"a\":2}"),
        ("spaces around", "  {\"a\":1} \n\t{ \"a\" : 2 }\t\r\n"),
    ] {
        gives(&feed, what, file.as_bytes(), &["1|<null>", "2|<null>"]);
    }
    for file in ["", "\u{feff}", "\n\n"] {
        gives(&feed, "no object", file.as_bytes(), &[]);
    }
}

#[test]
fn what_is_no_json_object_is_rejected_alone() {
    let feed = jsonl("", COLUMNS);
    for line in [
        "[{\"a\":1}]",
        "[",
        "{\"a\":1},",
        "{\"a\":1,}",
        "{\"a\":1} // one",
        "/* {\"a\":1} */",
        "# {\"a\":1}",
        "{\"a\":nan}",
        "{\"a\":+Infinity}",
        "{\"a\":undefined}",
        "{\"a\":1}{\"a\":2}",
        "{\"a\":1} {\"a\":2}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":0x10}",
        "{\"a\":007}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1",
        "{\"a\":\"x",
        "{\"a\":tru}",
        "{\"b\":\"\t\"}",
        "{\"b\":\"\0\"}",
        "{\"b\":\"\\x41\"}",
        "{\"b\":\"\\u12\"}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":1}",
        "{\"z\":1,\"z\":2}",
        "\"a\"",
        "null",
        "1",
        "a,b",
        "\u{1e}{\"a\":1}",
    ] {
        let file = format!("{{\"a\":1}}\n{line}\n{{\"a\":2}}\n");
        let rejected = format!("!bad_json@8..{}", 8 + line.len());
        gives(&feed, line, file.as_bytes(), &["1|<null>", &rejected, "2|<null>"]);
    }
    let split = b"{\n\"a\":1\n}\n{\"a\":2}";
    let rows = ["!bad_json@0..1", "!bad_json@2..7", "!bad_json@8..9", "2|<null>"];
    gives(&feed, "an object over several lines", split, &rows);
    let array = b"[\n{\"a\":1},\n{\"a\":2}\n]\n";
    let rows = ["!bad_json@0..1", "!bad_json@2..10", "2|<null>", "!bad_json@19..20"];
    gives(&feed, "a JSON array over several lines", array, &rows);
}

#[test]
fn what_is_left_to_implementations_is_always_done_the_same_way() {
    let feed = jsonl("", COLUMNS);
    for (what, line, row) in [
        (
            "numbers keep their digits",
            "{\"b\":12345678901234567890123.10}",
            "<null>|12345678901234567890123.10",
        ),
        ("a large number", "{\"a\":9223372036854775807}", "9223372036854775807|<null>"),
        ("a larger number", "{\"a\":9223372036854775808}", "!type(a)@0..25"),
        ("a number with a point", "{\"a\":1.0}", "1|<null>"),
        ("a number with a fraction", "{\"a\":1.5}", "!type(a)@0..9"),
        ("an exponent", "{\"a\":1e2}", "!type(a)@0..9"),
        ("no number", "{\"b\":NaN}", "<null>|NaN"),
        ("no number for an integer", "{\"a\":NaN}", "!type(a)@0..9"),
        ("minus infinity", "{\"b\":-Infinity,\"z\":NaN}", "<null>|-Infinity"),
        ("minus zero", "{\"a\":-0}", "0|<null>"),
        ("beyond any number", "{\"a\":1e400}", "!type(a)@0..11"),
        ("a number in quotes", "{\"a\":\"1\"}", "1|<null>"),
        ("text for a number", "{\"a\":\"x\"}", "!type(a)@0..9"),
        ("a boolean for a number", "{\"a\":true}", "!type(a)@0..10"),
        ("a boolean for text", "{\"b\":true}", "<null>|true"),
        ("an array for text", "{\"b\":[1]}", "!type(b)@0..9"),
        ("an object for text", "{\"b\":{}}", "!type(b)@0..8"),
        ("null", "{\"a\":null,\"b\":null}", "<null>|<null>"),
        ("text that reads null", "{\"b\":\"null\"}", "<null>|null"),
        ("empty text", "{\"b\":\"\"}", "<null>|"),
        ("no name", "{\"\":1}", "<null>|<null>"),
        ("an empty object", "{}", "<null>|<null>"),
        ("a name in escapes", "{\"\\u0062\":\"x\"}", "<null>|x"),
        (
            "all escapes",
            r#"{"b":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000"}"#,
            "<null>|\"\\/\u{8}\u{c}\n\r\té😀\0",
        ),
        ("a lone surrogate", r#"{"b":"\ud800"}"#, "!bad_json@0..14"),
        ("two in the wrong order", r#"{"b":"\ude00\ud83d"}"#, "!bad_json@0..20"),
        ("a lone surrogate in a name", r#"{"\ud800":1}"#, "!bad_json@0..12"),
        ("one in a value nobody reads", r#"{"z":"\ud800"}"#, "<null>|<null>"),
        ("U+FFFF and friends", "{\"b\":\"\u{ffff}\u{fdd0}\"}", "<null>|\u{ffff}\u{fdd0}"),
        ("case is told apart", "{\"A\":1,\"B\":\"x\"}", "<null>|<null>"),
        ("names from elsewhere", "{\"__proto__\":{\"a\":1},\"a\":2}", "2|<null>"),
    ] {
        gives(&feed, what, line.as_bytes(), &[row]);
    }
    let reject = jsonl("jsonl = { unknown_fields = \"reject\" }", COLUMNS);
    gives(&reject, "unknown names", b"{\"a\":1}\n{\"z\":1}", &["1|<null>", "!unknown_field@8..15"]);
    let file = b"{\"a\":1}\n{\"b\":\"\xC0\xAF\"}\n{\"z\":\"\xFF\"}\n";
    gives(&feed, "no UTF-8", file, &["1|<null>", "!encoding@8..18", "!encoding@19..28"]);
}

#[test]
fn depth_and_length_are_bounded() {
    let feed = jsonl("", COLUMNS);
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{{\"z\":{}1{},\"a\":1}}\n", open.repeat(depth), close.repeat(depth))
    };
    let sizes = [1_000, 65_536];
    for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
        gives_at(&feed, open, nested(open, close, 63).as_bytes(), &["1|<null>"], &sizes);
        for depth in [64, 100_000] {
            let line = nested(open, close, depth);
            let rejected = format!("!bad_json@0..{}", line.len() - 1);
            gives_at(&feed, open, line.as_bytes(), &[&rejected], &sizes);
        }
    }
    let never_closed = format!("{{\"z\":{}", "[".repeat(100_000));
    let rejected = format!("!bad_json@0..{}", never_closed.len());
    gives_at(&feed, "never closed", never_closed.as_bytes(), &[&rejected], &sizes);
    let small = with_limits(jsonl("", COLUMNS), 20, 6);
    let file = b"{\"b\":\"1234\"}\n{\"b\":\"12345\"}\n{\"z\":\"a value nobody reads\"}\n{\"a\":1}";
    let rows = ["<null>|1234", "!too_large@13..26", "!too_large@27..55", "1|<null>"];
    gives(&small, "too long", file, &rows);
}
