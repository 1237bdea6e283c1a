//! `[source] csv`: how delimited text is written, by a named dialect and by single keys.

use crate::pipeline::{BlankLines, CsvDialect, Escapes, Ragged};
use crate::toml_file::problem::{At, Report, either, nearest, quoted};
use crate::toml_file::section::{Key, Section, key};
use crate::toml_file::tree::Value;

pub(super) const KEYS: [Key; 17] = [
    key("dialect"),
    key("delimiter"),
    key("quote"),
    key("escape"),
    key("escapes"),
    key("header"),
    key("header_lines"),
    key("skip_lines"),
    key("skip_after_header"),
    key("comment"),
    key("null"),
    key("null_quoted"),
    key("blank_lines"),
    key("trailing_delimiter"),
    key("formula_text"),
    key("ragged"),
    key("encoding"),
];

/// Longest delimiter, in bytes.
const DELIMITER_BYTES_MAX: usize = 8;

/// The named dialects, and what programs write so.
pub(crate) const DIALECTS: [(&str, &str); 13] = [
    ("clickhouse", "ClickHouse CSV and CSVWithNames"),
    ("clickhouse_tsv", "ClickHouse TSVWithNames"),
    ("excel", "Excel and other spreadsheets"),
    ("hive", "Hive text tables, Athena UNLOAD as TEXTFILE"),
    ("mysql", "MySQL and MariaDB SELECT .. INTO OUTFILE"),
    ("mysql_batch", "the output of mysql -B and mariadb -B"),
    ("postgres", "Postgres COPY .. (FORMAT csv)"),
    ("postgres_text", "Postgres COPY in its text format"),
    ("r", "R write.csv"),
    ("redshift", "Redshift UNLOAD with its defaults"),
    ("snowflake", "Snowflake COPY INTO location with its defaults"),
    ("spark", "Spark write.csv"),
    ("tsv", "TSV with backslash escapes, as Miller and jq write it"),
];

/// The settings that a name stands for.
pub(crate) fn dialect(name: &str) -> Option<CsvDialect> {
    let plain = CsvDialect::default();
    // Tab-separated text without quotes, whose escapes stand for what a field could not hold.
    let text = CsvDialect {
        delimiter: b'\t',
        quote: None,
        escape: Some(b'\\'),
        escapes: Escapes::Text,
        null: vec!["\\N".to_owned()],
        ..plain.clone()
    };
    let unnamed = CsvDialect { header: false, ..text.clone() };
    Some(match name {
        "clickhouse" => CsvDialect { null: vec!["\\N".to_owned()], ..plain },
        "clickhouse_tsv" => text,
        "excel" => CsvDialect { formula_text: true, ..plain },
        "hive" => CsvDialect { delimiter: 1, escape: None, escapes: Escapes::Quotes, ..unnamed },
        "mysql" => unnamed,
        "mysql_batch" => CsvDialect { null: vec!["NULL".to_owned()], ..text },
        "postgres" => plain,
        "postgres_text" => CsvDialect { comment: vec!["\\.".to_owned()], ..unnamed },
        "r" => CsvDialect { null: vec!["NA".to_owned()], ..plain },
        "redshift" => CsvDialect { delimiter: b'|', quote: None, header: false, ..plain },
        "snowflake" => CsvDialect { delimiter: b',', ..unnamed },
        "spark" => CsvDialect { escape: Some(b'\\'), ..plain },
        "tsv" => CsvDialect { null: plain.null, ..text },
        _ => return None,
    })
}

/// The dialect and the encoding, where one is named.
pub(super) fn read(source: &Section<'_>, report: &mut Report) -> (CsvDialect, Option<String>) {
    if let Some(Value::Text(_)) = source.get("csv").map(|node| &node.value) {
        return (named(source, "csv", report), None);
    }
    let Some(csv) = source.section("csv", &KEYS, report) else {
        return (CsvDialect::default(), None);
    };
    let dialect = named(&csv, "dialect", report);
    let dialect = read_keys(&csv, dialect, report);
    (dialect, read_encoding(&csv, report))
}

