use super::*;

const TABLE: &str = r#"version = 1
name = "orders"
[source]
match = "incoming/*.csv"
format = "csv"
[columns]
id = { type = "int64", key = true }
op = "string"
at = "timestamp"
[sink.postgres]
table = "sales.orders"
dsn = "secret:prod/warehouse"
mode = "upsert"
"#;

fn sink(more: &str) -> PostgresSink {
    let parsed = parse_text(&format!("{TABLE}{more}\n")).expect("parses");
    parsed.pipeline.sink.postgres().expect("a table").clone()
}

/// What is wrong with the file when `old` is `new`.
fn problem(old: &str, new: &str) -> String {
    let text = TABLE.replace(old, new);
    assert_ne!(text, TABLE, "{old}");
    let problems = parse_text(&text).expect_err("is wrong");
    assert_eq!(problems.0.len(), 1, "{problems}");
    problems.to_string()
}

#[test]
fn a_table_is_read_with_its_defaults() {
    let plain = sink("");
    assert_eq!((plain.schema.as_str(), plain.table.as_str()), ("sales", "orders"));
    assert_eq!(plain.dsn, Dsn::Secret("prod/warehouse".into()));
    assert!(plain.skip_unchanged && !plain.create);
    assert_eq!(plain.commit, CommitUnit::Object);
    let full = sink(
        "newest_by = \"at\"\nskip_unchanged = false\ncommit = \"chunk\"\ncreate = \"if_missing\"\n\
         deleted_when = \"op = 'D'\"\nupdate_columns = [\"op\"]\nadd = [\"_source_file\"]",
    );
    assert_eq!(full.newest_by.as_deref(), Some("at"));
    assert_eq!(full.deleted_when.as_deref(), Some("(\"op\" = E'D')"));
    assert_eq!(full.update_columns, Some(vec!["op".into()]));
    assert!(!full.skip_unchanged && full.create);
}

#[test]
fn a_pipeline_with_a_table_comes_back_from_its_json() {
    let pipeline = parse_text(TABLE).expect("parses").pipeline;
    assert_eq!(Pipeline::from_json(&pipeline.to_json()).expect("comes back"), pipeline);
}

#[test]
fn what_is_wrong_with_a_table_is_said() {
    let last = "mode = \"upsert\"\n";
    for (old, new, what) in [
        ("table = \"sales.orders\"\n", "", "sink.postgres.table: is missing"),
        ("sales.orders", "sales.or\\\"ders", "is no name of a table"),
        ("sales.orders", "rowproof.loads", "schema rowproof is not for your rows"),
        ("secret:prod/warehouse", "postgres://u:hunter2@h/db", "connection strings do not belong"),
        ("secret:prod/warehouse", "iam:host", "does not say where to look"),
        (last, "", "sink.postgres.mode: is missing"),
        ("\"upsert\"", "\"merge\"", "\"merge\" is not known here"),
        (", key = true", "", "upsert needs a key"),
        ("op = \"string\"", "_rowproof_x = \"string\"", "cannot have \"_rowproof_x\" as a column"),
        (last, "mode = \"upsert\"\nnewest_by = \"att\"\n", "\"att\" is not a column"),
        (last, "mode = \"upsert\"\nupdate_columns = [\"id\"]\n", "no column outside the key"),
        (last, "mode = \"upsert\"\ndeleted_when = \"now() > at\"\n", "does not take"),
        (last, "mode = \"upsert\"\ndelete_missing = true\n", "needs files that hold all rows"),
        (last, "mode = \"upsert\"\ndelete_missing_max = \"5%\"\n", "has no meaning without"),
        (last, "mode = \"append\"\n", "keeps the rows of every version"),
        (last, "mode = \"delete_insert\"\nnewest_by = \"at\"\n", "has no meaning without mode"),
        (last, "mode = \"delete_insert\"\nskip_unchanged = true\n", "only an upsert compares"),
        (last, "mode = \"delete_insert\"\ncommit = \"chunk\"\n", "replaced all at once"),
    ] {
        let found = problem(old, new);
        assert!(found.contains(what), "{new}: {found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}
