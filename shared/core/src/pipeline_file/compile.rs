//! What shows only when the columns are compiled: literals, patterns, formats and time zones that their
//! types do not take.

use crate::check::compiled;
use crate::pipeline::{Column, Source};
use crate::toml_file::problem::{At, Report, dotted};
use crate::toml_file::tree::{Table, Value};

/// Compiles the columns that could be read and reports what is wrong where it stands.
pub(super) fn check(source: &Source, columns: &[Column], root: &Table, report: &mut Report) {
    let Err(problems) = compiled(source, columns) else { return };
    for problem in problems {
        let path = match problem.column.as_str() {
            "" => vec!["source", problem.key],
            column => vec!["columns", column, problem.key],
        };
        let name = path.iter().fold(String::new(), |name, key| dotted(&name, key));
        // The reader has compared the two lengths, and blames the other one.
        let other = name.replace(".min_length", ".max_length");
        if !report.names(&name) && !report.names(&other) {
            report.problem(place(root, &path), &name, problem.message, "");
        }
    }
}

/// Where the key stands, or else the innermost table around it.
fn place(root: &Table, path: &[&str]) -> At {
    let mut at = At { file: 0, line: 1 };
    let mut table = Some(root);
    for key in path {
        let Some(entry) = table.and_then(|table| table.entry(key)) else { break };
        at = entry.at;
        table = match &entry.node.value {
            Value::Table(table) => Some(table),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Time(_)
            | Value::List(_) => None,
        };
    }
    at
}

#[cfg(test)]
mod tests {
    const FILE: &str = r#"version = 1
name = "orders"
[source]
match = "in/*.csv"
format = "csv"
timezone = "Mars/Base"
[columns]
id = { type = "int64", key = true }
amount = { type = "decimal(5,2)", min = "a lot" }
[columns.name]
type = "string"
pattern = "("
[sink.parquet]
path = "curated/orders"
"#;

    #[test]
    fn what_only_compiling_shows_is_reported_at_its_line() {
        let load = |_: &str| Err("no base".to_owned());
        let problems =
            crate::pipeline_file::parse("orders.toml", FILE, &load, &|_| None).unwrap_err();
        let places: Vec<_> =
            problems.0.iter().map(|problem| (problem.line, problem.name.as_str())).collect();
        let expected =
            [(6, "source.timezone"), (9, "columns.amount.min"), (12, "columns.name.pattern")];
        assert_eq!(places, expected, "{problems}");
    }
}
