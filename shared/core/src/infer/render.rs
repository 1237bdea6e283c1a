//! The guesses as a pipeline file.

use std::collections::HashSet;

use super::column::{ColumnStats, NULL_WORDS};
use super::guess::{Guess, group, guess};
use super::{InferError, Inference};
use crate::pipeline::{CsvDialect, Format, is_column_name, name_from, toml_key, toml_string};

/// A column as it is written.
struct Line {
    /// Of the statistics.
    index: usize,
    /// Output name; differs from the field's when that one cannot be used.
    name: String,
    field: String,
    guess: Guess,
    is_key: bool,
}

pub(super) fn render(inference: &Inference) -> Result<String, InferError> {
    let mut out = String::new();
    let (mut lines, remarks) = name_columns(inference);
    if lines.is_empty() {
        return Err(InferError::NoColumns);
    }
    let words = null_words(inference, &mut lines);
    guess_key(inference, &mut lines);
    let base = base_name(&inference.file_name);
    let name = name_from(base).unwrap_or_else(|| "data".to_owned());
    let rows = group(inference.rows);
    comment(&mut out, &format!("Guessed from {} with {rows} rows.", inference.file_name));
    comment(&mut out, "Read the comments, then compare: rowproof check <this file> <the input>");
    push(&mut out, &format!("version = 1\nname = {}\n", toml_string(&name)));
    push_source(&mut out, inference, &name, &lines, &words);
    push(&mut out, "\n[columns]");
    for remark in remarks {
        comment(&mut out, &remark);
    }
    let header = !matches!(&inference.format, Format::Csv(CsvDialect { header: false, .. }));
    for line in &lines {
        push_column(&mut out, line, header);
    }
    push(&mut out, "\n[sink.parquet]");
    push(&mut out, &format!("path = {}", toml_string(&format!("curated/{name}"))));
    Ok(out)
}

/// Columns with usable names, and what to say about the others.
fn name_columns(inference: &Inference) -> (Vec<Line>, Vec<String>) {
    let mut lines = Vec::new();
    let mut remarks = Vec::new();
    let mut taken: HashSet<String> = HashSet::new();
    let mut fields: HashSet<&str> = HashSet::new();
    for (index, stats) in inference.columns.iter().enumerate() {
        let number = index + 1;
        if stats.name.is_empty() {
            remarks.push(format!("field {number} has no name in the header and is not read"));
            continue;
        }
        if !fields.insert(&stats.name) {
            let name = toml_string(&stats.name);
            remarks.push(format!("field {number} is a second {name} and cannot be read by name"));
            continue;
        }
        let mut name = stats.name.clone();
        let mut suffix = number;
        while !is_column_name(&name) || taken.contains(&name.to_lowercase()) {
            name = format!("column_{suffix}");
            suffix += 1;
        }
        if name != stats.name && is_capture(&stats.name) {
            let field = toml_string(&stats.name);
            remarks.push(format!("field {number} is named {field} like a capture and is not read"));
            continue;
        }
        taken.insert(name.to_lowercase());
        let guess = guess(stats, inference.rows);
        lines.push(Line { index, name, field: stats.name.clone(), guess, is_key: false });
    }
    (lines, remarks)
}

/// The words that stand for NULL in some column. They do so in text columns as well.
fn null_words(inference: &Inference, lines: &mut [Line]) -> Vec<&'static str> {
    let words: Vec<&str> = NULL_WORDS
        .into_iter()
        .filter(|word| lines.iter().any(|line| line.guess.null_words.contains(word)))
        .collect();
    for line in lines {
        let Some(stats) = inference.columns.get(line.index) else {
            continue;
        };
        let mut counted = NULL_WORDS.iter().zip(&stats.null_words);
        line.guess.nullable |= counted.any(|(word, count)| *count > 0 && words.contains(word));
    }
    words
}

fn is_capture(field: &str) -> bool {
    field.starts_with('{') && field.ends_with('}')
}

/// Marks the likeliest key, or says what speaks against it.
fn guess_key(inference: &Inference, lines: &mut [Line]) {
    let stats_of = |line: &Line| inference.columns.get(line.index);
    let mut best: Option<(u8, usize)> = None;
    let mut nearly: Option<(u8, usize)> = None;
    for (i, line) in lines.iter().enumerate() {
        let Some(stats) = stats_of(line) else {
            continue;
        };
        let whole = ["int64", "uint64", "string"].contains(&line.guess.data_type.as_str());
        let score = key_score(&line.name, i);
        if !whole || score == 0 || inference.rows < 2 || stats.bytes_max > 64 {
            continue;
        }
        let flaws = flaws(stats, &line.guess, inference.rows);
        let slot = match flaws {
            0 if stats.unique.seen > 0 => &mut best,
            flaws if flaws.saturating_mul(50) <= inference.rows && score > 1 => &mut nearly,
            _ => continue,
        };
        if slot.is_none_or(|(known, _)| score > known) {
            *slot = Some((score, i));
        }
    }
    let Some((_, i)) = best.or(nearly) else {
        return;
    };
    let Some(line) = lines.get_mut(i) else { return };
    let Some(stats) = stats_of(line) else { return };
    let seen = if stats.unique.given_up { "the first " } else { "all " };
    let seen = format!("{seen}{} rows", group(stats.unique.seen));
    if best.is_some() {
        line.is_key = true;
        line.guess.comments.push(format!("key: each value stands once in {seen}"));
    } else {
        let flaws = group(flaws(stats, &line.guess, inference.rows));
        let text = format!("nearly a key: {flaws} values repeat, are empty or do not fit");
        line.guess.comments.push(format!("{text}; add key = true if it names a row"));
    }
}

