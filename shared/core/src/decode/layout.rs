//! How the fields of one file meet the contract.

use crate::block::Layout;
use crate::pipeline::{ColumnSource, Format, OnMissingColumn, OnNewColumn, Pipeline, ticked};

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

/// What approving a file would do that lacks a column without which no row is good.
pub const REJECTS_ALL: &str = "every row would be rejected";

/// Why the header needs an operator before any row is read, if it does.
pub fn drift(pipeline: &Pipeline, layout: &Layout) -> Option<String> {
    let required = |name: &&String| {
        let column = pipeline.columns.iter().find(|column| column.name == **name);
        column.is_some_and(|column| !column.nullable && column.default.is_none())
    };
    let missing: Vec<_> = match pipeline.source.on_missing_column {
        OnMissingColumn::Hold => layout.missing_columns.iter().collect(),
        OnMissingColumn::Null => layout.missing_columns.iter().filter(required).collect(),
    };
    let new: Vec<_> = match pipeline.source.on_new_column {
        OnNewColumn::Ignore => vec![],
        OnNewColumn::Hold => layout.new_columns.iter().collect(),
    };
    let mut texts = vec![];
    if !missing.is_empty() {
        texts.push(format!("the file has no column {}", quoted(&missing)));
        let needed: Vec<_> = missing.iter().copied().filter(required).collect();
        texts.push(match needed.as_slice() {
            [] => "approved, the rows would have NULL or the default there".to_owned(),
            needed => format!("approved, {REJECTS_ALL}, for want of {}", quoted(needed)),
        });
    }
    if !new.is_empty() {
        texts.push(format!(
            "the file has columns that the pipeline does not name: {}",
            quoted(&new)
        ));
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn quoted(names: &[&String]) -> String {
    let shown: Vec<_> = names.iter().take(8).map(|name| ticked(name)).collect();
    match names.len() {
        0..=8 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), more - 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{column, pipeline};
    use crate::pipeline::ColumnType;

    fn drifted(missing: OnMissingColumn, new: OnNewColumn, names: &[&str]) -> Option<String> {
        let mut note = column("note", ColumnType::String);
        note.nullable = true;
        let mut pipeline = pipeline(vec![column("id", ColumnType::Int(64)), note]);
        pipeline.source.on_missing_column = missing;
        pipeline.source.on_new_column = new;
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        drift(&pipeline, &layout(&pipeline, Some(&names)))
    }

    #[test]
    fn a_header_holds_the_object_as_its_policies_say() {
        use OnMissingColumn::Null;
        use OnNewColumn::{Hold, Ignore};
        let missing_hold = OnMissingColumn::Hold;
        assert_eq!(drifted(missing_hold, Hold, &["id", "note"]), None);
        let found = drifted(missing_hold, Ignore, &["id", "x"]);
        assert_eq!(
            found.as_deref(),
            Some(
                "the file has no column `note`; approved, the rows would have NULL or the default there"
            )
        );
        assert_eq!(drifted(Null, Ignore, &["id", "x"]), None);
        let found = drifted(Null, Ignore, &["note"]);
        let expected =
            "the file has no column `id`; approved, every row would be rejected, for want of `id`";
        assert_eq!(found.as_deref(), Some(expected));
        let found = drifted(Null, Hold, &["id", "x", "y"]);
        let expected = "the file has columns that the pipeline does not name: `x`, `y`";
        assert_eq!(found.as_deref(), Some(expected));
    }
}
