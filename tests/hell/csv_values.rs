//! CSV: numbers, dates, NULLs, and text that means something elsewhere.

use crate::table::{ID_TEXT, archived, csv, gives, refused};

/// Reads each text as one value of a type: its canonical text, or `None` for `type`.
fn reads(source: &str, column: &str, values: &[(&str, Option<&str>)]) {
    let feed = csv(source, &format!("v = {column}"));
    let mut file = b"v\n".to_vec();
    let mut expected = Vec::new();
    for (text, value) in values {
        let start = file.len();
        file.extend_from_slice(text.as_bytes());
        let rejected = || format!("!type(v)@{start}..{}", file.len());
        expected.push(value.map_or_else(rejected, str::to_owned));
        file.push(b'\n');
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    gives(&feed, column, &file, &expected);
}

#[test]
fn numbers_are_exact_or_rejected() {
    reads(
        "",
        "\"int64\"",
        &[
            ("9223372036854775807", Some("9223372036854775807")),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some("-9223372036854775808")),
            ("12345678901234567890123", None),
            ("-0", Some("0")),
            ("007", Some("7")),
            ("1_000", None),
            ("1 000", None),
            ("\"1,5\"", None),
            ("\"1,000\"", None),
            ("1.0", Some("1")),
            ("5.", Some("5")),
            ("9007199254740993.00", Some("9007199254740993")),
            ("4.5", None),
            ("1e3", None),
            ("0x10", None),
            ("NaN", None),
            ("inf", None),
            (" 1", None),
            ("１", None),
            ("−1", None),
            ("1\0", None),
        ],
    );
    reads("", "\"uint8\"", &[("255", Some("255")), ("256", None), ("-1", None)]);
}

#[test]
fn decimals_are_exact_or_rejected() {
    reads(
        "",
        "\"decimal(38,2)\"",
        &[
            (
                "123456789012345678901234567890123456.78",
                Some("123456789012345678901234567890123456.78"),
            ),
            ("1234567890123456789012345678901234567.8", None),
            ("0.005", None),
            ("0.10000", Some("0.10")),
            ("-0.00", Some("0.00")),
            ("1e400", None),
            ("1.5E+3", Some("1500.00")),
            ("-2.50e-1", Some("-0.25")),
            ("0E-15", Some("0.00")),
            ("1E-3", None),
            ("NaN", None),
            ("\"1,5\"", None),
            ("€1.00", None),
            ("1.00-", None),
            ("(1.00)", None),
        ],
    );
}

#[test]
fn floats_bools_and_strings_are_themselves_or_rejected() {
    reads(
        "",
        "\"float64\"",
        &[
            ("1e400", None),
            ("-1e400", None),
            ("1e-400", None),
            ("0e-400", Some("0")),
            ("-0", Some("-0")),
            ("NaN", Some("NaN")),
            ("inf", Some("inf")),
            ("0.1", Some("0.1")),
            ("1_000", None),
            ("0x10", None),
            ("\"1,5\"", None),
        ],
    );
    reads("", "\"string\"", &[("007", Some("007")), ("1e400", Some("1e400")), ("-0", Some("-0"))]);
    reads(
        "",
        "\"bool\"",
        &[
            ("true", Some("true")),
            ("0", Some("false")),
            ("Yes", Some("true")),
            ("f", Some("false")),
            ("OFF", Some("false")),
            ("2", None),
            ("-1", None),
            ("ja", None),
        ],
    );
}

