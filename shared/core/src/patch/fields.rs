//! A rejected record as named fields, as far as the archive shows it.

use super::{csv, json, record};
use crate::archive::{ArchivedRow, visible_bytes};
use crate::block::Layout;
use crate::pipeline::{Column, ColumnSource, Format, Pipeline};

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedField {
    /// The column that reads it, or its name in the file; `field 3` where neither is known.
    pub name: String,
    /// Its text; `None` for a JSON null, an object or an array.
    pub text: Option<String>,
    /// Whether the record was rejected for it.
    pub at_fault: bool,
}

/// The record's fields in its own order; `None` when it cannot be cut into them or is not shown.
pub fn named_fields(
    pipeline: &Pipeline,
    layout: &Layout,
    row: &ArchivedRow,
) -> Option<Vec<NamedField>> {
    let bytes = visible_bytes(row)?;
    let named = |column: &&Column| Some(&column.name) == row.column.as_ref();
    let fault = pipeline.columns.iter().find(named);
    match &pipeline.source.format {
        format @ Format::Csv(dialect) => {
            let names = names(pipeline, layout);
            let fault = fault.and_then(|fault| {
                let index = pipeline.columns.iter().position(|column| column.name == fault.name)?;
                layout.field_of_column.get(index).copied().flatten()
            });
            let fields = record::fields(format, &bytes)?.into_iter().enumerate();
            let named = fields.map(|(at, field)| {
                let text = csv::text_of(dialect, &bytes, field);
                let name = names.get(at).cloned().flatten();
                NamedField {
                    name: name.unwrap_or_else(|| format!("field {}", at + 1)),
                    text: Some(String::from_utf8_lossy(&text).into_owned()),
                    at_fault: fault == Some(at),
                }
            });
            Some(named.collect())
        }
        Format::Jsonl(_) => {
            let text = std::str::from_utf8(&bytes).ok()?;
            let names = fault.map(|column| &column.from);
            let is_fault = |name: &String| match names {
                Some(ColumnSource::Field(names)) => names.contains(name),
                Some(ColumnSource::Capture(_) | ColumnSource::Position(_)) | None => false,
            };
            let member = |member: json::Member| NamedField {
                at_fault: is_fault(&member.name),
                text: text.get(member.value).and_then(json::text_of),
                name: member.name,
            };
            Some(json::members(text)?.into_iter().map(member).collect())
        }
    }
}

/// The text of each column of the pipeline, in order; `None` where the record has none or does not show it.
pub fn column_texts(
    pipeline: &Pipeline,
    layout: &Layout,
    row: &ArchivedRow,
) -> Vec<Option<String>> {
    let fields = named_fields(pipeline, layout, row).unwrap_or_default();
    let columns = pipeline.columns.iter().enumerate();
    let texts = columns.map(|(index, column)| match (&pipeline.source.format, &column.from) {
        (_, ColumnSource::Capture(_)) | (Format::Jsonl(_), ColumnSource::Position(_)) => None,
        (Format::Csv(_), ColumnSource::Field(_) | ColumnSource::Position(_)) => {
            let at = layout.field_of_column.get(index).copied().flatten()?;
            fields.get(at)?.text.clone()
        }
        (Format::Jsonl(_), ColumnSource::Field(names)) => {
            let find = |name: &String| fields.iter().find(|field| field.name == *name);
            names.iter().find_map(find)?.text.clone()
        }
    });
    texts.collect()
}

/// Names of a file's fields by their place. The plan keeps those that no column reads in their order.
fn names(pipeline: &Pipeline, layout: &Layout) -> Vec<Option<String>> {
    let mut names: Vec<Option<String>> = vec![None; layout.fields];
    for (column, field) in pipeline.columns.iter().zip(&layout.field_of_column) {
        if let Some(name) = field.and_then(|field| names.get_mut(field)) {
            name.get_or_insert_with(|| column.name.clone());
        }
    }
    let free = names.iter().filter(|name| name.is_none()).count();
    // A column may know a field by a second name without reading it: then their places are not known.
    if free == layout.new_columns.len() {
        let free = names.iter_mut().filter(|name| name.is_none());
        free.zip(&layout.new_columns).for_each(|(name, new)| *name = Some(new.clone()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::fixture::archived;
    use crate::check::fixture::{column, layout, pipeline};
    use crate::pipeline::{ColumnType, JsonlOptions};

    fn named(pipeline: &Pipeline, layout: &Layout, raw: &str) -> Option<Vec<(String, String)>> {
        let fields = named_fields(pipeline, layout, &archived("type", Some("id"), raw))?;
        let pair = |field: NamedField| {
            let mark = if field.at_fault { "!" } else { "" };
            (field.name, field.text.unwrap_or("-".to_owned()) + mark)
        };
        Some(fields.into_iter().map(pair).collect())
    }

    fn pairs(of: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn fields_are_called_as_their_columns_or_as_the_file_calls_them() {
        let columns = vec![column("id", ColumnType::Int(64)), column("note", ColumnType::String)];
        let mut pipeline = pipeline(columns);
        let mut layout = layout(2);
        layout.fields = 4;
        layout.field_of_column = vec![Some(2), Some(0)];
        layout.new_columns = vec!["b".to_owned(), "d".to_owned()];
        let found = named(&pipeline, &layout, "\"a, \"\"q\"\"\",2,x,4,5");
        let expected =
            [("note", "a, \"q\""), ("b", "2"), ("id", "x!"), ("d", "4"), ("field 5", "5")];
        assert_eq!(found, pairs(&expected));
        let row = archived("type", Some("id"), "a,2,x");
        let texts = column_texts(&pipeline, &layout, &row);
        assert_eq!(texts, [Some("x".to_owned()), Some("a".to_owned())]);
        // Which of the two unread fields `b` is cannot be told.
        layout.new_columns.pop();
        let found = named(&pipeline, &layout, "a,2,x,4");
        assert_eq!(
            found,
            pairs(&[("note", "a"), ("field 2", "2"), ("id", "x!"), ("field 4", "4")])
        );
        assert_eq!(named(&pipeline, &layout, "a,\"2\"3"), None);

        let options = JsonlOptions::default();
        pipeline.source.format = Format::Jsonl(options);
        let record = r#"{"note":"n","z":[1],"id":1.5}"#;
        let found = named(&pipeline, &layout, record);
        assert_eq!(found, pairs(&[("note", "n"), ("z", "-"), ("id", "1.5!")]));
        let row = archived("type", Some("id"), record);
        let texts = column_texts(&pipeline, &layout, &row);
        assert_eq!(texts, [Some("1.5".to_owned()), Some("n".to_owned())]);
    }
}
