use super::*;

/// One problem: table, line to put there, the dotted name, what, and what to write.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

const ROOT: &str = "";
const SOURCE: &str = "[source]";
const COLUMNS: &str = "[columns]";
const PARQUET: &str = "[sink.parquet]";
const ERRORS: &str = "[errors]";

fn check(cases: &[Case]) {
    for (table, line, name, what, write) in cases {
        let text = with(table, line);
        let place = text.lines().position(|l| l == *line).expect("the line is there") + 1;
        let problems = match parse_text(&text) {
            Err(problems) => problems.0,
            Ok(parsed) => panic!("{line} was taken: {parsed:?}"),
        };
        let found = problems.iter().find(|problem| problem.name == *name);
        let Some(found) = found else { panic!("{line}: {problems:#?}") };
        assert_eq!((found.file.as_str(), found.line), ("orders.toml", place), "{line}: {found}");
        assert!(found.what.contains(what), "{line}: {found}");
        assert!(found.write.contains(write), "{line}: {found}");
        assert_eq!(problems.len(), 1, "{line}: {problems:#?}");
    }
}

const FILE_CASES: &[Case] = &[
    (ROOT, "version = 2", "version", "2 is not a version", "version = 1"),
    (ROOT, "version = \"1\"", "version", "\"1\" is not a version", "version = 1"),
    (ROOT, "name = \"Orders EU\"", "name", "is not 1 to 64", "\"orders_eu\""),
    (ROOT, "name = \"\"", "name", "is not 1 to 64", "name = \"orders\""),
    (ROOT, "name = 7", "name", "must be text", "name = "),
    (ROOT, "nmae = \"x\"", "nmae", "unknown key", "name"),
    (ROOT, "zzz = 1", "zzz", "unknown key", "one of version, name"),
    (ROOT, "rules = {}", "rules", "[rules] are not supported by this version", ""),
    (ROOT, "schedule = {}", "schedule", "scheduled sources are not supported", ""),
    (ROOT, "errors = 1", "errors", "must be a table", "[errors]"),
    (ROOT, "errors = { hold_iff = 1 }", "errors.hold_iff", "unknown key", "hold_if"),
    (ROOT, "extends = 1", "extends", "must be text", "base.toml"),
    (ROOT, "extends = \"no.toml\"", "extends", "\"no.toml\" cannot be read: no file", "exists"),
    (ROOT, "extends = \"/etc/x\"", "extends", "not a path relative", "base.toml"),
    (ROOT, "extends = \"orders.toml\"", "extends", "extends itself", "on its own"),
];

#[test]
fn a_problem_of_the_file_says_where_and_what_to_write() {
    check(FILE_CASES);
}

