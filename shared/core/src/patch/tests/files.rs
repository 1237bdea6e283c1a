use std::path::Path;

use super::*;

fn problems(text: &str) -> String {
    Patch::parse("fix.toml", text).expect_err(text).to_string()
}

#[test]
fn everything_wrong_is_told_at_once_with_its_line() {
    let text = r#"version = 2
pipelin = "orders"
[[fix]]
where = "eror_code = 'type'"
column = "amount"
cast = { decimal = ",", date = "%d" }
[[fix]]
column = "amount"
replace = { pattern = "(", with = "" }
[[fix]]
column = "amount"
replace = { pattern = "a", with = "$1" }
[[fix]]
column = "amount"
set = "x"
trim = true
[[fix]]
raw = { pattern = "a" }
column = "amount"
[[fix]]
set = "x"
"#;
    let found = problems(text);
    for part in [
        "fix.toml:1: version: 2 is not a version",
        "fix.toml:2: pipelin: unknown key; write pipeline",
        "fix.toml:1: pipeline: is missing",
        "fix.toml:4: fix[1].where: the failure archive has no column \"eror_code\" (did you mean error_code?)",
        "fix.toml:6: fix[1].cast: must say one way",
        "fix.toml:9: fix[2].replace.pattern: is no regular expression",
        "fix.toml:12: fix[3].replace.with: names the group \"1\"",
        "fix.toml:16: fix[4].trim: the fix has set and trim: it may have one operation",
        "fix.toml:18: fix[5].raw.with: is missing",
        "fix.toml:20: fix[6].column: is missing",
    ] {
        assert!(found.contains(part), "{part}\n--\n{found}");
    }
}

#[test]
fn what_a_fix_cannot_be_is_refused() {
    let fix = |keys: &str| format!("version = 1\npipeline = \"orders\"\n[[fix]]\n{keys}\n");
    for (keys, part) in [
        ("column = \"a\"", "fix.toml:3: fix[1].replace: is missing; write one of replace, set"),
        ("column = \"a\"\nset_null = false", "false does nothing"),
        ("column = \"a\"\ntrim = \"\"", "must be true, or the characters"),
        ("column = \"a\"\ntrim = 5", "must be true, or the characters"),
        ("column = \"a\"\nset = [1]", "must be one value"),
        ("column = \"a\"\ncast = {}", "must say one way"),
        ("column = \"a\"\ncast = { thousands = \".\" }", "cast.decimal: is missing"),
        ("column = \"a\"\ncast = { decimal = \",,\" }", "must be one character"),
        ("column = \"a\"\ncast = { decimal = \"1\" }", "part of a number"),
        ("column = \"a\"\ncast = { decimal = \",\", thousands = \",\" }", "cast.thousands"),
        ("column = \"a\"\ncast = { decimal = \",\", thousands = \"\" }", "cast.thousands"),
        ("column = \"a\"\ncast = { date = \"%H\" }", "does not name a whole date"),
        ("column = \"a\"\ncast = { timestamp = \"%d.%m.%Y\" }", "a whole date and time of day"),
        ("column = \"a\"\ncast = { decimals = \",\" }", "unknown key; write decimal"),
        (
            "column = \"a\"\nrename = { from = \"a\", to = \"b\" }",
            "the whole record; write no column",
        ),
        ("rename = { from = \"a\" }", "rename.to: is missing"),
        ("matching = \"a\"\nraw = { pattern = \"a\", with = \"\" }", "is for the text of a column"),
    ] {
        let found = problems(&fix(keys));
        assert!(found.contains(part), "{keys}\n{found}");
    }
    assert!(problems("version = 1\npipeline = \"a\"\n").contains("fix: is missing"));
    assert!(problems("version = 1\npipeline = \"a\"\nfix = 5\n").contains("must be tables"));
    assert!(problems("version = 1\npipeline = \n").contains("fix.toml:2: not valid TOML"));
}

