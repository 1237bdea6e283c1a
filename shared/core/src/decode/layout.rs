//! How the fields of one file meet the contract.

use crate::block::Layout;
use crate::pipeline::{ColumnSource, Format, Pipeline};

/// Matches the names of a header with the contract. Names are compared exactly, without the spaces and
/// tabs around them; of a column's `from` list the first that the file has counts.
///
/// Without names the fields are the contract's field columns in order. For JSON Lines, whose objects carry
/// their own names, every field column has a field and none is missing.
pub fn layout(pipeline: &Pipeline, names: Option<&[String]>) -> Layout {
    let csv = matches!(pipeline.source.format, Format::Csv(_));
    match names {
        Some(names) if csv => by_name(pipeline, names),
        Some(_) | None => in_order(pipeline, csv),
    }
}

fn by_name(pipeline: &Pipeline, names: &[String]) -> Layout {
    let names: Vec<&str> = names.iter().map(|name| trim(name)).collect();
    let mut layout = Layout {
        fields: names.len(),
        field_of_column: Vec::with_capacity(pipeline.columns.len()),
        new_columns: Vec::new(),
        missing_columns: Vec::new(),
    };
    let mut named = vec![false; names.len()];
    for column in &pipeline.columns {
        let ColumnSource::Field(from) = &column.from else {
            layout.field_of_column.push(None);
            continue;
        };
        let mut field = None;
        for wanted in from {
            let Some(at) = names.iter().position(|name| name == wanted) else {
                continue;
            };
            field = field.or(Some(at));
            if let Some(named) = named.get_mut(at) {
                *named = true;
            }
        }
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
    layout
}

fn in_order(pipeline: &Pipeline, csv: bool) -> Layout {
    let mut fields = 0;
    let field_of = |from: &ColumnSource| match from {
        ColumnSource::Field(_) => {
            fields += 1;
            Some(fields - 1)
        }
        ColumnSource::Capture(_) => None,
    };
    let field_of_column =
        pipeline.columns.iter().map(|column| &column.from).map(field_of).collect();
    Layout {
        fields: if csv { fields } else { 0 },
        field_of_column,
        new_columns: Vec::new(),
        missing_columns: Vec::new(),
    }
}

/// Drops the spaces and tabs around a name.
pub(super) fn trim(name: &str) -> &str {
    name.trim_matches([' ', '\t'])
}
