//! The guesses as a pipeline file.

use super::column::ColumnStats;
use super::guess::{Guess, group};
use super::line::{From, Line, name_columns};
use super::nulls::Nulls;
use super::source_lines::push_source;
use super::text::{comment, push, value};
use super::{InferError, Inference};
use crate::pipeline_file::name_from;
use crate::toml_file::{toml_key, toml_string};

pub(super) fn render(inference: &Inference) -> Result<String, InferError> {
    let mut out = String::new();
    let (mut lines, remarks) = name_columns(inference);
    if lines.is_empty() {
        return Err(InferError::NoColumns);
    }
    let nulls = Nulls::of(inference, &mut lines);
    nulls.mark(inference, &mut lines);
    guess_key(inference, &mut lines);
    let base = base_name(&inference.file_name);
    let name = name_from(base).unwrap_or_else(|| "data".to_owned());
    let rows = group(inference.rows);
    comment(&mut out, &format!("Guessed from {} with {rows} rows.", inference.file_name));
    comment(&mut out, "Read the comments, then compare: rowproof check <this file> <the input>");
    push(&mut out, &format!("version = 1\nname = {}\n", toml_string(&name)));
    push_source(&mut out, inference, &name, &lines, &nulls);
    push(&mut out, "\n[columns]");
    for remark in remarks.iter().chain(&inference.column_remarks) {
        comment(&mut out, remark);
    }
    for line in &lines {
        push_column(&mut out, line);
    }
    push(&mut out, "\n[sink.parquet]");
    push(&mut out, &format!("path = {}", toml_string(&format!("curated/{name}"))));
    Ok(out)
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

fn push_column(out: &mut String, line: &Line) {
    for text in &line.guess.comments {
        comment(out, text);
    }
    let mut options = vec![format!("type = {}", toml_string(&line.guess.data_type))];
    if let Some(format) = line.guess.format {
        options.push(format!("format = {}", toml_string(format)));
    }
    options.extend(line.guess.options.iter().cloned());
    match &line.from {
        From::Own => {}
        From::Name(name) => options.push(format!("from = {}", value(name))),
        From::Place(place) => options.push(format!("from = {place}")),
    }
    if line.is_key {
        options.push("key = true".to_owned());
    }
    if line.nullable {
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