fn named(section: &Section<'_>, key: &str, report: &mut Report) -> CsvDialect {
    let names = || DIALECTS.iter().map(|(name, _)| *name);
    let Some(name) = section.text(key, &either(names()), report) else {
        return CsvDialect::default();
    };
    dialect(name).unwrap_or_else(|| {
        let write = nearest(name, names()).map_or_else(|| either(names()), quoted);
        let what = format!("{} is not a dialect that is known here", quoted(name));
        section.wrong(key, what, &write, report);
        CsvDialect::default()
    })
}

fn read_keys(csv: &Section<'_>, mut dialect: CsvDialect, report: &mut Report) -> CsvDialect {
    if let Some((first, rest)) = read_delimiter(csv, report) {
        (dialect.delimiter, dialect.delimiter_rest) = (first, rest);
    }
    match csv.get("quote").map(|node| &node.value) {
        Some(Value::Text(text)) if text.is_empty() => dialect.quote = None,
        _ => {
            let quote = read_byte(csv, "quote", "\"\\\"\", or \"\" for no quoting", report);
            dialect.quote = quote.or(dialect.quote);
        }
    }
    match csv.get("escape").map(|node| &node.value) {
        Some(Value::Text(text)) if text.is_empty() => dialect.escape = None,
        _ => {
            let escape = read_byte(csv, "escape", "\"\\\\\", or \"\" for none", report);
            dialect.escape = escape.or(dialect.escape);
        }
    }
    let escapes = [("quotes", Escapes::Quotes), ("text", Escapes::Text)];
    dialect.escapes = csv.choice("escapes", &escapes, report).unwrap_or(dialect.escapes);
    check_bytes(csv, &dialect, report);
    dialect.header = csv.flag("header", report).unwrap_or(dialect.header);
    let lines = csv.count_u32("header_lines", report).filter(|lines| *lines != 1);
    dialect.header_lines = lines.unwrap_or(dialect.header_lines);
    dialect.skip_lines = csv.count_u32("skip_lines", report).unwrap_or(dialect.skip_lines);
    let after = csv.count_u32("skip_after_header", report);
    dialect.skip_after_header = after.unwrap_or(dialect.skip_after_header);
    check_header(csv, &dialect, report);
    if let Some(comment) = read_comment(csv, report) {
        dialect.comment = comment;
    }
    let blank_lines = [("skip", BlankLines::Skip), ("null", BlankLines::Null)];
    let blank_lines = csv.choice("blank_lines", &blank_lines, report);
    dialect.blank_lines = blank_lines.unwrap_or(dialect.blank_lines);
    let trailing = csv.flag("trailing_delimiter", report);
    dialect.trailing_delimiter = trailing.unwrap_or(dialect.trailing_delimiter);
    let formula = csv.flag("formula_text", report);
    dialect.formula_text = formula.unwrap_or(dialect.formula_text);
    let policies = [("reject", Ragged::Reject), ("pad", Ragged::Pad), ("lenient", Ragged::Lenient)];
    dialect.ragged = csv.choice("ragged", &policies, report).unwrap_or(dialect.ragged);
    if let Some(texts) = csv.texts("null", "[\"\", \"NULL\"]", report) {
        read_nulls(&texts, &mut dialect, report);
    }
    let null_quoted = csv.flag("null_quoted", report);
    dialect.null_quoted = null_quoted.unwrap_or(dialect.null_quoted);
    dialect
}

fn read_delimiter(csv: &Section<'_>, report: &mut Report) -> Option<(u8, String)> {
    const EXAMPLE: &str = "\",\", \";\", \"|\", \"\\t\" or several characters such as \"||\"";
    let text = csv.text("delimiter", EXAMPLE, report)?;
    let breaks = text.contains(['\n', '\r', '\0']);
    let first = text.bytes().next().filter(u8::is_ascii);
    match first.zip(text.get(1..)).filter(|_| !breaks && text.len() <= DELIMITER_BYTES_MAX) {
        Some((first, rest)) => Some((first, rest.to_owned())),
        None => {
            let what = format!(
                "{} is not one to {DELIMITER_BYTES_MAX} characters within a line, the first of them ASCII",
                quoted(text)
            );
            csv.wrong("delimiter", what, EXAMPLE, report);
            None
        }
    }
}

