//! The `[source]` table of the proposal.

use super::Inference;
use super::guess::group;
use super::line::Line;
use super::nulls::Nulls;
use super::text::{comment, push, value};
use crate::pipeline::{BlankLines, CsvDialect, Escapes, Format};
use crate::pipeline_file::{DIALECTS, named_dialect};
use crate::toml_file::toml_string;

pub(super) fn push_source(
    out: &mut String,
    inference: &Inference,
    name: &str,
    lines: &[Line],
    nulls: &Nulls,
) {
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
    let is_csv = matches!(inference.format, Format::Csv(_));
    // Words in JSON are texts, unless they are declared.
    if (is_csv || nulls.quoted) && !nulls.words.is_empty() {
        let typed = |line: &Line| line.guess.is_typed() && !line.guess.null_words.is_empty();
        if lines.iter().any(typed) {
            let line = "some numbers or dates are words that look like NULL";
            comment(out, &format!("{line}; these words become NULL in text columns as well"));
        } else {
            let words = nulls.words.join(", ");
            comment(
                out,
                &format!("{words} without quotes, in text columns alone, is read as NULL"),
            );
        }
    }
    if nulls.quoted && is_csv {
        let line = "NULL is written in quotes, so it cannot be told from an empty text";
        comment(out, &format!("{line}: both become NULL"));
    }
    match &inference.format {
        Format::Csv(csv) => push_dialect(out, csv, inference.encoding.as_deref(), nulls),
        Format::Jsonl(options) => {
            let texts: Vec<String> = nulls.texts(&[]).iter().map(|null| value(null)).collect();
            let null = nulls.quoted.then(|| format!("null = [{}]", texts.join(", ")));
            let list = options.list.then(|| "list = true".to_owned());
            let keys: Vec<String> = list.into_iter().chain(null).collect();
            if !keys.is_empty() {
                push(out, &format!("jsonl = {{ {} }}", keys.join(", ")));
            }
        }
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

/// The extension, without that of a compression, when a pattern can hold it.
fn extension_of(file_name: &str) -> Option<&str> {
    let own = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let own = [".gz", ".zst", ".zstd"].iter().find_map(|end| own.strip_suffix(end)).unwrap_or(own);
    let (_, extension) = own.rsplit_once('.')?;
    let plain = !extension.is_empty() && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then_some(extension)
}