const SOURCE_CASES: &[Case] = &[
    (
        SOURCE,
        "match = \"/x/{supplier}\"",
        "source.match",
        "starts with a slash",
        "\"x/{supplier}\"",
    ),
    (SOURCE, "match = 1", "source.match", "must be text", "match = "),
    (SOURCE, "replaces = \"Key\"", "source.replaces", "\"Key\" is not known", "\"key\""),
    (SOURCE, "replaces = \"supplier\"", "source.replaces", "not known", "[\"supplier\"]"),
    (SOURCE, "replaces = [\"suplier\"]", "source.replaces", "not a capture", "\"supplier\""),
    (SOURCE, "replaces = [\"supplier\", \"supplier\"]", "source.replaces", "twice", "once"),
    (SOURCE, "replaces = 1", "source.replaces", "must be text", "\"nothing\""),
    (SOURCE, "replaces = [1]", "source.replaces", "must be text", "captures"),
    (SOURCE, "format = \"cvs\"", "source.format", "\"cvs\" is not known", "\"csv\""),
    (SOURCE, "format = \"parquet\"", "source.format", "not supported by this version", "\"csv\""),
    (SOURCE, "jsonl = {}", "source.jsonl", "no effect with format = \"csv\"", "csv = "),
    (SOURCE, "csv = 1", "source.csv", "must be a table", "[source.csv]"),
    (SOURCE, "csv = { delim = \";\" }", "source.csv.delim", "unknown key", "delimiter"),
    (SOURCE, "csv = { delimiter = \"\" }", "source.csv.delimiter", "is not one to 8", "\"|\""),
    (SOURCE, "csv = { delimiter = \"---------\" }", "source.csv.delimiter", "one to 8", "\"|\""),
    (SOURCE, "csv = { delimiter = \"§\" }", "source.csv.delimiter", "first of them ASCII", "\"|\""),
    (SOURCE, "csv = { delimiter = \"\\n\" }", "source.csv.delimiter", "\"\\n\" is not", "\"|\""),
    (SOURCE, "csv = \"sparc\"", "source.csv", "\"sparc\" is not a dialect", "\"spark\""),
    (SOURCE, "csv = { dialect = \"oracle\" }", "source.csv.dialect", "not a dialect", "postgres"),
    (SOURCE, "csv = { escapes = \"text\" }", "source.csv.escapes", "without an escape", "escape ="),
    (SOURCE, "csv = { comment = [\"\"] }", "source.csv.comment", "how a line begins", "\"#\""),
    (
        SOURCE,
        "csv = { header = false, header_lines = 2 }",
        "source.csv.header_lines",
        "without a header",
        "skip_lines",
    ),
    (
        SOURCE,
        "csv = { quote = \",\" }",
        "source.csv.quote",
        "same character as the delim",
        "another",
    ),
    (SOURCE, "csv = { escape = \"\\\"\" }", "source.csv.escape", "quote itself", "no escape"),
    (SOURCE, "csv = { escape = \",\" }", "source.csv.escape", "same character", "another"),
    (SOURCE, "csv = { quote = \"\", escape = \"|\" }", "source.csv.escape", "no effect", "a quote"),
    (SOURCE, "csv = { header = \"yes\" }", "source.csv.header", "true or false", "true or false"),
    (SOURCE, "csv = { skip_lines = -1 }", "source.csv.skip_lines", "from 0, not -1", "number"),
    (SOURCE, "csv = { skip_lines = 5000000000 }", "source.csv.skip_lines", "is over", "smaller"),
    (SOURCE, "csv = { null = \"\" }", "source.csv.null", "a list of texts, not text", "NULL"),
    (SOURCE, "csv = { null = [0] }", "source.csv.null", "must be text in quotes, not 0", "NULL"),
    (SOURCE, "csv = { null = [\"a,b\"] }", "source.csv.null", "never the whole text", "between"),
    (SOURCE, "csv = { null = [\"-\", \"-\"] }", "source.csv.null", "twice", "once"),
    (SOURCE, "csv = { ragged = \"padd\" }", "source.csv.ragged", "not known", "\"pad\""),
    (SOURCE, "csv = { encoding = \"utf8000\" }", "source.csv.encoding", "not a known enc", "utf-8"),
    (
        SOURCE,
        "timezone = \"Europe/Berln\"",
        "source.timezone",
        "not a time zone",
        "\"Europe/Berlin\"",
    ),
    (SOURCE, "timezone = \"+02:00\"", "source.timezone", "not a time zone", "Europe/Berlin"),
    (SOURCE, "on_new_column = \"igonre\"", "source.on_new_column", "not known", "\"ignore\""),
    (SOURCE, "on_missing_column = \"ignore\"", "source.on_missing_column", "not known", "\"null\""),
    (SOURCE, "matches = \"x\"", "source.matches", "unknown key", "match"),
    (SOURCE, "schedule = \"1h\"", "source.schedule", "scheduled sources are not", ""),
    (SOURCE, "http = {}", "source.http", "scheduled sources are not supported", ""),
];

#[test]
fn a_problem_of_the_source_says_where_and_what_to_write() {
    check(SOURCE_CASES);
}

