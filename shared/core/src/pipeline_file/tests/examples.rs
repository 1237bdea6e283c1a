use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/pipelines"))
}

fn example(file: &str) -> Pipeline {
    let text = std::fs::read_to_string(folder().join(file)).expect("the example is there");
    let parsed = parse(file, &text, &no_file, &no_env).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((&parsed.warnings, &parsed.notes), (&vec![], &vec![]), "{file}");
    parsed.pipeline
}

#[test]
fn the_example_for_orders_takes_any_csv_file() {
    let orders = example("orders.toml");
    let pattern = KeyPattern::compile(&orders.source.pattern).expect("compiles");

    assert_eq!(orders.columns.len(), 10);
    for name in ["o.csv", "o.csv.gz", "o.csv.zst"] {
        assert!(pattern.matches(&format!("{}{name}", pattern.literal_directory())), "{name}");
    }
    let amount = orders.columns.iter().find(|column| column.name == "amount").expect("amount");
    assert_eq!(amount.data_type, ColumnType::Decimal { precision: 12, scale: 2 });
}

#[test]
fn the_example_for_events_uses_its_captures() {
    let events = example("events.toml");

    assert!(matches!(events.source.format, Format::Jsonl(_)));
    let captured = |column: &&Column| matches!(column.from, ColumnSource::Capture(_));
    assert!(events.columns.iter().any(|column| captured(&column)));
    assert!(matches!(events.source.replaces, Replaces::Captures(_)));
    assert!(!events.sink.parquet().unwrap().partition_by.is_empty());
}

#[test]
fn the_examples_do_not_overlap() {
    let pipelines = [example("orders.toml"), example("events.toml")].map(Arc::new);

    assert_eq!(overlaps(&pipelines), []);
}

#[test]
fn the_commented_lines_of_the_examples_are_right_as_well() {
    for file in ["orders.toml", "events.toml"] {
        let text = std::fs::read_to_string(folder().join(file)).expect("the example is there");
        let line = |line: &str| match line.strip_prefix("# ") {
            Some(code) if code.contains(" = ") => format!("{code}\n"),
            _ => format!("{line}\n"),
        };
        let all: String = text.lines().map(line).collect();
        assert_ne!(all, text, "{file} has optional lines");
        parse(file, &all, &no_file, &no_env).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn the_json_schema_in_the_tree_is_current() {
    let path = folder().join("pipeline.schema.json");
    let schema = json_schema();
    if std::env::vars().any(|(name, _)| name == "UPDATE_GOLDEN") {
        std::fs::write(&path, &schema).expect("writes the schema");
    }

    let stored = std::fs::read_to_string(&path).expect("the schema is there");
    assert_eq!(stored, schema, "run the test with UPDATE_GOLDEN=1");
}

/// Every place of the schema that has properties, with their names.
fn objects(schema: &Json) -> Vec<BTreeSet<String>> {
    let properties = |object: &Json| -> Option<BTreeSet<String>> {
        let properties = object.get("properties")?.as_object()?;
        Some(properties.keys().cloned().collect())
    };
    let definitions = schema.get("$defs").and_then(Json::as_object).expect("definitions");
    std::iter::once(schema).chain(definitions.values()).filter_map(properties).collect()
}

#[test]
fn the_json_schema_has_the_keys_that_are_read() {
    let schema: Json = serde_json::from_str(&json_schema()).expect("JSON");
    let read = |keys: &[Key]| -> BTreeSet<String> {
        let read = keys.iter().filter(|key| key.unsupported.is_none());
        read.map(|key| key.name.to_owned()).collect()
    };
    let mut expected = vec![
        read(&KEYS),
        read(&source::KEYS),
        read(&csv::KEYS),
        read(&source::JSONL_KEYS),
        read(&columns::KEYS),
        read(&sink::KEYS),
        read(&sink::PARQUET_KEYS),
        read(&postgres::KEYS),
        read(&sink::ERROR_KEYS),
        read(&sink::HOLD_KEYS),
    ];
    let mut found = objects(&schema);
    expected.sort();
    found.sort();

    assert_eq!(found, expected);
}
