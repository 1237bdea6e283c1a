//! What is different about the columns of a file: from the contract, and from the file before it.

use crate::block::Layout;
use crate::pipeline::{ColumnSource, OnMissingColumn, OnNewColumn, Pipeline};
use crate::toml_file::{nearest, ticked};

/// What approving a file would do that lacks a column without which no row is good.
pub const REJECTS_ALL: &str = "every row would be rejected";

/// Names that a message repeats.
const NAMES_MAX: usize = 8;

/// Why the header needs an operator before any row is read, if it does. Everything that is different is
/// named, also what alone would not hold the file.
pub fn drift(pipeline: &Pipeline, layout: &Layout) -> Option<String> {
    let required = |name: &String| {
        let column = pipeline.columns.iter().find(|column| column.name == *name);
        column.is_some_and(|column| !column.nullable && column.default.is_none())
    };
    let missing = match pipeline.source.on_missing_column {
        OnMissingColumn::Hold => !layout.missing_columns.is_empty(),
        OnMissingColumn::Null => layout.missing_columns.iter().any(required),
    };
    let new = match pipeline.source.on_new_column {
        OnNewColumn::Ignore => false,
        OnNewColumn::Hold => !layout.new_columns.is_empty(),
    };
    if !missing && !new && layout.doubts.is_empty() {
        return None;
    }
    let difference = difference(pipeline, layout);
    let texts: Vec<String> = layout.doubts.iter().cloned().chain(difference).collect();
    let mut text = texts.join("; ");
    let required = quoted(layout.missing_columns.iter().filter(|name| required(name)));
    if !required.is_empty() {
        text.push_str(&format!("; approved, {REJECTS_ALL}, for want of {required}"));
    } else if !layout.missing_columns.is_empty() {
        text.push_str("; approved, the rows would have NULL or the default there");
    }
    Some(text)
}

/// How a file's columns differ from the contract: which it lacks, which nobody reads, and which of these
/// look like one of those under another name. `None` when they are the same.
pub fn difference(pipeline: &Pipeline, layout: &Layout) -> Option<String> {
    let mut texts = vec![];
    if !layout.missing_columns.is_empty() {
        let names: Vec<_> =
            layout.missing_columns.iter().map(|name| wanted(pipeline, name)).collect();
        texts.push(format!("the file has no column {}", listed(&names)));
    }
    if !layout.new_columns.is_empty() {
        let names = quoted(layout.new_columns.iter());
        texts.push(format!("the file has columns that the pipeline does not name: {names}"));
    }
    let renamed = layout.missing_columns.iter().filter_map(|name| {
        let new = renamed(pipeline, layout, name)?;
        Some(format!("{} may be {} under another name", ticked(new), ticked(name)))
    });
    let renamed: Vec<_> = renamed.take(NAMES_MAX).collect();
    if !renamed.is_empty() {
        texts.push(format!("{}: if so, add it to the column's `from`", renamed.join(", ")));
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What has changed since an earlier file, of whose columns `before` tells.
pub fn change(before: &Layout, now: &Layout) -> Option<String> {
    let gone = now.missing_columns.iter().filter(|name| !before.missing_columns.contains(name));
    let come = now.new_columns.iter().filter(|name| !before.new_columns.contains(name));
    let (gone, come) = (quoted(gone), quoted(come));
    match (gone.is_empty(), come.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("the file before it had {gone}")),
        (true, false) => Some(format!("the file before it did not have {come}")),
        (false, false) => Some(format!("the file before it had {gone} and did not have {come}")),
    }
}

/// A missing column, with the names that it was looked for under where these are others.
fn wanted(pipeline: &Pipeline, name: &str) -> String {
    match names_of(pipeline, name) {
        [] => ticked(name),
        [only] if only == name => ticked(name),
        names => format!("{} (for {})", quoted_or(names), ticked(name)),
    }
}

/// Names that a column is read under.
fn names_of<'a>(pipeline: &'a Pipeline, name: &str) -> &'a [String] {
    let column = pipeline.columns.iter().find(|column| column.name == name);
    match column.map(|column| &column.from) {
        Some(ColumnSource::Field(names)) => names,
        Some(ColumnSource::Capture(_) | ColumnSource::Position(_)) | None => &[],
    }
}

