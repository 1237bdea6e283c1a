//! Where the records of a delimited file begin: preamble, header, units.

use super::moment;
use super::number::classify;
use super::shape::{Cell, Shape};
use crate::pipeline::CsvDialect;

/// Lines before the header that are looked at.
const PREAMBLE_MAX: usize = 20;
/// Lines of units or types below the header.
const UNITS_MAX: usize = 3;

/// What stands before the records.
#[derive(Debug, Default)]
pub(super) struct First {
    pub(super) header: bool,
    pub(super) names: Vec<String>,
    /// Lines before the header, or before the first record.
    pub(super) before: u32,
    pub(super) skip_after_header: u32,
    pub(super) trailing_delimiter: bool,
    pub(super) doubts: Vec<String>,
}

/// What a field's text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    Number,
    Bool,
    Moment,
    Text,
}

/// Looks at the records of a sample.
pub(super) fn look(dialect: &CsvDialect, shape: &Shape, sample: &[u8]) -> First {
    let mut first = First { header: dialect.header, ..First::default() };
    let start = records_start(shape);
    let lines = shape.starts.get(start).and_then(|at| sample.get(..*at)).unwrap_or_default();
    if start > 0 {
        first.before = u32::try_from(memchr::memchr_iter(b'\n', lines).count()).unwrap_or(0);
        first.doubts.push(skipped(first.before, "before the table"));
    }
    let records: Vec<&Vec<Cell>> = shape.records.iter().skip(start).collect();
    let Some((top, rows)) = records.split_first() else { return first };
    let usual = usual_of(rows).unwrap_or(top.len());
    if rows.len() > 1 && top.len() != usual && is_names(top) {
        uneven(&mut first, top, rows, usual, lines);
        return first;
    }
    first.doubts.extend(second_table(rows, usual));
    let once = without_repeats(top, rows);
    let comes_again = once.len() < rows.len() && is_header_again(top, rows, &once, usual);
    let rows = if comes_again { once } else { rows.to_vec() };
    let (units, kinds) = below(&rows, usual);
    let score = header_score(top, &rows, &kinds) + f64::from(u8::from(comes_again));
    first.header = score > 0.0 || rows.is_empty();
    if !first.header {
        first.names = made_up(usual);
        let line = "the first record looks like data, so the columns have made-up names: with header = true \
                    it would name them";
        first.doubts.push(line.to_owned());
        return first;
    }
    if score <= 0.5 && !rows.is_empty() {
        let line = "nothing but its form says that the first line is a header: header = false reads it as \
                    data";
        first.doubts.push(line.to_owned());
    }
    first.names = top.iter().map(|cell| cell.text().to_owned()).collect();
    if units > 0 {
        first.skip_after_header = u32::try_from(units).unwrap_or(0);
        first.doubts.push(skipped(first.skip_after_header, "of units or types below the header"));
    }
    first
}

fn skipped(lines: u32, what: &str) -> String {
    match lines {
        1 => format!("1 line {what} is skipped"),
        _ => format!("{lines} lines {what} are skipped"),
    }
}

/// The first record of the usual width, behind at most a few others that are not.
fn records_start(shape: &Shape) -> usize {
    let fits = |record: &Vec<Cell>| record.len() == shape.fields;
    let start = shape.records.iter().take(PREAMBLE_MAX + 1).position(fits).unwrap_or(0);
    let before = shape.records.get(..start).unwrap_or_default();
    // A header that lacks a name, or has one too many, is no preamble.
    let near = |record: &&Vec<Cell>| record.len() + 1 >= shape.fields && is_names(record);
    let names_below = shape.records.get(start).is_some_and(|record| is_names(record));
    let header = before.last().is_some_and(|last| near(&last) && shape.fields > 2 && !names_below);
    if header { start - 1 } else { start }
}

/// What is said of a file whose records have another width from some row on: the names of another table and
/// its rows.
fn second_table(rows: &[&Vec<Cell>], usual: usize) -> Option<String> {
    let width = rows.last().map(|row| row.len()).filter(|width| *width != usual)?;
    let others = rows.iter().rev().take_while(|row| row.len() == width).count();
    let names = rows.get(rows.len() - others).filter(|row| width > 1 && is_names(row))?;
    let name = names.first().map(Cell::text).unwrap_or_default();
    (others > 1).then(|| {
        format!(
            "from row {} on ({}) the records have {width} fields and not {usual}: a second table, which would be \
             rejected; cut it off into a file of its own",
            rows.len() - others + 1,
            crate::toml_file::toml_string(name)
        )
    })
}