const COLUMN_CASES: &[Case] = &[
    (COLUMNS, "x = \"integer\"", "columns.x", "\"integer\" is not a type", "\"int64\""),
    (COLUMNS, "x = 1", "columns.x", "must be a type or a table", "\"string\""),
    (COLUMNS, "x = {}", "columns.x.type", "is missing", "type = "),
    (COLUMNS, "x = { type = 1 }", "columns.x.type", "must be text", "\"string\""),
    (COLUMNS, "x = { type = \"decimal(40,2)\" }", "columns.x.type", "precision", "1 to 38"),
    (COLUMNS, "x = { type = \"date\", sql = \"y\" }", "columns.x.sql", "`sql` columns are not", ""),
    (COLUMNS, "x = { sql = \"y\" }", "columns.x.sql", "`sql` columns are not supported", ""),
    (
        COLUMNS,
        "x = { type = \"string\", nulable = true }",
        "columns.x.nulable",
        "unknown key",
        "nullable",
    ),
    (COLUMNS, "_source_row2 = \"int64\"", "columns._source_row2", "belong to rowproof", "another"),
    (COLUMNS, "\"\" = \"int64\"", "columns.\"\"", "is blank", "another name"),
    (COLUMNS, "\"a\\tb\" = \"int64\"", "columns.\"a\\tb\"", "control character", "another name"),
    (
        COLUMNS,
        "x = { type = \"string\", from = \"{suplier}\" }",
        "columns.x.from",
        "not a capture",
        "\"supplier\"",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", from = [] }",
        "columns.x.from",
        "names no field",
        "[\"field\"",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", from = [\"a\", \"a\"] }",
        "columns.x.from",
        "twice",
        "once",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", from = [\"{supplier}\"] }",
        "columns.x.from",
        "stands alone",
        "\"{supplier}\"",
    ),
    (COLUMNS, "x = { type = \"string\", from = 0 }", "columns.x.from", "not the place", "1 to"),
    (
        COLUMNS,
        "x = { type = \"string\", from = true }",
        "columns.x.from",
        "must be text",
        "capture",
    ),
    (COLUMNS, "x = { type = \"string\", key = \"yes\" }", "columns.x.key", "true or false", "true"),
    (
        COLUMNS,
        "x = { type = \"int8\", key = true, nullable = true }",
        "columns.x.nullable",
        "always has",
        "no key",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", default = [1] }",
        "columns.x.default",
        "one value, not a list",
        "quotes",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", default = \"a\", one_of = [\"b\"] }",
        "columns.x.default",
        "not in one_of",
        "allowed",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", pattern = \"(\" }",
        "columns.x.pattern",
        "unclosed group",
        "look-around",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", pattern = \"(?=a)\" }",
        "columns.x.pattern",
        "look-around",
        "look-around",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", one_of = [] }",
        "columns.x.one_of",
        "allows nothing",
        "a list",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", one_of = \"a\" }",
        "columns.x.one_of",
        "must be a list",
        "a list",
    ),
    (COLUMNS, "x = { type = \"string\", min = 1 }", "columns.x.min", "for numbers", "min_length"),
    (COLUMNS, "x = { type = \"bool\", max = 1 }", "columns.x.max", "for numbers", "no max"),
    (
        COLUMNS,
        "x = { type = \"int8\", min = {} }",
        "columns.x.min",
        "one value, not a table",
        "number",
    ),
    (
        COLUMNS,
        "x = { type = \"int8\", min_length = 1 }",
        "columns.x.min_length",
        "string columns",
        "no min_length",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", min_length = 3, max_length = 2 }",
        "columns.x.max_length",
        "below",
        "at least",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", max_length = 1.5 }",
        "columns.x.max_length",
        "not 1.5",
        "number",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", format = \"%Y\" }",
        "columns.x.format",
        "for date, time",
        "no format",
    ),
    (
        COLUMNS,
        "x = { type = \"date\", format = \"%d.%m\" }",
        "columns.x.format",
        "whole date",
        "%d.%m.%Y",
    ),
    (
        COLUMNS,
        "x = { type = \"time\", format = \"epoch_s\" }",
        "columns.x.format",
        "no strftime",
        "%H:%M:%S",
    ),
    (
        COLUMNS,
        "x = { type = \"date\", format = [\"iso\", \"%d.%Q.%Y\"] }",
        "columns.x.format",
        "%Q is not a specifier",
        "%d.%m.%Y",
    ),
    (COLUMNS, "x = { type = \"date\", format = [] }", "columns.x.format", "no format", "\"iso\""),
    (
        COLUMNS,
        "x = { type = \"date\", format = [\"iso\", \"iso\"] }",
        "columns.x.format",
        "twice",
        "once",
    ),
    (
        COLUMNS,
        "x = { type = \"timestamp\", format = \"epoch\" }",
        "columns.x.format",
        "no strftime",
        "epoch_s",
    ),
    (
        COLUMNS,
        "x = { type = \"string\", archive = \"hide\" }",
        "columns.x.archive",
        "not known",
        "\"hash\"",
    ),
];

