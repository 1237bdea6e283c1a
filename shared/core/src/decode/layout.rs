//! How the fields of one file meet the contract.

use super::header::{Header, trim};
use crate::block::{Layout, LineEnd};
use crate::pipeline::{ColumnSource, CsvDialect, Format, Pipeline, Ragged};
use crate::toml_file::ticked;

/// Matches a file's header with the contract. Names are compared exactly, without the spaces and
/// tabs around them; of a column's `from` list the first that the file has counts.
///
/// Without names the fields are the contract's field columns in order. For JSON Lines, whose objects carry
/// their own names, every field column has a field and none is missing.
pub fn layout(pipeline: &Pipeline, header: &Header) -> Layout {
    let mut layout = match (&pipeline.source.format, &header.names) {
        (Format::Csv(dialect), Some(names)) => by_name(pipeline, dialect, header, names),
        (Format::Csv(_), None) => Layout { fields: width(pipeline, header), ..in_order(pipeline) },
        (Format::Jsonl(_), _) => in_order(pipeline),
    };
    layout.line_end = header.line_end;
    layout.header.clone_from(&header.records);
    layout
}

fn empty(columns: usize) -> Layout {
    Layout {
        fields: 0,
        field_of_column: Vec::with_capacity(columns),
        new_columns: Vec::new(),
        missing_columns: Vec::new(),
        line_end: LineEnd::Any,
        header: Vec::new(),
        doubts: Vec::new(),
    }
}

fn by_name(pipeline: &Pipeline, dialect: &CsvDialect, header: &Header, names: &[String]) -> Layout {
    let names: Vec<&str> = names.iter().map(|name| trim(name)).collect();
    let mut layout = empty(pipeline.columns.len());
    layout.fields = names.len();
    let mut named = vec![false; names.len()];
    for column in &pipeline.columns {
        let field = match &column.from {
            ColumnSource::Capture(_) => {
                layout.field_of_column.push(None);
                continue;
            }
            ColumnSource::Position(place) => {
                let field = usize::try_from(*place).unwrap_or(usize::MAX).saturating_sub(1);
                mark(&mut named, field);
                Some(field)
            }
            ColumnSource::Field(from) => {
                let field = first_of(from, &names, &mut named);
                layout.doubts.extend(field.and_then(|field| ambiguous(&names, field)));
                field
            }
        };
        if field.is_none() {
            layout.missing_columns.push(column.name.clone());
        }
        layout.field_of_column.push(field);
    }
    for (at, (name, named)) in names.iter().zip(named).enumerate() {
        match (named, name.is_empty()) {
            (true, _) => {}
            (false, true) => layout.new_columns.push(format!("unnamed field {}", at + 1)),
            (false, false) => layout.new_columns.push((*name).to_owned()),
        }
    }
    if by_place(pipeline) {
        // The header's names are not needed, so it does not matter what is wrong with them.
        layout.fields = header.rows.map_or(layout.fields, |rows| rows.fields);
        return layout;
    }
    layout.doubts.extend(header.damage.iter().cloned());
    layout.doubts.extend(field_count(dialect, header, &names));
    layout
}

fn mark(named: &mut [bool], field: usize) {
    if let Some(named) = named.get_mut(field) {
        *named = true;
    }
}

/// The field of the first name that the file has; all of them count as named.
fn first_of(from: &[String], names: &[&str], named: &mut [bool]) -> Option<usize> {
    let mut field = None;
    for wanted in from {
        let places = names.iter().enumerate().filter(|(_, name)| *name == wanted);
        for (at, _) in places {
            field = field.or(Some(at));
            mark(named, at);
        }
    }
    field
}

/// A name that stands several times says nothing about which field is meant.
fn ambiguous(names: &[&str], field: usize) -> Option<String> {
    let name = names.get(field)?;
    let places = names.iter().enumerate().filter(|(_, other)| *other == name);
    let places: Vec<String> = places.map(|(at, _)| (at + 1).to_string()).collect();
    (places.len() > 1).then(|| {
        format!(
            "the header names {} {} times: choose one by its place, from = {}",
            ticked(name),
            places.len(),
            places.join(" or ")
        )
    })
}

/// Whether every field is declared by its place.
fn by_place(pipeline: &Pipeline) -> bool {
    let fed = pipeline.columns.iter().map(|column| &column.from);
    let mut fields = fed.filter(|from| !matches!(from, ColumnSource::Capture(_))).peekable();
    fields.peek().is_some() && fields.all(|from| matches!(from, ColumnSource::Position(_)))
}

/// What is wrong when no record has as many fields as the header names.
fn field_count(dialect: &CsvDialect, header: &Header, names: &[&str]) -> Option<String> {
    let rows = header.rows.filter(|rows| rows.records > 1)?;
    let named = names.len();
    let trailing = dialect.trailing_delimiter && rows.last_is_empty && rows.fields == named + 1;
    let allowed = match dialect.ragged {
        Ragged::Reject => rows.fields == named,
        Ragged::Pad => rows.fields <= named,
        Ragged::Lenient => true,
    };
    if allowed || trailing {
        return None;
    }
    let shown: Vec<&str> = names.iter().copied().take(8).collect();
    let more = if named > shown.len() { ", ..." } else { "" };
    let advice = if rows.fields == named + 1 && rows.last_is_empty {
        "the last field is empty in all of them: csv.trailing_delimiter = true reads them"
    } else if rows.fields > named {
        "name the fields by their place (from = 1, from = 2 ...), or write ragged = \"lenient\" to drop what \
         stands behind the last name"
    } else {
        "name the fields by their place (from = 1, from = 2 ...), or write ragged = \"pad\" to fill up with NULL"
    };
    let noun = if named == 1 { "field" } else { "fields" };
    Some(format!(
        "the header names {named} {noun} ({}{more}), but each of the first {} records has {}; {advice}",
        shown.join(", "),
        rows.records,
        rows.fields
    ))
}

/// Fields of a record in a file that does not name them.
fn width(pipeline: &Pipeline, header: &Header) -> usize {
    if !by_place(pipeline) {
        let fed = |from: &&ColumnSource| matches!(from, ColumnSource::Field(_));
        return pipeline.columns.iter().map(|column| &column.from).filter(fed).count();
    }
    let last = pipeline.columns.iter().map(|column| match column.from {
        ColumnSource::Position(place) => usize::try_from(place).unwrap_or(usize::MAX),
        ColumnSource::Field(_) | ColumnSource::Capture(_) => 0,
    });
    header.rows.map_or_else(|| last.max().unwrap_or(0), |rows| rows.fields)
}

fn in_order(pipeline: &Pipeline) -> Layout {
    let mut fields = 0;
    let mut layout = empty(pipeline.columns.len());
    layout.field_of_column.extend(pipeline.columns.iter().map(|column| match column.from {
        ColumnSource::Field(_) => {
            fields += 1;
            Some(fields - 1)
        }
        ColumnSource::Position(place) => {
            Some(usize::try_from(place).unwrap_or(usize::MAX).saturating_sub(1))
        }
        ColumnSource::Capture(_) => None,
    }));
    layout
}