fn read_byte(csv: &Section<'_>, key: &str, example: &str, report: &mut Report) -> Option<u8> {
    let text = csv.text(key, example, report)?;
    match text.as_bytes() {
        [byte] if !matches!(byte, b'\n' | b'\r' | 0) && byte.is_ascii() => Some(*byte),
        _ => {
            let what = format!("{} is not one ASCII character within a line", quoted(text));
            csv.wrong(key, what, example, report);
            None
        }
    }
}

fn check_bytes(csv: &Section<'_>, dialect: &CsvDialect, report: &mut Report) {
    let mut clash = |key: &str, other: &str| {
        let what = format!("is the same character as {other}");
        csv.wrong(key, what, "another character", report);
    };
    let in_delimiter =
        |byte: Option<u8>| byte.is_some_and(|byte| dialect.separator().as_bytes().contains(&byte));
    if in_delimiter(dialect.quote) {
        clash("quote", "the delimiter");
    }
    if in_delimiter(dialect.escape) {
        clash("escape", "the delimiter");
    }
    if dialect.escape.is_some() && dialect.escape == dialect.quote {
        let what = "is the quote itself, and a doubled quote is always understood";
        csv.wrong("escape", what, "no escape", report);
    }
    if csv.get("escape").is_some()
        && dialect.escape.is_some()
        && dialect.quote.is_none()
        && dialect.escapes == Escapes::Quotes
    {
        let what = "has no effect without quotes: it works inside quoted fields";
        csv.wrong("escape", what, "a quote, or escapes = \"text\"", report);
    }
    if csv.get("escapes").is_some() && dialect.escape.is_none() {
        csv.wrong("escapes", "has no effect without an escape", "escape = \"\\\\\"", report);
    }
}

fn check_header(csv: &Section<'_>, dialect: &CsvDialect, report: &mut Report) {
    for key in ["header_lines", "skip_after_header"] {
        if csv.get(key).is_some() && !dialect.header {
            let what = "has no effect without a header";
            csv.wrong(key, what, "header = true, or skip_lines alone", report);
        }
    }
}

/// One text, or a list of them.
fn read_comment(csv: &Section<'_>, report: &mut Report) -> Option<Vec<String>> {
    const EXAMPLE: &str = "\"#\" or [\"#\", \"--\"]";
    let node = csv.get("comment")?;
    let texts = match &node.value {
        Value::List(_) => csv.texts("comment", EXAMPLE, report)?,
        Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Bool(_)
        | Value::Time(_)
        | Value::Table(_) => {
            vec![(node.at, csv.text("comment", EXAMPLE, report)?)]
        }
    };
    for (at, text) in &texts {
        if text.is_empty() || text.contains(['\n', '\r']) {
            let what = format!("{} is not how a line begins", quoted(text));
            report.problem(*at, "source.csv.comment", what, EXAMPLE);
        }
    }
    Some(texts.into_iter().map(|(_, text)| text.to_owned()).collect())
}

fn read_nulls(texts: &[(At, &str)], dialect: &mut CsvDialect, report: &mut Report) {
    dialect.null.clear();
    for (at, text) in texts {
        let breaks = |b: u8| b == dialect.delimiter || b == b'\n' || b == b'\r';
        let opens = dialect.quote.is_some_and(|quote| text.as_bytes().first() == Some(&quote));
        if text.bytes().any(breaks) || opens {
            let what = format!("{} is never the whole text of an unquoted field", quoted(text));
            report.problem(*at, "source.csv.null", what, "the text between two delimiters");
        }
        if dialect.null.iter().any(|other| other == text) {
            let what = format!("{} stands twice", quoted(text));
            report.problem(*at, "source.csv.null", what, "it once");
        }
        dialect.null.push((*text).to_owned());
    }
}

fn read_encoding(csv: &Section<'_>, report: &mut Report) -> Option<String> {
    const EXAMPLE: &str = "\"utf-8\", \"windows-1252\", \"utf-16le\" or another WHATWG label";
    let label = csv.text("encoding", EXAMPLE, report)?;
    match encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()) {
        // Two labels of one encoding are one pipeline.
        Some(encoding) => Some(encoding.name().to_ascii_lowercase()),
        None => {
            let what = format!("{} is not a known encoding", quoted(label));
            csv.wrong("encoding", what, EXAMPLE, report);
            None
        }
    }
}