/// How values are written.
const READING_CASES: &[Case] = &[
    (SOURCE, "thousands = \".\"", "source.thousands", "the decimal separator", "another"),
    (SOURCE, "decimal_separator = \"::\"", "source.decimal_separator", "not one char", "\",\""),
    (SOURCE, "decimal_separator = \"5\"", "source.decimal_separator", "part of a", "\",\""),
    (SOURCE, "local_time = \"first\"", "source.local_time", "not known", "\"earlier\""),
    (
        COLUMNS,
        "x = { type = \"string\", thousands = \",\" }",
        "columns.x.thousands",
        "number columns only",
        "another type",
    ),
    (
        COLUMNS,
        "x = { type = \"int8\", thousands = \".\" }",
        "columns.x.thousands",
        "the decimal separator",
        "decimal_separator = \",\"",
    ),
    (
        COLUMNS,
        "x = { type = \"int8\", negative = [\"behind\"] }",
        "columns.x.negative",
        "not known",
        "\"trailing\"",
    ),
    (COLUMNS, "x = { type = \"int8\", affix = [\" $\"] }", "columns.x.affix", "blanks", "EUR"),
    (COLUMNS, "x = { type = \"int8\", affix = [\"m2\"] }", "columns.x.affix", "digit", "EUR"),
    (
        COLUMNS,
        "x = { type = \"int8\", affix = [\"Fr.\", \".\"] }",
        "columns.x.affix",
        "separator of",
        "another text",
    ),
    (
        COLUMNS,
        "x = { type = \"bool\", true = [\"ja\"] }",
        "columns.x.false",
        "is missing",
        "\"nein\"",
    ),
    (
        COLUMNS,
        "x = { type = \"bool\", true = [\"ja\"], false = [\"ja\"] }",
        "columns.x.false",
        "twice",
        "each word once",
    ),
    (
        COLUMNS,
        "x = { type = \"date\", subsecond = \"truncate\" }",
        "columns.x.subsecond",
        "time and timestamp columns only",
        "another type",
    ),
    (
        COLUMNS,
        "x = { type = \"date\", time_of_day = \"cut\" }",
        "columns.x.time_of_day",
        "not known",
        "\"drop\"",
    ),
    (
        COLUMNS,
        "x = { type = \"timestamp\", timezone = \"Europe/Berln\" }",
        "columns.x.timezone",
        "not a time zone",
        "\"Europe/Berlin\"",
    ),
];

#[test]
fn a_problem_of_how_values_are_written_says_where_and_what_to_write() {
    check(READING_CASES);
}

#[test]
fn a_problem_of_a_column_says_where_and_what_to_write() {
    check(COLUMN_CASES);
}

