//! How a delimited file is written: delimiter, quote, escape, what stands before its records.

use super::first::{self, First};
use super::shape::Shape;
use crate::pipeline::{CsvDialect, Escapes};

/// Bytes of the sample that every way of writing is tried on.
const TRY_BYTES: usize = 128 << 10;

/// How a delimited file is written, as far as its first bytes tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sniffed {
    /// How it is read.
    pub dialect: CsvDialect,
    /// Names of the fields: the header's, or made up.
    pub names: Vec<String>,
    /// What is doubtful about it, each a comment of the proposal.
    pub remarks: Vec<String>,
}

/// Finds out how delimited text is written from its first bytes, without a byte order mark. `whole`: they
/// are all of it.
pub fn sniff(sample: &[u8], whole: bool) -> Sniffed {
    let small = sample.get(..TRY_BYTES).unwrap_or(sample);
    let is_whole = whole && small.len() == sample.len();
    let (dialect, mut remarks) = match separator_line(small) {
        Some((separator, _)) => {
            let dialect =
                CsvDialect { delimiter: separator, skip_lines: 1, ..CsvDialect::default() };
            (
                dialect,
                vec!["the first line names the separator, as spreadsheets write it".to_owned()],
            )
        }
        None => (CsvDialect::default(), vec![]),
    };
    let body = separator_line(small).map_or(small, |(_, body)| small.get(body..).unwrap_or(small));
    let forced = (dialect.skip_lines > 0).then_some(dialect.delimiter);
    let skipped = dialect.skip_lines;
    let (dialect, shape) = best(body, is_whole, forced);
    let (mut dialect, shape) = settled(dialect, shape, body, is_whole);
    let first = first::look(&dialect, &shape, body);
    let First { header, names, before, skip_after_header, trailing_delimiter, mut doubts } = first;
    dialect.skip_lines = skipped + before;
    if dialect.escapes == Escapes::Text {
        let line = "backslashes are read as escapes, \\n as a line end: without escape they stay as they are";
        doubts.push(line.to_owned());
    }
    dialect.header = header;
    dialect.skip_after_header = skip_after_header;
    dialect.trailing_delimiter = trailing_delimiter;
    if shape.fields < 2 && shape.blank > 0 && shape.records.len() > 2 {
        dialect.blank_lines = crate::pipeline::BlankLines::Null;
        doubts
            .push("one field a line, and empty lines between them: each is read as a NULL".into());
    }
    remarks.append(&mut doubts);
    Sniffed { dialect, names, remarks }
}

/// `sep=;`: the separator, and where the next line begins.
fn separator_line(sample: &[u8]) -> Option<(u8, usize)> {
    let end = memchr::memchr(b'\n', sample)?;
    let line = sample.get(..end)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator] if separator.is_ascii() => {
            Some((*separator, end + 1))
        }
        _ => None,
    }
}

/// Delimiters of one character that are tried, the likeliest first.
const SINGLE: [u8; 8] = [b',', b';', b'\t', b'|', 0x01, b'~', b'^', 0x1F];
/// Delimiters of several characters that are tried.
const SEVERAL: [&str; 8] = ["||", "~|~", "|~|", ", ", "; ", "::", "|^|", "##"];

/// The dialect that explains the sample best, and the sample as it reads it.
fn best(sample: &[u8], whole: bool, forced: Option<u8>) -> (CsvDialect, Shape) {
    let mut found: Option<(f64, CsvDialect, Shape)> = None;
    let mut consider = |dialect: CsvDialect, least_gain: f64| {
        let shape = Shape::read(&dialect, sample, whole);
        let score = shape.score();
        if score > 0.0 && found.as_ref().is_none_or(|best| score > best.0 + least_gain) {
            found = Some((score, dialect, shape));
        }
    };
    let delimiters = SINGLE.iter().copied().filter(|byte| {
        forced.is_none_or(|forced| forced == *byte) && memchr::memchr(*byte, sample).is_some()
    });
    for delimiter in delimiters.chain(forced.filter(|byte| !SINGLE.contains(byte))) {
        for dialect in variants(delimiter, "") {
            consider(dialect, 1e-9);
        }
    }
    for delimiter in SEVERAL.into_iter().filter(|_| forced.is_none()) {
        let (first, rest) = delimiter.split_at_checked(1).unwrap_or((",", ""));
        let first = first.bytes().next().unwrap_or(b',');
        let every = memchr::memmem::find_iter(sample, delimiter.as_bytes()).count();
        let single = memchr::memchr_iter(first, sample).count();
        // Where each first character belongs to a whole delimiter, the whole one is meant; a blank behind
        // some of the commas only is text.
        let own = memchr::memchr_iter(first, delimiter.as_bytes()).count();
        let is_meant = every * own * 20 >= single * 19;
        if every > 0 && is_meant {
            for dialect in variants(first, rest) {
                consider(dialect, -0.2);
            }
        }
    }
    if found.as_ref().is_none_or(|best| best.0 < 0.3) && forced.is_none() {
        for dialect in variants(b' ', "").into_iter().take(1) {
            let shape = Shape::read(&dialect, sample, whole);
            if shape.fields > 2 && shape.share() > 0.9 {
                return (dialect, shape);
            }
        }
    }
    found.map_or_else(|| single_column(sample, whole), |(_, dialect, shape)| (dialect, shape))
}

