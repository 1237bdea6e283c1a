use std::collections::BTreeMap;

use super::*;
use crate::pipeline::*;

mod bases;
mod examples;
mod postgres_sink;
mod problems;
mod values;

const MINIMAL: &str = r#"version = 1
name = "orders"
[source]
match = "incoming/{supplier}/*.csv*"
format = "csv"
[columns]
id = "int64"
status = "string"
day = "date"
at = "timestamp"
[sink.parquet]
path = "curated/orders"
"#;

fn no_file(name: &str) -> Result<String, String> {
    Err(format!("no file {name}"))
}

fn no_env(_: &str) -> Option<String> {
    None
}

fn parse_text(text: &str) -> Result<Parsed, Problems> {
    parse("orders.toml", text, &no_file, &no_env)
}

pub(crate) fn minimal() -> Pipeline {
    parse_text(MINIMAL).expect("parses").pipeline
}

/// `MINIMAL` with `line` instead of the line that starts with the same word, or after `[table]`.
fn with(table: &str, line: &str) -> String {
    let key = line.split(['=', ' ']).next().expect("a key");
    let mut out: Vec<&str> = Vec::new();
    let mut here = "";
    for old in MINIMAL.lines() {
        if old.starts_with('[') {
            here = old;
        }
        let replaced = here == table && old.split(['=', ' ']).next() == Some(key);
        if !replaced {
            out.push(old);
        }
        if old == table {
            out.push(line);
        }
    }
    if table.is_empty() {
        out.retain(|old| old.split(' ').next() != Some(key));
        out.insert(0, line);
    } else if !out.contains(&line) {
        out.extend([table, line]);
    }
    out.join("\n")
}