#[test]
fn days_and_times_that_never_were_are_rejected() {
    reads(
        "",
        "\"date\"",
        &[
            ("0000-00-00", None),
            ("2023-02-29", None),
            ("2024-02-29", Some("2024-02-29")),
            ("2024-02-30", None),
            ("9999-12-31", Some("9999-12-31")),
            ("10000-01-01", None),
            ("24-01-31", None),
            ("01/02/2024", None),
            ("2024-1-2", None),
            ("2024-01-02T00:00:00Z", Some("2024-01-02")),
            ("2024-01-02 00:00:00.000", Some("2024-01-02")),
            ("2024-01-02T00:00:01Z", None),
            ("20240102", None),
        ],
    );
    reads(
        "",
        "\"time\"",
        &[
            ("23:59:59.999999", Some("23:59:59.999999")),
            ("24:00:00", None),
            ("23:59:60", None),
            ("1:00:00", None),
        ],
    );
    reads(
        "timezone = \"Europe/Berlin\"",
        "\"timestamp\"",
        &[
            ("2026-03-29T01:59:59", Some("2026-03-29 00:59:59")),
            ("2026-03-29T02:30:00", None),
            ("2026-10-25T02:30:00", None),
            ("2026-10-25T02:30:00+01:00", Some("2026-10-25 01:30:00")),
            ("2016-12-31T23:59:60Z", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01T00:00:00.0000001Z", None),
            ("9999-12-31T23:59:59Z", Some("9999-12-31 23:59:59")),
            ("9999-12-31T23:59:59-00:01", None),
            ("0000-00-00 00:00:00", None),
            ("1700000000", None),
        ],
    );
    reads("", "\"timestamp\"", &[("2024-01-01T00:00:00", None)]);
}

#[test]
fn a_date_s_order_and_century_are_declared_and_never_guessed() {
    reads(
        "",
        "{ type = \"date\", format = \"%d/%m/%Y\" }",
        &[
            ("01/02/2024", Some("2024-02-01")),
            ("13/02/2024", Some("2024-02-13")),
            ("02/13/2024", None),
            ("2024-02-01", None),
            ("1/2/24", Some("0024-02-01")),
        ],
    );
    reads(
        "",
        "{ type = \"date\", format = \"%m/%d/%y\" }",
        &[
            ("02/01/24", Some("2024-02-01")),
            ("02/01/69", Some("2069-02-01")),
            ("02/01/70", Some("1970-02-01")),
            ("13/01/24", None),
        ],
    );
    let half = refused("", "v = { type = \"date\", format = \"%m/%y\" }");
    assert!(half.contains("whole date"), "{half}");
}

#[test]
fn null_is_what_the_pipeline_file_says_and_never_what_is_quoted() {
    let file = b"id,t\n1,\n2,\"\"\n3,NULL\n4,\"NULL\"\n5,\\N\n6,NA\n7,null\n8, \n";
    gives(
        &csv("", ID_TEXT),
        "by default",
        file,
        &["1|<null>", "2|", "3|NULL", "4|NULL", "5|\\N", "6|NA", "7|null", "8| "],
    );
    let declared = "csv = { null = [\"NULL\", \"\\\\N\", \"NA\"] }";
    gives(
        &csv(declared, ID_TEXT),
        "declared",
        file,
        &["1|", "2|", "3|<null>", "4|NULL", "5|<null>", "6|<null>", "7|null", "8| "],
    );
    let required = "id = \"int64\"\nt = { type = \"string\", trim = true }";
    gives(
        &csv("", required),
        "not allowed",
        b"id,t\n1,\n2,\"\"\n3, \n,x\n",
        &["!not_null(t)@5..7", "2|", "!not_null(t)@13..16", "!not_null(id)@17..19"],
    );
}

#[test]
fn text_that_means_something_elsewhere_is_kept_to_the_letter() {
    let texts = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "<script>alert(1)</script>",
        "'; DROP TABLE orders; --",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "%s%n%x",
        "../../etc/passwd",
        "\u{1b}[31mred\u{1b}]0;title\u{7}",
        "\u{202e}gpj.exe",
        "a\n{\"level\":\"ERROR\",\"message\":\"forged\"}",
        "a\r\nSet-Cookie: x",
        "\0",
        "\u{feff}a",
        "\u{fffd}",
        "e\u{301}",
        "👩‍👩‍👧‍👦",
        "Z̸̧a̶l̵g̴o̷",
        "\u{10ffff}",
    ];
    let (mut good, mut bad) = (b"id,t\n".to_vec(), b"id,t\n".to_vec());
    for (id, text) in texts.iter().enumerate() {
        let quoted = format!("\"{}\"", text.replace('"', "\"\""));
        good.extend(format!("{id},{quoted}\n").bytes());
        bad.extend(format!("x{id},{quoted}\n").bytes());
    }
    let rows: Vec<String> = (0..).zip(texts).map(|(id, text)| format!("{id}|{text}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let feed = csv("", ID_TEXT);
    gives(&feed, "loaded", &good, &rows);
    let quoted = |(id, text): (usize, &str)| format!("x{id},\"{}\"", text.replace('"', "\"\""));
    let raw: Vec<Option<String>> = (0..).zip(texts).map(|row| Some(quoted(row))).collect();
    assert_eq!(archived(&feed, &bad), raw);
}

#[test]
fn numbers_and_words_are_read_as_their_column_declares_them() {
    reads(
        "decimal_separator = \",\"\nthousands = \".\"",
        "\"decimal(12,2)\"",
        &[
            ("\"1.234,56\"", Some("1234.56")),
            ("\"1234,5\"", Some("1234.50")),
            ("1.234", Some("1234.00")),
            ("1.5", None),
            ("12.34.567", None),
            ("\"1,234.56\"", None),
        ],
    );
    reads(
        "",
        "{ type = \"decimal(12,2)\", thousands = \",\", affix = [\"$\", \"EUR\"], \
         negative = [\"trailing\", \"parentheses\", \"unicode\"] }",
        &[
            ("5.00-", Some("-5.00")),
            ("-5.00", Some("-5.00")),
            ("(50.00)", Some("-50.00")),
            ("\"1,234.56-\"", Some("-1234.56")),
            ("−100.00", Some("-100.00")),
            ("\"-$1,000\"", Some("-1000.00")),
            ("7 EUR", Some("7.00")),
            ("'-75.63", None),
            ("- 3.00", None),
            ("-", None),
            ("12.00 CR", None),
            ("12.00DR", None),
            ("+5.00", Some("5.00")),
        ],
    );
    reads(
        "",
        "{ type = \"bool\", true = [\"ja\", \"J\"], false = [\"nein\"] }",
        &[("ja", Some("true")), ("J", Some("true")), ("nein", Some("false")), ("true", None)],
    );
}

#[test]
fn moments_are_read_as_their_column_declares_them() {
    reads(
        "timezone = \"America/Los_Angeles\"\nlocal_time = \"later\"",
        "{ type = \"timestamp\", subsecond = \"truncate\", \
         format = [\"rfc3339\", \"%d/%m/%Y %H:%M\", \"epoch_ns\"] }",
        &[
            ("2010-03-14 02:30:00", Some("2010-03-14 10:30:00")),
            ("2010-11-07 01:30:00", Some("2010-11-07 09:30:00")),
            ("2025-11-03 10:15:00.123456789 UTC", Some("2025-11-03 10:15:00.123456")),
            ("31/12/2024 16:00", Some("2025-01-01 00:00:00")),
            ("1735689600000001999", Some("2025-01-01 00:00:00.000001")),
            ("12/31/2024 16:00", None),
        ],
    );
    reads(
        "",
        "{ type = \"date\", time_of_day = \"drop\", format = [\"iso\", \"epoch_ms\"] }",
        &[
            ("2024-01-02T23:59:59+13", Some("2024-01-02")),
            ("1704240000123", Some("2024-01-03")),
            ("2024-01-02T25:00:00", None),
        ],
    );
    reads("", "{ type = \"date\", format = \"epoch_days\" }", &[("19724", Some("2024-01-02"))]);
}
