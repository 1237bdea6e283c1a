use super::*;
use crate::pipeline_file;

const FILE: &str = r#"# orders of all shops
version = 1
name = "orders"

[source]
match = "incoming/*.csv"
format = "csv"
timezone = "UTC"

[columns]
id = { type = "int64", key = true } # theirs
amount = "decimal(12,2)" # euros
currency = { type = "string", default = "EUR" }
at = "timestamp"

[columns.note]
type = "string"
nullable = true

[sink.parquet]
path = "curated/orders"
"#;

fn parsed(text: &str) -> Result<Pipeline, Problems> {
    let load = |_: &str| Err("no base".to_owned());
    pipeline_file::parse("orders.toml", text, &load, &|_| None).map(|parsed| parsed.pipeline)
}

fn amended(file: &str, fixes: &str) -> Amended {
    let pipeline = parsed(file).unwrap_or_else(|problems| panic!("{file}\n{problems}"));
    let patch = patch(fixes);
    patch.check(&pipeline).unwrap_or_else(|problems| panic!("{problems}"));
    let check = |text: &str| parsed(text).map(drop).map_err(|problems| problems.to_string());
    amend(&patch, &pipeline, file, &check).unwrap()
}

/// What becomes of one fix, and the lines of the file that are new.
fn one(file: &str, keys: &str) -> (Fate, Vec<String>) {
    let Amended { text, fates } = amended(file, &format!("[[fix]]\n{keys}\n"));
    let old: Vec<_> = file.lines().collect();
    let new = text.lines().filter(|line| !old.contains(line)).map(str::to_owned).collect();
    (fates[0].clone(), new)
}

#[test]
fn a_fix_becomes_the_key_that_does_the_same_and_comments_stay() {
    let words = "column = \"note\"\nmatching = '^(NA|nil)$'\nset_null = true";
    for (keys, line, new) in [
        (
            words,
            "source.csv.null = [\"\", \"NA\", \"nil\"]",
            "csv = { null = [\"\", \"NA\", \"nil\"] }",
        ),
        (
            "where = \"error_code = 'type' AND column = 'amount'\"\ncolumn = \"amount\"\ntrim = true",
            "columns.amount.trim = true",
            "amount = { type = \"decimal(12,2)\", trim = true } # euros",
        ),
        (
            "column = \"id\"\ntrim = \" \"",
            "columns.id.trim = true",
            "id = { type = \"int64\", key = true, trim = true } # theirs",
        ),
        (
            "where = \"error_code = 'not_null' AND column = 'amount'\"\ncolumn = \"amount\"\nset = 0",
            "columns.amount.default = \"0\"",
            "amount = { type = \"decimal(12,2)\", default = \"0\" } # euros",
        ),
    ] {
        let (fate, lines) = one(FILE, keys);
        assert_eq!((fate, lines), (Fate::Written(line.to_owned()), vec![new.to_owned()]), "{keys}");
    }
    let own = FILE.replace("format = \"csv\"", "format = \"csv\"\ncsv.null = [\"NA\"] # R");
    let (_, lines) = one(&own, words);
    assert_eq!(lines, ["csv.null = [\"NA\", \"nil\"] # R"]);
    let table = FILE.replace("[columns]", "[source.csv]\ndelimiter = \";\"\n\n[columns]");
    let (_, lines) = one(&table, words);
    assert_eq!(lines, ["null = [\"\", \"NA\", \"nil\"]"]);
    let (_, lines) = one(FILE, "column = \"note\"\ntrim = true");
    assert_eq!(lines, ["trim = true"]);
}

#[test]
fn a_field_by_another_name_is_read_by_both() {
    let json = FILE.replace("\"csv\"", "\"jsonl\"");
    let rename = "rename = { from = \"Betrag\", to = \"amount\" }";
    let (fate, lines) = one(&json, rename);
    let line = "columns.amount.from = [\"amount\", \"Betrag\"]";
    assert_eq!(fate, Fate::Written(line.to_owned()));
    assert!(lines[0].ends_with("from = [\"amount\", \"Betrag\"] } # euros"), "{lines:?}");
    let twice = amended(&json, &format!("[[fix]]\n{rename}\n[[fix]]\n{rename}\n"));
    assert!(matches!(twice.fates.as_slice(), [Fate::Written(_), Fate::There(_)]), "{twice:?}");
}

#[test]
fn what_no_key_does_stays_a_fix_and_says_why() {
    for (keys, why) in [
        ("raw = { pattern = ',$', with = \"\" }", "no key of a pipeline file does this"),
        ("column = \"note\"\nset = \"x\"", "no key of a pipeline file does this"),
        ("column = \"note\"\nset_null = true", "a key is for words"),
        ("column = \"note\"\nmatching = '^n.a$'\nset_null = true", "is no list of words"),
        ("column = \"note\"\nmatching = '^(a,b)$'\nset_null = true", "is not possible: "),
        ("column = \"note\"\nmatching = '^ '\ntrim = true", "a key is for all"),
        ("where = \"row_number = 7\"\ncolumn = \"note\"\ntrim = true", "selects single rows"),
        ("where = \"error_code = 'type'\"\ncolumn = \"note\"\ntrim = \"*\"", "no key of"),
    ] {
        let (fate, lines) = one(FILE, keys);
        assert!(matches!(&fate, Fate::Left(told) if told.contains(why)), "{keys}: {fate:?}");
        assert!(lines.is_empty(), "{keys}: {lines:?}");
    }
}
