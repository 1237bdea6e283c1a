//! The guesses as a pipeline file.

use std::collections::{HashMap, HashSet};

use super::column::{ColumnStats, NULL_WORDS};
use super::guess::{Guess, group, guess};
use super::{InferError, Inference};
use crate::pipeline::{
    BlankLines, CsvDialect, DIALECTS, Escapes, Format, is_column_name, name_from, named_dialect,
    toml_key, toml_string,
};

/// A column as it is written.
struct Line {
    /// Of the statistics.
    index: usize,
    /// Output name; differs from the field's when that one cannot be used.
    name: String,
    from: From,
    guess: Guess,
    nullable: bool,
    is_key: bool,
}

/// How a column finds its field.
enum From {
    /// By its own name, or in the order of the fields.
    Own,
    Name(String),
    /// By its place, from 1.
    Place(usize),
}

pub(super) fn render(inference: &Inference) -> Result<String, InferError> {
    let mut out = String::new();
    let (mut lines, remarks) = name_columns(inference);
    if lines.is_empty() {
        return Err(InferError::NoColumns);
    }
    let nulls = Nulls::of(inference, &lines);
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

/// Columns with usable names, and what to say about the others.
fn name_columns(inference: &Inference) -> (Vec<Line>, Vec<String>) {
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

/// What stands for NULL in the whole file.
struct Nulls {
    words: Vec<&'static str>,
    /// Text of no characters is NULL.
    empty: bool,
    /// The same in quotes.
    quoted: bool,
}

impl Nulls {
    fn of(inference: &Inference, lines: &[Line]) -> Nulls {
        let stats = |line: &Line| inference.columns.get(line.index);
        let words: Vec<&str> = NULL_WORDS
            .into_iter()
            .filter(|word| lines.iter().any(|line| line.guess.null_words.contains(word)))
            .collect();
        let typed = |line: &&Line| line.guess.is_typed();
        let typed: Vec<&ColumnStats> = lines.iter().filter(typed).filter_map(stats).collect();
        let quoted_empty = typed.iter().any(|stats| stats.quoted_empty > 0);
        let empty = typed.iter().any(|stats| inference.empty(stats) > 0);
        // Where no text is empty, an empty field is no text that would be lost.
        let texts = lines.iter().filter(|line| !line.guess.is_typed()).filter_map(stats);
        let empty_texts = texts.clone().any(|stats| inference.empty(stats) > 0 && stats.values > 0);
        let quoted_words = typed.iter().any(|stats| stats.quoted_words > 0);
        Nulls {
            empty: empty || quoted_empty || words.is_empty() || !empty_texts,
            quoted: quoted_empty || quoted_words,
            words,
        }
    }

    /// Which columns have a NULL.
    fn mark(&self, inference: &Inference, lines: &mut [Line]) {
        for line in lines {
            let Some(stats) = inference.columns.get(line.index) else { continue };
            let counts = NULL_WORDS.iter().zip(&stats.null_words);
            let words: u64 =
                counts.filter(|(word, _)| self.words.contains(word)).map(|(_, count)| *count).sum();
            let words = if self.quoted { words } else { words.saturating_sub(stats.quoted_words) };
            let jsonl = matches!(inference.format, Format::Jsonl(_));
            let plain = if self.empty || jsonl { inference.empty(stats) } else { 0 };
            let quoted = if self.empty && self.quoted { stats.quoted_empty } else { 0 };
            let nulls = plain + quoted + words;
            line.nullable = nulls > 0 || stats.values + stats.quoted_empty == 0;
            let rows = inference.rows;
            if nulls > 0 && nulls.saturating_mul(200) < rows {
                let seen = format!("only {} of {} rows are empty here", group(nulls), group(rows));
                let line_text = format!("{seen}: without nullable they would be rejected");
                line.guess.comments.push(line_text);
            }
        }
    }

    /// The texts of `null`, besides those that the file is known to be read with.
    fn texts(&self, known: &[String]) -> Vec<String> {
        if !known.is_empty() && known != [""] {
            return known.to_vec();
        }
        let empty = self.empty.then(String::new);
        empty.into_iter().chain(self.words.iter().map(|word| (*word).to_owned())).collect()
    }
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

fn push_source(out: &mut String, inference: &Inference, name: &str, lines: &[Line], nulls: &Nulls) {
    push(out, "[source]");
    let (format, extension) = match &inference.format {
        Format::Csv(_) => ("csv", "csv"),
        Format::Jsonl(_) => ("jsonl", "jsonl"),
    };
    let found = extension_of(&inference.file_name).unwrap_or(extension);
    let pattern = toml_string(&format!("incoming/{name}/*.{found}*"));
    push(out, &format!("match = {pattern}\nformat = \"{format}\""));
    for remark in &inference.remarks {
        comment(out, remark);
    }
    let broken: u64 = inference.columns.iter().map(|stats| stats.not_utf8).sum();
    if broken > 0 {
        let line = format!("{} values are not UTF-8 and would be rejected", group(broken));
        comment(out, &format!("{line}: add encoding = \"windows-1252\" if that is what they are"));
    }
    if !nulls.words.is_empty() {
        let line = "some numbers or dates are words that look like NULL";
        comment(out, &format!("{line}; these words become NULL in text columns as well"));
    }
    if nulls.quoted && matches!(inference.format, Format::Csv(_)) {
        let line = "NULL is written in quotes, so it cannot be told from an empty text";
        comment(out, &format!("{line}: both become NULL"));
    }
    match &inference.format {
        Format::Csv(csv) => push_dialect(out, csv, inference.encoding.as_deref(), nulls),
        Format::Jsonl(_) if nulls.quoted => {
            let texts: Vec<String> = nulls.texts(&[]).iter().map(|null| value(null)).collect();
            push(out, &format!("jsonl = {{ null = [{}] }}", texts.join(", ")));
        }
        Format::Jsonl(_) => {}
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

/// The options that differ from their defaults, or the name of the dialect that has them all.
fn push_dialect(out: &mut String, csv: &CsvDialect, encoding: Option<&str>, nulls: &Nulls) {
    let texts = nulls.texts(&csv.null);
    let named = DIALECTS.iter().find(|(name, _)| {
        *name != "postgres"
            && named_dialect(name).is_some_and(|named| {
                let wanted = CsvDialect { null: texts.clone(), ..csv.clone() };
                let comment = named.comment.clone();
                encoding.is_none() && !nulls.quoted && named == CsvDialect { comment, ..wanted }
            })
    });
    if let Some((name, about)) = named {
        comment(out, &format!("looks like {about}"));
        return push(out, &format!("csv = {}", toml_string(name)));
    }
    let options = dialect_options(csv, encoding, nulls);
    if !options.is_empty() {
        push(out, &format!("csv = {{ {} }}", options.join(", ")));
    }
}

fn dialect_options(csv: &CsvDialect, encoding: Option<&str>, nulls: &Nulls) -> Vec<String> {
    let byte = |byte: u8| toml_string(&char::from(byte).to_string());
    let mut options = Vec::new();
    if csv.separator() != "," {
        options.push(format!("delimiter = {}", toml_string(&csv.separator())));
    }
    match csv.quote {
        Some(b'"') => {}
        Some(quote) => options.push(format!("quote = {}", byte(quote))),
        None => options.push("quote = \"\"".to_owned()),
    }
    if let Some(escape) = csv.escape {
        options.push(format!("escape = {}", byte(escape)));
    }
    if csv.escapes == Escapes::Text {
        options.push("escapes = \"text\"".to_owned());
    }
    if !csv.header {
        options.push("header = false".to_owned());
    }
    for (key, count) in
        [("skip_lines", csv.skip_lines), ("skip_after_header", csv.skip_after_header)]
    {
        if count > 0 {
            options.push(format!("{key} = {count}"));
        }
    }
    let texts = nulls.texts(&csv.null);
    if texts != [""] {
        let texts: Vec<String> = texts.iter().map(|null| value(null)).collect();
        options.push(format!("null = [{}]", texts.join(", ")));
    }
    let flags = [
        ("null_quoted", nulls.quoted),
        ("trailing_delimiter", csv.trailing_delimiter),
        ("formula_text", csv.formula_text),
    ];
    options.extend(flags.iter().filter(|(_, on)| *on).map(|(key, _)| format!("{key} = true")));
    if csv.blank_lines == BlankLines::Null {
        options.push("blank_lines = \"null\"".to_owned());
    }
    options.extend(encoding.map(|encoding| format!("encoding = {}", toml_string(encoding))));
    options
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