#[test]
fn a_patch_must_fit_its_pipeline() {
    let mut pipeline = orders();
    let mut supplier = column("supplier", ColumnType::String);
    supplier.from = ColumnSource::Capture("supplier".to_owned());
    pipeline.columns.push(supplier);
    let millis = ColumnType::Timestamp { format: TimestampFormat::EpochMillis };
    pipeline.columns.push(column("millis", millis));
    pipeline.source.timezone = None;
    for (keys, part) in [
        (
            "column = \"amont\"\ntrim = true",
            "fix.toml:3: fix[1].column: the pipeline has no column \"amont\"; write \"amount\"",
        ),
        ("column = \"supplier\"\ntrim = true", "{supplier} of the object's key"),
        ("column = \"note\"\ncast = { decimal = \",\" }", "note is no number column"),
        (
            "column = \"at\"\ncast = { date = \"%F\" }",
            "at is no date column; write cast = { timestamp",
        ),
        ("column = \"day\"\ncast = { timestamp = \"%F %T\" }", "day is no timestamp column"),
        ("column = \"millis\"\ncast = { timestamp = \"%F %T\" }", "a format with %z"),
        ("column = \"amount\"\nset_null = true", "amount is not nullable"),
        ("rename = { from = \"Betrag\", to = \"amount\" }", "amount = { from = [\"amount\", ..] }"),
    ] {
        let found = one_fix(keys).check(&pipeline).expect_err(keys).to_string();
        assert!(found.contains(part), "{keys}\n{found}");
    }
    let other = Patch { pipeline: "events".to_owned(), ..one_fix("column = \"id\"\ntrim = true") };
    let found = other.check(&pipeline).unwrap_err().to_string();
    assert!(found.contains("the patch is for \"events\", the rows are of \"orders\""), "{found}");
    dialect(&mut pipeline).null = vec![];
    let found =
        one_fix("column = \"note\"\nset_null = true").check(&pipeline).unwrap_err().to_string();
    assert!(found.contains("csv.null is empty"), "{found}");
}

#[test]
fn the_canonical_text_reads_as_the_same_patch() {
    let text = r#"
        version = 1
        pipeline = "orders"
        [[fix]]
        where = "column='amount' and fix=0" # the amounts
        column = "amount"
        matching = '\d'
        replace = { pattern = "it's \\d", with = "${0}\t\"" }
        [[fix]]
        column = "note"
        set = "x"
        [[fix]]
        column = "note"
        set_null = true
        [[fix]]
        column = "note"
        trim = " \u00a0"
        [[fix]]
        column = "note"
        trim = true
        [[fix]]
        column = "amount"
        cast = { thousands = ".", decimal = "," }
        [[fix]]
        column = "amount"
        cast = { decimal = "," }
        [[fix]]
        column = "day"
        cast = { date = "%d.%m.%Y" }
        [[fix]]
        column = "at"
        cast = { timestamp = "%d.%m.%Y %H:%M" }
        [[fix]]
        rename = { to = "b", from = "a" }
        [[fix]]
        raw = { pattern = '\\"', with = '""' }
    "#;
    let read = Patch::parse("fix.toml", text).unwrap();
    let canonical = read.to_toml();
    let again = Patch::parse("other.toml", &canonical).unwrap();
    assert_eq!(again.to_toml(), canonical);
    assert_eq!(again.sha256(), read.sha256());
    assert!(canonical.contains("where = \"column = 'amount' AND fix = 0\""), "{canonical}");
    assert_ne!(one_fix("column = \"note\"\nset = \"y\"").sha256(), read.sha256());
    assert_eq!(read.fixes.len(), 11);
}

#[test]
fn the_examples_fit_the_example_pipelines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let mut operations = std::collections::BTreeSet::new();
    for name in ["orders.toml", "events.toml"] {
        let pipeline = read(&format!("pipelines/{name}"));
        let none = |_: &str| Err("no base".to_owned());
        let pipeline =
            crate::pipeline_file::parse(name, &pipeline, &none, &|_| None).unwrap().pipeline;
        let patch = Patch::parse(name, &read(&format!("patches/{name}"))).unwrap();
        patch.check(&pipeline).unwrap_or_else(|problems| panic!("{problems}"));
        let names = patch.fixes.iter().map(|fix| {
            let line = fix.operation.to_toml();
            line.split(" = ").next().unwrap().to_owned()
        });
        operations.extend(names);
    }
    let all = ["cast", "raw", "rename", "replace", "set", "set_null", "trim"];
    assert_eq!(operations.into_iter().collect::<Vec<_>>(), all, "every operation has its example");
}
