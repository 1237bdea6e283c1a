//! Which row it was, in the words of its own key.

use serde_json::{Map, Value};

use super::{ArchiveContext, short_hash};
use crate::block::Decoded;
use crate::check::column::CheckedColumn;
use crate::check::{Contract, Reject};
use crate::pipeline::{ArchivePolicy, ArchiveRaw};

/// Where a key's values come from.
pub(super) struct Source<'a> {
    pub(super) contract: &'a Contract,
    pub(super) context: &'a ArchiveContext,
    pub(super) decoded: &'a Decoded,
}

impl Source<'_> {
    /// The key columns as a JSON object, or `row <n>` when there is no key or it may not be shown.
    pub(super) fn id(&self, reject: &Reject, row_number: u64) -> String {
        let key = match (self.contract.archive_raw, reject.row) {
            (ArchiveRaw::Full, Some(row)) => self.key(row),
            (ArchiveRaw::Full | ArchiveRaw::Masked | ArchiveRaw::Pointer, _) => Map::new(),
        };
        if key.values().all(Value::is_null) {
            return format!("row {row_number}");
        }
        Value::Object(key).to_string()
    }

    fn key(&self, row: usize) -> Map<String, Value> {
        let width = self.decoded.width;
        let cells = self.decoded.cells.get(row * width..).unwrap_or_default();
        let columns = self.contract.checked.iter().zip(self.contract.columns()).zip(cells);
        let keys = columns.filter(|((_, declared), _)| declared.key);
        keys.map(|((column, declared), cell)| {
            let (text, literal) = match &column.capture {
                Some(name) => (self.context.captures.get(name).map(String::as_bytes), false),
                None => {
                    let reader = &column.reader;
                    (reader.text(*cell, &self.decoded.buffer), reader.is_literal(*cell))
                }
            };
            let shown = |text| shown(column, declared.archive, text, literal);
            let value = text.map_or(Value::Null, shown);
            (column.name.clone(), value)
        })
        .collect()
    }
}

/// A value that is none of its type is shown as text.
fn shown(column: &CheckedColumn, policy: ArchivePolicy, text: &[u8], literal: bool) -> Value {
    match policy {
        ArchivePolicy::Mask => Value::from("***"),
        ArchivePolicy::Hash => Value::from(short_hash(text)),
        ArchivePolicy::Full => {
            let typed = column.json(text, literal);
            typed.unwrap_or_else(|| Value::from(String::from_utf8_lossy(text)))
        }
    }
}
