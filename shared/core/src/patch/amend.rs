//! A patch made permanent: its fixes written into the pipeline file, where a key does what they do.
//!
//! Every other byte of the file stays, comments too. What a key would do to values that are good today is
//! not known here, so the caller tries the new file on data.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::candidates;
use super::nothing::words_of;
use super::{Fix, Operation, Patch};
use crate::block::RejectCode;
use crate::pipeline::{ColumnSource, ColumnType, Format, Pipeline};

/// What became of a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Written; the line as it stands now.
    Written(String),
    /// The pipeline file says so already.
    There(String),
    /// It stays a fix of the patch, for this reason.
    Left(String),
}

/// A pipeline file with fixes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amended {
    /// The new text.
    pub text: String,
    /// For each fix, in order.
    pub fates: Vec<Fate>,
}

/// A key of the file and its new value.
struct Change {
    /// The column's name; `None` for `source.csv`.
    column: Option<String>,
    key: &'static str,
    value: New,
}

enum New {
    /// In the place of what is there.
    Is(Value),
    /// Added to a list, which begins with these texts where the file has none.
    Also { texts: Vec<String>, first: Vec<String> },
}

/// Writes the fixes into `text`, the file that `pipeline` was read from. `check` says what would be wrong
/// with a new text.
///
/// # Errors
/// When the text is no TOML, or its columns stand where they cannot be changed.
pub fn amend(
    patch: &Patch,
    pipeline: &Pipeline,
    text: &str,
    check: &dyn Fn(&str) -> Result<(), String>,
) -> Result<Amended, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let fates = patch.fixes.iter().map(|fix| match change(fix, pipeline) {
        Ok(change) => change.write(&mut document, check),
        Err(why) => Fate::Left(why),
    });
    let fates = fates.collect();
    Ok(Amended { text: document.to_string(), fates })
}

/// The change that does what the fix does, for every row; one row of this table for each operation.
fn change(fix: &Fix, pipeline: &Pipeline) -> Result<Change, String> {
    is_for_all(fix, pipeline)?;
    let column = fix.column.clone();
    let is = |key, value: Value| Ok(Change { column: column.clone(), key, value: New::Is(value) });
    let narrower = || Err("it is for some texts of its column, and a key is for all".to_owned());
    match &fix.operation {
        Operation::SetNull => null_words(fix, pipeline),
        _ if fix.matching.is_some() => narrower(),
        Operation::Trim(None) => is("trim", true.into()),
        Operation::Trim(Some(drops)) if drops.chars().all(|c| matches!(c, ' ' | '\t')) => {
            is("trim", true.into())
        }
        Operation::Set(value) if is_of_code(fix, RejectCode::NotNull, pipeline) => {
            is("default", value.as_str().into())
        }
        Operation::CastDate(format) => Ok(formats(fix, format.as_str(), pipeline)),
        Operation::CastTimestamp(format) => Ok(formats(fix, format.as_str(), pipeline)),
        Operation::CastDecimal { decimal, thousands } if thousands.is_empty() => {
            is("decimal_separator", decimal.to_string().into())
        }
        Operation::Rename { from, to } => renamed(from, to, pipeline),
        Operation::CastDecimal { .. }
        | Operation::Trim(Some(_))
        | Operation::Set(_)
        | Operation::Replace(_)
        | Operation::Raw(_) => Err("no key of a pipeline file does this".to_owned()),
    }
}

/// Whether the fix is meant for every row that fails in one way: what is selected by anything else is not
/// meant for files to come.
fn is_for_all(fix: &Fix, pipeline: &Pipeline) -> Result<(), String> {
    let all = RejectCode::ALL.into_iter().any(|code| is_of_code(fix, code, pipeline));
    match fix.condition.is_none() || all {
        true => Ok(()),
        false => Err("its where selects single rows, and a key is for all".to_owned()),
    }
}

/// Whether the fix selects the rows of this code, and of one column at most.
fn is_of_code(fix: &Fix, code: RejectCode, pipeline: &Pipeline) -> bool {
    let Some(condition) = &fix.condition else { return false };
    let condition = condition.to_string();
    let columns = pipeline.columns.iter().map(|column| Some(column.name.as_str()));
    let mut selections =
        columns.chain([None]).filter_map(|column| candidates::selection(code.as_str(), column));
    selections.any(|selection| selection.to_string() == condition)
}

fn null_words(fix: &Fix, pipeline: &Pipeline) -> Result<Change, String> {
    let Format::Csv(dialect) = &pipeline.source.format else {
        return Err("JSON Lines have no key for words that mean NULL".to_owned());
    };
    let Some(matching) = &fix.matching else {
        return Err("it is for every bad value of its column, and a key is for words".to_owned());
    };
    let texts = words_of(matching.as_str()).ok_or_else(|| {
        format!("its matching is no list of words such as ^(NA|nil)$: {}", matching.as_str())
    })?;
    let value = New::Also { texts, first: dialect.null.clone() };
    Ok(Change { column: None, key: "null", value })
}