/// How many lines of units stand first among the rows, and what most values of each column are below them.
fn below(rows: &[&Vec<Cell>], fields: usize) -> (usize, Vec<Kind>) {
    let units = units(rows, fields);
    (units, column_kinds(rows.get(units..).unwrap_or_default(), fields))
}

/// Whether a first record that comes again is a header: names over values, or names where no other row comes
/// again.
fn is_header_again(top: &[Cell], rows: &[&Vec<Cell>], once: &[&Vec<Cell>], fields: usize) -> bool {
    let is_value = |kind: &Kind| matches!(kind, Kind::Number | Kind::Bool | Kind::Moment);
    let over_values = || {
        let (_, kinds) = below(once, fields);
        top.iter().zip(&kinds).any(|(cell, column)| kind(cell) == Kind::Text && is_value(column))
    };
    let mut seen = std::collections::HashSet::new();
    let mut others = rows.iter().filter(|row| !same(row, top));
    is_names(top)
        && (over_values()
            || others.all(|row| seen.insert(row.iter().map(Cell::text).collect::<Vec<_>>())))
}

fn same(row: &[Cell], other: &[Cell]) -> bool {
    row.len() == other.len() && row.iter().zip(other).all(|(a, b)| a.text() == b.text())
}

/// The rows without those that are the first record again, with the lines of units below it.
fn without_repeats<'a>(top: &[Cell], rows: &[&'a Vec<Cell>]) -> Vec<&'a Vec<Cell>> {
    let mut kept: Vec<&Vec<Cell>> = Vec::with_capacity(rows.len());
    // How many of the lines below the first record the rows at hand may repeat.
    let mut below = UNITS_MAX;
    for row in rows {
        if same(row, top) {
            below = 0;
        } else if below < UNITS_MAX && rows.get(below).is_some_and(|unit| same(row, unit)) {
            below += 1;
        } else {
            below = UNITS_MAX;
            kept.push(row);
        }
    }
    kept
}

