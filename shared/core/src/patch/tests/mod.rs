mod amend;
mod corrected;
mod files;
mod operations;
mod proposals;

use super::*;
use crate::archive::ArchivedRow;
use crate::archive::fixture::archived;
use crate::check::fixture::{column, layout, pipeline};
use crate::pipeline::{
    ArchivePolicy, ColumnSource, ColumnType, CsvDialect, Format, JsonlOptions, TimestampFormat,
};

/// Orders: `id`, `amount` and `currency`, a date, a timestamp, a nullable note.
fn orders() -> Pipeline {
    let decimal = ColumnType::Decimal { precision: 12, scale: 2 };
    let mut currency = column("currency", ColumnType::String);
    currency.one_of = Some(vec!["EUR".to_owned(), "USD".to_owned()]);
    let rfc = ColumnType::Timestamp { format: TimestampFormat::Rfc3339 };
    let mut note = column("note", ColumnType::String);
    note.nullable = true;
    pipeline(vec![
        column("id", ColumnType::Int(64)),
        column("amount", decimal),
        currency,
        column("day", ColumnType::Date { format: None }),
        column("at", rfc),
        note,
    ])
}

/// The same as JSON Lines; `amount` may be called `Betrag`.
fn json_orders() -> Pipeline {
    let mut pipeline = orders();
    let options = JsonlOptions::default();
    pipeline.source.format = Format::Jsonl(options);
    pipeline
}

fn dialect(pipeline: &mut Pipeline) -> &mut CsvDialect {
    match &mut pipeline.source.format {
        Format::Csv(dialect) => dialect,
        Format::Jsonl(_) => panic!("not CSV"),
    }
}

fn patch(fixes: &str) -> Patch {
    let text = format!("version = 1\npipeline = \"orders\"\n{fixes}");
    Patch::parse("fix.toml", &text).unwrap_or_else(|problems| panic!("{fixes}\n{problems}"))
}

fn one_fix(keys: &str) -> Patch {
    patch(&format!("[[fix]]\n{keys}\n"))
}

fn applied(
    pipeline: &Pipeline,
    patch: &Patch,
    record: &[u8],
) -> Result<Option<Vec<u8>>, PatchError> {
    patch.check(pipeline).unwrap_or_else(|problems| panic!("{problems}"));
    let row = archived("type", Some("amount"), &String::from_utf8_lossy(record));
    patch.apply(pipeline, &layout(pipeline.columns.len()), &row, record)
}

/// The record after the fix; "" when it is left as it is.
fn after(pipeline: &Pipeline, keys: &str, record: &str) -> String {
    let new = applied(pipeline, &one_fix(keys), record.as_bytes());
    let new = new.unwrap_or_else(|error| panic!("{keys} {record}: {error}"));
    String::from_utf8(new.unwrap_or_default()).unwrap()
}
