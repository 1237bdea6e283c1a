//! The columns as they are written: names that can be used, and how each finds its field.

use std::collections::{HashMap, HashSet};

use super::Inference;
use super::guess::{Guess, guess};
use crate::pipeline::{CsvDialect, Format};
use crate::pipeline_file::is_column_name;
use crate::toml_file::toml_string;

/// A column as it is written.
pub(super) struct Line {
    /// Of the statistics.
    pub(super) index: usize,
    /// Output name; differs from the field's when that one cannot be used.
    pub(super) name: String,
    pub(super) from: From,
    pub(super) guess: Guess,
    pub(super) nullable: bool,
    pub(super) is_key: bool,
}

/// How a column finds its field.
pub(super) enum From {
    /// By its own name, or in the order of the fields.
    Own,
    Name(String),
    /// By its place, from 1.
    Place(usize),
}

/// Columns with usable names, and what to say about the others.
pub(super) fn name_columns(inference: &Inference) -> (Vec<Line>, Vec<String>) {
    let mut lines = Vec::new();
    let mut remarks = Vec::new();
    let mut taken: HashSet<String> = HashSet::new();
    let headless = matches!(&inference.format, Format::Csv(CsvDialect { header: false, .. }));
    let by_name = matches!(&inference.format, Format::Jsonl(_));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for stats in &inference.columns {
        *counts.entry(stats.name.as_str()).or_default() += 1;
    }
    for (index, stats) in inference.columns.iter().enumerate() {
        let number = index + 1;
        if stats.left_out {
            continue;
        }
        let repeated = counts.get(stats.name.as_str()).is_some_and(|count| *count > 1);
        let mut name = match stats.name.as_str() {
            "" => format!("column_{number}"),
            own => own.to_owned(),
        };
        let mut suffix = number;
        while !is_column_name(&name) || taken.contains(&name.to_lowercase()) {
            name = match repeated && is_column_name(&stats.name) {
                true => format!("{}_{suffix}", stats.name),
                false => format!("column_{suffix}"),
            };
            suffix += 1;
        }
        if by_name && name != stats.name && is_capture(&stats.name) {
            let field = toml_string(&stats.name);
            remarks.push(format!("field {number} is named {field} like a capture and is not read"));
            continue;
        }
        let place = stats.name.is_empty() || repeated || is_capture(&stats.name);
        let from = match headless {
            true => From::Own,
            false if place && !by_name => From::Place(number),
            false if name != stats.name => From::Name(stats.name.clone()),
            false => From::Own,
        };
        let mut guess = guess(stats);
        if stats.name.is_empty() && !headless {
            guess.comments.push(format!("field {number} has no name in the header"));
        } else if repeated && !headless {
            let name = toml_string(&stats.name);
            guess
                .comments
                .push(format!("the header names {name} more than once: read by its place"));
        }
        taken.insert(name.to_lowercase());
        lines.push(Line { index, name, from, guess, nullable: false, is_key: false });
    }
    (lines, remarks)
}

fn is_capture(field: &str) -> bool {
    field.starts_with('{') && field.ends_with('}')
}