const SINK_CASES: &[Case] = &[
    (PARQUET, "path = \"\"", "sink.parquet.path", "is empty", "path = "),
    (PARQUET, "path = \"/curated/\"", "sink.parquet.path", "slash", "\"curated\""),
    (PARQUET, "path = \"a//b\"", "sink.parquet.path", "empty folder", "single"),
    (PARQUET, "path = \"_staging/x\"", "sink.parquet.path", "starts with _", "another"),
    (PARQUET, "path = \"_plans\"", "sink.parquet.path", "starts with _", "another"),
    (PARQUET, "path = \"a/../b\"", "sink.parquet.path", "starts with _ or .", "another"),
    (PARQUET, "path = \"a=b/c\"", "sink.parquet.path", "holds \"=\"", "letters"),
    (PARQUET, "path = \"a/*\"", "sink.parquet.path", "holds \"*\"", "letters"),
    (PARQUET, "path = \"manifests/a\"", "sink.parquet.path", "own books", "\"data/manifests/a\""),
    (PARQUET, "path = \"s3://b/a\"", "sink.parquet.path", "an address", "after the bucket"),
    (PARQUET, "path = 1", "sink.parquet.path", "must be text", "path = "),
    (PARQUET, "pathh = \"x\"", "sink.parquet.pathh", "unknown key", "path"),
    (PARQUET, "partition_by = \"day\"", "sink.parquet.partition_by", "a list", "day(created_at)"),
    (
        PARQUET,
        "partition_by = [\"statsu\"]",
        "sink.parquet.partition_by",
        "not a column",
        "\"status\"",
    ),
    (
        PARQUET,
        "partition_by = [\"week(at)\"]",
        "sink.parquet.partition_by",
        "not a part",
        "\"day(at)\"",
    ),
    (
        PARQUET,
        "partition_by = [\"at\"]",
        "sink.parquet.partition_by",
        "does not fit",
        "\"day(at)\"",
    ),
    (
        PARQUET,
        "partition_by = [\"hour(day)\"]",
        "sink.parquet.partition_by",
        "does not fit",
        "\"day(day)\"",
    ),
    (
        PARQUET,
        "partition_by = [\"day(id)\"]",
        "sink.parquet.partition_by",
        "does not fit",
        "\"id\"",
    ),
    (PARQUET, "partition_by = [\"day\", \"day\"]", "sink.parquet.partition_by", "twice", "once"),
    (PARQUET, "add = [\"_source_fil\"]", "sink.parquet.add", "cannot be added", "\"_source_file\""),
    (PARQUET, "add = [\"_loaded_at\", \"_loaded_at\"]", "sink.parquet.add", "twice", "once"),
    (
        PARQUET,
        "partition_by = [\"txt(day)\"]",
        "sink.parquet.partition_by",
        "not a part",
        "\"text(day)\"",
    ),
    (PARQUET, "partition_by = [\"text(at)\"]", "sink.parquet.partition_by", "fit", "day(at)"),
    (PARQUET, "time = \"int\"", "sink.parquet.time", "not known", "\"int64\""),
    (PARQUET, "bloom_filter = [\"idd\"]", "sink.parquet.bloom_filter", "not a column", "\"id\""),
    (PARQUET, "bloom_filter = [\"id\", \"id\"]", "sink.parquet.bloom_filter", "twice", "once"),
    (PARQUET, "field_ids = { id = 0 }", "sink.parquet.field_ids.id", "no field id", "from 1"),
    (PARQUET, "field_ids = { id = \"1\" }", "sink.parquet.field_ids.id", "no field id", "from 1"),
    (
        PARQUET,
        "field_ids = { id = 1, day = 1 }",
        "sink.parquet.field_ids",
        "the id 1 of",
        "its own",
    ),
    (PARQUET, "field_ids = { x = 1 }", "sink.parquet.field_ids", "not a column", "[columns]"),
    (ERRORS, "archive_raw = \"none\"", "errors.archive_raw", "not known", "\"pointer\""),
    (ERRORS, "hold_if = \"5%\"", "errors.hold_if", "must be a table", "[errors.hold_if]"),
    (ERRORS, "hold_if = {}", "errors.hold_if.rejected", "is missing", "\"5%\""),
    (ERRORS, "hold_if = { rejected = 0.05 }", "errors.hold_if.rejected", "0.05 is no", "\"5%\""),
    (ERRORS, "hold_if = { rejected = \"101%\" }", "errors.hold_if.rejected", "\"101%\"", "\"5%\""),
    (ERRORS, "hold_if = { rejected = -1 }", "errors.hold_if.rejected", "-1 is no", "\"5%\""),
    (
        ERRORS,
        "hold_if = { rejected = 1, min_row = 2 }",
        "errors.hold_if.min_row",
        "unknown",
        "min_rows",
    ),
];