/// Values that speak against a key.
fn flaws(stats: &ColumnStats, guess: &Guess, rows: u64) -> u64 {
    let empty = rows.saturating_sub(stats.values);
    let gave_up_on_repeats = stats.unique.given_up && stats.unique.repeats > 0;
    let unknown = if gave_up_on_repeats { rows } else { 0 };
    let words = if guess.null_words.is_empty() { 0 } else { stats.null_word_count() };
    stats.unique.repeats + empty + guess.misfits + words + unknown
}

/// How much a column's name and place speak for a key.
fn key_score(name: &str, place: usize) -> u8 {
    let name = name.to_lowercase();
    match name.as_str() {
        "id" | "key" | "uuid" | "guid" => 3,
        name if ["_id", "_key", "_no", "_number", "_uuid", "-id", " id"]
            .iter()
            .any(|end| name.ends_with(end)) =>
        {
            2
        }
        _ => u8::from(place == 0),
    }
}

fn push_source(
    out: &mut String,
    inference: &Inference,
    name: &str,
    lines: &[Line],
    words: &[&str],
) {
    push(out, "[source]");
    let (format, extension) = match &inference.format {
        Format::Csv(_) => ("csv", "csv"),
        Format::Jsonl(_) => ("jsonl", "jsonl"),
    };
    let found = extension_of(&inference.file_name).unwrap_or(extension);
    let pattern = toml_string(&format!("incoming/{name}/*.{found}*"));
    push(out, &format!("match = {pattern}\nformat = \"{format}\""));
    if let Format::Csv(csv) = &inference.format {
        let broken: u64 = inference.columns.iter().map(|stats| stats.not_utf8).sum();
        if broken > 0 {
            let line = format!("{} values are not UTF-8 and would be rejected", group(broken));
            comment(
                out,
                &format!("{line}: add encoding = \"windows-1252\" if that is what they are"),
            );
        }
        if !words.is_empty() {
            let line = "some numbers or dates are words that look like NULL";
            comment(out, &format!("{line}; these words become NULL in text columns as well"));
        }
        push_dialect(out, csv, words);
    }
    if inference.extra_fields > 0 {
        let line = format!("{} fields stand beyond the header", group(inference.extra_fields));
        comment(out, &format!("{line}: their rows would be rejected"));
    }
    if lines.iter().any(|line| line.guess.needs_zone) {
        comment(out, "timestamps have no offset: write the zone they were taken in");
        push(out, "timezone = \"UTC\"");
    }
}

/// The options that differ from their defaults.
fn push_dialect(out: &mut String, csv: &CsvDialect, words: &[&str]) {
    let byte = |byte: u8| toml_string(&char::from(byte).to_string());
    let mut options = Vec::new();
    if csv.delimiter != b',' {
        options.push(format!("delimiter = {}", byte(csv.delimiter)));
    }
    match csv.quote {
        Some(b'"') => {}
        Some(quote) => options.push(format!("quote = {}", byte(quote))),
        None => options.push("quote = \"\"".to_owned()),
    }
    if let Some(escape) = csv.escape {
        options.push(format!("escape = {}", byte(escape)));
    }
    if !csv.header {
        options.push("header = false".to_owned());
    }
    if csv.skip_lines > 0 {
        options.push(format!("skip_lines = {}", csv.skip_lines));
    }
    let mut nulls: Vec<String> = csv.null.clone();
    nulls.extend(words.iter().map(|word| (*word).to_owned()));
    if nulls != [""] {
        let nulls: Vec<String> = nulls.iter().map(|null| value(null)).collect();
        options.push(format!("null = [{}]", nulls.join(", ")));
    }
    if !options.is_empty() {
        push(out, &format!("csv = {{ {} }}", options.join(", ")));
    }
}

fn push_column(out: &mut String, line: &Line, header: bool) {
    for text in &line.guess.comments {
        comment(out, text);
    }
    let mut options = vec![format!("type = {}", toml_string(&line.guess.data_type))];
    if let Some(format) = line.guess.format {
        options.push(format!("format = {}", toml_string(format)));
    }
    if header && line.field != line.name {
        options.push(format!("from = {}", value(&line.field)));
    }
    if line.is_key {
        options.push("key = true".to_owned());
    }
    if line.guess.nullable {
        options.push("nullable = true".to_owned());
    }
    let name = toml_key(&line.name);
    match options.as_slice() {
        [_] => push(out, &format!("{name} = {}", toml_string(&line.guess.data_type))),
        _ => push(out, &format!("{name} = {{ {} }}", options.join(", "))),
    }
}

/// The name without folders and extensions.
fn base_name(file_name: &str) -> &str {
    let own = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    own.split('.').find(|part| !part.is_empty()).unwrap_or(own)
}

/// The extension, without that of a compression, when a pattern can hold it.
fn extension_of(file_name: &str) -> Option<&str> {
    let own = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let own = [".gz", ".zst", ".zstd"].iter().find_map(|end| own.strip_suffix(end)).unwrap_or(own);
    let (_, extension) = own.rsplit_once('.')?;
    let plain = !extension.is_empty() && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then_some(extension)
}

/// A value: `${` would be an environment variable.
fn value(text: &str) -> String {
    toml_string(&text.replace("${", "$${"))
}

fn comment(out: &mut String, text: &str) {
    let safe: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    push(out, &format!("# {safe}"));
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}
