//! The rules of a column: patterns, allowed values, and what contradicts the type or another rule.

use crate::pipeline::{Column, ColumnType};
use crate::toml_file::problem::{Report, quoted};
use crate::toml_file::section::{Section, scalar_of, shown};
use crate::toml_file::tree::Value;

pub(super) fn read_pattern(section: &Section<'_>, report: &mut Report) -> Option<String> {
    let text = section.text("pattern", "'^[A-Z]{3}$'", report)?;
    if let Err(error) = regex::Regex::new(text) {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        let what = format!("{} is not a regular expression: {reason}", quoted(text));
        let write = "one that the Rust crate regex reads: no look-around, no back references";
        section.wrong("pattern", what, write, report);
    }
    Some(text.to_owned())
}

pub(super) fn read_one_of(section: &Section<'_>, report: &mut Report) -> Option<Vec<String>> {
    const EXAMPLE: &str = "a list such as [\"EUR\", \"USD\"]";
    let node = section.get("one_of")?;
    let Value::List(items) = &node.value else {
        section.wrong(
            "one_of",
            format!("must be a list, not {}", shown(&node.value)),
            EXAMPLE,
            report,
        );
        return None;
    };
    if items.is_empty() {
        section.wrong("one_of", "allows nothing", EXAMPLE, report);
    }
    let name = section.full("one_of");
    let mut values: Vec<String> = Vec::with_capacity(items.len());
    let mut seen = std::collections::HashSet::new();
    for item in items {
        let Some(text) = scalar_of(item, &name, report) else {
            continue;
        };
        if seen.insert(text.clone()) {
            values.push(text);
        } else {
            report.warn(item.at, &name, format!("{} stands twice", quoted(&text)), "it once");
        }
    }
    Some(values)
}

/// Rules that contradict the type or each other.
pub(super) fn check_column(
    column: &Column,
    section: &Section<'_>,
    known_type: bool,
    report: &mut Report,
) {
    let is_string = column.data_type == ColumnType::String;
    if known_type {
        check_rules_fit(column, section, report);
    }
    if let (Some(min), Some(max)) = (column.min_length, column.max_length)
        && min > max
    {
        let what = format!("{max} is below min_length {min}");
        section.wrong("max_length", what, "a max_length of at least min_length", report);
    }
    if column.key && column.nullable {
        let what = "a key column always has a value";
        section.wrong("nullable", what, "no nullable, or no key", report);
    }
    if column.nullable && column.default.is_some() {
        let what = "has no effect: the default stands in for every NULL";
        let name = section.full("nullable");
        report.warn(section.at("nullable"), &name, what, "no nullable, or no default");
    }
    if let (true, Some(default), Some(allowed)) = (is_string, &column.default, &column.one_of)
        && !allowed.contains(default)
    {
        let what = format!("{} is not in one_of, so it would reject every row", quoted(default));
        section.wrong("default", what, "one of the allowed values", report);
    }
}

fn check_rules_fit(column: &Column, section: &Section<'_>, report: &mut Report) {
    let is_string = column.data_type == ColumnType::String;
    let ordered = !is_string && column.data_type != ColumnType::Bool;
    for (rule, given, fits, types) in [
        ("min", column.min.is_some(), ordered, "numbers, dates and times"),
        ("max", column.max.is_some(), ordered, "numbers, dates and times"),
        ("min_length", column.min_length.is_some(), is_string, "string columns"),
        ("max_length", column.max_length.is_some(), is_string, "string columns"),
    ] {
        if given && !fits {
            let write = match rule {
                "min" | "max" if is_string => format!("{rule}_length, one_of or pattern"),
                _ => format!("no {rule}, or another type"),
            };
            section.wrong(rule, format!("is for {types} only"), &write, report);
        }
    }
}