fn usual_of(rows: &[&Vec<Cell>]) -> Option<usize> {
    let mut counts = std::collections::BTreeMap::new();
    for row in rows {
        *counts.entry(row.len()).or_insert(0_usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(fields, _)| fields)
}

/// A header of another width than its rows: the names are taken by place.
fn uneven(first: &mut First, top: &[Cell], rows: &[&Vec<Cell>], usual: usize, lines: &[u8]) {
    let names: Vec<String> = top.iter().map(|cell| cell.text().to_owned()).collect();
    let last_is_empty =
        rows.iter().filter(|row| row.len() == usual).all(|row| row.last().is_some_and(is_empty));
    if usual == names.len() + 1 && last_is_empty {
        first.header = true;
        first.trailing_delimiter = true;
        first.names = names;
        first
            .doubts
            .push("each record ends with a delimiter: its last field is dropped".to_owned());
        return;
    }
    let before = memchr::memchr_iter(b'\n', lines).count() + 1;
    first.before = u32::try_from(before).unwrap_or(1);
    first.header = false;
    let (fewer, name) = (names.len() < usual, "row_name".to_owned());
    first.names = match fewer {
        true => std::iter::once(name).chain(names.iter().cloned()).collect(),
        false => names.clone(),
    };
    let missing = usual.saturating_sub(first.names.len());
    first.names.extend((0..missing).map(|at| format!("column_{}", names.len() + at + 1)));
    first.names.truncate(usual);
    first.doubts.push(format!(
        "the header has {} names and the rows have {usual} fields: the header is skipped, and the names are \
         given to the fields in order; check that they stand over the right ones",
        names.len()
    ));
}

fn is_empty(cell: &Cell) -> bool {
    cell.raw.is_empty() && !cell.quoted
}

/// Whether a record could be names: texts, none of them a value.
fn is_names(record: &[Cell]) -> bool {
    record.iter().all(|cell| matches!(kind(cell), Kind::Text | Kind::Empty))
        && record.iter().any(|cell| kind(cell) == Kind::Text)
}

fn made_up(fields: usize) -> Vec<String> {
    (1..=fields).map(|number| format!("column_{number}")).collect()
}

fn kind(cell: &Cell) -> Kind {
    let text = cell.text();
    let lower = text.to_ascii_lowercase();
    if text.is_empty() || text == "\\N" {
        Kind::Empty
    } else if classify(text.as_bytes()).is_some()
        || ["nan", "inf", "-inf", "infinity", "-infinity"].contains(&lower.as_str())
    {
        Kind::Number
    } else if ["true", "false", "t", "f"].contains(&lower.as_str()) {
        Kind::Bool
    } else if moment::is_moment(text) {
        Kind::Moment
    } else {
        Kind::Text
    }
}

/// What most values of each column are; `Empty` when there is none.
fn column_kinds(rows: &[&Vec<Cell>], fields: usize) -> Vec<Kind> {
    let all = [Kind::Number, Kind::Bool, Kind::Moment, Kind::Text];
    let column = |at: usize| {
        let kinds = rows.iter().filter_map(|row| row.get(at)).map(kind);
        let kinds: Vec<Kind> = kinds.filter(|kind| *kind != Kind::Empty).collect();
        let count = |kind: &Kind| kinds.iter().filter(|other| *other == kind).count();
        let most = all.into_iter().max_by_key(|kind| count(kind)).unwrap_or(Kind::Empty);
        if kinds.is_empty() {
            Kind::Empty
        } else if count(&most) * 10 >= kinds.len() * 8 {
            most
        } else {
            Kind::Text
        }
    };
    (0..fields).map(column).collect()
}

/// How much speaks for the record being names: over 0 it is a header. Columns of values settle it: a name over
/// them is no value. Else a value that comes again speaks against, the form of a name for.
fn header_score(top: &[Cell], rows: &[&Vec<Cell>], kinds: &[Kind]) -> f64 {
    let mut score = 0.0;
    let mut seen = std::collections::HashSet::new();
    for (at, (cell, column)) in top.iter().zip(kinds).enumerate() {
        let own = kind(cell);
        let text = cell.text();
        // A short name may be a truth word elsewhere.
        let own = if own == Kind::Bool && *column != Kind::Bool { Kind::Text } else { own };
        score += match (own, column) {
            (Kind::Text, Kind::Number | Kind::Bool | Kind::Moment) => 1.0,
            (Kind::Number | Kind::Bool | Kind::Moment, _) => -1.0,
            (Kind::Empty, _) if at == 0 => -0.05,
            (Kind::Empty, _) => -0.3,
            (Kind::Text, _) if !seen.insert(text.to_owned()) => -0.5,
            (Kind::Text, Kind::Empty) => 0.05,
            (Kind::Text, _) => {
                let again =
                    rows.iter().filter_map(|row| row.get(at)).any(|other| other.text() == text);
                if again {
                    -0.5
                } else if is_name(text) {
                    0.1
                } else {
                    -0.05
                }
            }
        };
    }
    score
}

/// Whether a text has the form of a name: short, a letter first, few blanks.
fn is_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '#')
        && text.matches(' ').count() <= 3
        && !text.contains(['@', '"', '\n', '=', '\\'])
}

/// Lines below the header that hold units or types: texts over columns of values, and no value among them.
fn units(rows: &[&Vec<Cell>], fields: usize) -> usize {
    let is_units = |at: usize| {
        let Some((row, rest)) = rows.get(at).zip(rows.get(at + 1..)) else { return false };
        let kinds = column_kinds(rest, fields);
        if rest.len() < 2 {
            return false;
        }
        let typed = row
            .iter()
            .zip(&kinds)
            .filter(|(_, kind)| matches!(kind, Kind::Number | Kind::Bool | Kind::Moment));
        let own: Vec<Kind> = typed.map(|(cell, _)| kind(cell)).collect();
        let texts = own.iter().filter(|kind| **kind == Kind::Text).count();
        let values = own.iter().filter(|kind| !matches!(kind, Kind::Text | Kind::Empty)).count();
        // Below a line of units another may have few of them.
        texts > 0 && values == 0 && (at > 0 || texts * 2 >= own.len())
    };
    // The row below decides as well, so the last line of units is found from the records behind it.
    (1..=UNITS_MAX).rev().find(|count| (0..*count).all(is_units)).unwrap_or(0)
}