/// The file's column that looks like a missing one: the same letters and digits, or nearly the same name.
fn renamed<'a>(pipeline: &Pipeline, layout: &'a Layout, name: &str) -> Option<&'a str> {
    let names = names_of(pipeline, name);
    let letters = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let new = || layout.new_columns.iter().map(String::as_str);
    let same = |new: &&str| {
        let new = letters(new);
        !new.is_empty() && names.iter().any(|name| letters(name) == new)
    };
    new().find(same).or_else(|| names.iter().find_map(|name| nearest(name, new())))
}

fn quoted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    listed(&names.map(|name| ticked(name)).collect::<Vec<_>>())
}

fn quoted_or(names: &[String]) -> String {
    let names: Vec<_> = names.iter().take(NAMES_MAX).map(|name| ticked(name)).collect();
    names.join(" or ")
}

fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{column, pipeline};
    use crate::decode::{Header, layout};
    use crate::pipeline::ColumnType;

    fn drifted(missing: OnMissingColumn, new: OnNewColumn, names: &[&str]) -> Option<String> {
        let mut note = column("note", ColumnType::String);
        note.nullable = true;
        let mut pipeline = pipeline(vec![column("id", ColumnType::Int(64)), note]);
        pipeline.source.on_missing_column = missing;
        pipeline.source.on_new_column = new;
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        drift(&pipeline, &layout(&pipeline, &Header { names: Some(names), ..Header::default() }))
    }

    const UNNAMED: &str = "the file has columns that the pipeline does not name";
    const APPROVED: &str = "approved, the rows would have NULL or the default there";

    #[test]
    fn a_header_holds_the_object_as_its_policies_say() {
        use OnMissingColumn::Null;
        use OnNewColumn::{Hold, Ignore};
        let missing_hold = OnMissingColumn::Hold;
        assert_eq!(drifted(missing_hold, Hold, &["id", "note"]), None);
        let found = drifted(missing_hold, Ignore, &["id"]);
        assert_eq!(
            found.as_deref(),
            Some(format!("the file has no column `note`; {APPROVED}").as_str())
        );
        let found = drifted(missing_hold, Ignore, &["id", "x"]);
        let expected = format!("the file has no column `note`; {UNNAMED}: `x`; {APPROVED}");
        assert_eq!(found, Some(expected), "what came instead is named too");
        assert_eq!(drifted(Null, Ignore, &["id", "x"]), None);
        let found = drifted(Null, Ignore, &["note"]);
        let expected =
            "the file has no column `id`; approved, every row would be rejected, for want of `id`";
        assert_eq!(found.as_deref(), Some(expected));
        let found = drifted(Null, Hold, &["id", "x", "y"]);
        let expected = format!("the file has no column `note`; {UNNAMED}: `x`, `y`; {APPROVED}");
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn a_column_under_another_name_is_guessed_and_the_names_looked_for_are_told() {
        let mut order = column("order_id", ColumnType::Int(64));
        order.from = ColumnSource::Field(vec!["#1".into(), "order_id".into()]);
        let pipeline = pipeline(vec![order, column("amount", ColumnType::Int(64))]);
        let told = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            drift(
                &pipeline,
                &layout(&pipeline, &Header { names: Some(names), ..Header::default() }),
            )
            .unwrap()
        };
        let text = told(&["Order ID", "amuont"]);
        for part in [
            "no column `#1` or `order_id` (for `order_id`), `amount`;",
            "does not name: `Order ID`, `amuont`;",
            "`Order ID` may be `order_id` under another name, `amuont` may be `amount` under another",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
        assert!(!told(&["x", "amount"]).contains("may be"));
    }

    #[test]
    fn what_has_changed_since_the_file_before_is_told() {
        let pipeline = pipeline(vec![column("id", ColumnType::Int(64))]);
        let layout = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            layout(&pipeline, &Header { names: Some(names), ..Header::default() })
        };
        let changed = |before: &[&str], now: &[&str]| change(&layout(before), &layout(now));
        assert_eq!(changed(&["id", "x"], &["x", "id"]), None);
        assert_eq!(changed(&["id", "x"], &["id"]), None, "nobody reads it");
        let both = changed(&["id", "x"], &["x", "no"]);
        assert_eq!(both.as_deref(), Some("the file before it had `id` and did not have `no`"));
        assert_eq!(changed(&["id"], &[]).as_deref(), Some("the file before it had `id`"));
        let come = changed(&["id"], &["id", "y"]);
        assert_eq!(come.as_deref(), Some("the file before it did not have `y`"));
    }
}