fn formats(fix: &Fix, format: &str, pipeline: &Pipeline) -> Change {
    let own = pipeline.columns.iter().find(|column| Some(&column.name) == fix.column.as_ref());
    let is_stamp =
        own.is_some_and(|column| matches!(column.data_type, ColumnType::Timestamp { .. }));
    // What the type reads without a format is read as before.
    let first = vec![if is_stamp { "rfc3339" } else { "iso" }.to_owned()];
    let value = New::Also { texts: vec![format.to_owned()], first };
    Change { column: fix.column.clone(), key: "format", value }
}

fn renamed(from: &str, to: &str, pipeline: &Pipeline) -> Result<Change, String> {
    let found = pipeline.columns.iter().find_map(|column| match &column.from {
        ColumnSource::Field(names) if names.iter().any(|name| name == to) => {
            Some((column.name.clone(), names.clone()))
        }
        ColumnSource::Field(_) | ColumnSource::Position(_) | ColumnSource::Capture(_) => None,
    });
    let Some((column, first)) = found else {
        return Err(format!("no column reads {to}"));
    };
    let value = New::Also { texts: vec![from.to_owned()], first };
    Ok(Change { column: Some(column), key: "from", value })
}

impl Change {
    /// Writes the change unless it makes the file wrong.
    fn write(
        &self,
        document: &mut DocumentMut,
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Fate {
        let mut new = document.clone();
        let Some(line) = self.apply(&mut new) else {
            return Fate::Left("the file has no table that the key could go into".to_owned());
        };
        if new.to_string() == document.to_string() {
            return Fate::There(line);
        }
        match check(&new.to_string()) {
            Ok(()) => {
                *document = new;
                Fate::Written(line)
            }
            Err(problem) => Fate::Left(format!("{line} is not possible: {problem}")),
        }
    }

    /// The line that stands in the file then.
    fn apply(&self, document: &mut DocumentMut) -> Option<String> {
        let (name, place) = match &self.column {
            Some(column) => (format!("columns.{column}"), column_place(document, column)?),
            None => ("source.csv".to_owned(), csv_place(document)?),
        };
        let old = place.as_table_like()?.get(self.key).and_then(Item::as_value).cloned();
        let mut value = match &self.value {
            New::Is(value) => value.clone(),
            New::Also { texts, first } => also(old.as_ref(), texts, first),
        };
        let text = |value: &Value| value.clone().decorated("", "").to_string();
        let line = format!("{name}.{} = {}", self.key, text(&value));
        if let Some(old) = &old {
            // The comment behind it.
            *value.decor_mut() = old.decor().clone();
        }
        if old.is_none_or(|old| text(&old) != text(&value)) {
            put(place, self.key, value)?;
        }
        Some(line)
    }
}

fn put(place: &mut Item, key: &str, value: Value) -> Option<()> {
    place.as_table_like_mut()?.insert(key, Item::Value(value));
    if let Item::Value(Value::InlineTable(table)) = place
        && !table.to_string().contains('\n')
    {
        // The blank before the brace would stand before a comma now.
        let decor = table.decor().clone();
        table.fmt();
        *table.decor_mut() = decor;
    }
    Some(())
}

/// The list with these texts behind what it has: a text alone is a list of one.
fn also(old: Option<&Value>, texts: &[String], first: &[String]) -> Value {
    let mut list = match old {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => Array::from_iter([one.clone().decorated("", "")]),
        None => Array::from_iter(first.iter().map(String::as_str)),
    };
    for text in texts {
        if !list.iter().any(|item| item.as_str() == Some(text)) {
            list.push(text.as_str());
        }
    }
    match (list.len(), old) {
        // Nothing came to it.
        (1, Some(old)) => old.clone(),
        (_, _) => Value::Array(list),
    }
}

/// The table of a column; `"int64"` becomes `{ type = "int64" }`.
fn column_place<'a>(document: &'a mut DocumentMut, column: &str) -> Option<&'a mut Item> {
    let columns = document.get_mut("columns")?.as_table_like_mut()?;
    if columns.get(column).is_none() {
        // The base that the file extends has the rest of it.
        columns.insert(column, Item::Value(InlineTable::new().into()));
    }
    let item = columns.get_mut(column)?;
    if let Item::Value(short @ Value::String(_)) = item {
        let mut full = InlineTable::new();
        full.insert("type", short.clone().decorated(" ", ""));
        *full.decor_mut() = short.decor().clone();
        *short = Value::InlineTable(full);
    }
    Some(item)
}

fn csv_place(document: &mut DocumentMut) -> Option<&mut Item> {
    if document.get("source").is_none() {
        document.insert("source", Item::Table(Table::new()));
    }
    let source = document.get_mut("source")?.as_table_like_mut()?;
    if source.get("csv").is_none() {
        source.insert("csv", Item::Value(InlineTable::new().into()));
    }
    source.get_mut("csv")
}