#[test]
fn a_problem_of_the_sink_or_the_errors_says_where_and_what_to_write() {
    check(SINK_CASES);
}

#[test]
fn two_sinks_are_one_too_many() {
    let text = format!("{MINIMAL}[sink.postgres]\n");

    let problems = parse_text(&text).expect_err("two sinks").to_string();

    assert!(problems.contains("sink: names two sinks; write one sink"), "{problems}");
}

#[test]
fn a_column_that_no_header_names_takes_no_from() {
    let text = with(SOURCE, "csv = { header = false }");
    let text = text.replace("id = \"int64\"", "id = { type = \"int64\", from = \"ID\" }");

    let problems = parse_text(&text).expect_err("from without a header").to_string();

    assert!(problems.contains("columns.id.from: names a field, but the file has no"), "{problems}");
}

#[test]
fn a_folder_cannot_have_the_name_of_a_column() {
    let text = with(PARQUET, "partition_by = [\"day(at)\"]");
    let text = text.replace("status = \"string\"", "At_day = \"string\"");

    let problems = parse_text(&text).expect_err("one name twice").to_string();

    assert!(problems.contains("would be named \"at_day\" like a column"), "{problems}");
}

#[test]
fn files_that_keep_no_column_are_refused() {
    let text = with(PARQUET, "partition_by = [\"status\"]");
    let kept =
        |line: &&str| !["id", "day", "at"].iter().any(|c| line.starts_with(&format!("{c} =")));
    let text: Vec<&str> = text.lines().filter(kept).collect();

    let problems = parse_text(&text.join("\n")).expect_err("nothing is left").to_string();

    assert!(problems.contains("every column is in the path"), "{problems}");
}

#[test]
fn an_empty_file_lacks_every_required_key_at_once() {
    let problems = parse_text("").expect_err("empty").0;

    let names: Vec<&str> = problems.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["version", "name", "source", "columns", "sink"]);
    assert!(problems.iter().all(|problem| problem.line == 1 && problem.what == "is missing"));
}

#[test]
fn empty_tables_lack_their_required_keys_at_their_lines() {
    let text = "version = 1\nname = \"x\"\n[source]\n[columns]\n[sink.parquet]\n";

    let problems = parse_text(text).expect_err("empty tables").to_string();

    let expected = "\
orders.toml:3: source.match: is missing; write match = \"incoming/*.csv*\"
orders.toml:3: source.format: is missing; write format = \"csv\" or format = \"jsonl\"
orders.toml:4: columns: names no column; write a line such as id = \"int64\"
orders.toml:5: sink.parquet.path: is missing; write path = \"curated/orders\"";
    assert_eq!(problems, expected);
}

#[test]
fn all_problems_are_reported_at_once_in_file_order() {
    let text = "name = \"A\"\nversion = 3\n[source]\nmatch = \"/\"\nformat = \"x\"\nfoo = 1\n\
                [columns]\nid = \"in64\"\namount = { type = \"decimal(12,2)\", maxx = 1 }\n\
                [sink.parquet]\npath = \"/\"\npartition_by = [\"nothing\"]\n[rules]\n";

    let problems = parse_text(text).expect_err("much is wrong").0;

    let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 2, 4, 5, 6, 8, 9, 11, 12, 13]);
    let amount = problems.iter().find(|problem| problem.line == 9).expect("line 9");
    let expected = "orders.toml:9: columns.amount.maxx: unknown key; write max";
    assert_eq!(amount.to_string(), expected);
}