/// A file whose lines hold no delimiter.
fn single_column(sample: &[u8], whole: bool) -> (CsvDialect, Shape) {
    let dialect = CsvDialect::default();
    let shape = Shape::read(&dialect, sample, whole);
    if shape.bad > 0 {
        let bare = CsvDialect { quote: None, ..CsvDialect::default() };
        let bare_shape = Shape::read(&bare, sample, whole);
        if bare_shape.share() > shape.share() {
            return (bare, bare_shape);
        }
    }
    (dialect, shape)
}

/// The ways to quote and to escape with one delimiter, the plainest first: a later one has to explain more.
fn variants(delimiter: u8, rest: &str) -> Vec<CsvDialect> {
    let plain = CsvDialect { delimiter, delimiter_rest: rest.to_owned(), ..CsvDialect::default() };
    let escape = Some(b'\\');
    let bare = CsvDialect { quote: None, ..plain.clone() };
    let text = Escapes::Text;
    let single = CsvDialect { quote: Some(b'\''), ..plain.clone() };
    vec![
        plain.clone(),
        CsvDialect { escape, ..plain.clone() },
        CsvDialect { escape, escapes: text, ..plain },
        bare.clone(),
        CsvDialect { escape, escapes: text, ..bare },
        single,
    ]
}

/// Settles what the number of fields does not: whether backslashes that break nothing are escapes, and
/// whether `="007"` is a text.
fn settled(dialect: CsvDialect, shape: Shape, sample: &[u8], whole: bool) -> (CsvDialect, Shape) {
    let mut tries = Vec::new();
    if memchr::memchr(b'\\', sample).is_some() && dialect.escapes == Escapes::Quotes {
        tries.extend(text_escapes(&dialect, &shape));
    }
    let is_formula = |cell: &super::shape::Cell| {
        let text = cell.text.as_deref().unwrap_or_default();
        text.len() > 2 && text.starts_with("=\"") && text.ends_with('"')
    };
    if shape.cells().any(is_formula) {
        let (quote, escape, escapes) = (Some(b'"'), None, Escapes::Quotes);
        let formula = CsvDialect { formula_text: true, quote, escape, escapes, ..dialect.clone() };
        tries.push(formula);
    }
    for tried in tries {
        let read = Shape::read(&tried, sample, whole);
        if read.share() + 1e-9 >= shape.share() && read.fields == shape.fields {
            return (tried, read);
        }
    }
    (dialect, shape)
}

/// Whether every backslash stands before a letter that means a control character, as TSV writes them.
fn only_controls(shape: &Shape) -> bool {
    let mut found = false;
    for cell in shape.cells() {
        let mut bytes = cell.raw.iter();
        while bytes.any(|byte| *byte == b'\\') {
            found = true;
            if !matches!(bytes.next(), Some(b'n' | b't' | b'r' | b'\\')) {
                return false;
            }
        }
    }
    found
}

/// The dialect with escapes everywhere, where the sample shows that they are meant.
fn text_escapes(dialect: &CsvDialect, shape: &Shape) -> Option<CsvDialect> {
    let has =
        |text: &[u8]| shape.cells().any(|cell| memchr::memmem::find(&cell.raw, text).is_some());
    let has_null = shape.cells().any(|cell| !cell.quoted && cell.raw == b"\\N");
    let quotes = shape.cells().filter(|cell| cell.quoted).count();
    // A text that begins and ends with a quote is no evidence of quoting among many that do not.
    let tabs = dialect.delimiter == b'\t' && quotes * 20 < shape.cells().count();
    let quoted = quotes > 0 && !(tabs && has_null);
    // Without quotes a doubled backslash is how a program writes text with escapes, and between tabs a NULL
    // word, too.
    let by_convention = dialect.delimiter == b'\t' && (has_null || only_controls(shape));
    let meant = match quoted {
        true => has_null && has(b"\\\n"),
        false => has(b"\\\\") || by_convention,
    };
    meant.then(|| CsvDialect {
        escape: Some(b'\\'),
        escapes: Escapes::Text,
        quote: dialect.quote.filter(|_| quoted),
        ..dialect.clone()
    })
}

#[cfg(test)]
#[path = "sniff_tests.rs"]
mod tests;