#[test]
fn broken_toml_is_one_problem_with_its_line() {
    for (text, line) in [
        ("version = 1\nname = \"x\n", 2),
        ("version = 1\n\n[source\n", 3),
        ("a = 1\na = 2\n", 2),
        ("x", 1),
        ("version = 1\r\nname = [1,\r\n", 2),
    ] {
        let problems = parse_text(text).expect_err(text).0;
        assert_eq!(problems.len(), 1, "{text:?} {problems:?}");
        assert_eq!(problems[0].line, line, "{text:?} {problems:?}");
        assert!(problems[0].what.starts_with("not valid TOML: "), "{problems:?}");
    }
}

#[test]
fn messages_escape_what_the_file_says() {
    let text = with(SOURCE, "format = \"\\u001b[31mred\\u202e\\n\"");
    let long = with(SOURCE, &format!("format = \"{}\"", "x".repeat(10_000)));

    let problems = parse_text(&text).expect_err("no format").to_string();
    let cut = parse_text(&long).expect_err("no format").to_string();

    assert!(problems.contains(r#""\u001B[31mred\u202E\n" is not known"#), "{problems}");
    assert!(cut.len() < 500, "{cut}");
}

#[test]
fn a_deeply_nested_or_huge_file_is_refused() {
    let deep = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("{MINIMAL}#{}", "x".repeat(1 << 20));

    assert!(parse_text(&deep).is_err());
    assert!(parse_text(&huge).expect_err("huge").to_string().contains("is over 1048576 bytes"));
}

#[test]
fn columns_that_differ_in_case_only_are_refused() {
    let text = with(COLUMNS, "ID = \"int64\"");

    let problems = parse_text(&text).expect_err("ID and id").to_string();

    assert!(
        problems.starts_with("orders.toml:8: columns.id: differs from \"ID\" in"),
        "{problems}"
    );
}

#[test]
fn nothing_waits_for_a_second_round() {
    let file = r#"version = 1
name = "x"
[source]
match = "in/{supplier}/{day:%Q}.csv"
replaces = ["suplier"]
format = "tsv"
[columns]
id = { type = "integer" }
amount = { type = "int8", default = "many" }
[sink.parquet]
path = "x"
partition_by = ["day(craeted)", "amount"]
[sink.kafka]
topic = "x"
"#;
    let load = |_: &str| Err("no base".to_owned());
    let problems = crate::pipeline_file::parse("x.toml", file, &load, &|_| None).unwrap_err();
    let found: Vec<_> = problems.0.iter().map(|p| (p.line, p.name.as_str())).collect();
    let expected = [
        (4, "source.match"),
        (5, "source.replaces"),
        (6, "source.format"),
        (8, "columns.id.type"),
        (9, "columns.amount.default"),
        (12, "sink.parquet.partition_by"),
        (13, "sink.kafka"),
    ];
    assert_eq!(found, expected, "{problems}");
}

#[test]
fn advice_names_no_format_that_is_refused() {
    for (format, write) in [
        ("tsv", "csv = { delimiter = \"\\t\" }"),
        ("JSON", "\"jsonl\""),
        ("parquett", "\"csv\" or \"jsonl\""),
        ("xlsx", "\"csv\" or \"jsonl\""),
        ("cvs", "\"csv\""),
    ] {
        let file = format!(
            "version = 1\nname = \"x\"\n[source]\nmatch = \"in/*\"\nformat = \"{format}\"\n\
             [columns]\nid = \"int64\"\n[sink.parquet]\npath = \"x\"\n"
        );
        let load = |_: &str| Err("no base".to_owned());
        let problems = crate::pipeline_file::parse("x.toml", &file, &load, &|_| None).unwrap_err();
        let [problem] = problems.0.as_slice() else { panic!("{problems}") };
        assert!(problem.write.contains(write), "{format}: {problem}");
        assert!(!problem.write.contains("parquet"), "{format}: {problem}");
    }
}
